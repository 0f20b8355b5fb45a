"""Base class of recommenders with a table of factors and biases for each side, extended by predictions of features."""

import copy
from abc import abstractmethod

import numpy as np
from sklearn.preprocessing import normalize

from skllmrec.base import BaseFactorRecommender


class FactorTableRecommender(BaseFactorRecommender):
    """A recommender with factors and biases of both sides, and priors of their rows.

    A subclass has the parameter ``n_components``, implements ``_adopt`` and ``_predicted``, sets ``_priors``, a dict of
    side to an array (its columns are the first ones of the table) or None, and its ``_item_vectors`` begin with the
    factors.
    """

    @abstractmethod
    def _adopt(self, trained, interactions, *further):
        """Set the fitted attributes from the result of a training."""

    def _attributes_after(self, *arguments):
        """Return the attributes that a copy of this estimator has after ``_adopt(*arguments)``, for callbacks."""
        copied = copy.copy(self)
        copied._adopt(*arguments)
        return vars(copied)

    @abstractmethod
    def _predicted(self, side, features, n_rows):
        """Predict [factors | bias] of rows from their features, None for none; shape (n_rows, n_components + 1)."""

    def _keep(self, side, table):
        """Set the factors and biases of a side from [factors | bias]."""
        setattr(self, f"{side}_factors_", np.ascontiguousarray(table[:, :-1]))
        setattr(self, f"{side}_biases_", table[:, -1].copy())

    def _table(self, side):
        """Return [factors | bias] of a side."""
        return np.column_stack([getattr(self, f"{side}_factors_"), getattr(self, f"{side}_biases_")])

    def _filled(self, side, entities, new, default):
        """Return [factors | bias] of entities, without building the table of the whole side.

        Parameters
        ----------
        side : {"user", "item"}
        entities : Entities
        new, default : ndarray of shape (n_new, n_components + 1) or None, (n_components + 1,)
            See `Entities.fill`.

        Returns
        -------
        ndarray of shape (n, n_components + 1)
        """
        factors, biases = getattr(self, f"{side}_factors_"), getattr(self, f"{side}_biases_")[:, np.newaxis]
        parts = (factors, slice(None, -1)), (biases, slice(-1, None))
        return np.column_stack(
            [
                entities.fill(known, None if new is None else new[:, columns], default[columns])
                for known, columns in parts
            ]
        )

    def _append(self, side, features, n_rows):
        """Append rows up to n_rows, with the factors and biases that their features predict."""
        table, prior = self._table(side), self._priors[side]
        new = self._predicted(side, features, n_rows - len(table)).astype(table.dtype)
        self._keep(side, np.concatenate([table, new]))
        if prior is not None:
            # a new dict: a shallow copy of this recommender keeps its own
            self._priors = {**self._priors, side: np.concatenate([prior, new[:, : prior.shape[1]]])}

    def _similarity_vectors(self, items):
        return normalize(self._item_vectors(items)[:, : self.n_components])

    def _user_similarity_vectors(self, users):
        return normalize(self._user_vectors(users)[:, : self.n_components])
