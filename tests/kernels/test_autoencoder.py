"""Linear autoencoders against the problems they solve, and what the papers' formulas say."""

import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import optimize, sparse

from skllmrec._kernels.item_item import autoencoder
from skllmrec._kernels.item_item.autoencoder import cold_columns, fit_autoencoder, invert, memory_needed, prune

N_ITEMS = 7


def problem(seed, n_features=4):
    generator = np.random.default_rng(seed)
    X = (generator.random((20, N_ITEMS)) < 0.4).astype(float)
    F = generator.normal(size=(N_ITEMS, n_features))
    return X, F / np.linalg.norm(F, axis=1, keepdims=True)


def ridge_columns(X, ridge):
    """Column by column: regress item i on the others, item by item weights of the ridge."""
    B = np.zeros((X.shape[1], X.shape[1]))
    for i in range(X.shape[1]):
        others = np.arange(X.shape[1]) != i
        A = X[:, others]
        B[others, i] = np.linalg.solve(A.T @ A + np.diag(ridge[others]), A.T @ X[:, i])
    return B


@pytest.mark.parametrize("seed", [0, 1])
def test_ease_and_edlae_are_ridge_regressions_on_the_other_items(seed):
    X, _ = problem(seed)
    flat = np.full(N_ITEMS, 2.0)
    found = fit_autoencoder(sparse.csr_matrix(X), method="ease", alpha=2.0).weights
    assert_allclose(found, ridge_columns(X, flat), atol=1e-5)
    found = fit_autoencoder(sparse.csr_matrix(X), method="edlae", alpha=2.0, dropout=0.4).weights
    assert_allclose(found, ridge_columns(X, flat + 0.4 / 0.6 * X.sum(axis=0)), atol=1e-5)


@pytest.mark.parametrize("as_sparse", [False, True])
def test_cease_has_features_as_rows(as_sparse):
    X, F = problem(0)
    rows = np.vstack([X, np.sqrt(3.0) * F.T])
    given = sparse.csr_matrix(F) if as_sparse else F
    found = fit_autoencoder(sparse.csr_matrix(X), given, method="cease", alpha=2.0, feature_weight=3.0)
    assert_allclose(found.weights, ridge_columns(rows, np.full(N_ITEMS, 2.0)), atol=1e-5)


def test_additive_is_the_mixture():
    X, F = problem(0)
    found = fit_autoencoder(
        sparse.csr_matrix(X), F, method="additive", alpha=2.0, feature_alpha=0.5, feature_weight=0.3
    )
    parts = ridge_columns(X, np.full(N_ITEMS, 2.0)), ridge_columns(F.T, np.full(N_ITEMS, 0.5))
    assert_allclose(found.weights, 0.7 * parts[0] + 0.3 * parts[1], atol=1e-5)


@pytest.mark.parametrize("seed", [0, 1])
def test_l3ae_minimises_its_objective(seed):
    X, F = problem(seed)
    C = ridge_columns(F.T, np.full(N_ITEMS, 0.5))
    free = ~np.eye(N_ITEMS, dtype=bool)

    def objective(values):
        B = np.zeros((N_ITEMS, N_ITEMS))
        B[free] = values
        rest, pull = X @ B - X, B - C
        gradient = 2 * (X.T @ rest + 2.0 * B + 3.0 * pull)
        return (rest**2).sum() + 2.0 * (B**2).sum() + 3.0 * (pull**2).sum(), gradient[free]

    best = optimize.minimize(objective, np.zeros(free.sum()), jac=True, method="L-BFGS-B", options={"ftol": 1e-15})
    found = fit_autoencoder(sparse.csr_matrix(X), F, method="l3ae", alpha=2.0, feature_alpha=0.5, feature_weight=3.0)
    assert_allclose(found.weights[free], best.x, atol=2e-4)
    assert_allclose(np.diagonal(found.weights), 0)


@pytest.mark.parametrize("method", ["cease", "additive", "l3ae"])
@pytest.mark.parametrize("n_features", [4, 12])
def test_cold_columns_are_the_regression_of_an_item_outside(method, n_features):
    X, F = problem(0, n_features)
    new = problem(5, n_features)[1][:3]
    fitted = fit_autoencoder(sparse.csr_matrix(X), F, method=method, alpha=2.0, feature_alpha=0.5, feature_weight=0.4)
    K = F @ F.T
    A, share = K + 0.5 * np.eye(N_ITEMS), 0.4 if method == "additive" else 1.0
    expected = np.linalg.solve(A, share * F @ new.T)
    assert_allclose(cold_columns(fitted.cold, F, new), expected, atol=1e-5)
    as_sparse = sparse.csr_matrix(F), sparse.csr_matrix(new)
    assert_allclose(cold_columns(fitted.cold, *as_sparse), expected, atol=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_inverse_in_several_blocks(dtype, monkeypatch):
    monkeypatch.setattr(autoencoder, "_BLOCK", 3)
    A = np.random.default_rng(0).normal(size=(20, 8))
    A = np.asfortranarray(A.T @ A, dtype=dtype)
    assert_allclose(invert(A.copy(order="F")) @ A, np.eye(8), atol=1e-4)


def test_not_positive_definite_is_explained():
    with pytest.raises(ValueError, match=r"not positive definite .* larger alpha"):
        invert(np.asfortranarray([[1.0, 2.0], [2.0, 1.0]]))


@pytest.mark.parametrize("n", [1, 3, 99])
def test_prune_keeps_the_largest_in_modulus(n, monkeypatch):
    monkeypatch.setattr(autoencoder, "_BLOCK", 2)
    B = np.random.default_rng(1).normal(size=(6, 6)).astype(np.float32)
    np.fill_diagonal(B, 0)
    pruned = prune(B, n).toarray()
    for column in range(6):
        expected = B[:, column].copy()
        expected[np.argsort(-np.abs(expected))[n:]] = 0
        assert_allclose(pruned[:, column], expected)


def test_memory_needed_counts_matrices_of_items():
    assert memory_needed("ease", 1000) == 4_000_000
    assert memory_needed("l3ae", 1000, n_features=384) == 4 * (3 * 1000**2 + 384_000)
    assert memory_needed("cease", 1000, n_features=384, n_later=5000) == 4 * (6 * 1000**2 + 384_000)


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix])
@pytest.mark.parametrize("method", autoencoder.METHODS)
def test_a_fit_takes_no_more_memory_than_is_said(method, form, monkeypatch):
    monkeypatch.setattr(autoencoder, "_BLOCK", 64)  # temporary blocks do not count at this size
    rng = np.random.default_rng(0)
    n, d = 1200, 30 if form is np.asarray else 3000
    X = sparse.random(300, n, density=0.01, format="csr", random_state=0)
    F = rng.normal(size=(n, d)) if form is np.asarray else sparse.random(n, d, 0.02, format="csr", random_state=1)
    fit_autoencoder(X[:, :9], F[:9, :9], method=method, alpha=1.0)  # compiles
    tracemalloc.start()
    fit_autoencoder(X, form(F, dtype=np.float32), method=method, alpha=1.0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1.25 * memory_needed(method, n, n_features=d), "a quarter for copies of parts of the input"


@pytest.mark.parametrize("n_columns", [0, 1, 5])
def test_prune_takes_columns_of_any_number(n_columns):
    B = np.random.default_rng(1).normal(size=(6, n_columns))
    pruned = prune(B, 2)
    assert pruned.shape == B.shape and pruned.nnz == 2 * n_columns
    assert_allclose(np.abs(pruned).max(axis=0).toarray().ravel() if n_columns else [], np.abs(B).max(axis=0, initial=0))


@pytest.mark.parametrize("form", [sparse.csr_matrix, sparse.csc_matrix, np.asarray])
@pytest.mark.parametrize("n_threads", ["1", "3"])
def test_gram_matrix_is_the_dense_product(form, n_threads, monkeypatch):
    monkeypatch.setenv("NUMBA_NUM_THREADS", n_threads)
    monkeypatch.setattr("skllmrec._kernels.threads._CHUNK_COST", 20)  # several chunks
    generator = np.random.default_rng(0)
    X = generator.integers(-3, 4, size=(60, 23)) * (generator.random((60, 23)) < 0.3)
    X[:, 5] = 0
    found = autoencoder.gram(form(X.astype(np.float32)))
    np.testing.assert_array_equal(found, X.T @ X)  # integers: exact in any order
    assert found.dtype == np.float32
    assert found.flags.f_contiguous
