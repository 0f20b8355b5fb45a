"""EmbeddingWhitener against the covariance written out, PCA, and scikit-learn's own checks."""

import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.utils.estimator_checks import check_estimator

from skllmrec import EmbeddingWhitener


def make_vectors(n=60, d=7, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, d)) @ rng.standard_normal((d, d)) + 5 * rng.standard_normal(d)


@pytest.mark.parametrize(
    ("n_components", "center", "whiten", "normalize"),
    list(itertools.product((None, 2), (True, False), (True, False), (True, False))),
)
def test_passes_scikit_learns_checks(n_components, center, whiten, normalize):
    estimator = EmbeddingWhitener(n_components, center=center, whiten=whiten, normalize=normalize)
    outcomes = check_estimator(estimator, on_skip=None)
    assert {outcome["status"] for outcome in outcomes} <= {"passed", "skipped"}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("n", [60, 5])  # more and fewer rows than features: two ways to compute
def test_formula_written_out(n, seed):
    X = make_vectors(n, seed=seed)
    mean = sum(X) / n
    covariance = sum(np.outer(x - mean, x - mean) for x in X) / n
    values, vectors = np.linalg.eigh(covariance)
    model = EmbeddingWhitener(3, whiten=True, normalize=False).fit(X)
    assert_allclose(model.explained_variance_, values[::-1][:3])
    expected = (X - mean) @ vectors[:, ::-1][:, :3] / np.sqrt(values[::-1][:3])
    got = model.transform(X)
    assert_allclose(np.abs(got), np.abs(expected), rtol=1e-6, atol=1e-9)
    assert_allclose(got.T @ got / n, np.eye(3), atol=1e-9)
    strongest = model.components_[np.arange(3), np.abs(model.components_).argmax(axis=1)]
    assert (strongest > 0).all()


def test_truncation_is_pca():
    X = make_vectors()
    got = EmbeddingWhitener(4, normalize=False).fit_transform(X)
    assert_allclose(np.abs(got), np.abs(PCA(4).fit_transform(X)), rtol=1e-7, atol=1e-9)


def test_default_centres_and_scales_to_unit_length():
    X = make_vectors()
    centred = X - X.mean(axis=0)
    expected = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    assert_allclose(EmbeddingWhitener().fit_transform(X), expected)


def test_without_center_moments_are_around_zero():
    X = make_vectors()
    model = EmbeddingWhitener(2, center=False, whiten=True, normalize=False).fit(X)
    assert_array_equal(model.mean_, 0)
    assert_allclose(model.explained_variance_, np.linalg.eigvalsh(X.T @ X / len(X))[::-1][:2])


@pytest.mark.parametrize("whiten", [True, False])
@pytest.mark.parametrize(("n", "d", "k"), [(80, 12, 3), (80, 12, 12), (9, 300, 4), (30, 5, None), (6, 40, None)])
def test_sparse_equals_dense(n, d, k, whiten):
    rng = np.random.default_rng(3)
    X = sparse.random(n, d, density=0.3, format="csr", random_state=rng)
    model = EmbeddingWhitener(k, whiten=whiten)
    expected = clone(model).fit_transform(X.toarray())
    for container in (sparse.csr_matrix, sparse.csc_array):
        assert_allclose(clone(model).fit_transform(container(X)), expected, rtol=1e-6, atol=1e-7)


def test_wide_sparse_input_stays_sparse():
    # 3,000 x 200,000: dense would be 4.8 GB, the covariance 320 GB
    rng = np.random.default_rng(0)
    X = sparse.random_array((3_000, 200_000), density=1e-4, format="csr", random_state=rng)
    got = EmbeddingWhitener(3, whiten=True).fit(X)
    assert_array_equal(got.components_, EmbeddingWhitener(3, whiten=True).fit(X).components_)
    assert_allclose(got.components_ @ got.components_.T, np.eye(3), atol=1e-8)
    assert got.transform(X[:5]).shape == (5, 3)


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("whiten", [True, False])
def test_directions_without_variance_are_zero(container, whiten):
    X = np.repeat(make_vectors(3, 50), 4, axis=0)  # three distinct rows: two directions after centring
    model = EmbeddingWhitener(10, whiten=whiten, normalize=False).fit(container(X))
    assert model.components_.shape == (10, 50)
    assert np.count_nonzero(model.explained_variance_) == 2
    got = model.transform(container(X + 1))
    assert np.isfinite(got).all()
    assert_array_equal(got[:, 2:], 0)


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("k", [None, 2])
def test_equal_rows_and_zero_rows_stay_finite(container, k):
    for X in (np.zeros((5, 40)), np.ones((5, 40)), np.ones((1, 40))):
        for whiten in (True, False):
            got = EmbeddingWhitener(k, whiten=whiten).fit_transform(container(X))
            assert_allclose(got, 0, atol=1e-12)


def test_float32_is_kept_and_as_exact_as_float32_can_be():
    X = make_vectors().astype(np.float32)
    got = EmbeddingWhitener(3, whiten=True).fit(X).transform(X)
    assert got.dtype == np.float32
    assert_allclose(got, EmbeddingWhitener(3, whiten=True).fit_transform(X.astype(float)), atol=1e-5)


def test_input_is_not_changed():
    for X in (make_vectors(), sparse.csr_array(make_vectors())):
        before = X.copy()
        EmbeddingWhitener().fit_transform(X)
        assert abs(X - before).max() == 0


def test_more_components_than_features_is_an_error():
    with pytest.raises(ValueError, match=r"n_components=8 exceeds the 7 feature\(s\) of X: choose at most 7"):
        EmbeddingWhitener(8).fit(make_vectors())


def test_names_and_frames():
    pd = pytest.importorskip("pandas")
    X = pd.DataFrame(make_vectors(), index=range(100, 160))
    got = EmbeddingWhitener(2).set_output(transform="pandas").fit_transform(X)
    assert list(got.columns) == ["embeddingwhitener0", "embeddingwhitener1"]
    assert got.index[0] == 100
