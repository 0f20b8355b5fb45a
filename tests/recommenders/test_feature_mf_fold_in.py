"""partial_fit of FeatureMFRecommender against dense normal equations."""

import copy
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skllmrec.recommenders import FeatureMFRecommender

USERS, ITEMS, WIDTH = 20, 14, 3
FEEDBACKS = ["explicit", "implicit"]
ALPHA, A0 = 0.1, 0.2
NU = 0.5


def make_rows(seed):
    """Interactions of 20 users with 14 items, two numbers for each item, ratings or weights between 1 and 5."""
    rng = np.random.default_rng(seed)
    users, items = np.nonzero(rng.random((USERS, ITEMS)) < 0.5)
    z = rng.normal(size=(ITEMS + 2, 2))
    frame = pd.DataFrame({"user": users, "item": items, "z0": z[items, 0], "z1": z[items, 1]})
    return frame, rng.integers(2, 10, len(users)) / 2, z


def fit(feedback, frame, y, **params):
    recommender = FeatureMFRecommender(
        WIDTH, user="user", item="item", feedback=feedback, alpha=ALPHA, nu=NU, unobserved_weight=A0,
        random_state=0, **params,
    )  # fmt: skip
    return recommender.fit(frame, y)


def ridge_of(size, sizes):
    """Strength of the regularisation of a row; `sizes` are those of all rows of its side in fit."""
    return ALPHA * size**NU * sizes.mean() / (sizes**NU).mean()


def solve(feedback, factors, biases, codes, y, mean, scale, prior, sizes):
    """Factors and bias of one row from its interactions `codes`, all else fixed: the minimum of its objective."""
    n, others = len(codes), factors.astype(float)
    if feedback == "implicit":
        ridge = ridge_of(y.sum() + A0 * len(others), sizes)
        left = A0 * others.T @ others + (others[codes].T * y) @ others[codes] + ridge * np.eye(WIDTH)
        return np.append(np.linalg.solve(left, others[codes].T @ y + ridge * prior[:WIDTH]), 0)
    # in units of the ratings: the ridge of factors is scaled by the standard deviation of all ratings
    ridge = ridge_of(n, sizes) * np.append(np.full(WIDTH, scale), 1)
    design = np.column_stack([others[codes], np.ones(n)])
    right = design.T @ (y - mean - biases[codes]) + ridge * prior
    return np.linalg.solve(design.T @ design + np.diag(ridge), right)


def sizes_of(feedback, frame, y, side):
    """Sizes of the rows of a side in fit: numbers of ratings, or weights and what is unobserved."""
    counts = np.bincount(frame[side], weights=None if feedback == "explicit" else y).astype(float)
    return counts if feedback == "explicit" else counts + A0 * (ITEMS if side == "user" else USERS)


def tables(recommender):
    return [
        np.column_stack([getattr(recommender, f"{side}_factors_"), getattr(recommender, f"{side}_biases_")])
        for side in ("user", "item")
    ]


@pytest.mark.parametrize("feedback", FEEDBACKS)
@pytest.mark.parametrize("seed", [0, 1])
def test_new_user_then_the_items_they_touched(feedback, seed):
    frame, y, _ = make_rows(seed)
    recommender = fit(feedback, frame, y)
    users, items = tables(recommender)
    codes, ratings = np.array([2, 5, 9]), np.array([5.0, 1.0, 4.0])
    recommender.partial_fit(pd.DataFrame({"user": 99, "item": codes, "z0": 0.0, "z1": 0.0}), ratings)
    mean, scale, nothing = recommender.mean_, y.std(), np.zeros(WIDTH + 1)
    of_users, of_items = (sizes_of(feedback, frame, y, side) for side in ("user", "item"))
    new = solve(feedback, items[:, :WIDTH], items[:, WIDTH], codes, ratings, mean, scale, nothing, of_users)
    users_after, items_after = tables(recommender)
    assert_array_equal(users_after[:USERS], users, err_msg="other users changed")
    assert_allclose(users_after[USERS], new, rtol=1e-3, atol=1e-5)
    untouched = np.setdiff1d(np.arange(ITEMS), codes)
    assert_array_equal(items_after[untouched], items[untouched], err_msg="other items changed")
    for code, rating in zip(codes, ratings, strict=True):
        raters = np.append(frame["user"][frame["item"] == code], USERS)
        given = np.append(y[frame["item"] == code], rating)
        args = users_after[:, :WIDTH], users_after[:, WIDTH], raters, given, mean, scale, nothing, of_items
        assert_allclose(items_after[code], solve(feedback, *args), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("feedback", FEEDBACKS)
def test_new_item_is_drawn_to_what_its_features_predict(feedback):
    frame, y, z = make_rows(2)
    recommender = fit(feedback, frame, y, item_features=["z0", "z1"])
    new = pd.DataFrame({"user": 3, "item": [98, 99], "z0": z[ITEMS:, 0], "z1": z[ITEMS:, 1]})
    before = recommender.predict(new)
    users, _ = tables(recommender)
    priors = recommender._predicted("item", z[ITEMS:], 2)
    recommender.partial_fit(new.iloc[:1], [5.0])
    assert_array_equal(recommender.items_[ITEMS:], [98])
    expected = solve(
        feedback,
        tables(recommender)[0][:, :WIDTH],
        tables(recommender)[0][:, WIDTH],
        np.array([3]),
        np.array([5.0]),
        recommender.mean_,
        y.std(),
        priors[0],
        sizes_of(feedback, frame, y, "item"),
    )
    assert_allclose(tables(recommender)[1][ITEMS], expected, rtol=1e-3, atol=1e-4)
    assert recommender.predict(new)[0] != before[0], "its first rating says something"
    others = np.delete(users, 3, axis=0)
    assert_array_equal(np.delete(tables(recommender)[0], 3, axis=0), others)


@pytest.mark.parametrize("feedback", FEEDBACKS)
def test_known_pair_rated_again_counts_both(feedback):
    frame, y, _ = make_rows(3)
    recommender = fit(feedback, frame, y)
    pair = frame.iloc[:1]
    recommender.partial_fit(pair, [5.0])
    user, item = pair[["user", "item"]].iloc[0]
    assert recommender.seen_[user, item] == (2.0 if feedback == "explicit" else y[0] + 5)
    assert recommender.seen_.nnz == len(y)


@pytest.mark.parametrize("feedback", FEEDBACKS)
def test_in_two_steps_nearly_as_in_one(feedback):
    frame, y, _ = make_rows(4)
    late = frame["user"] >= USERS - 3
    recommender = fit(feedback, frame[~late], y[~late]).partial_fit(frame[late], y[late])
    together = fit(feedback, frame, y)
    rows = frame[late]
    assert np.corrcoef(recommender.predict(rows), together.predict(rows))[0, 1] > 0.7
    assert_array_equal(recommender.users_, together.users_)


def test_order_of_the_rows_of_one_call_does_not_matter():
    frame, y, _ = make_rows(5)
    late = np.flatnonzero(frame["user"] >= USERS - 3)
    shuffled = np.random.default_rng(0).permutation(late)
    early = frame["user"] < USERS - 3
    fits = [fit("explicit", frame[early], y[early]).partial_fit(frame.iloc[rows], y[rows]) for rows in (late, shuffled)]
    assert_allclose(fits[0].predict(frame), fits[1].predict(frame))


def test_a_shallow_copy_that_folds_in_leaves_the_original_as_it_was():
    frame, _, z = make_rows(0)
    one, other = (fit("implicit", frame, None, item_features=["z0", "z1"], prior_strength=0.75) for _ in range(2))
    new = pd.DataFrame({"user": [0, 1], "item": [50, 50], "z0": z[0, 0], "z1": z[0, 1]})
    copy.copy(one).partial_fit(new.assign(item=51, z0=3.0))
    one.partial_fit(new), other.partial_fit(new)
    assert_array_equal(one.item_factors_, other.item_factors_)


@pytest.mark.parametrize("feedback", FEEDBACKS)
def test_a_list_for_one_user_does_not_copy_the_factors_of_all(feedback):
    rng = np.random.default_rng(0)
    users = np.arange(5000)
    X = np.column_stack([np.tile(users, 2), rng.integers(0, 20, 10_000)])
    recommender = FeatureMFRecommender(32, feedback=feedback, alpha=ALPHA, max_iter=1, random_state=0)
    recommender.fit(X, rng.integers(1, 3, len(X)))
    for call in (lambda: recommender.recommend([7], 2), lambda: recommender.predict(X[:1])):
        call()  # makes the look-up of ids
        tracemalloc.start()
        call()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < recommender.user_factors_.nbytes / 2


def test_what_an_unknown_user_gets_follows_a_fold_in():
    frame, _, _ = make_rows(0)
    recommender = fit("implicit", frame, None)
    recommender.partial_fit(pd.DataFrame({"user": [0, 77], "item": [3, 4], "z0": 0.0, "z1": 0.0}))
    scores = recommender.recommend([99], n_items=ITEMS, candidates=recommender.items_)[1][0]
    expected = recommender.item_factors_ @ recommender.user_factors_.mean(axis=0)
    assert_allclose(scores, np.sort(expected)[::-1], rtol=1e-5)
