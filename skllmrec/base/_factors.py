"""Recommenders whose score is an inner product."""

from abc import abstractmethod

import numpy as np
from sklearn.preprocessing import normalize

from skllmrec._kernels.topk.exact import ItemVectors, topk_factors
from skllmrec.base._recommender import BaseRecommender

_BLOCK_USERS = 2**14  # of recommend: the scores of all items are never there at the same time
_BLOCK_PAIRS = 2**16  # of predict, whose vectors are there at the same time


class BaseFactorRecommender(BaseRecommender):
    """A recommender whose score is the inner product of a vector of the user and a vector of the item.

    A subclass implements ``_fit_interactions``, ``_user_vectors(users)`` and ``_item_vectors(items)``; biases are
    columns of these vectors beside a column of ones.

    Examples
    --------
    >>> import numpy as np
    >>> from skllmrec.base import BaseFactorRecommender
    >>> class Averages(BaseFactorRecommender):
    ...     def __init__(self, *, user=0, item=1):
    ...         self.user, self.item = user, item
    ...     def _fit_interactions(self, interactions):
    ...         totals, counts = interactions.targets.sum(axis=0), interactions.weights.sum(axis=0)
    ...         self.means_ = np.asarray(totals / counts).T
    ...     def _user_vectors(self, users):
    ...         return np.ones((len(users), 1))
    ...     def _item_vectors(self, items):
    ...         return items.fill(self.means_, None, 0.0)
    >>> X = [["ann", "alien"], ["ann", "heat"], ["bob", "heat"]]
    >>> Averages().fit(X, [1.0, 4.0, 5.0]).recommend(["ann"], n_items=1, exclude_seen=False)
    (array([['heat']], dtype=object), array([[4.5]]))
    """

    @abstractmethod
    def _user_vectors(self, users):
        """Return the vectors of `Entities` of users, ndarray of shape (n_users, n_columns)."""

    @abstractmethod
    def _item_vectors(self, items):
        """Return the vectors of `Entities` of items, ndarray of shape (n_items, n_columns)."""

    def _score_block(self, users, items):
        return self._score_prepared(users, self._prepare_items(items))

    def _score_prepared(self, users, prepared):
        return self._user_vectors(users) @ prepared.vectors.T

    def _score_pairs(self, users, items):
        scores = np.empty(len(users))
        for start in range(0, len(users), _BLOCK_PAIRS):
            rows = np.arange(start, min(start + _BLOCK_PAIRS, len(users)))
            vectors = self._user_vectors(users.take(rows)), self._item_vectors(items.take(rows))
            # row by row, so that a score does not depend on the other rows of X
            scores[rows] = np.einsum("ij,ij->i", *vectors, dtype=np.float64)
        return scores

    def _prepare_items(self, items):
        return ItemVectors(self._item_vectors(items))

    def _users_at_once(self, n_items):
        return _BLOCK_USERS

    def _rank(self, users, prepared, n_items, seen):
        vectors = self._user_vectors(users)
        if (len(vectors), len(prepared)) != seen.shape:  # compiled loops trust the shapes
            raise ValueError(
                f"{type(self).__name__} gave vectors of {len(vectors)} users and {len(prepared)} items, asked for "
                f"{seen.shape[0]} and {seen.shape[1]}: _user_vectors and _item_vectors return one row for each entity"
            )
        return topk_factors(vectors, prepared, n_items, seen)

    def _similarity_block(self, queries, items):
        return normalize(self._item_vectors(queries)) @ normalize(self._item_vectors(items)).T
