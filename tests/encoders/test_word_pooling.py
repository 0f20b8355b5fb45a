"""Pooling of word vectors against loops over words, and SIF by hand."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer

from skllmrec.encoders.word_vectors.pooling import (
    leading_directions,
    pool_words,
    remove_directions,
    select_columns,
    sif_weights,
    smooth_idf,
)


def split_entries(texts, n_words):
    """An entry for every occurrence, in the order of the text."""
    indptr = np.cumsum([0, *map(len, texts)])
    indices = np.array([word for text in texts for word in text], dtype=np.int64)
    return sparse.csr_array((np.ones(len(indices), dtype=np.int64), indices, indptr), shape=(len(texts), n_words))


def draw(seed, n_texts=20, n_words=9):
    rng = np.random.default_rng(seed)
    return rng, [list(rng.integers(n_words, size=size)) for size in rng.integers(0, 7, size=n_texts)]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("divide_by", ["weight", "count"])
@pytest.mark.parametrize("weighted", [False, True])
def test_equals_a_loop_over_words(seed, divide_by, weighted):
    rng, texts = draw(seed)
    vectors = rng.standard_normal((9, 4)).astype(np.float32)
    weights = rng.uniform(0.1, 5, 9) if weighted else None
    got = pool_words(split_entries([*texts, []], 9), vectors, weights, divide_by=divide_by)
    for row, text in zip(got, [*texts, []], strict=True):
        expected, total = np.zeros(4), 0.0
        for word in text:
            weight = weights[word] if weighted else 1.0
            expected += weight * vectors[word]
            total += weight if divide_by == "weight" else 1.0
        assert_allclose(row, expected / (total or 1.0), rtol=1e-12, atol=1e-12)


def test_bits_do_not_depend_on_the_other_texts():
    rng, texts = draw(5, n_texts=50)
    vectors, directions = rng.standard_normal((9, 64)), np.linalg.qr(rng.standard_normal((64, 2)))[0].T
    together = remove_directions(pool_words(split_entries(texts, 9), vectors), directions)
    for row, text in zip(together, texts, strict=True):
        assert_array_equal(remove_directions(pool_words(split_entries([text], 9), vectors), directions)[0], row)


def test_smooth_idf_is_that_of_scikit_learn():
    texts = ["a b", "a c c", "a", "d b"]
    vectorizer = TfidfVectorizer(analyzer=str.split).fit(texts)
    frequency = [sum(word in text for text in texts) for word in vectorizer.get_feature_names_out()]
    assert_allclose(smooth_idf(frequency, len(texts)), vectorizer.idf_)
    assert smooth_idf(0, 4) > vectorizer.idf_.max()


def test_sif_weights_by_hand():
    # p = 1/2, 1/4, 0; a = 1/4: 1/3, 1/2, 1
    assert_allclose(sif_weights([4, 2, 0], 8, 0.25), [1 / 3, 1 / 2, 1])
    assert_array_equal(sif_weights([0], 0, 0.25), [1.0])


@pytest.mark.parametrize("seed", range(3))
def test_leading_directions_are_those_of_the_svd(seed):
    X = np.random.default_rng(seed).standard_normal((30, 6)) + 1
    got = leading_directions(X.T @ X, 2)
    expected = np.linalg.svd(X)[2][:2]
    assert_allclose(np.abs(np.einsum("kd,kd->k", got, expected)), 1)
    assert_allclose(remove_directions(X, got), X - X @ expected.T @ expected, atol=1e-12)
    assert (np.take_along_axis(got, np.abs(got).argmax(axis=1, keepdims=True), axis=1) > 0).all()


def test_directions_beyond_the_rank_are_not_made_up():
    X = np.outer([1.0, 2.0], [3.0, 4.0, 0.0])
    assert_allclose(leading_directions(X.T @ X, 2), [[0.6, 0.8, 0.0]])
    assert leading_directions(np.zeros((3, 3)), 2).shape == (0, 3)
    assert_array_equal(remove_directions(X, np.zeros((0, 3))), X)


def test_select_columns_keeps_the_order():
    occurrences = split_entries([[3, 0, 3, 1], [], [2, 1]], 4)
    got = select_columns(occurrences, np.array([False, True, False, True]))
    assert_array_equal(got.indices, [1, 1, 0, 0])
    assert_array_equal(got.indptr, [0, 3, 3, 4])
    assert got.shape == (3, 2)
