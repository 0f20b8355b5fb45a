"""DiversifiedRecommender: the lists of another recommender, selected anew."""

import copy
from numbers import Integral, Real
from typing import Any, Literal, Self

import numpy as np
from sklearn.utils.metaestimators import available_if

from skllmrec._ids import IdIndex, shown
from skllmrec._kernels.selection.reranking import Limits
from skllmrec._sklearn import HasMethods, Interval, StrOptions, all_or_nothing, fit_context
from skllmrec._typing import Array, Columns, Estimator, Feedback, FloatArray, Frame, Ids, Rows
from skllmrec.base import BaseRecommender
from skllmrec.base._hints import once
from skllmrec.base._matrices import stack
from skllmrec.recommenders._composite import Named, Names, TrainingRows
from skllmrec.recommenders.diversified._columns import ItemColumn, limits_of, shares_of, unit_length
from skllmrec.recommenders.diversified._search import DiversifiedSearch
from skllmrec.recommenders.diversified._strength import choose_strength, split

_BY_FEATURES = ("mmr", "dpp", "calibrated")
_CONVEX = ("mmr", "calibrated")


class DiversifiedRecommender(BaseRecommender):
    r"""Re-rank the best candidates of a recommender, so that lists are more diverse at a bounded loss of accuracy.

    The best candidates of each user, ten for each place of a list and at least 100, are selected from anew. Their
    scores are standardised user by user to :math:`z`; :math:`\lambda` is the strength.

    - ``"exposure"``: :math:`z - \lambda \log(1 + n)`, where n counts how often the lists of this call showed the item.
      The users of a call are served in the order in which they are named, and each call starts at zero: a user alone
      gets the list of the inner recommender.
    - ``"popularity"``: the same with the number of training interactions.
    - ``"mmr"``: :math:`(1 - \lambda) z - \lambda \max \cos` to what the list holds already [1]_.
    - ``"dpp"``: a determinantal point process, :math:`z + \lambda \log d^2`, where :math:`d^2` is what the item adds to
      the determinant of the cosines of the list [2]_.
    - ``"calibrated"``: :math:`(1 - \lambda) \sum z - \lambda KL(p \| q)`, where p are the shares of the categories in
      what the user had, and q those in the list [3]_.

    `predict`, `similar_items` and scores are those of the inner recommender. The scores of a list are its too, so that
    they do not fall from place to place where the list was re-ranked.

    Parameters
    ----------
    recommender : recommender
        Its parameters are reached as ``recommender__parameter``.
    method : {"exposure", "popularity", "mmr", "dpp", "calibrated"}, default="exposure"
    features : column key, default=None
        Columns of the `item_table`, or else of X, for the last three methods. Without an encoder, they hold
        categories or tags: a list, or a string whose parts are separated by ``|``, ``;`` or ``,``.
    feature_encoder : transformer, default=None
        Encodes the columns, e.g. texts; it is cloned.
    strength : "auto" or float, default="auto"
        Zero keeps the lists, up to `limits`; at most 1 for "mmr" and "calibrated". "auto": the largest of 61 values
        whose loss of NDCG@20 on held-out interactions stays below `max_loss`, found with one further fit on the other
        interactions; zero where fewer than 50 can be held out.
    max_loss : float, default=0.01
        Share of the NDCG of the inner recommender that "auto" may lose.
    limits : dict of {str or int: int}, default=None
        For each column of the items, how many of one value a list may hold, e.g. ``{"author": 2}``. A list with fewer
        allowed candidates is padded.

    Attributes
    ----------
    recommender_ : recommender
        Fitted on all rows.
    strength_ : float
    validation_loss_ : float or None
        Loss on the held-out interactions with this strength; None where it was given, or too little can be held out.
    users_, items_, seen_
        See `BaseRecommender`.

    References
    ----------
    .. [1] J. Carbonell and J. Goldstein, "The use of MMR", SIGIR 1998.
    .. [2] L. Chen, G. Zhang and E. Zhou, "Fast greedy MAP inference for determinantal point process", NeurIPS 2018.
    .. [3] H. Steck, "Calibrated recommendations", RecSys 2018.

    Examples
    --------
    >>> from skllmrec import DiversifiedRecommender, PopularityRecommender
    >>> X = [["ann", "alien"], ["bob", "alien"], ["cem", "alien"], ["ann", "heat"], ["bob", "heat"], ["ann", "up"]]
    >>> popular = PopularityRecommender(feedback="implicit")
    >>> model = DiversifiedRecommender(popular, strength=2.0).fit(X)
    >>> model.recommend(["ann", "bob", "cem"], n_items=1, exclude_seen=False)[0].ravel().tolist()
    ['alien', 'heat', 'alien']
    """

    _parameter_constraints: dict = {
        "recommender": [HasMethods(["fit", "predict"])],
        "method": [StrOptions({"exposure", "popularity", *_BY_FEATURES})],
        "features": [None, str, Integral, list, slice, callable],
        "feature_encoder": [None, HasMethods(["fit_transform", "transform"])],
        "strength": [StrOptions({"auto"}), Interval(Real, 0, None, closed="left")],
        "max_loss": [Interval(Real, 0, 1, closed="left")],
        "limits": [None, dict],
    }

    def __init__(
        self,
        recommender: Estimator,
        *,
        method: Literal["exposure", "popularity", "mmr", "dpp", "calibrated"] = "exposure",
        features: Columns | None = None,
        feature_encoder: Estimator | None = None,
        strength: float | Literal["auto"] = "auto",
        max_loss: float = 0.01,
        limits: dict[str | int, int] | None = None,
    ) -> None:
        self.recommender = recommender
        self.method = method
        self.features = features
        self.feature_encoder = feature_encoder
        self.strength = strength
        self.max_loss = max_loss
        self.limits = limits

    # -- what is the inner recommender's --------------------------------------------------------------------------

    @property
    def feedback(self) -> Feedback:
        """What the inner recommender learns from."""
        return getattr(self.recommender, "feedback", "explicit")

    @property
    def user(self) -> Any:
        """Column of X that holds the ids of users."""
        return self.recommender.user

    @property
    def item(self) -> Any:
        """Column of X that holds the ids of items."""
        return self.recommender.item

    @property
    def _handle_unknown(self):
        return getattr(self.recommender_, "handle_unknown", "prior")

    @property
    def _learns_from_all_rows_again(self):
        return self.recommender_._learns_from_all_rows_again

    @property
    def _reads_raw_counts(self):
        return self.recommender._reads_raw_counts

    @property
    def n_features_in_(self) -> int:
        """Number of columns of X."""
        return self._inner.n_features_in_

    @property
    def feature_names_in_(self) -> Array:
        """Names of the columns of X, where it had names."""
        return self._inner.feature_names_in_

    @property
    def seen_(self) -> Any:
        """Summed weights of the training interactions."""
        return self._inner.seen_

    @property
    def user_encoder_(self) -> Any:
        """Fitted encoder of users, or None."""
        return self._inner.user_encoder_

    @property
    def item_encoder_(self) -> Any:
        """Fitted encoder of items, or None."""
        return self._inner.item_encoder_

    @property
    def weighter_(self) -> Any:
        """Fitted weighter, or None."""
        return self._inner.weighter_

    @property
    def _inner(self):
        """The fitted recommender; the copy of it that a snapshot ranks by."""
        found = vars(self).get("_ranks_by", vars(self).get("recommender_"))
        if found is None:
            raise AttributeError(f"this {type(self).__name__} is not fitted yet")
        return found

    @property
    def _user_side(self):
        return self._inner._user_side

    @property
    def _item_side(self):
        return self._inner._item_side

    @property
    def _ratings(self):
        return self._inner._ratings

    @property
    def _described_by(self):
        return self._inner._described_by

    def _fit_interactions(self, interactions):
        raise NotImplementedError("fit is that of the inner recommender")

    def _score_block(self, users, items):
        return self._inner._score_block(users, items)

    def _target_users(self, users, history):
        return self._inner._target_users(users, history)

    def _checked(self, X, *, reset):
        return self._inner._checked(X, reset=reset)

    # -- fit --------------------------------------------------------------------------------------------------

    def _check_parameters(self):
        if not isinstance(self.recommender, BaseRecommender):
            raise TypeError(
                f"recommender is a {type(self.recommender).__name__}: lists are made of those of a recommender; wrap a "
                "regressor in PairwiseRecommender"
            )
        if self.method in _BY_FEATURES and self.features is None:
            raise ValueError(f"method={self.method!r} compares items, but features is None: name columns of the items")
        if self.method in _CONVEX and self.strength != "auto" and self.strength > 1:
            raise ValueError(f"strength={self.strength!r}: method={self.method!r} takes one between 0 and 1")
        if self.feature_encoder is not None and self.features is None:
            raise ValueError("feature_encoder is given, but features is None: name the columns that it encodes")
        for name, most in (self.limits or {}).items():
            if not isinstance(most, Integral) or isinstance(most, bool) or most < 1:
                raise ValueError(f"limits: {name!r} allows {most!r} items, but a limit is a positive integer")

    @fit_context(prefer_skip_nested_validation=False)
    @all_or_nothing
    def fit(
        self, X: Rows, y: Any = None, *, sample_weight: Any = None, user_table: Any = None, item_table: Any = None
    ) -> Self:
        """Fit the recommender, and choose the strength on held-out interactions.

        Parameters
        ----------
        X : dataframe or array-like of shape (n_samples, n_features)
            One row for each interaction, as the inner recommender reads it.
        y : array-like of shape (n_samples,), default=None
            Ratings (explicit feedback) or weights (implicit feedback).
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row.
        user_table, item_table : FeatureTable or dataframe, default=None
            Every user or item with its columns.

        Returns
        -------
        self : object
            The fitted recommender.

        Raises
        ------
        ValueError
            If the method needs features and there are none, a column does not exist, a strength or limit is out of
            range, or the data does not suit the inner recommender.
        TypeError
            If `recommender` is no recommender.
        """
        self._check_parameters()
        with once():  # the recommender is fitted twice on the same rows
            return self._fit(X, y, sample_weight, user_table, item_table)

    def _fit(self, X, y, sample_weight, user_table, item_table):
        given = {"user_table": user_table, "item_table": item_table}
        fitted = TrainingRows(X, y, sample_weight, given, None).fit(self.recommender)
        self.recommender_, self.strength_, self.validation_loss_ = fitted, 0.0, None
        keys = {"user": self._user_side.id_key, "item": self._item_side.id_key}
        tables = self._read_tables(keys, user_table, item_table)
        checked = self._checked(X, reset=False)
        self._fit_columns(checked, tables)
        if self.strength != "auto":
            self.strength_ = float(self.strength)
            return self
        rows, test = split(fitted, checked)
        if rows is None:
            return self
        trial = copy.copy(self)
        trial.recommender_ = TrainingRows(checked, y, sample_weight, tables, 0).fit(self.recommender, rows)
        self.strength_, self.validation_loss_ = choose_strength(self, trial, test, self.max_loss)
        return self

    def _fit_columns(self, X, tables):
        given = X, self._item_side, self.items_, tables
        self._feature_column, limited = None, {}
        if self.method in _BY_FEATURES:
            self._feature_column = ItemColumn.fit(
                *given, self.features, name="features", encoder=self.feature_encoder, tags=True
            )
            if self.method == "calibrated":
                shares_of(self._feature_column.values)  # refuses negative values now, not in recommend
        for key in self.limits or {}:
            limited[key] = ItemColumn.fit(*given, key, name="limits")
        self._limit_columns = limited
        self._column_index = IdIndex(self.items_)

    @available_if(lambda self: hasattr(vars(self).get("recommender_", self.recommender), "partial_fit"))
    @all_or_nothing
    def partial_fit(self, X: Rows, y: Any = None, *, sample_weight: Any = None) -> Self:
        """Fold new interactions into the inner recommender; the strength stays. Unfitted, it is `fit`.

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
            The updated recommender.
        """
        if not hasattr(self, "recommender_"):
            return self.fit(X, y, sample_weight=sample_weight)
        inner = copy.copy(self.recommender_)
        self.recommender_ = inner.partial_fit(X, y, sample_weight=sample_weight)
        fresh = self.items_[self._column_index.encode(self.items_) < 0]
        if len(fresh):
            X = self._checked(X, reset=False)
            index, codes = IdIndex.from_values(self._item_side.read_ids(X))
            rows = np.unique(codes, return_index=True)[1][index.encode(fresh)]
            self._extend_columns(X, rows, fresh)
        return self

    def _extend_columns(self, X, rows, ids):
        def extended(column):
            other = copy.copy(column)
            object.__setattr__(other, "values", column.joined(column.of_rows(X, rows, ids)))
            return other

        if self._feature_column is not None:
            self._feature_column = extended(self._feature_column)
        self._limit_columns = {key: extended(column) for key, column in self._limit_columns.items()}
        self._column_index = self._column_index.extended(ids)

    # -- ranking ----------------------------------------------------------------------------------------------

    def predict(self, X: Rows) -> FloatArray:
        """Predict by the inner recommender.

        Parameters
        ----------
        X : dataframe or array-like of shape (n_samples, n_features)
            Rows laid out as in `fit`.

        Returns
        -------
        scores : ndarray of shape (n_samples,), float64
            Predicted ratings (explicit feedback) or preference scores.
        """
        if not hasattr(self, "recommender_"):
            return super().predict(X)  # says that it is not fitted
        return self.recommender_.predict(X)

    @property
    def _can_compare_items(self):
        return hasattr(vars(self).get("recommender_", self.recommender), "similar_items")

    @available_if(lambda self: self._can_compare_items)
    def similar_items(
        self,
        items: Ids | Rows | None = None,
        n_items: int = 10,
        *,
        features: Rows | None = None,
        as_frame: bool = False,
    ) -> tuple[Array, FloatArray] | Frame:
        """Find similar items by the inner recommender.

        Parameters
        ----------
        items : array-like of shape (n_queries,), or rows laid out like X of shape (n_queries, n_columns), default=None
            Ids, or rows that hold the item's columns.
        n_items : int, default=10
            Length of each list.
        features : array-like or dataframe of n_queries rows, default=None
            Instead of `items`, features alone, as the inner recommender reads them.
        as_frame : bool, default=False
            Return one data frame instead of two arrays.

        Returns
        -------
        ids : ndarray of shape (n_queries, n_items)
            Most similar first, the item itself left out.
        scores : ndarray of shape (n_queries, n_items), float64
            Similarities. With `as_frame`, a data frame instead of both.
        """
        return self.recommender_.similar_items(items, n_items, features=features, as_frame=as_frame)

    def _read_candidates(self, candidates):
        entities = self._inner._read_candidates(candidates)
        if isinstance(entities, Named) or (self._feature_column is None and not self._limit_columns):
            return entities
        given = self.items_ if candidates is None else candidates
        return Named(**vars(entities), named=(Names.read(given, entities, self._item_side, distinct=True),))

    def _prepare_histories(self):
        self._inner._prepare_histories()

    def _prepare_search(self, items, index=None, *, is_filled=False):
        if "_ranks_by" not in vars(self):  # a snapshot: what histories prepare must not change the fitted recommender
            self._ranks_by = copy.copy(self.recommender_)
        options = {"is_filled": is_filled} if index is not None else {}
        return DiversifiedSearch(self, items, self._inner._prepare_search(items, index, **options))

    def _begin_call(self, search):
        return search.begun()

    def _describe(self, items):
        """Features and `Limits` of `Entities` of items."""
        features, limits = None, Limits.none(len(items))
        if self._feature_column is not None:
            prepare = shares_of if self.method == "calibrated" else unit_length
            features = prepare(self._values_of(self._feature_column, items))
        if self._limit_columns:
            values = [self._values_of(column, items) for column in self._limit_columns.values()]
            limits = limits_of(values, list(self.limits.values()))
        return features, limits

    def _values_of(self, column, items):
        """Values of a column, those of unknown items from the rows that name them."""
        codes = self._column_index.encode(items.ids)
        if (codes >= 0).all():
            return column.take(column.values, codes)
        values, n_known, start = column.values, len(self._column_index.ids), 0
        for names in items.named:
            new = np.flatnonzero(codes[start : start + len(names)] < 0)
            rows = np.full(len(new), -1) if names.rows is None else names.rows[new]
            found = column.of_rows(names.table, rows, names.ids[new])
            values = [*values, *found] if column.encoder is None else stack([values, found])
            codes[start + new] = n_known + np.arange(len(new))
            n_known, start = n_known + len(new), start + len(names)
        return column.take(values, codes)

    def _tastes(self, users):
        """Shares of the categories in what `Entities` of users had, csr_matrix of shape (n_users, n_categories)."""
        known = shares_of(self._feature_column.take(self._feature_column.values, self._codes_of_items()))
        weights, _ = self._inner._interactions_of(users)
        return shares_of(weights @ known)

    def _codes_of_items(self):
        codes = self._column_index.encode(self.items_)
        if (codes < 0).any():
            raise ValueError(f"item {shown(self.items_[codes < 0][0])} has no features: fit again")
        return codes
