"""Which columns of X hold the ids and the features, remembered by name and by position."""

from difflib import get_close_matches
from numbers import Integral

import numpy as np

from skllmrec._column_names import check_position_of_ids
from skllmrec._sklearn import column_positions, is_frame, take_columns
from skllmrec._typing import Rows


def describe_missing(wanted: list[str], X: Rows) -> str:
    """Name the columns that a frame lacks, and those of it that are spelled alike.

    Parameters
    ----------
    wanted : list of str
        Names of columns.
    X : dataframe

    Returns
    -------
    str
        E.g. "lacks 'title' (is 'Title' meant?)".
    """
    has = list(X.columns)
    by_folded = {str(label).casefold().strip(): label for label in has}
    parts = []
    for name in wanted:
        if name in has:
            continue
        close = get_close_matches(name.casefold().strip(), by_folded, n=1, cutoff=0.75)
        parts.append(f"{name!r} (is {by_folded[close[0]]!r} meant?)" if close else repr(name))
    return f"lacks {' and '.join(parts)}"


def _what_it_has(X, key, source):
    """Say which columns X has instead of those of a key."""
    if not is_frame(X):
        return f"it has {X.shape[1]} unnamed columns, give positions or pass a dataframe"
    columns = list(X.columns)
    has = f"its columns are {columns}, name some of them"
    absent = [
        part for part in (key if isinstance(key, list) else [key]) if isinstance(part, str) and part not in columns
    ]
    has += f"; it {describe_missing(absent, X)}" if absent else ""
    return has if source == "X" else f"{has} (X is the frame of {source} here)"


class ColumnKey:
    """A column key resolved on the X of `fit`, to be read from any later X.

    A frame with the same names is read by name, so that a frame with only some of the columns will do; anything
    else by position.

    Parameters
    ----------
    positions : ndarray of shape (n_columns,)
        Positions in the X of `fit`.
    names : list of str or None
        Names in the X of `fit`, where it had names.
    scalar : bool
        Whether one column was asked for as a scalar; it is then read one-dimensional.
    """

    def __init__(self, positions, names, scalar):
        self.positions = positions
        self.names = names
        self.scalar = scalar

    @classmethod
    def resolve(cls, X, key, *, name, source="X"):
        """Resolve a name, position, list, slice, mask or callable on X, which errors call `source`.

        Raises
        ------
        ValueError
            If X has no such column, or no column names at all, or a position of ids contradicts the names.
        """
        key = key(X) if callable(key) else key
        try:
            positions = column_positions(X, key)
        except (ValueError, IndexError, KeyError, TypeError) as error:
            has = _what_it_has(X, key, source)
            raise ValueError(f"{name}={key!r} does not select columns of X: {has}") from error
        if len(positions) == 0:
            raise ValueError(f"{name}={key!r} selects no column")
        if name in ("user", "item") and isinstance(key, Integral) and is_frame(X):
            check_position_of_ids(X.columns, int(key), name)
        names = [X.columns[position] for position in positions] if is_frame(X) else None
        if names is not None and not all(isinstance(label, str) for label in names):
            names = None  # scikit-learn takes a column key that is a number as a position
        return cls(positions, names, np.isscalar(key))

    def label(self, name):
        """How error messages call the first column."""
        return f"{name} column {self.names[0] if self.names else int(self.positions[0])!r}"

    def found_in(self, X):
        """Whether a later X holds all the columns."""
        if self.names is not None and is_frame(X):
            return set(self.names) <= set(X.columns)
        return self.positions.max() < X.shape[1]

    def read(self, X):
        """Return the columns of a later X, as it comes: Series, frame or array.

        Raises
        ------
        ValueError
            If a column is missing.
        """
        if not self.found_in(X):
            if self.names is not None and is_frame(X):
                raise ValueError(
                    f"columns {self.names} are needed here, but X has {list(X.columns)}: it "
                    f"{describe_missing(self.names, X)}"
                )
            has = list(X.columns) if is_frame(X) else f"{X.shape[1]} unnamed columns"
            raise ValueError(f"columns {self.positions.tolist()} are needed here, but X has {has}")
        by_name = self.names is not None and is_frame(X)
        keys = self.names if by_name else self.positions.tolist()
        return take_columns(X, keys[0] if self.scalar else keys)
