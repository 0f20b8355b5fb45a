"""Recommenders share their first parameters, so that one can stand in the place of another."""

import inspect

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

import skllmrec
from skllmrec import recommenders
from skllmrec.metrics import make_ranking_scorer
from skllmrec.model_selection import PerUserKFold

SHARED = {
    "user": 0,
    "item": 1,
    "user_features": None,
    "item_features": None,
    "user_encoder": None,
    "item_encoder": None,
    "feedback": "implicit",
}
OF_PARTS = {"BlendRecommender", "DiversifiedRecommender", "StackedRecommender"}  # their parts have these parameters
NAMES = [name for name in recommenders.__all__ if name not in OF_PARTS]
NEEDS = {"PairwiseRecommender": {"estimator": Ridge()}}
SMALL = {"n_components": 4, "max_iter": 2, "random_state": 0, "device": "cpu"}
ONLY_EVENTS = {"LinearAutoencoderRecommender", "MarkovRecommender", "SequentialRecommender"}
ONLY_ITEMS = ONLY_EVENTS | {"NeighborsRecommender", "PopularityRecommender"}
COLUMNS = {"user": "user", "item": "item"}
TEXT = {"item_features": "title", "item_encoder": TfidfVectorizer()}
WORDS = np.array(["red sea", "blue sea", "red sun", "blue sun", "green tree", "green sea", "old tree", "old sun"])


def make(name, **params):
    known = inspect.signature(getattr(skllmrec, name)).parameters
    small = {key: value for key, value in SMALL.items() if key in known}
    return getattr(skllmrec, name)(**NEEDS.get(name, {}), **small, **params)


def interactions():
    """Users of two tastes, one row for each item that they had, the last of all in no row."""
    rows = [(user, item) for user in range(14) for item in range(8) if (user + item) % 2 == 0 and (user * 3 + item) % 5]
    frame = pd.DataFrame(rows, columns=["user", "item"])
    return frame.assign(title=WORDS[frame["item"]], age=frame["user"] % 2 + 20.0)


def test_all_recommenders_are_looked_at():
    public = {name for name in skllmrec.__all__ if name.endswith("Recommender")}
    assert {*NAMES, *OF_PARTS} == public


@pytest.mark.parametrize("name", NAMES)
def test_shared_parameters_have_the_same_order_and_defaults(name):
    parameters = inspect.signature(getattr(skllmrec, name)).parameters.values()
    named = [part for part in parameters if part.kind is inspect.Parameter.KEYWORD_ONLY]
    assert {part.name: part.default for part in named[: len(SHARED)]} == SHARED
    assert [part.name for part in named[: len(SHARED)]] == list(SHARED)
    assert len(parameters) - len(named) <= 1, "at most the size or the estimator comes before them"


def test_any_recommender_takes_the_place_of_another_in_a_grid():
    X = interactions()
    pipeline = Pipeline([("rows", FunctionTransformer()), ("rec", make("PopularityRecommender"))])
    grid = {
        "rec": [make(name, **COLUMNS) for name in NAMES],
        "rec__item_features": ["title"],
        "rec__item_encoder": [TfidfVectorizer()],
        "rec__feedback": ["implicit"],
    }
    search = GridSearchCV(
        pipeline,
        grid,
        cv=PerUserKFold(2, user="user", random_state=0),
        scoring=make_ranking_scorer("ndcg", k=3),
        error_score="raise",
    ).fit(X)
    scores = search.cv_results_["mean_test_score"]
    assert len(scores) == len(NAMES) and (scores > 0).all() and len(set(scores)) > 1
    ids, _ = search.best_estimator_[-1].recommend([0, 1], n_items=2)
    assert ids.shape == (2, 2)


def test_a_grid_goes_on_where_one_recommender_cannot_read_users():
    X = interactions()
    pipeline = Pipeline([("rec", make("MarkovRecommender", **COLUMNS))])
    grid = {"rec": [make(name, **COLUMNS) for name in NAMES], "rec__user_features": [["age"]]}
    cv, scoring = PerUserKFold(2, user="user", random_state=0), make_ranking_scorer("ndcg", k=3)
    with pytest.warns() as caught:
        search = GridSearchCV(pipeline, grid, cv=cv, scoring=scoring, refit=False).fit(X)
    failed = {name for name, score in zip(NAMES, search.cv_results_["mean_test_score"], strict=True) if np.isnan(score)}
    assert failed == ONLY_ITEMS
    assert any("MarkovRecommender does not learn from features of users" in str(one.message) for one in caught)


@pytest.mark.parametrize("name", sorted(ONLY_ITEMS))
@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"user_features": ["age"]}, "leave user_features out"),
        ({"user_features": "age", "user_encoder": TfidfVectorizer()}, "leave user_features and user_encoder out"),
        ({"user_encoder": TfidfVectorizer()}, "leave user_encoder out"),
    ],
)
def test_features_of_users_are_refused_where_they_say_nothing(name, params, said):
    with pytest.raises(ValueError, match=f"{name} does not learn from features of users: {said}"):
        make(name, **COLUMNS, **params).fit(interactions())


@pytest.mark.parametrize("name", NAMES)
def test_ratings_are_learned_or_refused(name):
    X = interactions()
    y = 3.0 + (X["item"] % 3 == 0)
    model = make(name, **COLUMNS, feedback="explicit")
    if name in ONLY_EVENTS:
        with pytest.raises(ValueError, match=rf"{name} does not learn from ratings: keep .* feedback='implicit'"):
            model.fit(X, y)
    else:
        assert model.fit(X, y).score(X, y) > -1
        assert 2 < model.predict(X).mean() < 5, "ratings, not counts"
