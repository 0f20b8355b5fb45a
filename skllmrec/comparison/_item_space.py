"""The space in which the diversity of lists is measured."""

from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from skllmrec._sklearn import take_columns
from skllmrec._typing import Array, Matrix
from skllmrec.base import FeatureTable
from skllmrec.metrics._tables import rows_of
from skllmrec.preprocessing import TextAnalyzer


class ItemSpace:
    """Vectors of items for measuring diversity, from a table: numbers as they are, text as TF-IDF.

    Parameters
    ----------
    table : FeatureTable
        Every item; all columns but its key are used.
    """

    def __init__(self, table: FeatureTable) -> None:
        columns = [name for name in table.frame.columns if name != table.key]
        if not columns:
            raise ValueError(f"item_vectors={table!r} has no column beside its key: add the ones that tell items apart")
        values = [np.asarray(take_columns(table.frame, name)) for name in columns]
        self.index = table.index
        if all(column.dtype.kind in "biuf" for column in values):
            self.name = f"the space of {', '.join(columns)}"
            self.vectors = np.column_stack(values).astype(np.float64)
            return
        self.name = f"TF-IDF of {', '.join(columns)}"
        texts = [" ".join(_text(value) for value in row) for row in zip(*values, strict=True)]
        self.vectors = TfidfVectorizer(analyzer=TextAnalyzer()).fit_transform(texts)

    def rows(self, items: Array) -> Matrix:
        """Vectors of some items, an array or csr_matrix of shape (n_items, n_features).

        Raises
        ------
        ValueError
            If the table lacks an item.
        """
        return self.vectors[rows_of(self, items, "item_vectors")]


def _text(value: Any) -> str:
    return "" if value is None or value != value else str(value)
