"""Rows of interactions as a sparse matrix, against naive loops."""

import pickle
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from skllmrec._ids import IdIndex
from skllmrec.base import BaseRecommender, Interactions
from skllmrec.base._interactions import aggregate, check_feedback, merge
from skllmrec.exceptions import RatingScaleWarning
from skllmrec.recommenders import (
    FeatureMFRecommender,
    MarkovRecommender,
    PopularityRecommender,
    SequentialRecommender,
    TwoTowerRecommender,
)

SHAPE = (6, 4)


def make_rows(seed, n=50):
    rng = np.random.default_rng(seed)
    users, items = (rng.integers(size, size=n) for size in SHAPE)
    return users, items, rng.integers(1, 4, n).astype(float), rng.normal(size=n)


def naive(users, items, weights, ratings):
    """Dense summed weights and weighted mean ratings (NaN where nothing was observed)."""
    total, liked = np.zeros(SHAPE), np.zeros(SHAPE)
    for user, item, weight, rating in zip(users, items, weights, ratings, strict=True):
        total[user, item] += weight
        liked[user, item] += weight * rating
    with np.errstate(invalid="ignore"):
        return total, liked / total


@pytest.mark.parametrize("seed", [0, 1])
def test_aggregate_sums_weights_and_averages_ratings(seed):
    rows = make_rows(seed)
    matrix, ratings = aggregate(*rows, SHAPE)
    total, mean = naive(*rows)
    assert_allclose(matrix.toarray(), total)
    assert_allclose(ratings, mean[matrix.nonzero()])
    assert (np.diff(matrix.indices) > 0).sum() + SHAPE[0] >= matrix.nnz, "columns of a row are sorted"
    implicit, none = aggregate(*rows[:3], None, SHAPE)
    assert none is None
    assert_allclose(implicit.toarray(), total)


def test_observed_zero_is_stored():
    matrix, _ = aggregate(np.array([0, 1]), np.array([1, 0]), np.array([0.0, 2.0]), None, SHAPE)
    assert matrix.nnz == 2


def test_aggregate_of_nothing():
    nothing = np.zeros(0, dtype=np.intp)
    matrix, _ = aggregate(nothing, nothing, np.zeros(0), None, SHAPE)
    assert matrix.shape == SHAPE and matrix.nnz == 0


@pytest.mark.parametrize("seed", [0, 1])
def test_merge_equals_aggregate_of_all(seed):
    rows = make_rows(seed)
    first, second = ([values[part] for values in rows] for part in (slice(30), slice(30, None)))
    first[1] = first[1] % (SHAPE[1] - 1)  # the first part knows fewer items
    known, known_ratings = aggregate(*first, (SHAPE[0], SHAPE[1] - 1))
    merged, ratings = merge(known, known_ratings, *aggregate(*second, SHAPE))
    expected, expected_ratings = aggregate(*(np.concatenate(pair) for pair in zip(first, second, strict=True)), SHAPE)
    assert_allclose(merged.toarray(), expected.toarray())
    assert_allclose(ratings, expected_ratings)


def test_transposed_and_targets():
    matrix, ratings = aggregate(*make_rows(3), SHAPE)
    index = [IdIndex(np.arange(size)) for size in SHAPE]
    interactions = Interactions(*index, matrix, ratings)
    by_item, item_ratings = interactions.transposed()
    assert_allclose(by_item.toarray(), matrix.T.toarray())
    dense = sparse.csr_matrix((item_ratings, by_item.indices, by_item.indptr), by_item.shape).toarray()
    assert_allclose(dense, interactions.targets.T.toarray())
    assert Interactions(*index, matrix, None).targets is matrix


def check(y, *, feedback, sample_weight=None, n=None):
    X = np.zeros((len(y) if n is None else n, 2))
    return check_feedback(PopularityRecommender(feedback="explicit"), X, y, sample_weight, feedback=feedback)


def test_implicit_weights_are_multiplied_by_sample_weights():
    weights, ratings, kept = check([1, 2, 0], feedback="implicit", sample_weight=[2, 0, 3])
    assert_array_equal(weights, [2, 0, 0])
    assert_array_equal(kept, [True, False, True])
    assert ratings is None
    weights, _, _ = check(None, feedback="implicit", n=3)
    assert_array_equal(weights, [1, 1, 1])


@pytest.mark.parametrize(
    ("y", "is_scale"),
    [
        ([1, 2, 3, 4, 5] * 8 + [4, 5] * 5, True),
        ([0.5, 4.5, 5, 4] * 10, True),
        ([7, 8, 10, 9] * 10, True),
        ([1, 2, 3, 4, 5], False),  # too few to tell
        ([1] * 40 + [2] * 10 + [5], False),  # counts: mostly one
        ([1, 0, 3, 5] * 10, False),  # an observed zero is no rating
        ([0.1, 5, 3.3] * 10, False),
        ([4, 5] * 20, False),  # likes only
    ],
)
def test_star_ratings_as_weights_are_warned_about(y, is_scale):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check(y, feedback="implicit")
    assert [issubclass(warning.category, RatingScaleWarning) for warning in caught] == [True] * is_scale


def test_warning_says_what_to_do():
    with pytest.warns(RatingScaleWarning, match=r"between 1 and 5.*y >= 4.*feedback='explicit'"):
        PopularityRecommender(feedback="implicit").fit([[0, 1]] * 40, [1, 2, 4, 5] * 10)


# -- the rows of a call -------------------------------------------------------------------------------------------


class Witness(BaseRecommender):
    """Records what its hooks get in `seen`, which is no attribute of the estimator."""

    seen = []

    def __init__(self, *, user="user", item="item", feedback="explicit"):
        self.user = user
        self.item = item
        self.feedback = feedback

    def _fit_interactions(self, interactions):
        self.seen.append(interactions)

    def _partial_fit_interactions(self, interactions, users, items):
        self.seen.append(interactions)

    def _score_block(self, users, items):
        return np.zeros((len(users), len(items)))


@pytest.fixture
def seen():
    Witness.seen.clear()
    yield Witness.seen
    Witness.seen.clear()


def rows_frame():
    pd = pytest.importorskip("pandas")
    return pd.DataFrame(
        {
            "user": ["bob", "ann", "bob", "bob", "cem"],
            "item": ["heat", "alien", "heat", "alien", "heat"],
            "time": [5, 4, 3, 2, 1],
        }
    )


@pytest.mark.parametrize("feedback", ["explicit", "implicit"])
def test_rows_of_fit_and_partial_fit_are_those_that_have_a_weight(feedback, seen):
    frame, weights = rows_frame(), [1.0, 1.0, 2.0, 0.0, 0.0]
    model = Witness(feedback=feedback).fit(frame, np.ones(5), sample_weight=weights)
    (interactions,) = seen
    rows = interactions.rows
    assert len(rows) == 3
    assert_array_equal(interactions.users.ids[rows.users], ["bob", "ann", "bob"])
    assert_array_equal(interactions.items.ids[rows.items], ["heat", "alien", "heat"])
    assert_array_equal(rows.column("time", name="time"), [5, 4, 3])
    assert interactions.weights.nnz == 2, "equal pairs are one entry of the matrix, and two rows"
    model.partial_fit(frame[3:].assign(time=[8, 9]), np.ones(2), sample_weight=[1.0, 0.0])
    folded = seen[1]
    assert_array_equal(folded.users.ids[folded.rows.users], ["bob"])
    assert_array_equal(folded.items.ids[folded.rows.items], ["alien"])
    assert_array_equal(folded.rows.column("time", name="time"), [8])


def test_rows_of_arrays_are_read_by_position(seen):
    Witness(user=0, item=1).fit([["ann", "heat", 7], ["bob", "heat", 8]], [1, 2])
    assert_array_equal(seen[0].rows.column(2, name="time"), [7, 8])
    with pytest.raises(ValueError, match="time=3 does not select columns"):
        seen[0].rows.column(3, name="time")


def test_rows_keep_the_arguments_of_the_call_and_copy_nothing(seen):
    frame, y = rows_frame(), np.arange(5.0)
    model = Witness().fit(frame, y)
    assert seen[0].rows.X is frame
    assert seen[0].rows.passed[0] is frame and seen[0].rows.passed[1] is y
    model.fit(frame, y, sample_weight=[1, 0, 1, 1, 1])
    assert len(seen[1].rows.X) == 4
    assert seen[1].rows.passed[0] is frame and seen[1].rows.passed[1] is y


RECOMMENDERS = {
    "als": lambda: FeatureMFRecommender(4, user="user", item="item", max_iter=2, feedback="explicit"),
    "gradients": lambda: FeatureMFRecommender(
        4, user="user", item="item", solver="adamw", max_iter=2, feedback="explicit"
    ),
    "towers": lambda: TwoTowerRecommender(
        4, user="user", item="item", max_iter=1, tasks={"time": "regression"}, device="cpu"
    ),
    "markov": lambda: MarkovRecommender(user="user", item="item", time="time"),
    "sequential": lambda: SequentialRecommender(4, user="user", item="item", time="time", max_iter=1, device="cpu"),
}


@pytest.mark.parametrize("make", RECOMMENDERS.values(), ids=RECOMMENDERS)
def test_rows_are_not_left_on_a_fitted_recommender(make):
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    n = 30_000
    frame = pd.DataFrame({name: rng.integers(20, size=n) for name in ("user", "item", "time")})
    model = make()
    y = rng.random(n) + 1.0
    for _ in range(2):
        model.fit(frame, y)
        model.partial_fit(frame[:100], y[:100])
        assert len(pickle.dumps(model)) < n, "less than a byte a row: none of the columns, codes or ratings"
        assert not any("row" in name or "callback" in name for name in vars(model))


PAIRS = [[i % 5, i % 7] for i in range(40)]


def test_missing_ratings_name_implicit_feedback():
    with pytest.raises(ValueError, match=r"requires y to be passed.*feedback='implicit'"):
        FeatureMFRecommender(2, feedback="explicit").fit(PAIRS)


@pytest.mark.parametrize("feedback", ["explicit", "implicit"])
@pytest.mark.parametrize("dtype", ["datetime64[s]", "timedelta64[s]"])
def test_times_are_refused_as_ratings(feedback, dtype):
    with pytest.raises(ValueError, match=r"y must hold ratings or counts, got times"):
        FeatureMFRecommender(2, feedback=feedback).fit(PAIRS, np.arange(40).astype(dtype))


@pytest.mark.parametrize(
    "levels", [[1, 2, 3, 4], [1, 2, 3, 4, 5, 6, 7], [0, 5, 8, 10], [0, 50, 80, 100], [0.5, 3, 4.5, 5]]
)
def test_known_rating_scales_warn_as_implicit_weights(levels):
    y = np.resize(np.array(levels, dtype=float), 40)
    with pytest.warns(RatingScaleWarning):
        FeatureMFRecommender(2, feedback="implicit").fit(PAIRS, y)
