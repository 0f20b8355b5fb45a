"""Search of a stack: the best candidates of each part, scored by the second stage."""

import numpy as np
from scipy import sparse

from skllmrec._kernels.selection.pools import pool_entries
from skllmrec._kernels.topk.exact import leave_out, topk_dense
from skllmrec.base._search import BlockSearch, few_rows
from skllmrec.recommenders.stacked._candidates import N_BEST


class PoolSearch(BlockSearch):
    """Search among the union of the best candidates of each part.

    Parameters
    ----------
    model : StackedRecommender
    items : Entities
        Candidates.
    """

    def users_at_once(self, n_items):
        """Return how many users are searched for together."""
        return max(1, few_rows(n_items) // (4 * len(self._model.estimators_)))

    def _all_items(self):
        """Candidates, those that were added last, and what is prepared for all of them."""
        (items, prepared), *later = self._parts
        if not later:
            return items, prepared.vectors
        ((others, more),) = later
        return items.joined(others), [
            sparse.vstack(pair, format="csr") if sparse.issparse(pair[0]) else np.concatenate(pair)
            for pair in zip(prepared.vectors, more.vectors, strict=True)
        ]

    def _part_scores(self, users):
        """Scores of each part for all candidates, a list of ndarray of shape (n_users, n_candidates)."""
        blocks = [self._model._scores_of_parts(users, prepared) for _, prepared in self._parts]
        return blocks[0] if len(blocks) == 1 else [np.hstack(pair) for pair in zip(*blocks, strict=True)]

    def scores(self, users):
        """Scores of all candidates by the second stage, ndarray of shape (n_users, n_candidates)."""
        items, vectors = self._all_items()
        found, size = np.empty((len(users), len(items))), self.users_at_once(len(items))
        for start in range(0, len(users), size):
            rows = np.arange(start, min(start + size, len(users)))
            block = users if len(rows) == len(users) else users.take(rows)
            owners, places = (part.ravel() for part in np.indices((len(rows), len(items))))
            scores = np.array([one.ravel() for one in self._part_scores(block)])
            found[rows] = self._model._second_stage(block, items, vectors, owners, places, scores).reshape(
                len(rows), -1
            )
        return found

    def search(self, users, k, excluded):
        """Positions and scores of the best candidates of `Entities` of users, as of `VectorIndex.search`."""
        items, vectors = self._all_items()
        scores, excluded = self._part_scores(users), leave_out(excluded, self._removed)
        n_best = min(max(N_BEST, k), len(items))
        best = [topk_dense(one, n_best, excluded)[0] for one in scores]
        owners, places = pool_entries(best, sparse.csr_matrix(excluded.shape))
        pooled = np.array([one[owners, places] for one in scores])
        found = self._model._second_stage(users, items, vectors, owners, places, pooled)
        return _ranked(owners, places, found, len(users), k)


def _ranked(owners, places, scores, n_users, k):
    """Select the k best pairs of each user; pairs are ascending."""
    order = np.lexsort((places, -scores, owners))
    owners, places, scores = owners[order], places[order], scores[order]
    rank = np.arange(len(owners)) - np.searchsorted(owners, owners)
    kept = rank < k
    positions, found = np.full((n_users, k), -1, dtype=np.intp), np.full((n_users, k), -np.inf)
    positions[owners[kept], rank[kept]] = places[kept]
    found[owners[kept], rank[kept]] = scores[kept]
    return positions, found
