import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import Ridge

from skllmrec._kernels import feature_map
from skllmrec._kernels.feature_map import (
    STRENGTHS,
    choose_strength,
    factorise_features,
    fit_map,
    fit_rows,
    leave_out,
    ridge_map,
    row_influence,
)


def random_problem(seed, n=40, k=9, d=3):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, k)) + rng.normal(size=k)
    V = features @ rng.normal(size=(k, d)) + 2 + 0.5 * rng.normal(size=(n, d))
    return features, V, rng.uniform(0.1, 5, n)


def ridge_of(basis, strength, features, V, weights):
    """scikit-learn's ridge, whose intercept is not penalised either."""
    return Ridge(alpha=strength * basis.unit, solver="cholesky").fit(features, V, sample_weight=weights)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("k", [9, 70])  # more rows than features, more features than rows
@pytest.mark.parametrize("strength", [1e-3, 0.3, 100.0])
def test_map_is_weighted_ridge_regression(seed, k, strength):
    features, V, weights = random_problem(seed, k=k)
    basis = factorise_features(features, weights)
    ridge = ridge_of(basis, strength, features, V, weights)
    fitted = fit_map(basis, V, strength)
    np.testing.assert_allclose(fitted.coef, ridge.coef_.T, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(fitted.intercept, ridge.intercept_, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(fit_rows(basis, V, strength), ridge.predict(features), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(fitted.predict(sparse.csr_matrix(features)), ridge.predict(features), atol=1e-6)


@pytest.mark.parametrize("k", [9, 70])
def test_leave_one_out_equals_refitting_without_each_row(k):
    features, V, weights = random_problem(0, k=k)
    basis = factorise_features(features, weights)
    refitted = np.empty_like(V)
    for i in range(len(V)):
        rest = np.arange(len(V)) != i
        ridge = ridge_of(basis, 0.2, features[rest], V[rest], weights[rest])
        refitted[i] = ridge.predict(features[i : i + 1])[0]
    np.testing.assert_allclose(left_out_rows(basis, V, 0.2), refitted, rtol=1e-7, atol=1e-9)


def test_unit_makes_strengths_free_of_scale():
    features, V, weights = random_problem(1)
    small, large = factorise_features(features, weights), factorise_features(1e3 * features, 7 * weights)
    np.testing.assert_allclose(fit_rows(small, V, 0.5), fit_rows(large, V, 0.5), rtol=1e-9)
    centred = features - np.average(features, axis=0, weights=weights)
    np.testing.assert_allclose(small.unit, (weights @ centred**2).sum() / features.shape[1])


def left_out_rows(basis, V, strength):
    return leave_out(V, fit_rows(basis, V, strength), row_influence(basis, [strength])[:, 0])


def mixed_features(seed, n=60):
    """Mostly empty columns beside full ones, as in a union of TF-IDF and a language model."""
    rng = np.random.default_rng(seed)
    return sparse.hstack(
        [sparse.random(n, 90, 0.05, rng=rng), sparse.csr_matrix(rng.normal(size=(n, 7)))], format="csr"
    )


@pytest.mark.parametrize("rows", [60, 300])
def test_sparse_equals_dense(rows):
    features, (_, V, weights) = mixed_features(0, rows), random_problem(0, n=rows)
    maps = [fit_map(factorise_features(Z, weights), V, 0.1) for Z in (features, features.toarray())]
    np.testing.assert_allclose(maps[0].coef, maps[1].coef, atol=1e-9)
    np.testing.assert_allclose(maps[0].intercept, maps[1].intercept, atol=1e-9)


@pytest.mark.parametrize("convert", [sparse.csr_matrix, np.asarray])
def test_randomized_decomposition_of_full_rank_equals_the_exact_one(convert, monkeypatch):
    features, (_, V, weights) = mixed_features(0).toarray(), random_problem(0, n=60)
    exact = fit_map(factorise_features(features, weights), V, 0.1)
    monkeypatch.setattr(feature_map, "MAX_EXACT", 10)
    randomized = factorise_features(convert(features), weights, max_rank=60)
    np.testing.assert_allclose(fit_map(randomized, V, 0.1).coef, exact.coef, atol=1e-8)


def test_truncation_keeps_the_leading_directions(monkeypatch):
    rng = np.random.default_rng(0)
    features = rng.normal(size=(200, 80)) * 0.8 ** np.arange(80)
    exact = factorise_features(features, np.ones(200))
    monkeypatch.setattr(feature_map, "MAX_EXACT", 10)
    truncated = factorise_features(features, np.ones(200), max_rank=12)
    assert truncated.left.shape == (200, 12)
    np.testing.assert_allclose(truncated.singular, exact.singular[:12], rtol=1e-3)
    again = factorise_features(features, np.ones(200), max_rank=12)
    np.testing.assert_array_equal(truncated.left, again.left)


def test_wide_sparse_features_are_never_densified(monkeypatch):
    monkeypatch.setattr(feature_map, "MAX_EXACT", 50)
    features = sparse.random(200, 5000, 0.01, format="csr", rng=np.random.default_rng(0))

    def refuse(self, *args, **kwargs):
        assert self.shape[1] == 0, "densified"
        return np.zeros(self.shape)

    for kind in (sparse.csr_matrix, sparse.csc_array, sparse.csr_array, sparse.csc_matrix):
        monkeypatch.setattr(kind, "toarray", refuse)
    basis = factorise_features(features, np.ones(200), max_rank=20)
    assert basis.right.shape == (5000, 20)


@pytest.mark.parametrize("features", [np.ones((5, 2)), np.zeros((5, 2)), np.zeros((5, 0)), np.ones((1, 3))])
def test_features_that_say_nothing_leave_the_weighted_mean(features):
    rng = np.random.default_rng(0)
    V, weights = rng.normal(size=(len(features), 2)), rng.uniform(1, 2, len(features))
    basis = factorise_features(features, weights)
    mean = np.average(V, axis=0, weights=weights)
    left_out = left_out_rows(basis, V, 1.0)
    np.testing.assert_allclose(fit_rows(basis, V, 1.0), np.broadcast_to(mean, V.shape))
    assert np.isfinite(left_out).all()
    np.testing.assert_allclose(fit_map(basis, V, 1.0).predict(features), np.broadcast_to(mean, V.shape))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n", [7, 50, 60])
@pytest.mark.parametrize("value", [0.1, 1 / 3, 1e9 / 7])
def test_what_rounding_leaves_of_equal_rows_is_no_feature(value, n, weighted):
    rng = np.random.default_rng(n)
    features, V = np.full((n, 2), value), rng.normal(size=(n, 1))
    weights = rng.uniform(1, 2, n) if weighted else np.ones(n)
    for kind in (np.asarray, sparse.csr_matrix):
        fitted, _ = ridge_map(kind(features), V, weights)
        np.testing.assert_allclose(fitted.predict(features + 1)[0], np.average(V, axis=0, weights=weights))


@pytest.mark.parametrize("strength", ["auto", 0.7])
def test_ridge_map_is_choice_and_fit(strength):
    features, V, weights = random_problem(4)
    basis = factorise_features(features, weights)
    expected = STRENGTHS[choose_strength(basis, V)] if strength == "auto" else strength
    fitted, used = ridge_map(features, V, weights, strength)
    assert used == expected
    np.testing.assert_allclose(fitted.coef, fit_map(basis, V, expected).coef)


def test_choice_is_the_least_error_and_the_walk_finds_it():
    features, V, weights = random_problem(3, n=60, k=40)
    basis = factorise_features(features, weights)
    errors = [weights @ ((V - left_out_rows(basis, V, strength)) ** 2).sum(axis=1) for strength in STRENGTHS]
    best = choose_strength(basis, V)
    assert errors[best] == min(errors)
    assert 0 < best < len(STRENGTHS) - 1
    assert {choose_strength(basis, V, start) for start in (best - 1, best, best + 1)} == {best}


def test_useless_features_are_shrunk_and_useful_ones_are_not():
    rng = np.random.default_rng(0)
    features, noise = rng.normal(size=(200, 20)), rng.normal(size=(200, 4))
    basis = factorise_features(features, np.ones(200))
    assert STRENGTHS[choose_strength(basis, noise)] > 3
    assert STRENGTHS[choose_strength(basis, features[:, :4] + 0.01 * noise)] < 0.01


def test_single_precision_on_request():
    features, V, weights = random_problem(0)
    single = factorise_features(features, weights, dtype=np.float32)
    fitted = fit_rows(single, V.astype(np.float32), 0.1)
    assert fitted.dtype == np.float32
    np.testing.assert_allclose(fitted, fit_rows(factorise_features(features, weights), V, 0.1), atol=1e-4)


@pytest.mark.parametrize("condition", [1, 1e1, 1e4, 1e9, np.inf])
def test_orthonormal_basis_of_any_condition(condition):
    scales = np.r_[np.ones(30), np.zeros(10)] if condition == np.inf else np.logspace(0, -np.log10(condition), 40)
    Y = np.random.default_rng(0).standard_normal((300, 40)) * scales
    basis = feature_map._orthonormal(Y)
    np.testing.assert_allclose(basis.T @ basis, np.eye(40), atol=1e-10)
    np.testing.assert_allclose(basis @ (basis.T @ Y), Y, atol=1e-10, err_msg="the basis spans the columns")
