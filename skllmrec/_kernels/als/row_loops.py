"""The compiled row loops of `row_solver`, which imports this file on first use, because it imports numba."""

from typing import Any

import numpy as np
from numba import njit

from skllmrec._kernels.als.vector_registers import (
    add,
    add_product,
    divide,
    load,
    load4,
    multiply,
    n_lanes,
    prefetch,
    spread,
    spread0,
    spread1,
    spread2,
    spread3,
    store,
    subtract,
    total,
    totals,
    zeros,
    zeros4,
)
from skllmrec._kernels.compiled import INLINED, LOOP
from skllmrec._typing import Array

# Sums may be reordered, so that they vectorise; infinities and NaN keep their meaning.
_SUMS: dict[str, Any] = {"fastmath": {"reassoc", "contract", "nsz", "arcp"}}
_TINY = 1e-30  # keeps the reciprocal of a zero finite, whose gradient is zero as well
_AHEAD = 16  # entries between the one that is read and the one that is prefetched


@njit(**INLINED, **_SUMS)
def _add_rows(rows, start, factors, out):
    """Add four rows, each times its number of the quad `factors`, to `out`; the first is at the offset `start`."""
    width = rows.shape[1]
    f0, f1, f2, f3 = spread0(factors), spread1(factors), spread2(factors), spread3(factors)
    for f in range(0, width, n_lanes(rows)):
        at = start + f
        even = add_product(multiply(f0, load(rows, at)), f2, load(rows, at + 2 * width))
        odd = add_product(multiply(f1, load(rows, at + width)), f3, load(rows, at + 3 * width))
        store(out, f, add(load(out, f), add(even, odd)))


@njit(**INLINED, **_SUMS)
def _read_numbers(first, last, n_padded, csr, targets, offsets, width, row_weights, row_targets, places):
    """Collect weights, targets and places in the factors of a row's entries; return ``sum w t^2``.

    All numbers of the row are read before any of its factors, so that loads of four numbers do not wait for preceding
    stores. Padding has weight zero; its place may be that of any entry.
    """
    _, indices, weights = csr
    n, energy = last - first, 0.0
    for j in range(n):
        item = np.int64(indices[first + j])
        weight, target = weights[first + j], targets[first + j] - offsets[item]
        row_weights[j], row_targets[j], places[j] = weight, target, item * width
        energy += weight * target**2
    for j in range(n, n_padded):
        row_weights[j], row_targets[j], places[j] = 0, 0, places[0]
    return energy


@njit(**INLINED, **_SUMS)
def _prefetch_factors(entry, stop, indices, factors):
    """Prefetch the factors of four entries."""
    width = factors.shape[1]
    for k in range(entry, entry + 4):
        place = np.int64(indices[min(k, stop - 1)]) * width
        for f in range(0, width, n_lanes(factors)):
            prefetch(factors, place + f)


@njit(**INLINED, **_SUMS)
def _gather(first, last, stop, csr, targets, offsets, factors, x, scratch, gradient, curvature):
    """Copy a row's factors into contiguous scratch, padded to a multiple of four.

    Adds ``sum_j w_j (t_j - x . q_j) q_j`` to `gradient` and ``sum_j w_j q_j^2`` to `curvature`. Returns the
    number of rows and ``sum_j w_j t_j^2``.
    """
    rows, row_weights, row_targets, places = scratch
    width, n_padded = rows.shape[1], (last - first + 3) // 4 * 4
    energy = _read_numbers(first, last, n_padded, csr, targets, offsets, width, row_weights, row_targets, places)
    for j in range(0, n_padded, 4):
        _prefetch_factors(first + j + _AHEAD, stop, csr[1], factors)
        p0, p1, p2, p3, start = places[j], places[j + 1], places[j + 2], places[j + 3], j * width
        weights = load4(row_weights, j)
        w0, w1, w2, w3 = spread0(weights), spread1(weights), spread2(weights), spread3(weights)
        s0, s1, s2, s3 = zeros(rows), zeros(rows), zeros(rows), zeros(rows)
        for f in range(0, width, n_lanes(rows)):
            q0, q1, q2, q3 = load(factors, p0 + f), load(factors, p1 + f), load(factors, p2 + f), load(factors, p3 + f)
            at, point = start + f, load(x, f)
            store(rows, at, q0)
            store(rows, at + width, q1)
            store(rows, at + 2 * width, q2)
            store(rows, at + 3 * width, q3)
            s0, s1 = add_product(s0, point, q0), add_product(s1, point, q1)
            s2, s3 = add_product(s2, point, q2), add_product(s3, point, q3)
            even = add_product(multiply(multiply(w0, q0), q0), multiply(w2, q2), q2)
            odd = add_product(multiply(multiply(w1, q1), q1), multiply(w3, q3), q3)
            store(curvature, f, add(load(curvature, f), add(even, odd)))
        residuals = subtract(load4(row_targets, j), totals(s0, s1, s2, s3))
        _add_rows(rows, start, multiply(weights, residuals), gradient)
    return n_padded, energy


@njit(**INLINED, **_SUMS)
def _add_image(rows, n_rows, weights, direction, image, whole):
    """Add ``sum_j w_j (q_j . direction) q_j`` to `image` if `whole`; return its product with the direction."""
    width, product = rows.shape[1], zeros4(rows)
    for j in range(0, n_rows, 4):
        start = j * width
        s0, s1, s2, s3 = zeros(rows), zeros(rows), zeros(rows), zeros(rows)
        for f in range(0, width, n_lanes(rows)):
            at, d = start + f, load(direction, f)
            s0, s1 = add_product(s0, d, load(rows, at)), add_product(s1, d, load(rows, at + width))
            s2, s3 = add_product(s2, d, load(rows, at + 2 * width)), add_product(s3, d, load(rows, at + 3 * width))
        scores = totals(s0, s1, s2, s3)
        weighted = multiply(load4(weights, j), scores)
        product = add_product(product, weighted, scores)
        if whole:
            _add_rows(rows, start, weighted, image)
    return total(product)


@njit(**INLINED, **_SUMS)
def _step_along(length, direction, image, inverse, gradient, x):
    """Step along the direction; return the new ``gradient . (inverse * gradient)``."""
    lengths, gain = spread(x.dtype.type(length)), zeros(x)
    for f in range(0, len(x), n_lanes(x)):
        store(x, f, add_product(load(x, f), lengths, load(direction, f)))
        g = subtract(load(gradient, f), multiply(lengths, load(image, f)))
        store(gradient, f, g)
        gain = add_product(gain, multiply(load(inverse, f), g), g)
    return total(gain)


@njit(**INLINED, **_SUMS)
def _update_direction(momentum, inverse, gradient, direction):
    """Make the next direction: the preconditioned gradient, plus `momentum` times the present direction."""
    momenta = spread(gradient.dtype.type(momentum))
    for f in range(0, len(gradient), n_lanes(gradient)):
        downhill = multiply(load(inverse, f), load(gradient, f))
        store(direction, f, add_product(downhill, momenta, load(direction, f)))


@njit(**INLINED, **_SUMS)
def _descend(rows, n_rows, weights, vectors, x, n_steps, stop):
    """Preconditioned conjugate gradients from `x`, whose gradient ``b - A x`` is given.

    `inverse` enters as the diagonal of A.
    """
    diagonal, inverse, gradient, direction, image = vectors
    product, lanes = zeros(x), n_lanes(x)
    one, tiny = spread(x.dtype.type(1)), spread(x.dtype.type(_TINY))
    for f in range(0, len(x), lanes):
        scale = divide(one, add(load(inverse, f), tiny))
        store(inverse, f, scale)
        g = load(gradient, f)
        downhill = multiply(scale, g)
        store(direction, f, downhill)
        product = add_product(product, downhill, g)
    gain = total(product)
    for step in range(n_steps):
        if gain <= stop:
            break
        product = zeros(x)
        for f in range(0, len(x), lanes):
            dense = multiply(load(diagonal, f), load(direction, f))
            store(image, f, dense)
            product = add_product(product, dense, load(direction, f))
        # the last step needs its length, but no gradient where it ends
        curvature = total(product) + _add_image(rows, n_rows, weights, direction, image, step < n_steps - 1)
        if curvature <= 0:
            break
        previous, gain = gain, _step_along(gain / curvature, direction, image, inverse, gradient, x)
        _update_direction(gain / previous, inverse, gradient, direction)


@njit(**INLINED, **_SUMS)
def _copy(source, x):
    for f in range(0, len(x), n_lanes(x)):
        store(x, f, load(source, f))


@njit(**INLINED, **_SUMS)
def _start(ridge, centre, gram, x, diagonal, curvature, gradient):
    """Set the diagonal of A and the gradient at `x` as far as they do not depend on the stored entries.

    Returns ``ridge |centre|^2``.
    """
    strength, energy = spread(ridge), zeros(x)
    for f in range(0, len(x), n_lanes(x)):
        dense, c = add(load(gram, f), strength), load(centre, f)
        pull = multiply(strength, c)
        store(diagonal, f, dense)
        store(curvature, f, dense)
        store(gradient, f, subtract(pull, multiply(dense, load(x, f))))
        energy = add_product(energy, pull, c)
    return total(energy)


@njit(**LOOP, **_SUMS)
def solve_chunk(
    first: int,
    last: int,
    csr: tuple[Array, Array, Array],
    targets: Array,
    factors: Array,
    offsets: Array,
    gram: Array,
    ridge: Array,
    prior: Array,
    table: Array,
    scratch: tuple[Array, ...],
    vectors: tuple[Array, ...],
    n_steps: int,
    tol: float,
) -> None:
    """Solve rows ``first <= u < last``; the rows of `table` hold their starting points, then their solutions.

    Widths are multiples of a cache line. `prior` has a row for each of `table`, or one for all; `scratch` has room for
    the longest row padded to a multiple of four: factors, weights, targets, and places in `factors`.
    """
    indptr = csr[0]
    diagonal, inverse, gradient = vectors[:3]
    for u in range(first, last):
        x, centre = table[u - first], prior[min(u - first, len(prior) - 1)]
        if indptr[u] == indptr[u + 1]:
            _copy(centre, x)
            continue
        energy = _start(ridge[u], centre, gram, x, diagonal, inverse, gradient)
        n_rows, observed = _gather(
            indptr[u], indptr[u + 1], indptr[last], csr, targets, offsets, factors, x, scratch, gradient, inverse
        )
        _descend(scratch[0], n_rows, scratch[1], vectors, x, n_steps, tol * tol * (energy + observed))


@njit(**LOOP, **_SUMS)
def loss_chunk(
    first: int,
    last: int,
    csr: tuple[Array, Array, Array],
    targets: Array,
    row_factors: Array,
    factors: Array,
    row_offsets: Array,
    offsets: Array,
    loss: Array,
) -> None:
    """Weighted squared error ``sum_j w_j (t_j - o_u - o_j - p_u . q_j)^2`` of each row, in double precision."""
    indptr, indices, weights = csr
    for u in range(first, last):
        squares = 0.0
        for j in range(indptr[u], indptr[u + 1]):
            item = indices[j]
            score = row_factors.dtype.type(0)
            for f in range(factors.shape[1]):
                score += row_factors[u, f] * factors[item, f]
            squares += weights[j] * (targets[j] - row_offsets[u] - offsets[item] - score) ** 2
        loss[u] = squares
