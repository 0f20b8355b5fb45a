"""Exact top-k of blocks of scores, seen columns left out, equal scores by position."""

import numpy as np

from skllmrec._kernels.threads import map_rows

_BLOCK_SCORES = 2**21  # scores in flight of `topk_factors`


def topk_dense(scores, k, seen):
    """Select the k highest unseen scores of each row.

    Parameters
    ----------
    scores : ndarray of shape (n_rows, n_columns), float32 or float64
        Finite; overwritten where it is writable and contiguous, so hand over what is not needed any more.
    k : int
        At most n_columns.
    seen : csr_matrix of shape (n_rows, n_columns)
        The stored entries are left out.

    Returns
    -------
    positions : ndarray of shape (n_rows, k), intp
        Best first, equal scores by position; -1 where a row has fewer unseen columns.
    scores : ndarray of shape (n_rows, k)
        -inf where the position is -1.
    """
    from skllmrec._kernels import topk_loops  # compiled on first use

    scores = np.require(scores, requirements=["C", "W"])
    positions = np.empty((len(scores), k), dtype=np.intp)
    best = np.empty((len(scores), k), dtype=scores.dtype)
    indptr, indices = seen.indptr.astype(np.int64, copy=False), seen.indices.astype(np.int64, copy=False)

    def select(first, last):
        topk_loops.select_chunk(first, last, scores, indptr, indices, positions, best)

    map_rows(select, np.arange(len(scores) + 1, dtype=np.int64) * scores.shape[1])
    return positions, best


def topk_factors(user_vectors, item_vectors, k, seen):
    """Select the k unseen items with the highest inner products, a block of users at a time.

    Parameters
    ----------
    user_vectors : ndarray of shape (n_users, d)
    item_vectors : ndarray of shape (n_items, d)
    k : int
        At most n_items.
    seen : csr_matrix of shape (n_users, n_items)
        The stored entries are left out.

    Returns
    -------
    positions : ndarray of shape (n_users, k), intp
    scores : ndarray of shape (n_users, k)
        As from `topk_dense`.
    """
    n_users, size = len(user_vectors), max(1, _BLOCK_SCORES // len(item_vectors))
    columns = np.ascontiguousarray(item_vectors.T)
    blocks = [
        topk_dense(user_vectors[start : start + size] @ columns, k, seen[start : start + size])
        for start in range(0, n_users, size)
    ]
    positions, scores = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    return positions, scores
