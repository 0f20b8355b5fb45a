"""Random search: distributions of the parameters of a model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias
from zlib import crc32

import numpy as np

Params: TypeAlias = dict[str, Any]  # parameters of one trial
Space: TypeAlias = Mapping[str, tuple[Any, Any]]  # of each parameter: its default, and a `Log`, `Span` or `Among`


@dataclass(frozen=True)
class Log:
    """Drawn uniformly on a logarithmic scale."""

    low: float
    high: float

    def draw(self, generator: np.random.Generator) -> float:
        """Return a value, of three significant digits."""
        value = np.exp(generator.uniform(np.log(self.low), np.log(self.high)))
        return float(f"{value:.3g}")

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}, logarithmic"


@dataclass(frozen=True)
class Span:
    """Drawn uniformly."""

    low: float
    high: float

    def draw(self, generator: np.random.Generator) -> float:
        """Return a value, of two decimals."""
        return round(float(generator.uniform(self.low, self.high)), 2)

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}"


@dataclass(frozen=True)
class Among:
    """Drawn from a few values."""

    values: tuple

    def draw(self, generator: np.random.Generator) -> Any:
        """Return a value."""
        return self.values[generator.integers(len(self.values))]

    def __str__(self) -> str:
        return "one of " + ", ".join(map(str, self.values))


def among(*values: Any) -> Among:
    """Return an `Among`."""
    return Among(values)


def trials(name: str, space: Space, n_trials: int, seed: int) -> list[Params]:
    """Parameters of each trial of a model: its defaults first, then random ones, the same for the same name and seed.

    Parameters
    ----------
    name : str
    space : dict of str to (default, distribution)
        Empty: a single trial.
    n_trials, seed : int

    Returns
    -------
    list of dict
    """
    defaults = {key: default for key, (default, _) in space.items()}
    if not space:
        return [defaults]
    generator = np.random.default_rng([seed, crc32(name.encode())])
    drawn = [{key: over.draw(generator) for key, (_, over) in space.items()} for _ in range(n_trials - 1)]
    return [defaults, *drawn]
