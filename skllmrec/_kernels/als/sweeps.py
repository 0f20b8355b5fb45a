"""Sweeps of feature-aware alternating least squares; objective and constants: `feature_als`."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from skllmrec._kernels.als.row_solver import SWEEP_STEPS, solve_rows, squared_error
from skllmrec._kernels.feature_map import STRENGTHS, choose_strength, factorise_features, fit_rows

_INIT_SD = 0.1  # over sqrt(d): Rendle et al. 2021


@dataclass(frozen=True)
class Settings:
    """What stays the same in every fit on one data set, trials included."""

    explicit: bool
    n_components: int
    nu: float
    unobserved_weight: float
    feature_alpha: object
    seed: int
    n_steps: int = SWEEP_STEPS

    @property
    def width(self):
        """Columns of a table of factors: the vector, and the bias where there is one."""
        return self.n_components + self.explicit

    @property
    def dtype(self):
        """Rankings need less than ratings, whose tests of equal weights go to the last digits."""
        return np.float64 if self.explicit else np.float32


class SideState:
    """Users or items during a fit: the data by row, the present factors, their ridge and their prior."""

    def __init__(self, weights, targets, basis, settings):
        self.basis, self.settings = basis, settings
        self.weights, self.targets = weights.astype(settings.dtype), targets.astype(settings.dtype)
        self.sizes = row_sizes(weights, settings.unobserved_weight) ** settings.nu
        self.table = self.prior = self.position = None

    def start(self, rng, alpha, prior_strength):
        """Draw the initial factors; the ridge is fixed from here on."""
        shape = self.weights.shape[0], self.settings.width
        table = rng.standard_normal(shape) * (_INIT_SD / np.sqrt(self.settings.n_components))
        table[:, self.settings.n_components :] = 0
        self.table, self.prior = table.astype(self.settings.dtype), np.zeros(shape, self.settings.dtype)
        mean_size = row_sizes(self.weights, self.settings.unobserved_weight).mean()
        self.ridge_scale = alpha * mean_size / self.sizes.mean()
        self.prior_strength = 0.0 if self.basis is None else prior_strength
        self.n_solved = 0

    def solve(self, other):
        """Half sweep: these factors against the other side's, then the map to these factors."""
        factors, offsets = as_regressors(other.table, self.settings.explicit)
        self.table = solve_rows(
            self.weights,
            self.targets,
            factors,
            start=self.table,
            prior=self.prior if self.prior_strength > 0 else None,
            ridge=self.ridge_scale * self.sizes,
            unobserved_weight=self.settings.unobserved_weight,
            offsets=offsets,
            n_steps=self.settings.n_steps,
        )
        self.renew_prior()

    def renew_prior(self):
        """Fit the map to the present factors; they will be drawn to what it predicts."""
        if self.prior_strength > 0:
            self.n_solved += 1
            if self.n_solved & (self.n_solved - 1) == 0:  # 1, 2, 4, ...: it settles soon, and costs more than a fit
                self.position = self.choose_position()
            fitted = fit_rows(self.basis, self.table, self.strength_at(self.position))
            self.prior = (self.prior_strength * fitted).astype(self.table.dtype)

    def choose_position(self):
        """Best ridge strength of the map to the present factors, as a position in the grid; None where it is given."""
        if self.settings.feature_alpha != "auto":
            return None
        return choose_strength(self.basis, self.table, self.position)

    def strength_at(self, position):
        """Ridge strength at a position of the grid."""
        return float(self.settings.feature_alpha if position is None else STRENGTHS[position])


def row_sizes(weights, unobserved_weight):
    """Return N + a0 n_others for each row, in double precision."""
    return np.asarray(weights.sum(axis=1, dtype=np.float64)).ravel() + unobserved_weight * weights.shape[1]


def units_of(settings, scale):
    """Units of [vector, bias]: a product of two vectors, and a bias, are in units of `scale`."""
    return np.r_[np.full(settings.n_components, np.sqrt(scale)), np.full(int(settings.explicit), scale)]


def as_regressors(table, explicit):
    """Split the other side into regressors and offsets: [q, 1] and b where there are biases, else q and nothing."""
    if not explicit:
        return table, None
    factors = table.copy()
    factors[:, -1] = 1
    return factors, table[:, -1]


def two_sides(weights, targets, bases, settings):
    """Rows of the users and, transposed, rows of the items."""
    transposed, by_item = weights.T.tocsr(), targets
    if settings.explicit:  # else all are one
        by_item = sp.csr_matrix((targets, weights.indices, weights.indptr), weights.shape).T.tocsr().data
    return SideState(weights, targets, bases[0], settings), SideState(transposed, by_item, bases[1], settings)


def factorise_sides(weights, features, settings):
    """Factorise the features of both sides; rows are weighted by their sizes, which fix the ridge up to a factor."""
    sizes = row_sizes(weights, settings.unobserved_weight), row_sizes(weights.T, settings.unobserved_weight)
    return [
        None if Z is None else factorise_features(Z, n**settings.nu, seed=settings.seed, dtype=settings.dtype)
        for Z, n in zip(features, sizes, strict=True)
    ]


def objective(users, items):
    """Sum up data, unobserved pairs and distance to the priors; the maps are taken as given."""
    settings, d = users.settings, users.settings.n_components
    sides = users, items
    biases = [side.table[:, d] if settings.explicit else np.zeros(len(side.table)) for side in sides]
    value = squared_error(users.weights, users.targets, users.table[:, :d], items.table[:, :d], *biases).sum()
    if settings.unobserved_weight > 0:
        grams = [side.table.T.astype(np.float64) @ side.table for side in sides]
        value += settings.unobserved_weight * np.sum(grams[0] * grams[1])
    for side in sides:
        value += side.ridge_scale * (side.sizes @ ((side.table - side.prior) ** 2).sum(axis=1))
    return float(value)


def start_sides(sides, alpha, prior_strengths):
    """Draw fresh factors for both sides."""
    rng = np.random.default_rng(sides[0].settings.seed)
    for side, strength in zip(sides, prior_strengths, strict=True):
        side.start(rng, alpha, strength)


def sweep(sides, alpha, prior_strengths, max_iter, *, tol=0.0, callback=None):
    """Alternate between users and items from fresh factors; `callback` may stop it by returning True.

    Returns the number of sweeps, and the objective after each of them if `tol` asks for it.
    """
    users, items = sides
    start_sides(sides, alpha, prior_strengths)
    history = []
    for n_iter in range(1, max_iter + 1):
        users.solve(items)
        items.solve(users)
        if callback is not None and callback(n_iter):
            break
        if tol > 0:
            history.append(objective(users, items))
        if tol > 0 and n_iter > 1 and history[-2] - history[-1] <= tol * abs(history[-2]):
            break
    return n_iter, np.array(history)
