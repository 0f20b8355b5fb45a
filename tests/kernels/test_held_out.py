import numpy as np
import pytest
from scipy import sparse

from skllmrec._kernels.selection import held_out
from skllmrec._kernels.selection.held_out import hold_out_entries, is_better, ranking_quality, take_entries


def interactions(seed, n_users=60, n_items=40, density=0.2):
    return sparse.random(n_users, n_items, density, format="csr", rng=np.random.default_rng(seed))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("shape", [(400, 40), (40, 400)])  # many rows, or columns, have one or two entries
def test_split_is_a_partition_that_leaves_something_in_every_row_and_column(seed, shape):
    weights = interactions(seed, *shape, density=0.03)
    train, test = hold_out_entries(weights, seed)
    np.testing.assert_array_equal(np.sort(np.r_[train, test]), np.arange(weights.nnz))
    assert 0.02 < len(test) / weights.nnz < 0.12
    left, right = take_entries(weights, train), take_entries(weights, test)
    np.testing.assert_array_equal((left + right).toarray(), weights.toarray())
    for axis in (0, 1):
        assert (left.getnnz(axis)[right.getnnz(axis) > 0] > 0).all()
    np.testing.assert_array_equal(hold_out_entries(weights, seed)[1], test)


def test_nothing_can_be_held_out_of_single_entries():
    train, test = hold_out_entries(sparse.identity(300, format="csr"), 0)
    assert len(train) == 300
    assert len(test) == 0


def ndcg(scores, seen, relevant):
    """One user, by definition."""
    order = [i for i in np.argsort(-scores, kind="stable") if i not in seen][:20]
    gain = sum(1 / np.log2(rank + 2) for rank, item in enumerate(order) if item in relevant)
    return gain / sum(1 / np.log2(rank + 2) for rank in range(min(len(relevant), 20)))


@pytest.mark.parametrize("n_items", [5, 40])  # five: lists are padded, the last column is relevant to some
def test_quality_is_ndcg_of_the_held_out_items(n_items):
    weights = interactions(1, n_items=n_items, density=0.5)
    train, test = (take_entries(weights, part) for part in hold_out_entries(weights, 0))
    rng = np.random.default_rng(2)
    users, items = rng.normal(size=(60, 3)), rng.normal(size=(n_items, 3))
    expected = [ndcg(users[u] @ items.T, set(train[u].indices), set(test[u].indices)) for u in range(60) if test[u].nnz]
    np.testing.assert_allclose(ranking_quality(users, items, train, test), expected)


def test_quality_of_many_users_is_that_of_a_fixed_sample(monkeypatch):
    monkeypatch.setattr(held_out, "_MAX_USERS", 10)
    weights = interactions(0)
    train, test = (take_entries(weights, part) for part in hold_out_entries(weights, 0))
    vectors = np.ones((60, 2)), np.random.default_rng(0).normal(size=(40, 2))
    first, again = (ranking_quality(*vectors, train, test) for _ in range(2))
    assert len(first) == 10
    np.testing.assert_array_equal(first, again)


def test_better_means_beyond_chance():
    noise = np.random.default_rng(0).normal(size=400)
    assert is_better(noise + 0.2, np.zeros(400))
    assert not is_better(noise + 0.2, np.zeros(400), 8.0)  # 0.2 is about four standard errors
    assert not is_better(noise - noise.mean(), np.zeros(400))
    assert not is_better(noise - 0.2, np.zeros(400))
    assert not is_better(np.zeros(3), np.zeros(3))
