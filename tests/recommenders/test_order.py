"""Histories that fade: what a user did last counts most."""

import joblib
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone

from skllmrec import (
    BlendRecommender,
    FeatureMFRecommender,
    LinearAutoencoderRecommender,
    MarkovRecommender,
    NeighborsRecommender,
    PopularityRecommender,
)
from skllmrec._kernels.item_item.recency import ages_of, merged_ages
from skllmrec._kernels.selection.held_out import hold_out_last

IDS = {"user": "user", "item": "item"}
FADING = {
    "neighbors": NeighborsRecommender(**IDS, shrinkage=1.0),
    "autoencoder": LinearAutoencoderRecommender(**IDS, alpha=5.0, popularity_exponent=0.1),
    "factors": FeatureMFRecommender(4, **IDS, alpha=0.02, prior_strength=0.0, max_iter=3, random_state=0),
}


@pytest.fixture(params=list(FADING))
def fading(request):
    return clone(FADING[request.param])


def make_rows(seed, n_users=60, n_items=20, n_rows=600):
    generator = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "user": generator.integers(n_users, size=n_rows),
            "item": generator.integers(n_items, size=n_rows),
            "time": generator.permutation(n_rows),
        }
    )
    return frame.drop_duplicates(["user", "item"]).reset_index(drop=True)


def in_order(rows, user):
    return rows[rows["user"] == user].sort_values("time")["item"].tolist()


def test_ages_count_what_came_later():
    generator = np.random.default_rng(0)
    weights = sparse.random(30, 15, 0.4, "csr", rng=generator)
    weights.sort_indices()
    weights.data[generator.random(weights.nnz) < 0.2] = 0.0
    times = generator.integers(5, size=weights.nnz)
    expected = []
    for start, end in zip(weights.indptr[:-1], weights.indptr[1:], strict=True):
        row, events = times[start:end], weights.data[start:end] > 0
        expected += [sum(row[events] > time) for time in row]
    np.testing.assert_array_equal(ages_of(weights, times), expected)


def test_a_history_is_later_than_all_that_was_known():
    known = sparse.csr_matrix(np.array([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0]]))
    added = sparse.csr_matrix(np.array([[0.0, 1.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]]))
    ages = merged_ages(known + added, known, np.array([3, 7, 5]), added, np.array([1, 0, 0]), np.array([2, 0, 1]))
    np.testing.assert_array_equal(ages, [5, 1, 0, 5, 0])


def test_what_a_sample_of_users_did_last_is_held_out():
    rows = make_rows(0)
    order = np.lexsort((rows["item"], rows["user"]))
    users, items, times = (rows[name].to_numpy()[order] for name in rows)
    weights = sparse.csr_matrix((np.ones(len(rows)), (users, items)))
    train, test = hold_out_last(weights, times, seed=0)
    np.testing.assert_array_equal(np.sort(np.r_[train, test]), np.arange(len(rows)))
    assert len(test) == len(set(users[test])) == (len(set(users)) + 1) // 2
    assert all(times[position] == times[users == users[position]].max() for position in test)


def test_neighbours_add_up_what_is_left_of_each_item():
    rows = make_rows(1)
    recommender = NeighborsRecommender(**IDS, shrinkage=1.0, time="time", half_life=3.0).fit(rows)
    history = [4, 9, 2]
    similarity = recommender.similarity_.toarray()
    expected = sum(2 ** (-age / 3.0) * similarity[:, item] for age, item in enumerate(reversed(history)))
    scores = recommender.ranker().scores(history=[history])[0]
    np.testing.assert_allclose(scores - scores.min(), expected - expected.min(), atol=1e-5)


def test_known_users_have_the_order_of_their_rows(fading):
    rows = make_rows(2)
    fading.set_params(time="time", half_life=2.0).fit(rows)
    users = [3, 17, 40]
    _, known = fading.recommend(users, n_items=20, exclude_seen=False)
    _, asked = fading.recommend(None, n_items=20, exclude_seen=False, history=[in_order(rows, user) for user in users])
    np.testing.assert_allclose(known, asked, rtol=1e-4, atol=1e-6)
    _, other = fading.recommend(None, 20, exclude_seen=False, history=[in_order(rows, user)[::-1] for user in users])
    assert abs(known - other).max() > 1e-3


def test_a_history_comes_after_what_is_known(fading):
    rows = make_rows(3)
    fading.set_params(time="time", half_life=2.0).fit(rows)
    new = [item for item in range(20) if item not in in_order(rows, 5)][:2]
    again = in_order(rows, 5)[0]
    _, known = fading.recommend([5], n_items=20, exclude_seen=False, history=[[*new, again]])
    weights = dict.fromkeys(in_order(rows, 5)[1:] + new, 1.0)
    _, asked = fading.recommend(None, 20, exclude_seen=False, history=[{**weights, again: 2.0}])
    np.testing.assert_allclose(known, asked, rtol=1e-4, atol=1e-6)


def test_rows_that_come_late_take_their_place(fading):
    rows = make_rows(4)
    late = rows["time"].to_numpy() % 7 == 0
    late &= rows["user"].isin(rows["user"][~late]) & rows["item"].isin(rows["item"][~late])
    fading.set_params(time="time", half_life=2.0).fit(rows[~late]).partial_fit(rows[late])
    if isinstance(fading, FeatureMFRecommender):  # the factors of items move after those of users
        whole = clone(fading).fit(rows)
        np.testing.assert_array_equal(whole.seen_.toarray(), fading.seen_.toarray())
        np.testing.assert_array_equal(whole._ages, fading._ages)
        return
    users = np.unique(rows["user"][late])[:5]
    _, known = fading.recommend(users, n_items=20, exclude_seen=False)
    _, asked = fading.recommend(None, n_items=20, exclude_seen=False, history=[in_order(rows, user) for user in users])
    np.testing.assert_allclose(known, asked, rtol=1e-4, atol=1e-6)


def chain(seed, n_users=300, n_items=30, length=8):
    """What comes next depends on the last item alone, or, shuffled, on nothing."""
    generator = np.random.default_rng(seed)
    rows = []
    for user in range(n_users):
        item = generator.integers(n_items)
        for time in range(length):
            rows.append((user, item, time))
            item = (item + generator.integers(1, 4)) % n_items
    return pd.DataFrame(rows, columns=["user", "item", "time"]).drop_duplicates(["user", "item"])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_half_life_is_found_where_order_helps(fading, seed):
    rows = chain(seed)
    fading.set_params(time="time").fit(rows)
    assert fading.half_life_ is not None and fading.half_life_ <= 4
    held_back = rows.groupby("user")["time"].transform("max") == rows["time"]
    gains = []
    for half_life in ("auto", None):
        fading.set_params(half_life=half_life).fit(rows[~held_back])
        gains.append(fading.score(rows[held_back]))
    assert gains[0] > gains[1]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_nothing_fades_where_order_says_nothing(fading, seed):
    rows = chain(seed)
    rows["time"] = np.random.default_rng(seed).permutation(len(rows))
    fading.set_params(time="time").fit(rows)
    assert fading.half_life_ is None or fading.half_life_ >= 8


def test_without_times_the_default_reads_no_order(fading):
    rows = make_rows(5)
    fading.fit(rows[["user", "item"]])
    assert fading.half_life_ is None
    lists = [fading.recommend(None, 5, history=[history])[0].tolist() for history in ([1, 2, 3], [3, 2, 1])]
    assert lists[0] == lists[1]
    fading.set_params(half_life=0.5).fit(rows[["user", "item"]])
    _, first = fading.recommend(None, 20, history=[[1, 2, 3]], exclude_seen=False)
    _, second = fading.recommend(None, 20, history=[[3, 2, 1]], exclude_seen=False)
    assert abs(first - second).max() > 1e-4


def test_equal_times_are_one_moment(fading):
    rows = make_rows(6).assign(time=0)
    _, faded = fading.set_params(time="time", half_life=1.0).fit(rows).recommend([1, 2], 20, exclude_seen=False)
    _, plain = fading.set_params(half_life=1e9).fit(rows).recommend([1, 2], 20, exclude_seen=False)
    np.testing.assert_allclose(faded, plain, rtol=1e-6)


def test_a_fit_again_forgets_the_order_before(fading):
    rows = make_rows(7)
    fading.set_params(time="time", half_life=1.0).fit(rows)
    fading.set_params(time=None, half_life="auto").fit(rows[["user", "item"]])
    plain = clone(fading).fit(rows[["user", "item"]])
    np.testing.assert_array_equal(fading.recommend([1], 9)[0], plain.recommend([1], 9)[0])


def test_the_order_survives_a_file(fading, tmp_path):
    rows = make_rows(8)
    fading.set_params(time="time", half_life=1.0).fit(rows)
    joblib.dump(fading, tmp_path / "fading.joblib")
    loaded = joblib.load(tmp_path / "fading.joblib")
    for given in (fading, loaded):
        given.partial_fit(pd.DataFrame({"user": [1], "item": [3], "time": [-1]}))
    for expected, found in zip(fading.recommend([1, 2], 9), loaded.recommend([1, 2], 9), strict=True):
        np.testing.assert_array_equal(expected, found)


def test_ratings_fade_where_that_is_asked_for():
    rows = make_rows(9)
    ratings = np.random.default_rng(9).integers(1, 6, size=len(rows)).astype(float)
    for recommender in (NeighborsRecommender(**IDS), FeatureMFRecommender(2, **IDS, random_state=0)):
        recommender.set_params(feedback="explicit", time="time").fit(rows, ratings)
        assert recommender.half_life_ is None
        flat = recommender.predict(rows)
        faded = recommender.set_params(half_life=1.0).fit(rows, ratings).predict(rows)
        assert np.isfinite(faded).all() and abs(flat - faded).max() > 1e-3


def test_a_blend_passes_the_order_on():
    part = NeighborsRecommender(**IDS, time="time", half_life=0.5)
    parts = [("neighbors", part), ("popularity", PopularityRecommender(**IDS))]
    blend = BlendRecommender(parts, **IDS, random_state=0).fit(chain(0))
    assert blend.weights_["warm"][0] > 0, "the neighbours count"
    first, second = (blend.recommend(None, 5, history=[history])[0].tolist() for history in ([1, 9, 20], [20, 9, 1]))
    assert first != second


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (["soon"] * 4, "time column 'time' holds 'soon'|holds strings"),
        ([1.0, None, 2.0, 3.0], "time='time' is missing at position 1"),
    ],
)
def test_times_that_cannot_be_read_are_named(fading, times, message):
    rows = pd.DataFrame({"user": [1, 1, 2, 2], "item": [1, 2, 1, 3], "time": times})
    with pytest.raises((ValueError, TypeError), match=message):
        fading.set_params(time="time").fit(rows)


def test_a_column_of_times_that_is_not_there(fading):
    with pytest.raises(ValueError, match="time='when' does not select columns of X"):
        fading.set_params(time="when").fit(make_rows(0))


@pytest.mark.parametrize("half_life", [0, -1.0, "long"])
def test_a_half_life_is_positive(fading, half_life):
    with pytest.raises(ValueError, match="half_life"):
        fading.set_params(half_life=half_life).fit(make_rows(0)[["user", "item"]])


def test_markov_reads_times_as_before():
    rows = make_rows(11)
    chain_of_items = MarkovRecommender(**IDS, time="time").fit(rows)
    user = rows["user"].iloc[0]
    known = chain_of_items.recommend([user], 20, exclude_seen=False)[1]
    asked = chain_of_items.recommend(None, 20, exclude_seen=False, history=[in_order(rows, user)])[1]
    np.testing.assert_allclose(known, asked)


def test_a_time_whose_text_is_nan_is_missing(fading):
    rows = np.array([["ann", "alien", "1"], ["ann", "heat", "nan"], ["bob", "heat", "2"]])
    for recommender in (clone(fading).set_params(user=0, item=1, time=2), MarkovRecommender(time=2)):
        with pytest.raises(ValueError, match="time=2 is missing at position 1"):
            recommender.fit(rows)
