"""Search along one strength, and between the values that were tried."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple


class Peak(NamedTuple):
    """Where a search ended.

    Attributes
    ----------
    value : float
        Strength with the highest quality, between the points of the grid.
    near : float
        The best point of the grid.
    """

    value: float
    near: float


def search_peak(evaluate: Callable[[float], float], grid: Sequence[float], start: int) -> Peak:
    """Climb along a grid as long as the quality rises, then interpolate the summit.

    The quality at three neighbouring values is close to a parabola in the logarithm of the strength. Its summit depends
    less on which interactions are held out than the best value of the grid does.

    Parameters
    ----------
    evaluate : callable
        From a strength to its quality; greater is better. It is called once for each value that is tried.
    grid : sequence of float
        Ascending, positive, in equal ratios.
    start : int
        Position that is tried first.

    Returns
    -------
    Peak

    Examples
    --------
    >>> import numpy as np
    >>> from skllmrec._kernels.selection.peak import search_peak
    >>> peak = search_peak(lambda alpha: -np.log2(alpha / 6) ** 2, [1.0, 2.0, 4.0, 8.0, 16.0], start=0)
    >>> round(peak.value, 3), peak.near
    (6.0, 8.0)
    """
    found: dict[int, Any] = {}

    def quality(place):
        if place not in found:
            found[place] = evaluate(grid[place])
        return found[place]

    best = start
    for step in (1, -1):
        while 0 <= best + step < len(grid) and quality(best + step) > quality(best):
            best += step
        if best != start:
            break
    quality(best)
    if not 0 < best < len(grid) - 1:
        return Peak(float(grid[best]), grid[best])
    below, top, above = (quality(best + step) for step in (-1, 0, 1))
    curvature = below - 2 * top + above
    shift = 0.5 * (below - above) / curvature if curvature < 0 else 0.0
    return Peak(float(grid[best] * (grid[best + 1] / grid[best]) ** shift), grid[best])
