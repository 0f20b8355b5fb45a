"""Row chunks on plain Python threads: safe when several fits run at once, the same result for any thread count."""

import contextlib
import functools
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import joblib
import numpy as np

from skllmrec._typing import IntArray

# Cost of a chunk, in non-zeros: its data fit in a core's cache, and the work of the threads evens out. Chunks do not
# depend on the number of threads, so that matrix products inside of them round alike.
_CHUNK_COST = 2**16
_ROW_COST = 8  # of a row, in addition to its non-zeros


def count_threads() -> int:
    """Threads that this process may use.

    ``NUMBA_NUM_THREADS`` and ``OMP_NUM_THREADS`` are honoured (joblib's workers set them, so that processes times
    threads never exceeds the machine); without them, the CPUs available to the process.

    Returns
    -------
    int
        At least 1.
    """
    for name in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS"):
        value = os.environ.get(name, "")
        if value.isdigit() and int(value) > 0:
            return int(value)
    return joblib.cpu_count()


def split_rows(indptr: IntArray, n_chunks: int) -> list[tuple[int, int]]:
    """Cut the rows of a CSR matrix into contiguous chunks of about equal work.

    Parameters
    ----------
    indptr : ndarray of shape (n_rows + 1,)
    n_chunks : int

    Returns
    -------
    list of (int, int)
        Half-open row ranges, in order, none empty. A row costs its non-zeros plus a constant.
    """
    cost = indptr - indptr[0] + _ROW_COST * np.arange(len(indptr), dtype=np.int64)
    edges = np.unique(np.searchsorted(cost, np.linspace(0, cost[-1], n_chunks + 1)))
    return [(int(a), int(b)) for a, b in pairwise(edges)]


def even_chunks(n_rows: int, row_cost: int) -> list[tuple[int, int]]:
    """Cut rows of equal cost into contiguous chunks.

    Parameters
    ----------
    n_rows : int
    row_cost : int
        Cost of each row, in non-zeros.

    Returns
    -------
    list of (int, int)
        As from `split_rows` for a matrix with `row_cost` non-zeros in each row.
    """
    n_chunks = max(1, n_rows * (row_cost + _ROW_COST) // _CHUNK_COST)
    edges = np.unique(np.ceil(np.linspace(0, n_rows, n_chunks + 1)).astype(np.int64))
    return [(int(a), int(b)) for a, b in pairwise(edges)]


def map_rows(function: Callable[[int, int], object], indptr: IntArray, n_threads: int | None = None) -> None:
    """Call ``function(first, last)`` for row chunks that together cover all rows.

    Parameters
    ----------
    function : callable
        Handles the rows ``first <= row < last``; releases the GIL while it works; chunks do not share output.
    indptr : ndarray of shape (n_rows + 1,)
        Of the CSR matrix whose rows are handled.
    n_threads : int, default=None
        None: `count_threads`.
    """
    cost = int(indptr[-1] - indptr[0]) + _ROW_COST * (len(indptr) - 1)
    map_chunks(function, split_rows(indptr, max(1, cost // _CHUNK_COST)), n_threads)


def map_chunks(
    function: Callable[[int, int], object], chunks: list[tuple[int, int]], n_threads: int | None = None
) -> None:
    """Call ``function(first, last)`` for given row chunks.

    Parameters
    ----------
    function : callable
        As in `map_rows`.
    chunks : list of (int, int)
    n_threads : int, default=None
        None: `count_threads`.
    """
    n_threads = min(count_threads() if n_threads is None else n_threads, len(chunks))
    waiting: deque[tuple[int, int]] = deque(chunks)
    errors: list[BaseException] = []

    def work():
        try:
            while True:
                try:
                    first, last = waiting.popleft()
                except IndexError:
                    return
                function(first, last)
        except BaseException as error:
            waiting.clear()  # stops the other threads
            errors.append(error)

    helpers = [threading.Thread(target=work, daemon=True) for _ in range(n_threads - 1)]
    for helper in helpers:
        helper.start()
    work()  # the calling thread works too: a fit makes many such calls, and starting a thread costs time
    try:
        for helper in helpers:
            helper.join()
    finally:
        waiting.clear()  # if the wait was interrupted
    if errors:
        raise errors[0]


@functools.lru_cache(maxsize=1)
def _blas():
    import scipy.linalg  # noqa: F401 - loads its own BLAS, which is found only once it is loaded
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")


class _SerialBlas:
    """Counts the blocks that are active; the first one sets the limit, the last one restores the previous threads."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.n_blocks = 0
        self.limiter: Any = None

    @contextlib.contextmanager
    def __call__(self) -> Iterator[None]:
        with self.lock:
            self.n_blocks += 1
            if self.n_blocks == 1:
                self.limiter = _blas().limit(limits=1)
        try:
            yield
        finally:
            with self.lock:
                self.n_blocks -= 1
                if self.n_blocks == 0:
                    self.limiter.restore_original_limits()


serial_blas = _SerialBlas()
"""Context in which the BLAS behind numpy and scipy uses one thread: for small products, and those inside of `map_rows`.

On a loaded machine the threads of a small decomposition wait for each other much longer than they work. The limit holds
for the whole process; contexts in several threads may overlap.
"""
