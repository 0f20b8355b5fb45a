"""Beyond accuracy: diversity within lists, coverage and concentration over the catalogue, novelty."""

import numpy as np
from numpy.typing import DTypeLike
from scipy.sparse import csr_array, issparse
from sklearn.preprocessing import normalize

from skllmrec._kernels.topk.quality import SCRATCH
from skllmrec._typing import ArrayLike, FloatArray, IntArray, Matrix
from skllmrec.metrics._lists import check_counts, check_k, check_recommended, check_size, summarise


def unit_rows(item_vectors: Matrix | ArrayLike) -> Matrix:
    """Return item vectors of unit length (zero rows stay zero), sparse ones as csr_array.

    Raises
    ------
    ValueError
        If they are not finite numbers in two dimensions.
    """
    vectors = csr_array(item_vectors) if issparse(item_vectors) else np.asarray(item_vectors)
    if vectors.ndim != 2:
        raise ValueError(f"item_vectors must have shape (n_items, n_features), got shape {vectors.shape}")
    if vectors.dtype.kind not in "fiub":
        raise ValueError(f"item_vectors must be numbers, got dtype {vectors.dtype}")
    finite = np.isfinite(vectors.data if issparse(vectors) else vectors)
    if not finite.all():
        rows = vectors.tocoo().coords[0][~finite] if issparse(vectors) else np.argwhere(~finite)[:, 0]
        raise ValueError(f"item_vectors holds NaN or infinity in row {rows[0]}: remove or replace it")
    vectors = vectors if vectors.dtype == np.float32 else vectors.astype(np.float64)
    return normalize(vectors)


def selection(lists: IntArray, n_items: int, dtype: DTypeLike) -> csr_array:
    """Return a csr_array (n_users, n_items) with a one per listed item; padding is left out."""
    listed = lists >= 0
    pointers = np.concatenate([[0], np.cumsum(listed.sum(axis=1))])
    return csr_array((np.ones(pointers[-1], dtype=dtype), lists[listed], pointers), shape=(len(lists), n_items))


def intra_list_diversity(
    recommended: ArrayLike, item_vectors: Matrix | ArrayLike, *, k: int = 10, average: bool = True
) -> float | FloatArray:
    """Mean cosine distance of the pairs of items in a list: 0 (all alike) to 1 (orthogonal), at most 2.

    ``ILD = 2 / (m (m - 1)) sum_{i<j} (1 - cos(v_i, v_j))`` over the m items among the first k places, best
    measured in a space that the recommender did not use. It is computed from the sum s of a list's unit
    vectors, ``2 sum_{i<j} cos = |s|^2 - sum |v_i|^2``, without visiting pairs. The cosine with a zero vector
    is 0, as in scikit-learn: a distance of 1.

    Parameters
    ----------
    recommended : array-like of int, shape (n_users, n)
        Rows of `item_vectors`, best first; -1 is padding.
    item_vectors : array or sparse matrix of shape (n_items, n_features)
        One vector per item, of any length.
    k : int, default=10
        Length of the lists that are judged.
    average : bool, default=True
        Whether to average over the users.

    Returns
    -------
    diversity : float, or ndarray of shape (n_users,)
        Lists of fewer than two items are left out of the average (NaN if none is left); with
        ``average=False`` their value is NaN.

    Raises
    ------
    ValueError
        If `k` is not an integer >= 1, the vectors are not finite numbers in two dimensions, an index is out
        of range, or a list names an item twice.

    References
    ----------
    B. Smyth, P. McClave, "Similarity vs. diversity", ICCBR 2001.

    Examples
    --------
    Three items, two of them alike: distances 0, 1 and 1:

    >>> from skllmrec.metrics import intra_list_diversity
    >>> intra_list_diversity([[0, 1, 2]], [[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]], k=3)
    0.666...
    """
    vectors = unit_rows(item_vectors)
    lists = check_recommended(recommended, vectors.shape[0], check_k(k))
    length = np.asarray(vectors.multiply(vectors).sum(axis=1) if issparse(vectors) else (vectors**2).sum(axis=1))
    diversity = np.empty(len(lists))
    step = max(1, SCRATCH // vectors.shape[1])
    for start in range(0, len(lists), step):
        block = selection(lists[start : start + step], len(length), vectors.dtype)
        sums = block @ vectors
        squared = sums.multiply(sums).sum(axis=1) if issparse(sums) else np.einsum("ij,ij->i", sums, sums)
        n_listed = np.diff(block.indptr).astype(np.float64)
        pairs = n_listed * (n_listed - 1)
        pairs[pairs == 0] = np.nan
        diversity[start : start + step] = 1.0 - (squared - block @ length) / pairs
    return summarise(np.clip(diversity, 0.0, 2.0), average)


def _listed_counts(recommended, n_items, k):
    """Return how many lists hold each item, (n_items,)."""
    n_items = check_size(n_items)
    lists = check_recommended(recommended, n_items, check_k(k))
    return np.bincount(lists[lists >= 0], minlength=n_items)


def catalog_coverage(recommended: ArrayLike, n_items: int, *, k: int = 10) -> float:
    """Share of the catalogue that is recommended to at least one user, between 0 and 1 (best).

    Parameters
    ----------
    recommended : array-like of int, shape (n_users, n)
        Indices of the recommended items, best first; -1 is padding.
    n_items : int
        Number of items that could have been recommended.
    k : int, default=10
        Length of the lists that are judged.

    Returns
    -------
    coverage : float

    Raises
    ------
    ValueError
        If `k` or `n_items` is not an integer >= 1, an index is out of range, or a list names an item twice.

    References
    ----------
    M. Ge, C. Delgado-Battenfeld, D. Jannach, "Beyond accuracy: evaluating recommender systems by coverage and
    serendipity", RecSys 2010.

    Examples
    --------
    Items 0, 1 and 2 of four are shown to someone:

    >>> from skllmrec.metrics import catalog_coverage
    >>> catalog_coverage([[0, 1], [0, 2]], 4, k=2)
    0.75
    """
    return float(np.count_nonzero(_listed_counts(recommended, n_items, k)) / n_items)


def gini_index(recommended: ArrayLike, n_items: int, *, k: int = 10) -> float:
    """How unevenly the recommendations fall on the catalogue: 0 (evenly, best) to ``1 - 1 / n_items``.

    ``G = sum_r (2 r - n_items - 1) x_(r) / (n_items sum x)``, x_(r) ascending, x the number of lists that
    hold an item; items that nobody is shown count with 0. With fewer recommendations than items 0 is out of
    reach.

    Parameters
    ----------
    recommended : array-like of int, shape (n_users, n)
        Indices of the recommended items, best first; -1 is padding.
    n_items : int
        Number of items that could have been recommended.
    k : int, default=10
        Length of the lists that are judged.

    Returns
    -------
    gini : float
        NaN if no list holds an item.

    Raises
    ------
    ValueError
        If `k` or `n_items` is not an integer >= 1, an index is out of range, or a list names an item twice.

    References
    ----------
    D. Fleder, K. Hosanagar, "Blockbuster culture's next rise or fall", Management Science 55(5), 2009.

    Examples
    --------
    Two items have one and three of four recommendations: (-1 * 1 + 1 * 3) / (2 * 4):

    >>> from skllmrec.metrics import gini_index
    >>> gini_index([[1, 0], [1, -1], [1, -1]], 2, k=2)
    0.25
    """
    counts = np.sort(_listed_counts(recommended, n_items, k)).astype(np.float64)
    if counts[-1] == 0:
        return float("nan")
    ranks = np.arange(1, n_items + 1)
    return float((2 * ranks - n_items - 1) @ counts / (n_items * counts.sum()))


def novelty(
    recommended: ArrayLike, item_counts: ArrayLike, n_users: int, *, k: int = 10, average: bool = True
) -> float | FloatArray:
    """Mean surprise of the recommended items in bits, ``-log2(n_i / n_users)``: 0 (known to all) and up.

    n_i is the number of training users of item i. An item without any counts as if one user knew it: the
    upper end of the scale is ``log2(n_users)``, and new items do not make the mean infinite.

    Parameters
    ----------
    recommended : array-like of int, shape (n_users, n)
        Indices of the recommended items, best first; -1 is padding.
    item_counts : array-like of shape (n_items,)
        Number of training users of each item, from 0 to `n_users`.
    n_users : int
        Number of training users.
    k : int, default=10
        Length of the lists that are judged.
    average : bool, default=True
        Whether to average over the users.

    Returns
    -------
    novelty : float, or ndarray of shape (n_users,)
        Empty lists are left out of the average (NaN if none is left); with ``average=False`` their value
        is NaN.

    Raises
    ------
    ValueError
        If `k` or `n_users` is not an integer >= 1, a count is not between 0 and `n_users`, an index is out of range,
        or a list names an item twice.

    References
    ----------
    S. Vargas, P. Castells, "Rank and relevance in novelty and diversity metrics for recommender systems",
    RecSys 2011.

    Examples
    --------
    Of 8 users 4 know item 0 and 1 knows item 1: (1 + 3) / 2 bits:

    >>> from skllmrec.metrics import novelty
    >>> novelty([[0, 1]], [4, 1], 8, k=2)
    2.0
    """
    n_users = check_size(n_users, name="n_users")
    counts = check_counts(item_counts, most=("n_users", n_users))
    lists = check_recommended(recommended, len(counts), check_k(k))
    bits = -np.log2(np.append(np.maximum(counts, 1.0), n_users) / n_users)  # padding, -1, reads 0 bits
    n_listed = np.count_nonzero(lists >= 0, axis=1).astype(np.float64)
    n_listed[n_listed == 0] = np.nan
    return summarise(bits[lists].sum(axis=1) / n_listed, average)
