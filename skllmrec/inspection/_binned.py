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


def draw_bins(means, errors, labels, *, ax, name, xlabel, ylabel, purpose):
    """Draw one curve over named bins into axes that may hold others already.

    Parameters
    ----------
    means, errors : ndarray of shape (n_bins,)
        Points and the half widths of their bars.
    labels : list of str
        Names of the bins.
    ax : matplotlib Axes or None
        Where to draw; None makes a figure.
    name : str or None
        Name of the curve in the legend.
    xlabel, ylabel, purpose : str
        Names of the axes, and what draws.

    Returns
    -------
    ax : matplotlib Axes
    line : matplotlib Line2D
    """
    ax = new_axes(purpose) if ax is None else ax
    places = np.arange(len(labels))
    drawn = ax.errorbar(
        places, means, yerr=errors, label=name, linewidth=1.6, elinewidth=1, capsize=3,
        **point_style(len(ax.containers)) | {"markersize": 6},
    )  # fmt: skip
    ax.set_xticks(places, labels)
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    ax.set_ylim(bottom=0, auto=True)  # a curve drawn later may be higher
    tidy(ax)
    if name is not None:
        ax.legend(frameon=False)
    return ax, drawn.lines[0]
