import numpy as np
import pytest
from scipy import sparse

from skllmrec._kernels.topk import loops
from skllmrec._kernels.topk.exact import ItemVectors, topk_dense, topk_factors


def by_sorting(scores, k, seen):
    """Stable sort of every row: what the kernels must equal, ties included."""
    scores = scores.astype(np.float64)
    scores[seen.nonzero()] = -np.inf
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    best = np.take_along_axis(scores, order, axis=1)
    return np.where(np.isfinite(best), order, -1), best


SMALL = {"_FEW_USERS": 3, "_CHUNK_USERS": 16, "_BLOCK_USERS": 5, "_FIRST_TILE": 8, "_LAST_TILE": 70}


@pytest.fixture
def small_blocks(monkeypatch):
    """Several chunks, blocks and tiles in a small problem."""
    for name, value in SMALL.items():
        monkeypatch.setattr(f"skllmrec._kernels.topk.exact.{name}", value)


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
def test_factors_in_blocks_equal_one_product(seed, small_blocks):
    rng, seen = random_problem(seed)
    # small integers: products are exact, and tie
    users, items = rng.integers(-2, 3, size=(37, 4)).astype(float), rng.integers(-2, 3, size=(211, 4)).astype(float)
    expected = by_sorting(users @ items.T, 9, seen)
    positions, best = topk_factors(users, items, 9, seen)
    np.testing.assert_array_equal(positions, expected[0])
    np.testing.assert_array_equal(best, expected[1])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("k", [1, 10, 211])
def test_long_tailed_norms_and_biases_equal_a_stable_sort(seed, dtype, k, small_blocks):
    rng, seen = random_problem(seed)
    # powers of two times small integers: products are exact, and tie
    items = rng.integers(-2, 3, size=(211, 6)) * 2.0 ** -rng.integers(0, 8, size=(211, 1))
    items[:, 4], users = 1, rng.integers(-2, 3, size=(37, 6)) * 2.0 ** rng.integers(-3, 4, size=(37, 1))
    users[0], users[:, 5] = 0, 1
    users[:, 4] *= 100  # a large score that is the same for all items says nothing
    expected = by_sorting(users @ items.T, k, seen)
    positions, best = topk_factors(users.astype(dtype), items.astype(dtype), k, seen)
    np.testing.assert_array_equal(positions, expected[0])
    np.testing.assert_array_equal(best, expected[1])
    assert best.dtype == dtype


def test_users_leave_where_no_later_item_can_reach_their_list(small_blocks, monkeypatch):
    rng, seen = random_problem(0)
    items = rng.normal(size=(211, 4)) * np.where(np.arange(211) % 20, 1e-3, 1)[:, None]  # eleven items matter
    offered, offer_products = [], loops.offer_products

    def count(products, *arguments):
        offered.append(products.size)
        offer_products(products, *arguments)

    monkeypatch.setattr(loops, "offer_products", count)
    positions, _ = topk_factors(rng.normal(size=(37, 4)), items, 2, seen)
    assert sum(offered) < 0.4 * 37 * 211
    assert (positions % 20 == 0).mean() > 0.9


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_no_rounded_score_is_above_its_bound(dtype):
    # parallel vectors reach the bound, and rounding goes beyond it
    rng = np.random.default_rng(0)
    users = (rng.normal(size=(1, 48)) * rng.lognormal(size=(300, 1))).astype(dtype)
    items = (users[:1] * rng.lognormal(size=(200, 1))).astype(dtype)
    items[:, 3] = 2
    prepared = ItemVectors(items)
    shift, reach = prepared.bounds(users)
    bounds = shift[:, None] + reach[:, None] * np.linalg.norm(np.delete(items.astype(float), 3, axis=1), axis=1)
    scores = users @ items.T
    assert (scores <= bounds).all()
    assert (scores > bounds - 1e-4 * np.abs(bounds)).any()  # and no higher than it has to be


def test_what_was_seen_may_be_unsorted_and_twice():
    seen = sparse.csr_matrix((np.ones(5), [3, 1, 3, 0, 2], [0, 3, 5]), shape=(2, 5))
    positions, _ = topk_dense(np.array([[1.0, 9, 2, 9, 1], [9.0, 1, 9, 1, 0]]), 3, seen)
    np.testing.assert_array_equal(positions, [[2, 0, 4], [1, 3, 4]])


@pytest.mark.parametrize("n_items", [40, 700])
def test_the_number_of_threads_changes_nothing(n_items, small_blocks, monkeypatch):
    rng, seen = random_problem(1, n_users=90, n_items=n_items)
    users, items = (rng.normal(size=(n, 5)).astype(np.float32) for n in seen.shape)
    results = []
    for n_threads in ("1", "3"):
        monkeypatch.setenv("NUMBA_NUM_THREADS", n_threads)
        results += [topk_factors(users, items, 7, seen), topk_dense(users @ items.T, 7, seen)]
    for one, three in zip(results[:2], results[2:], strict=True):
        np.testing.assert_array_equal(one[0], three[0])
        np.testing.assert_array_equal(one[1], three[1])
    np.testing.assert_array_equal(results[0][0], results[1][0])


def test_nobody_and_lists_longer_than_what_is_left(small_blocks):
    vectors = np.ones((6, 2))
    positions, best = topk_factors(np.ones((0, 2)), vectors, 3, sparse.csr_matrix((0, 6)))
    assert positions.shape == best.shape == (0, 3)
    seen = sparse.csr_matrix(np.tile([1, 1, 0, 1, 1, 0], (5, 1)))
    positions, best = topk_factors(np.ones((5, 2)), vectors, 3, seen)
    np.testing.assert_array_equal(positions, np.tile([2, 5, -1], (5, 1)))
    np.testing.assert_array_equal(best, np.tile([2, 2, -np.inf], (5, 1)))
