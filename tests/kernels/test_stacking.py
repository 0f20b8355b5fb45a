"""Kernels of the second stage against loops: standings, folds, cosines to histories, the listwise model."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.optimize import approx_fprime, minimize

from skllmrec._kernels.selection.standing import knot_ranks, knots, levels, reciprocal_ranks, standardised
from skllmrec._kernels.stacking.folds import assign_folds, assign_new_items
from skllmrec._kernels.stacking.histories import history_cosines, history_means
from skllmrec._kernels.stacking.listwise import fit_listwise, listwise_loss


def scores_and_seen(seed, n_users=5, n_items=60):
    generator = np.random.default_rng(seed)
    scores = generator.normal(size=(n_users, n_items)) * 10
    return scores, sparse.csr_matrix(generator.random((n_users, n_items)) < 0.2)


@pytest.mark.parametrize("seed", [0, 1])
def test_knots_are_the_scores_at_their_ranks_among_unseen_items(seed):
    scores, seen = scores_and_seen(seed)
    found, ranks = knots(scores, seen), knot_ranks(60)
    assert ranks.tolist() == [1, 2, 3, 4, 6, 8, 12, 16, 24, 30]
    for user, row in enumerate(scores):
        unseen = sorted((row[item] for item in range(60) if not seen[user, item]), reverse=True)
        expected = [unseen[int(rank) - 1] for rank in ranks[:-1]]
        assert_allclose(found[user], [*expected, min(row.mean(), expected[-1])])


@pytest.mark.parametrize("n_unseen", [0, 1, 5])
def test_knots_of_who_has_seen_nearly_everything_are_finite(n_unseen):
    scores, _ = scores_and_seen(0, n_users=1)
    seen = np.ones((1, 60), dtype=bool)
    seen[0, :n_unseen] = False
    found = knots(scores, sparse.csr_matrix(seen))
    assert np.isfinite(found).all() and (np.diff(found[0]) <= 0).all()
    if n_unseen:
        assert found[0, 0] == scores[0, :n_unseen].max()


@pytest.mark.parametrize("seed", [0, 1])
def test_reciprocal_ranks_are_exact_at_the_knots_and_interpolated_between_them(seed):
    scores, seen = scores_and_seen(seed)
    found, ranks = knots(scores, seen), knot_ranks(60)
    users, items = (part.ravel() for part in np.indices(scores.shape))
    for spread in (1e-6, 1.0):
        result = reciprocal_ranks(scores.ravel(), users, found, np.full(5, spread), 60)
        for user, item, value in zip(users, items, result, strict=True):
            low = np.interp(-(scores[user, item] + 0.01 * spread), -found[user], np.log(ranks))
            high = np.interp(-(scores[user, item] - 0.01 * spread), -found[user], np.log(ranks))
            assert value == pytest.approx(np.exp(-(low + high) / 2))
    exact = reciprocal_ranks(found[2, :-1], np.full(len(ranks) - 1, 2), found, np.zeros(5), 60)
    assert_allclose(exact, 1 / ranks[:-1])


def test_equal_scores_share_the_middle_of_their_ranks():
    scores = np.zeros((1, 60))
    found = knots(scores, sparse.csr_matrix((1, 60)))
    noise = np.array([0.0, 1e-9, -1e-9])
    assert_allclose(reciprocal_ranks(noise, np.zeros(3, int), found, np.ones(1), 60), 1 / np.sqrt(1 * 30))
    # a tie of the second and the third
    found = np.array([[9.0, 5.0, 5.0, 1.0]])
    assert_allclose(reciprocal_ranks(np.array([5.0]), np.zeros(1, int), found, np.full(1, 1e-6), 8), 1 / np.sqrt(2 * 3))


def test_standardised_scores():
    scores, _ = scores_and_seen(3)
    found = standardised(scores, levels(scores), 1.0)
    for user, row in enumerate(scores):
        mean = sum(row) / 60
        assert_allclose(found[user], (row - mean) / np.sqrt(sum((row - mean) ** 2) / 60))
    flat = np.array([[5.0, 5.0 + 1e-9]])
    assert np.abs(standardised(flat, levels(flat), 2.0)).max() < 1e-8  # of next to nothing nothing is made


@pytest.mark.parametrize("seed", [0, 1])
def test_folds_split_each_user_evenly(seed):
    generator = np.random.default_rng(seed)
    owners = np.sort(generator.integers(30, size=400))
    folds = assign_folds(owners, 3, generator)
    for user in range(30):
        counts = np.bincount(folds[owners == user], minlength=3)
        assert counts.max() - counts.min() <= 1
    assert np.bincount(folds).min() > 100  # those with a rest do not all begin with the same fold
    assert_array_equal(folds, assign_folds(owners, 3, second_generator(seed)))


def second_generator(seed):
    generator = np.random.default_rng(seed)
    generator.integers(30, size=400)
    return generator


def test_new_items_are_new_in_one_fold():
    folds = assign_new_items(np.arange(50), 4, 0.1, np.random.default_rng(0))
    assert np.bincount(folds + 1).tolist() == [30, 5, 5, 5, 5]
    assert (assign_new_items(np.arange(50), 4, 0.0, np.random.default_rng(0)) == -1).all()


@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_cosines_to_the_history(kind):
    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(20, 6)) * (generator.random((20, 6)) < 0.6)
    vectors[3] = 0
    lengths = np.sqrt((vectors**2).sum(axis=1, keepdims=True))
    vectors = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    histories = generator.random((4, 20)) < 0.3
    histories[2] = False
    owners, places = generator.integers(4, size=30), generator.integers(8, size=30)
    given = (
        (vectors, vectors[12:]) if kind == "dense" else (sparse.csr_matrix(vectors), sparse.csr_matrix(vectors[12:]))
    )
    found = history_cosines(sparse.csr_matrix(histories), *given, owners, places)
    for row, (user, item) in enumerate(zip(owners, places, strict=True)):
        cosines = [vectors[12 + item] @ vectors[other] for other in np.flatnonzero(histories[user])]
        expected = [np.mean(cosines), max(cosines)] if cosines else [0, 0]
        assert_allclose(found[row], expected, atol=1e-12)
    values = generator.normal(size=20)
    means = history_means(sparse.csr_matrix(histories), values, -7.0)
    assert_allclose(means, [values[own].mean() if own.any() else -7.0 for own in histories])


def lists(seed, n_lists=12):
    generator = np.random.default_rng(seed)
    lengths = generator.integers(2, 9, size=n_lists)
    starts = np.append(0, np.cumsum(lengths)[:-1])
    X = generator.normal(size=(lengths.sum(), 4))
    y = (generator.random(len(X)) < 0.3).astype(float)
    y[starts[0] : starts[0] + lengths[0]] = 0  # a list without a relevant entry
    y[starts[1]] = y[starts[1] + 1] = 1  # one with several
    return X, y, starts, lengths


@pytest.mark.parametrize("seed", [0, 1])
def test_listwise_loss_and_its_gradient(seed):
    X, y, starts, lengths = lists(seed)
    weights, alpha = np.random.default_rng(9).normal(size=4), 0.3
    targets, expected = np.zeros(len(X)), 0.0
    offsets = np.log(np.random.default_rng(8).integers(1, 5, size=len(X)))
    for start, length in zip(starts, lengths, strict=True):
        own = slice(start, start + length)
        if y[own].sum():
            targets[own] = y[own] / y[own].sum()
        scores = X[own] @ weights + offsets[own]
        expected -= targets[own] @ np.log(np.exp(scores) / np.exp(scores).sum())
    kept = np.repeat(np.add.reduceat(y, starts) > 0, lengths)
    first = np.append(0, np.cumsum(lengths[np.add.reduceat(y, starts) > 0])[:-1])
    given = X[kept], targets[kept], first, alpha, offsets[kept]
    loss, gradient = listwise_loss(weights, *given)
    assert loss == pytest.approx(expected / len(first) + alpha / 2 * weights @ weights)
    assert_allclose(gradient, approx_fprime(weights, lambda w: listwise_loss(w, *given)[0]), atol=1e-5)
    fitted = fit_listwise(X, y, starts, alpha, offsets)
    best = minimize(lambda w: listwise_loss(w, *given)[0], np.zeros(4), method="Nelder-Mead", options={"xatol": 1e-6})
    assert_allclose(fitted, best.x, atol=1e-3)


def test_lists_without_relevant_entries_teach_nothing():
    X, _, starts, _ = lists(0)
    assert fit_listwise(X, np.zeros(len(X)), starts, 0.1).tolist() == [0, 0, 0, 0]
