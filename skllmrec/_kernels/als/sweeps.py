"""Sweeps of feature-aware alternating least squares; objective and constants: `feature_als`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import scipy.sparse as sp

from skllmrec._kernels.als.row_solver import SWEEP_STEPS, solve_rows, squared_error
from skllmrec._kernels.feature_map import STRENGTHS, FeatureBasis, choose_strength, factorise_features, fit_rows
from skllmrec._typing import CsrMatrix, FloatArray, Matrix

_INIT_SD = 0.1  # over sqrt(d): Rendle et al. 2021


@dataclass(frozen=True)
class Settings:
    """Settings that all fits on one data set share, trials included."""

    explicit: bool
    n_components: int
    nu: float
    unobserved_weight: float
    feature_alpha: float | Literal["auto"]
    seed: int
    n_steps: int = SWEEP_STEPS

    @property
    def width(self) -> int:
        """Columns of a table of factors: the vector, and the bias where there is one."""
        return self.n_components + self.explicit

    @property
    def dtype(self) -> type[np.floating[Any]]:
        """Single precision for rankings; double for ratings, whose weighted fits are compared to the last digits."""
        return np.float64 if self.explicit else np.float32


class Side:
    """Users or items during a fit: the data by row, the present factors, their ridge and their prior.

    Attributes
    ----------
    table, prior : ndarray of shape (n, width)
        Present factors and the centres of their ridge; set by `start`.
    position : int or None
        Position in the grid of the ridge strength of the map; None before the first choice, or where it is given.
    ridge_scale, prior_strength : float
        Set by `start`.
    """

    table: FloatArray
    prior: FloatArray
    ridge_scale: float
    prior_strength: float

    def __init__(self, weights: CsrMatrix, targets: FloatArray, basis: FeatureBasis | None, settings: Settings) -> None:
        self.basis = basis
        self.settings = settings
        self.weights = weights.astype(settings.dtype)
        self.targets = targets.astype(settings.dtype)
        self.sizes = row_sizes(weights, settings.unobserved_weight) ** settings.nu
        self.position: int | None = None
        self.n_solved = 0

    def start(self, rng: np.random.Generator, alpha: float, prior_strength: float) -> None:
        """Draw the initial factors and set the ridge of the fit."""
        shape = self.weights.shape[0], self.settings.width
        table = rng.standard_normal(shape) * (_INIT_SD / np.sqrt(self.settings.n_components))
        table[:, self.settings.n_components :] = 0
        self.table, self.prior = table.astype(self.settings.dtype), np.zeros(shape, self.settings.dtype)
        mean_size = row_sizes(self.weights, self.settings.unobserved_weight).mean()
        self.ridge_scale = alpha * mean_size / self.sizes.mean()
        self.prior_strength = 0.0 if self.basis is None else prior_strength
        self.n_solved = 0

    def solve(self, other: "Side") -> None:
        """Half sweep: solve for these factors with the other side fixed, then fit the map to them."""
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

    def renew_prior(self) -> None:
        """Fit the map to the present factors; its predictions become the centres of their ridge."""
        if self.basis is not None and self.prior_strength > 0:
            self.n_solved += 1
            if self.n_solved & (self.n_solved - 1) == 0:  # 1, 2, 4, ...: a choice is costly and soon settles
                self.position = self.choose_position()
            fitted = fit_rows(self.basis, self.table, self.strength_at(self.position))
            self.prior = (self.prior_strength * fitted).astype(self.table.dtype)

    def choose_position(self) -> int | None:
        """Best ridge strength of the map to the present factors, as a position in the grid; None where it is given."""
        if self.basis is None or self.settings.feature_alpha != "auto":
            return None
        return choose_strength(self.basis, self.table, self.position)

    def strength_at(self, position: int | None) -> float:
        """Ridge strength at a position of the grid."""
        return float(self.settings.feature_alpha if position is None else STRENGTHS[position])


def row_sizes(weights: Any, unobserved_weight: float) -> FloatArray:
    """Return N + a0 n_others for each row, in double precision."""
    return np.asarray(weights.sum(axis=1, dtype=np.float64)).ravel() + unobserved_weight * weights.shape[1]


def units_of(settings: Settings, scale: float) -> FloatArray:
    """Units of [vector, bias]: a product of two vectors, and a bias, are in units of `scale`."""
    return np.r_[np.full(settings.n_components, np.sqrt(scale)), np.full(int(settings.explicit), scale)]


def as_regressors(table: FloatArray, explicit: bool) -> tuple[FloatArray, FloatArray | None]:
    """Split the other side into regressors and offsets: [q, 1] and b where there are biases, else q and nothing."""
    if not explicit:
        return table, None
    factors = table.copy()
    factors[:, -1] = 1
    return factors, table[:, -1]


def two_sides(
    weights: CsrMatrix, targets: FloatArray, bases: Sequence[FeatureBasis | None], settings: Settings
) -> tuple[Side, Side]:
    """Rows of the users and, transposed, rows of the items."""
    transposed, by_item = weights.T.tocsr(), targets
    if settings.explicit:  # else all are one
        by_item = sp.csr_matrix((targets, weights.indices, weights.indptr), weights.shape).T.tocsr().data
    return Side(weights, targets, bases[0], settings), Side(transposed, by_item, bases[1], settings)


def factorise_sides(
    weights: CsrMatrix, features: Sequence[Matrix | None], settings: Settings
) -> list[FeatureBasis | None]:
    """Factorise the features of both sides; rows are weighted by their sizes, which fix the ridge up to a factor."""
    sizes = row_sizes(weights, settings.unobserved_weight), row_sizes(weights.T, settings.unobserved_weight)
    return [
        None if Z is None else factorise_features(Z, n**settings.nu, seed=settings.seed, dtype=settings.dtype)
        for Z, n in zip(features, sizes, strict=True)
    ]


def objective(users: Side, items: Side) -> float:
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


def start_sides(sides: Sequence[Side], alpha: float, prior_strengths: Sequence[float]) -> None:
    """Draw fresh factors for both sides."""
    rng = np.random.default_rng(sides[0].settings.seed)
    for side, strength in zip(sides, prior_strengths, strict=True):
        side.start(rng, alpha, strength)


def sweep(
    sides: Sequence[Side],
    alpha: float,
    prior_strengths: Sequence[float],
    max_iter: int,
    *,
    tol: float = 0.0,
    callback: Callable[[int], object] | None = None,
) -> tuple[int, FloatArray]:
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
