"""A table of every user or item, those without interactions included."""

import numpy as np

from skllmrec._ids import IdIndex, column, shown
from skllmrec._sklearn import is_frame
from skllmrec._typing import Column, Frame


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
    >>> from skllmrec.base import FeatureTable
    >>> FeatureTable(pd.DataFrame({"item_id": [7, 9], "title": ["Alien", "Heat"]}), key="item_id")
    FeatureTable(2 rows, key='item_id', columns=['item_id', 'title'])
    """

    __slots__ = ("_ids", "frame", "key")

    def __init__(self, frame: Frame, *, key: Column) -> None:
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
