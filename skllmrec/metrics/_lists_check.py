"""What a recommender returned, checked: every fault names the user and the item."""

import warnings
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from skllmrec._ids import IdIndex, shown
from skllmrec._typing import Array, ArrayLike, CsrMatrix, IntArray
from skllmrec.exceptions import RepeatedRowsWarning


def list_positions(items: IdIndex, ids: ArrayLike, scores: ArrayLike, users: Array, k: int) -> IntArray:
    """Turn recommended ids into positions in `items`, -1 for padding.

    Parameters
    ----------
    items : IdIndex
        The candidates.
    ids, scores : array-like of shape (n_users, n)
        What `recommend` returned; places with the score -inf are padding.
    users : ndarray of shape (n_users,)
        Their ids, for the messages.
    k : int
        How many items were asked for.

    Returns
    -------
    positions : ndarray of shape (n_users, n), intp

    Raises
    ------
    ValueError
        If the shapes do not fit, a score is NaN, or a list holds an item twice or one that is no candidate.
    """
    ids, scores = np.asarray(ids), np.asarray(scores)
    if ids.shape != scores.shape or ids.ndim != 2 or len(ids) != len(users) or ids.shape[1] > k:
        raise ValueError(
            f"recommend returned ids of shape {ids.shape} and scores of shape {scores.shape} for {len(users)} users "
            f"and n_items={k}: both must have a row for each user and at most n_items columns"
        )
    _refuse_first(np.isnan(scores.astype(np.float64)), ids, users, "scored {item} NaN for {user}, at place {place}")
    listed = scores > -np.inf
    positions = np.full(ids.shape, -1, dtype=np.intp)
    positions[listed] = items.encode(ids[listed])
    _refuse_first(listed & (positions < 0), ids, users, "returned {item} for {user}, which is not a candidate")
    _refuse_first(_repeats(positions), ids, users, "listed {item} twice for {user}, the second time at place {place}")
    return positions


def _refuse_first(bad, ids, users, fault):
    """Raise an error for the first place where something is bad."""
    if bad.any():
        row, place = np.argwhere(bad)[0]
        user, item = f"the user {shown(users[row])}", f"the item {shown(ids[row, place])}"
        more = f" ({np.count_nonzero(bad)} such places in all)" if np.count_nonzero(bad) > 1 else ""
        raise ValueError(f"recommend {fault.format(user=user, item=item, place=place + 1)}{more}")


def _repeats(positions):
    """Mark the places of each row whose position stands further left as well; padding does not count."""
    order = np.argsort(positions, axis=1, kind="stable")
    ordered = np.take_along_axis(positions, order, axis=1)
    equal = np.zeros(positions.shape, dtype=bool)
    equal[:, 1:] = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)
    marks = np.zeros(positions.shape, dtype=bool)
    np.put_along_axis(marks, order, equal, axis=1)
    return marks


def check_unseen(
    positions: IntArray, history: csr_array | None, items: Array, users: Array, *, where: str = "in training"
) -> None:
    """Raise an error where a list holds what its user had in training, although that was to be left out.

    Parameters
    ----------
    positions : ndarray of shape (n_users, n), intp
        -1 is padding.
    history : csr_array of bool of shape (n_users, n_items), or None
        None: unknown, nothing is checked.
    items, users : ndarray
        Ids, for the message.
    where : str, default="in training"
        Where the user had it, for the message.

    Raises
    ------
    ValueError
        The message names the user and the item.
    """
    if history is None or positions.size == 0:
        return
    rows, places = np.nonzero(positions >= 0)
    seen = np.zeros(positions.shape, dtype=bool)
    seen[rows, places] = _stored(history, rows, positions[rows, places])
    fault = f"listed {{item}} for {{user}}, who had it {where}, although exclude_seen=True"
    _refuse_first(seen, items[positions], users, fault)


def _stored(matrix, rows, columns):
    """Whether a sparse matrix has an entry, be it zero, at each pair of a row and a column."""
    marks = csr_array((np.ones(matrix.nnz, dtype=bool), matrix.indices, matrix.indptr), shape=matrix.shape)
    return np.asarray(marks[rows, columns], dtype=bool).ravel() if len(rows) else np.zeros(0, dtype=bool)


def pair_matrix(user_ids: Array, item_ids: Array) -> tuple[csr_array, IdIndex, IdIndex]:
    """Make a sparse matrix with an entry for each pair of a user and an item, and the IdIndex of its rows and columns.

    Parameters
    ----------
    user_ids, item_ids : ndarray of shape (n_rows,)

    Returns
    -------
    pairs : csr_array of shape (n_users, n_items)
    users, items : IdIndex
    """
    (users, rows), (items, columns) = IdIndex.from_values(user_ids), IdIndex.from_values(item_ids)
    return csr_array((np.ones(len(rows)), (rows, columns)), shape=(len(users), len(items))), users, items


def count_repeated(seen: CsrMatrix, users: IdIndex, items: IdIndex, user_ids: Array, item_ids: Array) -> int:
    """Count the test rows whose user and item are a pair of the training rows.

    Rows that hold all pairs of training are no test rows: they are scored as training rows, and none counts.

    Parameters
    ----------
    seen : sparse matrix of shape (n_users, n_items)
        Has an entry for each pair of training, as the `seen_` of a recommender.
    users, items : IdIndex
        Of its rows and columns.
    user_ids, item_ids : ndarray of shape (n_rows,)
        Of the test rows.

    Returns
    -------
    n_repeated : int
    """
    rows, columns = users.encode(user_ids), items.encode(item_ids)
    known = (rows >= 0) & (columns >= 0)
    rows, columns = rows[known], columns[known]
    repeated = _stored(seen.tocsr(), rows, columns)
    n_pairs = len(np.unique(rows[repeated].astype(np.int64) * len(items) + columns[repeated]))
    return 0 if n_pairs == seen.nnz else int(np.count_nonzero(repeated))


def warn_of_repeated_rows(n_repeated: int, n_rows: int, *, of_histories: bool = False, stacklevel: int) -> None:
    """Warn where test rows repeat pairs of training, or items of their own history, which lists leave out.

    Parameters
    ----------
    n_repeated, n_rows : int
    of_histories : bool, default=False
        Whether the rows are questions of the next item.
    stacklevel : int
        As for `warnings.warn`, counted from the caller.
    """
    if n_repeated:
        left_out = "is in the history" if of_histories else "a user had in training"
        warnings.warn(
            f"{said_of_repeated_rows(n_repeated, n_rows, of_histories=of_histories)}. What {left_out} is left out of "
            "the lists, so that these rows can never be hits. Keep one row for each user and item before the split "
            "(InteractionFilter does), or pass exclude_seen=False where repeats are to be recommended",
            RepeatedRowsWarning,
            stacklevel=stacklevel + 1,
        )


def said_of_repeated_rows(n_repeated: int, n_rows: int, *, of_histories: bool = False) -> str:
    """Write the number and the share of repeated rows.

    Examples
    --------
    >>> from skllmrec.metrics._lists_check import said_of_repeated_rows
    >>> said_of_repeated_rows(12, 80)
    '12 of 80 test rows (15.0%) have a user and an item that are together in a training row'
    """
    share: Any = n_repeated / n_rows
    verb = "has" if n_repeated == 1 else "have"
    count = f"{n_repeated:,} of {n_rows:,} test rows ({share:.1%})"
    if of_histories:
        return f"{count} {verb} an item that is in the history of the same row"
    return f"{count} {verb} a user and an item that are together in a training row"
