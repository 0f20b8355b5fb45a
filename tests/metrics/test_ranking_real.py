"""The package's own recommenders under the scorers and splitters."""

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import GridSearchCV, cross_validate
from stand_in import StandIn, make_rows

from skllmrec.metrics import make_ranking_scorer, rank_test_users
from skllmrec.model_selection import ColdItemKFold, ColdUserKFold, LeaveLastOut, PerUserKFold, TemporalSplit
from skllmrec.recommenders import FeatureMFRecommender, PopularityRecommender

WORDS = ["space", "love", "crime", "war"]


def make_frame(seed=0, n_users=40, n_items=60):
    """Users like the items of one word; the word is in the item's text."""
    rng = np.random.default_rng(seed)
    taste, topic = rng.integers(0, 4, n_users), rng.integers(0, 4, n_items)
    users, items = np.nonzero(rng.random((n_users, n_items)) < 0.5)
    y = np.where(taste[users] == topic[items], 5.0, 2.0)
    text = [f"a {WORDS[topic[item]]} story" for item in items]
    X = pd.DataFrame({"user": users, "item": [f"i{item:02d}" for item in items], "text": text})
    X["time"] = rng.integers(0, 1000, len(X))
    order = rng.permutation(len(X))
    return X.iloc[order].reset_index(drop=True), y[order]


@pytest.mark.parametrize("candidates", ["all", "fitted", "test"])
def test_popularity_ranks_like_the_stand_in(candidates):
    train, test = make_rows(1)
    options = {"k": 6, "candidates": candidates}
    ranked = rank_test_users(PopularityRecommender(feedback="implicit").fit(train), test, **options)
    expected = rank_test_users(StandIn().fit(train), test, **options)
    for name in ("users", "items", "recommended", "item_counts"):
        np.testing.assert_array_equal(getattr(ranked, name), getattr(expected, name))
    assert ranked.n_training_users == expected.n_training_users
    rated = PopularityRecommender(feedback="explicit").fit(train, np.resize([1.0, 2.0, 4.0], len(train)))
    assert rank_test_users(rated, train).evaluate("recall") == 0


def make_factors(**changes):
    options = {"user": "user", "item": "item", "item_features": "text", "item_encoder": TfidfVectorizer()}
    return FeatureMFRecommender(4, max_iter=5, random_state=0, **{**options, **changes})


def test_new_items_bring_their_features():
    X, y = make_frame()
    train, test = next(ColdItemKFold(4, item="item", random_state=0).split(X))
    ndcg = {}
    for name, changes in {"text": {}, "ids": {"item_features": None, "item_encoder": None}}.items():
        recommender = make_factors(**changes).fit(X.iloc[train], y[train])
        ranked = rank_test_users(recommender, X.iloc[test], y[test], threshold=4, k=5, candidates="test")
        assert set(ranked.items) == set(X["item"].iloc[test])
        ndcg[name] = ranked.evaluate("ndcg")
    assert ndcg["text"] > 1.5 * ndcg["ids"] > 0


SPLITTERS = [
    PerUserKFold(3, user="user", random_state=0),
    ColdItemKFold(3, item="item", random_state=0),
    ColdUserKFold(3, user="user", random_state=0),
    LeaveLastOut(user="user", time="time"),
    TemporalSplit(time="time", n_splits=2),
]


@pytest.mark.parametrize("splitter", SPLITTERS, ids=lambda s: type(s).__name__)
@pytest.mark.parametrize("feedback", ["explicit", "implicit"])
def test_factors_with_text_under_every_splitter(splitter, feedback):
    X, y = make_frame()
    if feedback == "implicit":
        X, y = X[y > 4].reset_index(drop=True), None
    recommender = make_factors(feedback=feedback)
    scorer = make_ranking_scorer(["ndcg", "coverage"], k=5, threshold=4 if feedback == "explicit" else None)
    results = cross_validate(recommender, X, y, scoring=scorer, cv=splitter, error_score="raise")
    blind = PopularityRecommender(user="user", item="item", feedback=feedback)
    baseline = cross_validate(blind, X, y, scoring=scorer, cv=splitter, error_score="raise")
    if "User" not in type(splitter).__name__ or type(splitter) is PerUserKFold:  # cold users have no tastes yet
        assert results["test_ndcg"].mean() > baseline["test_ndcg"].mean()
    assert (results["test_coverage"] > 0).all()


def test_grid_search_finds_the_text():
    X, y = make_frame()
    grid = {"item_encoder__vocabulary": [["story"], WORDS]}
    search = GridSearchCV(
        make_factors(),
        grid,
        scoring=make_ranking_scorer("ndcg", threshold=4, candidates="test"),
        cv=ColdItemKFold(3, item="item", random_state=0),
        error_score="raise",
    )
    assert search.fit(X, y).best_params_ == {"item_encoder__vocabulary": WORDS}
