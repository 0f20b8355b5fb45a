"""Protocols and estimators of the main job."""

from argparse import Namespace

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GridSearchCV

from skllmrec._cli.compare.data import JobData
from skllmrec._cli.compare.estimators import BOTH, LLM, TFIDF, make_candidates, make_estimators, make_protocol
from skllmrec.datasets import make_interactions

BUNCH = make_interactions(n_users=40, n_items=30, density=0.3, random_state=0)
X = BUNCH.data[["user_id", "item_id", "timestamp"]]


def protocol(name, columns=("user_id", "item_id", "timestamp")):
    return make_protocol(name, folds=3, seed=0, columns=columns)


@pytest.mark.parametrize(
    ("name", "n_folds", "candidates"), [("warm", 3, "all"), ("cold-items", 3, "test"), ("temporal", 1, "all")]
)
def test_the_validation_split_mirrors_the_outer_one(name, n_folds, candidates):
    made = protocol(name)
    assert made.candidates == candidates
    outer = list(made.outer.split(X))
    assert len(outer) == n_folds
    for train, test in outer:
        inside = X.iloc[train]
        validations = list(made.inner.split(inside))
        assert len(validations) == made.inner.get_n_splits(inside) == (1 if name == "temporal" else 3)
        for whole, first, second in [(X, train, test), *((inside, *rows) for rows in validations)]:
            if name == "cold-items":
                assert not set(whole.iloc[first]["item_id"]) & set(whole.iloc[second]["item_id"])
            if name == "warm":
                several = whole["user_id"].value_counts().loc[lambda counts: counts > 1]
                assert set(several.index) <= set(whole.iloc[first]["user_id"])
            if name == "temporal":
                assert whole.iloc[first]["timestamp"].max() < whole.iloc[second]["timestamp"].min()


def test_temporal_needs_times():
    with pytest.raises(ValueError, match=r"no column 'timestamp', only \['user_id', 'item_id'\]"):
        protocol("temporal", ["user_id", "item_id"])


@pytest.mark.parametrize("feedback", ["implicit", "explicit"])
@pytest.mark.parametrize("trials", [1, 4, 1000])
def test_candidates_start_with_the_defaults_and_are_distinct(feedback, trials):
    candidates = make_candidates(X, feedback, trials, seed=0)
    assert candidates[0] == {}
    assert len(candidates) == min(trials, len(candidates))
    distinct = {str(sorted(candidate.items())) for candidate in candidates}
    assert len(distinct) == len(candidates)
    assert candidates == make_candidates(X, feedback, trials, seed=0)


def test_every_search_gets_the_same_budget_and_both_encoders_the_same_text():
    items = BUNCH.item_table
    data = JobData(
        "x", X, None, items, None, "{title}. {description}", ["title", "description"], "title", None, ["title"]
    )
    options = Namespace(feedback="implicit", trials=4, k=5, seed=0, model="some-model", max_length=32, store=None)
    estimators = make_estimators(data, options, protocol("warm"))
    searches = {name: e for name, e in estimators.items() if isinstance(e, GridSearchCV)}
    assert list(estimators) == ["popularity", "ids", TFIDF, LLM, BOTH]
    assert set(estimators) - set(searches) == {"popularity"}
    assert len({str(search.param_grid) for search in searches.values()}) == 1
    assert len({str(search.cv) for search in searches.values()}) == 1
    encoders = [searches[name].estimator.item_encoder for name in (TFIDF, LLM, BOTH)]
    assert len({encoder[0].template for encoder in encoders}) == 1
    alone = [str(encoder[1:]) for encoder in encoders[:2]]
    together = [str(step) for _, step in encoders[2][1].transformer_list]
    assert ["TfidfVectorizer" in text for text in [*alone, *together]] == [True, False, True, False]
    assert ["LLMTextEncoder" in text for text in [*alone, *together]] == [False, True, False, True]


def test_a_search_with_tfidf_runs_and_sees_the_table():
    data = JobData("x", X, None, BUNCH.item_table, None, "{title}", ["title"], "title", None, ["title"])
    options = Namespace(feedback="implicit", trials=2, k=5, seed=0, model="some-model", max_length=32, store=None)
    made = protocol("cold-items")
    search = make_estimators(data, options, made)[TFIDF]
    train, test = next(iter(made.outer.split(X)))
    search.fit(X.iloc[train], item_table=data.item_table)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert len(search.cv_results_["params"]) == 2
    ids, _ = search.best_estimator_.recommend(
        X["user_id"].iloc[train[:3]], 3, candidates=X["item_id"].iloc[test].unique()
    )
    assert pd.notna(ids).all()


def test_all_estimators_weigh_counts_alike():
    data = JobData("x", X, None, BUNCH.items, None, "{title}", ["title"], "title", None, ["title"])
    options = Namespace(feedback="implicit", trials=2, k=5, seed=0, model="some-model", max_length=32, store=None)
    options.weights = "bm25"
    for estimator in make_estimators(data, options, protocol("warm")).values():
        assert getattr(estimator, "estimator", estimator).weighter.method == "bm25"
