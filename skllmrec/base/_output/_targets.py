"""Where the vectors of a long encoding go: a new array, an array that is there, or a file that can be resumed."""

import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Self

import numpy as np

from skllmrec._typing import Array, FloatArray, Path
from skllmrec.base._output._file import VectorFile


class NewArray:
    """An array that grows with its rows.

    Parameters
    ----------
    n_inputs : int or None
        Rows it will have, where that is known.
    n_dims : int
        Length of a vector.

    Attributes
    ----------
    n_done : int
        Rows that were there before: none.
    """

    n_done = 0

    def __init__(self, n_inputs: int | None, n_dims: int) -> None:
        self._vectors = np.empty((n_inputs or 0, n_dims), dtype=np.float32)
        self._n_rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def unfinished(self, blocks: Iterable[Any]) -> Iterable[Any]:
        """Return all blocks."""
        return blocks

    def append(self, block: Any, vectors: FloatArray) -> None:
        """Store the vectors of the next block."""
        stop = self._n_rows + len(block)
        if stop > len(self._vectors):  # at least by half: a row is moved a few times at most
            self._resize(max(stop, len(self._vectors) * 3 // 2))
        self._vectors[self._n_rows : stop] = vectors
        self._n_rows = stop

    def result(self) -> FloatArray:
        """Return an array of shape (n_inputs, n_dims)."""
        if self._n_rows < len(self._vectors):
            self._resize(self._n_rows)
        return self._vectors

    def _resize(self, n_rows):
        # in place, where the system can: there is no other reference to the array
        self._vectors.resize((n_rows, self._vectors.shape[1]), refcheck=False)


class GivenArray:
    """Rows of an array of the caller's.

    Parameters
    ----------
    out : ndarray of shape (n_inputs, n_dims), dtype float32
        Filled block by block.
    n_inputs : int or None
        Number of inputs, where it is known.
    n_dims : int
        Length of a vector.
    kinds : str
        What the inputs are called in messages, e.g. ``"texts"``.

    Attributes
    ----------
    n_done : int
        Rows that were there before: none.

    Raises
    ------
    ValueError
        If `out` has another shape or dtype, or is read-only.
    """

    n_done = 0

    def __init__(self, out: Array, n_inputs: int | None, n_dims: int, kinds: str) -> None:
        shape = (len(out) if n_inputs is None and out.ndim else n_inputs), n_dims
        if out.shape != shape:
            rows = f"one row for each {kinds.removesuffix('s')}" if n_inputs is None else f"{n_inputs} {kinds}"
            raise ValueError(f"out has shape {out.shape}, but {rows} of {n_dims} dimensions need {shape}")
        if out.dtype != np.float32:
            raise ValueError(f"out has dtype {out.dtype}, but vectors are float32: make it with dtype=numpy.float32")
        if not out.flags.writeable:
            raise ValueError('out is read-only: open a memory map with mode "r+" or "w+"')
        self._out = out
        self._kinds = kinds
        self._n_rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def unfinished(self, blocks: Iterable[Any]) -> Iterator[Any]:
        """Yield all blocks, as long as there is room.

        Raises
        ------
        ValueError
            If there are more or fewer inputs than rows.
        """
        for block in blocks:
            if self._n_rows + len(block) > len(self._out):
                raise ValueError(
                    f"out has {len(self._out)} rows, and the iterator gives more {self._kinds}: the first "
                    f"{self._n_rows} rows are filled; make an array with a row for each {self._kinds.removesuffix('s')}"
                    ", or name a file, which grows"
                )
            yield block
        if self._n_rows < len(self._out):
            raise ValueError(
                f"out has {len(self._out)} rows, but the iterator gave only {self._n_rows} {self._kinds}: the rest is "
                "as it was"
            )

    def append(self, block: Any, vectors: FloatArray) -> None:
        """Fill the rows of the next block."""
        self._out[self._n_rows : self._n_rows + len(block)] = vectors
        self._n_rows += len(block)

    def result(self) -> FloatArray:
        """Return the array itself."""
        if isinstance(self._out, np.memmap):
            self._out.flush()
        return self._out


def open_target(
    out: Array | Path | None,
    *,
    kinds: str,
    n_inputs: int | None,
    n_dims: int,
    encoder: str,
    identity: Callable[[], dict[str, Any]],
) -> NewArray | GivenArray | VectorFile:
    """Return the target that `out` names.

    Parameters
    ----------
    out : None, ndarray, str or path-like
        As `BaseEncoder.transform` takes it.
    kinds : str
        What the inputs are called in messages, e.g. ``"texts"``.
    n_inputs : int or None
        Number of inputs, where it is known.
    n_dims : int
        Length of a vector.
    encoder : str
        Name of the encoder.
    identity : callable
        Returns all that a vector depends on besides its input; called for a file only.

    Returns
    -------
    NewArray, GivenArray or VectorFile
        A context manager with ``n_done`` (rows that are there), ``unfinished(blocks)``, ``append(block, vectors)``
        and ``result()``.

    Raises
    ------
    TypeError
        If `out` is something else.
    ValueError
        If it does not fit.
    """
    if out is None:
        return NewArray(n_inputs, n_dims)
    if isinstance(out, np.ndarray):
        return GivenArray(out, n_inputs, n_dims, kinds)
    if isinstance(out, (str, os.PathLike)):
        return VectorFile(out, encoder=encoder, identity=identity(), n_dims=n_dims, kinds=kinds)
    raise TypeError(f"out is None, a NumPy array or the path of a .npy file, but got {type(out).__name__}")
