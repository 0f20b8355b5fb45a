"""Propagation along a graph against dense matrices, and its gradients against finite differences."""

import math

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy import sparse

from skllmrec._kernels.neural.graph import LinkProduct, mean_matrix, normalised_links, propagate, unit_rows

CPU = torch.device("cpu")


def make_links(seed=0, shape=(6, 9), density=0.4):
    rng = np.random.default_rng(seed)
    values = (rng.random(shape) < density) * rng.random(shape)
    values[0] = values[:, 2] = 0  # a user and an item without links
    return sparse.csr_matrix(values)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("n_layers", [0, 1, 2, 3])
def test_propagation_is_that_of_the_dense_adjacency_matrix(seed, n_layers):
    links = make_links(seed)
    n_users, n_items = links.shape
    adjacency = np.zeros((n_users + n_items,) * 2)
    adjacency[:n_users, n_users:] = links.toarray() > 0
    adjacency += adjacency.T
    degrees = np.maximum(adjacency.sum(axis=1), 1)
    for row in range(len(adjacency)):
        for column in range(len(adjacency)):
            adjacency[row, column] /= (degrees[row] * degrees[column]) ** 0.5
    start = np.random.default_rng(seed).normal(size=(n_users + n_items, 4))
    layers = [start]
    for _ in range(n_layers):
        layers.append(adjacency @ layers[-1])
    expected = sum(layers) / (n_layers + 1)
    tensors = (torch.from_numpy(side.astype(np.float32)) for side in (start[:n_users], start[n_users:]))
    users, items = propagate(*tensors, LinkProduct.of(normalised_links(links), CPU), n_layers)
    assert_allclose(users, expected[:n_users], rtol=1e-5, atol=1e-6)
    assert_allclose(items, expected[n_users:], rtol=1e-5, atol=1e-6)


def test_means_are_those_of_the_neighbours():
    links, vectors = make_links(3), np.random.default_rng(3).normal(size=(9, 2))
    averaged = mean_matrix(links) @ vectors
    for user in range(links.shape[0]):
        own = links[user].indices
        assert_allclose(averaged[user], vectors[own].mean(axis=0) if len(own) else np.zeros(2), rtol=1e-5)


@pytest.mark.parametrize("native", [True, False])
def test_gradients_are_those_of_finite_differences(native, monkeypatch):
    if not native:  # as on a device without products by sparse rows
        monkeypatch.setattr("skllmrec._kernels.neural.graph._NATIVE", ())
    links = LinkProduct.of(normalised_links(make_links(1)).astype(np.float64), CPU)
    assert (links.forward.layout == torch.sparse_csr) == native
    users, items = (
        torch.randn(n, 2, dtype=torch.float64, generator=torch.manual_seed(n), requires_grad=True) for n in (6, 9)
    )
    assert torch.autograd.gradcheck(lambda p, q: propagate(p, q, links, 2), (users, items))
    assert_allclose(links.T.dot(users).detach(), (links.forward.to_dense().T @ users).detach())


def test_sums_are_in_full_precision_within_mixed_precision():
    links = LinkProduct.of(normalised_links(make_links(1)), CPU)
    users, items = (torch.randn(n, 2, generator=torch.manual_seed(n)) for n in (6, 9))
    expected = *propagate(users, items, links, 2), links.dot(items)
    with torch.autocast("cpu", torch.bfloat16):
        found = *propagate(users, items, links, 2), links.dot(items)
        from_half = links.dot(items.bfloat16())
    for one, other in zip(found, expected, strict=True):
        assert_allclose(one, other, rtol=0)
    assert_allclose(from_half, links.dot(items), atol=0.03)


def test_unit_rows_are_those_of_a_naive_loop():
    rows = np.random.default_rng(0).normal(size=(5, 3))
    rows[2] = 0
    rows[3] = [0, 1e-13, 0]
    found = unit_rows(torch.from_numpy(rows))
    for row, unit in zip(rows, found, strict=True):
        assert_allclose(unit, row / max(math.sqrt(sum(value**2 for value in row)), 1e-12))


def test_gradients_of_unit_rows_are_those_of_finite_differences():
    rows = torch.randn(4, 3, dtype=torch.float64, generator=torch.manual_seed(0), requires_grad=True)
    assert torch.autograd.gradcheck(unit_rows, rows)
    zero = torch.zeros(1, 3, requires_grad=True)
    unit_rows(zero).sum().backward()
    assert torch.isfinite(zero.grad).all()
