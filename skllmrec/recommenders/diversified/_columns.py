"""Columns of items that lists are made diverse by: tags, encoded texts, and values that lists are limited by."""

import re
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import clone
from sklearn.preprocessing import normalize

from skllmrec._ids import IdIndex
from skllmrec._kernels.selection.reranking import Limits
from skllmrec._missing import missing_mask
from skllmrec._sklearn import is_frame, take_rows
from skllmrec.base._columns import ColumnKey
from skllmrec.base._encoding import encode_table
from skllmrec.base._matrices import stack

_SEPARATORS = re.compile(r"[|;,]")


def _members(cell, separators=None):
    """Distinct values of a cell, in order: those of a list, the parts of a string, or the cell itself."""
    if isinstance(cell, str):
        parts = separators.split(cell) if separators else [cell]
        return list(dict.fromkeys(part.strip() for part in parts if part.strip()))
    if isinstance(cell, list | tuple | set | frozenset | np.ndarray):
        return list(dict.fromkeys(str(part) for part in cell))
    return [] if missing_mask(np.array([cell], dtype=object))[0] else [str(cell)]


class _Tags:
    """Encoder of columns of categories or tags: one column for each tag that `fit_transform` saw."""

    def fit_transform(self, table, *targets):
        rows = self._read(table)
        self.places_ = {tag: place for place, tag in enumerate(sorted({tag for row in rows for tag in row}))}
        return self._encode(rows)

    def transform(self, table):
        return self._encode(self._read(table))

    @staticmethod
    def _read(table):
        cells = np.asarray(table, dtype=object)
        cells = cells.reshape(len(cells), -1)
        return [[(n, tag) for n, cell in enumerate(row) for tag in _members(cell, _SEPARATORS)] for row in cells]

    def _encode(self, rows):
        found = [[self.places_[tag] for tag in row if tag in self.places_] for row in rows]
        indptr = np.concatenate([[0], np.cumsum([len(row) for row in found])]).astype(np.int64)
        columns = np.array([place for row in found for place in row], dtype=np.int64)
        shape = len(rows), max(len(self.places_), 1)
        return sparse.csr_matrix((np.ones(len(columns)), columns, indptr), shape)


def find_source(X, tables, key):
    """Find the table that holds the columns of a key: that of the items where it has them, else the rows of X.

    Returns
    -------
    table : dataframe or array
    ids : IdIndex or None
        Of the rows of the item table; None for X.
    """
    table = tables["item_table"]
    wanted = key if isinstance(key, list) else [key]
    if table is not None and (callable(key) or all(name in list(table.frame.columns) for name in wanted)):
        return table.frame, table.index
    return X, None


@dataclass(frozen=True)
class ItemColumn:
    """One or several columns of items, read for all known ones.

    Attributes
    ----------
    key : ColumnKey
    encoder : transformer or None
        None: the cells are the values.
    from_table : bool
        Whether the columns are those of a table of items.
    values : csr_matrix, ndarray, or list of lists of str
        Those of the known items.
    """

    key: ColumnKey
    encoder: Any
    from_table: bool
    values: Any

    @classmethod
    def fit(cls, X, side, items, tables, key, *, name, encoder=None, tags=False):
        """Read a column for `items`; it is encoded by a clone of an encoder, or as tags."""
        source, index = find_source(X, tables, key)
        resolved = ColumnKey.resolve(source, key, name=name, source="X" if index is None else "item_table")
        if index is None:
            index, codes = IdIndex.from_values(side.read_ids(source))
            rows = np.unique(codes, return_index=True)[1][index.encode(items)]
            is_known = index.encode(items) >= 0
        else:
            rows = index.encode(items)
            is_known = rows >= 0
        encoder = clone(encoder) if encoder is not None else (_Tags() if tags else None)
        self = cls(resolved, encoder, source is not X, None)
        values = self._encode(take_rows(resolved.read(source), rows[is_known]), items[is_known], "fit_transform")
        return replace(self, values=self._spread(values, is_known))

    def _encode(self, cells, ids, method="transform"):
        if self.encoder is None:
            return [_members(cell) for cell in np.asarray(cells, dtype=object).reshape(len(ids), -1)[:, 0]]
        return encode_table(self.encoder, method, cells, "item", ids)

    def _spread(self, values, is_known):
        """Values of all items, empty where nothing is known."""
        if self.encoder is None:
            found = iter(values)
            return [next(found) if known else [] for known in is_known]
        if is_known.all():
            return values
        places = np.flatnonzero(is_known)
        shape = len(is_known), len(places)
        chosen = sparse.csr_matrix((np.ones(len(places)), (places, np.arange(len(places)))), shape)
        return chosen @ values

    def of_rows(self, table, rows, ids):
        """Values of new items, for rows of a table as a caller gave it (-1, or no table: nothing is known)."""
        has_column = table is not None and self.key.found_in(table) and (is_frame(table) or not self.from_table)
        is_known = rows >= 0 if has_column else np.zeros(len(ids), dtype=bool)
        if not is_known.any():
            return self._spread(self._nothing(), is_known)
        return self._spread(self._encode(take_rows(self.key.read(table), rows[is_known]), ids[is_known]), is_known)

    def _nothing(self):
        return [] if self.encoder is None else sparse.csr_matrix((0, self.values.shape[1]))

    def joined(self, values):
        """All values, those of further items last."""
        return [*self.values, *values] if self.encoder is None else stack([self.values, values])

    def take(self, values, positions):
        """Select values of items."""
        return [values[position] for position in positions] if self.encoder is None else values[positions]


def unit_length(features):
    """Rows of unit length, rows of zeros as they are."""
    return normalize(features.tocsr() if sparse.issparse(features) else features)


def shares_of(features):
    """Rows of sum 1, as a CSR matrix."""
    features = sparse.csr_matrix(features, dtype=np.float64)
    if features.nnz and features.data.min() < 0:
        raise ValueError(
            'method="calibrated" needs shares of categories, but the encoded features have negative values: name '
            "columns of categories or tags, or use an encoder whose values are not negative"
        )
    return normalize(features, norm="l1")


def limits_of(columns, most):
    """Make `Limits` of the values of several columns, lists of lists of str, and the numbers that each allows."""
    codes, rows = {}, []
    for number, values in enumerate(columns):
        rows.append([[codes.setdefault((number, value), len(codes)) for value in row] for row in values])
    merged = [[code for row in parts for code in row] for parts in zip(*rows, strict=True)]
    starts = np.concatenate([[0], np.cumsum([len(row) for row in merged])]).astype(np.int64)
    allowed = np.array([most[number] for number, _ in codes], dtype=np.int64)
    return Limits(starts, np.array([code for row in merged for code in row], dtype=np.int64), allowed)
