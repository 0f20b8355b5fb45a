"""Weights of blends against exhaustive search, and the gain against the public metric."""

import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import optimize, sparse

from skllmrec import ndcg_at_k
from skllmrec._kernels.selection.blending import convex_least_squares, ranking_gain, select_greedily


@pytest.mark.parametrize("n_columns", [12, 40])
def test_gain_is_the_public_ndcg_of_unseen_items(n_columns):
    generator = np.random.default_rng(n_columns)
    scores = generator.normal(size=(7, n_columns))
    drawn = generator.random((7, n_columns))
    held_out, seen = drawn < 0.2, drawn > 0.8
    held_out[:, 0], seen[:, 0] = True, False
    order = np.argsort(-np.where(seen, -np.inf, scores), axis=1, kind="stable")[:, :20]
    order[np.take_along_axis(seen, order, axis=1)] = -1
    expected = ndcg_at_k(held_out.astype(float), order, k=20, average=False)
    before = scores.copy()
    found = ranking_gain(scores, sparse.csr_matrix(held_out, dtype=float), sparse.csr_matrix(seen, dtype=float))
    assert_allclose(found, expected)
    assert_allclose(scores, before, err_msg="the scores were changed")


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_greedy_choice_is_near_the_best_of_a_grid_and_never_below_a_single_model(seed):
    generator = np.random.default_rng(seed)
    target = generator.normal(size=200)
    scores = [target + generator.normal(size=200) * noise for noise in (0.5, 0.7, 3.0)]

    def quality(blended):
        return -np.mean((blended - target) ** 2)

    weights = select_greedily(scores, quality)
    reached = quality(np.tensordot(weights, scores, axes=1))
    grid = [np.array(w) / 20 for w in itertools.product(range(21), repeat=3) if sum(w) == 20]
    best = max(quality(np.tensordot(w, scores, axes=1)) for w in grid)
    assert weights.sum() == pytest.approx(1) and (weights >= 0).all()
    assert reached >= max(map(quality, scores))
    assert reached == pytest.approx(best, rel=0.02)


@pytest.mark.parametrize("seed", [0, 1])
def test_convex_least_squares_against_a_general_solver(seed):
    generator = np.random.default_rng(seed)
    predictions, weights = generator.normal(size=(50, 3)), generator.random(50) + 0.5
    targets = predictions @ [0.7, 0.6, -0.4] + generator.normal(size=50)

    def error(a):
        return (weights * (targets - predictions @ a) ** 2).sum()

    solved = optimize.minimize(
        error, np.full(3, 1 / 3), bounds=[(0, 1)] * 3, constraints={"type": "eq", "fun": lambda a: a.sum() - 1}
    )
    found = convex_least_squares(predictions, targets, weights)
    assert found.sum() == pytest.approx(1)
    assert_allclose(found, solved.x, atol=1e-3)
