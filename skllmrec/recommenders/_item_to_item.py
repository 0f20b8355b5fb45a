"""What recommenders share whose score is a sum over the items of a user's history."""

import operator
from abc import abstractmethod
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
from scipy import sparse

from skllmrec._kernels.item_item.neighbors import centred_rows
from skllmrec.base import BaseRecommender
from skllmrec.base._matrices import stack

TIE_BREAK = 1e-6  # share of the popularity in a score: orders items that are related to nothing in the history


@dataclass(frozen=True)
class Content:
    """What the text of items says: vectors of unit length, dense ones centred on the items of fit.

    Parameters
    ----------
    vectors : ndarray or csr_matrix of shape (n_items, n_features)
        Of all known items, those of fit first.
    mean : ndarray of shape (n_features,) or None
        What dense features are centred by.
    n_trained : int
        Number of items of fit.
    """

    vectors: object
    mean: np.ndarray | None
    n_trained: int

    @classmethod
    def learn(cls, features, n_trained, *, dtype=np.float64):
        """Learn from encoded features, ndarray or csr_matrix of shape (n_items, n_features)."""
        mean = None if sparse.issparse(features) else features[:n_trained].mean(axis=0, dtype=np.float64)
        return cls(centred_rows(features, mean).astype(dtype, copy=False), mean, n_trained)

    @property
    def trained(self):
        """Vectors of the items of fit."""
        return self.vectors[: self.n_trained]

    def of(self, features):
        """Vectors of items that are not known, for the rows of their encoded features."""
        return centred_rows(features, self.mean).astype(self.vectors.dtype, copy=False)

    def extended(self, features, n_items):
        """Take items in, up to a number of them; zeros where nothing is said about them (`features` is None)."""
        shape = n_items - self.vectors.shape[0], self.vectors.shape[1]
        if shape[0] == 0:
            return self
        if features is not None:
            new = self.of(features)
        else:
            empty = sparse.csr_matrix if sparse.issparse(self.vectors) else np.zeros
            new = empty(shape, dtype=self.vectors.dtype)
        return replace(self, vectors=stack([self.vectors, new]))


@dataclass(frozen=True)
class Candidates:
    """Items to be scored.

    Attributes
    ----------
    columns : csr_matrix or ndarray of shape (n_trained, n_candidates)
        The weight of each item of fit, where it is in a user's history, for each candidate.
    offsets : ndarray of shape (n_candidates,)
        What is said without a history.
    picked : ndarray of shape (n_candidates,), intp, or None
        Where the candidates stand among more `columns` than theirs, which are then not copied.
    """

    columns: object
    offsets: np.ndarray
    picked: np.ndarray | None = None


class ItemToItemRecommender(BaseRecommender):
    """A recommender whose score is ``sum_j h_uj c_ji + o_i`` over the items j of the history h of a user.

    A subclass implements ``_fit_interactions``, which calls `_begin_count`, and ``_columns(items)``; it calls `_count`
    when new items come, and may bring its own ``_histories(users)``.
    """

    _reads_user_features = False  # a user is what they had

    @abstractmethod
    def _columns(self, items):
        """Return the weight of each item of fit for `Entities` of items, (n_trained, n_items)."""

    def _begin_count(self, weights):
        """Store the popularity of the items of fit."""
        self._popularity, self._total = np.empty(0), weights.sum() or 1.0
        self._count(weights)

    def _count(self, weights):
        """Store the popularity of items that arrived since the last call, relative to the total at fit."""
        counts = np.asarray(weights.sum(axis=0)).ravel()
        self._popularity = np.append(self._popularity, counts[len(self._popularity) :] / self._total)

    def _histories(self, users):
        """Return the history of `Entities` of users, csr_matrix of shape (n_users, n_items)."""
        return self._interactions_of(users)[0]

    def _popularity_of(self, items):
        """Return the share that `Entities` of items have in all interactions; 0 for new ones."""
        return np.append(self._popularity, 0.0)[items.codes]  # -1 is the last

    def _offsets(self, items):
        return TIE_BREAK * self._popularity_of(items)

    def _prepare_items(self, items):
        return Candidates(self._columns(items), self._offsets(items))

    def _score_block(self, users, items):
        return self._score_prepared(users, self._prepare_items(items))

    def _score_prepared(self, users, prepared):
        sums = history_sums(self._histories(users), prepared.columns)
        return (sums if prepared.picked is None else sums[:, prepared.picked]) + prepared.offsets


def history_sums(histories, columns):
    """Sum the columns of the items of each history, dense; items that were not in fit do not count."""
    sums = histories[:, : columns.shape[0]].astype(columns.dtype) @ columns
    return sums.toarray() if sparse.issparse(sums) else sums


def place_columns(parts, shape):
    """Put columns at their places among others, which are zero.

    Parameters
    ----------
    parts : list of (ndarray of intp, ndarray or csc_matrix)
        Places, and the columns that belong there; sparse ones together, or dense ones.
    shape : tuple
        (n_trained, n_columns).

    Returns
    -------
    ndarray or csc_matrix of shape `shape`
    """
    if any(sparse.issparse(columns) for _, columns in parts):
        return reduce(operator.add, (_placed(columns, places, shape[1]) for places, columns in parts))
    out = np.zeros(shape, dtype=parts[0][1].dtype)
    for places, columns in parts:
        out[:, places] = columns
    return out


def _placed(columns, places, n_columns):
    counts = np.zeros(n_columns, dtype=np.int64)
    counts[places] = np.diff(columns.indptr)
    indptr = np.r_[0, np.cumsum(counts)]
    return sparse.csc_matrix((columns.data, columns.indices, indptr), shape=(columns.shape[0], n_columns))
