"""Ranked lists of a fitted recommender: block by block, so that memory stays bounded."""

from dataclasses import replace
from numbers import Integral

import numpy as np
from scipy import sparse
from sklearn.utils.validation import check_is_fitted

from skllmrec._ids import missing_id
from skllmrec._kernels.topk.exact import topk_dense
from skllmrec.base._entities import Entities
from skllmrec.base._history import read_history
from skllmrec.base._interactions import interactions_of, merge, rows_of
from skllmrec.base._rules import Rules

_BLOCK_SCORES = 2**22  # scores of one block of recommend: 32 MiB of float64


class RankingMixin:
    """`recommend` and `similar_items` on the hooks of `BaseRecommender`."""

    def recommend(
        self, users=None, n_items=10, *, candidates=None, exclude_seen=True, history=None, allow=None, deny=None
    ):
        """Rank items for users.

        Parameters
        ----------
        users : array-like of shape (n_users,), or rows laid out like X of shape (n_users, n_columns), default=None
            Ids, or rows that hold the user's columns, so that new users bring their features. None: people of whom
            nothing is known but their `history`.
        n_items : int, default=10
            Length of each list.
        candidates : array-like of shape (n_candidates,), rows laid out like X, or a tuple of both, default=None
            What is ranked: ids, rows that hold the item's columns (new items bring their features; equal ids
            count once), ``(ids, rows)`` for both together, or None for all of `items_`.
        exclude_seen : bool, default=True
            Leave out what the user had in training and in the `history`.
        history : sequence of sequence of ids, default=None
            For each user, items that they just liked: the lists take them into account, the model stays as it is.
            Instead of ids, a mapping from ids to ratings (explicit feedback) or weights (implicit feedback); an id
            alone stands for the highest rating of training, or the weight one. Items that the model does not know
            are of no effect.
        allow, deny : sequence of ids, or one sequence of ids for each user, default=None
            Only these candidates, all but these candidates: for everybody, or user by user.

        Returns
        -------
        ids : ndarray of shape (n_users, n_items)
            Best first; equal scores in the order of the candidates. Where a user has fewer unseen candidates,
            the rest is the missing id: None for strings, the minimum of int64 for integers, NaN for floats.
        scores : ndarray of shape (n_users, n_items), float64
            Their scores, -inf for missing ids.

        Raises
        ------
        UnknownIdError
            If a user or item is unknown and `handle_unknown="error"`.
        ValueError
            If there are neither users nor histories, a list does not belong to a user, or `n_items` exceeds the
            number of candidates that `allow` and `deny` leave to everybody.
        TypeError
            If ids are strings where fit saw numbers, or the other way round.
        """
        check_is_fitted(self)
        users = self._target_users(users, history)
        items = self._candidates(candidates)
        rules = Rules(allow, deny, ids=items.ids, n_users=len(users))
        items = items.take(rules.candidates)
        _check_n_items(n_items, len(items))
        prepared = self._prepare_items(items)
        blocks = []
        # lists for each user may leave nearly all candidates out, and then count like scores
        n_users = _few_rows(len(items)) if rules.by_user else self._users_at_once(len(items))
        for rows in _blocks(len(users), n_users):
            block = users.take(rows)
            left_out = self._seen_among(block, items) if exclude_seen else _nothing(len(block), len(items))
            forbidden = rules.left_out(rows)
            left_out = left_out if forbidden is None else left_out + forbidden
            blocks.append(self._rank(block, prepared, n_items, left_out))
        return _ranked_ids(items.ids, blocks, n_items)

    def similar_items(self, items=None, n_items=10, *, features=None):
        """Find the items most like some items, or most like what a text says.

        Parameters
        ----------
        items : array-like of shape (n_queries,), or rows laid out like X of shape (n_queries, n_columns), default=None
            Ids, or rows that hold the item's columns: new items are compared by their features.
        n_items : int, default=10
            Length of each list.
        features : array-like or dataframe of n_queries rows, default=None
            Instead of `items`, features alone, laid out like the columns `item_features`: texts, for an encoder of
            one column of texts.

        Returns
        -------
        ids : ndarray of shape (n_queries, n_items)
            Most similar first, the item itself left out; padded as in `recommend`.
        scores : ndarray of shape (n_queries, n_items), float64
            Similarities.

        Raises
        ------
        UnknownIdError
            If an item is unknown and `handle_unknown="error"`.
        ValueError
            If not one of `items` and `features` is given, fit saw no features, or `n_items` exceeds the number of
            items.
        """
        check_is_fitted(self)
        queries = self._queries(items, features)
        known = self._candidates(None)
        _check_n_items(n_items, len(known))
        blocks = []
        for rows in _blocks(len(queries), _few_rows(len(known))):
            block = queries.take(rows)
            own = np.flatnonzero(block.codes >= 0)
            itself = sparse.csr_matrix((np.ones(len(own)), (own, block.codes[own])), shape=(len(block), len(known)))
            similarity = _checked(self._similarity_block(block, known), self, "_similarity_block", itself.shape)
            blocks.append(topk_dense(similarity, n_items, itself))
        return _ranked_ids(known.ids, blocks, n_items)

    def _queries(self, items, features):
        """Entities that `similar_items` shall find the like of."""
        if (items is None) == (features is None):
            raise ValueError("similar_items takes either items or features: what shall the items be like?")
        if items is None:
            return self._item_side.described(features)
        return self._item_side.read(items, handle_unknown=self._handle_unknown)

    def _similarity_block(self, queries, items):
        """Return the similarity of every pair of two `Entities` of items, ndarray (n_queries, n_items)."""
        raise AttributeError(f"{type(self).__name__} has no representation of items that could be compared")

    def _candidates(self, candidates):
        if candidates is None:
            return Entities(self.items_, np.arange(len(self.items_)))
        items = self._item_side.read(candidates, handle_unknown=self._handle_unknown, distinct=True)
        if len(items) == 0:
            raise ValueError("candidates are empty: pass at least one item, or None for all items of fit")
        return items

    def _target_users(self, users, history):
        """Entities of those whom lists are for, with their histories."""
        if users is None and history is None:
            raise ValueError("recommend needs users, or the history of people who are not known")
        if users is not None:
            users = self._user_side.read(users, handle_unknown=self._handle_unknown)
        if history is None:
            return users
        if users is None:
            n_users = len(history) if hasattr(history, "__len__") else 0
            users = Entities(np.arange(n_users), np.full(n_users, -1, dtype=np.intp))
        liked = None if self._ratings is None else self._ratings.max()
        history = read_history(
            history, self._item_side, n_users=len(users), liked=liked, handle_unknown=self._handle_unknown
        )
        return replace(users, history=history)

    def _interactions_of(self, users):
        """Collect what some users did, in training and in the history given with a call.

        Returns
        -------
        weights : csr_matrix of shape (n_users, n_items)
        ratings : ndarray of shape (weights.nnz,) or None
        """
        weights, ratings = interactions_of(self.seen_, self._ratings, users.codes)
        if users.history is None:
            return weights, ratings
        return merge(weights, ratings, users.history.weights, users.history.ratings)

    def _seen_among(self, users, items):
        """Find what each user has seen, in positions of the candidates."""
        seen = rows_of(self.seen_, users.codes)
        if users.history is not None:  # merged, not added: a sum of sparse matrices drops weights of zero
            seen, _ = merge(seen, None, users.history.weights, None)
        position = np.full(len(self.items_), -1, dtype=np.intp)
        known = np.flatnonzero(items.codes >= 0)
        position[items.codes[known]] = known
        columns = position[seen.indices]
        kept = columns >= 0
        indptr = np.r_[0, np.cumsum(kept)][seen.indptr]
        columns = columns[kept]
        return sparse.csr_matrix((np.ones(len(columns)), columns, indptr), shape=(len(users), len(items)))

    def _users_at_once(self, n_items):
        """Return how many users `_rank` shall get at a time, so that its scores fit into memory."""
        return _few_rows(n_items)

    def _prepare_items(self, items):
        """Compute what `_score_prepared` needs of the candidates, once for all blocks of users."""
        return items

    def _score_prepared(self, users, prepared):
        """Return the scores of all pairs of `Entities` of users and of what `_prepare_items` made of the items."""
        return self._score_block(users, prepared)

    def _rank(self, users, prepared, n_items, seen):
        """Positions and scores of the best unseen candidates, each (n_users, n_items)."""
        scores = _checked(self._score_prepared(users, prepared), self, "_score_block", seen.shape)
        return topk_dense(scores, n_items, seen)


def _checked(scores, recommender, hook, expected):
    """Check what a hook of a subclass returned: compiled loops trust its shape and that it holds numbers."""
    scores = np.asarray(scores)
    where = f"{type(recommender).__name__}.{hook}"
    if scores.shape != expected:
        raise ValueError(f"{where} returned shape {scores.shape}: it was asked for the scores of {expected} pairs")
    if scores.dtype not in (np.float32, np.float64):
        scores = scores.astype(np.float64)
    if not np.isfinite(scores).all():
        raise ValueError(f"{where} returned NaN or inf: the score of every pair must be finite, also of new ids")
    return scores


def _few_rows(n_columns):
    return max(1, _BLOCK_SCORES // n_columns)


def _blocks(n, size):
    for start in range(0, n, size):
        yield np.arange(start, min(start + size, n))


def _check_n_items(n_items, n_candidates):
    if not isinstance(n_items, Integral) or n_items < 1:
        raise ValueError(f"n_items must be a positive integer, got {n_items!r}")
    if n_items > n_candidates:
        raise ValueError(
            f"n_items={n_items} exceeds the {n_candidates} candidates: ask for at most {n_candidates} items"
        )


def _nothing(n_rows, n_columns):
    return sparse.csr_matrix((n_rows, n_columns))


def _ranked_ids(ids, blocks, n_items):
    """Turn blocks of positions into ids, and pad."""
    if not blocks:
        return np.empty((0, n_items), dtype=ids.dtype), np.empty((0, n_items))
    positions, scores = (np.concatenate(part) for part in zip(*blocks, strict=True))
    ranked = ids[positions]
    ranked[positions < 0] = missing_id(ids)
    return ranked, scores.astype(np.float64)
