"""Random batches of rows, in another order in each epoch."""

from collections.abc import Callable

import numpy as np

from skllmrec._typing import ArrayLike, IntArray


def index_batches(
    n_rows: int, batch_size: int, *, lengths: ArrayLike | None = None
) -> Callable[[np.random.Generator], list[IntArray]]:
    """Divide shuffled row numbers into batches, in another way in each epoch.

    Parameters
    ----------
    n_rows : int
        Rows of an epoch.
    batch_size : int
        Rows of a batch; the last batch may have fewer.
    lengths : array-like of shape (n_rows,), default=None
        Rows of similar length share a batch, which needs little padding then; the order of the batches stays random.

    Returns
    -------
    callable
        ``batches(rng)`` for `train`: a list of int64 arrays of row numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from skllmrec._training import index_batches
    >>> batches = index_batches(4, 2, lengths=[9, 1, 9, 1])
    >>> sorted(sorted(batch.tolist()) for batch in batches(np.random.default_rng(0)))
    [[0, 2], [1, 3]]
    """
    cuts = np.arange(batch_size, n_rows, batch_size)
    lengths = None if lengths is None else np.asarray(lengths)

    def batches(rng):
        order = rng.permutation(n_rows)
        if lengths is None:
            return np.split(order, cuts)
        order = order[np.argsort(lengths[order], kind="stable")]
        parts = np.split(order, cuts)
        return [parts[place] for place in rng.permutation(len(parts))]

    return batches
