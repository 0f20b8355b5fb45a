"""Losses of factors against sums over dense matrices, and their gradients against finite differences."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from skllmrec._kernels.neural.factor_losses import preference_loss, prior_loss, rating_loss

USERS, ITEMS, WIDTH = 5, 7, 3


def draw(*shape, seed=0):
    return torch.tensor(np.random.default_rng(seed).normal(size=shape))


@pytest.mark.parametrize("seed", [0, 1])
def test_rating_loss_is_that_of_a_naive_loop(seed):
    users, items = draw(4, WIDTH + 1, seed=seed), draw(4, WIDTH + 1, seed=seed + 1)
    targets, weights = draw(4, seed=seed + 2), draw(4, seed=seed + 3).abs()
    expected = []
    for p, q, t, w in zip(users.numpy(), items.numpy(), targets.numpy(), weights.numpy(), strict=True):
        expected.append(w * (t - p[WIDTH] - q[WIDTH] - p[:WIDTH] @ q[:WIDTH]) ** 2)
    assert_allclose(rating_loss(users, items, targets, weights), expected)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("unobserved_weight", [0.0, 0.3])
def test_preference_loss_is_the_sum_over_all_pairs(seed, unobserved_weight):
    rng = np.random.default_rng(seed)
    users, items = draw(USERS, WIDTH, seed=seed), draw(ITEMS, WIDTH, seed=seed + 1)
    weights = np.where(rng.random((USERS, ITEMS)) < 0.4, rng.random((USERS, ITEMS)), 0)
    pairs = weights.nonzero()
    scores = users.numpy() @ items.numpy().T
    expected = (weights * (scores - 1) ** 2).sum() + unobserved_weight * (scores**2).sum()
    tensors = tuple(torch.from_numpy(codes) for codes in pairs), torch.from_numpy(weights[pairs])
    assert_allclose(preference_loss(users, items, *tensors, unobserved_weight), expected)


def test_prior_loss_is_the_weighted_squared_distance():
    rows, priors, strengths = draw(4, 3), draw(4, 3, seed=1), draw(4, seed=2).abs()
    expected = [s * sum((r[k] - p[k]) ** 2 for k in range(3)) for r, p, s in zip(rows, priors, strengths, strict=True)]
    assert_allclose(prior_loss(rows, priors, strengths), expected)


def test_gradients_are_those_of_finite_differences():
    pairs, weights = (torch.tensor([0, 0, 4]), torch.tensor([1, 6, 1])), draw(3).abs()
    users, items = draw(USERS, WIDTH).requires_grad_(), draw(ITEMS, WIDTH, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda p, q: preference_loss(p, q, pairs, weights, 0.2), (users, items))
    rows = draw(3, WIDTH + 1).requires_grad_(), draw(3, WIDTH + 1, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda p, q: rating_loss(p, q, weights, weights).sum(), rows)
    assert torch.autograd.gradcheck(lambda p, q: prior_loss(p, q, weights).sum(), rows)
