"""Compiled loops of the top-k selection; imported on first use, since numba takes half a second."""

from typing import Any

from numba import njit

from skllmrec._kernels.compiled import INLINED, LOOP
from skllmrec._typing import FloatArray, IntArray

# Any order of summation is allowed, so that a sum takes a few vector instructions. The order depends only on the
# length, so that the score of a user and an item does not depend on the others that are scored in the same call.
_SUM: dict[str, Any] = {"fastmath": {"reassoc", "contract", "nsz"}}
_TILE = 64  # a compile-time length, so that comparing a tile with a threshold is a few vector instructions


@njit(**INLINED)
def _worse(score, position, other_score, other_position):
    return score < other_score or (score == other_score and position > other_position)


@njit(**INLINED)
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


@njit(**INLINED)
def _contains(ascending, first, last, value):
    """Whether a value is among ``ascending[first:last]``."""
    while first < last:
        middle = (first + last) // 2
        if ascending[middle] < value:
            first = middle + 1
        elif ascending[middle] > value:
            last = middle
        else:
            return True
    return False


@njit(**INLINED)
def _offer(row, first, last, items, seen_indices, seen_first, seen_last, best, positions):
    """Insert the scores first..last of a row into the heap where they exceed its worst entry and were not seen."""
    for j in range(first, last):
        if row[j] >= best[0]:  # rare from here on
            item = items[j]
            if (row[j] > best[0] or item < positions[0]) and not _contains(seen_indices, seen_first, seen_last, item):
                best[0], positions[0] = row[j], item
                _sift_down(best, positions, 0, len(best))


@njit(**LOOP)
def offer_scores(
    scores: FloatArray,
    users: IntArray,
    items: IntArray,
    seen_indptr: IntArray,
    seen_indices: IntArray,
    best: FloatArray,
    positions: IntArray,
) -> None:
    """Insert ``scores[row, j]``, of ``users[row]`` and ``items[j]``, into the users' heaps of the best unseen items.

    A heap is a row of `best` and of `positions`; it starts as -inf and -1.
    """
    n = scores.shape[1]
    n_tiled = n - n % _TILE
    for line in range(len(users)):
        u, row = users[line], scores[line]
        heap, places, seen_first, seen_last = best[u], positions[u], seen_indptr[u], seen_indptr[u + 1]
        for start in range(0, n_tiled, _TILE):
            threshold, n_above = heap[0], 0
            for j in range(_TILE):
                n_above += row[start + j] >= threshold
            if n_above:
                _offer(row, start, start + _TILE, items, seen_indices, seen_first, seen_last, heap, places)
        _offer(row, n_tiled, n, items, seen_indices, seen_first, seen_last, heap, places)


@njit(**LOOP)
def sort_heaps(first: int, last: int, best: FloatArray, positions: IntArray) -> None:
    """Turn the heaps first..last into lists, best first."""
    for u in range(first, last):
        heap, places = best[u], positions[u]
        for size in range(len(heap) - 1, 0, -1):
            heap[0], heap[size] = heap[size], heap[0]
            places[0], places[size] = places[size], places[0]
            _sift_down(heap, places, 0, size)


@njit(**LOOP)
def keep_hopeful(
    users: IntArray, n_users: int, shift: FloatArray, reach: FloatArray, highest_norm: float, best: FloatArray
) -> int:
    """Keep those of the first `n_users` users whose k-th score an item of that norm could reach; return their number.

    No item's score is above ``shift + reach * norm``.
    """
    n_kept = 0
    for line in range(n_users):
        u = users[line]
        if shift[u] + reach[u] * highest_norm >= best[u, 0]:
            users[n_kept] = u
            n_kept += 1
    return n_kept


@njit(**INLINED, **_SUM)
def _dot(one, other):
    total = one[0] * other[0]
    for column in range(1, len(one)):
        total += one[column] * other[column]
    return total


@njit(**INLINED)
def _enter(user, vectors, item, seen_indices, first, last, heap, places):
    """Insert an item into a user's heap by its inner product, if it is better than the worst entry and was not seen."""
    score = _dot(user, vectors[item])
    is_better = score > heap[0] or (score == heap[0] and item < places[0])
    if is_better and not _contains(seen_indices, first, last, item):
        heap[0], places[0] = score, item
        _sift_down(heap, places, 0, len(heap))


@njit(**LOOP)
def offer_products(
    products: FloatArray,
    users: IntArray,
    items: IntArray,
    user_vectors: FloatArray,
    vectors: FloatArray,
    shift: FloatArray,
    seen_indptr: IntArray,
    seen_indices: IntArray,
    best: FloatArray,
    positions: IntArray,
) -> None:
    """Insert the items whose inner product may be among the users' best into their heaps.

    ``products[row, j]``, of ``users[row]`` and ``items[j]``, comes from a matrix product, whose rounding depends on the
    shape of the block and on the place in it. So it only says which items are worth a look: no score is above
    ``shift + product``. The scores themselves are inner products of the vectors, pair by pair.
    """
    n = products.shape[1]
    for line in range(len(users)):
        u, row = users[line], products[line]
        user, heap, places = user_vectors[u], best[u], positions[u]
        first, last = seen_indptr[u], seen_indptr[u + 1]
        threshold = heap[0] - shift[u]
        for start in range(0, n, _TILE):
            stop, n_above = min(start + _TILE, n), 0
            if stop == start + _TILE:
                for j in range(_TILE):
                    n_above += row[start + j] >= threshold
                if n_above == 0:
                    continue
            for j in range(start, stop):
                if row[j] >= threshold:
                    _enter(user, vectors, items[j], seen_indices, first, last, heap, places)
                    threshold = heap[0] - shift[u]


@njit(**LOOP)
def scan_items(
    user_vectors: FloatArray,
    vectors: FloatArray,
    scanned_users: FloatArray,
    scanned: FloatArray,
    items: IntArray,
    edges: IntArray,
    norms: FloatArray,
    shift: FloatArray,
    reach: FloatArray,
    seen_indptr: IntArray,
    seen_indices: IntArray,
    best: FloatArray,
    positions: IntArray,
) -> None:
    """Insert the inner products with all vectors into the users' heaps, tile by tile, as long as they can enter.

    Tile t is ``scanned[edges[t] : edges[t + 1]]``, of ``items[...]``, with norms of at most ``norms[t]``, falling; it
    holds some columns of `vectors`. No score is above ``shift + product of the scanned columns``, nor above ``shift +
    reach * norm``. The heaps are as for `offer_scores`.
    """
    for u in range(len(user_vectors)):
        user, part, heap, places = user_vectors[u], scanned_users[u], best[u], positions[u]
        first, last = seen_indptr[u], seen_indptr[u + 1]
        for tile in range(len(norms)):
            if shift[u] + reach[u] * norms[tile] < heap[0]:
                break
            threshold = heap[0] - shift[u]
            for j in range(edges[tile], edges[tile + 1]):
                if _dot(part, scanned[j]) >= threshold:
                    _enter(user, vectors, items[j], seen_indices, first, last, heap, places)
                    threshold = heap[0] - shift[u]


@njit(**LOOP, **_SUM)
def inner_products(user_vectors: FloatArray, tiles: FloatArray, products: FloatArray) -> None:
    """Compute inner products in one order of summation, so that they do not depend on the others of the call.

    ``products[u, t]`` are those of a user with the items of tile t, ``tiles[t]`` of shape (d, width).
    """
    for tile in range(len(tiles)):
        vectors = tiles[tile]
        for u in range(len(user_vectors)):
            user, sums = user_vectors[u], products[u, tile]
            sums[:] = 0.0
            n_fours = len(user) - len(user) % 4
            for column in range(0, n_fours, 4):  # sums are read and written once for four products
                a, b, c, d = user[column], user[column + 1], user[column + 2], user[column + 3]
                for j in range(_TILE):
                    sums[j] += (
                        a * vectors[column, j]
                        + b * vectors[column + 1, j]
                        + c * vectors[column + 2, j]
                        + d * vectors[column + 3, j]
                    )
            for column in range(n_fours, len(user)):
                for j in range(_TILE):
                    sums[j] += user[column] * vectors[column, j]


@njit(**LOOP)
def score_again(
    first: int, last: int, user_vectors: FloatArray, vectors: FloatArray, best: FloatArray, positions: IntArray
) -> None:
    """Replace the scores of the lists first..last by those of `scan_items`, and restore their order.

    Matrix products round a score differently from one shape of the block to another.
    """
    for u in range(first, last):
        scores, places = best[u], positions[u]
        for rank in range(len(scores)):
            place = places[rank]
            if place < 0:
                break
            score, before = _dot(user_vectors[u], vectors[place]), rank - 1
            while before >= 0 and _worse(scores[before], places[before], score, place):
                scores[before + 1], places[before + 1] = scores[before], places[before]
                before -= 1
            scores[before + 1], places[before + 1] = score, place
