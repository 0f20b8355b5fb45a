"""Selection from pools against naive loops written from the formulas."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from skllmrec._kernels.selection import reranking
from skllmrec._kernels.selection.reranking import Limits

N_ITEMS, K = 12, 5


@pytest.fixture(params=[0, 1])
def drawn(request):
    rng = np.random.default_rng(request.param)
    pools = np.array([rng.permutation(N_ITEMS)[:9] for _ in range(6)])
    scores = -np.sort(-rng.normal(size=pools.shape), axis=1)
    pools[2, 7:], scores[2, 7:] = -1, -np.inf
    vectors = rng.random((N_ITEMS, 4)) * (rng.random((N_ITEMS, 4)) < 0.7)
    vectors[:, 0] += 0.1
    return pools, scores, vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def naive(pools, n_items, gain, most=None, groups=None):
    """Greedy selection: gain(row, place in the pool, items chosen) of every free candidate."""
    lists = np.full((len(pools), n_items), -1)
    for row, pool in enumerate(pools):
        chosen = []
        for place in range(n_items):
            best, highest = -1, -np.inf
            for j, item in enumerate(pool):
                free = item >= 0 and j not in chosen
                if free and most is not None:
                    free = sum(groups[pool[other]] == groups[item] for other in chosen) < most
                if free and (value := gain(row, j, [pool[other] for other in chosen])) > highest + 1e-12:
                    best, highest = j, value
            if best < 0:
                break
            chosen.append(best)
            lists[row, place] = best
    return lists


NONE = Limits.none(N_ITEMS)


def test_standardise():
    scores = np.array([[3.0, 1.0, -np.inf], [2.0, 2.0, 2.0]])
    assert_allclose(reranking.standardise(scores), [[1, -1, -np.inf], [0, 0, 0]])


def test_popularity(drawn):
    pools, scores, _ = drawn
    counts = np.arange(N_ITEMS) ** 2.0
    expected = naive(pools, K, lambda row, j, _: scores[row, j] - 0.4 * np.log(1 + counts[pools[row, j]]))
    assert_array_equal(reranking.penalise(pools, scores, K, 0.4, counts, NONE), expected)
    assert_array_equal(counts, np.arange(N_ITEMS) ** 2.0)


def test_exposure_counts_the_lists_before(drawn):
    pools, scores, _ = drawn
    counts, lists = np.zeros(N_ITEMS), []
    for row in range(len(pools)):
        (one,) = naive(
            pools[row : row + 1], K, lambda _, j, __, row=row: scores[row, j] - 1.5 * np.log1p(counts[pools[row, j]])
        )
        counts[pools[row][one[one >= 0]]] += 1
        lists.append(one)
    shown = np.zeros(N_ITEMS)
    assert_array_equal(reranking.penalise(pools, scores, K, 1.5, shown, NONE, shown=True), lists)
    assert_array_equal(shown, counts)


@pytest.mark.parametrize("make", [np.asarray, sparse.csr_matrix])
@pytest.mark.parametrize("strength", [0.3, 0.7, 1.0])
def test_mmr(drawn, make, strength):
    pools, scores, vectors = drawn

    def gain(row, j, chosen):
        nearest = max((vectors[pools[row, j]] @ vectors[other] for other in chosen), default=0.0)
        return (1 - strength) * (scores[row, j]) - strength * nearest

    found = reranking.marginal_relevance(pools, scores, K, strength, make(vectors), NONE)
    assert_array_equal(found, naive(pools, K, gain))


@pytest.mark.parametrize("make", [np.asarray, sparse.csr_matrix])
def test_dpp_maximises_the_determinant(drawn, make):
    pools, scores, vectors = drawn
    strength, n = 0.5, 3  # fewer than the vectors' dimensions: every determinant is positive
    kernel = vectors @ vectors.T
    quality = [np.exp(scores[row] / (2 * strength)) for row in range(len(pools))]

    def gain(row, j, chosen):
        items = [*chosen, pools[row, j]]
        places = [list(pools[row]).index(item) for item in items]
        weights = quality[row][places]
        return np.linalg.slogdet(weights[:, None] * kernel[np.ix_(items, items)] * weights)[1]

    found = reranking.determinantal(pools, scores, n, strength, make(vectors), NONE)
    assert_array_equal(found, naive(pools, n, gain))


def test_dpp_goes_on_by_score_where_nothing_is_new():
    pools, scores = np.array([[0, 1, 2, 3]]), np.array([[2.0, 1.0, 0.5, 0.1]])
    vectors = np.array([[1.0, 0], [1, 0], [0, 1], [0, 1]])
    found = reranking.determinantal(pools, scores, 4, 1.0, vectors, Limits.none(4))
    assert_array_equal(found, [[0, 2, 1, 3]])


def test_calibration(drawn):
    pools, scores, vectors = drawn
    shares = vectors / vectors.sum(axis=1, keepdims=True)
    tastes = np.random.default_rng(3).dirichlet(np.ones(4), len(pools))
    tastes[1] = 0
    strength, a = 0.8, reranking.SMOOTHING

    def gain(row, j, chosen):
        items, p = [*chosen, pools[row, j]], tastes[row]
        total = sum(scores[row, list(pools[row]).index(item)] for item in items)
        q = (1 - a) * shares[items].mean(axis=0) + a * p
        return (1 - strength) * total - strength * np.sum(p[p > 0] * np.log(p[p > 0] / q[p > 0]))

    given = sparse.csr_matrix(shares), sparse.csr_matrix(tastes)
    assert_array_equal(reranking.calibrate(pools, scores, K, strength, *given, NONE), naive(pools, K, gain))


@pytest.mark.parametrize("method", ["penalise", "marginal_relevance", "determinantal"])
def test_limits(drawn, method):
    pools, scores, vectors = drawn
    groups = np.arange(N_ITEMS) % 3
    limits = Limits(np.arange(N_ITEMS + 1), groups, np.full(3, 1))
    by = np.zeros(N_ITEMS) if method == "penalise" else vectors
    found = getattr(reranking, method)(pools, scores, 4, 0.0, by, limits)
    assert_array_equal(found, naive(pools, 4, lambda row, j, _: scores[row, j], 1, groups))
    assert (found[:, 3] == -1).all()
