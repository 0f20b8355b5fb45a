"""Affine maps of features, by their factors and by their table, against naive loops."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy import sparse

from skllmrec._kernels.neural.feature_product import FactoredRows, FeatureProduct

CPU = torch.device("cpu")


def make_features(seed, n=60, k=12, r=10, density=0.04):
    rng = np.random.default_rng(seed)
    words = sparse.csr_matrix(rng.random((n, k)) * (rng.random((n, k)) < density))
    right, shift = rng.normal(size=(k, r)), rng.normal(size=r)
    return FactoredRows((words @ right - shift).astype(np.float32), words, right, shift)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("factored", [True, False])
def test_maps_and_gradients_are_those_of_a_naive_loop(seed, factored):
    features = make_features(seed)
    assert features.has_cheap_factors
    product = FeatureProduct(features if factored else FactoredRows(features.rows), CPU)
    rng = np.random.default_rng(seed + 5)
    weights, biases, outer = rng.normal(size=(3, 10)), rng.normal(size=3), rng.normal(size=(60, 3))
    expected = np.array(
        [[row @ weight + bias for weight, bias in zip(weights, biases, strict=True)] for row in features.rows]
    )
    tensors = [torch.tensor(part, dtype=torch.float32, requires_grad=True) for part in (weights, biases)]
    found = product.affine(*tensors)
    assert_allclose(found.detach(), expected, rtol=1e-4, atol=1e-4)
    (found * torch.tensor(outer)).sum().backward()
    for output in range(3):
        gradient = sum(factor * row for factor, row in zip(outer[:, output], features.rows, strict=True))
        assert_allclose(tensors[0].grad[output], gradient, rtol=1e-3, atol=1e-3)
    assert_allclose(tensors[1].grad, outer.sum(axis=0), rtol=1e-4, atol=1e-4)


def test_factors_are_taken_where_they_are_cheaper():
    assert not FactoredRows(np.zeros((4, 2), np.float32)).has_cheap_factors
    assert make_features(0, n=60, k=12).has_cheap_factors
    assert not make_features(0, n=60, k=50).has_cheap_factors  # more words than the table has rows for
