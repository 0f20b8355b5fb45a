"""Lists against what users already know, and against each other: serendipity, popularity, calibration."""

from numbers import Real

import numpy as np
from scipy.sparse import csr_array, issparse

from skllmrec._kernels.topk.quality import SCRATCH, find_hits
from skllmrec._typing import ArrayLike, FloatArray, Matrix
from skllmrec.metrics._diversity import selection, unit_rows
from skllmrec.metrics._lists import check_counts, check_k, check_recommended, check_relevant, check_size, summarise


def _check_shape(name, matrix, n_users, n_items):
    """Raise unless a matrix has a row per list and a column per item."""
    if matrix.shape != (n_users, n_items):
        raise ValueError(
            f"{name} has shape {matrix.shape}, but there are {n_users} lists and {n_items} items: pass one row per "
            f"list and one column per item, in the same order"
        )


def _padded(values, starts, counts):
    """Ragged rows of `values` as a table, its -1 at the ends of rows, and the mask and positions of the others."""
    columns = np.arange(counts.max(initial=0))
    inside = columns < counts[:, None]
    positions = (starts[:, None] + columns)[inside]
    table = np.full(inside.shape, -1, dtype=np.intp)
    table[inside] = values[positions]
    return table, inside, positions


def _nearest_dense(vectors, users, items, history):
    """`_nearest_in_history` of dense vectors: one product per user, blocks of users of similar history."""
    vectors = np.vstack([vectors, np.zeros_like(vectors[:1])])  # the last row, -1, is padding: a cosine of 0
    hit_users, first, n_hits = np.unique(users, return_index=True, return_counts=True)
    sizes = np.diff(history.indptr)[hit_users]
    order = np.argsort(-sizes, kind="stable")
    nearest = np.zeros(len(items))
    start, most, width = 0, n_hits.max(initial=1), vectors.shape[1]
    while start < len(order):
        longest = sizes[order[start]]
        rows = order[start : start + max(1, SCRATCH // 8 // ((most + longest) * width + most * longest))]
        start += len(rows)
        listed, inside, positions = _padded(items, first[rows], n_hits[rows])
        known, _, _ = _padded(history.indices, history.indptr[hit_users[rows]], sizes[rows])
        cosines = vectors[listed] @ vectors[known].transpose(0, 2, 1)
        nearest[positions] = cosines.max(axis=2, initial=0.0)[inside]
    return nearest


def _nearest_sparse(vectors, users, items, history):
    """`_nearest_in_history` of sparse vectors: pair by pair."""
    history, nearest = history[users], np.zeros(len(items))
    sizes = np.diff(history.indptr)
    filled = np.flatnonzero(sizes)
    step = max(1, SCRATCH // (min(vectors.shape[1], 512) * max(1, sizes.max(initial=1))))
    for start in range(0, len(filled), step):
        part = filled[start : start + step]
        left, right = vectors[np.repeat(items[part], sizes[part])], vectors[history[part].indices]
        cosines = np.asarray(left.multiply(right).sum(axis=1), dtype=np.float64)
        nearest[part] = np.maximum.reduceat(cosines, np.cumsum(sizes[part]) - sizes[part])
    return nearest


def _nearest_in_history(vectors, users, items, history):
    """Highest cosine of each item with the items of its user's history, 0 where that is empty.

    Parameters
    ----------
    vectors : ndarray or csr_array of shape (n_items, n_features)
        Unit rows.
    users, items : ndarray of int, shape (n,)
        Pairs, in the order of the users.
    history : csr_array of bool, shape (n_users, n_items)
        What each user knows.

    Returns
    -------
    similarity : ndarray of shape (n,), float64
        Between 0 and 1.
    """
    nearest = _nearest_sparse if issparse(vectors) else _nearest_dense
    return np.clip(nearest(vectors, users, items, history), 0.0, 1.0)


def serendipity(
    relevant: Matrix | ArrayLike,
    recommended: ArrayLike,
    history: Matrix | ArrayLike,
    item_vectors: Matrix | ArrayLike,
    *,
    k: int = 10,
    average: bool = True,
) -> float | FloatArray:
    """Share of the first k places with a find unlike anything known: relevant, times its distance to the history.

    ``1 / k sum_i rel_i (1 - max_j cos(v_i, v_j))`` over the places i and the items j of the user's history: 0 (no
    hit, or only more of the same) to 1 (k hits, all orthogonal to all that is known). Without a history every hit
    counts in full. A cosine below 0 counts as 0.

    Parameters
    ----------
    relevant : sparse matrix or array of shape (n_users, n_items)
        A positive entry marks a relevant item.
    recommended : array-like of int, shape (n_users, n)
        Column indices of the recommended items, best first; -1 is padding.
    history : sparse matrix or array of shape (n_users, n_items)
        A positive entry marks an item that the user knew before.
    item_vectors : array or sparse matrix of shape (n_items, n_features)
        One vector per item, best in a space that the recommender did not use.
    k : int, default=10
        Length of the lists that are judged.
    average : bool, default=True
        Whether to average over the users.

    Returns
    -------
    serendipity : float, or ndarray of shape (n_users,)
        Users without a relevant item are left out of the average (NaN if no user is left); with
        ``average=False`` their value is NaN.

    Raises
    ------
    ValueError
        If the shapes disagree, `k` is not an integer >= 1, the vectors are not finite numbers, an index is out of
        range, or a list names an item twice.

    References
    ----------
    M. Ge, C. Delgado-Battenfeld, D. Jannach, "Beyond accuracy: evaluating recommender systems by coverage and
    serendipity", RecSys 2010; the distance to the history after T. Murakami, K. Mori, R. Orihara, "Metrics for
    evaluating the serendipity of recommendation lists", JSAI 2007.

    Examples
    --------
    Items 1 and 2 are hits. The user knows item 0, which equals item 1 and has nothing in common with item 2:

    >>> from skllmrec.metrics import serendipity
    >>> vectors = [[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]]
    >>> serendipity([[0, 1, 1]], [[1, 2]], [[1, 0, 0]], vectors, k=2)
    0.5
    """
    k = check_k(k)
    vectors = unit_rows(item_vectors)
    relevant, history = check_relevant(relevant), check_relevant(history)
    lists = check_recommended(recommended, vectors.shape[0], k)
    _check_shape("relevant", relevant, len(lists), vectors.shape[0])
    _check_shape("history", history, len(lists), vectors.shape[0])
    users, places = np.nonzero(find_hits(relevant, lists))
    nearest = _nearest_in_history(vectors, users, lists[users, places], history)
    finds = np.bincount(users, weights=1.0 - nearest, minlength=len(lists)) / k
    return summarise(np.where(np.diff(relevant.indptr) == 0, np.nan, finds), average)


def personalization(recommended: ArrayLike, n_items: int, *, k: int = 10) -> float:
    """How different the lists of different users are: 0 (all the same) to 1 (nothing in common, best).

    One minus the mean cosine of the lists of all pairs of users, a list being the vector with a one for each of its
    items. It is computed from the number of lists of each item, without visiting pairs.

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
    personalization : float
        Empty lists are left out; NaN if fewer than two are left.

    Raises
    ------
    ValueError
        If `k` or `n_items` is not an integer >= 1, an index is out of range, or a list names an item twice.

    References
    ----------
    T. Zhou et al., "Solving the apparent diversity-accuracy dilemma of recommender systems", PNAS 107(10), 2010
    (there: inter-user diversity).

    Examples
    --------
    Two lists of two items share one: the cosine is 1 / 2.

    >>> from skllmrec.metrics import personalization
    >>> round(personalization([[0, 1], [1, 2]], 3, k=2), 3)
    0.5
    """
    n_items = check_size(n_items)
    lists = check_recommended(recommended, n_items, check_k(k))
    listed = selection(lists, n_items, np.float64)
    sizes = np.diff(listed.indptr)
    n_users = np.count_nonzero(sizes)
    if n_users < 2:
        return float("nan")
    weights = np.repeat(1.0 / np.sqrt(np.maximum(sizes, 1)), sizes)
    total = np.bincount(listed.indices, weights=weights, minlength=n_items)
    return float(1.0 - (total @ total - n_users) / (n_users * (n_users - 1)))


def popularity_lift(
    recommended: ArrayLike,
    history: Matrix | ArrayLike,
    item_counts: ArrayLike,
    *,
    k: int = 10,
    average: bool = True,
) -> float | FloatArray:
    """How much more popular the lists are than what their users chose themselves: 0 is as popular, 1 twice.

    ``(q - p) / p``, q the mean popularity of a list, p that of the user's history, both averaged over the users
    first where `average` is true.

    Parameters
    ----------
    recommended : array-like of int, shape (n_users, n)
        Indices of the recommended items, best first; -1 is padding.
    history : sparse matrix or array of shape (n_users, n_items)
        A positive entry marks an item that the user had before.
    item_counts : array-like of shape (n_items,)
        Popularity of each item: its number of training users.
    k : int, default=10
        Length of the lists that are judged.
    average : bool, default=True
        Whether to give one value for all users, the lift of the group; else one for each.

    Returns
    -------
    lift : float, or ndarray of shape (n_users,)
        Users without a history or a list are left out (NaN if none is left, or with ``average=False``).

    Raises
    ------
    ValueError
        If the shapes disagree, a count is negative or not finite, `k` is not an integer >= 1, an index is out of
        range, or a list names an item twice.

    References
    ----------
    H. Abdollahpouri, M. Mansoury, R. Burke, B. Mobasher, "The connection between popularity bias, calibration, and
    fairness in recommendation", RecSys 2020.

    Examples
    --------
    The user chose an item of 2 users and is shown one of 6:

    >>> from skllmrec.metrics import popularity_lift
    >>> popularity_lift([[1]], [[1, 0]], [2, 6], k=1)
    2.0
    """
    counts = check_counts(item_counts)
    lists = check_recommended(recommended, len(counts), check_k(k))
    history = check_relevant(history)
    _check_shape("history", history, len(lists), len(counts))
    shown = _mean_of_rows(selection(lists, len(counts), np.float64), counts)
    known = _mean_of_rows(history.astype(np.float64), counts)
    known[known == 0] = np.nan
    if not average:
        return (shown - known) / known
    both = ~np.isnan(shown) & ~np.isnan(known)
    return float(shown[both].mean() / known[both].mean() - 1.0) if both.any() else float("nan")


def _mean_of_rows(selected, values):
    """Mean of the values that each row selects, NaN for an empty row."""
    sizes = np.diff(selected.indptr).astype(np.float64)
    sizes[sizes == 0] = np.nan
    return (selected @ values) / sizes


def miscalibration(
    recommended: ArrayLike,
    history: Matrix | ArrayLike,
    item_classes: Matrix | ArrayLike,
    *,
    k: int = 10,
    alpha: float = 0.01,
    average: bool = True,
) -> float | FloatArray:
    """How far the mix of classes of a list is from that of the user's history, in nats: 0 is the same mix (best).

    The Kullback-Leibler divergence ``sum_c p_c log(p_c / ((1 - alpha) q_c + alpha p_c))`` of the history's mix p
    from the list's mix q; `alpha` keeps a class that the list lacks from making it infinite.

    Parameters
    ----------
    recommended : array-like of int, shape (n_users, n)
        Indices of the recommended items, best first; -1 is padding.
    history : sparse matrix or array of shape (n_users, n_items)
        A positive entry marks an item that the user had before.
    item_classes : array or sparse matrix of shape (n_items, n_classes)
        How much of each class (a genre, say) an item has, >= 0; an item of several classes counts in equal parts
        of one. Items without any class are left out.
    k : int, default=10
        Length of the lists that are judged.
    alpha : float, default=0.01
        Share of p that is mixed into q, above 0 and below 1.
    average : bool, default=True
        Whether to average over the users.

    Returns
    -------
    miscalibration : float, or ndarray of shape (n_users,)
        At most ``log(1 / alpha)``. Users without a history or a list with classes are left out of the average (NaN
        if none is left); with ``average=False`` their value is NaN.

    Raises
    ------
    ValueError
        If the shapes disagree, `alpha` is out of range, a class is negative or not finite, `k` is not an integer
        >= 1, an index is out of range, or a list names an item twice.

    References
    ----------
    H. Steck, "Calibrated recommendations", RecSys 2018.

    Examples
    --------
    Half of the history is comedy, all of the list is: log(1 / 2 / (1 - alpha / 2)) / 2 + log(1 / alpha) / 2, which
    with alpha 0.01 is

    >>> from skllmrec.metrics import miscalibration
    >>> round(miscalibration([[2]], [[1, 1, 0]], [[1, 0], [0, 1], [1, 0]], k=1), 3)
    1.959
    """
    if not isinstance(alpha, Real) or not 0 < alpha < 1:
        raise ValueError(f"alpha must be above 0 and below 1, got {alpha!r}")
    if np.ndim(item_classes) != 2:
        raise ValueError(f"item_classes must have shape (n_items, n_classes), got {np.ndim(item_classes)} dimension(s)")
    classes = csr_array(item_classes, dtype=np.float64)
    if not np.isfinite(classes.data).all() or (classes.data < 0).any():
        raise ValueError("item_classes must be finite and >= 0: how much of each class an item has")
    lists = check_recommended(recommended, classes.shape[0], check_k(k))
    history = check_relevant(history)
    _check_shape("history", history, len(lists), classes.shape[0])
    shares = _shares(classes)
    wanted = _shares(history.astype(np.float64) @ shares).toarray()
    given = _shares(selection(lists, classes.shape[0], np.float64) @ shares).toarray()
    mixed = (1.0 - alpha) * given + alpha * wanted
    with np.errstate(divide="ignore", invalid="ignore"):
        divergence = np.where(wanted > 0, wanted * np.log(wanted / mixed), 0.0).sum(axis=1)
    undefined = (wanted.sum(axis=1) == 0) | (given.sum(axis=1) == 0)
    return summarise(np.where(undefined, np.nan, np.maximum(divergence, 0.0)), average)


def _shares(matrix):
    """Rows that sum to one; empty ones stay empty."""
    sums = np.asarray(matrix.sum(axis=1)).ravel()
    return csr_array(matrix.multiply((1.0 / np.where(sums > 0, sums, 1.0))[:, None]))
