r"""Matrix factorisation with a ridge that shrinks factors towards a prediction from features: a whole fit on arrays.

Explicit feedback minimises over factors, biases and maps (targets t = (r - mean) / scale, see `fit_feature_als`)::

    sum w (t - b_u - b_i - p.q)^2 + alpha [sum_u n_u |(p_u, b_u) - s A x_u|^2 + sum_i n_i |(q_i, b_i) - s B z_i|^2]

and implicit feedback::

    sum_observed w (p.q - 1)^2 + a0 sum_all (p.q)^2
        + alpha [sum_u n_u |p_u - s A x_u|^2 + sum_i n_i |q_i - s B z_i|^2]

with the size of a row ``n_u = c N_u^nu`` (explicit) or ``c (N_u + a0 I)^nu`` (implicit), N_u the sum of its weights,
and c such that sizes have the same mean for every nu, which keeps alpha comparable. A and B are ridge regressions on
the present factors, refitted after each half sweep, rows weighted by n; a new row gets its whole prediction ``B z``.

Defaults and their evidence (64 factors, 15 sweeps; four sets of density 0.3 to 2.5 %: films, music, books, groceries;
random splits, one to three for each figure; rules were chosen on other splits than those they are evaluated on, except
for explicit feedback):

===============  ===================================  ===============================================================
constant         rule                                 evidence
===============  ===================================  ===============================================================
DENSITY_FACTOR   a0 = 6 nnz / (U I), so that a0 I is  with alpha within 1.5 % of the best of 9 grid points, warm
                 six mean histories                   NDCG@20, on all four sets
alpha, implicit  climbed in factors of two and       the optimum on held-out rows hardly depends on the number of
                 interpolated, on held-out rows      factors and of sweeps (films, music, groceries), but groceries
                                                     want four times as much as films
ALPHA_EXPLICIT   0.12, with NU_EXPLICIT 0.75          RMSE on two sets of films and one of books, 16 and 64 factors:
                                                      within 1.5 % of the best of 24 grid points
PRIOR_STRENGTHS  s = 0, 0.5 or 0.75, with alpha, on   s = 1 is worse than ids only on films and music (the map is
                 held-out rows                        fitted to factors that depend on it); warm NDCG with the
                                                      rule: films +2 to +4 %, the others +-0, no split worse than ids
===============  ===================================  ===============================================================

The choice of s does not consider cold items: their NDCG is within 5 % of the best grid point, on groceries 9 % below.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from scipy import sparse

from skllmrec._kernels.als.choices import choose
from skllmrec._kernels.als.row_solver import SWEEP_STEPS, solve_rows_exactly
from skllmrec._kernels.als.sweeps import Settings, as_regressors, factorise_sides, row_sizes, sweep, two_sides, units_of
from skllmrec._kernels.feature_map import FeatureMap, fit_map
from skllmrec._kernels.ratings import standardise
from skllmrec._typing import CsrMatrix, FloatArray, Matrix

NU_IMPLICIT, NU_EXPLICIT = 1.0, 0.75
DENSITY_FACTOR = 6.0


@dataclass(frozen=True)
class FittedSide:
    """Users or items after a fit.

    Attributes
    ----------
    vectors : ndarray of shape (n, d)
        Factors.
    bias : ndarray of shape (n,)
        Biases; zeros for implicit feedback.
    feature_map : FeatureMap or None
        From a row of features to ``[vector, bias]`` (explicit) or ``vector`` (implicit).
    prior_strength : float
        Factor s of the map's prediction in the prior of known rows; new rows get the whole prediction. 0 without
        features.
    feature_alpha : float
        Ridge strength of the map, as given or as chosen.
    ridge_scale : float
        ``alpha c``: what multiplies ``(N + a0 n_others)^nu`` in the ridge of a row.
    """

    vectors: np.ndarray
    bias: np.ndarray
    feature_map: FeatureMap | None = None
    prior_strength: float = 0.0
    feature_alpha: float = float("nan")
    ridge_scale: float = 1.0


@dataclass(frozen=True)
class FactorModel:
    """A fitted factorisation: the score of (u, i) is ``mean + b_u + b_i + p_u . q_i``.

    Attributes
    ----------
    users, items : FittedSide
    mean : float
        Weighted mean rating; 0 for implicit feedback.
    scale : float
        Standard deviation of the ratings, the unit of the fit; 1 for implicit feedback.
    explicit : bool
    alpha, nu, unobserved_weight : float
        As used, defaults filled in.
    n_iter : int
        Sweeps made.
    objective : ndarray of shape (n_iter,)
        Value after each sweep; empty unless `tol` asked for it.
    """

    users: FittedSide
    items: FittedSide
    mean: float
    scale: float
    explicit: bool
    alpha: float
    nu: float
    unobserved_weight: float
    n_iter: int = 0
    objective: np.ndarray = field(default_factory=lambda: np.empty(0))


def _export(side, scale):
    """Convert a side from the units of the fit to those of the ratings."""
    settings, d = side.settings, side.settings.n_components
    units, feature_map, strength = units_of(settings, scale), None, float("nan")
    if side.basis is not None:
        strength = side.strength_at(side.choose_position())
        raw = fit_map(side.basis, side.table, strength)
        feature_map = FeatureMap(raw.coef * units, raw.intercept * units)
    table = side.table * units.astype(side.table.dtype)
    bias = table[:, d].copy() if settings.explicit else np.zeros(len(table), table.dtype)
    vectors = np.ascontiguousarray(table[:, :d])
    return FittedSide(vectors, bias, feature_map, side.prior_strength, strength, side.ridge_scale)


def fit_feature_als(
    weights: CsrMatrix,
    ratings: FloatArray | None = None,
    *,
    user_features: Matrix | None = None,
    item_features: Matrix | None = None,
    n_components: int | Literal["auto"] = "auto",
    alpha: float | None = None,
    nu: float | None = None,
    unobserved_weight: float | None = None,
    feature_alpha: float | Literal["auto"] = "auto",
    prior_strength: float | Literal["auto"] = "auto",
    max_iter: int = 15,
    tol: float = 0.0,
    n_steps: int = SWEEP_STEPS,
    seed: int = 0,
    callback: Callable[[Callable[[], FactorModel]], object] | None = None,
    minimise: Callable[..., Any] = sweep,
) -> FactorModel:
    """Fit factors, biases and feature maps by alternating least squares.

    Ratings are centred and divided by their standard deviation, so that `alpha` means the same on every rating scale
    and predictions follow the scale exactly.

    Parameters
    ----------
    weights : csr_matrix of shape (n_users, n_items)
        Positive weights, no duplicates, no empty rows or columns (those get their priors).
    ratings : ndarray of shape (nnz,), default=None
        In the order of ``weights.data``; None means implicit feedback.
    user_features, item_features : {ndarray, sparse matrix} of shape (n, k), default=None
        Need not be centred; a constant is implied.
    n_components : int or "auto", default="auto"
        "auto": 64 for explicit feedback; for implicit feedback 64, 128, 256 or 384, the next one as long as it is
        better on held-out interactions, and twice as many are no more than users or items.
    alpha : float, default=None
        Regularisation. None: 0.12 for explicit feedback; for implicit feedback the best on held-out interactions.
    nu : float, default=None
        None: 0.75 for explicit, 1 for implicit feedback.
    unobserved_weight : float, default=None
        a0 of implicit feedback. None: ``6 nnz / (n_users n_items)``.
    feature_alpha : float or "auto", default="auto"
        Ridge strength of the maps, in units of the mean squared singular value of the weighted, centred features.
        "auto": the least leave-one-out error, renewed after sweeps 1, 2, 4, ... and at the end.
    prior_strength : float or "auto", default="auto"
        s, for both sides. "auto": 0, 0.5 or 0.75 for each side, together with alpha, and 0 unless held-out interactions
        are predicted better; 0.5 where fewer than 50 could be held out.
    max_iter : int, default=15
    tol : float, default=0.0
        Stop once a sweep lowers the objective by no more than this share.
    n_steps : int, default=3
        Conjugate gradient steps of each row and half sweep.
    seed : int, default=0
        Of the initial factors, the held-out part and the randomized decomposition of wide features.
    callback : callable, default=None
        ``callback(make_model)`` after each sweep of the final fit; ``make_model()`` is the `FactorModel` so far, and a
        true return value stops the fit.
    minimise : callable, default=sweep
        Optimiser of the final fit: a function like `skllmrec._kernels.als.sweeps.sweep`. Choices on held-out
        interactions are always made by sweeps, which are the fastest way to compare minima.

    Returns
    -------
    FactorModel

    References
    ----------
    .. [1] Rendle, Krichene, Zhang, Koren, "Revisiting the performance of iALS on item recommendation benchmarks",
       RecSys 2022.
    .. [2] Agarwal, Chen, "Regression-based latent factor models", KDD 2009.

    Examples
    --------
    >>> import numpy as np
    >>> import scipy.sparse as sp
    >>> weights = sp.csr_matrix(np.kron(np.eye(2), np.ones((3, 3))))  # two groups of users, two of items
    >>> model = fit_feature_als(weights, n_components=2, alpha=0.01, unobserved_weight=0.1)
    >>> scores = model.users.vectors @ model.items.vectors.T
    >>> bool(scores[0, 2] > 0.5 > scores[0, 3])
    True
    """
    explicit = ratings is not None
    if explicit:
        unobserved_weight = 0.0
    elif unobserved_weight is None:
        unobserved_weight = DENSITY_FACTOR * weights.nnz / (weights.shape[0] * weights.shape[1])
    if nu is None:
        nu = NU_EXPLICIT if explicit else NU_IMPLICIT
    settings = Settings(explicit, 0, nu, unobserved_weight, feature_alpha, seed, n_steps)
    targets, mean, scale = standardise(weights, ratings)
    targets = np.ones(weights.nnz) if targets is None else targets
    bases = factorise_sides(weights, (user_features, item_features), settings)
    alpha, strengths, d = choose(
        weights,
        targets,
        bases,
        settings,
        alpha=alpha,
        prior_strength=prior_strength,
        n_components=n_components,
        max_iter=max_iter,
    )
    settings = replace(settings, n_components=d)
    users, items = sides = two_sides(weights, targets, bases, settings)

    def make_model(n_iter, history=()):
        exported = _export(users, scale), _export(items, scale)
        constants = mean, scale, explicit, alpha, nu, unobserved_weight
        return FactorModel(*exported, *constants, n_iter, np.array(history))

    after_sweep = None if callback is None else lambda n_iter: callback(lambda: make_model(n_iter))
    return make_model(*minimise(sides, alpha, strengths, max_iter, tol=tol, callback=after_sweep))


def _sizes_of(weights, model):
    return row_sizes(weights, model.unobserved_weight) ** model.nu


def _columns_used(weights, others, may_drop):
    """Leave out the columns without an entry, where only those with entries take part in the solution."""
    used = np.unique(weights.indices)
    if not may_drop or len(used) == 0:
        return weights, others.vectors, others.bias
    places = np.searchsorted(used, weights.indices)
    weights = sparse.csr_matrix((weights.data, places, weights.indptr), shape=(weights.shape[0], len(used)))
    return weights, others.vectors[used], others.bias[used]


def fold_in(
    model: FactorModel,
    side: Literal["users", "items"],
    weights: CsrMatrix,
    ratings: FloatArray | None = None,
    *,
    features: Matrix | None = None,
    prior: FloatArray | None = None,
    gram: FloatArray | None = None,
) -> tuple[FloatArray, FloatArray]:
    """Solve new or changed rows of one side exactly, everything else held fixed.

    Parameters
    ----------
    model : FactorModel
    side : {"users", "items"}
        Which side the rows belong to.
    weights : csr_matrix of shape (n_rows, n_others)
        Their interactions with the other side's fitted rows; an empty row gets its prior.
    ratings : ndarray of shape (nnz,), default=None
        In the order of ``weights.data``; explicit feedback only.
    features : {ndarray, sparse matrix} of shape (n_rows, k), default=None
        Their predictions are the priors, as for any new row.
    prior : ndarray of shape (n_rows, d or d + 1), default=None
        Priors of the rows, ``[vector, bias]`` for explicit feedback, where there are no `features`. None: zeros.
    gram : ndarray of shape (d, d), float64, default=None
        Inner products of the columns of the other side's vectors, where they are known already (implicit feedback).

    Returns
    -------
    vectors : ndarray of shape (n_rows, d)
    bias : ndarray of shape (n_rows,)
    """
    entities, others = (model.users, model.items) if side == "users" else (model.items, model.users)
    d = others.vectors.shape[1]
    settings = Settings(model.explicit, d, model.nu, model.unobserved_weight, "auto", 0)
    units = units_of(settings, model.scale)
    if features is not None and entities.feature_map is not None:
        prior = entities.feature_map.predict(features)
    prior = np.zeros((weights.shape[0], len(units))) if prior is None else prior / units
    ridge = entities.ridge_scale * _sizes_of(weights, model)
    weights, vectors, bias = _columns_used(weights, others, gram is not None or model.explicit)
    table = np.column_stack([vectors, bias] if model.explicit else [vectors]) / units
    factors, offsets = as_regressors(table, model.explicit)
    solution = solve_rows_exactly(
        weights,
        np.ones(weights.nnz) if ratings is None else (ratings - model.mean) / model.scale,
        factors,
        start=prior,
        prior=prior,
        ridge=ridge,
        unobserved_weight=model.unobserved_weight,
        offsets=offsets,
        gram=None if gram is None else gram / np.outer(units, units),
    )
    solution = (solution * units).astype(others.vectors.dtype)
    return solution[:, :d], solution[:, d] if model.explicit else np.zeros(len(solution), solution.dtype)
