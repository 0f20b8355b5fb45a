"""What `feature_als` leaves to held-out interactions: regularisation, strength of the priors, number of factors.

Trials are short fits. Four sweeps with 64 factors order the values of alpha as many sweeps with many factors do: on
validation rows of three sets (films, music, groceries) the best of six values was the same for 3, 5 and 8 sweeps and
for 64, 128 and 256 factors. Which interactions are held out, and where the factors of a trial start, does not depend on
the seed of the fit.
"""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

import numpy as np

from skllmrec._kernels.als.row_solver import squared_error
from skllmrec._kernels.als.sweeps import Settings, sweep, two_sides
from skllmrec._kernels.feature_map import FeatureBasis
from skllmrec._kernels.selection.held_out import (
    MIN_HELD_OUT,
    hold_out_entries,
    is_better,
    judged_users,
    ranking_quality,
    take_entries,
)
from skllmrec._kernels.selection.peak import search_peak
from skllmrec._typing import CsrMatrix, FloatArray

ALPHA_IMPLICIT, ALPHA_EXPLICIT = 0.02, 0.12
ALPHA_GRID = tuple(ALPHA_IMPLICIT * 2.0**power for power in range(-3, 6))
PRIOR_STRENGTHS = (0.0, 0.5, 0.75)  # the first is the safe choice
PRIOR_STRENGTH = 0.5  # where there is too little data to find one
N_COMPONENTS = (64, 128, 256, 384)  # of "auto"; the first for ratings, and where there is too little data
_TRIAL_SWEEPS = {"implicit": 4, "explicit": 8}
_ENOUGH_USERS, _MAX_HOLD_OUTS = 3000, 3  # users that are judged, in all hold-outs together


class Choices(NamedTuple):
    """What a fit is made with.

    Attributes
    ----------
    alpha : float
    prior_strengths : tuple of float
        Of users and of items.
    n_components : int
    """

    alpha: float
    prior_strengths: tuple[float, float]
    n_components: int


class _HoldOut:
    """A fit on nine tenths of the interactions, judged on the others."""

    def __init__(self, weights, targets, bases, settings, seed):
        train, test = hold_out_entries(weights, seed)
        self.n_entries, self.seed = len(test), seed
        self.train, self.test = take_entries(weights, train), take_entries(weights, test)
        self.targets, self.test_targets = targets[train], targets[test]
        self._bases, self._settings, self._sides = bases, settings, {}

    def quality(self, choices, n_sweeps):
        """One value per user, greater is better: NDCG@20 (implicit) or minus the squared error (explicit)."""
        d = choices.n_components
        if d not in self._sides:
            settings = replace(self._settings, n_components=d)
            self._sides = {d: two_sides(self.train, self.targets, self._bases, settings)}
        users, items = sides = self._sides[d]
        sweep(sides, choices.alpha, choices.prior_strengths, n_sweeps)
        if not self._settings.explicit:
            return ranking_quality(users.table, items.table, self.train, self.test, seed=self.seed)
        tables = users.table[:, :d], items.table[:, :d], users.table[:, d], items.table[:, d]
        return -squared_error(self.test, self.test_targets, *tables)[np.diff(self.test.indptr) > 0]


class Trials:
    """Short fits on parts of the interactions, each made once.

    Parameters
    ----------
    weights, targets, bases, settings
        As of `two_sides`.
    max_iter : int
        Sweeps of the final fit: a trial has no more.
    """

    def __init__(
        self,
        weights: CsrMatrix,
        targets: FloatArray,
        bases: Sequence[FeatureBasis | None],
        settings: Settings,
        max_iter: int,
    ) -> None:
        settings = replace(settings, seed=0)
        first = _HoldOut(weights, targets, bases, settings, 0)
        n_parts = min(-(-_ENOUGH_USERS // max(1, len(judged_users(first.test, 0)))), _MAX_HOLD_OUTS)
        later = range(1, n_parts if first.n_entries >= MIN_HELD_OUT else 1)
        self._parts = [first, *(_HoldOut(weights, targets, bases, settings, seed) for seed in later)]
        self._n_sweeps = min(max_iter, _TRIAL_SWEEPS["explicit" if settings.explicit else "implicit"])
        self._found: dict[Choices, FloatArray] = {}

    @property
    def informative(self) -> bool:
        """Whether enough is held out to decide anything."""
        return self._parts[0].n_entries >= MIN_HELD_OUT

    def quality(self, choices: Choices) -> FloatArray:
        """One value per user and hold-out, greater is better.

        Parameters
        ----------
        choices : Choices

        Returns
        -------
        ndarray
        """
        if choices not in self._found:
            self._found[choices] = np.concatenate([part.quality(choices, self._n_sweeps) for part in self._parts])
        return self._found[choices]

    def climb_alpha(self, choices: Choices, grid: Sequence[float], start: int) -> Choices:
        """Take the alpha of highest quality of a grid, interpolated, with the other choices as they are."""
        peak = search_peak(lambda alpha: float(self.quality(choices._replace(alpha=alpha)).mean()), grid, start)
        return choices._replace(alpha=peak.value)

    def choose_prior_strength(self, choices: Choices, side: int, *, alphas: Sequence[float]) -> Choices:
        """Take the strength and the alpha of highest quality for a side, those of ids only unless others are better.

        A prior that helps wants more regularisation than ids alone: they are tried together.
        """
        best, found = choices, self.quality(choices)
        for strength in PRIOR_STRENGTHS[1:]:
            users, items = choices.prior_strengths
            strengths = (users, strength) if side else (strength, items)
            for alpha in alphas:
                other = Choices(alpha, strengths, choices.n_components)
                if is_better(self.quality(other), found):
                    best, found = other, self.quality(other)
        return best

    def choose_n_components(self, choices: Choices, grid: Sequence[int]) -> Choices:
        """Take more factors as long as they are better."""
        for fewer, more in itertools.pairwise(grid):
            found, reference = (self.quality(choices._replace(n_components=n)) for n in (more, fewer))
            if not is_better(found, reference):
                return choices._replace(n_components=fewer)
        return choices._replace(n_components=grid[-1])


def choose(
    weights: CsrMatrix,
    targets: FloatArray,
    bases: Sequence[FeatureBasis | None],
    settings: Settings,
    *,
    alpha: float | None,
    prior_strength: float | Literal["auto"],
    n_components: int | Literal["auto"],
    max_iter: int,
) -> Choices:
    """Fill in what was left open, on held-out interactions.

    Parameters
    ----------
    weights, targets, bases, settings
        As of `two_sides`; the number of components of the settings counts for nothing.
    alpha : float or None
        None: the best of a grid for rankings, 0.12 for ratings.
    prior_strength : float or "auto"
    n_components : int or "auto"
    max_iter : int

    Returns
    -------
    Choices
    """
    opened = _Open(
        alpha=alpha is None and not settings.explicit,
        sides=tuple(side for side in (1, 0) if bases[side] is not None) if prior_strength == "auto" else (),
        n_components=n_components == "auto" and not settings.explicit,
    )
    given = 0.0 if prior_strength == "auto" else float(prior_strength)
    usual = ALPHA_EXPLICIT if settings.explicit else ALPHA_IMPLICIT
    first = N_COMPONENTS[0] if n_components == "auto" else int(n_components)
    choices = Choices(usual if alpha is None else alpha, (given, given), first)
    if not any(opened):
        return choices
    trials = Trials(weights, targets, bases, settings, max_iter)
    if not trials.informative:
        return choices._replace(prior_strengths=(PRIOR_STRENGTH, PRIOR_STRENGTH)) if opened.sides else choices
    found = _strengths(trials, choices._replace(n_components=min(first, N_COMPONENTS[0])), opened)
    if not opened.n_components:
        return found._replace(n_components=first)
    return trials.choose_n_components(found, [n for n in N_COMPONENTS if n == first or 2 * n <= min(weights.shape)])


class _Open(NamedTuple):
    """What is left to be chosen; `sides` are those whose prior strength is."""

    alpha: bool
    sides: tuple[int, ...]
    n_components: bool


def _strengths(trials, choices, opened):
    """Choose alpha by ids only, then the prior strengths together with alpha, then alpha again where there are some."""
    if opened.alpha:
        choices = trials.climb_alpha(choices, ALPHA_GRID, ALPHA_GRID.index(ALPHA_IMPLICIT))
    for side in opened.sides:
        alphas = (choices.alpha, 2 * choices.alpha) if opened.alpha else (choices.alpha,)
        choices = trials.choose_prior_strength(choices, side, alphas=alphas)
    if opened.alpha and opened.sides and any(choices.prior_strengths):
        grid = [choices.alpha * 2.0**power for power in range(-2, 3)]
        choices = trials.climb_alpha(choices, grid, len(grid) // 2)
    return choices
