"""Exact top-k of scores or of inner products without the seen columns; equal scores are ordered by position."""

from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from scipy import sparse

from skllmrec._kernels.threads import map_chunks, map_rows, serial_blas
from skllmrec._typing import Array, CsrMatrix, FloatArray, IntArray

_Lists: TypeAlias = tuple[IntArray, FloatArray]  # positions and scores, each of shape (n_rows, k)

TILE = 64  # items of a tile of `ProductTiles`, as the loops count them
_USERS_PER_TILE = 64  # that are multiplied with a tile while it is in a core's cache
_FEW_USERS = 8  # up to so many, one pass over the vectors takes less time than many small matrix products
_CHUNK_USERS = 2048  # handled by one thread at a time, together
_BLOCK_USERS = 512  # of one matrix product, whose scores stay in a core's cache
_FIRST_TILE, _LAST_TILE = (
    256,
    1024,
)  # items of one matrix product: few at first, so that users whose lists are complete are dropped early


class ItemVectors:
    """Vectors of items, prepared for `topk_factors` on first use; they must not be changed afterwards.

    Parameters
    ----------
    vectors : ndarray of shape (n_items, d)
    """

    def __init__(self, vectors: Array) -> None:
        self.vectors, self._was_scanned = _as_floats(vectors), False

    def __len__(self) -> int:
        return len(self.vectors)

    @cached_property
    def constant(self) -> Array:
        """Columns that are the same for all items, such as ones beside biases: they do not change the order."""
        return (self.vectors == self.vectors[:1]).all(axis=0)

    @cached_property
    def varying(self) -> Array:
        """Columns that differ between items, at least one."""
        return ~self.constant if not self.constant.all() else np.ones(len(self.constant), dtype=bool)

    @cached_property
    def _longest(self):
        return _norms(self.vectors).max(initial=0)

    @cached_property
    def by_norm(self) -> tuple[IntArray, FloatArray, list[tuple[int, int, float]]]:
        """Order of the items by falling norm, their vectors in that order, and tiles, without the constant columns.

        A tile consists of its first item, the item after its last one, and its highest norm.
        """
        varying = np.ascontiguousarray(self.vectors[:, self.varying])
        norms = _norms(varying)
        order = np.argsort(-norms, kind="stable")
        edges, width = [0], _FIRST_TILE
        while edges[-1] < len(order):
            edges.append(min(edges[-1] + width, len(order)))
            width = min(edges[-1], _LAST_TILE)
        tiles = [(first, last, norms[order[first]]) for first, last in pairwise(edges)]
        return order, varying[order], tiles

    @cached_property
    def _scan_order(self):
        """Positions, tile edges and highest norms for `loops.scan_items`, of vectors sorted by norm."""
        order, vectors, tiles = self.by_norm
        edges = np.array([*(first for first, _, _ in tiles), len(order)], dtype=np.int64)
        return vectors, order, edges, np.array([highest for _, _, highest in tiles], dtype=np.float64)

    def scan_order(self) -> tuple[FloatArray, IntArray, IntArray, FloatArray]:
        """Vectors, their positions, edges of tiles and highest norms, as `loops.scan_items` takes them.

        The first scan takes the vectors as they are, since sorting them takes as long as many scans.
        """
        if self._was_scanned or "by_norm" in vars(self):
            return self._scan_order
        self._was_scanned = True
        return self.vectors, np.arange(len(self)), np.array([0, len(self)]), np.array([np.inf])

    def bounds(self, user_vectors: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Shift and reach of each user, for scores whatever their rounding.

        No score of an item is above the shift and the product of its varying columns, and so none of an item of norm n
        is above ``shift + reach n``.
        """
        constant, vectors = self.constant, self.vectors
        precision = np.finfo(np.result_type(user_vectors, vectors)).eps
        room = 8 * vectors.shape[1] * precision * _norms(user_vectors) * self._longest
        shift = user_vectors[:, constant].astype(np.float64) @ vectors[0, constant].astype(np.float64)
        # in the type of the products, which are compared with it by many at a time; rounded upwards
        dtype = np.result_type(user_vectors, vectors)
        return np.nextafter((shift + room).astype(dtype), dtype.type(np.inf)), _norms(user_vectors[:, ~constant])


def _as_floats(vectors):
    vectors = np.ascontiguousarray(vectors)
    return vectors if vectors.dtype in (np.float32, np.float64) else vectors.astype(np.float64)


def _norms(vectors):
    return np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))


def _sorted_rows(seen):
    """Row starts and columns of what was seen, ascending in each row."""
    seen = seen if seen.has_sorted_indices else seen.sorted_indices()
    return seen.indptr.astype(np.int64, copy=False), seen.indices.astype(np.int64, copy=False)


def _empty_lists(n_rows, k, dtype):
    return np.full((n_rows, k), -1, dtype=np.intp), np.full((n_rows, k), -np.inf, dtype=dtype)


def topk_dense(scores: FloatArray, k: int, seen: CsrMatrix) -> _Lists:
    """Select the k highest unseen scores of each row.

    Parameters
    ----------
    scores : ndarray of shape (n_rows, n_columns), float32 or float64
        Finite.
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
    from skllmrec._kernels.topk import loops  # compiled on first use

    scores = np.ascontiguousarray(scores)
    rows, columns = np.arange(len(scores)), np.arange(scores.shape[1])
    (indptr, indices), (positions, best) = _sorted_rows(seen), _empty_lists(len(scores), k, scores.dtype)

    def select(first, last):
        loops.offer_scores(scores[first:last], rows[first:last], columns, indptr, indices, best, positions)
        loops.sort_heaps(first, last, best, positions)

    map_rows(select, np.arange(len(scores) + 1) * (scores.shape[1] // 64))
    return positions, best


def topk_factors(user_vectors: Array, item_vectors: Array | ItemVectors, k: int, seen: CsrMatrix) -> _Lists:
    """Select the k unseen items with the highest inner products.

    Items are taken in the order of their norms, some hundred at a time. As soon as the product of the norms of a user
    and of the next item is below the user's k-th score, no later item can enter the list of the user.
    Columns that are the same for all items are left out of the norms, and added. A score is summed pair by pair, the
    same way in every call: lists and scores of a user do not depend on the other users, and equal vectors have equal
    scores.

    Parameters
    ----------
    user_vectors : ndarray of shape (n_users, d)
    item_vectors : ndarray of shape (n_items, d), or ItemVectors
        `ItemVectors` is prepared once for several calls.
    k : int
        At most n_items.
    seen : csr_matrix of shape (n_users, n_items)
        The stored entries are left out.

    Returns
    -------
    positions : ndarray of shape (n_users, k), intp
    scores : ndarray of shape (n_users, k)
        As from `topk_dense`.

    References
    ----------
    .. [1] Teflioudi, Gemulla, Mykytiuk, "LEMP: Fast retrieval of large entries in a matrix product", SIGMOD 2015.
    """
    from skllmrec._kernels.topk import loops

    items = item_vectors if isinstance(item_vectors, ItemVectors) else ItemVectors(item_vectors)
    user_vectors = _as_floats(user_vectors)
    dtype = np.result_type(user_vectors, items.vectors)
    (indptr, indices), (positions, best) = _sorted_rows(seen), _empty_lists(len(user_vectors), k, dtype)
    if len(user_vectors) <= _FEW_USERS:
        _scan(user_vectors, items, indptr, indices, best, positions)
        return positions, best
    order, vectors, tiles = items.by_norm
    varying, (shift, reach) = np.ascontiguousarray(user_vectors[:, items.varying]), items.bounds(user_vectors)

    def select(first, last):
        users, n_users = np.arange(first, last), last - first
        for start, stop, highest in tiles:
            n_users = loops.keep_hopeful(users, n_users, shift, reach, highest, best)
            columns, places = vectors[start:stop].T, order[start:stop]
            for block in range(0, n_users, _BLOCK_USERS):
                rows = users[block : min(block + _BLOCK_USERS, n_users)]
                products = varying[rows] @ columns
                loops.offer_products(
                    products, rows, places, user_vectors, items.vectors, shift, indptr, indices, best, positions
                )
        loops.sort_heaps(first, last, best, positions)
        loops.score_again(first, last, user_vectors, items.vectors, best, positions)

    starts = range(0, len(user_vectors), _CHUNK_USERS)
    with serial_blas():
        map_chunks(select, [(start, min(start + _CHUNK_USERS, len(user_vectors))) for start in starts])
    return positions, best


def _scan(user_vectors, items, indptr, indices, best, positions):
    """Fill the lists of few users by one pass over the vectors."""
    from skllmrec._kernels.topk import loops

    vectors, order, edges, norms = items.scan_order()
    n_users = len(user_vectors)
    if np.isfinite(norms[0]):  # by norm, without the constant columns
        part, (shift, reach) = np.ascontiguousarray(user_vectors[:, items.varying]), items.bounds(user_vectors)
    else:
        part, shift, reach = user_vectors, np.zeros(n_users, dtype=best.dtype), np.ones(n_users)
    loops.scan_items(
        user_vectors,
        items.vectors,
        part,
        vectors,
        order,
        edges,
        norms,
        shift,
        reach,
        indptr,
        indices,
        best,
        positions,
    )
    loops.sort_heaps(0, n_users, best, positions)
    loops.score_again(0, n_users, user_vectors, items.vectors, best, positions)


class ProductTiles:
    """Vectors of items, laid out for inner products that do not depend on the others of a call.

    A matrix product rounds a score differently from one shape of the block to another, and from one place in the block
    to another: equal vectors would have different scores.

    Parameters
    ----------
    vectors : ndarray of shape (n_items, d)
    """

    def __init__(self, vectors: Array) -> None:
        vectors = _as_floats(vectors)
        self.n_items, d = vectors.shape
        n_tiles = -(-self.n_items // TILE)
        padded = np.zeros((n_tiles * TILE, d), dtype=vectors.dtype)
        padded[: self.n_items] = vectors
        self._tiles = np.ascontiguousarray(padded.reshape(n_tiles, TILE, d).transpose(0, 2, 1))

    def scores(self, user_vectors: Array) -> FloatArray:
        """Compute the inner products of users and all items.

        Parameters
        ----------
        user_vectors : ndarray of shape (n_users, d)

        Returns
        -------
        ndarray of shape (n_users, n_items)
        """
        from skllmrec._kernels.topk import loops

        user_vectors = _as_floats(user_vectors)
        shape = len(user_vectors), len(self._tiles), TILE
        products = np.empty(shape, dtype=np.result_type(user_vectors, self._tiles))

        def multiply(first, last):
            loops.inner_products(user_vectors[first:last], self._tiles, products[first:last])

        starts = range(0, len(user_vectors), _USERS_PER_TILE)
        map_chunks(multiply, [(start, min(start + _USERS_PER_TILE, len(user_vectors))) for start in starts])
        return products.reshape(len(user_vectors), -1)[:, : self.n_items]


def leave_out(excluded: CsrMatrix, columns: IntArray) -> CsrMatrix:
    """Exclude some columns in every row.

    Parameters
    ----------
    excluded : csr_matrix of shape (n_rows, n_columns)
    columns : ndarray of shape (n_left_out,), intp

    Returns
    -------
    csr_matrix of shape (n_rows, n_columns)
        Ones; an entry may be stored twice.
    """
    if len(columns) == 0:
        return excluded
    n_rows = excluded.shape[0]
    places = np.concatenate([excluded.indices, np.tile(columns, n_rows)])
    owners = np.concatenate(
        [np.repeat(np.arange(n_rows), np.diff(excluded.indptr)), np.repeat(np.arange(n_rows), len(columns))]
    )
    order = np.argsort(owners, kind="stable")
    indptr = excluded.indptr + len(columns) * np.arange(n_rows + 1)
    return sparse.csr_matrix((np.ones(len(places)), places[order], indptr), shape=excluded.shape)


def join_lists(lists: Sequence[_Lists], k: int) -> _Lists:
    """Join lists of different items, best first, into the k best of each row.

    Parameters
    ----------
    lists : list of (positions, scores), each of shape (n_rows, n_listed)
        The position -1 and the score -inf mark an empty place.
    k : int

    Returns
    -------
    positions : ndarray of shape (n_rows, k), intp
    scores : ndarray of shape (n_rows, k)
        As from `topk_dense`.

    Raises
    ------
    ValueError
        If the lists have fewer than k items.
    """
    positions, scores = (np.concatenate(part, axis=1) for part in zip(*lists, strict=True))
    if scores.shape[1] < k:
        raise ValueError(f"the lists hold {scores.shape[1]} items, {k} are asked for")
    order = np.lexsort((np.where(positions < 0, np.iinfo(np.intp).max, positions), -scores), axis=1)[:, :k]
    return np.take_along_axis(positions, order, axis=1), np.take_along_axis(scores, order, axis=1)
