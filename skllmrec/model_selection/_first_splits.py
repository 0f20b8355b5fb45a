"""A part of the folds of another splitter."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from skllmrec._typing import ArrayLike, IntArray, Rows


class FirstSplits:
    """Only the first folds of a splitter: fewer validation splits, of the same size.

    Parameters
    ----------
    splitter : splitter
    n_splits : int
        Number of folds.
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
