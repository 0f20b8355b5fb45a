"""A table of every user or item, those without interactions included."""

import numpy as np

from skllmrec._foreign import as_table
from skllmrec._ids import IdIndex, column, shown
from skllmrec._sklearn import is_frame
from skllmrec._typing import Column, Frame
from skllmrec.base._columns import describe_missing


class FeatureTable:
    """Users or items with their features, one row each, handed to `fit` beside the interactions.

    It is opaque on purpose: scikit-learn slices any argument whose length happens to equal the number of rows
    of X, so the table has no length.

    Parameters
    ----------
    frame : dataframe of shape (n_ids, n_columns)
        One row for each user or item (pandas, polars or any other frame that scikit-learn indexes).
    key : str
        The column that holds the ids.

    Raises
    ------
    TypeError
        If `frame` is not a dataframe.
    ValueError
        If the key is not a column, an id is missing, or an id appears twice.

    Examples
    --------
    >>> import pandas as pd
    >>> from skllmrec import FeatureTable
    >>> FeatureTable(pd.DataFrame({"item_id": [7, 9], "title": ["Alien", "Heat"]}), key="item_id")
    FeatureTable(2 rows, key='item_id', columns=['item_id', 'title'])
    """

    __slots__ = ("_ids", "frame", "key")

    def __init__(self, frame: Frame, *, key: Column) -> None:
        frame = as_table(frame, name="frame")
        if not is_frame(frame):
            raise TypeError(f"FeatureTable needs a dataframe, got {type(frame).__name__}")
        ids = column(frame, key, name="key")
        unique, first, counts = np.unique(ids, return_index=True, return_counts=True)
        if len(unique) < len(ids):
            twice = np.flatnonzero(counts > 1)
            example = ids[first[twice[0]]]
            raise ValueError(
                f"FeatureTable: {len(twice)} ids appear more than once in column {key!r}, e.g. {shown(example)} in "
                f"rows {np.flatnonzero(ids == example)[:5].tolist()}: keep one row for each id"
            )
        self.frame = frame
        self.key = key
        self._ids = IdIndex(ids)

    def __repr__(self):
        return f"FeatureTable({len(self._ids)} rows, key={self.key!r}, columns={list(self.frame.columns)})"

    @property
    def index(self) -> IdIndex:
        """Positions of the ids, an IdIndex."""
        return self._ids


def read_table(table: FeatureTable | Frame | None, key: str | None, *, name: str) -> FeatureTable | None:
    """Read the argument `user_table` or `item_table`: a FeatureTable, or a data frame whose key is known.

    Parameters
    ----------
    table : FeatureTable, dataframe or None
    key : str or None
        Name of the column of ids in X; None where it has no name.
    name : str
        Of the argument.

    Returns
    -------
    FeatureTable or None

    Raises
    ------
    TypeError
        If it is neither a FeatureTable nor a data frame with that column.
    """
    if table is None or isinstance(table, FeatureTable):
        return table
    frame: Frame = as_table(table, name=name)
    wanted = f"{name} must be a FeatureTable(frame, key=...), got {type(table).__name__}"
    if not is_frame(frame):
        raise TypeError(wanted)
    if key is None:
        raise TypeError(f"{wanted}: X names no column of ids that could be the key of a plain frame")
    if key not in list(frame.columns):
        raise TypeError(f"{wanted} that {describe_missing([key], frame)}; its columns are {list(frame.columns)}")
    return FeatureTable(frame, key=key)
