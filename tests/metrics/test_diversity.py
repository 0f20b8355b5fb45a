"""Diversity, coverage, concentration and novelty against loops and hand-worked values."""

import math
from itertools import combinations

import numpy as np
import pytest
from scipy.sparse import csr_array, csr_matrix
from sklearn.metrics.pairwise import cosine_similarity

from skllmrec.metrics import _diversity, catalog_coverage, gini_index, intra_list_diversity, novelty


def make_lists(seed, n_users=25, n_items=40, n=8):
    rng = np.random.default_rng(seed)
    recommended = np.argsort(rng.random((n_users, n_items)), axis=1)[:, :n]
    recommended[rng.random(recommended.shape) < 0.15] = -1
    recommended[0] = -1
    recommended[1, 1:] = -1
    recommended[1, 0] = 3
    return recommended


def make_vectors(seed, n_items=40):
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(n_items, 6)) * rng.random((n_items, 1)) * 100
    vectors[rng.random(vectors.shape) < 0.4] = 0.0
    vectors[5] = 0.0
    return vectors


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("k", [2, 5, 8, 20])
@pytest.mark.parametrize("container", [np.asarray, csr_array, csr_matrix])
def test_intra_list_diversity_equals_a_loop_over_pairs(container, k, seed):
    recommended, vectors = make_lists(seed), make_vectors(seed)
    similarity = cosine_similarity(vectors)  # 0 with a zero vector
    expected = []
    for row in recommended:
        pairs = list(combinations([item for item in row[:k] if item >= 0], 2))
        expected.append(np.mean([1 - similarity[pair] for pair in pairs]) if pairs else math.nan)
    values = intra_list_diversity(recommended, container(vectors), k=k, average=False)
    np.testing.assert_allclose(values, expected, atol=1e-12)
    assert intra_list_diversity(recommended, container(vectors), k=k) == pytest.approx(np.nanmean(expected))


@pytest.mark.parametrize("container", [np.asarray, csr_array])
def test_intra_list_diversity_in_blocks_and_in_single_precision(container, monkeypatch):
    recommended, vectors = make_lists(4), make_vectors(4)
    whole = intra_list_diversity(recommended, container(vectors), average=False)
    monkeypatch.setattr(_diversity, "SCRATCH", 20)
    np.testing.assert_allclose(intra_list_diversity(recommended, container(vectors), average=False), whole, atol=1e-12)
    single = container(vectors.astype(np.float32))
    np.testing.assert_allclose(intra_list_diversity(recommended, single, average=False), whole, atol=1e-5)
    whole_numbers = container(np.eye(40, dtype=int))
    assert intra_list_diversity(recommended, whole_numbers) == pytest.approx(1.0)


def test_intra_list_diversity_extremes():
    assert intra_list_diversity([[0, 1]], [[3.0, 4.0], [6.0, 8.0]]) == pytest.approx(0.0, abs=1e-12)
    assert intra_list_diversity([[0, 1]], [[1.0, 0.0], [-2.0, 0.0]]) == pytest.approx(2.0)
    assert intra_list_diversity([[0, 1]], [[0.0, 0.0], [0.0, 0.0]]) == 1.0
    assert math.isnan(intra_list_diversity([[0], [1]], [[1.0], [2.0]]))


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        ([1.0, 2.0], "item_vectors must have shape"),
        ([[1.0], [np.nan]], "infinity in row 1"),
        (csr_array([[0.0, 1.0], [np.inf, 0.0]]), "infinity in row 1"),
        ([["a"], ["b"]], "must be numbers"),
    ],
)
def test_bad_vectors_are_named(vectors, message):
    with pytest.raises(ValueError, match=message):
        intra_list_diversity([[0, 1]], vectors)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("k", [1, 4, 20])
def test_coverage_and_gini_equal_loops(k, seed):
    recommended = make_lists(seed)
    shown = [item for row in recommended for item in row[:k] if item >= 0]
    assert catalog_coverage(recommended, 40, k=k) == pytest.approx(len(set(shown)) / 40)
    counts = [shown.count(item) for item in range(40)]
    # the other definition: mean absolute difference over twice the mean
    expected = np.mean([[abs(a - b) for a in counts] for b in counts]) / (2 * np.mean(counts))
    assert gini_index(recommended, 40, k=k) == pytest.approx(expected)


def test_gini_extremes():
    assert gini_index([[0], [1], [2]], 3) == pytest.approx(0.0)
    assert gini_index([[1], [1]], 4) == pytest.approx(0.75)
    assert math.isnan(gini_index([[-1]], 4))
    assert catalog_coverage([[-1]], 4) == 0.0


@pytest.mark.parametrize("metric", [catalog_coverage, gini_index])
@pytest.mark.parametrize(
    ("recommended", "n_items", "k", "message"),
    [
        ([[0, 4]], 4, 2, r"recommended\[0, 1\] is 4"),
        ([[0, 0]], 4, 2, "twice in row 0"),
        ([[0, 1]], 0, 2, "n_items must be an integer >= 1"),
        ([[0, 1]], 2.0, 2, "n_items must be an integer >= 1"),
        ([[0, 1]], 4, 0, "k must be an integer >= 1"),
    ],
)
def test_bad_lists_are_named(metric, recommended, n_items, k, message):
    with pytest.raises(ValueError, match=message):
        metric(recommended, n_items, k=k)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("k", [1, 4, 20])
def test_novelty_equals_a_loop(k, seed):
    recommended = make_lists(seed)
    counts = np.random.default_rng(seed).integers(0, 11, 40)
    expected = []
    for row in recommended:
        bits = [-math.log2(max(counts[item], 1) / 10) for item in row[:k] if item >= 0]
        expected.append(np.mean(bits) if bits else math.nan)
    np.testing.assert_allclose(novelty(recommended, counts, 10, k=k, average=False), expected, atol=1e-12)
    assert novelty(recommended, counts, 10, k=k) == pytest.approx(np.nanmean(expected))


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ([1, 9], r"item_counts\[1\] is 9"),
        ([-1, 2], r"item_counts\[0\]"),
        ([1, math.nan], r"item_counts\[1\] is nan"),
        ([[1, 2]], r"shape \(1, 2\)"),
        ([1], r"recommended\[0, 1\] is 1"),
    ],
)
def test_bad_counts_are_named(counts, message):
    with pytest.raises(ValueError, match=message):
        novelty([[0, 1]], counts, 8)
