"""Questions of the next item: rows of X that hold a history, and the item that came after it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from skllmrec._ids import IdIndex, flatten, list_column
from skllmrec._typing import Array, Column, IntArray, Rows


@dataclass(frozen=True)
class Questions:
    """The histories of some rows.

    Parameters
    ----------
    lists : sequence of sequences of ids, of length n_rows
        Oldest first.
    ids : ndarray of shape (n_ids,)
        Those of all lists, one list after the other.
    owners : ndarray of shape (n_ids,), intp
        The row of each id.
    """

    lists: Sequence[Any]
    ids: Array
    owners: IntArray

    @classmethod
    def read(cls, X: Rows, key: Column) -> "Questions":
        """Read the column of the histories.

        Raises
        ------
        ValueError
            If there is no such column, or a history is missing, is no list or holds a missing id.
        TypeError
            If an id in it is neither a string nor a number.
        """
        lists = list_column(X, key, name="history")
        return cls(lists, *flatten(lists, f"history column {key!r}", len(lists), owner="row"))

    @property
    def are_asked(self) -> Array:
        """Which rows have a history, bool of shape (n_rows,)."""
        return np.bincount(self.owners, minlength=len(self.lists)) > 0

    def take(self, rows: IntArray) -> list[Any]:
        """Histories of some rows, as `recommend` takes them."""
        return [self.lists[row] for row in rows]

    def known_items(self, rows: IntArray, items: IdIndex) -> csr_array:
        """Mark which candidates are in the histories of some rows.

        Parameters
        ----------
        rows : ndarray of int of shape (n_asked,)
            Ascending.
        items : IdIndex
            Of the candidates.

        Returns
        -------
        csr_array of bool of shape (n_asked, n_items)
        """
        places = np.full(len(self.lists), -1, dtype=np.intp)
        places[rows] = np.arange(len(rows))
        codes, owners = items.encode(self.ids), places[self.owners]
        kept = (codes >= 0) & (owners >= 0)
        marks = np.ones(np.count_nonzero(kept), dtype=bool)
        known = csr_array((marks, (owners[kept], codes[kept])), shape=(len(rows), len(items)))
        known.sum_duplicates()
        return known

    def count_repeated(self, item_ids: Array) -> int:
        """Count the rows whose item is in their own history; `item_ids` has the item of each row."""
        index, codes = IdIndex.from_values(self.ids)
        return len(np.unique(self.owners[codes == index.encode(item_ids)[self.owners]])) if len(codes) else 0
