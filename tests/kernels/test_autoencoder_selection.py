"""Strengths of linear autoencoders: the search finds what an exhaustive one finds."""

import numpy as np
import pytest
from scipy import sparse

from skllmrec._kernels.item_item import autoencoder_selection as selection
from skllmrec._kernels.item_item.autoencoder import weigh_users
from skllmrec._kernels.item_item.autoencoder_selection import choose_feature_ridge, choose_strengths
from skllmrec._kernels.selection.held_out import hold_out_entries, hold_out_seeds, popular_items, take_entries
from skllmrec._kernels.selection.peak import search_peak


def clusters(seed=0, n_users=400, n_items=60, noise=0.3):
    """Users of four groups, each with items of its own; the first items are popular."""
    generator = np.random.default_rng(seed)
    users = np.repeat(np.arange(n_users), 10)
    group = np.where(generator.random(len(users)) < noise, generator.integers(4, size=len(users)), users % 4)
    items = 4 * (n_items // 4 * generator.random(len(users)) ** 2).astype(int) + group
    X = sparse.csr_matrix((np.ones(len(users)), (users, items)), (n_users, n_items))
    X.data[:] = 1.0
    return X


def ndcg(scores, seen, relevant):
    """One user, by definition."""
    order = [item for item in np.argsort(-scores, kind="stable") if not seen[item]][:20]
    gain = sum(1 / np.log2(rank + 2) for rank, item in enumerate(order) if relevant[item])
    return gain / sum(1 / np.log2(rank + 2) for rank in range(min(int(relevant.sum()), 20)))


def quality(X, alpha, exponent, seed):
    """Mean NDCG@20 of weighted EASE on one hold-out, with dense matrices."""
    train, test = (take_entries(X, part).toarray() for part in hold_out_entries(X, seed))
    weights = np.maximum((train > 0).sum(axis=1), 1) ** -0.5
    P = np.linalg.inv(train.T @ np.diag(weights / weights.mean()) @ train + alpha * np.eye(X.shape[1]))
    B = -P / np.diagonal(P)
    np.fill_diagonal(B, 0)
    counts = np.maximum(train.sum(axis=0), 1)
    scores = train @ B * (counts / counts.mean()) ** -exponent
    users = np.flatnonzero(test.any(axis=1))
    return np.mean([ndcg(scores[user], train[user], test[user] > 0) for user in users])


def test_the_search_ends_at_the_best_ridge_and_exponent():
    X = clusters()
    found = choose_strengths(X, method="edlae", user_exponent=0.5)
    unit = selection.mean_history(weigh_users(X, 0.5))
    seeds = hold_out_seeds(X.nnz)
    ridges = [unit * ridge for ridge in selection.RIDGES]
    table = np.array(
        [
            [np.mean([quality(X, alpha, exponent, seed) for seed in seeds[:2]]) for exponent in (0.0, 0.2, 0.4)]
            for alpha in ridges
        ]
    )
    at = quality(X, found.alpha, found.popularity_exponent, 0), quality(X, found.alpha, found.popularity_exponent, 1)
    assert np.mean(at) >= 0.98 * table.max()
    assert table.min() < 0.9 * table.max(), "the strengths matter on this data"


def test_what_is_given_is_kept():
    X = clusters()
    found = choose_strengths(X, method="ease", alpha=3.0, popularity_exponent=0.15)
    assert (found.alpha, found.popularity_exponent) == (3.0, 0.15)
    assert choose_strengths(X, method="ease", popularity_exponent=0.15).popularity_exponent == 0.15
    assert choose_strengths(X, method="ease", alpha=3.0).alpha == 3.0


def test_little_data_chooses_the_usual_values():
    X = clusters(n_users=30)
    found = choose_strengths(X, np.eye(60), method="additive")
    assert found == (pytest.approx(8 * selection.mean_history(X)), 0.0, 0.25)
    assert choose_feature_ridge(clusters(n_users=3), np.eye(60)) == 5.0


@pytest.mark.parametrize("noise", [0.1, 3.0])
def test_noisy_features_get_a_larger_ridge(noise):
    X = clusters(n_users=800)
    generator = np.random.default_rng(1)
    F = np.eye(4)[np.arange(60) % 4] + noise * generator.normal(size=(60, 4))
    F /= np.linalg.norm(F, axis=1, keepdims=True)
    ridge = choose_feature_ridge(X, F)
    assert ridge in selection.FEATURE_RIDGES
    wide = np.hstack([F, 5 * generator.normal(size=(60, 40))])
    wide /= np.linalg.norm(wide, axis=1, keepdims=True)
    assert choose_feature_ridge(X, wide) >= ridge


def test_popular_items_are_those_with_most_entries():
    X = sparse.csr_matrix([[1.0, 0, 1, 1], [0, 0, 1, 1], [0, 1, 1, 0]])
    assert popular_items(X, 2).tolist() == [2, 3]
    assert popular_items(X, 3).tolist() == [0, 2, 3]  # of equal ones the first


@pytest.mark.parametrize("start", [0, 3, 6])
def test_the_summit_of_a_parabola_is_found_from_anywhere(start):
    grid = [2.0**power for power in range(7)]
    tried = []

    def evaluate(alpha):
        tried.append(alpha)
        return -((np.log2(alpha) - 2.3) ** 2)

    peak = search_peak(evaluate, grid, start)
    assert peak.value == pytest.approx(2**2.3) and peak.near == 4.0
    assert len(tried) == len(set(tried))


def test_the_end_of_a_grid_is_no_summit():
    assert search_peak(lambda alpha: alpha, [1.0, 2.0, 4.0], 1) == (4.0, 4.0)
    assert search_peak(lambda alpha: 0.0, [1.0, 2.0, 4.0], 1) == (2.0, 2.0)
