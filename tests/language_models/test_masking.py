"""Masking: how many tokens, which ones, and what stands in their place."""

import pytest
import torch
from numpy.testing import assert_allclose

from skllmrec.language_models.pretraining._masking import mask_tokens

MASK, ORDINARY = 3, torch.arange(4, 50)


def draw(probability=0.15, n_rows=400, starts=None, seed=0):
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(4, 50, (n_rows, 30), generator=generator)
    maskable = torch.ones_like(ids, dtype=torch.bool)
    maskable[:, 0] = maskable[:, 25:] = False
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        inputs, hidden = mask_tokens(
            ids, maskable, probability=probability, mask_id=MASK, ordinary=ORDINARY, starts=starts
        )
    return ids, maskable, inputs, hidden


@pytest.mark.parametrize("seed", [0, 1])
def test_shares(seed):
    ids, maskable, inputs, hidden = draw(seed=seed)
    assert not (hidden & ~maskable).any()
    assert (inputs == ids)[~hidden].all()
    assert_allclose(hidden.sum() / maskable.sum(), 0.15, atol=0.02)
    chosen = inputs[hidden]
    assert_allclose((chosen == MASK).float().mean(), 0.8, atol=0.03)
    stays = (chosen == ids[hidden]).float().mean().item()
    assert_allclose(stays, 0.1 + 0.1 / len(ORDINARY), atol=0.03)
    assert set(inputs.unique().tolist()) <= {MASK, *ORDINARY.tolist()}


def test_every_row_hides_something_unless_there_is_nothing():
    _, _, _, hidden = draw(probability=1e-9)
    assert (hidden.sum(dim=1) == 1).all()
    ids = torch.tensor([[1, 2]])
    _, hidden = mask_tokens(ids, ids > 2, probability=0.5, mask_id=MASK, ordinary=ORDINARY)
    assert not hidden.any()


def test_words_are_hidden_as_a_whole():
    starts = torch.zeros(400, 30, dtype=torch.bool)
    starts[:, [1, 2, 5, 9, 10, 17]] = True
    _, _, _, hidden = draw(starts=starts)
    words = [range(1, 2), range(2, 5), range(5, 9), range(9, 10), range(10, 17), range(17, 25)]
    for word in words:
        share = hidden[:, list(word)].float().mean(dim=1)
        assert set(share.tolist()) == {0.0, 1.0}
    assert_allclose(hidden[:, [1, 9]].float().mean(), 0.15 + 0.85**6 / 6, atol=0.04)
