"""Curves of a metric over bins, each point with its interval."""

import numpy as np

from skllmrec._drawing import new_axes, point_style, tidy


def mean_and_error(values):
    """Mean of values and the half width of its 95 % interval; NaN where there are none, or one only.

    Parameters
    ----------
    values : ndarray of shape (n,)
        NaN is left out.

    Returns
    -------
    mean, error : float
    n : int
        Number of values that are not NaN.
    """
    values = values[~np.isnan(values)]
    if len(values) == 0:
        return np.nan, np.nan, 0
    error = 1.96 * values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    return float(values.mean()), float(error), len(values)


class BinnedDisplay:
    """What displays of a metric over bins share: the numbers, and how they are drawn.

    Parameters
    ----------
    means, errors : ndarray of shape (n_bins,)
        The metric in each bin, and the half width of its 95 % interval over users.
    n_users : ndarray of int, shape (n_bins,)
        Users in each bin.
    bins : list of str
        Names of the bins.
    metric : str
        Name of the metric.
    name : str or None
        Name of the recommender.
    """

    def __init__(self, *, means, errors, n_users, bins, metric, name=None):
        self.means = means
        self.errors = errors
        self.n_users = n_users
        self.bins = bins
        self.metric = metric
        self.name = name

    @classmethod
    def _of_bins(cls, values_of_bins, bins, *, metric, name):
        """Make a display of the values of the users in each bin."""
        means, errors, n_users = np.array([mean_and_error(values) for values in values_of_bins]).reshape(-1, 3).T
        return cls(means=means, errors=errors, n_users=n_users.astype(int), bins=bins, metric=metric, name=name)

    def plot(self, *, ax=None):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure. Several displays may share one.

        Returns
        -------
        display : object
            This display.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        ax = new_axes(type(self).__name__) if ax is None else ax
        places = np.arange(len(self.bins))
        drawn = ax.errorbar(
            places, self.means, yerr=self.errors, label=self.name, linewidth=1.6, elinewidth=1, capsize=3,
            **point_style(len(ax.containers)) | {"markersize": 6},
        )  # fmt: skip
        ax.set_xticks(places, self.bins)
        ax.set_xlabel(self._xlabel())
        ax.set_ylabel(self.metric)
        ax.set_ylim(bottom=0, auto=True)  # a curve drawn later may be higher
        tidy(ax)
        if self.name is not None:
            ax.legend(frameon=False)
        self.ax_, self.figure_, self.line_ = ax, ax.get_figure(), drawn.lines[0]
        return self
