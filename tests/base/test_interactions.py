"""Rows of interactions as a sparse matrix, against naive loops."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from skllmrec._ids import IdIndex
from skllmrec.base import Interactions
from skllmrec.base._interactions import aggregate, check_feedback, merge
from skllmrec.exceptions import RatingScaleWarning
from skllmrec.recommenders import PopularityRecommender

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
    return check_feedback(PopularityRecommender(), X, y, sample_weight, feedback=feedback)


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
    with pytest.warns(RatingScaleWarning, match=r"between 1 and 5.*y >= 3.5.*feedback='explicit'"):
        PopularityRecommender(feedback="implicit").fit([[0, 1]] * 40, [1, 2, 4, 5] * 10)
