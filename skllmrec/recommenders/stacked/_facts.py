"""What the second stage knows of a pair of user and item besides the scores of the parts."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from skllmrec._kernels.stacking.histories import history_cosines, history_means
from skllmrec._typing import Array, CsrMatrix, FloatArray, IntArray, Matrix
from skllmrec.base import Entities
from skllmrec.base._matrices import stack
from skllmrec.recommenders._item_to_item import Content

_MOST_COLUMNS = 32  # of encoded features that are told to the second stage one by one
_LEAST_SPREAD = 1e-6  # of logarithms of counts
_FULL = 0.5  # share of entries from which on a column of a sparse matrix counts as dense


@dataclass(frozen=True)
class Block:
    """Encoded features of one kind, words or vectors, whose cosines are compared.

    Parameters
    ----------
    columns : ndarray of bool or None
        Which columns of a sparse matrix they are; None: all.
    dense : bool
        Whether they are kept dense.
    content : Content
    """

    columns: Any
    dense: bool
    content: Content

    @classmethod
    def learn_all(cls, features: Matrix | None, n_trained: int) -> "list[Block]":
        """Blocks of the features of items: columns of a sparse matrix that are mostly filled are vectors."""
        if features is None or 0 in features.shape:
            return []
        if not sparse.issparse(features):
            return [cls(None, True, Content.learn(features, n_trained, dtype=np.float32))]
        trained = features[:n_trained]
        filled = np.bincount(trained.indices, minlength=trained.shape[1]) > _FULL * n_trained
        blocks = []
        for columns, dense in ((~filled, False), (filled, True)):
            if columns.any():
                part: Any = features[:, columns]
                part = part.toarray() if dense else part
                blocks.append(cls(columns, dense, Content.learn(part, n_trained, dtype=np.float32)))
        return blocks

    def of(self, features: Matrix) -> Matrix:
        """Vectors of rows of features of items that are not known."""
        part: Any = features if self.columns is None else features[:, self.columns]
        return self.content.of(part.toarray() if self.dense and hasattr(part, "toarray") else part)

    def extended(self, features: Matrix | None, n_items: int) -> "Block":
        """Take items in, up to a number of them."""
        if features is not None and self.columns is not None:
            features = features[:, self.columns]
        if features is not None and self.dense and sparse.issparse(features):
            features = features.toarray()
        return Block(self.columns, self.dense, self.content.extended(features, n_items))

    def vectors(self, items: Entities) -> Matrix:
        """Vectors of `Entities` of items; zeros where nothing is known."""
        known: Any = self.content.vectors
        places = np.where(items.codes >= 0, items.codes, known.shape[0])
        empty: Any = sparse.csr_matrix if sparse.issparse(known) else np.zeros
        parts: list[Any] = [known, empty((1, known.shape[1]), dtype=known.dtype)]
        if (items.codes >= 0).all():
            return known[items.codes]
        if items.features is not None:
            parts.append(self.of(items.features))
            new = items.rows >= 0
            places[new] = known.shape[0] + 1 + items.rows[new]
        return stack(parts)[places]


@dataclass(frozen=True)
class OwnColumns:
    """Features that are few numbers, told one by one.

    Parameters
    ----------
    values : ndarray of shape (n, n_columns)
        Of all that are known.
    mean : ndarray of shape (n_columns,)
        Of those of the fit: what stands for those of whom nothing is known.
    """

    values: FloatArray
    mean: FloatArray

    @classmethod
    def learn(cls, features: Matrix | None, n_trained: int) -> "OwnColumns | None":
        """Read features; None where there are none, or many."""
        if features is None or sparse.issparse(features) or not 0 < features.shape[1] <= _MOST_COLUMNS:
            return None
        values = np.asarray(features, dtype=np.float64)
        return cls(values, values[:n_trained].mean(axis=0))

    def extended(self, features: Matrix | None, n: int) -> "OwnColumns":
        """Take in rows, up to a number of them."""
        n_more = n - len(self.values)
        more = np.repeat(self.mean[np.newaxis], n_more, axis=0) if features is None else np.asarray(features)
        return OwnColumns(np.concatenate([self.values, more]) if n_more else self.values, self.mean)

    def of(self, entities: Entities) -> FloatArray:
        """Rows of `Entities`."""
        found = np.concatenate([self.values, self.mean[np.newaxis]])[entities.codes]  # -1 is the last
        if entities.features is not None:
            new = np.flatnonzero(entities.rows >= 0)
            found[new] = entities.features[entities.rows[new]]
        return found


@dataclass(frozen=True)
class Counts:
    """Logarithms of counts, relative to those of a fit.

    Parameters
    ----------
    values : ndarray of shape (n,)
        ``log(1 + count)``.
    mean, spread : float
        Of those at the fit.
    """

    values: FloatArray
    mean: float
    spread: float

    @classmethod
    def learn(cls, counts: Array, n_known: int) -> "Counts":
        """Learn from the counts of all; the first `n_known` are those of the fit."""
        logs = np.log1p(counts)
        among = logs[:n_known][counts[:n_known] > 0]
        spread = float(among.std()) if len(among) else 0.0
        # where all counts are the same, what is left are rounding errors
        return cls(logs, float(among.mean()) if len(among) else 0.0, spread if spread > _LEAST_SPREAD else 1.0)

    def of(self, counts: Array) -> FloatArray:
        """Relative counts."""
        return (np.log1p(counts) - self.mean) / self.spread

    @property
    def relative(self) -> FloatArray:
        """Relative counts of all."""
        return (self.values - self.mean) / self.spread


@dataclass(frozen=True)
class Times:
    """Moments between 0, the first interaction of the fit, and 1, the last one; of what was never there, the last.

    Parameters
    ----------
    item_mean, item_last : ndarray of shape (n_items,)
    user_mean, user_last : ndarray of shape (n_users,)
    """

    item_mean: FloatArray
    item_last: FloatArray
    user_mean: FloatArray
    user_last: FloatArray

    @classmethod
    def learn(cls, seen: CsrMatrix, times: FloatArray) -> "Times":
        """Learn from the time of each stored pair."""
        owners = np.repeat(np.arange(seen.shape[0]), np.diff(seen.indptr))
        found: list[FloatArray] = []
        for codes, n in ((seen.indices, seen.shape[1]), (owners, seen.shape[0])):
            counts = np.bincount(codes, minlength=n)
            mean = np.where(counts > 0, np.bincount(codes, weights=times, minlength=n) / np.maximum(counts, 1), 1.0)
            last = np.full(n, -1.0)
            np.maximum.at(last, codes, times)
            found += [mean, np.where(counts > 0, last, 1.0)]
        return cls(*found)

    def extended(self, n_users: int, n_items: int, users: IntArray) -> "Times":
        """Take users and items in, whose interactions and those of `users` are of now."""
        grown = [
            np.append(values, np.ones(n - len(values)))
            for values, n in zip(vars(self).values(), (n_items, n_items, n_users, n_users), strict=True)
        ]
        grown[3] = grown[3].copy()
        grown[3][users] = 1.0
        return Times(*grown)

    def of(self, users: IntArray, items: IntArray) -> FloatArray:
        """Columns of pairs of positions, -1 for what is not known, (n_pairs, 3)."""
        item_mean, item_last = (np.append(values, 1.0)[items] for values in (self.item_mean, self.item_last))
        user_mean, user_last = (np.append(values, 1.0)[users] for values in (self.user_mean, self.user_last))
        return np.column_stack([item_last, user_last - item_mean, np.abs(user_mean - item_mean)])


@dataclass(frozen=True)
class Facts:
    """What is known of users and items besides the scores of the parts, as columns of pairs.

    Counts and times of known items are those of the fit, so that folding new interactions in changes the scores of no
    other pairs.

    Parameters
    ----------
    items, users : Counts
    blocks : list of Block
    times : Times or None
    user_columns, item_columns : OwnColumns or None
    """

    items: Counts
    users: Counts
    blocks: list
    times: Times | None
    user_columns: Any
    item_columns: Any

    @classmethod
    def learn(
        cls, seen: CsrMatrix, times: FloatArray | None, blocks: list, user_columns: Any, item_columns: Any
    ) -> "Facts":
        """Learn from interactions and the time of each."""
        n_users, n_items = seen.shape
        items = Counts.learn(np.bincount(seen.indices, minlength=n_items), n_items)
        users = Counts.learn(np.diff(seen.indptr), n_users)
        moments = None if times is None else Times.learn(seen, times)
        return cls(items, users, blocks, moments, user_columns, item_columns)

    def extended(self, seen: CsrMatrix, users: IntArray, user_features: Any, item_features: Any) -> "Facts":
        """Take in the users and items that are new in `seen`; `users` got new interactions."""
        n_users, n_items = seen.shape
        counts = np.bincount(seen.indices, minlength=n_items)[len(self.items.values) :]
        items = Counts(np.append(self.items.values, np.log1p(counts)), self.items.mean, self.items.spread)
        activity = Counts(np.log1p(np.diff(seen.indptr)), self.users.mean, self.users.spread)
        blocks = [block.extended(item_features, n_items) for block in self.blocks]
        times = None if self.times is None else self.times.extended(n_users, n_items, users)
        columns = (
            None if self.user_columns is None else self.user_columns.extended(user_features, n_users),
            None if self.item_columns is None else self.item_columns.extended(item_features, n_items),
        )
        return Facts(items, activity, blocks, times, *columns)

    def names(self) -> list[str]:
        """Names of the columns of `of`."""
        names = ["item count", "user count", "popularity gap", "absolute popularity gap"]
        for number, block in enumerate(self.blocks):
            kind = f"{'vectors' if block.dense else 'words'}{number if number > 1 else ''}"
            names += [f"mean cosine of {kind}", f"greatest cosine of {kind}"]
        if self.times is not None:
            names += ["latest time of item", "time since item", "distance in time"]
        for side, columns in (("user", self.user_columns), ("item", self.item_columns)):
            names += [] if columns is None else [f"{side} feature {n}" for n in range(len(columns.mean))]
        return names

    def prepare(self, items: Entities) -> list[Matrix]:
        """Vectors of the candidates in each block."""
        return [block.vectors(items) for block in self.blocks]

    def of(
        self,
        users: Entities,
        histories: CsrMatrix,
        items: Entities,
        vectors: list,
        owners: IntArray,
        places: IntArray,
    ) -> FloatArray:
        """Columns of pairs.

        Parameters
        ----------
        users, items : Entities
        histories : csr_matrix of shape (n_users, n_known_items)
            What the users had.
        vectors : list
            From `prepare`, of `items`.
        owners, places : ndarray of int, shape (n_pairs,)
            Positions among `users` and `items`.

        Returns
        -------
        ndarray of shape (n_pairs, n_columns)
        """
        relative = self.items.relative
        popularity = np.append(relative, self.items.of(np.zeros(1)))[items.codes]
        gap = popularity[places] - history_means(histories, relative, 0.0)[owners]
        parts = [popularity[places], self.users.of(np.diff(histories.indptr))[owners], gap, np.abs(gap)]
        for block, candidates in zip(self.blocks, vectors, strict=True):
            cosines = history_cosines(histories, block.content.vectors, candidates, owners, places)
            parts += list(cosines.T)
        if self.times is not None:
            parts += list(self.times.of(users.codes[owners], items.codes[places]).T)
        if self.user_columns is not None:
            parts += list(self.user_columns.of(users)[owners].T)
        if self.item_columns is not None:
            parts += list(self.item_columns.of(items)[places].T)
        return np.column_stack(parts)
