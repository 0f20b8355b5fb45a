import numpy as np
import pytest
from scipy import sparse

from skllmrec._kernels.topk import topk_dense, topk_factors


def by_sorting(scores, k, seen):
    """Stable sort of every row: what the kernels must equal, ties included."""
    scores = scores.astype(np.float64)
    scores[seen.nonzero()] = -np.inf
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    best = np.take_along_axis(scores, order, axis=1)
    return np.where(np.isfinite(best), order, -1), best


def random_problem(seed, n_users=37, n_items=211, density=0.2):
    rng = np.random.default_rng(seed)
    seen = sparse.random(n_users, n_items, density=density, format="csr", rng=rng)
    return rng, seen


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("k", [1, 7, 64, 211])
@pytest.mark.parametrize("levels", [2, 5, 1000])
def test_equals_a_stable_sort_with_many_ties(seed, k, levels):
    rng, seen = random_problem(seed)
    scores = rng.integers(levels, size=seen.shape).astype(np.float32)
    expected = by_sorting(scores, k, seen)
    positions, best = topk_dense(scores.copy(), k, seen)
    np.testing.assert_array_equal(positions, expected[0])
    np.testing.assert_array_equal(best, expected[1])


def test_a_row_that_has_seen_everything_is_padded():
    seen = sparse.csr_matrix(np.array([[1, 1, 1], [1, 0, 1]]))
    positions, best = topk_dense(np.ones((2, 3)), 2, seen)
    np.testing.assert_array_equal(positions, [[-1, -1], [1, -1]])
    np.testing.assert_array_equal(best, [[-np.inf, -np.inf], [1, -np.inf]])


def test_a_broadcast_block_is_not_written_to():
    scores = np.broadcast_to(np.array([3.0, 1.0, 2.0]), (2, 3))
    positions, _ = topk_dense(scores, 2, sparse.csr_matrix(np.array([[1, 0, 0], [0, 0, 0]])))
    np.testing.assert_array_equal(positions, [[2, 1], [0, 2]])


@pytest.mark.parametrize("seed", range(3))
def test_factors_in_blocks_equal_one_product(seed, monkeypatch):
    for name, value in {"_FEW_USERS": 3, "_CHUNK_USERS": 16, "_BLOCK_USERS": 4, "_FIRST_TILE": 8, "_LAST_TILE": 70}.items():
        monkeypatch.setattr(f"skllmrec._kernels.topk.{name}", value)
    rng, seen = random_problem(seed)
    # small integers: products are exact, and tie
    users, items = rng.integers(-2, 3, size=(37, 4)).astype(float), rng.integers(-2, 3, size=(211, 4)).astype(float)
    expected = by_sorting(users @ items.T, 9, seen)
    positions, best = topk_factors(users, items, 9, seen)
    np.testing.assert_array_equal(positions, expected[0])
    np.testing.assert_array_equal(best, expected[1])
