"""Compiled loops of the top-k selection; imported on first use, since numba takes half a second."""

import numpy as np
from numba import njit

_TILE = 64  # a compile-time length, so that the maximum of a tile is a few vector instructions


@njit(nogil=True, cache=True)
def _worse(score, position, other_score, other_position):
    return score < other_score or (score == other_score and position > other_position)


@njit(nogil=True, cache=True)
def _sift_down(scores, positions, start, size):
    """Restore the heap, whose root is the worst entry, after its entry `start` was replaced."""
    root = start
    while True:
        child = 2 * root + 1
        if child >= size:
            return
        if child + 1 < size and _worse(scores[child + 1], positions[child + 1], scores[child], positions[child]):
            child += 1
        if not _worse(scores[child], positions[child], scores[root], positions[root]):
            return
        scores[root], scores[child] = scores[child], scores[root]
        positions[root], positions[child] = positions[child], positions[root]
        root = child


@njit(nogil=True, cache=True)
def _sort_heap(scores, positions):
    """Turn the heap into a list, best first."""
    for size in range(len(scores) - 1, 0, -1):
        scores[0], scores[size] = scores[size], scores[0]
        positions[0], positions[size] = positions[size], positions[0]
        _sift_down(scores, positions, 0, size)


@njit(nogil=True, cache=True)
def _offer(row, first, last, best, positions):
    """Let the scores first..last of a row into the heap where they beat its worst entry."""
    for position in range(first, last):
        # strictly better: among equal scores the earlier position, already there, stays
        if row[position] > best[0]:
            best[0], positions[0] = row[position], position
            _sift_down(best, positions, 0, len(best))


@njit(nogil=True, cache=True)
def select_chunk(first, last, scores, seen_indptr, seen_indices, out_positions, out_scores):
    """Write the best unseen columns of the rows first..last; `scores` of seen columns become -inf."""
    n_columns = scores.shape[1]
    n_tiled = n_columns - n_columns % _TILE
    for u in range(first, last):
        row, best, positions = scores[u], out_scores[u], out_positions[u]
        for j in range(seen_indptr[u], seen_indptr[u + 1]):
            row[seen_indices[j]] = -np.inf
        best[:] = -np.inf
        positions[:] = -1
        for start in range(0, n_tiled, _TILE):
            highest = row[start]
            for j in range(_TILE):
                highest = max(highest, row[start + j])
            if highest > best[0]:
                _offer(row, start, start + _TILE, best, positions)
        _offer(row, n_tiled, n_columns, best, positions)
        _sort_heap(best, positions)
