"""What counts as missing, whatever library a value comes from."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def is_missing(value: Any) -> bool:
    """Whether a value is None, NaN, NaT or NA.

    NA of pandas compares to neither true nor false; its type is known without importing pandas.
    """
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return not isinstance(value, str) and np.ndim(value) == 0 and bool(value != value)


def missing_mask(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Which values of an array are missing.

    Parameters
    ----------
    values : ndarray
        Of any shape and dtype.

    Returns
    -------
    ndarray of bool, of the same shape
    """
    if values.dtype.kind == "O":
        return np.array([is_missing(value) for value in values.ravel()], dtype=bool).reshape(values.shape)
    if values.dtype.kind in "mM":
        return np.isnat(values)
    return np.isnan(values) if values.dtype.kind in "fc" else np.zeros(values.shape, dtype=bool)
