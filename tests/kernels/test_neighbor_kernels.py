"""Neighbourhoods of items against naive loops."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse

from skllmrec._kernels.item_item import neighbors
from skllmrec._kernels.item_item.neighbors import centred_rows, inner_products, nearest, shrunk_cosines, weigh


def random_counts(seed, shape=(9, 7)):
    generator = np.random.default_rng(seed)
    counts = generator.poisson(0.6, shape).astype(float)
    counts[:, 2] = 0  # an item that nobody had
    return sparse.csr_matrix(counts)


def naive_weights(X, weighting):
    X = X.toarray()
    out = np.zeros_like(X)
    lengths = [(X[:, i] > 0).sum() for i in range(X.shape[1])]
    n_items, mean = sum(length > 0 for length in lengths), np.mean([length for length in lengths if length])
    for u, i in zip(*np.nonzero(X), strict=True):
        n_u, x = (X[u] > 0).sum(), X[u, i]
        if weighting == "tfidf":
            out[u, i] = math.sqrt(x) * (1 + math.log((1 + n_items) / (1 + n_u)))
        elif weighting == "bm25":
            length = 0.25 + 0.75 * lengths[i] / mean
            out[u, i] = x * 2.2 / (x + 1.2 * length) * math.log(1 + n_items / n_u)
        else:
            out[u, i] = x
    return out


@pytest.mark.parametrize("weighting", ["cosine", "tfidf", "bm25"])
@pytest.mark.parametrize("seed", [0, 1])
def test_weights_against_loops(weighting, seed):
    X = random_counts(seed)
    before = X.copy()
    assert_allclose(weigh(X, weighting).toarray(), naive_weights(X, weighting))
    assert abs(X - before).nnz == 0, "the interactions were changed"


@pytest.mark.parametrize("fullness", [0.0, 0.05, 0.5, 1.0])
def test_inner_products_of_sparse_and_full_columns(fullness):
    rng = np.random.default_rng(0)
    F = rng.normal(size=(40, 30)) * (rng.random((40, 30)) < np.where(np.arange(30) < 10, fullness, 0.02))
    sparse_F = sparse.csr_matrix(F)
    assert_allclose(inner_products(sparse_F[:7], sparse_F), F[:7] @ F.T, atol=1e-12)
    assert_allclose(inner_products(F[:7], F), F[:7] @ F.T)


def test_shrunk_cosines_against_loops():
    X = random_counts(3).T.tocsr()
    dense, lengths = X.toarray(), np.sqrt(X.multiply(X).sum(axis=1)).A1
    expected = [[a @ b / (np.linalg.norm(a) * np.linalg.norm(b) + 2.0) for b in dense] for a in dense[:3]]
    assert_allclose(shrunk_cosines(X[:3], X, lengths[:3], lengths, 2.0), expected)


def test_without_shrinkage_an_empty_column_is_like_nothing():
    X = sparse.csr_matrix([[1.0, 0.0], [0.0, 0.0]])
    assert_allclose(shrunk_cosines(X, X, np.array([1.0, 0.0]), np.array([1.0, 0.0]), 0.0), [[1, 0], [0, 0]])


def test_centred_rows():
    dense = np.array([[3.0, 4.0], [0.0, 0.0], [1.0, 1.0]])
    assert_allclose(centred_rows(dense, np.array([1.0, 1.0]))[:2], [[2 / 13**0.5, 3 / 13**0.5], [-(0.5**0.5)] * 2])
    assert_allclose(centred_rows(dense, np.array([1.0, 1.0]))[2], [0, 0], err_msg="a zero row stays zero")
    assert_allclose(centred_rows(sparse.csr_matrix(dense)).toarray()[0], [0.6, 0.8])


@pytest.mark.parametrize("k", [1, 3, 50, None])
@pytest.mark.parametrize("seed", [0, 1])
def test_nearest_against_a_sort(k, seed, monkeypatch):
    monkeypatch.setattr(neighbors, "_BLOCK", 25)  # several blocks
    S = np.random.default_rng(seed).normal(size=(9, 8)).round(1)
    own = np.array([0, 1, 2, 3, -1, -1, 6, 7, -1])
    found = nearest(lambda rows: S[rows].copy(), 9, 8, k, own).toarray()
    for row in range(9):
        allowed = [j for j in np.argsort(-S[row], kind="stable") if j != own[row] and S[row, j] > 0][:k]
        expected = np.zeros(8)
        expected[allowed] = S[row, allowed]
        assert_allclose(found[row], expected)
