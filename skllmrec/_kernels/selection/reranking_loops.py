"""Compiled loops of re-ranking; imported on first use, since numba takes half a second.

`limits` are ``(starts, values, most, used)``: values[starts[i]:starts[i + 1]] are those of item i, `most` says how many
items of a value a list may hold, and `used` counts them. `vectors` are ``(dense, starts, columns, data)``, dense or
CSR, the other one empty. `pool` holds the items of a row, -1 is padding; `chosen` gets places in it, and starts as -1.
"""

import numpy as np
from numba import njit

from skllmrec._kernels.compiled import INLINED, LOOP

_LEAST_VOLUME = 1e-10  # of a candidate that adds nothing to a list: all such candidates are alike


@njit(**INLINED)
def _is_allowed(item, limits):
    starts, values, most, used = limits
    n_full = 0
    for at in range(starts[item], starts[item + 1]):
        n_full += used[values[at]] >= most[values[at]]
    return n_full == 0


@njit(**INLINED)
def _count(item, limits, step):
    starts, values, _, used = limits
    for at in range(starts[item], starts[item + 1]):
        used[values[at]] += step


@njit(**INLINED)
def _take_best(gains, taken, pool, limits):
    """Place of the highest gain that is free and allowed, the first of equal ones; -1 where there is none."""
    best = -1
    for j in range(len(pool)):
        if pool[j] < 0 or taken[j] or (best >= 0 and gains[j] <= gains[best]):
            continue
        if _is_allowed(pool[j], limits):
            best = j
    if best >= 0:
        taken[best] = True
        _count(pool[best], limits, 1)
    return best


@njit(**INLINED)
def _forget(chosen, pool, limits, taken):
    """Empty what a row filled."""
    for place in range(len(chosen)):
        if chosen[place] >= 0:
            _count(pool[chosen[place]], limits, -1)
    for j in range(len(taken)):
        taken[j] = False


@njit(**INLINED)
def _similarities(item, pool, vectors, work, out):
    """Inner products of the vector of an item and those of a pool."""
    dense, starts, columns, data = vectors
    if dense.shape[1] == 0:
        for at in range(starts[item], starts[item + 1]):
            work[columns[at]] = data[at]
    for j in range(len(pool)):
        total = 0.0
        if pool[j] >= 0 and dense.shape[1] > 0:
            for column in range(dense.shape[1]):
                total += dense[item, column] * dense[pool[j], column]
        elif pool[j] >= 0:
            for at in range(starts[pool[j]], starts[pool[j] + 1]):
                total += work[columns[at]] * data[at]
        out[j] = total
    if dense.shape[1] == 0:
        for at in range(starts[item], starts[item + 1]):
            work[columns[at]] = 0.0


@njit(**LOOP)
def select_penalised(pools, scores, strength, counts, step, limits, taken, gains, chosen):
    """Select by score - strength * log(1 + count); what is selected adds `step` to its count."""
    for row in range(len(pools)):
        pool = pools[row]
        for j in range(len(pool)):
            gains[j] = scores[row, j] - strength * np.log1p(counts[pool[j]]) if pool[j] >= 0 else -np.inf
        for place in range(chosen.shape[1]):
            chosen[row, place] = _take_best(gains, taken, pool, limits)
            if chosen[row, place] < 0:
                break
        _forget(chosen[row], pool, limits, taken)
        for place in range(chosen.shape[1]):
            if chosen[row, place] >= 0:
                counts[pool[chosen[row, place]]] += step


@njit(**LOOP)
def select_mmr(pools, scores, strength, vectors, limits, taken, gains, nearest, found, work, chosen):
    """Select by (1 - strength) * score - strength * largest similarity to what is selected."""
    for row in range(len(pools)):
        pool = pools[row]
        for j in range(len(pool)):
            gains[j], nearest[j] = (1.0 - strength) * scores[row, j], -np.inf
        for place in range(chosen.shape[1]):
            best = _take_best(gains, taken, pool, limits)
            chosen[row, place] = best
            if best < 0:
                break
            _similarities(pool[best], pool, vectors, work, found)
            for j in range(len(pool)):
                nearest[j] = max(nearest[j], found[j])
                gains[j] = (1.0 - strength) * scores[row, j] - strength * nearest[j]
        _forget(chosen[row], pool, limits, taken)


@njit(**LOOP)
def select_dpp(pools, scores, strength, vectors, limits, taken, gains, volumes, found, work, rows, chosen):
    """Select by score + strength * log of the volume that an item adds, with updates of a Cholesky factor."""
    for row in range(len(pools)):
        pool = pools[row]
        for j in range(len(pool)):
            gains[j], volumes[j] = scores[row, j], 1.0
        for place in range(chosen.shape[1]):
            best = _take_best(gains, taken, pool, limits)
            chosen[row, place] = best
            if best < 0:
                break
            _similarities(pool[best], pool, vectors, work, found)
            length = np.sqrt(max(volumes[best], _LEAST_VOLUME))
            is_new = volumes[best] > _LEAST_VOLUME
            for j in range(len(pool)):
                entry = found[j]
                for before in range(place):
                    entry -= rows[best, before] * rows[j, before]
                rows[j, place] = entry / length if is_new else 0.0
            for j in range(len(pool)):
                volumes[j] -= rows[j, place] ** 2
                gains[j] = scores[row, j] + strength * np.log(max(volumes[j], _LEAST_VOLUME))
        _forget(chosen[row], pool, limits, taken)


@njit(**INLINED)
def _relief(item, weight, smoothing, shares, taste, mass):
    """How much less a list diverges from the taste with an item than without it, in terms of its own categories."""
    starts, columns, data = shares
    total = 0.0
    for at in range(starts[item], starts[item + 1]):
        wanted = taste[columns[at]]
        if wanted > 0.0:
            low = weight * mass[columns[at]] + smoothing * wanted
            total += wanted * np.log((low + weight * data[at]) / low)
    return total


@njit(**INLINED)
def _put(row, matrix, factor, out):
    """Add the entries of a row of a CSR matrix, times a factor, to a dense array."""
    starts, columns, data = matrix
    for at in range(starts[row], starts[row + 1]):
        out[columns[at]] += factor * data[at]


@njit(**LOOP)
def select_calibrated(pools, scores, strength, smoothing, shares, tastes, limits, taken, gains, taste, mass, chosen):
    """Select by (1 - strength) * score - strength * KL divergence of the list's shares from the user's taste.

    Of the divergence only what differs between the candidates is computed.
    """
    for row in range(len(pools)):
        pool = pools[row]
        taste[:], mass[:] = 0.0, 0.0
        _put(row, tastes, 1.0, taste)
        for place in range(chosen.shape[1]):
            weight = (1.0 - smoothing) / (place + 1)
            for j in range(len(pool)):
                gains[j] = (1.0 - strength) * scores[row, j]
                if pool[j] >= 0:
                    gains[j] += strength * _relief(pool[j], weight, smoothing, shares, taste, mass)
            best = _take_best(gains, taken, pool, limits)
            chosen[row, place] = best
            if best < 0:
                break
            _put(pool[best], shares, 1.0, mass)
        _forget(chosen[row], pool, limits, taken)
