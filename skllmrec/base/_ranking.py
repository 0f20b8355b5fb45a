"""Ranked lists of a fitted recommender: block by block, so that memory stays bounded."""

from dataclasses import replace

import numpy as np
from sklearn.utils.metaestimators import available_if

from skllmrec._typing import Array, FloatArray, Frame, Ids, Rows
from skllmrec.base._entities import Entities
from skllmrec.base._frames import lists_as_frame
from skllmrec.base._history import read_history
from skllmrec.base._interactions import interactions_of, merge
from skllmrec.base._prepared import prepared_models
from skllmrec.base._ranker import Ranker
from skllmrec.base._search import BlockSearch, SimilaritySearch
from skllmrec.base._weighting import weigh


def _compares_users(recommender):
    return hasattr(recommender, "_user_similarity_vectors")


def _compares_items(recommender):
    return recommender._can_compare_items


class RankingMixin:
    """`recommend` and `similar_items` on the hooks of `BaseRecommender`."""

    def recommend(
        self,
        users: Ids | Rows | None = None,
        n_items: int = 10,
        *,
        candidates: Ids | Rows | None = None,
        exclude_seen: bool = True,
        history: object | None = None,
        allow: object | None = None,
        deny: object | None = None,
        as_frame: bool = False,
    ) -> tuple[Array, FloatArray] | Frame:
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
        as_frame : bool, default=False
            Return one data frame instead of two arrays: columns user, item, rank (from 1) and score, a row for each
            entry of a list, without padding. Where `users` is None, user is the position of the history. The frame is
            one of pandas, or of polars after ``sklearn.set_config(transform_output="polars")``.

        Returns
        -------
        ids : ndarray of shape (n_users, n_items)
            Best first; equal scores in the order of the candidates. Where a user has fewer unseen candidates,
            the rest is the missing id: None for strings, the minimum of int64 for integers, NaN for floats.
        scores : ndarray of shape (n_users, n_items), float64
            Their scores, -inf for missing ids. With `as_frame`, a data frame instead of both.

        Raises
        ------
        ImportError
            If `as_frame` is true and pandas (or polars, where it is asked for) is not installed.
        UnknownIdError
            If a user or item is unknown and `handle_unknown="error"`.
        ValueError
            If there are neither users nor histories, a list does not belong to a user, `n_items` exceeds the
            number of candidates that `allow` and `deny` leave to everybody, or rows of new users or items lack a
            feature column.
        TypeError
            If ids are strings where fit saw numbers, or the other way round.

        Examples
        --------
        >>> from skllmrec import PopularityRecommender
        >>> X = [["ann", "alien"], ["ann", "heat"], ["bob", "alien"]]
        >>> recommender = PopularityRecommender(feedback="implicit").fit(X)
        >>> recommender.recommend(["ann", "bob"], n_items=1)[0].tolist()
        [[None], ['heat']]
        >>> recommender.recommend(["ann", "bob"], n_items=1, as_frame=True)
          user  item  rank  score
        0  bob  heat     1    1.0
        """
        ranker = prepared_models.of(self) if candidates is None else Ranker(self, candidates)
        ids, scores = ranker.rank(users, n_items, exclude_seen=exclude_seen, history=history, allow=allow, deny=deny)
        if not as_frame:
            return ids, scores
        return lists_as_frame(self, self._ids_of_users(users, len(ids)), ids, scores, names=("user", "item"))

    def ranker(self, candidates: Ids | Rows | None = None, index: object | None = None) -> Ranker:
        """Prepare candidates for many calls.

        Parameters
        ----------
        candidates : array-like of shape (n_candidates,), rows laid out like X, or a tuple of both, default=None
            As in `recommend`. None: all of `items_`, those among them that later fits bring.
        index : VectorIndex, default=None
            What searches the vectors of the candidates instead of an exact search, see
            `skllmrec.retrieval.VectorIndex`. Only for recommenders whose score is an inner product.

        Returns
        -------
        Ranker
            Its method `rank` answers as `recommend` does.

        Raises
        ------
        TypeError
            If there is an index, but the score is no inner product.
        ValueError
            If the index does not hold as many vectors as there are candidates.
        """
        return Ranker(self, candidates, index)

    @available_if(_compares_items)
    def similar_items(
        self,
        items: Ids | Rows | None = None,
        n_items: int = 10,
        *,
        features: Rows | Frame | None = None,
        as_frame: bool = False,
    ) -> tuple[Array, FloatArray] | Frame:
        """Find the items that are most similar to some items, or to what a text describes.

        Parameters
        ----------
        items : array-like of shape (n_queries,), or rows laid out like X of shape (n_queries, n_columns), default=None
            Ids, or rows that hold the item's columns: new items are compared by their features.
        n_items : int, default=10
            Length of each list.
        features : array-like or dataframe of n_queries rows, default=None
            Instead of `items`, features alone, laid out like the columns `item_features`: texts, for an encoder of
            one column of texts.
        as_frame : bool, default=False
            Return one data frame instead of two arrays, as in `recommend`: columns item (the position of the query,
            where `features` are given), similar_item, rank and score.

        Returns
        -------
        ids : ndarray of shape (n_queries, n_items)
            Most similar first, the item itself left out; padded as in `recommend`. The whole list is padding where
            nothing is known of a query: an unknown id without features, a text without a known word, or an item
            that is similar to no other.
        scores : ndarray of shape (n_queries, n_items), float64
            Similarities, -inf for missing ids. With `as_frame`, a data frame instead of both.

        Raises
        ------
        UnknownIdError
            If an item is unknown and `handle_unknown="error"`.
        ValueError
            If not one of `items` and `features` is given, fit saw no features, a feature column is missing, or
            `n_items` exceeds the number of items.
        """
        prepared = prepared_models.of(self)
        queries = prepared.model._queries(items, features)
        ids, scores = prepared.similar(queries, n_items)
        if not as_frame:
            return ids, scores
        return lists_as_frame(self, queries.ids, ids, scores, names=("item", "similar_item"))

    @available_if(_compares_users)
    def similar_users(
        self, users: Ids | Rows, n_users: int = 10, *, as_frame: bool = False
    ) -> tuple[Array, FloatArray] | Frame:
        """Find the users whose factors are most similar to those of some users.

        Parameters
        ----------
        users : array-like of shape (n_queries,), or rows laid out like X of shape (n_queries, n_columns)
            Ids, or rows that hold the user's columns: new users are compared by their features.
        n_users : int, default=10
            Length of each list.
        as_frame : bool, default=False
            Return one data frame instead of two arrays, as in `recommend`: columns user, similar_user, rank and score.

        Returns
        -------
        ids : ndarray of shape (n_queries, n_users)
            Most similar first, the user themself left out; padded as in `similar_items`.
        scores : ndarray of shape (n_queries, n_users), float64
            Cosines of the factors, -inf for missing ids. With `as_frame`, a data frame instead of both.

        Raises
        ------
        UnknownIdError
            If a user is unknown and `handle_unknown="error"`.
        ValueError
            If `n_users` exceeds the number of users, or rows lack a feature column.

        Examples
        --------
        >>> from skllmrec import FeatureMFRecommender
        >>> X = [["ann", "alien"], ["ann", "up"], ["bob", "alien"], ["bob", "up"], ["cid", "heat"], ["dan", "heat"]]
        >>> model = FeatureMFRecommender(2, feedback="implicit", random_state=0).fit(X)
        >>> model.similar_users(["ann", "cid"], n_users=1)[0].tolist()
        [['bob'], ['dan']]
        """
        prepared = prepared_models.of(self)
        queries = prepared.model._target_users(users, None)
        ids, scores = prepared.similar_users(queries, n_users)
        if not as_frame:
            return ids, scores
        return lists_as_frame(self, queries.ids, ids, scores, names=("user", "similar_user"))

    def _ids_of_users(self, users, n_users):
        """Ids of those whom lists are for; positions where only their histories are known."""
        return np.arange(n_users) if users is None else self._user_side.ids_of(users)

    def _queries(self, items, features):
        """Entities of the items to compare with."""
        if (items is None) == (features is None):
            raise ValueError("similar_items takes either items or features: pass one of them")
        if items is None:
            return self._item_side.described(features)
        return self._item_side.read(items, handle_unknown=self._handle_unknown)

    @property
    def _can_compare_items(self):
        """Whether there is a similarity of items."""
        return hasattr(self, "_similarity_block")

    def _read_candidates(self, candidates):
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
        if users.history is not None:
            weights, ratings = merge(weights, ratings, users.history.weights, users.history.ratings)
        return weigh(getattr(self, "weighter_", None), weights), ratings

    def _prepare_histories(self):
        """Compute, on a copy of this recommender that is used for ranking only, what histories need again and again."""

    def _prepare_search(self, items, index=None, *, is_filled=False):
        """Prepare `Entities` of items to be searched for the best ones."""
        if index is not None:
            raise TypeError(
                f"the score of {type(self).__name__} is no inner product of vectors, so that index= cannot search for "
                "it: make the ranker without an index"
            )
        return BlockSearch(self, items)

    def _begin_call(self, search):
        """Return what one call of `recommend` searches; another search where lists depend on those before them."""
        return search

    def _prepare_similarity(self, items):
        """Prepare `Entities` of items to be searched for similar ones."""
        return SimilaritySearch(self, items)

    def _prepare_items(self, items):
        """Compute what `_score_prepared` needs of the candidates, once for all blocks of users."""
        return items

    def _score_prepared(self, users, prepared):
        """Return the scores of all pairs of `Entities` of users and of what `_prepare_items` made of the items."""
        return self._score_block(users, prepared)
