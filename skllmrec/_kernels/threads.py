"""Row chunks on plain Python threads: safe when several fits run at once, the same result for any thread count."""

import os
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import joblib
import numpy as np

_SERIAL_COST = 20_000  # below this much work (non-zeros), starting threads costs more than it saves
_CHUNKS_PER_THREAD = 4  # uneven rows even out


def count_threads():
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


def split_rows(indptr, n_chunks):
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
    cost = indptr - indptr[0] + 8 * np.arange(len(indptr), dtype=np.int64)
    edges = np.unique(np.searchsorted(cost, np.linspace(0, cost[-1], n_chunks + 1)))
    return [(int(a), int(b)) for a, b in pairwise(edges)]


def map_rows(function, indptr, n_threads=None):
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
    n_threads = count_threads() if n_threads is None else n_threads
    if n_threads == 1 or indptr[-1] - indptr[0] < _SERIAL_COST:
        function(0, len(indptr) - 1)
        return
    chunks = split_rows(indptr, n_threads * _CHUNKS_PER_THREAD)
    with ThreadPoolExecutor(n_threads) as pool:
        for future in [pool.submit(function, *chunk) for chunk in chunks]:
            future.result()
