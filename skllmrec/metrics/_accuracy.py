"""Accuracy of top-k lists with binary relevance: precision, recall, hit rate, NDCG, MAP, MRR."""

import numpy as np

from skllmrec._kernels.topk.quality import find_hits, ndcg_of_hits
from skllmrec._typing import ArrayLike, FloatArray, Matrix
from skllmrec.metrics._lists import check_k, check_recommended, check_relevant, summarise

_SHARED = """
    Parameters
    ----------
    relevant : sparse matrix or array of shape (n_users, n_items)
        A positive entry marks a relevant item (its size does not matter); zeros, stored or not, do not.
    recommended : array-like of int, shape (n_users, n)
        Column indices of the recommended items, best first; -1 is padding and hits nothing. Lists shorter
        than `k` count as padded.
    k : int, default=10
        Length of the lists that are judged; what stands behind it is not read.
    average : bool, default=True
        Whether to average over the users.

    Returns
    -------
    score : float, or ndarray of shape (n_users,)
        Users without a relevant item are left out of the average (NaN if no user is left); with
        ``average=False`` their value is NaN.

    Raises
    ------
    ValueError
        If the shapes disagree, `k` is not an integer >= 1, an index is out of range, or a list names an item
        twice.
"""


def _documented(function):
    """Put the parameters, which all metrics share, in place of their mark in the docstring."""
    function.__doc__ = function.__doc__ and function.__doc__.replace("\n    {shared}\n", _SHARED)
    return function


def _hits(relevant, recommended, k):
    """Return hits (n_users, min(k, n)), relevant items per user (NaN where there are none) and k."""
    k = check_k(k)
    relevant = check_relevant(relevant)
    lists = check_recommended(recommended, relevant.shape[1], k)
    if relevant.shape[0] != len(lists):
        raise ValueError(
            f"relevant has {relevant.shape[0]} rows and recommended has {len(lists)}: pass one row per user in both"
        )
    n_relevant = np.diff(relevant.indptr).astype(np.float64)
    n_relevant[n_relevant == 0] = np.nan  # makes every metric of these users undefined
    return find_hits(relevant, lists), n_relevant, k


@_documented
def precision_at_k(
    relevant: Matrix | ArrayLike, recommended: ArrayLike, *, k: int = 10, average: bool = True
) -> float | FloatArray:
    """Share of the first k places that hold a relevant item: ``hits / k``, between 0 and 1 (best).

    A user with fewer than k relevant items cannot reach 1. Empty places count as misses.

    {shared}

    References
    ----------
    C. D. Manning, P. Raghavan, H. Schuetze, "Introduction to Information Retrieval", 2008, section 8.4.

    Examples
    --------
    Items 0 and 3 are relevant, item 3 is found in two places:

    >>> from skllmrec.metrics import precision_at_k
    >>> precision_at_k([[1, 0, 0, 1]], [[3, 2]], k=2)
    0.5
    """
    hits, n_relevant, k = _hits(relevant, recommended, k)
    return summarise(np.where(np.isnan(n_relevant), np.nan, hits.sum(axis=1) / k), average)


@_documented
def recall_at_k(
    relevant: Matrix | ArrayLike, recommended: ArrayLike, *, k: int = 10, average: bool = True
) -> float | FloatArray:
    """Share of the relevant items among the first k: ``hits / n_relevant``, between 0 and 1 (best).

    The plain definition: a user with more than k relevant items cannot reach 1.

    {shared}

    References
    ----------
    C. D. Manning, P. Raghavan, H. Schuetze, "Introduction to Information Retrieval", 2008, section 8.3.

    Examples
    --------
    Items 0, 1 and 3 are relevant, one of the three is found:

    >>> from skllmrec.metrics import recall_at_k
    >>> recall_at_k([[1, 1, 0, 1]], [[3, 2]], k=2)
    0.333...
    """
    hits, n_relevant, _ = _hits(relevant, recommended, k)
    return summarise(hits.sum(axis=1) / n_relevant, average)


@_documented
def hit_rate_at_k(
    relevant: Matrix | ArrayLike, recommended: ArrayLike, *, k: int = 10, average: bool = True
) -> float | FloatArray:
    """Share of the users with at least one relevant item among the first k, between 0 and 1 (best).

    {shared}

    References
    ----------
    M. Deshpande, G. Karypis, "Item-based top-N recommendation algorithms", ACM TOIS 22(1), 2004.

    Examples
    --------
    The first user's list holds the relevant item 3, the second user's holds none:

    >>> from skllmrec.metrics import hit_rate_at_k
    >>> hit_rate_at_k([[1, 0, 0, 1], [1, 0, 0, 0]], [[3, 2], [3, 2]], k=2)
    0.5
    """
    hits, n_relevant, _ = _hits(relevant, recommended, k)
    return summarise(np.where(np.isnan(n_relevant), np.nan, hits.any(axis=1)), average)


@_documented
def ndcg_at_k(
    relevant: Matrix | ArrayLike, recommended: ArrayLike, *, k: int = 10, average: bool = True
) -> float | FloatArray:
    """Normalised discounted cumulative gain with binary gains, between 0 and 1 (best).

    A hit in place j gains ``1 / log2(j + 1)``; the sum is divided by that of the ideal list, whose first
    ``min(k, n_relevant)`` places are hits.

    {shared}

    References
    ----------
    K. Jarvelin, J. Kekalainen, "Cumulated gain-based evaluation of IR techniques", ACM TOIS 20(4), 2002.

    Examples
    --------
    One of two relevant items is found, in the second place: (1 / log2 3) / (1 + 1 / log2 3):

    >>> from skllmrec.metrics import ndcg_at_k
    >>> ndcg_at_k([[1, 0, 0, 1]], [[2, 3]], k=2)
    0.386...
    """
    hits, n_relevant, k = _hits(relevant, recommended, k)
    ndcg = ndcg_of_hits(hits, np.nan_to_num(n_relevant, nan=1.0).astype(np.intp), k)
    return summarise(np.where(np.isnan(n_relevant), np.nan, np.minimum(ndcg, 1.0)), average)


@_documented
def map_at_k(
    relevant: Matrix | ArrayLike, recommended: ArrayLike, *, k: int = 10, average: bool = True
) -> float | FloatArray:
    """Mean average precision, between 0 and 1 (best).

    The average precision of a user is the sum, over the hits, of the precision at the place of the hit,
    divided by ``min(k, n_relevant)``, so that a list whose first places are all hits scores 1. (Division by
    `n_relevant`, as in TREC, differs where a user has more than k relevant items.)

    {shared}

    References
    ----------
    C. D. Manning, P. Raghavan, H. Schuetze, "Introduction to Information Retrieval", 2008, section 8.4.

    Examples
    --------
    Two of three relevant items are found, in places 1 and 3: (1/1 + 2/3) / 3:

    >>> from skllmrec.metrics import map_at_k
    >>> map_at_k([[1, 1, 0, 1]], [[3, 2, 0]], k=3)
    0.555...
    """
    hits, n_relevant, k = _hits(relevant, recommended, k)
    users, places = np.nonzero(hits)
    first = np.searchsorted(users, np.arange(len(hits)))  # where each user's hits begin
    precisions = (np.arange(len(users)) - first[users] + 1) / (places + 1)
    total = np.bincount(users, weights=precisions, minlength=len(hits))
    return summarise(total / np.minimum(n_relevant, k), average)


@_documented
def mrr_at_k(
    relevant: Matrix | ArrayLike, recommended: ArrayLike, *, k: int = 10, average: bool = True
) -> float | FloatArray:
    """Mean reciprocal rank: 1 / the place of the first hit among the first k, else 0; 1 is best.

    {shared}

    References
    ----------
    E. M. Voorhees, "The TREC-8 question answering track report", 1999.

    Examples
    --------
    The first relevant item stands in the second place:

    >>> from skllmrec.metrics import mrr_at_k
    >>> mrr_at_k([[1, 0, 0, 1]], [[2, 3, 0]], k=3)
    0.5
    """
    hits, n_relevant, _ = _hits(relevant, recommended, k)
    reciprocal = np.where(hits.any(axis=1), 1.0 / (hits.argmax(axis=1) + 1), 0.0)
    return summarise(np.where(np.isnan(n_relevant), np.nan, reciprocal), average)
