"""What recommenders share whose score is a sum over the items of a user's history."""

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from skllmrec._kernels.topk import topk_dense
from skllmrec.base import BaseRecommender

TIE_BREAK = 1e-6  # share of the popularity in a score: ranks what nothing in the history speaks for


@dataclass(frozen=True)
class Candidates:
    """Items to be scored.

    Attributes
    ----------
    columns : csr_matrix or ndarray of shape (n_trained, n_candidates)
        What each item of fit, in the history of a user, speaks for a candidate.
    offsets : ndarray of shape (n_candidates,)
        What is said without a history.
    """

    columns: object
    offsets: np.ndarray


class ItemToItemRecommender(BaseRecommender):
    """A recommender whose score is ``sum_j h_uj c_ji + o_i`` over the items j of the history h of a user.

    A subclass implements ``_fit_interactions``, which calls `_count`, and ``_columns(items)``; it may also bring its
    own ``_histories(users)``.
    """

    @abstractmethod
    def _columns(self, items):
        """Return what each item of fit speaks for `Entities` of items, (n_trained, n_items)."""

    def _count(self, weights):
        """Take down how popular items are; those that are new since the last call, by the total of fit."""
        counts = np.asarray(weights.sum(axis=0)).ravel()
        if not hasattr(self, "_popularity"):
            self._popularity, self._total = np.empty(0), weights.sum() or 1.0
        self._popularity = np.append(self._popularity, counts[len(self._popularity) :] / self._total)

    def _forget_counts(self):
        """Begin anew, for a fit."""
        for name in ("_popularity", "_total"):
            vars(self).pop(name, None)

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
        return self._scores(users, self._prepare_items(items))

    def _rank(self, users, items, n_items, seen):
        return topk_dense(self._scores(users, items), n_items, seen)

    def _scores(self, users, candidates):
        return spoken_for(self._histories(users), candidates.columns) + candidates.offsets


def spoken_for(histories, columns):
    """Sum over histories, dense: of as many leading columns as there are items of fit."""
    sums = histories[:, : columns.shape[0]].astype(columns.dtype) @ columns
    return sums.toarray() if sparse.issparse(sums) else sums
