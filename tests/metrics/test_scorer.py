"""Ranking scorers inside scikit-learn's model selection."""

import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.experimental import enable_halving_search_cv  # noqa: F401 - makes the search importable
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    KFold,
    cross_val_score,
    cross_validate,
    learning_curve,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from stand_in import StandIn, make_rows

from skllmrec.metrics import get_metric, get_metric_names, make_ranking_scorer, rank_test_users, recall_at_k
from skllmrec.metrics._registry import FROM_RANKING

METRIC_NAMES = [name for name in get_metric_names() if set(get_metric(name).needs) <= set(FROM_RANKING)]
CV = KFold(3, shuffle=True, random_state=0)


@pytest.fixture
def rows():
    train, test = make_rows()
    return np.vstack([train, test])


def share_of_users_hit_first(relevant, recommended, k):
    return float(relevant[np.arange(len(recommended)), recommended[:, 0]].mean())


@pytest.mark.parametrize("metric", METRIC_NAMES)
@pytest.mark.parametrize("candidates", ["all", "fitted", "test"])
def test_equals_the_metric_of_the_lists(metric, candidates):
    train, test = make_rows(1)
    recommender = StandIn().fit(train)
    scorer = make_ranking_scorer(metric, k=4, candidates=candidates, random_state=3)
    ranked = rank_test_users(recommender, test, k=4, candidates=candidates, random_state=3)
    score = scorer(recommender, test)
    assert isinstance(score, float)
    assert score == (-1 if metric in ("gini", "popularity_lift") else 1) * ranked.evaluate(metric)
    assert scorer(recommender, test, np.ones(len(test))) == score


def test_y_and_threshold_reach_the_ranking():
    train, test = make_rows(2)
    recommender, y = StandIn().fit(train), np.arange(len(test)) % 5 + 1
    score = make_ranking_scorer("recall", threshold=4)(recommender, test, y)
    assert score == rank_test_users(recommender, test, y, threshold=4).evaluate("recall")
    assert score != make_ranking_scorer("recall")(recommender, test, y)


def test_functions_and_lists_of_metrics(rows):
    train, test = make_rows(1)
    recommender = StandIn().fit(train)
    scorer = make_ranking_scorer(["ndcg", "gini", share_of_users_hit_first], k=4)
    scores = scorer(recommender, test)
    assert scores == {
        "ndcg": make_ranking_scorer("ndcg", k=4)(recommender, test),
        "gini": make_ranking_scorer("gini", k=4)(recommender, test),
        "share_of_users_hit_first": rank_test_users(recommender, test).evaluate("precision", k=1),
    }
    search = GridSearchCV(StandIn(), {"constant": [True, False]}, scoring=scorer, refit="ndcg", cv=CV)
    results = search.fit(rows).cv_results_
    assert np.isfinite(results["mean_test_share_of_users_hit_first"]).all()


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_cross_validate_with_several_scorers(rows, n_jobs):
    scoring = {"ndcg": make_ranking_scorer("ndcg", k=3), "mine": make_ranking_scorer(recall_at_k, k=3)}
    results = cross_validate(StandIn(), rows, scoring=scoring, cv=CV, n_jobs=n_jobs, error_score="raise")
    for fold, (train, test) in enumerate(CV.split(rows)):
        ranked = rank_test_users(StandIn().fit(rows[train]), rows[test], k=3)
        assert results["test_ndcg"][fold] == pytest.approx(ranked.evaluate("ndcg"))
        assert results["test_mine"][fold] == pytest.approx(ranked.evaluate("recall"))


@pytest.mark.parametrize("make", [GridSearchCV, HalvingGridSearchCV])
def test_searches_prefer_the_better_recommender(make):
    rng = np.random.default_rng(0)
    popular = rng.zipf(1.6, 1500) % 60
    X = pd.DataFrame({"user": rng.integers(0, 80, 1500), "item": popular}).drop_duplicates()
    pipeline = make_pipeline(FunctionTransformer(), StandIn(user="user", item="item"))
    grid = {"standin__constant": [True, False]}
    scorer = make_ranking_scorer("ndcg", k=5)
    search = make(pipeline, grid, scoring=scorer, cv=CV, error_score="raise")
    search = clone(search).fit(X, np.ones(len(X)))
    assert search.best_params_ == {"standin__constant": False}
    assert scorer(search, X) == search.score(X) == 0.0  # training rows are excluded


def test_learning_curve_and_metadata_routing(rows):
    scorer = make_ranking_scorer("mrr")
    _, _, scores = learning_curve(StandIn(), rows, None, scoring=scorer, cv=CV, train_sizes=[0.5, 1.0])
    assert np.isfinite(scores).all()
    plain = cross_val_score(StandIn(), rows, scoring=scorer, cv=CV)
    with sklearn.config_context(enable_metadata_routing=True):
        np.testing.assert_array_equal(cross_val_score(StandIn(), rows, scoring=scorer, cv=CV), plain)
        search = GridSearchCV(StandIn(), {"constant": [False]}, scoring={"a": scorer}, refit="a", cv=CV).fit(rows)
        assert search.best_score_ == pytest.approx(plain.mean())


def test_pickles_and_shows_what_it_is():
    scorer = make_ranking_scorer(["ndcg", recall_at_k], k=4, threshold=3.5, candidates="test")
    train, test = make_rows(1)
    recommender, y = StandIn().fit(train), np.arange(len(test)) % 5
    again = pickle.loads(pickle.dumps(scorer))  # noqa: S301 - our own bytes
    assert again(recommender, test, y) == scorer(recommender, test, y)
    options = "k=4, threshold=3.5, candidates='test', random_state=0)"
    assert repr(scorer) == f"make_ranking_scorer(['ndcg', recall_at_k], {options}"
    assert repr(make_ranking_scorer("map")).startswith("make_ranking_scorer('map', k=10,")
    assert repr(make_ranking_scorer(recall_at_k)).startswith("make_ranking_scorer(recall_at_k, k=10,")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"metric": "auc"}, "metric='auc' is unknown"),
        ({"metric": ["ndcg", 3]}, "metric=3 is unknown"),
        ({"metric": []}, "empty"),
        ({"metric": "ndcg", "k": 0}, "k must be"),
        ({"metric": "ndcg", "threshold": "x"}, "threshold must be"),
        ({"metric": "ndcg", "candidates": None}, "candidates must be"),
    ],
)
def test_bad_options_are_named_at_once(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_ranking_scorer(**arguments)


def test_errors_of_a_call_are_clear():
    train, test = make_rows(1)
    recommender = StandIn().fit(train)
    with pytest.raises(ValueError, match="no user has a relevant item"):
        make_ranking_scorer("ndcg", threshold=9)(recommender, test, np.ones(len(test)))
    with pytest.raises(TypeError, match="FunctionTransformer has no `recommend`"):
        make_ranking_scorer("ndcg")(FunctionTransformer(), test)
