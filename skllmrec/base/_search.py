"""How prepared candidates are searched: by blocks of scores, or as vectors in an index."""

import copy

import numpy as np

from skllmrec._kernels.topk.exact import ProductTiles, leave_out, topk_dense
from skllmrec.retrieval import ExactIndex

BLOCK_SCORES = 2**22  # scores of one block: 32 MiB of float64
_BLOCK_USERS = 2**14  # of an index, which never holds all scores at the same time


def few_rows(n_columns):
    """Return how many rows of scores fit into a block."""
    return max(1, BLOCK_SCORES // n_columns)


def checked_scores(scores, recommender, hook, expected):
    """Check what a hook of a subclass returned: compiled loops trust its shape and that it holds numbers.

    Raises
    ------
    ValueError
        If the shape is not the expected one, or a score is not finite.
    """
    scores = np.asarray(scores)
    where = f"{type(recommender).__name__}.{hook}"
    if scores.shape != expected:
        raise ValueError(f"{where} returned shape {scores.shape}: it was asked for the scores of {expected} pairs")
    if scores.dtype not in (np.float32, np.float64):
        scores = scores.astype(np.float64)
    if not np.isfinite(scores).all():
        raise ValueError(f"{where} returned NaN or inf: the score of every pair must be finite, also of new ids")
    return scores


def _finite(vectors, recommender, hook):
    """Check the vectors of a recommender: a score that is no number would be left out of every list without a word."""
    if not np.isfinite(vectors).all():
        raise ValueError(
            f"{type(recommender).__name__}.{hook} returned NaN or inf: scale the features, ratings and weights, or "
            "regularise more strongly"
        )
    return vectors


class BlockSearch:
    """Search by scoring all candidates: for any recommender.

    Parameters
    ----------
    model : recommender
    items : Entities
        Candidates.
    """

    owns_index = True

    def __init__(self, model, items):
        self._model = model
        self._parts = [(items, model._prepare_items(items))]
        self._removed = np.empty(0, dtype=np.intp)

    def users_at_once(self, n_items):
        """Return how many users are searched for together."""
        return few_rows(n_items)

    def scores(self, users):
        """Scores of all candidates, ndarray of shape (n_users, n_candidates)."""
        blocks = [
            checked_scores(
                self._model._score_prepared(users, prepared), self._model, "_score_block", (len(users), len(items))
            )
            for items, prepared in self._parts
        ]
        return blocks[0] if len(blocks) == 1 else np.concatenate(blocks, axis=1)

    def search(self, users, k, excluded):
        """Positions and scores of the best candidates of `Entities` of users, as of `VectorIndex.search`."""
        return topk_dense(self.scores(users), k, leave_out(excluded, self._removed))

    def extended(self, items):
        """Return a search with further candidates; those that were added before are prepared again."""
        (first, *rest), other = self._parts, copy.copy(self)
        added = items if not rest else rest[0][0].joined(items)
        other._parts = [first, (added, self._model._prepare_items(added))]
        return other

    def without(self, positions):
        """Return a search that leaves some positions out."""
        other = copy.copy(self)
        other._removed = np.union1d(self._removed, positions)
        return other


class VectorSearch:
    """Search of the vectors of a recommender whose score is an inner product.

    Parameters
    ----------
    model : BaseFactorRecommender
    items : Entities
        Candidates.
    index : VectorIndex or None
        None: an `ExactIndex`.
    is_filled : bool
        Whether the index holds the vectors of the candidates already.
    """

    def __init__(self, model, items, index=None, *, is_filled=False):
        self._model, self._items, self._vectors, self._tiles = model, items, None, None
        self.owns_index = index is None
        if self.owns_index:
            index = ExactIndex().fit(self._vectors_of_items(items))
        elif hasattr(index, "fit") and not is_filled:
            index = copy.copy(index)
            index.fit(self.item_vectors)
        elif hasattr(index, "__len__") and len(index) != len(items):
            raise ValueError(f"{type(index).__name__} holds {len(index)} vectors for {len(items)} candidates")
        self.index = index

    @property
    def item_vectors(self):
        """Vectors of the candidates, ndarray of shape (n_candidates, d)."""
        if self.owns_index:
            return self.index.vectors
        if self._vectors is None:
            self._vectors = self._vectors_of_items(self._items)
        return self._vectors

    def _vectors_of_items(self, items):
        return _finite(self._model._item_vectors(items), self._model, "_item_vectors")

    def _vectors_of_users(self, users):
        return _finite(self._model._user_vectors(users), self._model, "_user_vectors")

    def users_at_once(self, n_items):
        """Return how many users are searched for together."""
        return _BLOCK_USERS

    def scores(self, users):
        """Scores of all candidates, ndarray of shape (n_users, n_candidates)."""
        if self._tiles is None:
            self._tiles = ProductTiles(self.item_vectors)
        return self._tiles.scores(self._vectors_of_users(users))

    def search(self, users, k, excluded):
        """Positions and scores of the best candidates of `Entities` of users, as of `VectorIndex.search`."""
        vectors = self._vectors_of_users(users)
        n_items = len(self.index) if self.owns_index else excluded.shape[1]
        if (len(vectors), n_items) != excluded.shape:  # compiled loops trust the shapes
            raise ValueError(
                f"{type(self._model).__name__} gave vectors of {len(vectors)} users and {n_items} items, asked for "
                f"{excluded.shape[0]} and {excluded.shape[1]}: _user_vectors and _item_vectors return one "
                "row for each entity"
            )
        return self.index.search(vectors, k, excluded)

    def _changeable(self, method):
        if self.owns_index:
            return copy.copy(self.index)
        if not hasattr(self.index, method):
            raise ValueError(
                f"{type(self.index).__name__} has no method {method}: make a new index of the changed candidates, and "
                "a ranker of it"
            )
        return self.index

    def extended(self, items):
        """Return a search with further candidates; the vectors of the others stay."""
        other = copy.copy(self)
        other.index, other._items, other._vectors = self._changeable("add"), self._items.joined(items), None
        other._tiles = None
        other.index.add(self._vectors_of_items(items))
        return other

    def without(self, positions):
        """Return a search that leaves some positions out."""
        other = copy.copy(self)
        other.index = self._changeable("remove")
        other.index.remove(positions)
        return other


class SimilaritySearch:
    """Search for similar items by scoring all of them: for any recommender.

    Parameters
    ----------
    model : recommender
    items : Entities
    """

    def __init__(self, model, items):
        self._model, self._items = model, items

    def search(self, queries, k, excluded):
        """Positions and similarities of the items most like `Entities` of items."""
        similarity = self._model._similarity_block(queries, self._items)
        return topk_dense(checked_scores(similarity, self._model, "_similarity_block", excluded.shape), k, excluded)


class SimilarVectorSearch:
    """Search for similar items by the cosines of vectors.

    Parameters
    ----------
    vectors_of : callable
        Makes vectors of unit length of `Entities` of items.
    items : Entities
    """

    def __init__(self, vectors_of, items):
        self._vectors_of, self._index = vectors_of, ExactIndex().fit(vectors_of(items))

    def search(self, queries, k, excluded):
        """Positions and similarities of the items most like `Entities` of items."""
        return self._index.search(self._vectors_of(queries), k, excluded)
