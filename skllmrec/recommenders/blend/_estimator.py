"""BlendRecommender: several recommenders, weighted by what each is good at."""

import copy
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if

from skllmrec._sklearn import BaseComposition, Interval, all_or_nothing, column_positions, fit_context
from skllmrec._typing import Array, Column, Estimator, Feedback, FloatArray, Frame, Ids, RandomState, Rows, Unknown
from skllmrec.base import BaseRecommender
from skllmrec.base._hints import once
from skllmrec.recommenders._named import FitRows, Named, Names
from skllmrec.recommenders.blend._validation import (
    SEGMENTS,
    Validation,
    draw_reference,
    levels,
    segments,
    standardised,
    usual_spread,
)

_BLOCK_USERS = 4096


def _forgiving(part):
    """Let a fitted part, and the parts of a blend, score users and items that they do not know."""
    if hasattr(part, "handle_unknown"):
        part.handle_unknown = "prior"
    for inner in getattr(part, "estimators_", ()):
        _forgiving(inner)
    return part


class BlendRecommender(BaseComposition, BaseRecommender):
    r"""Blend the scores of several recommenders with weights found on held-out interactions.

    Which model is best depends on how much is known about an item: text alone ranks new items, interactions rank
    frequent ones. So the weights differ by the segment of the item: `cold` (no interactions in training), `few_shot`
    (up to `few_shot` of them), `warm`. `fit` holds a share of the interactions out, and all interactions of a share of
    the items, fits every part on the rest, chooses the weights, and fits every part again on everything.

    Implicit feedback: scores are standardised user by user, over a fixed sample of items, and the weights are found
    greedily by the NDCG of the held-out items, beginning with the best part alone [1]_, so that on this data the blend
    is at least as good as each of them. In segments of more than 4,096 items each user's ranking has only the held-out
    ones and the best 256 by each part. Explicit feedback: a convex combination of the predictions with the smallest
    squared error.

    Parameters
    ----------
    estimators : list of (str, recommender)
        Names and recommenders with the same `feedback`; all read the same X. Their parameters are reached as
        ``name__parameter``.
    user, item : str or int, default=0, 1
        Columns of X that hold the ids.
    few_shot : int, default=5
        Most training interactions of an item that counts as few-shot.
    validation_fraction : float, default=0.1
        Share of the interactions, and of the items, that is held out.
    handle_unknown : {"prior", "error"}, default="prior"
        Whether unknown users and items are passed on to the parts, or raise.
    random_state : int, RandomState instance or None, default=None
        What is held out. Parts without a `random_state` of their own take a seed from it.

    Attributes
    ----------
    estimators_ : list of recommenders
        The fitted clones.
    weights_ : dict of str to ndarray of shape (n_estimators,)
        Weights of the segments "cold", "few_shot" and "warm", of sum 1.
    validation_scores_ : dict of str to ndarray of shape (n_estimators,), or None
        For each segment, NDCG@20 (implicit) or minus RMSE (explicit) of each part on what was held out; a segment
        with too little data is missing.
    users_, items_, seen_
        See `BaseRecommender`.

    References
    ----------
    .. [1] R. Caruana, A. Niculescu-Mizil, G. Crew and A. Ksikes, "Ensemble selection from libraries of models",
       ICML 2004.

    Examples
    --------
    >>> from skllmrec import BlendRecommender, NeighborsRecommender, PopularityRecommender
    >>> X = [["ann", "alien"], ["ann", "dune"], ["bob", "alien"], ["bob", "up"], ["cem", "dune"], ["cem", "up"]]
    >>> near, popular = NeighborsRecommender(feedback="implicit"), PopularityRecommender(feedback="implicit")
    >>> blend = BlendRecommender([("near", near), ("popular", popular)], random_state=0).fit(X)
    >>> blend.weights_["warm"].sum().item()
    1.0
    """

    _parameter_constraints: dict = {
        **BaseRecommender._parameter_constraints,
        "estimators": [list],
        "few_shot": [Interval(Integral, 0, None, closed="left")],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimators: list[tuple[str, Estimator]],
        *,
        user: Column = 0,
        item: Column = 1,
        few_shot: int = 5,
        validation_fraction: float = 0.1,
        handle_unknown: Unknown = "prior",
        random_state: RandomState = None,
    ) -> None:
        self.estimators = estimators
        self.user = user
        self.item = item
        self.few_shot = few_shot
        self.validation_fraction = validation_fraction
        self.handle_unknown = handle_unknown
        self.random_state = random_state

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Get the parameters of the blend and of its parts.

        Parameters
        ----------
        deep : bool, default=True
            Those of the parts as well, as ``name__parameter``.

        Returns
        -------
        dict
        """
        return self._get_params("estimators", deep=deep)

    def set_params(self, **params: Any) -> Self:
        """Set parameters of the blend, of its parts, or exchange a part by its name.

        Parameters
        ----------
        **params
            As `get_params` gives them.

        Returns
        -------
        self
        """
        self._set_params("estimators", **params)
        return self

    @property
    def feedback(self) -> Feedback:
        """What the parts learn from."""
        first = self.estimators[0] if isinstance(self.estimators, list) and self.estimators else None
        return getattr(first[1], "feedback", "explicit") if isinstance(first, tuple) and len(first) == 2 else "explicit"

    @property
    def _reads_raw_counts(self):
        return any(estimator._reads_raw_counts for _, estimator in self.estimators)

    def _check_estimators(self):
        if not self.estimators or not all(isinstance(pair, tuple) and len(pair) == 2 for pair in self.estimators):
            raise ValueError(f"estimators is {self.estimators!r:.80}: give a list of at least one (name, recommender)")
        names = [name for name, _ in self.estimators]
        self._validate_names(names)
        kinds = {name: getattr(estimator, "feedback", "explicit") for name, estimator in self.estimators}
        for name, estimator in self.estimators:
            if not isinstance(estimator, BaseRecommender):
                raise TypeError(
                    f"estimators: {name!r} is a {type(estimator).__name__}: blends are made of recommenders; wrap a "
                    "regressor in PairwiseRecommender"
                )
        if len(set(kinds.values())) > 1:
            raise ValueError(f"estimators learn from different feedback, {kinds}: set feedback= to the same in all")

    def _check_columns(self, X):
        """Refuse parts that read the ids from other columns: they would recommend other things."""
        for name, estimator in self.estimators:
            for side in ("user", "item"):
                own, ours = getattr(estimator, side), getattr(self, side)
                if own != ours and not np.array_equal(column_positions(X, own), column_positions(X, ours)):
                    raise ValueError(
                        f"estimators: {name!r} has {side}={own!r}, but the blend has {side}={ours!r}: set both to the "
                        "same column"
                    )

    @fit_context(prefer_skip_nested_validation=False)
    @all_or_nothing
    def fit(
        self, X: Rows, y: Any = None, *, sample_weight: Any = None, user_table: Any = None, item_table: Any = None
    ) -> Self:
        """Choose the weights on held-out interactions, then fit every part on all.

        Parameters
        ----------
        X : dataframe or array-like of shape (n_samples, n_features)
            One row for each interaction, as every part reads it.
        y : array-like of shape (n_samples,), default=None
            Ratings (explicit feedback) or weights (implicit feedback).
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row.
        user_table, item_table : FeatureTable or dataframe, default=None
            Every user or item with its features, for the parts that read them.

        Returns
        -------
        self : object
            The fitted blend.

        Raises
        ------
        ValueError
            If the estimators do not have the same feedback, user and item, or the data does not suit one of them.
        TypeError
            If an estimator is no recommender.
        """
        self._check_estimators()
        with once():  # the parts are fitted twice on the same rows
            return self._fit(X, y, sample_weight, user_table, item_table)

    def _fit(self, X, y, sample_weight, user_table, item_table):
        super().fit(X, y, sample_weight=sample_weight, user_table=user_table, item_table=item_table)
        keys = {"user": self._user_side.id_key, "item": self._item_side.id_key}
        tables = self._read_tables(keys, user_table, item_table)
        given = [table.frame for table in tables.values() if table is not None]
        self._table_columns = {name for frame in given for name in frame.columns if isinstance(name, str)}
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        X = self._checked(X, reset=False)
        self._check_columns(X)
        rows = FitRows(X, y, sample_weight, tables, None if self.random_state is None else seed)
        generator = np.random.default_rng(seed)
        self._choose_weights(rows, generator)
        self.estimators_ = [rows.fit(estimator) for _, estimator in self.estimators]
        self._reference = self.items_[draw_reference(np.flatnonzero(self._counts), generator)]
        self._levels = np.empty((len(self.estimators_), 0, 2))
        self._learn_levels(np.arange(len(self.users_)))
        self._usual_spreads = [usual_spread(found) for found in self._levels]
        return self

    @available_if(lambda self: self._can_fold_in)
    @all_or_nothing
    def partial_fit(self, X: Rows, y: Any = None, *, sample_weight: Any = None) -> Self:
        """Fold new interactions into every part; the weights stay. On an unfitted blend it is `fit`.

        Parameters
        ----------
        X : dataframe or array-like of shape (n_samples, n_features)
            New rows, laid out as in `fit`.
        y : array-like of shape (n_samples,), default=None
            As in `fit`.
        sample_weight : array-like of shape (n_samples,), default=None
            As in `fit`.

        Returns
        -------
        self : object
            The updated blend.
        """
        if not hasattr(self, "estimators_"):
            return self.fit(X, y, sample_weight=sample_weight)
        with once():
            super().partial_fit(X, y, sample_weight=sample_weight)
            parts = [copy.copy(estimator) for estimator in self.estimators_]  # none has folded in if one fails
            self.estimators_ = [part.partial_fit(X, y, sample_weight=sample_weight) for part in parts]
        touched = self._user_side.index.encode(self._user_side.read_ids(self._checked(X, reset=False)))
        self._learn_levels(np.unique(touched))
        return self

    def _learn_levels(self, users):
        """Store the mean and the spread of the scores of some users, by each part."""
        known = self._levels
        found = np.zeros((len(known), len(self.users_), 2))
        found[:, : known.shape[1]] = known
        for number, part in enumerate(self.estimators_ if self._feedback == "implicit" else ()):
            reference = part.ranker(self._reference)
            for start in range(0, len(users), _BLOCK_USERS):
                block = users[start : start + _BLOCK_USERS]
                found[number, block] = levels(reference.scores(self.users_[block]))
        self._levels = found

    def _fit_interactions(self, interactions):
        # the parts learn, each from the rows themselves
        self._counts = np.bincount(interactions.weights.indices, minlength=interactions.weights.shape[1])

    def _partial_fit_interactions(self, interactions, users, items):
        self._fit_interactions(interactions)

    def _choose_weights(self, rows, generator):
        """Set `weights_` and `validation_scores_`."""
        n_parts = len(self.estimators)
        self.weights_ = dict.fromkeys(SEGMENTS, np.full(n_parts, 1 / n_parts))
        self.validation_scores_ = {}
        validation = Validation(self, rows.X, self.validation_fraction, generator)
        if n_parts == 1 or not validation.is_possible:
            return
        parts = [_forgiving(rows.fit(estimator, validation.training_rows)) for _, estimator in self.estimators]
        for name in ("all", *SEGMENTS):
            found = validation.judge(parts, name)
            if found is None:  # too little to say something about this segment
                continue
            weights, self.validation_scores_[name] = found
            self.weights_.update(dict.fromkeys(SEGMENTS, weights) if name == "all" else {name: weights})

    # -- scores -----------------------------------------------------------------------------------------------

    @property
    def _described_by(self):
        return self._table_columns

    def _target_users(self, users, history):
        entities = super()._target_users(users, history)
        names = Names.read(users, entities, self._user_side, None if history is None else list(history))
        return Named(**vars(entities), named=(names,))

    def _read_candidates(self, candidates):
        entities = super()._read_candidates(candidates)
        given = self.items_ if candidates is None else candidates  # each part has an order of its own
        return Named(**vars(entities), named=(Names.read(given, entities, self._item_side, distinct=True),))

    def _weights_of(self, items):
        """Weights of the parts for `Entities` of items, (n_items, n_parts)."""
        table = np.array([self.weights_[name] for name in SEGMENTS])
        return table[segments(np.append(self._counts, 0)[items.codes], self.few_shot)]

    def _prepare_items(self, items):
        """Weights of the items, and rankers of them and of the reference items, of each part that has a weight."""
        prepared = []
        for part, weights in zip(self.estimators_, self._weights_of(items).T, strict=True):
            ranker = reference = None
            if weights.any():
                first, *others = items.named
                ranker, reference = part.ranker(first.given), part.ranker(self._reference)
                for names in others:
                    ranker.add(names.given)
            prepared.append((weights, ranker, reference))
        return prepared

    def _score_block(self, users, items):
        return self._score_prepared(users, self._prepare_items(items))

    def _score_prepared(self, users, prepared):
        (names,) = users.named
        blended = np.zeros((len(users), len(prepared[0][0])))
        for number, (weights, ranker, reference) in enumerate(prepared):
            if ranker is None:  # a part without weight
                continue
            scores = ranker.scores(names.given, history=names.histories)
            if self._feedback == "implicit":
                scores = standardised(scores, self._levels_of(number, users, reference), self._usual_spreads[number])
            blended += scores * weights
        return blended

    def _levels_of(self, number, users, reference):
        """Levels of the scores of users by a part; those of new users and of histories are computed now."""
        found = self._levels[number][users.codes]
        live = users.codes < 0
        if users.history is not None:
            live = live | (np.diff(users.history.weights.indptr) > 0)
        live = np.flatnonzero(live)
        if len(live):
            names = users.named[0].take(live)
            found[live] = levels(reference.scores(names.given, history=names.histories))
        return found

    def predict(self, X: Rows) -> FloatArray:
        """Blend the predictions of the parts for each row's pair of user and item.

        Parameters
        ----------
        X : dataframe or array-like of shape (n_samples, n_features)
            Rows laid out as in `fit`; unknown users and items bring their features, if they have any.

        Returns
        -------
        scores : ndarray of shape (n_samples,), float64
            Predicted ratings (explicit feedback) or standardised scores; always finite.

        Raises
        ------
        UnknownIdError
            If a user or item is unknown and `handle_unknown="error"`.
        """
        users, items = self._pairs(X)
        X = self._checked(X, reset=False)
        distinct, first, places = np.unique(users.ids, return_index=True, return_inverse=True)
        some = users.take(first)
        some = Named(**vars(some), named=(Names(distinct, X, first),))
        blended = np.zeros(len(users))
        for number, (part, weights) in enumerate(zip(self.estimators_, self._weights_of(items).T, strict=True)):
            if not weights.any():
                continue
            scores = part.predict(X)
            if self._feedback == "implicit":
                given = self._levels_of(number, some, part.ranker(self._reference))[places]
                scores = standardised(scores[:, np.newaxis], given, self._usual_spreads[number])[:, 0]
            blended += scores * weights
        return blended

    # -- similar items, folding in: where the parts can ---------------------------------------------------------

    @property
    def _fitted_or_given(self):
        return getattr(self, "estimators_", None) or [part for _, part in self.estimators]

    @property
    def _can_fold_in(self):
        return all(hasattr(part, "partial_fit") for part in self._fitted_or_given)

    @property
    def _can_compare_items(self):
        if hasattr(self, "estimators_"):
            return hasattr(self._heaviest, "similar_items")
        return all(hasattr(part, "similar_items") for part in self._fitted_or_given)

    @property
    def _heaviest(self):
        """The part that weighs most for frequent items: the one that compares items."""
        return self.estimators_[int(np.argmax(self.weights_["warm"]))]

    @available_if(lambda self: self._can_compare_items)
    def similar_items(
        self,
        items: Ids | Rows | None = None,
        n_items: int = 10,
        *,
        features: Rows | None = None,
        as_frame: bool = False,
    ) -> tuple[Array, FloatArray] | Frame:
        """Find similar items by the part that weighs most for frequent items.

        Parameters
        ----------
        items : array-like of shape (n_queries,), or rows laid out like X of shape (n_queries, n_columns), default=None
            Ids, or rows that hold the item's columns.
        n_items : int, default=10
            Length of each list.
        features : array-like or dataframe of n_queries rows, default=None
            Instead of `items`, features alone, as the part reads them.
        as_frame : bool, default=False
            Return one data frame instead of two arrays: columns item, similar_item, rank and score.

        Returns
        -------
        ids : ndarray of shape (n_queries, n_items)
            Most similar first, the item itself left out.
        scores : ndarray of shape (n_queries, n_items), float64
            Similarities. With `as_frame`, a data frame instead of both.
        """
        return self._heaviest.similar_items(items, n_items, features=features, as_frame=as_frame)
