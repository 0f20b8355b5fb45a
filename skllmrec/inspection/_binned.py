"""Base class of the displays of a metric over bins, with confidence intervals."""

from abc import abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING, Self

import numpy as np

from skllmrec._drawing import point_style, tidy
from skllmrec._typing import FloatArray, IntArray
from skllmrec.inspection._display import BaseDisplay

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D


def mean_and_error(values: FloatArray) -> tuple[float, float, int]:
    """Compute the mean of values and the half width of its 95 % confidence interval.

    Parameters
    ----------
    values : ndarray of shape (n,)
        NaN values are left out.

    Returns
    -------
    mean : float
        NaN if there are no values.
    error : float
        NaN if there are fewer than two values.
    n : int
        Number of values that are not NaN.
    """
    values = values[~np.isnan(values)]
    if len(values) == 0:
        return np.nan, np.nan, 0
    error = 1.96 * values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    return float(values.mean()), float(error), len(values)


class BinnedDisplay(BaseDisplay):
    """A metric over bins, drawn as a curve with confidence intervals.

    Parameters
    ----------
    means, errors : ndarray of shape (n_bins,)
        Mean of the metric in each bin, and the half width of its 95 % confidence interval over users.
    n_users : ndarray of int, shape (n_bins,)
        Number of users in each bin.
    bins : list of str
        Names of the bins.
    metric : str
        Name of the metric.
    name : str or None
        Name of the recommender.
    """

    line_: "Line2D"

    def __init__(
        self,
        *,
        means: FloatArray,
        errors: FloatArray,
        n_users: IntArray,
        bins: list[str],
        metric: str,
        name: str | None = None,
    ) -> None:
        self.means = means
        self.errors = errors
        self.n_users = n_users
        self.bins = bins
        self.metric = metric
        self.name = name

    @classmethod
    def _from_bins(
        cls, values_of_bins: Iterable[FloatArray], bins: list[str], *, metric: str, name: str | None
    ) -> Self:
        """Make a display from the values of the users in each bin."""
        means, errors, n_users = np.array([mean_and_error(values) for values in values_of_bins]).reshape(-1, 3).T
        return cls(means=means, errors=errors, n_users=n_users.astype(int), bins=bins, metric=metric, name=name)

    @abstractmethod
    def _xlabel(self) -> str:
        """Label of the horizontal axis."""

    def _draw(self, ax: "Axes") -> None:
        style = point_style(len(ax.containers)) | {"markersize": 6}
        drawn = ax.errorbar(
            np.arange(len(self.bins)),
            self.means,
            yerr=self.errors,
            label=self.name,
            linewidth=1.6,
            elinewidth=1,
            capsize=3,
            **style,
        )
        ax.set_xticks(np.arange(len(self.bins)), self.bins)
        ax.set_xlabel(self._xlabel())
        ax.set_ylabel(self.metric)
        ax.set_ylim(bottom=0, auto=True)  # a curve drawn later may be higher
        tidy(ax)
        if self.name is not None:
            ax.legend(frameon=False)
        self.line_ = drawn.lines[0]
