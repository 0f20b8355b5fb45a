"""Transitions and recency against loops over the sequence of each user."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse

from skllmrec._kernels.item_item import transitions
from skllmrec._kernels.item_item.transitions import count_transitions, order_baskets, recency

N_USERS, N_ITEMS = 5, 6


def rows(seed, n=60):
    generator = np.random.default_rng(seed)
    return generator.integers(0, N_USERS, n), generator.integers(0, N_ITEMS, n), generator.integers(0, 9, n)


def sequences(users, items, times):
    """For each user the list of (time, set of items), every item at its last time."""
    found = []
    for user in range(N_USERS):
        last = {}
        for u, i, t in zip(users, items, times, strict=True):
            if u == user:
                last[i] = max(t, last.get(i, -1))
        found.append([{i for i, t in last.items() if t == moment} for moment in sorted(set(last.values()))])
    return found


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(("window", "decay"), [(1, 0.5), (3, 0.8), (50, 1.0)])
def test_transitions_against_loops(seed, window, decay):
    given = rows(seed)
    expected = np.zeros((N_ITEMS, N_ITEMS))
    for moments in sequences(*given):
        for a, first in enumerate(moments):
            for b, second in enumerate(moments):
                for j in first:
                    for i in second - {j}:
                        if b == a:
                            expected[j, i] += 1
                        elif 0 < b - a <= window:
                            expected[j, i] += decay ** (b - a - 1)
    baskets, owners = order_baskets(*given, N_USERS, N_ITEMS)
    found = count_transitions(baskets, owners, window=window, decay=decay)
    assert_allclose(found.toarray(), expected)
    assert (found.data > 0).all()


@pytest.mark.parametrize("seed", [0, 1])
def test_recency_against_loops(seed):
    given = rows(seed, 25)
    expected = np.zeros((N_USERS, N_ITEMS))
    for user, moments in enumerate(sequences(*given)):
        for age, moment in enumerate(reversed(moments)):
            expected[user, list(moment)] = 0.7**age
    assert_allclose(recency(*order_baskets(*given, N_USERS, N_ITEMS), N_USERS, 0.7).toarray(), expected)


def test_the_order_of_rows_does_not_matter():
    given = rows(3)
    shuffled = np.random.default_rng(0).permutation(60)
    one = order_baskets(*given, N_USERS, N_ITEMS)
    other = order_baskets(*(part[shuffled] for part in given), N_USERS, N_ITEMS)
    assert_allclose(one[0].toarray(), other[0].toarray())
    assert_allclose(one[1], other[1])


@pytest.mark.parametrize("seed", [0, 1])
def test_large_baskets_are_sampled_and_the_others_are_not(seed, monkeypatch):
    monkeypatch.setattr(transitions, "LARGEST_BASKET", 5)
    generator = np.random.default_rng(seed)
    sizes = [12, 5, 3, 30, 1]
    users = np.repeat(np.arange(N_USERS), sizes)
    items = np.concatenate([generator.permutation(30)[:size] for size in sizes])
    baskets, owners = order_baskets(users, items, np.zeros(len(users)), N_USERS, 30)
    found = transitions.sampled(baskets, owners)
    assert np.diff(found.indptr).tolist() == [5, 5, 3, 5, 1]
    assert (found.toarray() <= baskets.toarray()).all()
    expected = np.zeros((30, 30))
    for basket in found.toarray():
        for j in np.flatnonzero(basket):
            for i in np.flatnonzero(basket):
                expected[j, i] += i != j
    for _ in range(2):  # the same sample each time
        assert_allclose(count_transitions(baskets, owners, window=3, decay=0.5).toarray(), expected)
    picked = transitions.sampled(baskets[np.full(400, 3)], np.arange(400)).toarray().mean(axis=0)
    assert_allclose(picked, 5 / 30, atol=0.08)  # every item as likely as the others
    alone = transitions.sampled(baskets[3:4], owners[3:4])  # whatever the other baskets are
    assert_allclose(alone.toarray()[0], found.toarray()[3])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_rows_of_some_items_are_those_of_all(seed):
    baskets, owners = order_baskets(*rows(seed), N_USERS, N_ITEMS)
    every = count_transitions(baskets, owners, window=2, decay=0.7).toarray()
    begins = np.array([0, 3])
    found = count_transitions(baskets, owners, window=2, decay=0.7, begins=begins).toarray()
    assert_allclose(found[begins], every[begins], rtol=0)
    assert not np.delete(found, begins, axis=0).any()


def test_latest_times_against_a_loop():
    generator = np.random.default_rng(0)
    users, items, times = generator.integers(0, [4, 5, 50], size=(60, 3)).T
    matrix = sparse.csr_matrix((np.ones(60), (users, items)), shape=(4, 5))  # sums equal pairs
    matrix.sort_indices()
    expected = [max(times[(users == user) & (items == item)]) for user, item in zip(*matrix.nonzero(), strict=True)]
    assert transitions.latest_times(matrix, users, items, times).tolist() == expected


def test_one_single_row():
    baskets, owners = order_baskets(np.array([2]), np.array([4]), np.array([7]), N_USERS, N_ITEMS)
    assert count_transitions(baskets, owners, window=3, decay=0.5).nnz == 0
    assert recency(baskets, owners, N_USERS, 0.5).toarray()[2, 4] == 1
