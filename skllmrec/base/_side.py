"""One side of the interactions, users or items: index of ids, feature columns, fitted encoder."""

from typing import Any

import numpy as np
from sklearn.base import clone

from skllmrec._foreign import as_table
from skllmrec._ids import IdIndex, join_ids, normalise_ids, shown
from skllmrec._sklearn import is_frame, take_rows
from skllmrec._typing import Array
from skllmrec.base._columns import ColumnKey, describe_missing
from skllmrec.base._encoding import encode_table, encodes_texts
from skllmrec.base._entities import Entities, concatenate
from skllmrec.base._matrices import check_is_not_tiny, stack
from skllmrec.exceptions import UnknownIdError


class Side:
    """The users or the items of a fitted recommender: index of ids, feature columns, fitted encoder.

    Parameters
    ----------
    name : {"user", "item"}
    id_key : ColumnKey
    feature_key : ColumnKey or None
    encoder : fitted transformer or None
    index : IdIndex
    plain_columns : tuple of str or int, or None
        Columns that rows without the features of this side may have: those of the X of fit where a table holds the
        features, else none. None where they are not recorded, as in files of version 0.1.0.
    """

    plain_columns = None

    def __init__(self, name, id_key, feature_key, encoder, index, plain_columns=None):
        self.name = name
        self.id_key = id_key
        self.feature_key = feature_key
        self.encoder = encoder
        self.index = index
        self.plain_columns = plain_columns

    def read_ids(self, X):
        """Ids of each row of X."""
        return normalise_ids(self.id_key.read(X), name=self.label)

    @property
    def label(self):
        """How error messages call the id column."""
        return self.id_key.label(self.name)

    def extend(self, ids, X):
        """Take in the unknown ones among the ids of the rows of X.

        Returns
        -------
        side : Side
            With the new ids appended.
        codes : ndarray of shape (n_samples,)
            Position of each row's id.
        features : ndarray, csr_matrix or None
            Encoded features of the new ids, shape (n_new, n_features).
        """
        index = self.index.extended(ids)
        codes = index.encode(ids)
        n_known, n_new = len(self.index), len(index) - len(self.index)
        if n_new == 0:
            return self, codes, None
        fresh = np.flatnonzero(codes >= n_known)
        features = self.encode(X, fresh[first_rows(codes[fresh] - n_known, n_new)])
        side = Side(self.name, self.id_key, self.feature_key, self.encoder, index, self.plain_columns)
        return side, codes, features

    def encode(self, X, rows):
        """Encode the features of some rows of X; None where the rows may be without the feature columns.

        Raises
        ------
        ValueError
            If X describes users or items, but lacks a feature column.
        """
        if self.feature_key is None or len(rows) == 0:
            return None
        if self.plain_columns and not is_frame(X):  # positions of the features are those in the table
            return None
        if not self.feature_key.found_in(X):
            self._check_plain(X, rows)
            return None
        table, ids = take_rows(self.feature_key.read(X), rows), take_rows(self.read_ids(X), rows)
        return encode_table(self.encoder, "transform", table, self.name, ids)

    def _check_plain(self, X, rows):
        """Raise an error unless rows without the feature columns are legal."""
        key = self.feature_key
        if self.plain_columns is None:
            return
        if key.names is None or not is_frame(X):
            lack = f"lack column {int(key.positions.max())}: they have {X.shape[1]} columns"
        elif self.plain_columns and set(self.plain_columns) >= set(X.columns):
            return
        else:
            lack = f"are in a frame that {describe_missing(key.names, X)}: its columns are {list(X.columns)}"
        example = shown(self.read_ids(X)[rows[0]])
        raise ValueError(
            f"{self.name}_features: the rows of {len(rows)} new {self.name}s, e.g. {example}, {lack}. Add or rename "
            f"the columns, so that new {self.name}s are described; or pass ids alone, as a list, to have them "
            "without features"
        )

    def is_blank(self, entities: Entities) -> Array:
        """Which entities nothing is known of: new ids without features, or texts without a known word.

        Parameters
        ----------
        entities : Entities

        Returns
        -------
        ndarray of bool of shape (len(entities),)
        """
        new = entities.codes < 0
        if entities.features is None or entities.rows is None:
            return new
        blank = new & (entities.rows < 0)
        if encodes_texts(self.encoder):
            features: Any = entities.features
            is_zero = np.asarray(abs(features).sum(axis=1)).ravel() == 0
            blank |= new & is_zero[entities.rows]
        return blank

    def entities(self, ids, X=None, *, handle_unknown="prior"):
        """Look ids up; new ones are encoded from their first row of X where it has the feature columns.

        Raises
        ------
        UnknownIdError
            If an id is unknown and `handle_unknown="error"`.
        TypeError
            If the ids are strings where fit saw numbers, or the other way round.
        """
        self.index.check_kind(ids, name=f"{self.label}: the ids")
        codes = self.index.encode(ids)
        unknown = np.flatnonzero(codes < 0)
        if len(unknown) == 0:
            return Entities(ids, codes)
        if handle_unknown == "error":
            raise UnknownIdError(
                f"{self.label}: {self.name} {shown(ids[unknown[0]])} at position {unknown[0]} was not seen by fit "
                f"({len(unknown)} in total): remove them, or use handle_unknown='prior'"
            )
        if X is None:
            return Entities(ids, codes)
        distinct, place = IdIndex.from_values(ids[unknown])
        features = self.encode(X, unknown[first_rows(place, len(distinct))])
        if features is None:
            return Entities(ids, codes)
        rows = np.full(len(ids), -1, dtype=np.intp)
        rows[unknown] = place
        return Entities(ids, codes, features, rows)

    def described(self, features):
        """Entities without ids, known by their features alone.

        Parameters
        ----------
        features : array-like or dataframe, laid out like the feature columns of fit
            One row for each.

        Raises
        ------
        ValueError
            If fit saw no features of this side, or a column is missing.
        """
        if self.feature_key is None:
            raise ValueError(
                f"features of {self.name}s are given, but fit saw none: name their columns with {self.name}_features="
            )
        features = as_table(features, name="features")
        table = features if hasattr(features, "shape") else np.array(features, dtype=object)
        key = self.feature_key
        if is_frame(table) and key.names is not None:
            if not key.found_in(table):
                raise ValueError(
                    f"features: the frame {describe_missing(key.names, table)}; its columns are {list(table.columns)}"
                )
            table = key.read(table)
        elif len(table.shape) == 2 and table.shape[1] != len(key.positions):
            raise ValueError(
                f"features have {table.shape[1]} columns, but {self.name}_features selected {len(key.positions)} in fit"
            )
        positions = np.arange(len(table))
        matrix = encode_table(self.encoder, "transform", table, self.name, positions)
        return Entities(positions, np.full(len(positions), -1, dtype=np.intp), matrix, positions)

    def read(self, given, *, handle_unknown="prior", distinct=False):
        """Read what a caller names users or items by: ids, rows laid out like X, or a tuple of both.

        Parameters
        ----------
        given : array-like of ids, dataframe or 2-D array of rows, or tuple (ids, rows)
        handle_unknown : {"prior", "error"}
        distinct : bool
            Keep the first of equal ids only.

        Raises
        ------
        UnknownIdError
            If an id is unknown and `handle_unknown="error"`.
        """
        given = as_table(given, name=f"the argument that names {self.name}s")
        if isinstance(given, tuple) and len(given) == 2 and np.ndim(given[1]) == 2:
            known = self.read(given[0], handle_unknown="error", distinct=distinct)
            return concatenate(known, self.read(given[1], handle_unknown=handle_unknown, distinct=distinct))
        X = given if hasattr(given, "shape") else np.array(given, dtype=object)
        if len(X.shape) == 2:
            ids = self.read_ids(X)
        else:
            ids, X = normalise_ids(given, name=f"{self.name} ids"), None
        if distinct and len(ids):
            kept = _positions_of_distinct(ids)
            if len(kept) < len(ids):
                ids, X = ids[kept], None if X is None else take_rows(X, kept)
        return self.entities(ids, X, handle_unknown=handle_unknown)

    def ids_of(self, given):
        """Ids of what a caller names users or items by, as in `read`; features are not encoded."""
        given = as_table(given)
        if isinstance(given, tuple) and len(given) == 2 and np.ndim(given[1]) == 2:
            ids, later = self.ids_of(given[0]), self.ids_of(given[1])
            return np.concatenate([ids, later[IdIndex(ids).encode(later) < 0]])
        X = given if hasattr(given, "shape") else np.array(given, dtype=object)
        return self.read_ids(X) if len(X.shape) == 2 else normalise_ids(given, name=f"{self.name} ids")


def first_rows(codes, n):
    """Position of the first row of each code 0..n-1; every code must occur."""
    return np.unique(codes, return_index=True)[1][:n]


def _positions_of_distinct(ids):
    _, codes = IdIndex.from_values(ids)
    return np.sort(np.unique(codes, return_index=True)[1])


def fit_side(name, X, *, id_key, features, encoder, table, ids, targets):
    """Fit the encoder of one side on its ids that have interactions, and encode the rest of its catalogue.

    Parameters
    ----------
    name : {"user", "item"}
    X : dataframe or array
        Training rows.
    id_key : ColumnKey
    features : column key, callable or None
    encoder : transformer or None
        It is cloned.
    table : FeatureTable or None
        Where the features come from, instead of X.
    ids : tuple of (IdIndex, ndarray)
        The sorted ids with interactions, and the code of each row of X.
    targets : csr_matrix of shape (n_ids, n_others)
        Rows of the table, what its encoder may learn from.

    Returns
    -------
    side : Side
        Its index holds the ids with interactions first, then the rest of the table's.
    matrix : ndarray, csr_matrix or None
        Encoded features of every id of the index.

    Raises
    ------
    ValueError
        If there is an encoder without features, the columns do not exist, or the table lacks an id.
    """
    index, codes = ids
    if features is None:
        if encoder is not None:
            raise ValueError(f"{name}_encoder is given, but {name}_features is None: name the columns that it encodes")
        if table is not None:
            _check_kind_of_table(name, table, index)
            index = index.extended(table.index.ids)
        return Side(name, id_key, None, None, index), None
    plain_columns = () if table is None else tuple(X.columns if is_frame(X) else range(X.shape[1]))
    source = X if table is None else table.frame
    key = ColumnKey.resolve(source, features, name=f"{name}_features", source="X" if table is None else f"{name}_table")
    if table is None:
        rows = first_rows(codes, len(index))
    else:
        rows, index = _rows_of_table(name, table, index)
    trained = len(targets.indptr) - 1
    values = key.read(source)
    if encoder is None:
        matrix = encode_table(None, "transform", take_rows(values, rows), name, index.ids)
        check_is_not_tiny(matrix[:trained], name)
        return Side(name, id_key, key, None, index, plain_columns), matrix
    encoder = clone(encoder)
    known, rest = take_rows(values, rows[:trained]), take_rows(values, rows[trained:])
    known_ids, rest_ids = index.ids[:trained], index.ids[trained:]
    parts = [encode_table(encoder, "fit_transform", known, name, known_ids, targets)]
    check_is_not_tiny(parts[0], name)
    if len(rest_ids):
        parts.append(encode_table(encoder, "transform", rest, name, rest_ids))
    return Side(name, id_key, key, encoder, index, plain_columns), stack(parts)


def _check_kind_of_table(name, table, index):
    table.index.check_kind(index.ids, name=f"the {name} ids of X", known=f"{name}_table has")


def _rows_of_table(name, table, index):
    _check_kind_of_table(name, table, index)
    rows = table.index.encode(index.ids)
    absent = np.flatnonzero(rows < 0)
    if len(absent):
        raise ValueError(
            f"{name}_table lacks {len(absent)} of the {len(index)} {name}s of X, e.g. {shown(index.ids[absent[0]])}: "
            f"add a row for each, or remove their interactions"
        )
    rest = np.ones(len(table.index), dtype=bool)
    rest[rows] = False
    rest = np.flatnonzero(rest)
    rest = rest[np.argsort(table.index.ids[rest], kind="stable")]  # whatever the order of the table's rows
    return np.concatenate([rows, rest]), IdIndex(join_ids(index.ids, table.index.ids[rest], name=f"{name} ids"))
