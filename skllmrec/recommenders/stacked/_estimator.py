"""StackedRecommender: a second stage that re-ranks the candidates of several recommenders."""

import copy
from dataclasses import dataclass
from numbers import Integral
from typing import Any, Self

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import check_cv
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if

from skllmrec._kernels.item_item.transitions import latest_times
from skllmrec._sklearn import HasMethods, all_or_nothing, fit_context, take_rows
from skllmrec._times import codes_of_times
from skllmrec._typing import (
    Array,
    Column,
    Columns,
    CsrMatrix,
    Estimator,
    FloatArray,
    Frame,
    Ids,
    RandomState,
    Rows,
    Unknown,
)
from skllmrec.base import BaseRecommender
from skllmrec.base._columns import ColumnKey
from skllmrec.base._encoding import learns_from_targets
from skllmrec.base._hints import once
from skllmrec.base._side import fit_side
from skllmrec.recommenders._composite import (
    CompositeRecommender,
    Named,
    Names,
    TrainingRows,
    find_pairs,
    forgiving,
    seeded,
)
from skllmrec.recommenders.stacked._candidates import Folds, Lists, make_lists
from skllmrec.recommenders.stacked._defaults import default_parts
from skllmrec.recommenders.stacked._facts import Block, Facts, OwnColumns
from skllmrec.recommenders.stacked._final import FinalModel, ListwiseBoostingRanker
from skllmrec.recommenders.stacked._search import PoolSearch
from skllmrec.recommenders.stacked._shared_encoder import SharedEncoder
from skllmrec.recommenders.stacked._standings import (
    columns_of,
    n_standings,
    names_of_columns,
    standings_of,
    usual_spreads,
)

_NEW_SHARE = 0.1  # of the items that are new in each fold, where parts read features
_FOLDS = 3
_LEAST_POSITIVES = 20  # held-out interactions below which a second stage cannot be learned
_DECIMALS = 8  # of a score: rounding errors, which differ from call to call, must not order equal candidates
_BLOCK_PAIRS = 2**16  # of predict
_BLOCK_SCORES = 2**22  # of one part


@dataclass(frozen=True)
class _Prepared:
    """Candidates: rankers of each part, and vectors of each block of features."""

    rankers: list
    vectors: list


class StackedRecommender(CompositeRecommender):
    r"""Re-rank the candidates of several recommenders by a final estimator.

    A blend adds up the scores of its parts. A stack learns from candidates what these scores are worth, for whom and
    for which items, together with what no part knows. `fit` splits the interactions into `cv` folds. For each fold, the
    parts are fitted on the others; the best unseen items by each part are the candidates of a user; what the user had
    in the fold are the relevant ones. The final estimator learns from these lists. Since no part saw the interactions
    that its candidates are judged by, a part that memorises what it was fitted on earns nothing. At the end all parts
    are fitted on everything.

    The final estimator reads, for each pair of a user and a candidate (`stacked_features_`):

    - the score of each part, standardised over the items that the part gives this user, and its reciprocal rank among
      the unseen ones, as well as the means of both over the parts;
    - the numbers of interactions of item and user, as logarithms relative to those of all, so that folds with fewer
      interactions compare with the final fit; the difference between the popularity of the item and that of the user's
      history, and its absolute value;
    - with `item_features`: the mean and the greatest cosine of the item to the history, for words (sparse columns) and
      vectors (dense ones) apart;
    - with `time`: when the item was last taken, and how far from the times of the user;
    - encoded features of users and items, where they are at most 32 numbers.

    Items without interactions have a final estimator of their own: in each fold a tenth of the items is held out
    altogether, and ranked by what the parts say of new items. The scores of both are calibrated to the log-odds that a
    candidate is relevant (up to a constant), so that one list may hold both.

    `predict` gives this score for any pair. `recommend` computes it for the best 100 candidates of each part (more for
    longer lists) and ranks these: an item that no part has among its best is not found, whatever its score.

    Implicit feedback only: y holds weights, which the parts use; all that counts for the final estimator is that a
    weight is positive. Of ratings, pass the rows that are likes.

    Parameters
    ----------
    estimators : list of (str, recommender), default=None
        Names and recommenders with ``feedback="implicit"``; all read the same X. Their parameters are reached as
        ``name__parameter``. None: popularity, factors, neighbours and (up to 12,000 items) a linear autoencoder, by ids
        alone; with `item_features` factors, neighbours and autoencoder a second time, with features; with `time` a
        Markov chain. All with their defaults.
    user, item : str or int, default=0, 1
        Columns of X that hold the ids.
    user_features, item_features : column key or callable, default=None
        Columns that describe the user or the item, for the final estimator and the default parts. Given `estimators`
        name theirs themselves.
    user_encoder, item_encoder : transformer, default=None
        Turns them into vectors. The default parts share what it encodes: each text is encoded once. Only encoders
        that learn from the interactions (`LLMFineTuner`, `DenseTargets`) are fitted again in each fold by each part.
    time : str or int, default=None
        Column of X with the time of each row: numbers or dates.
    final_estimator : regressor, classifier or ranker, default=None
        Any of scikit-learn: it learns 1 for relevant candidates and 0 for others. Classifiers score by their decision
        function or log-odds. One whose `fit` takes `groups`, `qid` or `group` is told which rows are one list; one that
        takes `sample_weight`, how many candidates a row stands for, since long lists are sampled. None: the mean of a
        linear model whose softmax over each list is drawn to its relevant candidates [1]_, and of
        `HistGradientBoostingClassifier`.
    cv : int, cross-validation generator or iterable, default=3
        Number of random folds, in which the interactions of each user are spread evenly; or a splitter of rows, such as
        `TemporalSplit`, or pairs of training and held-out rows. A fit costs one more fit of each part than there are
        folds. None is 3.
    handle_unknown : {"prior", "error"}, default="prior"
        Whether unknown users and items are passed on to the parts, or raise.
    random_state : int, RandomState instance or None, default=None
        Of folds, samples and the default final estimator. Parts without a `random_state` of their own take a seed from
        it.

    Attributes
    ----------
    estimators_ : list of recommenders
        The fitted parts.
    names_ : list of str
        Their names.
    final_estimator_, final_estimator_new_ : estimator or None
        Fitted on the candidates with and without interactions. None where fewer than 20 relevant candidates were found:
        the one then scores all items, and without both the score is the mean of the standardised scores.
    validation_scores_ : dict of str to float, or None
        NDCG@20 of each part alone in the folds.
    stacked_features_ : list of str
        Names of what the final estimator reads.
    users_, items_, seen_, user_encoder_, item_encoder_
        See `BaseRecommender`.

    See Also
    --------
    BlendRecommender : Weights of the parts instead of a second stage; also for ratings.

    References
    ----------
    .. [1] Z. Cao, T. Qin, T.-Y. Liu, M.-F. Tsai and H. Li, "Learning to rank: from pairwise approach to listwise
       approach", ICML 2007.

    Examples
    --------
    >>> from skllmrec import NeighborsRecommender, PopularityRecommender, StackedRecommender, make_interactions
    >>> data = make_interactions(n_users=60, n_items=40, random_state=0).data
    >>> near, popular = NeighborsRecommender(feedback="implicit"), PopularityRecommender(feedback="implicit")
    >>> parts = [
    ...     (name, part.set_params(user="user_id", item="item_id"))
    ...     for name, part in (("near", near), ("popular", popular))
    ... ]
    >>> stack = StackedRecommender(parts, user="user_id", item="item_id", random_state=0).fit(data)
    >>> stack.stacked_features_[:4]
    ['near: score', 'popular: score', 'near: rank', 'popular: rank']
    >>> ids, scores = stack.recommend(data["user_id"][:2], n_items=3)
    >>> ids.shape
    (2, 3)
    """

    _parameter_constraints: dict = {
        **BaseRecommender._parameter_constraints,
        "estimators": [list, None],
        "time": [str, Integral, None],
        "final_estimator": [HasMethods(["fit", "predict"]), None],
        "cv": ["cv_object"],
        "random_state": ["random_state"],
    }
    _noun = "stack"
    feedback = "implicit"  # the second stage tells what was chosen from what was not

    def __init__(
        self,
        estimators: list[tuple[str, Estimator]] | None = None,
        *,
        user: Column = 0,
        item: Column = 1,
        user_features: Columns | None = None,
        item_features: Columns | None = None,
        user_encoder: Estimator | None = None,
        item_encoder: Estimator | None = None,
        time: Column | None = None,
        final_estimator: Estimator | None = None,
        cv: Any = 3,
        handle_unknown: Unknown = "prior",
        random_state: RandomState = None,
    ) -> None:
        self.estimators = estimators
        self.user = user
        self.item = item
        self.user_features = user_features
        self.item_features = item_features
        self.user_encoder = user_encoder
        self.item_encoder = item_encoder
        self.time = time
        self.final_estimator = final_estimator
        self.cv = cv
        self.handle_unknown = handle_unknown
        self.random_state = random_state

    def _check_estimators(self):
        if self.estimators is None:
            return
        super()._check_estimators()
        for name, estimator in self.estimators:
            if getattr(estimator, "feedback", "explicit") != "implicit":
                raise ValueError(
                    f"estimators: {name!r} learns from ratings (feedback='explicit'), but a stack ranks what was "
                    "chosen before what was not: set feedback='implicit', and pass the rows that are likes"
                )

    def _check_columns(self, X):
        if self.time is not None:
            ColumnKey.resolve(X, self.time, name="time")
        if self.estimators is not None:
            super()._check_columns(X)

    # -- fit --------------------------------------------------------------------------------------------------

    @fit_context(prefer_skip_nested_validation=False)
    @all_or_nothing
    def fit(
        self, X: Rows, y: Any = None, *, sample_weight: Any = None, user_table: Any = None, item_table: Any = None
    ) -> Self:
        """Learn the second stage from out-of-fold candidates, then fit every part on all interactions.

        Parameters
        ----------
        X : dataframe or array-like of shape (n_samples, n_features)
            One row for each interaction, as every part reads it.
        y : array-like of shape (n_samples,), default=None
            Weights, None for all one; a weight of zero was seen but not liked.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row.
        user_table, item_table : FeatureTable or dataframe, default=None
            Every user or item with its features.

        Returns
        -------
        self : object
            The fitted stack.

        Raises
        ------
        ValueError
            If a part learns from ratings, reads other columns of ids, or the data does not suit one of them.
        TypeError
            If an estimator is no recommender.
        """
        self._check_estimators()
        with once():  # the parts are fitted several times on the same rows
            return self._fit(X, y, sample_weight, user_table, item_table)

    def _fit(self, X, y, sample_weight, user_table, item_table):
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        self._seed_of_parts = None if self.random_state is None else seed
        super().fit(X, y, sample_weight=sample_weight, user_table=user_table, item_table=item_table)
        tables = self._remember_tables(user_table, item_table)
        X = self._checked(X, reset=False)
        rows = TrainingRows(X, y, sample_weight, tables, self._seed_of_parts)
        named = self._named_parts()
        self.names_, parts = [name for name, _ in named], [part for _, part in named]
        self._learn_second_stage(rows, parts, np.random.default_rng(seed), seed)
        self.estimators_ = [rows.fit(part) for part in parts]
        del self._learning, self._seed_of_parts
        for side in (self._user_side, self._item_side):
            if isinstance(side.encoder, SharedEncoder):
                side.encoder.forget()
        self._standings = np.empty((len(parts), 0, n_standings(self._n_trained)), dtype=np.float32)
        self._learn_standings(np.arange(len(self.users_)))
        self._usual = usual_spreads(self._standings)
        return self

    def _fit_side(self, X, keys, name, table, ids, targets):
        encoder = getattr(self, f"{name}_encoder")
        if encoder is not None and not learns_from_targets(encoder):
            encoder = SharedEncoder(seeded(clone(encoder), self._seed_of_parts))
        return fit_side(
            name,
            X,
            id_key=keys[name],
            features=getattr(self, f"{name}_features"),
            encoder=encoder,
            table=table,
            ids=ids,
            targets=targets,
        )

    def _remember(self, user_side, item_side, interactions, counts, weighter):
        super()._remember(user_side, item_side, interactions, counts, weighter)
        self.user_encoder_, self.item_encoder_ = (
            side.encoder.estimator_ if isinstance(side.encoder, SharedEncoder) else side.encoder
            for side in (user_side, item_side)
        )

    def _named_parts(self):
        """Names and parts, not fitted."""
        if self.estimators is not None:
            return self.estimators
        columns = {"user": self.user, "item": self.item}
        described = {}
        for side in (self._user_side, self._item_side):
            features = getattr(self, f"{side.name}_features")
            given = getattr(self, f"{side.name}_encoder")  # one that learns from interactions: anew in each fold
            encoder = side.encoder if isinstance(side.encoder, SharedEncoder) else given
            named = {f"{side.name}_features": features, f"{side.name}_encoder": encoder}
            described[side.name] = {} if features is None else named
        return default_parts(columns, described["item"], described["user"], self.time, self._n_trained)

    def _fit_interactions(self, interactions):
        weights = interactions.weights
        n_users, self._n_trained = interactions.trained_shape
        blocks = Block.learn_all(interactions.item_features, self._n_trained)
        columns = (
            OwnColumns.learn(interactions.user_features, n_users),
            OwnColumns.learn(interactions.item_features, self._n_trained),
        )
        times = self._times_of_pairs(interactions)
        self._facts = Facts.learn(_without_zeros(weights), times, blocks, *columns)
        self._learning = times, blocks, columns

    def _times_of_pairs(self, interactions):
        """Time of each stored pair of positive weight, between 0 and 1: the last of its rows."""
        if self.time is None:
            return None
        rows = interactions.rows
        codes = codes_of_times(rows.column(self.time, name="time"), name=f"time column {self.time!r}")
        missing = np.flatnonzero(codes < 0)
        if len(missing):
            raise ValueError(
                f"time column {self.time!r} is missing at position {missing[0]} ({len(missing)} in total): remove "
                "these rows"
            )
        kept = rows.weights > 0
        times = codes[kept] / max(codes.max(), 1)
        return latest_times(_without_zeros(interactions.weights), rows.users[kept], rows.items[kept], times)

    def _learn_second_stage(self, rows, parts, generator, seed):
        """Set the final models and `validation_scores_` from candidates of parts that were fitted without them."""
        known, new, gains = self._out_of_fold_lists(rows, parts, generator)
        self.validation_scores_ = None
        if gains.shape[1]:
            self.validation_scores_ = dict(zip(self.names_, gains.mean(axis=1).tolist(), strict=True))
        self._final = {}
        for segment, lists in (("known", Lists.joined(known)), ("new", Lists.joined(new))):
            if lists is None or lists.y.sum() < _LEAST_POSITIVES or lists.y.all():
                continue
            final = ListwiseBoostingRanker(random_state=seed) if self.final_estimator is None else self.final_estimator
            self._final[segment] = FinalModel.fit(final, lists.X, lists.y, lists.groups, lists.weights)

    def _out_of_fold_lists(self, rows, parts, generator):
        """Candidates of each fold, known and new items apart, and what each part gains there for each user."""
        reads = any(getattr(part, "item_features", None) is not None for part in parts) or self._facts.blocks
        pairs, share = find_pairs(self, rows.X), _NEW_SHARE if reads else 0.0
        folds = Folds(self.seen_, rows.X, pairs, self._splits(rows), share, generator)
        known: list[Lists] = []
        new: list[Lists] = []
        gains = [np.empty((len(parts), 0))]
        for fold in range(folds.n_folds):
            training = folds.training_rows(fold)
            if len(training) == 0:
                continue
            fitted = [forgiving(rows.fit(part, training)) for part in parts]
            found = make_lists(folds, fold, fitted, self._facts_of)
            known += found[0]
            new += found[1]
            gains.append(found[2])
        return known, new, np.concatenate(gains, axis=1)

    def _splits(self, rows):
        """Return the number of folds, or their rows."""
        if self.cv is None or isinstance(self.cv, Integral):
            return _FOLDS if self.cv is None else self.cv
        return list(check_cv(self.cv).split(rows.X, rows.y))

    def _facts_of(self, train, kept):
        """Facts of the training interactions of a fold."""
        times, blocks, columns = self._learning
        seen = _without_zeros(train)
        if times is not None:
            times = times[kept[self.seen_.data > 0]]
        return Facts.learn(seen, times, blocks, *columns)

    @property
    def final_estimator_(self) -> Estimator | None:
        """The fitted final estimator for items with interactions; None where there was too little to learn from."""
        return self._final["known"].estimator if "known" in self._final else None

    @property
    def final_estimator_new_(self) -> Estimator | None:
        """The fitted final estimator for items without interactions; None where there was too little to learn from."""
        return self._final["new"].estimator if "new" in self._final else None

    @property
    def stacked_features_(self) -> list[str]:
        """Names of the columns that the final estimator reads."""
        return [*names_of_columns(self.names_), *self._facts.names()]

    # -- standings of users -----------------------------------------------------------------------------------

    def _learn_standings(self, users):
        """Store how high the scores of each part stand among those for each of some users."""
        known = self._standings
        found = np.zeros((len(known), len(self.users_), known.shape[2]), dtype=np.float32)
        found[:, : known.shape[1]] = known
        size = max(1, _BLOCK_SCORES // self._n_trained)
        for start in range(0, len(users), size):
            block = users[start : start + size]
            found[:, block] = self._standings_of(self.users_[block], None, self.seen_[block])
        self._standings = found

    def _standings_of(self, given, histories, seen):
        """Standings of users as parts read them, (n_parts, n_users, n); `seen` are their interactions."""
        seen = seen[:, : self._n_trained]
        return np.stack(
            [
                standings_of(self._of_trained(part, part.ranker().scores(given, history=histories)), seen)
                for part in self.estimators_
            ]
        )

    def _of_trained(self, part, scores):
        """Scores of the items of the fit, of those of all items of a part."""
        trained = self.items_[: self._n_trained]
        if np.array_equal(part.items_[: self._n_trained], trained):
            return np.ascontiguousarray(scores[:, : self._n_trained])
        return np.ascontiguousarray(scores[:, part._item_side.index.encode(trained)])

    def _standings_for(self, users, histories):
        """Standings of `Entities` of users; those of new users and of histories are computed now."""
        found = self._standings[:, np.maximum(users.codes, 0)]
        live = users.codes < 0
        if users.history is not None:
            live = live | (np.diff(users.history.weights.indptr) > 0)
        live = np.flatnonzero(live)
        if len(live):
            names = users.named[0].take(live)
            found = found.copy()
            found[:, live] = self._standings_of(names.given, names.histories, histories[live])
        return found

    # -- scores -----------------------------------------------------------------------------------------------

    def _prepare_search(self, items, index=None, *, is_filled=False):
        if index is not None:
            return super()._prepare_search(items, index, is_filled=is_filled)
        return PoolSearch(self, items)

    def _prepare_items(self, items):
        first, *others = items.named
        rankers = []
        for part in self.estimators_:
            everything = first.ids is self.items_ and first.table is None and np.array_equal(part.items_, self.items_)
            ranker = part.ranker(None if everything and not others else first.given)
            for names in others:
                ranker.add(names.given)
            rankers.append(ranker)
        return _Prepared(rankers, self._facts.prepare(items))

    def _scores_of_parts(self, users, prepared):
        """Scores of each part for prepared candidates, a list of ndarray of shape (n_users, n_candidates)."""
        (names,) = users.named
        return [
            np.ascontiguousarray(ranker.scores(names.given, history=names.histories)) for ranker in prepared.rankers
        ]

    def _score_block(self, users, items):
        return PoolSearch(self, items).scores(users)

    def _second_stage(self, users, items, vectors, owners, places, scores):
        """Scores of pairs by the second stage.

        Parameters
        ----------
        users, items : Named entities
        vectors : list
            Of the items, in each block of features.
        owners, places : ndarray of int, shape (n_pairs,)
            Positions among them.
        scores : ndarray of shape (n_parts, n_pairs)
            Those of the parts.

        Returns
        -------
        ndarray of shape (n_pairs,)
        """
        if len(owners) == 0:
            return np.empty(0)
        histories, _ = self._interactions_of(users)
        standings = self._standings_for(users, histories)
        columns = columns_of(scores, owners, standings, self._usual, self._n_trained)
        if not self._final:  # too little to learn from: the mean of the parts
            return np.round(columns[:, -2], _DECIMALS)
        about = self._facts.of(users, _without_zeros(histories), items, vectors, owners, places)
        X = np.hstack([columns, about])
        is_new = self._is_new(items)[places]
        found = np.empty(len(owners))
        for segment, rows in (("known", ~is_new), ("new", is_new)):
            if rows.any():
                model = self._final.get(segment) or next(iter(self._final.values()))
                found[rows] = model(X[rows])
        return np.round(found, _DECIMALS)

    def _is_new(self, items):
        """Whether nobody had `Entities` of items."""
        return np.append(self._facts.items.values, 0.0)[items.codes] == 0

    def predict(self, X: Rows) -> FloatArray:
        """Score each row's pair of user and item by the second stage.

        Parameters
        ----------
        X : dataframe or array-like of shape (n_samples, n_features)
            Rows laid out as in `fit`; unknown users and items bring their features, if they have any.

        Returns
        -------
        scores : ndarray of shape (n_samples,), float64
            Log-odds that a candidate is relevant, up to a constant; always finite.

        Raises
        ------
        UnknownIdError
            If a user or item is unknown and `handle_unknown="error"`.
        ValueError
            If the final estimator gives a score that is not finite.
        """
        users, items = self._pairs(X)
        X = self._checked(X, reset=False)
        found = np.empty(len(users))
        for start in range(0, len(users), _BLOCK_PAIRS):
            rows = np.arange(start, min(start + _BLOCK_PAIRS, len(users)))
            block = X if len(rows) == len(users) else take_rows(X, rows)
            found[rows] = self._predict_block(block, users.take(rows), items.take(rows))
        return found

    def _predict_block(self, X, users, items):
        distinct, first, owners = np.unique(users.ids, return_index=True, return_inverse=True)
        some = users.take(first)
        some = Named(**vars(some), named=(Names(distinct, X, first),))
        _, first, places = np.unique(items.ids, return_index=True, return_inverse=True)
        candidates = items.take(first)
        scores = np.array([part.predict(self._rows_for(part, X)) for part in self.estimators_])
        return self._second_stage(some, candidates, self._facts.prepare(candidates), owners, places, scores)

    # -- similar items, folding in: where the parts can ---------------------------------------------------------

    @available_if(lambda self: self._can_fold_in)
    @all_or_nothing
    def partial_fit(self, X: Rows, y: Any = None, *, sample_weight: Any = None) -> Self:
        """Fold new interactions into every part; the second stage stays. On an unfitted stack it is `fit`.

        Counts and times of items that were in `fit` stay as well, so that the scores of other pairs do not change.

        Parameters
        ----------
        X : dataframe or array-like of shape (n_samples, n_features)
            New rows, laid out as in `fit`; they count as later than those of `fit`.
        y, sample_weight : array-like of shape (n_samples,), default=None
            As in `fit`.

        Returns
        -------
        self : object
            The updated stack.
        """
        if not hasattr(self, "estimators_"):
            return self.fit(X, y, sample_weight=sample_weight)
        with once():
            super().partial_fit(X, y, sample_weight=sample_weight)
            parts = [copy.copy(estimator) for estimator in self.estimators_]  # none has folded in if one fails
            self.estimators_ = [
                part.partial_fit(self._rows_for(part, X), y, sample_weight=sample_weight) for part in parts
            ]
        touched = self._user_side.index.encode(self._user_side.read_ids(self._checked(X, reset=False)))
        self._learn_standings(np.unique(touched[touched >= 0]))
        return self

    def _partial_fit_interactions(self, interactions, users, items):
        features = interactions.user_features, interactions.item_features
        self._facts = self._facts.extended(_without_zeros(interactions.weights), users, *features)

    @property
    def _fitted_or_given(self):
        if hasattr(self, "estimators_"):
            return self.estimators_
        return [part for _, part in self.estimators or ()]

    @property
    def _can_fold_in(self):
        return all(hasattr(part, "partial_fit") for part in self._fitted_or_given)

    @property
    def _can_compare_items(self):
        if hasattr(self, "estimators_"):
            return self._comparing is not None
        return self.estimators is None or any(hasattr(part, "similar_items") for part in self._fitted_or_given)

    @property
    def _comparing(self):
        """The part that compares items: of those that can, the best one on what was held out."""
        able = [number for number, part in enumerate(self.estimators_) if hasattr(part, "similar_items")]
        if not able:
            return None
        gains = self.validation_scores_ or dict.fromkeys(self.names_, 0.0)
        return self.estimators_[max(able, key=lambda number: gains[self.names_[number]])]

    @available_if(lambda self: self._can_compare_items)
    def similar_items(
        self,
        items: Ids | Rows | None = None,
        n_items: int = 10,
        *,
        features: Rows | None = None,
        as_frame: bool = False,
    ) -> tuple[Array, FloatArray] | Frame:
        """Find similar items by the part that ranked held-out interactions best, of those that compare items.

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
        return self._comparing.similar_items(items, n_items, features=features, as_frame=as_frame)


def _without_zeros(weights: CsrMatrix) -> CsrMatrix:
    """Interactions of positive weight."""
    if (weights.data > 0).all():
        return weights
    kept = weights.copy()
    kept.eliminate_zeros()
    return kept
