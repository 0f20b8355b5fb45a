from types import SimpleNamespace

import numpy as np
import pytest
from scipy import sparse

from skllmrec._kernels.als import choices, feature_als
from skllmrec._kernels.als.choices import PRIOR_STRENGTHS
from skllmrec._kernels.als.feature_als import fit_feature_als, fold_in
from skllmrec._kernels.feature_map import factorise_features, fit_rows


def make_problem(seed=0, n_users=80, n_items=60, k=6, density=0.3, noise=0.1):
    """Ratings whose item factors are a linear map of the features, with weights."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n_items, k))
    scores = rng.normal(size=(n_users, 3)) @ (features @ rng.normal(size=(k, 3))).T / np.sqrt(k)
    scores += rng.normal(size=n_items) + rng.normal(size=n_users)[:, None]
    mask = rng.random(scores.shape) < density
    mask[:, 0] = mask[0] = True
    weights = sparse.csr_matrix(mask * rng.uniform(0.5, 2, mask.shape))
    ratings = 3 + scores[mask] + noise * rng.normal(size=mask.sum())
    return SimpleNamespace(weights=weights, ratings=ratings, features=features, scores=scores, mask=mask)


def predict(model):
    users, items = model.users, model.items
    return model.mean + users.bias[:, None] + items.bias + users.vectors @ items.vectors.T


def reference_als(problem, explicit, d, alpha, nu, a0, strength, feature_alpha, max_iter, seed):
    """Dense normal equations, both sides, features on the items; in units of standardised ratings."""
    W, n = problem.weights.toarray(), problem.weights.shape
    T = np.zeros(n)
    T[problem.mask] = 1.0
    scale = 1.0
    if explicit:
        mean = np.average(problem.ratings, weights=problem.weights.data)
        scale = np.sqrt(np.average((problem.ratings - mean) ** 2, weights=problem.weights.data))
        T[problem.mask] = (problem.ratings - mean) / scale
    sizes = [W.sum(axis=1) + a0 * n[1], W.sum(axis=0) + a0 * n[0]]
    ridges = [alpha * size.mean() / (size**nu).mean() * size**nu for size in sizes]
    rng = np.random.default_rng(seed)
    tables = [rng.standard_normal((m, d + explicit)) * 0.1 / np.sqrt(d) for m in n]
    for table in tables:
        table[:, d:] = 0
    priors = [np.zeros_like(table) for table in tables]
    basis = factorise_features(problem.features, sizes[1] ** nu)
    for _ in range(max_iter):
        for side, (w, t) in enumerate([(W, T), (W.T, T.T)]):
            other = tables[1 - side].copy()
            offsets = other[:, d].copy() if explicit else np.zeros(len(other))
            other[:, d:] = 1
            for row in range(n[side]):
                left = (other.T * w[row]) @ other + a0 * other.T @ other + ridges[side][row] * np.eye(d + explicit)
                right = other.T @ (w[row] * (t[row] - offsets)) + ridges[side][row] * priors[side][row]
                tables[side][row] = np.linalg.solve(left, right)
        priors[1] = strength * fit_rows(basis, tables[1], feature_alpha)
    return tables, scale


@pytest.mark.parametrize("explicit", [True, False])
@pytest.mark.parametrize("strength", [0.0, 0.75])
def test_sweeps_equal_dense_alternating_least_squares(explicit, strength, monkeypatch):
    problem = make_problem()
    terms = {"alpha": 0.1, "nu": 0.8, "max_iter": 4, "seed": 3, "feature_alpha": 0.5}
    (users, items), scale = reference_als(problem, explicit, 4, a0=0.0 if explicit else 0.2, strength=strength, **terms)
    exact = feature_als.solve_rows_exactly
    monkeypatch.setattr("skllmrec._kernels.als.sweeps.solve_rows", exact)  # one exact solve instead of three steps
    model = fit_feature_als(
        problem.weights,
        problem.ratings if explicit else None,
        item_features=problem.features,
        n_components=4,
        unobserved_weight=0.2,
        prior_strength=strength,
        n_steps=32,
        **terms,
    )
    tolerance = 1e-7 if explicit else 1e-4
    root = np.sqrt(scale)
    np.testing.assert_allclose(model.users.vectors, root * users[:, :4], rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(model.items.vectors, root * items[:, :4], rtol=tolerance, atol=tolerance)
    if explicit:
        np.testing.assert_allclose(model.items.bias, scale * items[:, 4], rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("explicit", [True, False])
def test_objective_falls_at_every_sweep_and_tol_stops(explicit):
    problem = make_problem(1)
    terms = {"n_components": 5, "alpha": 0.05, "max_iter": 30, "seed": 1}
    ratings = problem.ratings if explicit else None
    model = fit_feature_als(problem.weights, ratings, tol=1e-12, **terms)
    assert (np.diff(model.objective) < 0).all()
    stopped = fit_feature_als(problem.weights, ratings, tol=0.01, **terms)
    assert 2 <= stopped.n_iter < model.n_iter
    np.testing.assert_array_equal(stopped.objective, model.objective[: stopped.n_iter])
    assert fit_feature_als(problem.weights, ratings, **terms).n_iter == 30


def test_callback_sees_each_sweep_of_the_final_fit_and_may_stop_it():
    problem = make_problem(1)
    terms = {"n_components": 5, "seed": 1, "item_features": problem.features}
    models = []

    def stop_at_three(make_model):
        models.append(make_model())
        return len(models) == 3

    model = fit_feature_als(problem.weights, problem.ratings, callback=stop_at_three, **terms)
    assert [m.n_iter for m in models] == [1, 2, 3]
    assert model.n_iter == 3
    np.testing.assert_array_equal(models[-1].items.vectors, model.items.vectors)
    assert not np.allclose(models[0].items.vectors, model.items.vectors)
    unwatched = fit_feature_als(problem.weights, problem.ratings, max_iter=3, **terms)
    np.testing.assert_array_equal(unwatched.items.vectors, model.items.vectors)


@pytest.mark.parametrize("explicit", [True, False])
def test_objective_is_the_sum_written_in_the_docstring(explicit):
    problem = make_problem(2)
    terms = {"n_components": 3, "alpha": 0.1, "nu": 1.0, "unobserved_weight": 0.2, "tol": 1e-9, "max_iter": 3}
    model = fit_feature_als(problem.weights, problem.ratings if explicit else None, **terms)
    scores = (predict(model) - model.mean) / model.scale
    W, targets = problem.weights.toarray(), 1.0
    if explicit:
        targets = np.zeros(W.shape)
        targets[problem.mask] = (problem.ratings - model.mean) / model.scale
    a0 = 0.0 if explicit else 0.2
    value = (W * (scores - targets) ** 2).sum() + a0 * (scores**2).sum()
    for side, axis in ((model.users, 1), (model.items, 0)):
        size = W.sum(axis=axis) + a0 * W.shape[axis]
        value += 0.1 * size @ ((side.vectors**2).sum(axis=1) / model.scale + (side.bias / model.scale) ** 2)
    np.testing.assert_allclose(model.objective[-1], value, rtol=1e-5)


def test_predictions_follow_the_rating_scale():
    problem = make_problem(3)
    terms = {"item_features": problem.features, "n_components": 3, "max_iter": 5}
    model = fit_feature_als(problem.weights, problem.ratings, **terms)
    moved = fit_feature_als(problem.weights, 20 * problem.ratings - 7, **terms)
    np.testing.assert_allclose(predict(moved), 20 * predict(model) - 7, rtol=1e-6)
    predicted = [m.items.feature_map.predict(problem.features) for m in (model, moved)]
    np.testing.assert_allclose(predicted[1][:, -1], 20 * predicted[0][:, -1], rtol=1e-6)


@pytest.mark.parametrize("explicit", [True, False])
def test_the_two_sides_are_treated_alike(explicit):
    """Features on the users of the transposed problem; only the order of the half sweeps differs, so run long."""
    problem = make_problem(4)
    ratings = np.zeros(problem.mask.shape)
    ratings[problem.mask] = problem.ratings
    terms = {"n_components": 1, "alpha": 0.3, "max_iter": 300, "prior_strength": 0.5, "feature_alpha": 1.0}
    model = fit_feature_als(
        problem.weights, problem.ratings if explicit else None, item_features=problem.features, **terms
    )
    turned = fit_feature_als(
        problem.weights.T.tocsr(),
        ratings.T[problem.mask.T] if explicit else None,
        user_features=problem.features,
        **terms,
    )
    np.testing.assert_allclose(predict(turned).T, predict(model), atol=1e-3)
    assert turned.users.prior_strength == 0.5
    assert turned.items.prior_strength == 0


@pytest.mark.parametrize("explicit", [True, False])
def test_folding_in_known_rows_again_changes_nothing_after_convergence(explicit):
    problem = make_problem(5)
    ratings = problem.ratings if explicit else None
    model = fit_feature_als(problem.weights, ratings, n_components=2, alpha=0.2, max_iter=400)
    vectors, bias = fold_in(model, "users", problem.weights, ratings)
    np.testing.assert_allclose(vectors, model.users.vectors, atol=1e-3)
    np.testing.assert_allclose(bias, model.users.bias, atol=1e-3)
    assert vectors.dtype == model.users.vectors.dtype


@pytest.mark.parametrize("explicit", [True, False])
def test_folding_in_one_by_one_equals_all_at_once_and_empty_rows_are_their_map(explicit):
    problem = make_problem(6)
    ratings = problem.ratings if explicit else None
    model = fit_feature_als(problem.weights, ratings, item_features=problem.features, n_components=4, max_iter=3)
    new, weights = problem.features[:5] + 1, sparse.csr_matrix(problem.weights.toarray().T[:5])
    weights = sparse.vstack([weights, sparse.csr_matrix((1, weights.shape[1]))], format="csr")
    new = np.vstack([new, new[:1]])
    values = np.arange(weights.nnz) % 5.0 if explicit else None
    together, bias = fold_in(model, "items", weights, values, features=new)
    for i in range(6):
        part = slice(weights.indptr[i], weights.indptr[i + 1])
        alone = fold_in(model, "items", weights[i], None if values is None else values[part], features=new[i : i + 1])
        np.testing.assert_allclose(alone[0][0], together[i], atol=1e-6)
        np.testing.assert_allclose(alone[1][0], bias[i], atol=1e-6)
    predicted = model.items.feature_map.predict(new[5:])[0]
    np.testing.assert_allclose(np.r_[together[5], [bias[5]] * explicit], predicted, atol=1e-5)


def test_a_new_item_is_predicted_from_its_features():
    problem = make_problem(7, n_items=120, k=4)
    known = slice(0, 90)
    mask = problem.mask.copy()
    mask[:, 90:] = False
    ratings = np.zeros(mask.shape)
    ratings[problem.mask] = problem.ratings
    weights = sparse.csr_matrix(mask[:, known] * 1.0)
    model = fit_feature_als(
        weights, ratings[:, known][mask[:, known]], item_features=problem.features[known], n_components=6
    )
    table = model.items.feature_map.predict(problem.features[90:])
    predicted = model.users.bias[:, None] + model.users.vectors @ table[:, :-1].T
    hits = [np.corrcoef(predicted[:, i], problem.scores[:, 90 + i])[0, 1] for i in range(30)]
    assert np.mean(hits) > 0.8


def test_useless_features_are_found_out_and_useful_ones_kept():
    rng = np.random.default_rng(0)
    problem = make_problem(8, n_users=150, density=0.08, noise=0.5)
    terms = {"n_components": 4}
    useful = fit_feature_als(problem.weights, problem.ratings, item_features=problem.features, **terms)
    assert useful.items.prior_strength > 0
    noise = rng.normal(size=(60, 58))
    useless = fit_feature_als(
        problem.weights, problem.ratings, item_features=noise, feature_alpha=1e-6, **terms
    )  # a map that reproduces any factors
    ids = fit_feature_als(problem.weights, problem.ratings, **terms)
    assert useless.items.prior_strength in PRIOR_STRENGTHS
    held = ~problem.mask
    errors = [np.sqrt(np.mean((predict(m) - 3 - problem.scores)[held] ** 2)) for m in (useful, ids, useless)]
    assert errors[0] < errors[1]
    assert errors[2] < 1.05 * errors[1]


@pytest.mark.parametrize(
    ("gains", "expected"),
    [((0.0, 1.0, 2.0), 0.75), ((0.0, 2.0, 1.0), 0.5), ((0.0, -1.0, 2.0), 0.75), ((0.0, 0.01, 0.02), 0.0)],
)
def test_ids_only_unless_a_prior_is_better_beyond_chance(gains, expected, monkeypatch):
    """The best one, if it is better: the last gains are positive, but far within the noise of 100 users."""
    noise = {s: np.random.default_rng(n).normal(size=100) for n, s in enumerate(PRIOR_STRENGTHS)}
    gain = dict(zip(PRIOR_STRENGTHS, gains, strict=True))

    def quality(self, tried):
        values = noise[tried.prior_strengths[1]]
        return values - values.mean() + gain[tried.prior_strengths[1]]

    monkeypatch.setattr(choices.Trials, "quality", quality)
    problem = make_problem()
    terms = {"n_components": 2, "max_iter": 1, "item_features": problem.features}
    model = fit_feature_als(problem.weights, problem.ratings, **terms)
    assert (model.users.prior_strength, model.items.prior_strength) == (0.0, expected)


def test_alpha_is_walked_up_where_interactions_are_noise():
    rng = np.random.default_rng(0)
    popularity = np.exp(rng.normal(size=150))
    mask = rng.random((400, 150)) < 0.05 * popularity / popularity.mean()
    mask[:, 0] = mask[0] = True
    noise = sparse.csr_matrix(mask * 1.0)
    assert fit_feature_als(noise, n_components=16).alpha > choices.ALPHA_IMPLICIT
    assert fit_feature_als(noise, n_components=16, alpha=0.02).alpha == 0.02


@pytest.mark.parametrize("explicit", [True, False])
@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1), (3, 3)])
def test_tiny_and_constant_data_are_finite(explicit, shape):
    weights = sparse.csr_matrix(np.ones(shape))
    model = fit_feature_als(
        weights,
        np.full(weights.nnz, 4.0) if explicit else None,
        user_features=np.ones((shape[0], 2)),
        item_features=sparse.csr_matrix(np.eye(shape[1])),
        n_components=3,
    )
    assert np.isfinite(predict(model)).all()
    if explicit:
        np.testing.assert_allclose(predict(model), 4)


def test_same_seed_same_model_other_seed_other_model():
    problem = make_problem(9)
    models = [
        fit_feature_als(problem.weights, item_features=problem.features, n_components=4, seed=seed, max_iter=3)
        for seed in (1, 1, 2)
    ]
    np.testing.assert_array_equal(models[0].items.vectors, models[1].items.vectors)
    assert not np.allclose(models[0].items.vectors, models[2].items.vectors)
