"""FirstSplits: limits the number of splits of another splitter."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from skllmrec._typing import ArrayLike, IntArray, Rows


class FirstSplits:
    """The first splits of another splitter, to validate on fewer folds of the same size.

    Parameters
    ----------
    splitter : splitter
        The splitter whose splits are used.
    n_splits : int
        Number of splits.
    """

    def __init__(self, splitter: Any, n_splits: int) -> None:
        self.splitter = splitter
        self.n_splits = n_splits

    def split(self, X: Rows, y: ArrayLike | None = None, groups: Any = None) -> Iterator[tuple[IntArray, IntArray]]:
        """Yield the first pairs of (train, test)."""
        return islice(self.splitter.split(X, y, groups), self.n_splits)

    def get_n_splits(self, X: Rows = None, y: ArrayLike | None = None, groups: Any = None) -> int:
        """Return the number of splits."""
        return self.n_splits

    def __repr__(self) -> str:
        return f"FirstSplits({self.splitter!r}, {self.n_splits})"
