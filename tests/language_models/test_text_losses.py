"""Losses of item vectors against naive loops."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from skllmrec.language_models.fine_tuning.losses import contrastive_loss, reconstruction_loss


def make(seed, n_users=7, n_items=9, d=4):
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(n_items, d))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    liked = rng.random((n_users, n_items)) < 0.4
    liked[0], liked[1] = False, np.arange(n_items) == 3  # a user with no item, and one with a single item
    return vectors, liked


def naive_contrastive(vectors, liked, temperature):
    losses = []
    for row in liked:
        mine = np.flatnonzero(row)
        for i in mine if len(mine) > 1 else []:
            others = [j for j in mine if j != i]
            query = sum(vectors[j] for j in others)
            query = query / np.linalg.norm(query)
            logits = {k: query @ vectors[k] / temperature for k in range(len(vectors)) if k not in others}
            losses.append(np.log(sum(np.exp(value) for value in logits.values())) - logits[i])
    return np.mean(losses)


def naive_reconstruction(vectors, liked):
    distances = []
    similarity = vectors @ vectors.T - np.eye(len(vectors))
    for row in liked[liked.any(axis=1)].astype(float):
        made = row @ similarity
        distances.append(((row / np.linalg.norm(row) - made / np.linalg.norm(made)) ** 2).sum())
    return np.mean(distances)


@pytest.mark.parametrize("temperature", [0.1, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_contrastive_loss_is_that_of_a_loop(seed, temperature):
    vectors, liked = make(seed)
    loss = contrastive_loss(torch.tensor(vectors), torch.tensor(liked), temperature=temperature)
    assert_allclose(loss.item(), naive_contrastive(vectors, liked, temperature), rtol=1e-10)


@pytest.mark.parametrize("seed", range(3))
def test_reconstruction_loss_is_that_of_a_loop(seed):
    vectors, liked = make(seed)
    loss = reconstruction_loss(torch.tensor(vectors), torch.tensor(liked))
    assert_allclose(loss.item(), naive_reconstruction(vectors, liked), rtol=1e-10)


def test_pairs_beyond_the_most_are_drawn_at_random():
    vectors, liked = (torch.tensor(array) for array in make(0, n_users=200))
    torch.manual_seed(0)
    parts = [contrastive_loss(vectors, liked, temperature=1.0, max_pairs=300).item() for _ in range(30)]
    whole = contrastive_loss(vectors, liked, temperature=1.0).item()
    assert len(set(parts)) == 30
    assert abs(np.mean(parts) - whole) < 4 * np.std(parts) / np.sqrt(30)


@pytest.mark.parametrize("loss", [lambda v, x: contrastive_loss(v, x, temperature=0.1), reconstruction_loss])
def test_without_interactions_loss_and_gradient_are_zero(loss):
    vectors = torch.eye(3).requires_grad_()
    value = loss(vectors, torch.zeros((2, 3), dtype=torch.bool))
    value.backward()
    assert value.item() == 0 and not vectors.grad.any()


@pytest.mark.parametrize("loss", [lambda v, x: contrastive_loss(v, x, temperature=0.1), reconstruction_loss])
def test_gradient_brings_items_of_a_user_together(loss):
    free = torch.tensor(make(5)[0]).requires_grad_()
    liked = torch.zeros((2, 9), dtype=torch.bool)
    liked[0, :4] = liked[1, 4:] = True
    for _ in range(200):
        value = loss(torch.nn.functional.normalize(free), liked)
        (gradient,) = torch.autograd.grad(value, free)
        free = (free - 0.5 * gradient).detach().requires_grad_()
    vectors = torch.nn.functional.normalize(free.detach())
    similarity = vectors @ vectors.T
    assert similarity[:4, :4].min() > similarity[:4, 4:].max()
