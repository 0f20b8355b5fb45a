"""The largest numbers that recommenders learn from: squares and sums of larger ones overflow."""

import numpy as np

from skllmrec._typing import FloatArray

LARGEST = 1e15  # squares of so many are summed in float32 (up to 3e38), and sums of products of four in float64
SMALLEST = 1e-15  # of the largest feature: squares below 1e-38 are zero in float32


def is_moderate(values: FloatArray) -> bool:
    """Whether all values are finite and at most `LARGEST` in modulus; takes no memory.

    Parameters
    ----------
    values : ndarray

    Returns
    -------
    bool
    """
    return values.size == 0 or bool(values.min() >= -LARGEST and values.max() <= LARGEST)  # NaN compares to false


def check_magnitude(values: FloatArray, name: str, *, remedy: str) -> None:
    """Refuse values whose squares or sums may overflow, so that a prediction would be no number.

    Parameters
    ----------
    values : ndarray of shape (n,)
        Finite.
    name : str
        What they are, for the message.
    remedy : str
        What to do, for the message.

    Raises
    ------
    ValueError
        If a value exceeds `LARGEST` in modulus.
    """
    if is_moderate(values):
        return
    wrong = np.flatnonzero(abs(values) > LARGEST)
    raise ValueError(
        f"{name} has {values[wrong[0]]:g} at position {wrong[0]} ({len(wrong)} such values in total): at most "
        f"{LARGEST:g} in modulus is accepted, because squares and sums of larger numbers overflow. {remedy}"
    )
