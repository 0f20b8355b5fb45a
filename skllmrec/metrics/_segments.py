"""A metric by segment: users by their number of interactions, items by their popularity, groups side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from numbers import Integral, Real
from typing import Any

import numpy as np

from skllmrec._missing import missing_mask
from skllmrec._typing import Array, ArrayLike
from skllmrec.metrics._lists import check_counts


@dataclass(frozen=True)
class Segment:
    """What a metric is in one segment.

    Parameters
    ----------
    mean : float
        Mean of the values that are defined; NaN if there is none.
    n : int
        Number of the values that are defined.

    Examples
    --------
    >>> from skllmrec.metrics import Segment
    >>> Segment(mean=0.25, n=12).mean
    0.25
    """

    mean: float
    n: int


def _check_labels(values, labels, name):
    values = np.asarray(values, dtype=np.float64)
    # numpy would turn None or NaN beside texts into a text
    given = np.array(labels, dtype=object) if isinstance(labels, list | tuple) else np.asarray(labels)
    labels = np.asarray(labels)
    if values.ndim != 1 or labels.shape != values.shape:
        raise ValueError(f"values and {name} must have one entry per user, got shapes {values.shape}, {labels.shape}")
    missing = np.flatnonzero(missing_mask(given))
    if len(missing):
        raise ValueError(
            f"{name}[{missing[0]}] is missing ({len(missing)} in all): leave these users out, or give them a segment "
            "of their own, e.g. 'unknown'"
        )
    return values, labels


def by_segment(values: ArrayLike, segments: ArrayLike) -> dict[Any, Segment]:
    """Mean of a metric in each segment.

    Parameters
    ----------
    values : array-like of shape (n_users,)
        One value per user, as metrics give them with ``average=False``; NaN is left out.
    segments : array-like of shape (n_users,)
        Segment of each user, such as `segment_by_count` or a column of the users (a gender, an age group) gives.

    Returns
    -------
    means : dict of segment to Segment
        In sorted order.

    Raises
    ------
    ValueError
        If the two do not have one entry per user, or a segment is missing.

    See Also
    --------
    skllmrec.metrics.fairness_gap : The distance of the best served group from the worst served one.

    Examples
    --------
    >>> from skllmrec.metrics import by_segment
    >>> by_segment([0.2, 0.4, float("nan")], ["f", "f", "m"])
    {'f': Segment(mean=0.300..., n=2), 'm': Segment(mean=nan, n=0)}
    """
    values, segments = _check_labels(values, segments, "segments")
    names, codes = np.unique(segments, return_inverse=True)
    defined = ~np.isnan(values)
    counts = np.bincount(codes[defined], minlength=len(names))
    sums = np.bincount(codes[defined], weights=values[defined], minlength=len(names))
    means = np.divide(sums, counts, out=np.full(len(names), np.nan), where=counts > 0)
    return {name: Segment(float(mean), int(n)) for name, mean, n in zip(names.tolist(), means, counts, strict=True)}


def segment_by_count(counts: ArrayLike, *, bounds: Sequence[int] = (1, 5, 20)) -> Array:
    """Assign users to segments by their number of known interactions: cold, few, warm.

    Parameters
    ----------
    counts : array-like of int, shape (n_users,)
        Number of training interactions of each user; of items it works as well.
    bounds : tuple of int, default=(1, 5, 20)
        Least count of every segment but the first, ascending.

    Returns
    -------
    segments : ndarray of str, shape (n_users,)
        With the default ``"0"``, ``"1-4"``, ``"5-19"``, ``"20+"``.

    Raises
    ------
    ValueError
        If the counts are not finite numbers >= 0 in one dimension, or the bounds are not whole numbers, ascending and
        above 0.

    Examples
    --------
    >>> from skllmrec.metrics import segment_by_count
    >>> segment_by_count([0, 3, 5, 100]).tolist()
    ['0', '1-4', '5-19', '20+']
    """
    counts, bounds = check_counts(counts, name="counts"), list(bounds)
    whole = all(isinstance(bound, Integral) for bound in bounds)
    if not bounds or not whole or bounds[0] < 1 or any(low >= high for low, high in pairwise(bounds)):
        raise ValueError(f"bounds must be whole numbers that ascend and start above 0, got {tuple(bounds)}")
    lows = [0, *bounds]
    names = [str(low) if low == high - 1 else f"{low}-{high - 1}" for low, high in zip(lows, bounds, strict=False)]
    return np.array([*names, f"{lows[-1]}+"])[np.searchsorted(bounds, counts, side="right")]


def segment_by_popularity(item_counts: ArrayLike, *, head: float = 0.8) -> Array:
    """Assign items to head, tail and new by their share of the interactions.

    Parameters
    ----------
    item_counts : array-like of shape (n_items,)
        Number of training interactions of each item.
    head : float, default=0.8
        The head is the fewest items, most popular first, that hold this share of all interactions.

    Returns
    -------
    segments : ndarray of str, shape (n_items,)
        ``"head"``, ``"tail"``, or ``"new"`` where an item has no interaction.

    Raises
    ------
    ValueError
        If the counts are not finite numbers >= 0 in one dimension, or `head` is not between 0 and 1.

    See Also
    --------
    skllmrec.metrics.segment_by_count : Segments of users.

    Notes
    -----
    A metric of the tail alone: judge only the relevant items of the tail,
    ``recall_at_k(relevant.multiply(segments == "tail"), recommended)``.

    Examples
    --------
    >>> from skllmrec.metrics import segment_by_popularity
    >>> segment_by_popularity([1, 7, 0, 2]).tolist()
    ['tail', 'head', 'new', 'head']
    """
    counts = check_counts(item_counts)
    if not isinstance(head, Real) or not 0 <= head <= 1:
        raise ValueError(f"head must be between 0 and 1, got {head!r}")
    order = np.argsort(-counts, kind="stable")
    before = np.concatenate([[0.0], np.cumsum(counts[order])[:-1]])
    in_head = np.empty(len(counts), dtype=bool)
    in_head[order] = before < head * counts.sum()
    return np.where(counts == 0, "new", np.where(in_head, "head", "tail"))


def fairness_gap(values: ArrayLike, groups: ArrayLike) -> float:
    """How far the best served group of users is from the worst served one: 0 (alike, best) and up.

    The difference of the highest and the lowest mean of a metric among the groups, in the metric's own unit.

    Parameters
    ----------
    values : array-like of shape (n_users,)
        One value per user, as metrics give them with ``average=False``; NaN is left out.
    groups : array-like of shape (n_users,)
        Group of each user.

    Returns
    -------
    gap : float
        NaN if no group has a value.

    Raises
    ------
    ValueError
        If the two do not have one entry per user, or a group is missing.

    References
    ----------
    M. D. Ekstrand et al., "All the cool kids, how do they fit in? Popularity and demographic biases in recommender
    evaluation and effectiveness", FAT* 2018 (metrics by group of users).

    Examples
    --------
    >>> from skllmrec.metrics import fairness_gap
    >>> round(fairness_gap([0.2, 0.4, 0.1], ["f", "f", "m"]), 2)
    0.2
    """
    means = [segment.mean for segment in by_segment(values, groups).values() if segment.n]
    return float(max(means) - min(means)) if means else float("nan")
