"""The compiled row loops of `als` (importing this file imports numba: only `als` does, on first use)."""

import numpy as np
from numba import njit

# Sums may be reordered, so that they vectorise; infinities and NaN keep their meaning.
_OPTIONS = {"nogil": True, "cache": True, "fastmath": {"reassoc", "contract", "nsz", "arcp"}}
_UNROLL = 4  # rows handled together, so that each load of x and out is used four times


@njit(**_OPTIONS)
def _add_residual(rows, n_rows, weights, targets, x, out):
    """Add ``sum_j w_j (t_j - x . rows_j) rows_j`` to `out`; `n_rows` is a multiple of four."""
    for j in range(0, n_rows, _UNROLL):
        s0 = s1 = s2 = s3 = x.dtype.type(0)
        for f in range(len(x)):
            s0 += x[f] * rows[j, f]
            s1 += x[f] * rows[j + 1, f]
            s2 += x[f] * rows[j + 2, f]
            s3 += x[f] * rows[j + 3, f]
        s0 = weights[j] * (targets[j] - s0)
        s1 = weights[j + 1] * (targets[j + 1] - s1)
        s2 = weights[j + 2] * (targets[j + 2] - s2)
        s3 = weights[j + 3] * (targets[j + 3] - s3)
        for f in range(len(x)):
            out[f] += s0 * rows[j, f] + s1 * rows[j + 1, f] + s2 * rows[j + 2, f] + s3 * rows[j + 3, f]


@njit(**_OPTIONS)
def _gather(indices, weights, targets, factors, offsets, rows, row_weights, row_targets, curvature):
    """Copy a row's factors into contiguous scratch, padded to a multiple of four; add ``sum_j w_j q_j^2``."""
    n, energy = len(indices), 0.0
    n_padded = (n + _UNROLL - 1) // _UNROLL * _UNROLL
    for j in range(n):
        item, weight = indices[j], weights[j]
        row_weights[j] = weight
        row_targets[j] = targets[j] - offsets[item]
        energy += weight * row_targets[j] ** 2
        for f in range(factors.shape[1]):
            value = factors[item, f]
            rows[j, f] = value
            curvature[f] += weight * value * value
    for j in range(n, n_padded):
        row_weights[j] = row_targets[j] = 0
        rows[j] = 0
    return n_padded, energy


@njit(**_OPTIONS)
def _dot(x, y):
    total = x.dtype.type(0)
    for f in range(len(x)):
        total += x[f] * y[f]
    return total


@njit(**_OPTIONS)
def _descend(rows, n_rows, weights, targets, zeros, diagonal, inverse, gradient, x, scratch, n_steps, stop):
    """Preconditioned conjugate gradients from `x`; `gradient` enters as ``b - A x`` without the observed part."""
    direction, image, scaled = scratch
    _add_residual(rows, n_rows, weights, targets, x, gradient)
    for f in range(len(x)):
        direction[f] = inverse[f] * gradient[f]
    gain = _dot(gradient, direction)
    for _ in range(n_steps):
        if gain <= stop:
            break
        for f in range(len(x)):
            image[f] = -diagonal[f] * direction[f]
        _add_residual(rows, n_rows, weights, zeros, direction, image)  # now minus A direction
        curvature = -_dot(direction, image)
        if curvature <= 0:
            break
        length = gain / curvature
        for f in range(len(x)):
            x[f] += length * direction[f]
            gradient[f] += length * image[f]
            scaled[f] = inverse[f] * gradient[f]
        momentum, gain = gain, _dot(gradient, scaled)
        momentum = gain / momentum
        for f in range(len(x)):
            direction[f] = scaled[f] + momentum * direction[f]


@njit(**_OPTIONS)
def solve_chunk(first, last, csr, targets, factors, offsets, gram, ridge, prior, solution, n_steps, tol):
    """Solve rows ``first <= u < last`` in place of `solution`, which holds the starting points."""
    indptr, indices, weights = csr
    d, dtype = factors.shape[1], factors.dtype
    longest = 0
    for u in range(first, last):
        longest = max(longest, indptr[u + 1] - indptr[u])
    longest += _UNROLL
    rows = np.empty((longest, d), dtype)
    row_weights, row_targets, zeros = (
        np.empty(longest, dtype),
        np.empty(longest, dtype),
        np.zeros(longest, dtype),
    )
    diagonal, inverse, gradient = np.empty(d, dtype), np.empty(d, dtype), np.empty(d, dtype)
    scratch = np.empty(d, dtype), np.empty(d, dtype), np.empty(d, dtype)
    for u in range(first, last):
        lo, hi = indptr[u], indptr[u + 1]
        if lo == hi:
            solution[u] = prior[u]
            continue
        inverse[:] = 0
        n_rows, energy = _gather(
            indices[lo:hi],
            weights[lo:hi],
            targets[lo:hi],
            factors,
            offsets,
            rows,
            row_weights,
            row_targets,
            inverse,
        )
        x = solution[u]
        for f in range(d):
            diagonal[f] = gram[f] + ridge[u]
            gradient[f] = ridge[u] * prior[u, f] - diagonal[f] * x[f]
            energy += ridge[u] * prior[u, f] ** 2
            total = inverse[f] + diagonal[f]
            inverse[f] = 1 / total if total > 0 else 0
        stop = tol * tol * energy
        _descend(
            rows,
            n_rows,
            row_weights,
            row_targets,
            zeros,
            diagonal,
            inverse,
            gradient,
            x,
            scratch,
            n_steps,
            stop,
        )


@njit(**_OPTIONS)
def loss_chunk(first, last, csr, targets, row_factors, factors, row_offsets, offsets, loss):
    """Weighted squared error ``sum_j w_j (t_j - o_u - o_j - p_u . q_j)^2`` of each row, in double precision."""
    indptr, indices, weights = csr
    for u in range(first, last):
        total = 0.0
        for j in range(indptr[u], indptr[u + 1]):
            item = indices[j]
            score = row_factors.dtype.type(0)
            for f in range(factors.shape[1]):
                score += row_factors[u, f] * factors[item, f]
            total += weights[j] * (targets[j] - row_offsets[u] - offsets[item] - score) ** 2
        loss[u] = total
