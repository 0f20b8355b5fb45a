"""Histories: interactions that a call of `recommend` passes and that the model was not trained on."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from skllmrec._ids import flatten, is_sequence, shown
from skllmrec._kernels.sequential.events import Sequences
from skllmrec.base._interactions import aggregate
from skllmrec.base._magnitude import LARGEST


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
    sequence : Sequences
        Positions of the items in the order of the lists, oldest first, those mentioned several times included.
    """

    weights: sparse.csr_matrix
    ratings: np.ndarray | None
    ages: np.ndarray
    sequence: Sequences

    def take(self, positions):
        """Select the histories of some users."""
        order = np.arange(self.weights.nnz)
        stored = sparse.csr_matrix((order, self.weights.indices, self.weights.indptr), self.weights.shape)[positions]
        ratings = None if self.ratings is None else self.ratings[stored.data]
        sequence = self.sequence.take(np.arange(len(self.sequence))[positions])
        return History(self.weights[positions], ratings, self.ages[stored.data], sequence)


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
        If `history` is not one list for each user, or a value is not finite, too large or, as a weight, negative.
    UnknownIdError
        If an item is unknown and `handle_unknown="error"`.
    """
    if not is_sequence(history) or isinstance(history, Mapping):
        raise ValueError(
            f"history is {type(history).__name__}: give a list with one list of item ids for each person, "
            "e.g. history=[['alien', 'heat']] for one"
        )
    ids, owners = flatten(history, "history", n_users)
    default = 1.0 if liked is None else liked
    values = np.array(
        [value for one in history for value in (one.values() if isinstance(one, Mapping) else [default] * len(one))],
        dtype=np.float64,
    )
    wrong = np.flatnonzero(~(abs(values) <= LARGEST) | ((values < 0) & (liked is None)))
    if len(wrong):
        raise ValueError(
            f"history of user {owners[wrong[0]]} gives item {shown(ids[wrong[0]])} the value {values[wrong[0]]}: "
            f"{'weights are finite, not negative' if liked is None else 'ratings are finite'} and at most {LARGEST:g}"
        )
    codes = item_side.entities(ids, handle_unknown=handle_unknown).codes
    known = codes >= 0
    owners, codes, values = owners[known], codes[known], values[known]
    weights, ratings = (values, None) if liked is None else (np.ones(len(values)), values)
    shape = n_users, len(item_side.index)
    sequence = Sequences.of(owners, codes, n_users)
    return History(*aggregate(owners, codes, weights, ratings, shape), _ages(owners, codes, shape), sequence)


def _ages(owners, codes, shape):
    """Age of each pair, in the order of `aggregate`: by user and item."""
    ages = np.searchsorted(owners, owners, side="right") - 1 - np.arange(len(owners))
    pairs = owners * np.int64(shape[1]) + codes
    _, last = np.unique(pairs[::-1], return_index=True)  # the first from behind is the last mention
    return ages[::-1][last]
