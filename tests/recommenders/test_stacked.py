"""StackedRecommender: what the second stage reads, that it learns from what the parts did not see, and refusals."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, RegressorMixin, TransformerMixin, clone
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skllmrec import (
    FeatureTable,
    LinearAutoencoderRecommender,
    MarkovRecommender,
    NeighborsRecommender,
    PerUserKFold,
    PopularityRecommender,
    StackedRecommender,
    TemporalSplit,
    compare_recommenders,
    make_ranking_scorer,
    ndcg_at_k,
)
from skllmrec._kernels.selection.standing import knots, reciprocal_ranks
from skllmrec.base import BaseRecommender
from skllmrec.exceptions import UnknownIdError
from skllmrec.recommenders.stacked import _candidates, _search
from skllmrec.recommenders.stacked._candidates import Folds
from skllmrec.recommenders.stacked._facts import Counts
from skllmrec.recommenders.stacked._final import FinalModel, ListwiseBoostingRanker, raw_scores
from skllmrec.recommenders.stacked._shared_encoder import SharedEncoder

POPULAR, NEAR = PopularityRecommender(feedback="implicit"), NeighborsRecommender(feedback="implicit", shrinkage=1.0)
PARTS = [("popular", POPULAR), ("near", NEAR)]
WORDS = ("red apple", "blue ocean", "red cherry", "blue river")


def tribes(seed=0, n_users=60, n_items=40, share=0.35):
    """Users like items of their own parity, and frequent ones more; the third column is a text of the item."""
    generator = np.random.default_rng(seed)
    liking = share * (0.3 + 1.4 * generator.random(n_items))
    liked = generator.random((n_users, n_items)) < liking
    liked &= np.equal.outer(np.arange(n_users) % 2, np.arange(n_items) % 2)
    users, items = np.nonzero(liked)
    return pd.DataFrame(
        {
            "user": users,
            "item": items,
            "text": [WORDS[item % 4] for item in items],
            "time": generator.integers(1000, size=len(users)),
        }
    )


def stack(parts=PARTS, final=None, **params):
    parts = [(name, clone(part).set_params(user="user", item="item")) for name, part in parts]
    return StackedRecommender(parts, user="user", item="item", final_estimator=final, random_state=0, **params)


class Recorder(RegressorMixin, BaseEstimator):
    """Scores by the first column, and records what it reads."""

    def fit(self, X, y):
        self.X_, self.y_, self.asked_ = X, y, []
        return self

    def predict(self, X):
        self.asked_.append(X)
        return X[:, 0] - X[:, 5]


def columns(fitted, X):
    """Columns that the final estimator read for a call of predict, by name."""
    fitted.final_estimator_.asked_.clear()
    fitted.predict(X)
    (found,) = fitted.final_estimator_.asked_
    assert found.shape[1] == len(fitted.stacked_features_)
    return dict(zip(fitted.stacked_features_, found.T, strict=True))


@pytest.fixture(scope="module")
def recorded():
    frame = tribes()
    features = {"item_features": "text", "item_encoder": CountVectorizer()}
    return frame, stack(final=Recorder(), time="time", **features).fit(frame)


# -- what the final estimator reads -----------------------------------------------------------------------------


def test_scores_and_ranks_of_the_parts(recorded):
    frame, fitted = recorded
    pairs = frame.iloc[[0, 5, 77, 100]].assign(item=[3, 8, 0, 21])
    found = columns(fitted, pairs)
    seen = fitted.seen_.toarray() > 0
    for name, part in zip(fitted.names_, fitted.estimators_, strict=True):
        for row, (user, item) in enumerate(zip(pairs["user"], pairs["item"], strict=True)):
            every = pd.DataFrame({"user": user, "item": fitted.items_, "text": "", "time": 0})
            scores = part.predict(every)
            place = list(fitted.items_).index(item)
            assert found[f"{name}: score"][row] == pytest.approx((scores[place] - scores.mean()) / scores.std())
            unseen = sorted(scores[~seen[list(fitted.users_).index(user)]], reverse=True)
            better = sum(score > scores[place] + 0.01 * scores.std() for score in unseen)
            equal = sum(score >= scores[place] - 0.01 * scores.std() for score in unseen)
            if better < 16:  # the tail is flat: below the middle all ranks are the middle one
                assert 1 / (equal + 1.01) <= found[f"{name}: rank"][row] <= 1 / max(better - 0.01, 1)
    means = [(found[f"popular: {what}"] + found[f"near: {what}"]) / 2 for what in ("score", "rank")]
    assert_allclose([found["mean score"], found["mean rank"]], means)


def test_counts_gaps_and_cosines(recorded):
    frame, fitted = recorded
    pairs = frame.iloc[[0, 5, 77, 100]].assign(item=[3, 8, 0, 21], text=[WORDS[item % 4] for item in (3, 8, 0, 21)])
    found = columns(fitted, pairs)
    counts = {side: np.log1p(frame[side].value_counts()) for side in ("user", "item")}
    relative = {side: (logs - logs.mean()) / logs.std(ddof=0) for side, logs in counts.items()}
    assert_allclose(found["item count"], relative["item"].loc[pairs["item"]])
    assert_allclose(found["user count"], relative["user"].loc[pairs["user"]])
    for row, (user, item) in enumerate(zip(pairs["user"], pairs["item"], strict=True)):
        history = frame[frame["user"] == user]
        gap = relative["item"][item] - np.mean([relative["item"][other] for other in history["item"]])
        assert found["popularity gap"][row] == pytest.approx(gap)
        assert found["absolute popularity gap"][row] == pytest.approx(abs(gap))
        words = set(WORDS[item % 4].split())
        cosines = [len(words & set(text.split())) / 2 for text in history["text"]]
        assert found["mean cosine of words"][row] == pytest.approx(np.mean(cosines))
        assert found["greatest cosine of words"][row] == pytest.approx(max(cosines))


def test_times(recorded):
    frame, fitted = recorded
    pairs = frame.iloc[[0, 5, 77, 100]].assign(item=[3, 8, 0, 21])
    found = columns(fitted, pairs)
    order = sorted(set(frame["time"]))
    moments = frame["time"].map({time: order.index(time) / (len(order) - 1) for time in order})
    for row, (user, item) in enumerate(zip(pairs["user"], pairs["item"], strict=True)):
        of_item, of_user = moments[frame["item"] == item], moments[frame["user"] == user]
        assert found["latest time of item"][row] == pytest.approx(of_item.max())
        assert found["time since item"][row] == pytest.approx(of_user.max() - of_item.mean())
        assert found["distance in time"][row] == pytest.approx(abs(of_user.mean() - of_item.mean()))


def test_own_columns_of_users_and_items():
    frame = tribes().assign(age=lambda f: f["user"] * 2.0, year=lambda f: 1900.0 + f["item"])
    fitted = stack(final=Recorder(), user_features=["age"], item_features=["year"]).fit(frame)
    asked = pd.concat([frame.iloc[:2], frame.iloc[:1].assign(user=900, age=33.0)])
    found = columns(fitted, asked)
    assert_array_equal(found["user feature 0"], asked["age"])
    assert_array_equal(found["item feature 0"], asked["year"])


def test_words_and_vectors_are_compared_apart():
    class Both(TransformerMixin, BaseEstimator):
        def fit(self, X, y=None):
            return self

        def transform(self, X):
            from scipy import sparse

            numbers = np.array([[len(text), text.count("e") + 1.0, *np.eye(4)[WORDS.index(text)]] for text in X])
            return sparse.csr_matrix(numbers)

    fitted = stack(item_features="text", item_encoder=Both()).fit(tribes())
    assert {"mean cosine of words", "mean cosine of vectors"} <= set(fitted.stacked_features_)
    sparse_part, dense_part = (block.columns for block in fitted._facts.blocks)
    assert sparse_part.tolist() == [False, False, True, True, True, True] and (dense_part != sparse_part).all()


# -- what is held out -------------------------------------------------------------------------------------------


class Memory(BaseRecommender):
    """Knows what it was fitted on, and tells nothing else apart."""

    feedback = "implicit"

    def __init__(self, *, user=0, item=1):
        self.user = user
        self.item = item

    def _fit_interactions(self, interactions):
        self.pairs_ = (interactions.weights > 0).astype(float)

    def _score_block(self, users, items):
        known = np.zeros((len(users), len(items)))
        u, i = np.flatnonzero(users.codes >= 0), np.flatnonzero(items.codes >= 0)
        known[np.ix_(u, i)] = self.pairs_[users.codes[u]][:, items.codes[i]].toarray()
        noise = np.sin(np.add.outer(np.asarray(users.ids) * 12.9898, np.asarray(items.ids) * 78.233)) * 43758.5 % 1
        return known * 10 + noise


def held_out_ndcg(fitted, test):
    users = np.unique(test["user"])
    ids, _ = fitted.recommend(users, 10)
    relevant = pd.crosstab(test["user"], test["item"]).reindex(columns=fitted.items_, fill_value=0)
    from scipy import sparse

    return ndcg_at_k(
        sparse.csr_matrix(relevant.loc[users]), pd.Index(fitted.items_).get_indexer(ids.ravel()).reshape(ids.shape)
    )


@pytest.mark.parametrize("leak", [False, True])
def test_a_part_that_memorises_its_rows_is_not_rewarded(leak, monkeypatch):
    frame = tribes()
    train, test = next(iter(PerUserKFold(5, user="user", random_state=0).split(frame)))
    train, test = frame.iloc[train], frame.iloc[test]
    if leak:  # what would happen if the parts had seen the fold
        monkeypatch.setattr(Folds, "training_rows", lambda folds, fold: np.flatnonzero(folds._pair_of_row >= 0))
    fitted = stack([*PARTS, ("memory", Memory())]).fit(train)
    weights = dict(zip(fitted.stacked_features_, np.abs(fitted.final_estimator_.coef_), strict=True))
    share = (weights["memory: score"] + weights["memory: rank"]) / sum(weights.values())
    assert (share > 0.3) if leak else (share < 0.1)
    if not leak:
        without = held_out_ndcg(stack().fit(train), test)
        assert held_out_ndcg(fitted, test) > 0.95 * without
        assert fitted.validation_scores_["memory"] < 0.6 * fitted.validation_scores_["near"]


def test_folds_hold_out_interactions_and_items():
    frame = tribes()
    seen_rows, rows = [], {}

    class Watched(PopularityRecommender):
        def fit(self, X, y=None, **params):
            seen_rows.append(X)
            return super().fit(X, y, **params)

    features = {"item_features": "text", "item_encoder": CountVectorizer()}
    fitted = stack([("popular", Watched(feedback="implicit")), PARTS[1]], cv=4, **features).fit(frame)
    *folds, everything = seen_rows
    assert len(folds) == 4 and len(everything) == len(frame)
    rows = [set(map(tuple, fold[["user", "item"]].to_numpy())) for fold in folds]
    n_items = len(fitted.items_)
    new = [n_items - fold["item"].nunique() for fold in folds]
    assert new == [n_items // 10] * 4
    for user, item in frame[["user", "item"]].to_numpy():
        assert 2 <= sum((user, item) in fold for fold in rows) <= 3  # of four: in its fold, or as a new item
    assert fitted.final_estimator_new_ is not None
    assert stack().fit(frame).final_estimator_new_ is None  # ids tell nothing about new items


def test_folds_of_a_splitter():
    frame = tribes()
    splits = list(PerUserKFold(3, user="user", random_state=5).split(frame))[:2]
    folds = Folds(*_folded(frame), splits, 0.0, np.random.default_rng(0))
    for fold, (train, test) in enumerate(splits):
        assert_array_equal(np.flatnonzero(~folds.held_out[fold]), train)
        assert_array_equal(folds.training_rows(fold), train)
        assert folds.positives(fold).nnz == len(test)
    scores = [stack(cv=cv).fit(frame).predict(frame) for cv in (splits, iter(splits))]
    assert_array_equal(*scores)
    later = stack(cv=TemporalSplit(time="time", test_size=0.3)).fit(frame)
    assert later.final_estimator_ is not None


def test_parts_without_features_have_all_items_in_each_fold():
    frame = tribes()
    folds = Folds(*_folded(frame), 3, 0.0, np.random.default_rng(0))
    assert [len(folds.new_items(fold)) for fold in range(3)] == [0, 0, 0]
    kept = sum(folds.kept(fold).astype(int) for fold in range(3))
    assert_array_equal(kept, 2)


def _folded(frame):
    fitted = stack().fit(frame)
    return fitted.seen_, frame, np.arange(len(frame))


class Counting(TransformerMixin, BaseEstimator):
    """One column for each of the four texts; counts its fits and the texts of each call."""

    calls = []

    def __init__(self, supervised=False):
        self.supervised = supervised

    def fit_transform(self, X, y=None):
        Counting.calls.append(("fit", len(X), None if y is None else y.sum()))
        return self.transform(X)

    def fit(self, X, y=None):
        self.fit_transform(X, y)
        return self

    def transform(self, X):
        Counting.calls.append(("transform", len(X), None))
        return np.array([np.eye(4)[WORDS.index(text)] for text in X])

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = self.supervised
        return tags


def test_texts_are_encoded_once_for_all_parts_and_folds(monkeypatch):
    frame = tribes()
    Counting.calls.clear()
    columns = {"user": "user", "item": "item", "item_features": "text", "item_encoder": Counting()}
    fitted = StackedRecommender(**columns, random_state=0).fit(frame)
    assert [call for call, _, _ in Counting.calls] == ["fit", "transform"]
    assert isinstance(fitted.item_encoder_, Counting)
    assert len(fitted.names_) == 7 and "text_factors" in fitted.names_ and "markov" not in fitted.names_
    Counting.calls.clear()
    new = frame.iloc[:2].assign(item=[900, 901], text=[WORDS[0], WORDS[1]])
    fitted.predict(new)
    assert Counting.calls == [("transform", 2, None)]
    Counting.calls.clear()
    fitted.partial_fit(new)
    assert len(Counting.calls) <= 1


def test_encoders_that_learn_from_interactions_do_not_see_those_held_out():
    frame = tribes()
    Counting.calls.clear()
    params = {"user": "user", "item": "item", "item_features": "text"}
    part = NeighborsRecommender(feedback="implicit", **params, item_encoder=Counting(supervised=True))
    StackedRecommender([("near", part)], user="user", item="item", random_state=0).fit(frame)
    sums = [total for call, _, total in Counting.calls if call == "fit"]
    assert len(sums) == 4 and max(sums[:3]) < 0.75 * len(frame) and sums[3] == len(frame)
    named = StackedRecommender(**params, item_encoder=Counting(supervised=True)).fit(frame.iloc[:60])._named_parts()
    encoders = [part.item_encoder for _, part in named if getattr(part, "item_encoder", None) is not None]
    assert len(encoders) == 4 and not any(isinstance(encoder, SharedEncoder) for encoder in encoders)


# -- final estimators -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "final",
    [
        make_pipeline(StandardScaler(), LogisticRegression()),
        Ridge(),
        HistGradientBoostingRegressor(max_iter=20, random_state=0),
        HistGradientBoostingClassifier(max_iter=20, random_state=0),
        None,
    ],
    ids=lambda final: type(final).__name__,
)
def test_any_final_estimator_of_scikit_learn(final):
    frame = tribes()
    fitted = stack(final=final).fit(frame)
    ids, scores = fitted.recommend(np.arange(20), 3)
    assert ((ids % 2) == np.arange(20)[:, np.newaxis] % 2).mean() > 0.9
    rows = pd.DataFrame({"user": np.repeat(np.arange(20), 3), "item": ids.ravel(), "text": "", "time": 0})
    assert_allclose(fitted.predict(rows), scores.ravel(), rtol=1e-6)
    assert_allclose(stack(final=final).fit(frame).predict(rows), scores.ravel())


@pytest.mark.parametrize("name", ["groups", "qid", "group"])
def test_rankers_are_told_the_lists(name):
    class Ranker(RegressorMixin, BaseEstimator):
        def predict(self, X):
            return X[:, 0]

    def fit(self, X, y, **params):
        self.lists_, self.n_ = params[name], len(X)
        return self

    scope = {}
    exec(f"def fit(self, X, y, {name}): self.lists_, self.n_ = {name}, len(X); return self", scope)  # noqa: S102
    Ranker.fit = scope["fit"]
    fitted = stack(final=Ranker()).fit(tribes()).final_estimator_
    if name == "group":
        assert fitted.lists_.sum() == fitted.n_ and (fitted.lists_ > 0).all()
    else:
        assert len(fitted.lists_) == fitted.n_ and (np.diff(fitted.lists_) >= 0).all()
        assert len(np.unique(fitted.lists_)) > 60  # a list for each user and fold


def test_the_default_is_the_mean_of_both_models_by_their_spread_in_lists():
    generator = np.random.default_rng(0)
    X, groups = generator.normal(size=(400, 3)), np.repeat(np.arange(40), 10)
    y = (X[:, 0] + generator.normal(size=400) > 1.2).astype(float)
    model = ListwiseBoostingRanker(min_samples_leaf=5, random_state=0).fit(X, y, groups)
    linear = (X - X.mean(axis=0)) / X.std(axis=0) @ model.coef_
    trees = model.trees_.decision_function(np.round(X, 3))
    spread = [
        np.sqrt(np.mean([(part[groups == n] - part[groups == n].mean()) ** 2 for n in range(40)]))
        for part in (linear, trees)
    ]
    assert_allclose(model.predict(X), (linear / spread[0] + trees / spread[1]) / 2)
    assert abs(model.coef_[0]) > 3 * abs(model.coef_[1:]).max()


def test_samples_stand_for_whole_lists():
    class Weighted(Ridge):
        def fit(self, X, y, sample_weight=None):
            self.weights_, self.y_ = sample_weight, y
            return super().fit(X, y, sample_weight)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_candidates, "_MAX_ROWS", 1)
        patch.setattr(_candidates, "_LEAST_ROWS", 8)
        sampled = stack(final=Weighted()).fit(tribes()).final_estimator_
    full = stack(final=Weighted()).fit(tribes()).final_estimator_
    assert (full.weights_ == 1).all() and (sampled.weights_[sampled.y_ > 0] == 1).all()
    assert len(sampled.y_) < 0.7 * len(full.y_) and sampled.y_.sum() == full.y_.sum()
    assert sampled.weights_.sum() == pytest.approx(len(full.y_), rel=0.1)


def test_scores_are_calibrated_log_odds():
    generator = np.random.default_rng(0)
    X = generator.normal(size=(4000, 1))
    y = generator.random(4000) < 1 / (1 + np.exp(-(2 * X[:, 0] - 1)))
    model = FinalModel.fit(Ridge(), X, y, np.arange(4000), np.ones(4000))
    assert_allclose(model(np.array([[0.0], [1.0]])), [-1, 1], atol=0.2)
    # rows that stand for several
    kept = y | (generator.random(4000) < 0.25)
    weights = np.where(y, 1.0, 4.0)[kept]
    model = FinalModel.fit(Ridge(), X[kept], y[kept], np.arange(kept.sum()), weights)
    assert_allclose(model(np.array([[0.0], [1.0]])), [-1, 1], atol=0.25)
    assert raw_scores(model.estimator, X).shape == (4000,)


# -- lists ------------------------------------------------------------------------------------------------------


def test_candidates_are_the_best_by_each_part(monkeypatch):
    frame = tribes(n_items=80, share=0.2)
    fitted = stack().fit(frame)
    monkeypatch.setattr(_search, "N_BEST", 3)
    fitted.random_state = 0  # changed, so that the candidates are prepared anew
    users = np.arange(10)
    ids, _ = fitted.recommend(users, 3)
    lists = [part.recommend(users, 3)[0] for part in fitted.estimators_]
    for row in range(10):
        pool = sorted({item for one in lists for item in one[row]})
        rows = pd.DataFrame({"user": row, "item": pool, "text": "", "time": 0})
        order = np.argsort(-fitted.predict(rows), kind="stable")[:3]
        assert_array_equal(ids[row], np.array(pool)[order])
    assert (fitted.recommend(users, 30)[0] >= 0).all()  # longer lists than the parts bring candidates


def test_the_history_changes_the_list_and_new_users_get_one():
    fitted = stack().fit(tribes())
    even, odd = fitted.recommend(history=[[0, 2, 4], [1, 3, 5]], n_items=5)[0]
    assert (even % 2 == 0).all() and (odd % 2 == 1).all()
    ids, scores = fitted.recommend([999], 5)
    assert np.isfinite(scores).all() and len(set(ids[0])) == 5


def test_new_items_are_ranked_by_their_texts_among_themselves_and_among_known_ones():
    frame = tribes()
    part = clone(NEAR).set_params(item_features="text", item_encoder=CountVectorizer())
    fitted = stack([("popular", POPULAR), ("near", part)], item_features="text", item_encoder=CountVectorizer()).fit(
        frame
    )
    new = pd.DataFrame({"item": [901, 900, 902], "text": [WORDS[1], WORDS[0], WORDS[2]]})
    ids, _ = fitted.recommend([0, 1], 1, candidates=new)
    assert ids[0, 0] in (900, 902) and ids[1, 0] == 901
    both = frame[["item", "text"]].drop_duplicates("item")
    ids, _ = fitted.recommend([1], 15, candidates=pd.concat([both, new]))
    assert 0 <= (ids >= 900).sum() <= 1  # neither all of them first nor a wrong one


def test_a_table_of_items():
    frame = tribes()
    table = FeatureTable(
        pd.DataFrame({"item": [*range(40), 900], "text": [*(WORDS[item % 4] for item in range(40)), WORDS[0]]}),
        key="item",
    )
    params = {"item_features": "text", "item_encoder": CountVectorizer()}
    part = clone(NEAR).set_params(**params)
    fitted = stack([("near", part), PARTS[0]], **params).fit(frame[["user", "item"]], item_table=table)
    assert fitted.items_[-1] == 900
    by_row = fitted.predict(pd.DataFrame({"user": [0], "item": [901], "text": [WORDS[0]]}))
    assert_allclose(fitted.predict(pd.DataFrame({"user": [0], "item": [900]})), by_row)


def test_weights_of_zero_are_seen_and_not_relevant():
    frame = tribes()
    y = (np.arange(len(frame)) % 5 > 0).astype(float)
    fitted = stack(final=Recorder()).fit(frame, y)
    assert fitted.final_estimator_.y_.sum() <= y.sum()
    assert fitted._facts.items.values[0] == np.log1p(((frame["item"] == 0) & (y > 0)).sum())


def test_equal_counts_do_not_divide_by_rounding_errors():
    counts = np.full(24, 5)
    assert np.log1p(counts).std() > 0  # for numpy
    learned = Counts.learn(counts, 24)
    assert_allclose(learned.relative, 0, atol=1e-12)
    assert_allclose(learned.of(np.zeros(1)), -np.log(6))


def test_too_little_to_learn_from_gives_the_mean_of_the_parts():
    X = [["ann", "alien"], ["bob", "dune"], ["bob", "alien"], ["cem", "up"]]
    fitted = StackedRecommender(PARTS, random_state=0).fit(X)
    assert fitted.final_estimator_ is None and fitted.final_estimator_new_ is None
    pairs = [[user, item] for user in fitted.users_ for item in fitted.items_]
    expected = 0
    for part in fitted.estimators_:
        scores = part.predict(pairs).reshape(3, 3)
        expected = expected + (scores - scores.mean(axis=1, keepdims=True)) / scores.std(axis=1, keepdims=True) / 2
    # cem's history says nothing: the spread that is usual stands for theirs
    assert_allclose(fitted.predict(pairs)[:6], expected.ravel()[:6], atol=1e-6)


def test_reciprocal_ranks_come_from_the_stored_standings():
    frame = tribes()
    fitted = stack().fit(frame)
    scores = fitted.estimators_[1].ranker().scores(fitted.users_)
    expected = knots(scores, fitted.seen_)
    assert_allclose(fitted._standings[1][:, 2:], expected, rtol=1e-6)
    assert reciprocal_ranks(scores[0, :1], np.zeros(1, int), expected, np.ones(1), 40).shape == (1,)


# -- as an estimator --------------------------------------------------------------------------------------------


def test_parameters_of_parts_and_final_estimator():
    model = stack(final=Ridge(alpha=2.0))
    params = model.get_params()
    assert params["near__shrinkage"] == 1.0 and params["final_estimator__alpha"] == 2.0
    other = clone(model).set_params(near__n_neighbors=7, final_estimator__alpha=3.0, popular=MarkovRecommender())
    assert other.estimators[1][1].n_neighbors == 7 and isinstance(other.estimators[0][1], MarkovRecommender)
    assert model.estimators[1][1].n_neighbors == 100 and model.final_estimator.alpha == 2.0
    assert StackedRecommender().get_params()["estimators"] is None
    assert "StackedRecommender" in StackedRecommender()._repr_html_()


def test_grid_search_and_comparison():
    frame = tribes()
    search = GridSearchCV(
        stack(),
        {"near__n_neighbors": [2, 20]},
        scoring=make_ranking_scorer("ndcg", k=5),
        cv=PerUserKFold(2, user="user"),
    ).fit(frame)
    assert 0 < search.best_score_ <= 1
    table = compare_recommenders(
        {"stack": stack(), "popular": clone(POPULAR).set_params(user="user", item="item")},
        frame,
        cv=PerUserKFold(2, user="user", random_state=0),
        metrics=("ndcg",),
        k=5,
    ).frame
    table = table[table["metric"] == "ndcg@5"].set_index("estimator")
    assert table.loc["stack", "mean"] > table.loc["popular", "mean"]


def test_similar_items_are_those_of_the_best_part():
    frame = tribes()
    fitted = stack().fit(frame)
    assert max(fitted.validation_scores_, key=fitted.validation_scores_.get) == "near"
    assert_array_equal(fitted.similar_items([4], 5)[0], fitted.estimators_[1].similar_items([4], 5)[0])


def test_seeds():
    frame = tribes()
    one, two, other = (stack().set_params(random_state=seed).fit(frame).predict(frame) for seed in (1, 1, 2))
    assert_array_equal(one, two)
    assert (one != other).any()


def test_encoders_without_a_seed_take_that_of_the_stack():
    class Projection(Counting):
        def __init__(self, random_state=None):
            self.random_state = random_state
            self.supervised = False

        def transform(self, X):
            return super().transform(X) @ np.random.default_rng(self.random_state).normal(size=(4, 2))

    frame, encoder = tribes(), Projection()
    one, two = (stack(item_features="text", item_encoder=encoder).fit(frame) for _ in range(2))
    assert_array_equal(one.predict(frame), two.predict(frame))
    assert encoder.random_state is None and one.item_encoder_.random_state is not None


def test_skops(tmp_path):
    io = pytest.importorskip("skops.io")
    features = {"item_features": "text", "item_encoder": CountVectorizer()}
    near = clone(NEAR).set_params(**features)
    frame = tribes()
    fitted = stack([("near", near), PARTS[0]], time="time", **features).fit(frame)
    io.dump(fitted, tmp_path / "stack.skops")
    types = io.get_untrusted_types(file=tmp_path / "stack.skops")
    assert all(name.split(".")[0] in ("skllmrec", "scipy", "sklearn") for name in types)
    loaded = io.load(tmp_path / "stack.skops", trusted=types)
    new = frame.iloc[:2].assign(item=[900, 901])
    for rows in (frame, new):
        assert_array_equal(loaded.predict(rows), fitted.predict(rows))


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"estimators": []}, ValueError, "give a list of at least one"),
        ({"estimators": [("a", Ridge())]}, TypeError, "'a' is a Ridge: stacks are made of recommenders"),
        (
            {"estimators": [("a", PopularityRecommender(feedback="explicit"))]},
            ValueError,
            r"'a' learns from ratings \(feedback='explicit'\).*set feedback='implicit', and pass the rows that are",
        ),
        (
            {"estimators": [("a", clone(POPULAR).set_params(user=1, item=0))]},
            ValueError,
            "the stack has user=0: set both",
        ),
        ({"time": "when"}, ValueError, "time='when' does not select columns of X"),
        ({"cv": 1}, ValueError, "'cv' parameter of StackedRecommender"),
        ({"final_estimator": StandardScaler()}, ValueError, "'final_estimator' parameter"),
    ],
)
def test_bad_parameters(params, error, message):
    with pytest.raises(error, match=message):
        StackedRecommender(**params).fit([["ann", "alien"], ["bob", "dune"]])


def test_a_final_estimator_whose_scores_are_not_finite():
    class Endless(Recorder):
        def predict(self, X):
            return np.full(len(X), np.inf)

    with pytest.raises(ValueError, match=r"final_estimator: Endless gives scores that are not finite, e\.g\. inf"):
        stack(final=Endless()).fit(tribes()).predict(tribes())


def test_missing_times_and_unknown_ids():
    frame = tribes()
    with pytest.raises(ValueError, match="time"):
        stack(time="time").fit(frame.assign(time=frame["time"].where(frame.index != 3)))
    fitted = stack(handle_unknown="error").fit(frame)
    with pytest.raises(UnknownIdError, match="900"):
        fitted.predict(frame.iloc[:2].assign(user=[0, 900]))


def test_a_fit_that_fails_leaves_the_stack_as_it_was():
    frame = tribes()
    fitted = stack([("auto", LinearAutoencoderRecommender(alpha=1.0)), *PARTS]).fit(frame)
    before = fitted.predict(frame)
    with pytest.raises(ValueError, match="position 0"):
        fitted.fit(frame.assign(user=[None, *frame["user"][1:]]))
    assert_array_equal(fitted.predict(frame), before)
