"""Pools of candidates against naive loops, and rankings of pools against those of all items."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from skllmrec._kernels.selection import pools
from skllmrec._kernels.selection.pools import PooledRankings, Rankings, pool_rankings

N_USERS, N_ITEMS, N_BEST = 9, 70, 5


def given(seed):
    """Scores of three models, with ties, and what was held out and seen."""
    generator = np.random.default_rng(seed)
    scores = [generator.normal(size=(N_USERS, N_ITEMS)).round(1) for _ in range(3)]
    drawn = generator.random((N_USERS, N_ITEMS))
    held_out, seen = drawn < 0.05, drawn > 0.8
    held_out[:, 0], seen[:, 0] = True, False
    seen[0], held_out[0] = True, False  # this one has hardly anything left
    seen[0, :2], held_out[0, 0] = False, True
    return scores, *(sparse.csr_matrix(part, dtype=float) for part in (held_out, seen))


@pytest.mark.parametrize("at_once", [1, 4, 100])
@pytest.mark.parametrize("seed", [0, 1])
def test_pools_against_a_loop(seed, at_once, monkeypatch):
    monkeypatch.setattr(pools, "_BLOCK_SCORES", at_once * N_ITEMS + 1)
    scores, held_out, seen = given(seed)
    asked = []

    def model(number):
        def scored(rows):
            asked.append(len(rows))
            return scores[number][rows]

        return scored

    found = pool_rankings([model(number) for number in range(3)], N_BEST, held_out, seen)
    assert max(asked) == min(at_once, N_USERS) and sum(asked) == 3 * N_USERS
    for user in range(N_USERS):
        wanted = {int(item) for item in held_out[user].indices}
        unseen = sorted(set(range(N_ITEMS)) - set(seen[user].indices.tolist()))
        for one in scores:
            wanted.update(sorted(unseen, key=lambda item: (-one[user, item], item))[:N_BEST])
        pool = found.pool[user][: len(wanted)]
        assert pool.tolist() == sorted(wanted)
        assert (found.pool[user][len(wanted) :] == -1).all()
        assert_array_equal(found.seen.toarray()[user], found.pool[user] == -1)
        assert pool[found.held_out[user].indices].tolist() == sorted(held_out[user].indices.tolist())
        for kept, one in zip(found.scores, scores, strict=True):
            assert_array_equal(kept[user, : len(wanted)], one[user, pool])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_lists_within_the_pools_are_those_of_all_items(seed):
    scores, held_out, seen = given(seed)
    models = [one.__getitem__ for one in scores]
    full, pooled = Rankings(scores, held_out, seen), pool_rankings(models, 20, held_out, seen)
    for one, other in zip(full.scores, pooled.scores, strict=True):
        assert_array_equal(full.gains(one), pooled.gains(other))
    half = np.flatnonzero(np.random.default_rng(seed).random(N_ITEMS) < 0.5)
    everything = pool_rankings(models, N_ITEMS, held_out, seen)  # nothing is outside of such a pool
    full, pooled = full.among(half), everything.among(half)
    assert isinstance(pooled, PooledRankings) and len(full.scores[0]) == len(pooled.scores[0])
    for one, other in zip(full.scores, pooled.scores, strict=True):
        assert_allclose(full.gains(one), pooled.gains(other))
    assert_allclose(full.gains(sum(full.scores)), pooled.gains(sum(pooled.scores)))
