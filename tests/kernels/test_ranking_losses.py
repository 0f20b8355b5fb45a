"""Ranking losses against naive loops and hand-worked examples."""

import math

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from skllmrec._kernels.ranking_losses import bpr_loss, first_unknown, is_linked, softmax_loss, warp_loss

USERS, ITEMS = 4, 6


def draw(*shape, seed=0):
    return torch.tensor(np.random.default_rng(seed).normal(size=shape))


def make_pairs(seed):
    """Scores of all pairs, which of them are liked, and the liked ones as pairs."""
    scores, liked = draw(USERS, ITEMS, seed=seed), draw(USERS, ITEMS, seed=seed + 9) > 0.3
    rows, columns = liked.nonzero(as_tuple=True)
    return scores, liked, rows, columns


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("sampled", [False, True])
def test_softmax_loss_is_that_of_a_naive_loop(seed, sampled):
    scores, liked, rows, columns = make_pairs(seed)
    inclusion = draw(ITEMS, seed=3).abs().clamp(0.05, 1) if sampled else torch.ones(ITEMS)
    expected = []
    for user, item in zip(rows.tolist(), columns.tolist(), strict=True):
        others = sum(
            math.exp(scores[user, other]) / float(inclusion[other])
            for other in range(ITEMS)
            if not liked[user, other]  # other positives of the user do not count
        )
        own = math.exp(scores[user, item])
        expected.append(-math.log(own / (own + others)))
    found = softmax_loss(scores[rows, columns], rows, scores, liked, inclusion if sampled else None)
    assert_allclose(found, expected)


def test_without_masks_and_samples_softmax_is_cross_entropy():
    scores, own = draw(USERS, ITEMS), torch.tensor([3, 0, 5, 5])
    liked = torch.nn.functional.one_hot(own, ITEMS).bool()
    rows = torch.arange(USERS)
    expected = torch.nn.functional.cross_entropy(scores, own, reduction="none")
    assert_allclose(softmax_loss(scores[rows, own], rows, scores, liked), expected)


def test_the_correction_makes_a_sample_estimate_the_whole_catalogue():
    """Mean over all samples of two out of four items, the first of which is drawn more often: by hand, no chance."""
    scores = torch.tensor([[0.3, -0.2, 1.0, 0.5]], dtype=torch.float64)
    chances = {(0, 1): 0.3, (0, 2): 0.25, (0, 3): 0.2, (1, 2): 0.1, (1, 3): 0.1, (2, 3): 0.05}
    inclusion = [sum(chance for pair, chance in chances.items() if item in pair) for item in range(4)]
    nobody, positive = torch.zeros(1, 2, dtype=torch.bool), torch.zeros(1, dtype=torch.float64)
    estimate = 0.0
    for pair, chance in chances.items():
        drawn = torch.tensor([inclusion[item] for item in pair], dtype=torch.float64)
        loss = softmax_loss(positive, torch.tensor([0]), scores[:, list(pair)], nobody, drawn)
        estimate += chance * (math.exp(loss) - 1)  # the sum over the others, as the positive score is zero
    assert_allclose(estimate, scores.exp().sum())


def test_a_user_who_likes_everything_teaches_nothing():
    scores = draw(2, 3).requires_grad_()
    loss = softmax_loss(scores[:, 0], torch.arange(2), scores, torch.ones(2, 3, dtype=torch.bool)).sum()
    loss.backward()
    assert loss.item() == 0
    assert_array_equal(scores.grad, np.zeros((2, 3)))


def test_bpr_loss_is_minus_the_log_of_the_sigmoid():
    positive, negative = draw(5), draw(5, seed=1)
    expected = [-math.log(1 / (1 + math.exp(-(s - t)))) for s, t in zip(positive, negative, strict=True)]
    assert_allclose(bpr_loss(positive, negative), expected)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_warp_loss_is_that_of_a_naive_loop(seed):
    n_pairs, n_draws, n_items, margin = 50, 4, 30, 0.5
    positive, negatives = 1 + draw(n_pairs, seed=seed), draw(n_pairs, n_draws, seed=seed + 1)
    liked = draw(n_pairs, n_draws, seed=seed + 2) > 1
    expected = []
    for s, row, skipped in zip(positive.tolist(), negatives.tolist(), liked.tolist(), strict=True):
        n_drawn, value = 0, 0.0
        for t, skip in zip(row, skipped, strict=True):
            n_drawn += not skip
            if not skip and t > s - margin:
                value = math.log((n_items - 1) / n_drawn + 1) * (margin - s + t)
                break
        expected.append(value)
    assert 5 < sum(value > 0 for value in expected) < n_pairs
    assert_allclose(warp_loss(positive, negatives, liked, n_items, margin), expected)


def test_warp_weighs_by_the_rank_that_the_number_of_draws_speaks_for():
    negatives = torch.tensor(
        [[3.0, 0, 0], [0, 3.0, 0], [0, 0, 3.0], [0, 0, 0]]
    )  # first violation at draw 1, 2, 3, none
    losses = warp_loss(torch.full((4,), 2.0), negatives, negatives > 9, n_items=13)
    assert_allclose(losses, 2 * np.log([13, 7, 5, 1]), rtol=1e-6)  # log(12 / N + 1) (1 - 2 + 3)


def test_gradients_are_those_of_finite_differences():
    scores, liked, rows, columns = make_pairs(0)
    inclusion = torch.full((ITEMS,), 0.5, dtype=torch.float64)
    for value in (None, inclusion):
        assert torch.autograd.gradcheck(
            lambda s, value=value: softmax_loss(s[rows, columns], rows, s, liked, value).sum(), scores.requires_grad_()
        )
    pairs = draw(5).requires_grad_(), draw(5, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda s, t: bpr_loss(s, t).sum(), pairs)
    negatives = draw(5, 3, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda s, t: warp_loss(s, t, negatives > 1, 9).sum(), (pairs[0], negatives))


@pytest.mark.parametrize("seed", [0, 1])
def test_known_pairs_are_found(seed):
    rng = np.random.default_rng(seed)
    known = rng.random((USERS, ITEMS)) < 0.3
    known[0, 0] = True
    keys = torch.from_numpy(np.flatnonzero(known))
    users, items = torch.arange(USERS)[:, None], torch.arange(ITEMS)
    assert_array_equal(is_linked(users, items, keys, ITEMS), known)


def test_the_first_item_that_is_not_known_is_taken():
    items = torch.tensor([[4, 5], [6, 7], [8, 9]])
    liked = torch.tensor([[False, False], [True, False], [True, True]])
    chosen, found = first_unknown(items, liked)
    assert_array_equal(chosen[:2], [4, 7])
    assert_array_equal(found, [True, True, False])
