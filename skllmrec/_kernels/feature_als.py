"""Matrix factorisation whose factors are drawn towards what the features predict: a whole fit on plain arrays."""

from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sp

from .als import solve_rows, solve_rows_exactly, squared_error
from .feature_map import (
    STRENGTHS,
    FeatureMap,
    choose_strength,
    factorise_features,
    fit_map,
    fit_rows,
)

ALPHA_IMPLICIT = 0.02
ALPHA_EXPLICIT = 0.1
NU = 1.0
DENSITY_FACTOR = 8.0  # c in a0 = c nnz / (U I)
_INIT_SD = 0.1  # over sqrt(d), Rendle et al. 2021


@dataclass(frozen=True)
class Entities:
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
        Share of the map that known rows are drawn to; new rows get all of it.
    feature_alpha : float
        Ridge strength of the map, as given or as chosen.
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
    users, items : Entities
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
        Value after each sweep; empty unless `tol` or `callback` asked for it.
    """

    users: Entities
    items: Entities
    mean: float
    scale: float
    explicit: bool
    alpha: float
    nu: float
    unobserved_weight: float
    n_iter: int = 0
    objective: np.ndarray = field(default_factory=lambda: np.empty(0))


class _Side:
    """One side (users or items) during a fit: its rows of the data, factors, ridge and feature map."""

    def __init__(self, weights, targets, features, settings):
        self.weights, self.targets = weights, targets
        counts = np.asarray(weights.sum(axis=1), dtype=np.float64).ravel()
        sizes = row_sizes(counts, weights.shape[1], settings.unobserved_weight)
        self.ridge_scale = settings.alpha * sizes.mean() / (sizes**settings.nu).mean()
        self.ridge = self.ridge_scale * sizes**settings.nu
        self.basis, self.position, self.strength = None, None, float("nan")
        if features is not None:
            self.basis = factorise_features(features, self.ridge, seed=settings.seed)
        self.table = self.prior = None

    def solve(self, other, settings):
        """Half sweep: this side's factors against the other's."""
        factors, offsets = _as_regressors(other.table, settings.explicit)
        self.table = solve_rows(
            self.weights,
            self.targets,
            factors,
            start=self.table,
            prior=self.prior,
            ridge=self.ridge,
            unobserved_weight=settings.unobserved_weight,
            offsets=offsets,
        )
        self.update_prior(settings)

    def update_prior(self, settings):
        """Refit the feature map to the present factors."""
        if self.basis is None:
            return
        if settings.feature_alpha == "auto":
            self.position = choose_strength(self.basis, self.table, self.position)
            self.strength = float(STRENGTHS[self.position])
        else:
            self.strength = float(settings.feature_alpha)
        fitted, left_out = fit_rows(self.basis, self.table, self.strength)
        self.prior = (settings.prior_strength * (left_out if settings.loo else fitted)).astype(self.table.dtype)

    def export(self, settings, scale):
        """Users or items in the units of the ratings."""
        d = settings.n_components
        units = np.r_[np.full(d, np.sqrt(scale)), [scale] * settings.explicit]
        feature_map = None
        if self.basis is not None:
            raw = fit_map(self.basis, self.table, self.strength)
            feature_map = FeatureMap(raw.coef * units, raw.intercept * units)
        table = self.table * units.astype(self.table.dtype)
        bias = table[:, d].copy() if settings.explicit else np.zeros(len(table), table.dtype)
        return Entities(
            np.ascontiguousarray(table[:, :d]),
            bias,
            feature_map,
            settings.prior_strength,
            self.strength,
            self.ridge_scale,
        )


@dataclass(frozen=True)
class _Settings:
    explicit: bool
    n_components: int
    alpha: float
    nu: float
    unobserved_weight: float
    feature_alpha: object
    prior_strength: object
    seed: int
    loo: bool = False


def row_sizes(counts, n_others, unobserved_weight):
    return counts + unobserved_weight * n_others


def _as_regressors(table, explicit):
    """What the other side is regressed on, and what is subtracted from its targets: [q, 1] and b, or q and nothing."""
    if not explicit:
        return table, None
    factors = table.copy()
    factors[:, -1] = 1
    return factors, table[:, -1]


def _transpose(weights, targets):
    by_item = sp.csr_matrix((np.arange(weights.nnz), weights.indices, weights.indptr), weights.shape).T.tocsr()
    transposed = sp.csr_matrix((weights.data[by_item.data], by_item.indices, by_item.indptr), by_item.shape)
    return transposed, targets[by_item.data]


def _standardise(weights, ratings):
    """Targets of the fit, and the mean and standard deviation that lead back to ratings."""
    if ratings is None:
        return np.ones(weights.nnz), 0.0, 1.0
    mean = float(np.average(ratings, weights=weights.data))
    scale = float(np.sqrt(np.average((ratings - mean) ** 2, weights=weights.data)))
    scale = scale if scale > 1e-12 * max(abs(mean), 1e-300) else 1.0
    return (ratings - mean) / scale, mean, scale


def _objective(users, items, settings):
    """Data term, dense term and distance to the priors; the maps are taken as given."""
    d = settings.n_components
    zero = np.zeros(1)
    biases = [
        side.table[:, d] if settings.explicit else np.broadcast_to(zero, len(side.table)) for side in (users, items)
    ]
    value = squared_error(users.weights, users.targets, users.table[:, :d], items.table[:, :d], *biases).sum()
    if settings.unobserved_weight > 0:
        value += settings.unobserved_weight * np.sum((users.table.T @ users.table) * (items.table.T @ items.table))
    for side in (users, items):
        value += side.ridge @ ((side.table - side.prior) ** 2).sum(axis=1)
    return float(value)


def fit_feature_als(
    weights,
    ratings=None,
    *,
    user_features=None,
    item_features=None,
    n_components=64,
    alpha=None,
    nu=None,
    unobserved_weight=None,
    feature_alpha="auto",
    prior_strength=1.0,
    max_iter=15,
    tol=0.0,
    seed=0,
    callback=None,
    loo=False,
):
    """Fit."""
    explicit = ratings is not None
    n_users, n_items = weights.shape
    if alpha is None:
        alpha = ALPHA_EXPLICIT if explicit else ALPHA_IMPLICIT
    if unobserved_weight is None:
        unobserved_weight = DENSITY_FACTOR * weights.nnz / (n_users * n_items)
    settings = _Settings(
        explicit,
        n_components,
        alpha,
        NU if nu is None else nu,
        0.0 if explicit else unobserved_weight,
        feature_alpha,
        prior_strength,
        seed,
        loo,
    )
    targets, mean, scale = _standardise(weights, ratings)
    users = _Side(weights, targets, user_features, settings)
    items = _Side(*_transpose(weights, targets), item_features, settings)
    n_sweeps, history = _sweep(users, items, settings, max_iter, tol, callback)
    return FactorModel(
        users.export(settings, scale),
        items.export(settings, scale),
        mean,
        scale,
        explicit,
        alpha,
        settings.nu,
        settings.unobserved_weight,
        n_sweeps,
        np.array(history),
    )


def _sweep(users, items, settings, max_iter, tol, callback):
    dtype = np.float64 if settings.explicit else np.float32
    rng = np.random.default_rng(settings.seed)
    width = settings.n_components + settings.explicit
    for side in (users, items):
        start = rng.standard_normal((side.weights.shape[0], width)) * (_INIT_SD / np.sqrt(settings.n_components))
        if settings.explicit:
            start[:, -1] = 0
        side.table, side.prior = start.astype(dtype), np.zeros_like(start, dtype)
    history = []
    for n_iter in range(1, max_iter + 1):
        users.solve(items, settings)
        items.solve(users, settings)
        if tol > 0 or callback is not None:
            history.append(_objective(users, items, settings))
        if callback is not None:
            callback(n_iter, history[-1])
        if tol > 0 and n_iter > 1 and history[-2] - history[-1] <= tol * abs(history[-2]):
            break
    return n_iter, history


def fold_in(model, side, weights, ratings=None, *, features=None, prior=None):
    """Factors of new or changed rows of one side, everything else held fixed: the exact minimum of their objective.

    Parameters
    ----------
    model : FactorModel
    side : {"users", "items"}
        What the rows are.
    weights : csr_matrix of shape (n_rows, n_others)
        Their interactions with the other side's fitted rows; an empty row gets its prior.
    ratings : ndarray of shape (nnz,), default=None
        In the order of ``weights.data``; explicit feedback only.
    features : {ndarray, sparse matrix} of shape (n_rows, k), default=None
        None: the priors are zero.
    prior : ndarray of shape (n_rows, d or d + 1), default=None
        Priors of the rows, ``[vector, bias]`` for explicit feedback, instead of what the features predict.

    Returns
    -------
    vectors : ndarray of shape (n_rows, d)
    bias : ndarray of shape (n_rows,)
    """
    entities, others = (model.users, model.items) if side == "users" else (model.items, model.users)
    d, root = others.vectors.shape[1], np.sqrt(model.scale)
    units = np.r_[np.full(d, root), [model.scale] * model.explicit]
    prior = np.zeros((weights.shape[0], len(units))) if prior is None else prior / units
    if features is not None and entities.feature_map is not None:
        prior = entities.feature_map.predict(features) / units
    table = np.column_stack([others.vectors, others.bias] if model.explicit else [others.vectors]) / units
    factors, offsets = _as_regressors(table, model.explicit)
    counts = np.asarray(weights.sum(axis=1), dtype=np.float64).ravel()
    targets = np.ones(weights.nnz) if ratings is None else (ratings - model.mean) / model.scale
    solution = solve_rows_exactly(
        weights,
        targets,
        factors,
        start=prior,
        prior=prior,
        ridge=entities.ridge_scale * row_sizes(counts, len(table), model.unobserved_weight) ** model.nu,
        unobserved_weight=model.unobserved_weight,
        offsets=offsets,
    )
    solution = (solution * units).astype(others.vectors.dtype)
    return solution[:, :d], solution[:, d] if model.explicit else np.zeros(len(solution), solution.dtype)
