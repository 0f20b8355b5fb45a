"""Search of the pool of another recommender, and selection of a list from it."""

import copy

import numpy as np

from skllmrec._kernels.selection import reranking

_POOLED = 10  # candidates for each place of a list
_LEAST_POOLED = 100
_GROWTH = 4  # of a pool that limits leave too little of


def pool_size(n_items, n_candidates):
    """Return how many candidates a list is selected from."""
    return min(n_candidates, max(_LEAST_POOLED, _POOLED * n_items))


class DiversifiedSearch:
    """Candidates prepared for re-ranking; takes the place of the search of the inner recommender.

    Parameters
    ----------
    model : DiversifiedRecommender
    items : Entities
        Candidates.
    inner : BlockSearch or VectorSearch
        That of the inner recommender.
    """

    def __init__(self, model, items, inner):
        self._model, self._items, self._inner = model, items, inner
        self._features, self._limits = model._describe(items)
        self._shown = np.zeros(len(items))
        self._popularity = np.append(np.bincount(model.seen_.indices, minlength=len(model.items_)), 0.0)[items.codes]

    @property
    def owns_index(self):
        """Whether the search made its index itself."""
        return self._inner.owns_index

    @property
    def index(self):
        """What holds the vectors."""
        return self._inner.index

    @property
    def item_vectors(self):
        """Vectors of the candidates."""
        return self._inner.item_vectors

    def users_at_once(self, n_items):
        """Return how many users are searched for together."""
        return self._inner.users_at_once(n_items)

    def scores(self, users):
        """Scores of all candidates by the inner recommender."""
        return self._inner.scores(users)

    def extended(self, items):
        """Return a search with further candidates."""
        return DiversifiedSearch(self._model, self._items.joined(items), self._inner.extended(items))

    def without(self, positions):
        """Return a search that leaves some positions out."""
        other = copy.copy(self)
        other._inner = self._inner.without(positions)
        return other

    def begun(self):
        """Return a search for one call, which has shown nothing yet."""
        other = copy.copy(self)
        other._shown = np.zeros(len(self._items))
        return other

    def search(self, users, k, excluded):
        """Positions and scores of the lists of `Entities` of users; the scores are those of the inner recommender."""
        strength, limited = self._model.strength_, len(self._limits.most) > 0
        if strength == 0 and not limited:
            return self._inner.search(users, k, excluded)
        n_candidates = excluded.shape[1]
        size, shown = pool_size(k, n_candidates), self._shown
        while True:
            pools, scores = self._inner.search(users, size, excluded)
            self._shown = shown.copy()
            chosen = self.select(users, pools, scores, k, strength)
            short = (chosen[:, -1] < 0) & (np.asarray(pools)[:, -1] >= 0)
            if not short.any() or size == n_candidates:
                break
            size = min(size * _GROWTH, n_candidates)
        places = np.maximum(chosen, 0)
        found = np.take_along_axis(np.asarray(pools), places, axis=1)
        values = np.take_along_axis(np.asarray(scores, dtype=np.float64), places, axis=1)
        return np.where(chosen < 0, -1, found), np.where(chosen < 0, -np.inf, values)

    def select(self, users, pools, scores, k, strength):
        """Select lists from pools, ndarray of shape (n_users, k) of places in them."""
        scores, limits = reranking.standardise(scores), self._limits
        given = pools, scores, k, strength
        method = self._model.method if strength > 0 else "popularity"
        if method == "exposure":
            return reranking.penalise(*given, self._shown, limits, shown=True)
        if method == "popularity":
            return reranking.penalise(*given, self._popularity, limits)
        if method == "mmr":
            return reranking.marginal_relevance(*given, self._features, limits)
        if method == "dpp":
            return reranking.determinantal(*given, self._features, limits)
        return reranking.calibrate(*given, self._features, self._model._tastes(users), limits)
