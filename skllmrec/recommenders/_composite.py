"""What recommenders share that consist of other recommenders: their parts, and how these read users and items."""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from sklearn.base import clone

from skllmrec._foreign import as_table
from skllmrec._ids import IdIndex, normalise_ids
from skllmrec._sklearn import BaseComposition, column_positions, is_frame, take_columns, take_rows
from skllmrec._typing import Estimator, Feedback, Rows
from skllmrec.base import BaseRecommender, Entities


@dataclass(frozen=True)
class Named(Entities):
    """Entities, and how a caller named them: what the parts read again, each for itself."""

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


def seeded(estimator: Estimator, seed: int | None) -> Estimator:
    """Give an estimator, and those in it, a seed where they have none; None leaves them without."""
    if seed is not None and hasattr(estimator, "get_params"):
        given = estimator.get_params().items()
        unset = [name for name, value in given if name.split("__")[-1] == "random_state" and value is None]
        estimator.set_params(**dict.fromkeys(unset, seed))
    return estimator


class TrainingRows:
    """What `fit` was given, to fit parts on some of the rows."""

    def __init__(self, X: Rows, y: Any, sample_weight: Any, tables: Any, seed: Any) -> None:
        self.X, self._seed = X, seed
        self.y, self._sample_weight = (None if part is None else np.asarray(part) for part in (y, sample_weight))
        self._tables = {name: table for name, table in tables.items() if table is not None}

    def fit(self, estimator: Estimator, rows: Any = None) -> Estimator:
        """Fit a clone of a part on some rows, None: on all."""
        given = self.X, self.y, self._sample_weight
        X, y, weights = given if rows is None else (None if part is None else take_rows(part, rows) for part in given)
        return seeded(clone(estimator), self._seed).fit(X, y, sample_weight=weights, **self._tables)


def find_pairs(recommender, X):
    """Position among the stored pairs of `seen_` of each row of X, -1 for rows without weight."""
    users, items = (side.index.encode(side.read_ids(X)) for side in (recommender._user_side, recommender._item_side))
    seen = recommender.seen_
    n_items = np.int64(seen.shape[1])
    owners = np.repeat(np.arange(seen.shape[0]), np.diff(seen.indptr))
    stored, wanted = owners * n_items + seen.indices, users * n_items + items
    place = np.minimum(np.searchsorted(stored, wanted), len(stored) - 1)
    return np.where((stored[place] == wanted) & (users >= 0) & (items >= 0), place, -1)


def rows_of_codes(X, pair_of_row, codes, wanted):
    """Rows of X, with their features, of some users or items.

    Parameters
    ----------
    X : dataframe or array
    pair_of_row : ndarray of int
        As `find_pairs` returns it.
    codes : ndarray of int
        Position of the user or item of each stored pair.
    wanted : ndarray of int
        Positions of users or items, each with a stored pair.
    """
    rows = np.flatnonzero(pair_of_row >= 0)
    known, first = np.unique(codes[pair_of_row[rows]], return_index=True)
    return take_rows(X, rows[first[np.searchsorted(known, wanted)]])


def forgiving(part):
    """Let a fitted part, and the parts of a blend, score users and items that they do not know."""
    if hasattr(part, "handle_unknown"):
        part.handle_unknown = "prior"
    for inner in getattr(part, "estimators_", ()):
        forgiving(inner)
    return part


class CompositeRecommender(BaseComposition, BaseRecommender):
    """A recommender made of others: the (name, recommender) pairs of its parameter `estimators`.

    A subclass calls `_remember_tables` in `fit`. The `Entities` of a call are `Named`, so that each part can read
    them for itself.
    """

    _noun: str  # what error messages call it

    @property
    def _learns_from_all_rows_again(self):
        return any(part._learns_from_all_rows_again for part in self.estimators_)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Get the parameters of this recommender and of its parts.

        Parameters
        ----------
        deep : bool, default=True
            Those of the parts as well, as ``name__parameter``.

        Returns
        -------
        dict
        """
        return self._get_params("estimators", deep=deep)

    def set_params(self, **params: Any) -> Self:
        """Set parameters of this recommender, of its parts, or exchange a part by its name.

        Parameters
        ----------
        **params
            As `get_params` gives them.

        Returns
        -------
        self
        """
        self._set_params("estimators", **params)
        return self

    @property
    def feedback(self) -> Feedback:
        """What the parts learn from."""
        first = self.estimators[0] if isinstance(self.estimators, list) and self.estimators else None
        return getattr(first[1], "feedback", "explicit") if isinstance(first, tuple) and len(first) == 2 else "explicit"

    @property
    def _reads_raw_counts(self):
        pairs = self.estimators if isinstance(self.estimators, list) else []
        return not pairs or any(getattr(estimator, "_reads_raw_counts", True) for _, estimator in pairs)

    def _check_estimators(self):
        """Refuse parts that are no recommenders, or learn from different feedback."""
        if not self.estimators or not all(isinstance(pair, tuple) and len(pair) == 2 for pair in self.estimators):
            raise ValueError(f"estimators is {self.estimators!r:.80}: give a list of at least one (name, recommender)")
        names = [name for name, _ in self.estimators]
        self._validate_names(names)
        kinds = {name: getattr(estimator, "feedback", "explicit") for name, estimator in self.estimators}
        for name, estimator in self.estimators:
            if not isinstance(estimator, BaseRecommender):
                raise TypeError(
                    f"estimators: {name!r} is a {type(estimator).__name__}: {self._noun}s are made of recommenders; "
                    "wrap a regressor in PairwiseRecommender"
                )
        if len(set(kinds.values())) > 1:
            raise ValueError(f"estimators learn from different feedback, {kinds}: set feedback= to the same in all")

    def _check_columns(self, X):
        """Refuse parts that read the ids from other columns: they would recommend other things."""
        for name, estimator in self.estimators:
            for side in ("user", "item"):
                own, ours = getattr(estimator, side), getattr(self, side)
                if own != ours and not np.array_equal(column_positions(X, own), column_positions(X, ours)):
                    raise ValueError(
                        f"estimators: {name!r} has {side}={own!r}, but the {self._noun} has {side}={ours!r}: set "
                        "both to the same column"
                    )

    def _remember_tables(self, user_table, item_table):
        """Read the tables of a fit; later rows may have their columns besides those of X."""
        keys = {"user": self._user_side.id_key, "item": self._item_side.id_key}
        tables = self._read_tables(keys, user_table, item_table)
        given = [table.frame for table in tables.values() if table is not None]
        self._table_columns = {name for frame in given for name in frame.columns if isinstance(name, str)}
        return tables

    @staticmethod
    def _rows_for(part, X):
        """Leave out columns that a part knows neither from X nor from a table: others read them."""
        if not is_frame(X) or not hasattr(part, "feature_names_in_"):
            return X
        wanted = {*part.feature_names_in_, *part._described_by}
        kept = [name for name in X.columns if name in wanted]
        return X if len(kept) == X.shape[1] else take_columns(X, kept)

    @property
    def _described_by(self):
        return self._table_columns

    def _target_users(self, users, history):
        entities = super()._target_users(users, history)
        names = Names.read(users, entities, self._user_side, None if history is None else list(history))
        return Named(**vars(entities), named=(names,))

    def _read_candidates(self, candidates):
        entities = super()._read_candidates(candidates)
        given = self.items_ if candidates is None else candidates  # each part has an order of its own
        return Named(**vars(entities), named=(Names.read(given, entities, self._item_side, distinct=True),))
