"""FeatureMFRecommender with a language model inside everything that scikit-learn puts around an estimator."""

import numpy as np
import polars as pl
import pytest
from integration_data import N_ITEMS, llm, make_frame, make_recommender
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import loguniform
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor, make_column_selector
from sklearn.ensemble import StackingRegressor
from sklearn.experimental import enable_halving_search_cv  # noqa: F401 - makes the next import work
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.inspection import permutation_importance
from sklearn.linear_model import Ridge
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    KFold,
    RandomizedSearchCV,
    cross_validate,
    learning_curve,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from skllmrec.base import FeatureTable
from skllmrec.encoders import LLMTextEncoder
from skllmrec.metrics import make_ranking_scorer
from skllmrec.model_selection import ColdItemKFold
from skllmrec.preprocessing import TextTemplate
from skllmrec.recommenders import FeatureMFRecommender, PopularityRecommender

FRAME, Y = make_frame()


@pytest.fixture
def recommender(tiny_bert):
    return make_recommender(llm(tiny_bert))


# -- searches and curves ----------------------------------------------------------------------------------------


def test_grid_search_over_nested_parameters_and_encoders(recommender, tiny_bert):
    tfidf = make_pipeline(TextTemplate("{title}. {genre}"), TfidfVectorizer())
    grid = [
        {"item_encoder": [tfidf], "item_encoder__tfidfvectorizer__ngram_range": [(1, 1), (1, 2)]},
        {"item_encoder": [llm(tiny_bert)], "item_encoder__llmtextencoder__pooling": ["mean", "cls"]},
    ]
    search = GridSearchCV(recommender, grid, cv=3, scoring="neg_root_mean_squared_error").fit(FRAME, Y)
    scores = search.cv_results_["mean_test_score"]
    assert scores.shape == (4,) and np.isfinite(scores).all()
    assert len(set(scores.round(9))) == 4, "every candidate encodes in its own way"
    ids, _ = search.best_estimator_.recommend(FRAME["user_id"][:3], n_items=2)
    assert ids.shape == (3, 2)
    # by hand: the first fold of the candidate with pooling="cls"
    train, test = next(KFold(3).split(FRAME))
    by_hand = clone(recommender).set_params(item_encoder__llmtextencoder__pooling="cls")
    error = by_hand.fit(FRAME.iloc[train], Y[train]).predict(FRAME.iloc[test]) - Y[test]
    assert_allclose(search.cv_results_["split0_test_score"][3], -np.sqrt((error**2).mean()), rtol=1e-5)


def test_halving_grid_search(recommender):
    grid = {"item_encoder__llmtextencoder__pooling": ["mean", "max", "cls"], "n_components": [2, 4]}
    search = HalvingGridSearchCV(recommender, grid, cv=2, min_resources=60, random_state=0).fit(FRAME, Y)
    assert search.n_iterations_ == 2 and np.isfinite(search.best_score_)


def test_randomized_search_with_a_ranking_scorer(recommender):
    search = RandomizedSearchCV(
        recommender.set_params(feedback="implicit"),
        {"alpha": loguniform(1e-3, 1), "item_encoder__embeddingwhitener__n_components": [2, 3, 4]},
        n_iter=3,
        cv=3,
        scoring=make_ranking_scorer("recall", k=3),
        random_state=0,
    ).fit(FRAME, (Y >= 4).astype(float))
    assert 0 < search.best_score_ <= 1
    assert search.score(FRAME, (Y >= 4).astype(float)) == 0, "seen items cannot be hits"


def test_cross_validate_with_many_metrics_on_cold_items(recommender):
    scoring = {
        "ndcg": make_ranking_scorer("ndcg", k=3, threshold=4, candidates="test"),
        "coverage": make_ranking_scorer("coverage", k=3, threshold=4, candidates="test"),
        "rmse": "neg_root_mean_squared_error",
    }
    scores = cross_validate(recommender, FRAME, Y, cv=ColdItemKFold(3, random_state=0), scoring=scoring)
    for name in scoring:
        assert np.isfinite(scores[f"test_{name}"]).all(), name
    assert (scores["test_ndcg"] > 0).all() and (scores["test_coverage"] > 0).all()


def test_learning_curve(recommender):
    sizes, train, test = learning_curve(recommender, FRAME, Y, cv=3, train_sizes=[0.5, 1.0], scoring="r2")
    assert len(sizes) == 2 and np.isfinite(test).all()
    assert (train > test).all(), "the rows of the fit are predicted better than others"


# -- estimators around it ---------------------------------------------------------------------------------------


def test_stacking(recommender):
    stack = StackingRegressor(
        [("mf", recommender), ("popular", PopularityRecommender(user="user_id", item="item_id", feedback="explicit"))],
        Ridge(),
        cv=3,
    ).fit(FRAME, Y)
    assert stack.transform(FRAME).shape == (len(FRAME), 2)
    assert_allclose(stack.transform(FRAME)[:, 0], clone(recommender).fit(FRAME, Y).predict(FRAME))
    assert np.isfinite(stack.predict(FRAME)).all()


def test_transformed_target(recommender):
    model = TransformedTargetRegressor(recommender, func=np.log1p, inverse_func=np.expm1).fit(FRAME, Y)
    assert_allclose(model.predict(FRAME), np.expm1(clone(recommender).fit(FRAME, np.log1p(Y)).predict(FRAME)))


def test_permutation_importance(recommender):
    result = permutation_importance(recommender.fit(FRAME, Y), FRAME, Y, n_repeats=3, random_state=0)
    importance = dict(zip(FRAME.columns, result.importances_mean, strict=True))
    assert importance["user_id"] > 0.01 and importance["item_id"] > 0.01
    assert importance["title"] == importance["year"] == 0, "the features of known items are read once, in fit"


def test_outer_pipeline_with_selected_columns(recommender, tiny_bert):
    columns = ColumnTransformer(
        [
            ("ids", "passthrough", ["user_id", "item_id"]),
            ("year", StandardScaler(), ["year"]),
            ("genre", OneHotEncoder(sparse_output=False), ["genre"]),
            ("text", LLMTextEncoder(tiny_bert), "title"),
        ],
        verbose_feature_names_out=False,
    ).set_output(transform="pandas")
    pipeline = make_pipeline(
        columns,
        FeatureMFRecommender(
            4,
            user="user_id",
            item="item_id",
            item_features=make_column_selector(pattern="year|genre|llmtextencoder"),
            max_iter=3,
            random_state=0,
            feedback="explicit",
        ),
    ).fit(FRAME, Y)
    known = pipeline[:-1].transform(FRAME)
    assert_array_equal(known.filter(regex="year|genre|llm").shape, (len(FRAME), 1 + 3 + 16))
    assert np.isfinite(pipeline.predict(FRAME)).all()
    new = pipeline[:-1].transform(FRAME.iloc[:4].assign(item_id=[50, 51, 52, 53], title=["red", "", "sea", "a star"]))
    ids, scores = pipeline[-1].recommend(known["user_id"][:2], n_items=4, candidates=new)
    assert_array_equal(np.sort(ids, axis=1), [[50, 51, 52, 53]] * 2)
    assert len(np.unique(scores[0])) == 4, "the text of new items tells them apart"
    scores = cross_validate(pipeline, FRAME, Y, cv=3, scoring=make_ranking_scorer("ndcg", threshold=4))
    assert (scores["test_score"] > 0).all()


def test_recommender_inside_a_pipeline_of_frames(recommender):
    pipeline = make_pipeline(FunctionTransformer(lambda frame: frame.assign(title=frame["title"].str.upper())))
    pipeline.steps.append(("recommender", recommender))
    upper = FRAME.assign(title=FRAME["title"].str.upper())
    assert_allclose(pipeline.fit(FRAME, Y).predict(FRAME), clone(recommender).fit(upper, Y).predict(upper))
    search = GridSearchCV(pipeline, {"recommender__item_encoder__llmtextencoder__layer": [1, 2]}, cv=2).fit(FRAME, Y)
    assert np.isfinite(search.best_score_)


# -- containers -------------------------------------------------------------------------------------------------


def test_polars_and_arrays_equal_pandas(recommender):
    frames = {"pandas": FRAME, "polars": pl.DataFrame(FRAME.to_dict("list"))}
    results = {}
    for name, frame in frames.items():
        model = clone(recommender).fit(frame, Y)
        results[name] = model.predict(frame), *model.recommend(frame[:5], n_items=4)
    array = FRAME.to_numpy(dtype=object)
    by_position = clone(recommender).set_params(
        user=0, item=1, item_features=[2, 3], item_encoder__texttemplate__template="{0}. {1}"
    )
    model = by_position.fit(array, Y)
    results["array"] = model.predict(array), *model.recommend(array[:5], n_items=4)
    for name in ("polars", "array"):
        for value, expected in zip(results[name], results["pandas"], strict=True):
            assert_allclose(value.astype(float), expected.astype(float), rtol=1e-6, err_msg=name)
    search = GridSearchCV(recommender, {"n_components": [2, 3]}, cv=3).fit(frames["polars"], Y)
    expected = GridSearchCV(recommender, {"n_components": [2, 3]}, cv=3).fit(FRAME, Y)
    assert_allclose(search.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"], rtol=1e-5)


def test_global_pandas_output_changes_nothing_but_the_container(recommender):
    tfidf = make_recommender(make_pipeline(TextTemplate("{title}. {genre}"), TfidfVectorizer()))
    for model in (recommender, tfidf):
        expected = clone(model).fit(FRAME, Y)
        with config_context(transform_output="pandas"):
            other = clone(model).fit(FRAME, Y)
            assert_allclose(other.predict(FRAME), expected.predict(FRAME))
            parts = other.transform(FRAME)
        assert list(parts.columns) == [*(f"factor{j}" for j in range(4)), "user_bias", "item_bias"]
        assert_array_equal(parts.index, FRAME.index)
        assert_allclose(parts.to_numpy(), expected.transform(FRAME))
    vocabulary = tfidf.fit(FRAME, Y).item_encoder_[-1].vocabulary_
    assert "submarine" in vocabulary and "title" not in vocabulary, "TF-IDF learned the name of the column"
    frame = expected.set_output(transform="polars").transform(FRAME)
    assert isinstance(frame, pl.DataFrame)


# -- catalogues -------------------------------------------------------------------------------------------------


def catalogue():
    """All items of the frame, and three that nobody has rated."""
    items = FRAME.drop_duplicates("item_id")[["item_id", "title", "genre"]]
    new = items.iloc[:3].assign(item_id=[50, 51, 52], title=["A cook at sea", "The red robot", "Star wedding"])
    return FeatureTable(pl.DataFrame({name: [*items[name], *new[name]] for name in items}), key="item_id")


def assert_knows_the_catalogue(model):
    assert_array_equal(model.items_, [*range(N_ITEMS), 50, 51, 52])
    _, scores = model.recommend(FRAME["user_id"][:2], n_items=3, candidates=[50, 51, 52])
    assert np.isfinite(scores).all() and len(np.unique(scores[0])) == 3


@pytest.mark.parametrize("routing", [True, False])
def test_catalogue_reaches_the_recommender(recommender, routing):
    table = catalogue()
    with config_context(enable_metadata_routing=routing):
        if routing:
            recommender.set_fit_request(item_table=True)
        search = GridSearchCV(recommender, {"n_components": [2, 3]}, cv=3).fit(FRAME, Y, item_table=table)
        assert_knows_the_catalogue(search.best_estimator_)
        pipeline = Pipeline([("same", FunctionTransformer()), ("recommender", recommender)])
        name = "item_table" if routing else "recommender__item_table"
        assert_knows_the_catalogue(pipeline.fit(FRAME, Y, **{name: table})[-1])
        scores = cross_validate(recommender, FRAME, Y, cv=3, params={"item_table": table}, error_score="raise")
        assert np.isfinite(scores["test_score"]).all()


def test_sample_weight_is_routed(recommender):
    weights = np.arange(len(Y)) % 3.0
    with config_context(enable_metadata_routing=True):
        model = make_pipeline(FunctionTransformer(), recommender.set_fit_request(sample_weight=True))
        model.fit(FRAME, Y, sample_weight=weights)
    assert_allclose(model.predict(FRAME), clone(recommender).fit(FRAME, Y, sample_weight=weights).predict(FRAME))
