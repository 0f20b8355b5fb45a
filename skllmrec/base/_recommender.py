"""The contract of every recommender: rows of interactions in, scores and ranked lists out."""

from abc import ABCMeta, abstractmethod
from numbers import Integral
from typing import Any, Self, cast

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skllmrec._foreign import as_table
from skllmrec._format import VersionedStateMixin
from skllmrec._ids import IdIndex, normalise_ids
from skllmrec._sklearn import (
    HasMethods,
    StrOptions,
    all_or_nothing,
    check_feature_names,
    check_n_features,
    fit_context,
    is_frame,
    num_rows,
    take_columns,
    take_rows,
    validate_data,
    with_callbacks,
    with_types,
)
from skllmrec._typing import Array, FloatArray, Rows
from skllmrec.base._columns import ColumnKey
from skllmrec.base._container import check_is_no_matrix
from skllmrec.base._feature_table import read_table
from skllmrec.base._hints import hint_at_heavy_tail
from skllmrec.base._interactions import InteractionRows, Interactions, aggregate, check_feedback, merge
from skllmrec.base._ranking import RankingMixin
from skllmrec.base._search import checked_scores
from skllmrec.base._side import fit_side
from skllmrec.base._weighting import fit_weighter
from skllmrec.metrics import make_ranking_scorer

_BLOCK_ROWS = 256  # rows of X whose pairs are scored through one block


def _folds_in(recommender):
    return recommender._can_fold_in


class BaseRecommender(RankingMixin, RegressorMixin, VersionedStateMixin, BaseEstimator, metaclass=ABCMeta):
    """What all recommenders share: reading X and y, encoding features, ranking, folding in.

    A subclass stores its parameters, among them ``user`` and ``item`` and, if it knows them, ``user_features``,
    ``item_features``, ``user_encoder``, ``item_encoder``, ``feedback`` (without it, y holds ratings), ``weighter`` and
    ``handle_unknown``. Those of this package take all of them, in this order and with the same defaults, so that they
    can be exchanged for each other; ``_reads_user_features = False`` and ``_reads_ratings = False`` let `fit` refuse
    features of users and ``feedback="explicit"``. A subclass implements

    - ``_fit_interactions(interactions)``: learn from an `Interactions`;
    - ``_score_block(users, items)``: the scores of two `Entities`, ndarray of shape (n_users, n_items);

    and, where it can do better than the default, ``_score_pairs(users, items)``. Two more methods exist only if a
    subclass implements what they stand on: `partial_fit` on ``_partial_fit_interactions(interactions, users, items)``
    with the positions of the users and items that got new interactions, `similar_items` on ``_similarity_block(queries,
    items)``, the similarity of every pair of two `Entities` of items, ndarray of shape (n_queries, n_items).

    Attributes
    ----------
    users_, items_ : ndarray of shape (n_users,), (n_items,)
        Ids: those with interactions in sorted order, then those that only a table or `partial_fit` brought.
    seen_ : csr_matrix of shape (n_users, n_items)
        Summed weights of the training interactions, as they were before the `weighter`.
    user_encoder_, item_encoder_ : fitted encoders or None
    weighter_ : fitted transformer or None
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of str
        Names of the columns of X, where it had names.

    Examples
    --------
    >>> import numpy as np
    >>> from skllmrec.base import BaseRecommender
    >>> class Constant(BaseRecommender):
    ...     def __init__(self, *, user=0, item=1):
    ...         self.user, self.item = user, item
    ...     def _fit_interactions(self, interactions):
    ...         self.mean_ = np.average(interactions.ratings, weights=interactions.weights.data)
    ...     def _score_block(self, users, items):
    ...         return np.full((len(users), len(items)), self.mean_)
    >>> Constant().fit([["ann", "alien"], ["bob", "heat"]], [3, 4]).predict([["ann", "heat"]])
    array([3.5])
    """

    _parameter_constraints: dict = {
        "user": [str, Integral],
        "item": [str, Integral],
        "user_features": [None, str, Integral, list, slice, callable],
        "item_features": [None, str, Integral, list, slice, callable],
        "user_encoder": [None, HasMethods(["fit_transform", "transform"])],
        "item_encoder": [None, HasMethods(["fit_transform", "transform"])],
        "feedback": [StrOptions({"explicit", "implicit"})],
        "weighter": [None, HasMethods(["fit_transform", "transform"])],
        "handle_unknown": [StrOptions({"prior", "error"})],
    }

    weighter: Any = None  # for recommenders without this parameter, and files of version 0.1.0
    _reads_user_features = True
    _reads_ratings = True
    _learns_from_all_rows_again = False  # whether `partial_fit` may change the scores of pairs without new interactions

    # -- what a subclass implements ---------------------------------------------------------------------------

    @abstractmethod
    def _fit_interactions(self, interactions):
        """Learn from an `Interactions`."""

    @abstractmethod
    def _score_block(self, users, items):
        """Return the score of every pair of two `Entities`, ndarray of shape (n_users, n_items)."""

    def _score_pairs(self, users, items):
        """Return the score of the pairs (users[j], items[j]), ndarray of shape (n,)."""
        _, first, places = np.unique(items.ids, return_index=True, return_inverse=True)
        order, scores = np.argsort(places, kind="stable"), np.empty(len(users))  # each item in one block, or two
        for start in range(0, len(users), _BLOCK_ROWS):
            rows = order[start : start + _BLOCK_ROWS]
            columns = places[rows]
            block = np.asarray(self._score_block(users.take(rows), items.take(first[columns[0] : columns[-1] + 1])))
            scores[rows] = block[np.arange(len(rows)), columns - columns[0]]
        return scores

    def _check_columns(self, X):
        """Raise an error where `fit` cannot read a further column of X, before features are encoded.

        For recommenders that read more columns than ids and features, such as the time; see `InteractionRows.column`.
        """

    # -- fit --------------------------------------------------------------------------------------------------

    @with_callbacks
    @fit_context(prefer_skip_nested_validation=False)
    @all_or_nothing
    def fit(
        self, X: Rows, y: Any = None, *, sample_weight: Any = None, user_table: Any = None, item_table: Any = None
    ) -> Self:
        """Learn from interactions.

        Parameters
        ----------
        X : dataframe or array-like of shape (n_samples, n_features)
            One row for each interaction: the ids of the user and the item, and columns that describe them.
        y : array-like of shape (n_samples,), default=None
            Ratings (explicit feedback), or non-negative weights, None for all one (implicit feedback).
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row: zero counts as removed, two as repeated.
        user_table, item_table : FeatureTable or dataframe, default=None
            Every user or item with its features, those without interactions included; of a plain data frame, the column
            named like that of the ids in X is the key. The feature columns are
            then read from here instead of X; later rows, of `predict` or `partial_fit`, may have these columns besides
            those of X, for new users and items.

        Returns
        -------
        self : object
            The fitted recommender.

        Raises
        ------
        ValueError
            If X is empty or a dense matrix of users and items (see `skllmrec.interactions_from_matrix`), a column is
            missing, an id, rating or feature is missing or not finite, a rating, weight or feature exceeds 1e15 in
            modulus, all features are below 1e-15, a weight is negative, a table lacks an id, or the recommender cannot
            learn from ratings or features of users that its parameters name.
        TypeError
            If an id is neither string nor number, X is a sparse matrix, or a table is neither a FeatureTable nor a
            data frame with the column of ids.
        """
        passed = X, y
        self._check_weighter()
        self._check_abilities()
        X = self._checked(X, reset=True)
        keys = {side: ColumnKey.resolve(X, getattr(self, side), name=side) for side in ("user", "item")}
        if np.array_equal(keys["user"].positions, keys["item"].positions):
            raise ValueError(
                f"user={self.user!r} and item={self.item!r} name the same column: user and item must be different "
                "columns"
            )
        tables = self._read_tables(keys, user_table, item_table)
        self._check_columns(X)
        X, ids, weights, ratings = self._read_rows(X, y, sample_weight, keys)
        indexed = [IdIndex.from_values(values) for values in ids]
        (users, user_codes), (items, item_codes) = indexed
        if self._feedback == "explicit":
            self._hint_at_heavy_tail(ratings)
        counts, ratings = aggregate(user_codes, item_codes, weights, ratings, (len(users), len(items)))
        if self._feedback == "implicit" and sample_weight is None:  # weights of rows are deliberate
            self._hint_at_heavy_tail(counts.data)
        weighter, observed = fit_weighter(self.weighter, counts)
        targets = Interactions(users, items, observed, ratings).targets
        user_side, user_features = self._fit_side(X, keys, "user", tables["user_table"], indexed[0], targets)
        item_side, item_features = self._fit_side(X, keys, "item", tables["item_table"], indexed[1], targets.T.tocsr())
        for matrix in (counts, observed):
            matrix.resize(len(user_side.index), len(item_side.index))  # type: ignore[call-arg, arg-type]
        if weighter is not None and counts.shape[1] > len(items):
            weighter, _ = fit_weighter(self.weighter, counts)  # for a catalogue with items that have no interactions
        rows = InteractionRows(X, user_codes, item_codes, weights, passed)
        features = user_features, item_features
        interactions = Interactions(user_side.index, item_side.index, observed, ratings, *features, rows)
        self._remember(user_side, item_side, interactions, counts, weighter)
        self._fit_interactions(interactions)
        return self

    @available_if(_folds_in)
    @all_or_nothing
    def partial_fit(self, X: Rows, y: Any = None, *, sample_weight: Any = None) -> Self:
        """Fold in new interactions, users and items without retraining; on an unfitted estimator it is `fit`.

        Parameters
        ----------
        X : dataframe or array-like of shape (n_samples, n_features)
            New rows, laid out as in `fit`.
        y, sample_weight : array-like of shape (n_samples,), default=None
            As in `fit`.

        Returns
        -------
        self : object
            The updated recommender.

        Raises
        ------
        ValueError
            As in `fit`.
        """
        if not hasattr(self, "seen_"):  # nothing to fold into
            return self.fit(X, y, sample_weight=sample_weight)
        passed = X, y
        X = self._checked(X, reset=False)
        keys = {"user": self._user_side.id_key, "item": self._item_side.id_key}
        X, (user_ids, item_ids), weights, ratings = self._read_rows(X, y, sample_weight, keys)
        user_side, users, user_features = self._user_side.extend(user_ids, X)
        item_side, items, item_features = self._item_side.extend(item_ids, X)
        shape = len(user_side.index), len(item_side.index)
        added = aggregate(users, items, weights, ratings, shape)
        counts, ratings = merge(self.seen_, self._ratings, *added)
        weighter, merged = fit_weighter(self.weighter, counts)
        features, rows = (user_features, item_features), InteractionRows(X, users, items, weights, passed)
        interactions = Interactions(user_side.index, item_side.index, merged, ratings, *features, rows)
        self._partial_fit_interactions(interactions, np.unique(users), np.unique(items))
        self._remember(user_side, item_side, interactions, counts, weighter)
        return self

    # -- inference --------------------------------------------------------------------------------------------

    def predict(self, X: Rows) -> FloatArray:
        """Score each row's pair of user and item.

        Parameters
        ----------
        X : dataframe or array-like of shape (n_samples, n_features)
            Rows laid out as in `fit`; unknown users and items bring their features, if they have any.

        Returns
        -------
        scores : ndarray of shape (n_samples,), float64
            Predicted ratings (explicit feedback) or preference scores; always finite.

        Raises
        ------
        UnknownIdError
            If a user or item is unknown and `handle_unknown="error"`.
        """
        users, items = self._pairs(X)
        scores = np.asarray(self._score_pairs(users, items), dtype=np.float64)
        return checked_scores(scores, self, "_score_pairs", (len(users),))

    def score(self, X: Rows, y: Any = None, sample_weight: Any = None) -> float:
        """Measure the predictions on X.

        Parameters
        ----------
        X : dataframe or array-like of shape (n_samples, n_features)
            Rows laid out as in `fit`.
        y : array-like of shape (n_samples,), default=None
            Their ratings (explicit feedback) or weights, None for all one (implicit feedback).
        sample_weight : array-like of shape (n_samples,), default=None
            Only for explicit feedback.

        Returns
        -------
        score : float
            R squared of the ratings (explicit feedback), or NDCG@10 over the users of X among all known items and
            those of X (implicit feedback); the latter is always 0 on training rows, because seen items are
            excluded.
        """
        if self._feedback == "explicit":
            return float(super().score(X, y, sample_weight))
        check_is_fitted(self)
        ndcg = make_ranking_scorer("ndcg", k=10)(self, self._checked(X, reset=False), y)
        return float(cast("float", ndcg))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        implicit = self._feedback == "implicit"
        tags.target_tags.required = not implicit
        tags.target_tags.positive_only = implicit
        tags.regressor_tags.poor_score = implicit  # the score of training rows is 0 by its definition
        return tags

    # -- private steps ----------------------------------------------------------------------------------------

    # properties, because joblib writes an array once for every attribute that holds it
    @property
    def users_(self) -> Array:
        """Ids of the users, in the order of their positions."""
        return self._user_side.index.ids

    @property
    def items_(self) -> Array:
        """Ids of the items, in the order of their positions."""
        return self._item_side.index.ids

    @property
    def _can_fold_in(self):
        """Whether new interactions can be folded in."""
        return hasattr(self, "_partial_fit_interactions")

    @property
    def _feedback(self):
        return getattr(self, "feedback", "explicit")

    @property
    def _handle_unknown(self):
        return getattr(self, "handle_unknown", "prior")

    def _check_abilities(self):
        """Refuse shared parameters that this recommender takes for the sake of others only."""
        name = type(self).__name__
        if not self._reads_ratings and self._feedback == "explicit":
            raise ValueError(
                f"{name} does not learn from ratings: keep the rows that are likes (e.g. y >= 4 of 5) and use "
                "feedback='implicit', or a recommender of ratings, such as FeatureMFRecommender(feedback='explicit')"
            )
        given = [part for part in ("user_features", "user_encoder") if getattr(self, part, None) is not None]
        if given and not self._reads_user_features:
            raise ValueError(
                f"{name} does not learn from features of users: leave {' and '.join(given)} out (in a grid search, "
                "give this recommender a grid of its own), or use FeatureMFRecommender, TwoTowerRecommender or "
                "PairwiseRecommender"
            )

    def _read_tables(self, keys, user_table, item_table):
        """Make a FeatureTable of each plain data frame."""
        given = {"user": user_table, "item": item_table}
        names = {side: key.names[0] if key.names else None for side, key in keys.items()}
        return {f"{side}_table": read_table(table, names[side], name=f"{side}_table") for side, table in given.items()}

    def _fit_side(self, X, keys, name, table, ids, targets):
        return fit_side(
            name,
            X,
            id_key=keys[name],
            features=getattr(self, f"{name}_features", None),
            encoder=getattr(self, f"{name}_encoder", None),
            table=table,
            ids=ids,
            targets=targets,
        )

    def _pairs(self, X):
        """Entities of the users and the items of each row of X."""
        check_is_fitted(self)
        X = self._checked(X, reset=False)
        sides = self._user_side, self._item_side
        return tuple(side.read(X, handle_unknown=self._handle_unknown) for side in sides)

    def _checked(self, X, *, reset):
        """Check the container; frames stay frames, so that columns keep their own types."""
        X = as_table(X)
        check_is_no_matrix(self, X, reset=reset)
        if is_frame(X):
            columns = X if reset else self._columns_of_fit(X)
            check_feature_names(self, columns, reset=reset)
            check_n_features(self, columns, reset=reset)
            if num_rows(X) == 0:
                raise ValueError(
                    f"Found array with 0 sample(s) while a minimum of 1 is required by {type(self).__name__}"
                )
            return X
        least = 2 if reset else 1  # later on, the number of columns is compared with that of fit
        return validate_data(
            self, with_types(X), dtype=None, ensure_all_finite=False, ensure_min_features=least, reset=reset
        )

    @property
    def _described_by(self):
        """Names of the feature columns, those that `fit` read from a table among them."""
        keys = (side.feature_key for side in (self._user_side, self._item_side))
        return {name for key in keys if key is not None for name in key.names or ()}

    def _columns_of_fit(self, X):
        """Leave out what `fit` read from a table only: later rows bring it along for new users and items."""
        from_tables = self._described_by - set(getattr(self, "feature_names_in_", ()))
        kept = [name for name in X.columns if name not in from_tables]
        return X if len(kept) == X.shape[1] else take_columns(X, kept)

    def _read_rows(self, X, y, sample_weight, keys):
        """Ids (of users, of items), weights and ratings of the rows of X that have a weight."""
        ids = [normalise_ids(key.read(X), name=key.label(side)) for side, key in keys.items()]
        weights, ratings, kept = check_feedback(self, X, y, sample_weight, feedback=self._feedback)
        if not kept.all():
            X = take_rows(X, np.flatnonzero(kept))
            ids = [values[kept] for values in ids]
            weights, ratings = weights[kept], None if ratings is None else ratings[kept]
        return X, ids, weights, ratings

    def _check_weighter(self):
        """Refuse a weighter of ratings: they are what is predicted."""
        if self.weighter is not None and self._feedback == "explicit":
            raise ValueError(
                f"weighter={type(self.weighter).__name__} turns counts into weights of implicit feedback, but "
                f"{type(self).__name__} has feedback='explicit' and predicts y itself: set feedback='implicit', or "
                "weighter=None"
            )

    def _hint_at_heavy_tail(self, values):
        """Warn of counts with a heavy tail that this recommender learns from as they are."""
        if self._reads_raw_counts:
            hint_at_heavy_tail(self, values, self._feedback)

    @property
    def _reads_raw_counts(self):
        """Whether the size of y counts, and nothing tames it."""
        return self.weighter is None

    def _remember(self, user_side, item_side, interactions, counts, weighter):
        self._user_side, self._item_side = user_side, item_side
        self.weighter_ = weighter
        self.user_encoder_, self.item_encoder_ = user_side.encoder, item_side.encoder
        self.seen_, self._ratings = counts, interactions.ratings
