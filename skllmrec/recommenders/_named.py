"""What recommenders that hold others pass on to them: entities as a caller named them, and rows of a fit."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.base import clone

from skllmrec._foreign import as_table
from skllmrec._ids import IdIndex, normalise_ids
from skllmrec._sklearn import take_rows
from skllmrec._typing import Estimator, Rows
from skllmrec.base import Entities


@dataclass(frozen=True)
class Named(Entities):
    """Entities, and how a caller named them: what the parts of the blend read again, each for itself."""

    named: tuple = ()

    def take(self, positions):
        named, start = [], 0
        for part in self.named:
            within = positions[(positions >= start) & (positions < start + len(part))] - start
            named += [part.take(within)] if len(within) else []
            start += len(part)
        return Named(**vars(Entities.take(self, positions)) | {"named": tuple(named)})

    def joined(self, other):
        return Named(**vars(Entities.joined(self, other)), named=self.named + other.named)


@dataclass(frozen=True)
class Names:
    """Names of some entities: their ids, and rows of a table that holds the columns of those that are not known.

    Where there is a table, `rows` are the positions of the entities in it, -1 for the first ones, named by ids alone.
    `histories` are None, or one for each user.
    """

    ids: np.ndarray
    table: object = None
    rows: np.ndarray | None = None
    histories: object = None
    are_people: bool = True  # False for users of whom nothing but the history is known

    @classmethod
    def read(cls, given, entities, side, histories=None, *, distinct=False):
        """Find the rows of `Entities` in what a caller gave: ids, rows of a table, or a tuple of both."""
        if given is None:
            return cls(entities.ids, histories=histories, are_people=False)
        is_tuple, table = _find_table(as_table(given))
        if len(table.shape) == 1:
            return cls(entities.ids, histories=histories)
        ids = side.read_ids(table)
        if not is_tuple and len(ids) == len(entities):
            return cls(entities.ids, table, np.arange(len(ids)), histories)
        index, codes = IdIndex.from_values(ids)
        first = np.unique(codes, return_index=True)[1]
        rows = np.append(first, -1)[index.encode(entities.ids)]
        if is_tuple:  # ids come first; of candidates, equal ones count once
            named = IdIndex.from_values(normalise_ids(given[0]))[0] if distinct else given[0]
            rows[: len(named)] = -1
        return cls(entities.ids, table, rows, histories)

    def __len__(self):
        return len(self.ids)

    def take(self, positions):
        """Select some, in ascending order."""
        rows = None if self.rows is None else self.rows[positions]
        histories = None if self.histories is None else [self.histories[position] for position in positions]
        return replace(self, ids=self.ids[positions], rows=rows, histories=histories)

    @property
    def given(self):
        """The names as `recommend` takes them."""
        if not self.are_people:
            return None
        by_id = np.ones(len(self), dtype=bool) if self.rows is None else self.rows < 0
        if by_id.all():
            return self.ids
        rows = take_rows(self.table, self.rows[~by_id])
        return (self.ids[by_id], rows) if by_id.any() else rows


def _find_table(given):
    """Whether a caller gave a tuple of ids and a table; and that table, or else all that was given, as an array."""
    is_tuple = isinstance(given, tuple) and len(given) == 2 and np.ndim(given[1]) == 2
    table = given[1] if is_tuple else given
    return is_tuple, table if hasattr(table, "shape") else np.array(table, dtype=object)


class FitRows:
    """What `fit` was given, to fit parts on some of the rows."""

    def __init__(self, X: Rows, y: Any, sample_weight: Any, tables: Any, seed: Any) -> None:
        self.X, self._seed = X, seed
        self._y, self._sample_weight = (None if part is None else np.asarray(part) for part in (y, sample_weight))
        self._tables = {name: table for name, table in tables.items() if table is not None}

    def fit(self, estimator: Estimator, rows: Any = None) -> Estimator:
        """Fit a clone of a part on some rows, None: on all."""
        given = self.X, self._y, self._sample_weight
        X, y, weights = given if rows is None else (None if part is None else take_rows(part, rows) for part in given)
        estimator = clone(estimator)
        if self._seed is not None:
            given = estimator.get_params().items()
            unset = [name for name, value in given if name.split("__")[-1] == "random_state" and value is None]
            estimator.set_params(**dict.fromkeys(unset, self._seed))
        return estimator.fit(X, y, sample_weight=weights, **self._tables)
