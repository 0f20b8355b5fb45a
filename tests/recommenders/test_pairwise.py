"""PairwiseRecommender against the same regressor fitted by hand on the pairs of features."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.tree import DecisionTreeRegressor

from skllmrec.recommenders import PairwiseRecommender

USERS, ITEMS = 7, 5


def make_frame(seed=0, n=60):
    """Ratings with repeated pairs; two numbers for each user and each item, and a title."""
    rng = np.random.default_rng(seed)
    users, items = rng.integers(USERS, size=n), rng.integers(ITEMS, size=n)
    x, z = rng.normal(size=(USERS, 2)), rng.normal(size=(ITEMS, 2))
    titles = np.array(["red sea", "blue sea", "red sun", "sun and sea", "blue"], dtype=object)
    columns = {"user": users, "item": items, "title": titles[items]}
    columns |= {f"x{j}": x[users, j] for j in range(2)} | {f"z{j}": z[items, j] for j in range(2)}
    y = (x[users] * z[items]).sum(axis=1) + 0.1 * rng.normal(size=n)
    return pd.DataFrame(columns), y


def mean_of_pairs(frame, y):
    """One row for each distinct pair: its columns, mean rating and number of rows."""
    grouped = frame.assign(y=y).groupby(["user", "item"], as_index=False)
    return grouped.first(), grouped["y"].mean()["y"].to_numpy(), grouped.size()["size"].to_numpy()


NAMES = {"user": "user", "item": "item"}
NUMBERS = {**NAMES, "user_features": ["x0", "x1"], "item_features": ["z0", "z1"]}


@pytest.mark.parametrize("regressor", [Ridge(alpha=0.5), DecisionTreeRegressor(max_depth=4, random_state=0)])
def test_features_side_by_side_with_their_product(regressor):
    frame, y = make_frame()
    pairs, ratings, counts = mean_of_pairs(frame, y)

    def design(rows):
        x, z = rows[["x0", "x1"]].to_numpy(), rows[["z0", "z1"]].to_numpy()
        return np.hstack([x, z, x * z])

    regressor.fit(design(pairs), ratings, sample_weight=counts)
    recommender = PairwiseRecommender(regressor, feedback="explicit", **NUMBERS).fit(frame, y)
    assert_allclose(recommender.predict(frame), regressor.predict(design(frame)))
    new = frame.assign(user=frame["user"] + 100, item=frame["item"] + 100)  # new ids with these features
    assert_allclose(recommender.predict(new), regressor.predict(design(new)))


def test_ids_are_coded_one_hot_beside_sparse_features():
    frame, y = make_frame(1)
    pairs, ratings, counts = mean_of_pairs(frame, y)
    titles = frame.groupby("item")["title"].first()
    tfidf = TfidfVectorizer().fit(titles)

    def design(rows):
        return sparse.hstack([sparse.csr_array(np.eye(USERS)[rows["user"]]), tfidf.transform(rows["title"])]).tocsr()

    ridge = Ridge(alpha=0.5).fit(design(pairs), ratings, sample_weight=counts)
    recommender = PairwiseRecommender(
        Ridge(alpha=0.5), **NAMES, item_features="title", item_encoder=TfidfVectorizer(), feedback="explicit"
    ).fit(frame, y)
    # the sparse solver of Ridge iterates until its tolerance
    assert_allclose(recommender.predict(frame), ridge.predict(design(frame)), rtol=1e-3, atol=1e-3)
    assert recommender.estimator_.n_features_in_ == USERS + len(tfidf.vocabulary_), "no product of unequal lengths"


def test_unknown_user_without_features_is_a_row_of_zeros():
    frame, y = make_frame(2)
    recommender = PairwiseRecommender(Ridge(alpha=0.5), feedback="explicit", **NAMES).fit(frame, y)
    items = frame["item"].to_numpy()
    expected = recommender.estimator_.intercept_ + recommender.estimator_.coef_[USERS + items]
    assert_allclose(recommender.predict(frame.assign(user=99)), expected)


def test_regressor_without_sample_weight_sees_rows_repeated():
    frame, y = make_frame(3)
    weights = np.arange(len(y)) % 3
    recommender = PairwiseRecommender(KNeighborsRegressor(3), feedback="explicit", **NUMBERS)
    repeated = np.repeat(np.arange(len(y)), weights)
    by_weight = recommender.fit(frame, y, sample_weight=weights).predict(frame)
    assert_allclose(by_weight, recommender.fit(frame.iloc[repeated], y[repeated]).predict(frame))
    with pytest.raises(ValueError, match=r"KNeighborsRegressor takes no sample_weight.*got 0\.5.*with sample_weight"):
        recommender.fit(frame, y, sample_weight=np.full(len(y), 0.5))


def test_recommend_is_the_order_of_predict():
    frame, y = make_frame(4)
    recommender = PairwiseRecommender(Ridge(), feedback="explicit", **NUMBERS).fit(frame, y)
    items = frame.drop_duplicates("item").sort_values("item")
    for user in range(USERS):
        rows = items.assign(user=user, **frame.loc[frame["user"] == user, ["x0", "x1"]].iloc[0])
        order = np.argsort(-recommender.predict(rows))
        ids, _ = recommender.recommend([user], n_items=ITEMS, exclude_seen=False)
        assert_array_equal(ids[0], rows["item"].to_numpy()[order])


def test_partial_fit_takes_in_features_but_does_not_retrain():
    frame, y = make_frame(5)
    recommender = PairwiseRecommender(Ridge(), feedback="explicit", **NUMBERS).fit(frame, y)
    coef = recommender.estimator_.coef_.copy()
    new = frame.iloc[:1].assign(item=77, z0=3.0)
    expected = recommender.predict(new)
    recommender.partial_fit(new, [1.0])
    assert_array_equal(recommender.estimator_.coef_, coef)
    assert recommender.items_[-1] == 77
    assert_allclose(recommender.predict(new.assign(z0=0.0)), expected, err_msg="the features are those of partial_fit")


# -- implicit feedback --------------------------------------------------------------------------------------------


def test_implicit_feedback_tells_what_users_had_from_what_was_drawn_for_them():
    frame, _ = make_frame(5, n=25)
    x = frame.groupby("user")[["x0", "x1"]].first()
    z = frame.groupby("item")[["z0", "z1"]].first()
    weights = 1.0 + np.arange(len(frame)) % 3
    weights[4] = 0.0
    summed = frame.assign(w=weights).groupby(["user", "item"])["w"].sum()
    users, items = (summed.index.get_level_values(side).to_numpy() for side in ("user", "item"))
    drawn = np.random.RandomState(3).randint(ITEMS, size=len(summed) * 2)
    had = set(zip(users, items, strict=True))
    negatives = [pair for pair in zip(np.repeat(users, 2), drawn, strict=True) if pair not in had]
    assert 0 < len(negatives) < 2 * len(summed), "some draws are what the user has"
    pairs = np.array([*zip(users, items, strict=True), *negatives])
    p, q = x.loc[pairs[:, 0]].to_numpy(), z.loc[pairs[:, 1]].to_numpy()
    targets = np.r_[summed.to_numpy() > 0, np.zeros(len(negatives))]
    counts = np.r_[np.where(summed > 0, summed, 1.0), np.ones(len(negatives))]
    ridge = Ridge(alpha=0.5).fit(np.hstack([p, q, p * q]), targets, sample_weight=counts)

    model = PairwiseRecommender(Ridge(alpha=0.5), **NUMBERS, n_negatives=2, random_state=3).fit(frame, weights)
    rows = frame[["x0", "x1"]].to_numpy(), frame[["z0", "z1"]].to_numpy()
    assert_allclose(model.predict(frame), ridge.predict(np.hstack([*rows, rows[0] * rows[1]])))


def test_implicit_feedback_ranks_what_similar_users_had_first():
    rows = [(user, item) for user in range(12) for item in range(10) if user % 2 == item % 2 and (user + item) % 4]
    frame = pd.DataFrame(rows, columns=["user", "item"]).assign(x=lambda f: f["user"] % 2, z=lambda f: f["item"] % 2)
    for regressor in (DecisionTreeRegressor(max_depth=4, random_state=0), KNeighborsRegressor(5)):
        model = PairwiseRecommender(regressor, **NAMES, user_features=["x"], item_features=["z"], random_state=0)
        ids, _ = model.fit(frame).recommend([0, 1], n_items=1)
        assert_array_equal(ids[:, 0] % 2, [0, 1])


def test_nothing_can_be_drawn_for_users_who_have_everything():
    frame = pd.DataFrame([(u, i) for u in range(3) for i in range(4)], columns=["user", "item"])
    model = PairwiseRecommender(Ridge(), **NAMES, random_state=0).fit(frame)
    assert_allclose(model.predict(frame), 1.0)
