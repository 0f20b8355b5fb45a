"""Ranking losses against naive loops and hand-worked examples."""

import math

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from skllmrec._kernels.neural.ranking_losses import bpr_loss, first_unknown, is_linked, softmax_loss, warp_loss

USERS, ITEMS = 4, 6


def draw(*shape, seed=0):
    return torch.tensor(np.random.default_rng(seed).normal(size=shape))


def make_pairs(seed):
    """Vectors of both sides, which pairs are liked, and the liked ones in any order."""
    users, items, liked = (
        draw(USERS, 3, seed=seed),
        draw(ITEMS, 3, seed=seed + 5),
        draw(USERS, ITEMS, seed=seed + 9) > 0.3,
    )
    order = torch.randperm(int(liked.sum()), generator=torch.manual_seed(seed))
    return users, items, liked, *(part[order] for part in liked.nonzero(as_tuple=True))


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("sampled", [False, True])
def test_softmax_loss_is_that_of_a_naive_loop(seed, sampled):
    users, items, liked, rows, columns = make_pairs(seed)
    scores = users @ items.T
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
    found = softmax_loss(users, items, rows, columns, inclusion=inclusion if sampled else None)
    assert_allclose(found, expected)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_what_is_liked_need_not_be_a_candidate(seed):
    users, items, liked, rows, columns = make_pairs(seed)
    scores, candidates = users @ items.T, [0, 2, 3, 5]
    expected = []
    for user, item in zip(rows.tolist(), columns.tolist(), strict=True):
        others = sum(math.exp(scores[user, other]) for other in candidates if not liked[user, other])
        expected.append(math.log(1 + others / math.exp(scores[user, item])))
    places = torch.tensor([0, -1, 1, 2, -1, 3])[columns]
    found = softmax_loss(users, items[candidates], rows, places, positive=scores[rows, columns])
    assert (places < 0).any()
    assert_allclose(found, expected)


def test_softmax_is_in_full_precision_within_mixed_precision():
    users, items, _, rows, columns = make_pairs(0)
    users, items = (side.float().requires_grad_() for side in (users, items))
    expected = softmax_loss(users, items, rows, columns)
    gradients = torch.autograd.grad(expected.sum(), (users, items))
    with torch.autocast("cpu", torch.bfloat16):
        found = softmax_loss(users, items, rows, columns)
    assert_array_equal(found.detach(), expected.detach())
    for found_one, expected_one in zip(torch.autograd.grad(found.sum(), (users, items)), gradients, strict=True):
        assert_array_equal(found_one, expected_one)


@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_great_scores_do_not_overflow(scale):
    users = torch.tensor([[scale, 0.0]], requires_grad=True)
    items = torch.tensor([[1.0, 0.0], [0.0, 0.0], [-1.0, 0.0]])
    first = torch.tensor([0])
    for own in (0, 2):  # the best and the worst of three
        scores = [0.0, -scale] if own == 0 else [scale, 0.0]
        loss = softmax_loss(users, items, first, torch.tensor([own]))
        expected = np.logaddexp(0, np.logaddexp(*scores) - (scale if own == 0 else -scale))
        assert_allclose(loss.detach(), [expected], rtol=1e-5, atol=1e-30)
        assert torch.isfinite(torch.autograd.grad(loss.sum(), users)[0]).all()


def test_without_masks_and_samples_softmax_is_cross_entropy():
    scores, own = draw(USERS, ITEMS), torch.tensor([3, 0, 5, 5])
    rows = torch.arange(USERS)
    expected = torch.nn.functional.cross_entropy(scores, own, reduction="none")
    assert_allclose(softmax_loss(scores, torch.eye(ITEMS, dtype=scores.dtype), rows, own), expected)


def test_the_correction_makes_a_sample_estimate_the_whole_catalogue():
    """Mean over all samples of two out of four items, the first of which is drawn more often: by hand, no chance."""
    scores = torch.tensor([[0.3, -0.2, 1.0, 0.5]], dtype=torch.float64)
    chances = {(0, 1): 0.3, (0, 2): 0.25, (0, 3): 0.2, (1, 2): 0.1, (1, 3): 0.1, (2, 3): 0.05}
    inclusion = [sum(chance for sample, chance in chances.items() if item in sample) for item in range(4)]
    pair, positive = (torch.tensor([0]), torch.tensor([-1])), torch.zeros(1, dtype=torch.float64)
    one = torch.ones(1, 1, dtype=torch.float64)
    estimate = 0.0
    for sample, chance in chances.items():
        drawn = torch.tensor([inclusion[item] for item in sample], dtype=torch.float64)
        loss = softmax_loss(one, scores[0, list(sample)][:, None], *pair, inclusion=drawn, positive=positive)
        estimate += chance * (math.exp(loss) - 1)  # the sum over the others, as the positive score is zero
    assert_allclose(estimate, scores.exp().sum())


def test_a_user_who_likes_everything_teaches_nothing():
    users, items = draw(2, 4).requires_grad_(), draw(3, 4, seed=1).requires_grad_()
    pairs = torch.ones(2, 3).nonzero(as_tuple=True)
    loss = softmax_loss(users, items, *pairs).sum()
    loss.backward()
    assert loss.item() == 0
    for side in (users, items):
        assert_array_equal(side.grad, np.zeros(side.shape))


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
    users, items, _, rows, columns = make_pairs(0)
    inputs, weights = (users.requires_grad_(), items.requires_grad_()), draw(len(rows), seed=7)
    inclusion = torch.linspace(0.2, 1, ITEMS, dtype=torch.float64)
    for value in (None, inclusion):
        assert torch.autograd.gradcheck(
            lambda p, q, value=value: (weights * softmax_loss(p, q, rows, columns, inclusion=value)).sum(), inputs
        )
    kept = torch.where(columns < 3, columns, -1)
    assert torch.autograd.gradcheck(
        lambda p, q: softmax_loss(p, q[:3], rows, kept, positive=(p[rows] * q[columns]).sum(1)).sum(), inputs
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
