"""One column of inputs of an encoder, from whatever container it comes in, as a whole or block by block."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from typing import Any, ClassVar

import numpy as np

from skllmrec._typing import Array, FloatArray, IntArray

_SLICE = 1 << 16  # rows of a container that are looked at together


def no_inputs(name: str, kind: str) -> ValueError:
    """Return the error for an input without rows."""
    return ValueError(f"Found no {kind}s (shape=(0,)) while a minimum of 1 is required by {name}.")


class FaultyInputsError(Exception):
    """Some inputs of a call of a job cannot be encoded, while others were. Internal: encoders raise `as_error()`.

    Parameters
    ----------
    faults : dict of int to callable
        Position in the call -> function of the row of the user's input, and of the rows of other inputs with a fault,
        that returns the error to raise.
    vectors : ndarray of shape (n_inputs, n_dims), dtype float32
        Of all inputs of the call; NaN where an input was not encoded.
    """

    def __init__(self, faults: Mapping[int, Callable[[int, list[int]], Exception]], vectors: FloatArray) -> None:
        super().__init__(f"{len(faults)} inputs cannot be encoded")
        self.faults = dict(faults)
        self.vectors = vectors

    @property
    def is_encoded(self) -> Array:
        """Which inputs of the call have a vector, shape (n_inputs,), dtype bool."""
        return np.asarray(np.isfinite(self.vectors).all(axis=1))

    def name_rows(self, rows: IntArray) -> None:
        """Put the row of the user's input in place of the position of each input with a fault.

        Parameters
        ----------
        rows : ndarray of int, shape (n_inputs,)
            Row of each input of the call.
        """
        self.faults = {int(rows[position]): fault for position, fault in self.faults.items()}

    def join(self, other: "FaultyInputsError") -> None:
        """Add the faults of an earlier call, both by row."""
        self.faults = {**other.faults, **self.faults}

    def as_error(self) -> Exception:
        """Return the error of the first row; it names the others."""
        first, *others = sorted(self.faults)
        return self.faults[first](first, others)


def _with_shape(rows):
    """Return a container that knows its number of rows: itself, or an array of it."""
    shape = getattr(rows, "shape", None)
    known = isinstance(shape, tuple) and shape and isinstance(shape[0], int)
    return rows if known else np.asarray(rows, dtype=object)


class Column:
    """A column in any container that can be sliced; values are made Python objects a slice at a time.

    Parameters
    ----------
    rows : list, tuple, ndarray, Series or one-column frame
        One input per row. Of an array of numbers with several dimensions, the rows are the inputs.
    name : str
        Of the encoder, as the subject of the error messages.
    kind : str
        What one input is called in messages, e.g. ``"image"``.

    Attributes
    ----------
    where : str
        Name of the column for a message, with a space before it; empty if it has none.

    Raises
    ------
    ValueError
        If it is no column: a single string, a container without order, several columns, or no rows.

    Examples
    --------
    >>> import numpy as np
    >>> from skllmrec._inputs import Column
    >>> [image.shape for image in Column(np.zeros((2, 8, 6), dtype=np.uint8), "ImageEncoder", "image")]
    [(8, 6), (8, 6)]
    """

    remedy_for_several: ClassVar[str] = "select one column"
    takes_stacks: ClassVar[bool] = True  # whether the rows of an array of numbers may be inputs

    def __init__(self, rows: Any, name: str, kind: str) -> None:
        self.name = name
        self.kind = kind
        self.where = ""
        self._rows = rows
        self._stacked = False
        if isinstance(rows, (list, tuple)):
            self._n_rows = len(rows)
        else:
            self._refuse_other_types()
            self._rows = _with_shape(rows)
            self._stacked = self.takes_stacks and self._is_stack()
            label = None if self._stacked else self._label()
            self._n_rows = self._rows.shape[0]
            self.where = "" if label is None else f" in column {label!r}"
        if self._n_rows == 0:
            raise no_inputs(name, kind)

    def __len__(self) -> int:
        return self._n_rows

    def __iter__(self) -> Iterator[Any]:
        for _, values in self.slices():
            yield from values

    def slices(self) -> Iterator[tuple[int, Any]]:
        """Yield the first position and the values of one slice after another."""
        for start in range(0, self._n_rows, _SLICE):
            yield start, self._read(start, start + _SLICE)

    def _refuse_other_types(self):
        """Raise for what has no order or no rows.

        Raises
        ------
        ValueError
            If it is a single string, or no array, Series or frame.
        """
        rows = self._rows
        if isinstance(rows, (str, bytes)):
            raise ValueError(
                f"{self.name} takes one {self.kind} per row, but got a single {type(rows).__name__} {rows[:40]!r}: "
                "put it in a list"
            )
        if rows is None or isinstance(rows, (Mapping, Set)) or not hasattr(rows, "__array__"):
            raise ValueError(
                f"{self.name} takes a list, array, Series, one-column frame or iterator of {self.kind}s, but got "
                f"{type(rows).__name__}: pass a sequence that has an order, e.g. list({self.kind}s)"
            )

    def _is_stack(self):
        return isinstance(self._rows, np.ndarray) and self._rows.ndim > 1 and self._rows.dtype.kind in "biufc"

    def _label(self):
        """Name of the only column, where it has one.

        Raises
        ------
        ValueError
            If there are several columns, or none.
        """
        rows = self._rows
        if len(rows.shape) == 1:
            return getattr(rows, "name", None)
        labels = list(rows.column_names if hasattr(type(rows), "column_names") else getattr(rows, "columns", ()))
        if len(rows.shape) == 2 and rows.shape[1] == 1:
            return labels[0] if labels else None
        columns = f" with columns {labels}" if labels else ""
        raise ValueError(
            f"{self.name} takes one column of {self.kind}s, but got shape {rows.shape}{columns}: "
            f"{self.remedy_for_several}"
        )

    def _read(self, start, stop):
        """Rows as a 1-D object array, or those of a stack as they are; they may share memory with the container."""
        rows = self._rows
        if isinstance(rows, (list, tuple)):
            # np.array would look into nested sequences; fromiter takes every element as it is
            return np.fromiter(rows[start:stop], dtype=object)
        if hasattr(rows, "iloc"):
            part = rows.iloc[start:stop]
        elif hasattr(rows, "slice"):
            part = rows.slice(start, min(stop, self._n_rows) - start)
        else:
            part = rows[start:stop]
        return part if self._stacked else np.asarray(part, dtype=object).reshape(-1)


def as_object_array(values: Iterable[Any], n_values: int) -> Array:
    """Return a 1-D array of objects that holds the values as they are, whatever they are."""
    return np.fromiter(values, dtype=object, count=n_values)


def cut_blocks(
    values: Iterable[Any], *, most: int, most_size: int, size_of: Callable[[Any], int]
) -> Iterator[list[Any]]:
    """Cut inputs into blocks of limited size.

    Parameters
    ----------
    values : iterable
        Any number of inputs.
    most : int
        Most inputs of a block.
    most_size : int
        Largest sum of their sizes; a larger input is a block of its own.
    size_of : callable
        Size of an input.

    Yields
    ------
    list
        Consecutive inputs. Where blocks end depends on the inputs alone.

    Examples
    --------
    >>> from skllmrec._inputs import cut_blocks
    >>> list(cut_blocks(["aa", "b", "cccc", "d", "e", "f"], most=2, most_size=3, size_of=len))
    [['aa', 'b'], ['cccc'], ['d', 'e'], ['f']]
    """
    block: list[Any] = []
    total = 0
    for value in values:
        size = size_of(value)
        if block and total + size > most_size:
            yield block
            block, total = [], 0
        block.append(value)
        total += size
        if len(block) == most:
            yield block
            block, total = [], 0
    if block:
        yield block
