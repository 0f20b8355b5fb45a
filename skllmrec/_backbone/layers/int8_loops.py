"""Compiled loops around int8 matrix products; imported on first use, since numba takes half a second."""

import numpy as np
from numba import njit

_ABS = np.int32(0x7FFFFFFF)
_HALF = np.float32(0.5)
_LEVELS = np.float32(255)
_TINY = np.float32(1e-30)  # the range of a row of zeros


@njit(nogil=True, cache=True)
def quantize_rows(values, codes, scales, zeros):
    """Round each row to 256 even steps between its smallest and its largest value, 0 among them.

    values[i, j] is about scales[i] * (codes[i, j] - zeros[i]); a row with NaN or infinity gets a scale that is not
    finite either.
    """
    # bits of floats order like integers, whose maximum is found in vector instructions; that of floats is not
    bits = values.view(np.int32)
    extremes = np.empty(2, dtype=np.int32)
    as_floats = extremes.view(np.float32)
    for i in range(len(values)):
        row, row_bits, out = values[i], bits[i], codes[i]
        highest = lowest = np.int32(0)
        for j in range(len(row)):
            highest = max(highest, row_bits[j])
            lowest = max(lowest, row_bits[j] ^ ~_ABS)  # the largest of -row
        extremes[0], extremes[1] = highest, lowest
        scale = (as_floats[0] + as_floats[1] + _TINY) / _LEVELS
        inverse = np.float32(1) / scale
        zero = np.float32(np.int32(as_floats[1] * inverse + _HALF))
        scales[i], zeros[i] = scale, zero
        shift = zero + _HALF  # what is cut off after adding a half is rounded
        for j in range(len(row)):
            out[j] = np.uint8(np.int32(row[j] * inverse + shift))


@njit(nogil=True, cache=True)
def rescale_rows(products, scales, zeros, column_sums, bias):
    """Turn products of codes into products of values, in place: scale, shift of the zero, bias."""
    for i in range(len(products)):
        row, scale, shift = products[i], scales[i], scales[i] * zeros[i]
        for j in range(len(row)):
            row[j] = row[j] * scale + (bias[j] - shift * column_sums[j])
