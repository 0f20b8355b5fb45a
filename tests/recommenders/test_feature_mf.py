"""FeatureMFRecommender against its formulas, dense normal equations and a naive ALS."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from skllmrec.base import FeatureTable
from skllmrec.recommenders import FeatureMFRecommender

USERS, ITEMS, WIDTH = 20, 14, 3
FEEDBACKS = ["explicit", "implicit"]
NAMES = {"user": "user", "item": "item"}
WITH_FEATURES = {**NAMES, "item_features": ["z0", "z1"], "feature_alpha": 0.3}


def make_rows(seed=0, density=0.5):
    """Frame of interactions with two numbers for each item, and ratings (or weights) between 1 and 5."""
    rng = np.random.default_rng(seed)
    users, items = np.nonzero(rng.random((USERS, ITEMS)) < density)
    z = rng.normal(size=(ITEMS, 2))
    tastes = rng.normal(size=(USERS, 2))
    y = np.clip(3 + (tastes[users] * z[items]).sum(axis=1) + 0.3 * rng.normal(size=len(users)), 1, 5)
    return pd.DataFrame({"user": users, "item": items, "z0": z[items, 0], "z1": z[items, 1]}), y


def fit(feedback, frame, y, **params):
    recommender = FeatureMFRecommender(WIDTH, **{**NAMES, **params}, feedback=feedback, random_state=0)
    return recommender.fit(frame, y)


def dense(frame, values):
    return sparse.coo_matrix((values, (frame["user"], frame["item"])), shape=(USERS, ITEMS)).toarray()


# -- the formula of the score -----------------------------------------------------------------------------------


@pytest.mark.parametrize("feedback", FEEDBACKS)
def test_score_is_mean_and_biases_and_product(feedback):
    frame, y = make_rows()
    recommender = fit(feedback, frame, y)
    p, q = recommender.user_factors_, recommender.item_factors_
    scores = recommender.mean_ + recommender.user_biases_[:, None] + recommender.item_biases_ + p @ q.T
    assert_allclose(recommender.predict(frame), scores[frame["user"], frame["item"]], rtol=1e-6)
    if feedback == "explicit":
        assert_allclose(recommender.mean_, y.mean())
    else:
        assert recommender.mean_ == 0 and not recommender.user_biases_.any() and not recommender.item_biases_.any()
    ids, best = recommender.recommend(recommender.users_, n_items=ITEMS, exclude_seen=False)
    assert_array_equal(ids, np.argsort(-scores, axis=1))
    assert_allclose(best, -np.sort(-scores, axis=1), rtol=1e-5)


@pytest.mark.parametrize("feedback", FEEDBACKS)
def test_transform_sums_up_to_predict(feedback):
    frame, y = make_rows(1)
    recommender = fit(feedback, frame, y, **WITH_FEATURES)
    rows = pd.concat([frame, frame.iloc[:3].assign(item=99), frame.iloc[:3].assign(user=99)])
    parts = recommender.transform(rows)
    assert parts.shape == (len(rows), WIDTH + 2) and parts.dtype == np.float64
    assert_allclose(parts.sum(axis=1) + recommender.mean_, recommender.predict(rows), rtol=1e-6)
    p, q = recommender.user_factors_[frame["user"]], recommender.item_factors_[frame["item"]]
    assert_allclose(parts[: len(frame), :WIDTH], p * q, rtol=1e-6)
    assert_array_equal(recommender.get_feature_names_out(), ["factor0", "factor1", "factor2", "user_bias", "item_bias"])


def test_unknown_ids_without_features():
    frame, y = make_rows(2)
    explicit = fit("explicit", frame, y)
    unknown_item = explicit.predict(pd.DataFrame({"user": [4], "item": [99], "z0": [0.0], "z1": [0.0]}))
    assert_allclose(unknown_item, explicit.mean_ + explicit.user_biases_[4])
    implicit = fit("implicit", frame, y)
    scores = implicit.predict(pd.DataFrame({"user": 99, "item": range(ITEMS), "z0": 0.0, "z1": 0.0}))
    assert_allclose(scores, implicit.item_factors_ @ implicit.user_factors_.mean(axis=0), rtol=1e-5)


def test_similar_items_are_those_with_the_highest_cosine():
    frame, y = make_rows(3)
    recommender = fit("implicit", frame, y)
    q = recommender.item_factors_ / np.linalg.norm(recommender.item_factors_, axis=1, keepdims=True)
    cosines = q @ q.T
    np.fill_diagonal(cosines, -np.inf)
    ids, scores = recommender.similar_items(np.arange(ITEMS), n_items=3)
    assert_array_equal(ids, np.argsort(-cosines, axis=1)[:, :3])
    assert_allclose(scores, -np.sort(-cosines, axis=1)[:, :3], rtol=1e-5)


def strengths(counts, nu):
    """Relative strengths of the regularisation of rows: powers of their sizes, rescaled to the mean of the sizes."""
    return counts**nu * counts.mean() / (counts**nu).mean()


# -- features ---------------------------------------------------------------------------------------------------


def ridge_map(recommender, z, weights, new):
    """Factors and bias of new items: weighted ridge of those of the known ones on their features, with a constant."""
    targets = np.column_stack([recommender.item_factors_[: len(z)], recommender.item_biases_[: len(z)]])
    centre, mean = weights @ z / weights.sum(), weights @ targets / weights.sum()
    rooted = np.sqrt(weights)[:, None] * (z - centre)
    unit = (np.linalg.svd(rooted, compute_uv=False) ** 2).mean()
    gram = rooted.T @ rooted + recommender.feature_alpha * unit * np.eye(z.shape[1])
    coef = np.linalg.solve(gram, rooted.T @ (np.sqrt(weights)[:, None] * (targets - mean)))
    return mean + (new - centre) @ coef


@pytest.mark.parametrize("feedback", FEEDBACKS)
@pytest.mark.parametrize(("prior_strength", "nu"), [(0.0, 1.0), (1.0, 1.0), (0.5, 0.5)])
def test_new_item_is_the_ridge_map_of_its_features(feedback, prior_strength, nu):
    frame, y = make_rows(4)
    params = {**WITH_FEATURES, "prior_strength": prior_strength, "nu": nu, "unobserved_weight": 0.1}
    recommender = fit(feedback, frame, y, **params)
    z = frame.drop_duplicates("item").sort_values("item")[["z0", "z1"]].to_numpy()
    counts = dense(frame, np.ones(len(y)) if feedback == "explicit" else y).sum(axis=0)
    weights = strengths(counts if feedback == "explicit" else counts + 0.1 * USERS, nu)
    new = np.array([[0.5, -2.0], [1.0, 1.0]])
    vectors = ridge_map(recommender, z, weights, new)
    expected = recommender.mean_ + recommender.user_biases_[3] + vectors[:, WIDTH]
    expected += vectors[:, :WIDTH] @ recommender.user_factors_[3]
    rows = pd.DataFrame({"user": 3, "item": [98, 99], "z0": new[:, 0], "z1": new[:, 1]})
    assert_allclose(recommender.predict(rows), expected, rtol=1e-4)


@pytest.mark.parametrize("feedback", FEEDBACKS)
def test_items_that_only_a_table_holds_are_the_map_of_their_features(feedback):
    frame, y = make_rows(5)
    z = frame.drop_duplicates("item").sort_values("item")[["z0", "z1"]].to_numpy()
    new = np.array([[0.5, -2.0], [1.0, 1.0]])
    table = pd.DataFrame(np.vstack([z, new]), columns=["z0", "z1"]).assign(item=np.r_[np.arange(ITEMS), 98, 99])
    recommender = FeatureMFRecommender(WIDTH, **WITH_FEATURES, feedback=feedback, random_state=0)
    recommender.fit(frame[["user", "item"]], y, item_table=FeatureTable(table.iloc[::-1], key="item"))
    assert_array_equal(recommender.items_, [*range(ITEMS), 98, 99])
    assert recommender.seen_.shape == (USERS, ITEMS + 2) and recommender.item_factors_.shape == (ITEMS + 2, WIDTH)
    without = fit(feedback, frame, y, **WITH_FEATURES)
    assert_allclose(recommender.item_factors_[:ITEMS], without.item_factors_, err_msg="the cold items took part")
    rows = pd.DataFrame({"user": 3, "item": [98, 99], "z0": new[:, 0], "z1": new[:, 1]})
    assert_allclose(recommender.predict(rows[["user", "item"]]), without.predict(rows), rtol=1e-5)


def test_item_with_few_ratings_stays_near_its_prior_and_one_with_many_leaves_it():
    frame, y = make_rows(6, density=0.9)
    odd = frame["item"] == 0
    y = np.where(odd, 6 - y, y)  # item 0 is liked by those who dislike what its features say
    distances = []
    for n_ratings in (1, odd.sum()):
        kept = ~odd | (odd.cumsum() <= n_ratings)
        params = {**WITH_FEATURES, "prior_strength": 1.0, "alpha": 3.0, "nu": 0.0}  # nu=1 follows the counts
        recommender = fit("explicit", frame[kept], y[kept], **params)
        item = frame[odd].iloc[:1]
        twin = item.assign(item=99)  # new, with the same features
        distances.append(abs(recommender.predict(item) - recommender.predict(twin))[0])
    assert distances[0] < 0.5 * distances[1]


# -- weights and fits -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("feedback", FEEDBACKS)
def test_sample_weights_are_repetitions(feedback):
    frame, y = make_rows(7)
    weights = np.arange(len(y)) % 4
    rows = np.repeat(np.arange(len(y)), weights)
    weighted = FeatureMFRecommender(WIDTH, **WITH_FEATURES, feedback=feedback, random_state=0)
    weighted.fit(frame, y, sample_weight=weights)
    repeated = fit(feedback, frame.iloc[rows], y[rows], **WITH_FEATURES)
    assert_allclose(weighted.predict(frame), repeated.predict(frame), rtol=1e-6)


def test_implicit_without_y_is_all_ones():
    frame, y = make_rows(8)
    assert_array_equal(
        fit("implicit", frame, None).item_factors_, fit("implicit", frame, np.ones(len(y))).item_factors_
    )


def test_same_seed_same_factors():
    frame, y = make_rows(9)
    fits = [fit("explicit", frame, y) for _ in range(2)]
    assert_array_equal(fits[0].user_factors_, fits[1].user_factors_)
    other = FeatureMFRecommender(WIDTH, feedback="explicit", **NAMES, random_state=1).fit(frame, y)
    assert not np.allclose(other.user_factors_, fits[0].user_factors_)


@pytest.mark.parametrize("feedback", FEEDBACKS)
def test_tol_stops_early(feedback):
    frame, y = make_rows(10)
    assert fit(feedback, frame, y).n_iter_ == 15
    assert fit(feedback, frame, y, tol=0.1, max_iter=50).n_iter_ < 50


# -- naive alternating least squares ----------------------------------------------------------------------------


def naive_implicit(p, q, weights, alpha, a0, nu, n_sweeps):
    """Sweeps of dense ALS on Rendle's objective: all entries, one solve for each row; returns the factors."""
    p, q = p.copy(), q.copy()
    for _ in range(n_sweeps):
        for own, other, w in ((p, q, weights), (q, p, weights.T)):
            ridge = alpha * strengths(w.sum(axis=1) + a0 * len(other), nu)
            for row in range(len(own)):
                left = (other.T * (w[row] + a0)) @ other + ridge[row] * np.eye(WIDTH)
                own[row] = np.linalg.solve(left, other.T @ w[row])
    return p, q


def implicit_objective(p, q, weights, alpha, a0, nu):
    scores = p @ q.T
    value = (weights * (scores - 1) ** 2).sum() + a0 * (scores**2).sum()
    for own, w in ((p, weights), (q, weights.T)):
        value += alpha * (strengths(w.sum(axis=1) + a0 * w.shape[1], nu) * (own**2).sum(axis=1)).sum()
    return value


def naive_explicit(users, items, ratings, observed, alpha, nu, n_sweeps):
    """Sweeps of dense ALS on standardised ratings, factors and bias of a row solved together; returns the tables."""
    sides = users.copy(), items.copy()
    for _ in range(n_sweeps):
        for turn in (0, 1):
            own, other = sides[turn], sides[1 - turn]
            r, w = (ratings, observed) if turn == 0 else (ratings.T, observed.T)
            design = np.column_stack([other[:, :WIDTH], np.ones(len(other))])
            ridge = alpha * strengths(w.sum(axis=1), nu)
            for row in range(len(own)):
                left = (design.T * w[row]) @ design + ridge[row] * np.eye(WIDTH + 1)
                own[row] = np.linalg.solve(left, design.T @ (w[row] * (r[row] - other[:, WIDTH])))
    return sides


def explicit_objective(users, items, ratings, observed, alpha, nu):
    errors = ratings - users[:, WIDTH:] - items[:, WIDTH] - users[:, :WIDTH] @ items[:, :WIDTH].T
    value = (observed * errors**2).sum()
    for side, w in ((users, observed), (items, observed.T)):
        value += alpha * (strengths(w.sum(axis=1), nu) * (side**2).sum(axis=1)).sum()
    return value


@pytest.mark.parametrize("feedback", FEEDBACKS)
@pytest.mark.parametrize(("seed", "nu"), [(0, 1.0), (1, 0.75), (2, 0.5)])
def test_fit_reaches_a_minimum_of_the_documented_objective(feedback, seed, nu):
    frame, y = make_rows(seed)
    if feedback == "implicit":
        terms = dense(frame, y), 0.05, 0.3, nu
        params, naive, objective = {"alpha": 0.05, "unobserved_weight": 0.3}, naive_implicit, implicit_objective
    else:  # the unit of an explicit fit is the standard deviation of the ratings
        terms = dense(frame, (y - y.mean()) / y.std()), dense(frame, np.ones(len(y))), 0.1, nu
        params, naive, objective = {"alpha": 0.1}, naive_explicit, explicit_objective
    recommender = fit(feedback, frame, y, nu=nu, max_iter=500, **params)
    sides = recommender.user_factors_.astype(float), recommender.item_factors_.astype(float)
    if feedback == "explicit":
        biases = recommender.user_biases_, recommender.item_biases_
        sides = [np.column_stack([f / y.std() ** 0.5, b / y.std()]) for f, b in zip(sides, biases, strict=True)]
    reached = objective(*sides, *terms)
    assert objective(*naive(*sides, *terms, n_sweeps=3), *terms) > reached * (1 - 1e-4), "not at a minimum"
    rng = np.random.default_rng(seed)
    starts = [rng.normal(size=side.shape) / 10 for side in sides]
    assert reached < 1.02 * objective(*naive(*starts, *terms, n_sweeps=200), *terms), "a naive ALS gets lower"
