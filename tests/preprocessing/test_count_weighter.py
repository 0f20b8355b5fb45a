"""CountWeighter against loops over single counts, and as a part of recommenders, searches and comparisons."""

import math

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import check_estimator

from skllmrec import (
    BlendRecommender,
    CountWeighter,
    FeatureMFRecommender,
    HistoryText,
    LinearAutoencoderRecommender,
    NeighborsRecommender,
    PopularityRecommender,
    TwoTowerRecommender,
    compare_recommenders,
    make_ranking_scorer,
    matrix_from_interactions,
)

METHODS = [{"method": "log", "alpha": 3.0, "eps": 0.5}, {"method": "bm25"}, {"method": "bm25", "k1": 1.2, "b": 0.75}]
METHODS += [{"method": "quantile"}, {"method": "quantile", "by": "all"}]


def counts(seed, shape=(30, 12)):
    rng = np.random.default_rng(seed)
    values = np.round(rng.lognormal(2, 2, shape), 1) * (rng.random(shape) < 0.5)
    values[0, 0], values[1, 1] = 7.5, 7.5  # a tie
    return values


def by_hand(C, method, alpha=1.0, eps=1.0, k1=100.0, b=0.8, by="user"):
    """Weights of a dense matrix, one count after the other."""
    W, everything = np.zeros(C.shape), C[C > 0].tolist()
    lengths = [sum(C[:, i]) for i in range(C.shape[1])]
    for u, i in zip(*np.nonzero(C), strict=True):
        c = C[u, i]
        if method == "log":
            W[u, i] = 1 + alpha * math.log(1 + c / eps)
        elif method == "bm25":  # a document is an item, a term is a user
            norm = 1 - b + b * lengths[i] / (sum(lengths) / len(lengths))
            rarity = math.log(len(lengths)) - math.log1p(sum(C[u] > 0))
            W[u, i] = c * (k1 + 1) / (k1 * norm + c) * max(rarity, math.log1p(1 / len(lengths)))
        else:
            among = [d for d in C[u].tolist() if d > 0] if by == "user" else everything
            W[u, i] = sum(d <= c for d in among) / len(among)
    return W


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("parameters", METHODS)
def test_weights_are_those_of_the_formula(parameters, seed):
    C = counts(seed)
    expected = by_hand(C, **parameters)
    raw = CountWeighter(normalize=False, **parameters)
    assert_allclose(raw.fit_transform(sparse.csr_matrix(C)).toarray(), expected, rtol=1e-12)
    assert_allclose(raw.fit_transform(C), expected, rtol=1e-12)
    scaled = CountWeighter(**parameters).fit(C)
    assert_allclose(scaled.transform(C), expected / expected[C > 0].mean(), rtol=1e-12)


@pytest.mark.parametrize("parameters", METHODS)
def test_a_user_is_weighted_alike_in_any_company(parameters):
    C = counts(2)
    weighter = CountWeighter(**parameters).fit(C)
    together = weighter.transform(C)
    assert_allclose(weighter.transform(C[4:5]), together[4:5])
    new = counts(3)[:2]
    before = weighter.transform(new)
    assert_allclose(weighter.transform(np.vstack([new, 100 * C]))[:2], before)


def test_many_levels_are_kept_as_quantiles():
    values = np.random.default_rng(0).lognormal(0, 3, (50, 400))
    weighter = CountWeighter("quantile", by="all", normalize=False).fit(values)
    assert len(weighter.levels_) <= 1001
    exact = np.searchsorted(np.sort(values.ravel()), values, side="right") / values.size
    assert_allclose(weighter.transform(values), exact, atol=0.002)


def test_items_without_counts_change_nothing():
    C = counts(0)
    wide = np.hstack([C, np.zeros((len(C), 5))])
    for parameters in METHODS:
        assert_allclose(
            CountWeighter(**parameters).fit_transform(wide)[:, :12], CountWeighter(**parameters).fit_transform(C)
        )


def test_stored_zeros_stay_zeros_and_stored():
    C = sparse.csr_matrix((np.array([0.0, 2.0, 5.0]), (np.array([0, 0, 1]), np.array([0, 1, 1]))), shape=(2, 3))
    for parameters in METHODS:
        W = CountWeighter(**parameters).fit_transform(C)
        assert W.nnz == 3
        assert W[0, 0] == 0
        assert (W.toarray() > 0).sum() == 2
        assert C.nnz == 3, "the input is not changed"


@pytest.mark.parametrize(
    ("value", "message"),
    [(-2.0, r"Negative values.*row 1, column 2 is -2\.0"), (np.nan, r"NaN.*row 1, column 2"), (np.inf, "infinity")],
)
def test_bad_counts_are_named(value, message):
    C = np.ones((3, 4))
    C[1, 2] = value
    for X in (C, sparse.csr_array(C)):
        with pytest.raises(ValueError, match=message):
            CountWeighter().fit(X)


def test_rows_of_ids_are_refused():
    rows = pd.DataFrame({"user_id": [1, 2], "item_id": [3, 4]})
    with pytest.raises(ValueError, match=r"matrix of counts.*weighter=CountWeighter.*matrix_from_interactions"):
        make_pipeline(CountWeighter(), FeatureMFRecommender(2, feedback="implicit")).fit(rows)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_scikit_learns_checks():
    for parameters in METHODS:
        check_estimator(CountWeighter(**parameters))


# -- as a part of a recommender -----------------------------------------------------------------------------------


def plays(seed=0, n_users=40, n_items=15):
    """Rows of two tribes with counts of a heavy tail; some pairs stand in several rows."""
    rng = np.random.default_rng(seed)
    users, items = rng.integers(n_users, size=600), rng.integers(n_items, size=600)
    kept = (users % 2 == items % 2) | (rng.random(600) < 0.2)
    X = pd.DataFrame({"user": users[kept], "item": items[kept]})
    return X, np.round(rng.lognormal(2, 2, len(X))) + 1


RECOMMENDERS = [
    FeatureMFRecommender(3, feedback="implicit", max_iter=3, random_state=0),
    FeatureMFRecommender(3, feedback="implicit", solver="adamw", max_iter=2, random_state=0),
    LinearAutoencoderRecommender(),
    NeighborsRecommender(feedback="implicit", metric="cosine"),
    PopularityRecommender(feedback="implicit"),
    TwoTowerRecommender(3, max_iter=2, hidden_size=8, random_state=0),
]


@pytest.mark.parametrize("recommender", RECOMMENDERS, ids=lambda made: type(made).__name__)
def test_a_recommender_learns_from_the_weights_of_summed_counts(recommender):
    X, y = plays()
    R, users, items = matrix_from_interactions(X, y)
    weighter = CountWeighter("bm25", k1=5.0)
    W = sparse.coo_array(weighter.fit_transform(R))
    weighted = pd.DataFrame({"user": users[W.coords[0]], "item": items[W.coords[1]]})
    expected = clone(recommender).fit(weighted, W.data).predict(X)
    found = clone(recommender).set_params(weighter=weighter).fit(X, y)
    assert_allclose(found.predict(X), expected, rtol=1e-4, atol=1e-6)
    assert_allclose(found.seen_.toarray(), R.toarray())
    assert found.weighter_ is not weighter


def test_histories_and_new_rows_are_weighted_too():
    X, y = plays()
    recommender = LinearAutoencoderRecommender(weighter=CountWeighter("log", normalize=False)).fit(X, y)
    got = recommender.ranker().rank(None, 15, history=[{0: 10.0, 2: 500.0}], exclude_seen=False)
    weights = np.zeros(15)
    weights[[0, 2]] = 1 + math.log(11), 1 + math.log(501)
    scores = weights @ recommender.item_weights_
    assert_allclose(np.sort(got[1][0])[::-1], np.sort(scores)[::-1], rtol=1e-4, atol=1e-4)
    neighbors = NeighborsRecommender(feedback="implicit", weighter=CountWeighter("log"))
    first, rest = slice(0, 200), slice(200, None)
    folded = clone(neighbors).fit(X[first], y[first]).partial_fit(X[rest], y[rest])
    assert_allclose(folded.seen_.toarray(), clone(neighbors).fit(X, y).seen_.toarray())
    both = CountWeighter("log").fit(folded.seen_)
    assert folded.weighter_.scale_ == pytest.approx(both.scale_)


def test_any_transformer_weighs():
    X, y = plays()
    for weighter in (FunctionTransformer(np.log1p, accept_sparse=True), TfidfTransformer(norm=None)):
        NeighborsRecommender(feedback="implicit", weighter=weighter).fit(X, y)
    with pytest.raises(ValueError, match=r"must weight the \d+ observed pairs"):
        PopularityRecommender(
            feedback="implicit", weighter=FunctionTransformer(lambda R: sparse.csr_matrix(R > 5, dtype=float))
        ).fit(X, y)


def test_a_weighter_of_ratings_is_refused():
    X, y = plays()
    with pytest.raises(ValueError, match=r"weighter=CountWeighter.*feedback='explicit'"):
        FeatureMFRecommender(2, feedback="explicit", weighter=CountWeighter()).fit(X, y)


def test_statistics_are_those_of_the_training_rows():
    X, y = plays()
    search = GridSearchCV(
        LinearAutoencoderRecommender(weighter=CountWeighter("bm25")),
        {"weighter": [CountWeighter("log"), CountWeighter("bm25")], "weighter__normalize": [True, False]},
        scoring=make_ranking_scorer("ndcg", k=5, exclude_seen=False),
        cv=3,
    ).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    half = LinearAutoencoderRecommender(weighter=CountWeighter("bm25")).fit(X[:200], y[:200])
    R = matrix_from_interactions(X[:200], y[:200])[0]
    assert_allclose(half.weighter_.item_lengths_, R.sum(axis=0))


def test_in_a_pipeline_and_in_a_comparison():
    X, y = plays()
    X["title"] = [f"title {item}" for item in X["item"]]
    pipeline = Pipeline(
        [
            ("history", HistoryText("{title}", user="user")),
            ("rec", PopularityRecommender(user="user", item="item", feedback="implicit", weighter=CountWeighter())),
        ]
    ).fit(X, y)
    assert pipeline["rec"].weighter_.scale_ > 0
    contestants = {
        name: NeighborsRecommender(feedback="implicit", weighter=CountWeighter(name))
        for name in ("log", "bm25", "quantile")
    }
    comparison = compare_recommenders(
        contestants, X[["user", "item"]], y, cv=2, k=3, exclude_seen=False, random_state=0
    )
    assert set(comparison.frame["estimator"]) == set(contestants)


def test_a_catalogue_with_more_items():
    X, y = plays()
    table = pd.DataFrame({"item": range(25)})
    with_table = NeighborsRecommender(feedback="implicit", weighter=CountWeighter("bm25")).fit(X, y, item_table=table)
    without = NeighborsRecommender(feedback="implicit", weighter=CountWeighter("bm25")).fit(X, y)
    assert_allclose(with_table.predict(X), without.predict(X))
    ids, _ = with_table.recommend([0], n_items=3)
    assert ids.tolist() == without.recommend([0], n_items=3)[0].tolist()


def test_parts_of_a_blend_weigh_for_themselves():
    X, y = plays()
    parts = [("a", NeighborsRecommender(feedback="implicit", weighter=CountWeighter()))]
    blend = BlendRecommender([*parts, ("b", LinearAutoencoderRecommender(weighter=CountWeighter()))], random_state=0)
    assert blend.fit(X, y).estimators_[0].weighter_ is not None
