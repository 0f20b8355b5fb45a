"""What a call of `recommend` brings along: what people just liked, and which items they may or may not get."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from skllmrec._ids import IdIndex, normalise_ids, shown
from skllmrec.base._interactions import aggregate


@dataclass(frozen=True)
class History:
    """Interactions of some users that the model was not trained on.

    Parameters
    ----------
    weights : csr_matrix of shape (n_users, n_items), float64
        Items in the positions of `items_`.
    ratings : ndarray of shape (weights.nnz,) or None
        Ratings of the stored pairs; None for implicit feedback.
    ages : ndarray of shape (weights.nnz,), intp
        How many ids stand behind the last mention of an item in its list: 0 for what was liked last.
    """

    weights: sparse.csr_matrix
    ratings: np.ndarray | None
    ages: np.ndarray

    def take(self, positions):
        """Select the histories of some users."""
        order = np.arange(self.weights.nnz)
        stored = sparse.csr_matrix((order, self.weights.indices, self.weights.indptr), self.weights.shape)[positions]
        ratings = None if self.ratings is None else self.ratings[stored.data]
        return History(self.weights[positions], ratings, self.ages[stored.data])


def rows_of(matrix, codes):
    """Rows of a CSR matrix, an empty one where the code is -1."""
    picked = matrix[np.maximum(codes, 0)]
    if (codes >= 0).all():
        return picked
    kept = np.repeat(codes >= 0, np.diff(picked.indptr))
    indptr = np.r_[0, np.cumsum(kept)][picked.indptr]
    return sparse.csr_matrix((picked.data[kept], picked.indices[kept], indptr), shape=picked.shape)


def interactions_of(weights, ratings, codes):
    """Rows of interactions, empty ones where the code is -1.

    Parameters
    ----------
    weights : csr_matrix of shape (n_rows, n_columns)
    ratings : ndarray of shape (weights.nnz,) or None
        Of the stored pairs.
    codes : ndarray of int

    Returns
    -------
    weights : csr_matrix of shape (n_codes, n_columns)
    ratings : ndarray of shape (weights.nnz,) or None
        Of the pairs that were taken.
    """
    if ratings is not None:
        ratings = rows_of(sparse.csr_matrix((ratings, weights.indices, weights.indptr), weights.shape), codes).data
    return rows_of(weights, codes), ratings


def _is_sequence(value):
    return not isinstance(value, str | bytes) and (hasattr(value, "__len__") or isinstance(value, Mapping))


def _flattened(lists, name, n_users):
    """One array of ids out of one list for each user, and whose each id is."""
    if len(lists) != n_users:
        raise ValueError(f"{name} has {len(lists)} lists for {n_users} users: give one list of item ids for each user")
    for position, one in enumerate(lists):
        if not _is_sequence(one):
            raise ValueError(
                f"{name} holds one list of item ids for each user, but that of user {position} is {shown(one)} "
                f"({type(one).__name__}): put it in a list"
            )
    ids = [item for one in lists for item in one]
    owners = np.repeat(np.arange(n_users), [len(one) for one in lists])
    return normalise_ids(np.array(ids, dtype=object), name=f"{name}: the item ids"), owners


def read_history(history, item_side, *, n_users, liked, handle_unknown):
    """Read the parameter `history` of `recommend`.

    Parameters
    ----------
    history : sequence of sequence of ids, or of mappings from ids to ratings (explicit) or weights (implicit)
        One for each user.
    item_side : Side
    n_users : int
    liked : float or None
        The rating that an id without one stands for; None for implicit feedback.
    handle_unknown : {"prior", "error"}
        Whether unknown items are left out or an error.

    Returns
    -------
    History

    Raises
    ------
    ValueError
        If `history` is not one list for each user, or a value is not finite or, as a weight, negative.
    UnknownIdError
        If an item is unknown and `handle_unknown="error"`.
    """
    if not _is_sequence(history) or isinstance(history, Mapping):
        raise ValueError(
            f"history is {type(history).__name__}: give a list with one list of item ids for each person, "
            "e.g. history=[['alien', 'heat']] for one"
        )
    ids, owners = _flattened(history, "history", n_users)
    default = 1.0 if liked is None else liked
    values = np.array(
        [value for one in history for value in (one.values() if isinstance(one, Mapping) else [default] * len(one))],
        dtype=np.float64,
    )
    wrong = np.flatnonzero(~np.isfinite(values) | ((values < 0) & (liked is None)))
    if len(wrong):
        raise ValueError(
            f"history of user {owners[wrong[0]]} gives item {shown(ids[wrong[0]])} the value {values[wrong[0]]}: "
            f"{'weights are finite and not negative' if liked is None else 'ratings are finite'}"
        )
    codes = item_side.entities(ids, handle_unknown=handle_unknown).codes
    known = codes >= 0
    owners, codes, values = owners[known], codes[known], values[known]
    weights, ratings = (values, None) if liked is None else (np.ones(len(values)), values)
    shape = n_users, len(item_side.index)
    return History(*aggregate(owners, codes, weights, ratings, shape), _ages(owners, codes, shape))


def _ages(owners, codes, shape):
    """Age of each pair, in the order of `aggregate`: by user and item."""
    ages = np.searchsorted(owners, owners, side="right") - 1 - np.arange(len(owners))
    pairs = owners * np.int64(shape[1]) + codes
    _, last = np.unique(pairs[::-1], return_index=True)  # the first from behind is the last mention
    return ages[::-1][last]


class Rules:
    """Which candidates each user may get: the parameters `allow` and `deny` of `recommend`.

    Parameters
    ----------
    allow, deny : sequence of ids, or one such sequence for each user, or None
        Ids that are no candidates are of no effect.
    ids : ndarray of shape (n_candidates,)
    n_users : int

    Attributes
    ----------
    candidates : ndarray of shape (n_allowed,), intp
        Positions of the candidates that somebody may get as far as lists for everybody say, in their order.

    Raises
    ------
    ValueError
        If there are lists for each user, but not one for each, or the lists for everybody leave no candidate.
    TypeError
        If the ids are strings and those of the candidates numbers, or the other way round.
    """

    def __init__(self, allow, deny, *, ids, n_users):
        index, everybody = IdIndex(ids), np.ones(len(ids), dtype=bool)
        self._allowed, everybody = self._read(allow, "allow", index, everybody, n_users, keep=True)
        self._denied, everybody = self._read(deny, "deny", index, everybody, n_users, keep=False)
        self.candidates = np.flatnonzero(everybody)
        if len(self.candidates) == 0:
            raise ValueError(f"allow and deny leave none of the {len(ids)} candidates: there is nothing to rank")

    def _read(self, lists, name, index, everybody, n_users, *, keep):
        if lists is None:
            return None, everybody
        if not _is_sequence(lists) or isinstance(lists, Mapping):
            raise ValueError(
                f"{name} is {shown(lists)} ({type(lists).__name__}): give a list of item ids, or one list for each user"
            )
        lists = list(lists)
        if lists and all(map(_is_sequence, lists)):
            ids, owners = _flattened(lists, name, n_users)
            index.check_kind(ids, name=f"{name}: the item ids")
            codes = index.encode(ids)
            known = codes >= 0
            entries = np.ones(known.sum()), (owners[known], codes[known])
            return sparse.csr_matrix(entries, shape=(n_users, len(index))), everybody
        listed = np.zeros(len(index), dtype=bool)
        ids = normalise_ids(np.array(lists, dtype=object), name=f"{name}: the item ids")
        index.check_kind(ids, name=f"{name}: the item ids")  # a list of other ids would silently forbid nothing
        codes = index.encode(ids)
        listed[codes[codes >= 0]] = True
        return None, everybody & (listed == keep)

    @property
    def by_user(self):
        """Whether there are lists for each user."""
        return self._allowed is not None or self._denied is not None

    def left_out(self, rows):
        """Candidates, of `candidates`, that lists for each user keep from some users.

        Parameters
        ----------
        rows : ndarray of shape (n_rows,), intp
            Positions of the users.

        Returns
        -------
        csr_matrix of shape (n_rows, len(candidates)) or None
        """
        denied = None if self._denied is None else self._denied[rows][:, self.candidates]
        if self._allowed is None:
            return denied
        forbidden = sparse.csr_matrix(self._allowed[rows][:, self.candidates].toarray() == 0, dtype=np.float64)
        return forbidden if denied is None else forbidden + denied
