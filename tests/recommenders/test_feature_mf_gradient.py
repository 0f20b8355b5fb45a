"""Gradient solvers of FeatureMFRecommender: the minimum that least squares find, early stopping, dropout, features."""

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.pipeline import make_union
from sklearn.preprocessing import OneHotEncoder
from test_feature_mf import explicit_objective, implicit_objective
from test_feature_mf_fold_in import sizes_of, solve, tables

from skllmrec._kernels.neural import early_stopping
from skllmrec.datasets import load_interactions
from skllmrec.metrics import make_ranking_scorer
from skllmrec.model_selection import PerUserKFold
from skllmrec.recommenders import FeatureMFRecommender
from skllmrec.recommenders.feature_mf import _estimator, _gradient_descent

SOLVERS = ["adamw", "rmsprop", "sgd"]
FEEDBACKS = ["explicit", "implicit"]
USERS, ITEMS, WIDTH = 40, 14, 3
WORDS = np.array(["red apple", "ripe cherry", "deep ocean", "blue river"])


def make_rows(seed=0, n_users=USERS, n_items=ITEMS):
    """Interactions of two kinds of users and items, with a text and numbers that tell the kind of an item."""
    rng = np.random.default_rng(seed)
    users, items = np.nonzero(rng.random((n_users, n_items)) < 0.5)
    liked = users % 2 == items % 2
    y = np.where(liked, 4.0, 2.0) + rng.integers(-1, 2, len(users)) * 0.5
    titles = WORDS[2 * (np.arange(n_items) % 2) + rng.integers(0, 2, n_items)]
    frame = pd.DataFrame({"user": users, "item": items, "title": titles[items]})
    frame["kind"] = np.where(items % 2, "odd", "even")
    frame["size"] = (items % 2) + rng.normal(size=n_items)[items] / 10
    return frame, y


def fit(feedback, frame, y, **params):
    names = {"user": "user", "item": "item", "random_state": 0}
    return FeatureMFRecommender(WIDTH, **{**names, **params}, feedback=feedback).fit(frame, y)


def dense(frame, values):
    return sparse.coo_matrix((values, (frame["user"], frame["item"])), shape=(USERS, ITEMS)).toarray()


# -- the minimum ------------------------------------------------------------------------------------------------


def objective_of(recommender, frame, y, alpha, nu, a0):
    """The documented objective at the fitted factors, by sums over dense matrices."""
    p, q = (table.astype(float) for table in tables(recommender))
    if recommender.feedback == "implicit":
        return implicit_objective(p[:, :WIDTH], q[:, :WIDTH], dense(frame, y), alpha, a0, nu)
    units = np.append(np.full(WIDTH, y.std() ** 0.5), y.std())
    standardised = dense(frame, (y - y.mean()) / y.std())
    return explicit_objective(p / units, q / units, standardised, dense(frame, np.ones(len(y))), alpha, nu)


@pytest.mark.parametrize("feedback", FEEDBACKS)
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("seed", [0, 1])
def test_all_solvers_go_down_to_the_same_minimum(solver, feedback, seed):
    frame, y = make_rows(seed)
    settings = {"alpha": 0.1, "nu": 0.75, "unobserved_weight": 0.3}
    terms = frame, y, *settings.values()
    least = objective_of(fit(feedback, frame, y, max_iter=300, **settings), *terms)
    reached = objective_of(fit(feedback, frame, y, max_iter=150, solver=solver, **settings), *terms)
    unmoved = {"max_iter": 1, "learning_rate_init": 1e-9}
    start = objective_of(fit(feedback, frame, y, solver=solver, **unmoved, **settings), *terms)
    assert 0.99 * least < reached < least + 0.02 * (start - least)


@pytest.mark.parametrize("feedback", FEEDBACKS)
@pytest.mark.parametrize("solver", SOLVERS)
def test_priors_are_those_of_least_squares(solver, feedback):
    frame, y = make_rows(2)
    settings = {"item_features": ["size"], "feature_alpha": 0.3, "alpha": 0.5, "unobserved_weight": 1.0}
    rows = frame.drop_duplicates(["user", "item"])
    rows = pd.concat([rows, rows.assign(item=rows["item"] + 100)])  # known items, and new ones with their features
    predictions = {}
    for name, strength in ((solver, 1.0), ("als", 1.0), ("als", 0.0)):
        model = fit(feedback, frame, y, solver=name, prior_strength=strength, max_iter=200, **settings)
        predictions[name, strength] = model.predict(rows)
    reference = predictions["als", 1.0]
    effect = np.abs(predictions["als", 0.0] - reference).mean()
    assert effect > 0.1 * reference.std(), "priors have no effect here"
    assert np.abs(predictions[solver, 1.0] - reference).mean() < 0.05 * effect
    assert np.corrcoef(predictions[solver, 1.0], reference)[0, 1] > 0.999


@pytest.mark.parametrize("feedback", FEEDBACKS)
@pytest.mark.parametrize("solver", SOLVERS)
def test_sample_weights_are_repetitions(solver, feedback):
    frame, y = make_rows(3)
    weights = np.arange(len(y)) % 4
    rows = np.repeat(np.arange(len(y)), weights)
    settings = {"solver": solver, "item_features": ["size"], "max_iter": 3}
    names = {"user": "user", "item": "item", "random_state": 0, "feedback": feedback}
    weighted = FeatureMFRecommender(WIDTH, **names, **settings).fit(frame, y, sample_weight=weights)
    repeated = fit(feedback, frame.iloc[rows], y[rows], **settings)
    assert_allclose(weighted.predict(frame), repeated.predict(frame), rtol=1e-6)


# -- what only gradient descent has -------------------------------------------------------------------------------


@pytest.mark.parametrize("feedback", FEEDBACKS)
def test_early_stopping_keeps_the_best_epoch(feedback):
    frame, y = make_rows(4, n_users=200)
    settings = {"solver": "adamw", "alpha": 1e-3, "learning_rate": "constant", "learning_rate_init": 0.1}
    model = fit(feedback, frame, y, early_stopping=True, n_iter_no_change=3, max_iter=200, **settings)
    scores = [record["score"] for record in model.history_]
    assert [record["epoch"] for record in model.history_] == list(range(len(scores)))
    assert np.argmax(scores) == len(scores) - 4 and model.n_iter_ == len(scores) - 1 < 200
    best = fit(feedback, frame, y, early_stopping=True, max_iter=len(scores) - 4, **settings)
    assert_allclose(model.predict(frame), best.predict(frame), rtol=1e-5, err_msg="not the weights of the best epoch")


def test_held_out_score_is_minus_the_rmse_of_interactions_that_did_not_take_part(monkeypatch):
    frame, y = make_rows(5, n_users=200)
    parts = []

    def recording(weights, seed, fraction):
        parts.append(hold_out_entries(weights, seed, fraction))
        return parts[-1]

    hold_out_entries = early_stopping.hold_out_entries
    monkeypatch.setattr(early_stopping, "hold_out_entries", recording)
    settings = {"solver": "sgd", "max_iter": 4, "learning_rate": "constant"}
    model = fit("explicit", frame, y, early_stopping=True, n_iter_no_change=9, **settings)
    ((train, test),) = parts
    assert 0.05 < len(test) / len(y) < 0.15 and np.intersect1d(train, test).size == 0
    errors = (model.predict(frame.iloc[test]) - y[test]) / y.std()  # rows come sorted by user and item, as weights do
    assert_allclose(max(record["score"] for record in model.history_), -np.sqrt((errors**2).mean()), rtol=1e-6)


def test_too_little_to_hold_out_is_learned_in_full():
    frame, y = make_rows(6, n_users=10)
    assert_array_equal(
        fit("explicit", frame, y, solver="adamw", early_stopping=True).item_factors_,
        fit("explicit", frame, y, solver="adamw").item_factors_,
    )


@pytest.mark.parametrize("feedback", FEEDBACKS)
def test_dropout_shrinks_products_and_is_repeatable(feedback):
    frame, y = make_rows(7)
    settings = {"solver": "adamw", "alpha": 0.01, "unobserved_weight": 0.1}
    sizes = []
    for dropout in (0.0, 0.7):
        model = fit(feedback, frame, y, dropout=dropout, **settings)
        sizes.append(np.abs(model.user_factors_ @ model.item_factors_.T).mean())
        assert_array_equal(model.user_factors_, fit(feedback, frame, y, dropout=dropout, **settings).user_factors_)
    assert sizes[1] < 0.8 * sizes[0]


def test_parameters_reach_the_training(monkeypatch):
    frame, y = make_rows(8)
    recipes = []

    def recording(parameters, batches, loss, recipe, **options):
        recipes.append((recipe, len(batches(np.random.default_rng(0)))))
        return train(parameters, batches, loss, recipe, **options)

    train = _gradient_descent.train
    monkeypatch.setattr(_gradient_descent, "train", recording)
    own = {"batch_size": 50, "learning_rate": "cosine", "learning_rate_init": 0.25, "max_iter": 7}
    assert fit("explicit", frame, y, solver="rmsprop", **own).n_iter_ == 7
    recipe, n_batches = recipes.pop()
    assert (recipe.solver, recipe.learning_rate, recipe.learning_rate_init, recipe.max_iter) == (
        "rmsprop",
        "cosine",
        0.25,
        7,
    )
    assert n_batches == -(-len(y) // 50) and recipe.n_iter_no_change is None
    for solver, n_epochs in (("adamw", 30), ("rmsprop", 30), ("sgd", 60)):
        model = fit("implicit", frame, y, solver=solver)
        assert model.n_iter_ == recipes[-1][0].max_iter == n_epochs and len(model.history_) == n_epochs
    assert fit("implicit", frame, y).n_iter_ == 15


def test_the_random_state_of_the_caller_stays():
    frame, y = make_rows(9)
    before = torch.get_rng_state()
    models = [fit("explicit", frame, y, solver="adamw", dropout=0.2, random_state=seed) for seed in (0, 1)]
    assert_array_equal(torch.get_rng_state(), before)
    assert not np.allclose(models[0].user_factors_, models[1].user_factors_)


@pytest.mark.parametrize("feedback", FEEDBACKS)
def test_a_learning_rate_that_diverges_is_named_and_a_default_is_lowered(feedback, monkeypatch):
    frame, y = make_rows(10)
    with pytest.raises(ValueError, match=r"not finite|loss is (nan|inf).*lower the learning rate"):
        fit(feedback, frame, y, solver="sgd", learning_rate_init=100.0)
    monkeypatch.setitem(_gradient_descent.LEARNING_RATES, "sgd", (10.0, 10.0))
    assert np.isfinite(fit(feedback, frame, y, solver="sgd").predict(frame)).all()


def test_callback_can_stop_and_sees_the_present_factors():
    frame, y = make_rows(11)
    weights = sparse.csr_matrix(dense(frame, np.ones(len(y))))
    seen = []

    def callback(make_model):
        seen.append(make_model())
        return len(seen) == 3

    minimise = _gradient_descent.GradientDescent("adamw")
    options = {"n_components": WIDTH, "alpha": 0.1, "max_iter": 9, "callback": callback}
    model = _estimator.fit_feature_als(weights, minimise=minimise, **options)
    assert model.n_iter == 3 and [entry.n_iter for entry in seen] == [1, 2, 3]
    assert_array_equal(seen[-1].users.vectors, model.users.vectors)
    assert not np.allclose(seen[0].users.vectors, model.users.vectors)


def test_callback_is_told_once_of_each_epoch_though_a_divergence_starts_anew(monkeypatch):
    frame, y = make_rows(11)
    monkeypatch.setitem(_gradient_descent.LEARNING_RATES, "sgd", (2.0, 2.0))
    starts, told = [], []
    start_sides = _gradient_descent.start_sides
    monkeypatch.setattr(_gradient_descent, "start_sides", lambda *args: starts.append(start_sides(*args)))
    minimise = _gradient_descent.GradientDescent("sgd")
    weights = sparse.csr_matrix(dense(frame, np.ones(len(y))))
    options = {"n_components": WIDTH, "alpha": 0.1, "max_iter": 8}
    _estimator.fit_feature_als(
        weights, minimise=minimise, callback=lambda make_model: told.append(make_model().n_iter), **options
    )
    assert len(starts) > 1 and told == list(range(1, 9))


# -- fold-in and features -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("feedback", FEEDBACKS)
@pytest.mark.parametrize("solver", SOLVERS)
def test_new_user_is_solved_in_closed_form(solver, feedback, monkeypatch):
    frame, y = make_rows(12)
    monkeypatch.setattr("test_feature_mf_fold_in.USERS", USERS)
    model = fit(feedback, frame, y, solver=solver, alpha=0.1, nu=0.5, unobserved_weight=0.2, max_iter=5)
    _, items = tables(model)
    codes, ratings = np.array([2, 5, 9]), np.array([5.0, 1.0, 4.0])
    new = solve(
        feedback, items[:, :WIDTH], items[:, WIDTH], codes, ratings, model.mean_, y.std(), np.zeros(WIDTH + 1),
        sizes_of(feedback, frame, y, "user"),
    )  # fmt: skip
    model.partial_fit(pd.DataFrame({"user": 99, "item": codes, "title": "", "kind": "odd", "size": 0.0}), ratings)
    assert_allclose(np.append(model.user_factors_[-1], model.user_biases_[-1]), new, rtol=1e-4, atol=1e-6)


ENCODERS = {
    "union": ("title", make_union(TfidfVectorizer(), CountVectorizer(ngram_range=(2, 2)))),
    "columns": (
        ["title", "kind", "size"],
        make_column_transformer(
            (TfidfVectorizer(), "title"), (OneHotEncoder(), ["kind"]), remainder="passthrough", sparse_threshold=1.0
        ),
    ),
}


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("feedback", FEEDBACKS)
@pytest.mark.parametrize("solver", ["als", "adamw", "rmsprop"])
def test_several_blocks_of_features_stay_sparse_and_rank_new_items(solver, feedback, name, monkeypatch):
    seen = {}

    def recording(*args, **options):
        seen.update(options)
        return fit_feature_als(*args, **options)

    fit_feature_als = _estimator.fit_feature_als
    monkeypatch.setattr(_estimator, "fit_feature_als", recording)
    frame, y = make_rows(13)
    columns, encoder = ENCODERS[name]
    liked = y >= 3
    frame, y = (frame, y) if feedback == "explicit" else (frame[liked], y[liked])
    model = fit(feedback, frame, y, solver=solver, item_features=columns, item_encoder=encoder)
    assert sparse.issparse(seen["item_features"]) and seen["item_features"].shape[0] == ITEMS
    new = pd.DataFrame({"item": [100, 101], "title": [WORDS[0], WORDS[3]], "kind": ["even", "odd"], "size": [0.0, 1.0]})
    ids, scores = model.recommend([0, 1], n_items=2, candidates=new)
    assert_array_equal(ids[:, 0], [100, 101], err_msg="users of a kind like new items of that kind")
    assert (scores[:, 0] > scores[:, 1]).all()


# -- real data ----------------------------------------------------------------------------------------------------


@pytest.mark.realdata
@pytest.mark.parametrize("solver", ["adamw", "rmsprop"])
def test_gradient_solvers_come_close_to_least_squares_on_films(data_folder, solver):
    frame = load_interactions(data_folder / "ml_latest_small").frame
    frame = frame[frame.groupby("item_id")["user_id"].transform("size") >= 5].reset_index(drop=True)
    names = {"user": "user_id", "item": "item_id", "random_state": 0, "n_components": 32}
    train, test = next(PerUserKFold(5, user="user_id", random_state=0).split(frame))
    rmse, ndcg = {}, {}
    for name in ("als", solver):
        model = FeatureMFRecommender(**names, solver=name, feedback="explicit").fit(
            frame.iloc[train], frame["rating"].iloc[train]
        )
        rmse[name] = np.sqrt(((model.predict(frame.iloc[test]) - frame["rating"].iloc[test]) ** 2).mean())
        pairs = frame[["user_id", "item_id"]]  # every rating is an event here
        model.set_params(feedback="implicit", alpha=0.02).fit(pairs.iloc[train])
        ndcg[name] = make_ranking_scorer("ndcg", k=20)(model, pairs.iloc[test], None)
    assert rmse[solver] < rmse["als"] + 0.005
    assert ndcg[solver] > 0.97 * ndcg["als"]
