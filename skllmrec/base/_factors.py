"""Recommenders whose score is an inner product."""

from abc import abstractmethod

import numpy as np

from skllmrec._kernels.topk import topk_factors
from skllmrec.base._recommender import BaseRecommender


class BaseFactorRecommender(BaseRecommender):
    """A recommender whose score is the inner product of a vector of the user and a vector of the item.

    A subclass implements ``_fit_interactions``, ``_user_vectors(users)`` and ``_item_vectors(items)``; biases are
    columns of these vectors beside a column of ones.
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
        # row by row, so that a score does not depend on the other rows of X
        return np.einsum("ij,ij->i", self._user_vectors(users), self._item_vectors(items), dtype=np.float64)

    def _prepare_items(self, items):
        return self._item_vectors(items)

    def _rank(self, users, items, n_items, seen):
        vectors = self._user_vectors(users)
        if (len(vectors), len(items)) != seen.shape:  # compiled loops trust the shapes
            raise ValueError(
                f"{type(self).__name__} gave vectors of {len(vectors)} users and {len(items)} items, asked for "
                f"{seen.shape[0]} and {seen.shape[1]}: _user_vectors and _item_vectors return one row for each entity"
            )
        return topk_factors(vectors, items, n_items, seen)

    def _similarity_block(self, queries, items):
        return unit_rows(self._item_vectors(queries)) @ unit_rows(self._item_vectors(items)).T


def unit_rows(vectors):
    """Rows scaled to length one; a row of zeros stays as it is."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(norms > 0, norms, 1)
