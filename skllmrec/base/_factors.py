"""Recommenders whose score is an inner product."""

from abc import abstractmethod

import numpy as np
from sklearn.preprocessing import normalize

from skllmrec.base._recommender import BaseRecommender
from skllmrec.base._search import SimilarVectorSearch, VectorSearch

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
        return self._user_vectors(users) @ self._item_vectors(items).T

    def _score_pairs(self, users, items):
        scores = np.empty(len(users))
        for start in range(0, len(users), _BLOCK_PAIRS):
            rows = np.arange(start, min(start + _BLOCK_PAIRS, len(users)))
            vectors = self._user_vectors(users.take(rows)), self._item_vectors(items.take(rows))
            # row by row, so that a score does not depend on the other rows of X
            scores[rows] = np.einsum("ij,ij->i", *vectors, dtype=np.float64)
        return scores

    def _prepare_search(self, items, index=None, *, is_filled=False):
        return VectorSearch(self, items, index, is_filled=is_filled)

    def _similarity_vectors(self, items):
        """Return vectors of unit length whose inner products are similarities, ndarray of shape (n_items, d)."""
        return normalize(self._item_vectors(items))

    def _similarity_block(self, queries, items):
        return self._similarity_vectors(queries) @ self._similarity_vectors(items).T

    def _prepare_similarity(self, items):
        if type(self)._similarity_block is not BaseFactorRecommender._similarity_block:  # a subclass has its own
            return super()._prepare_similarity(items)
        return SimilarVectorSearch(self._similarity_vectors, items)
