"""Encoded features as one finite matrix, dense or sparse."""

import numpy as np
from scipy import sparse

from skllmrec._ids import shown
from skllmrec.base._magnitude import LARGEST, SMALLEST, is_moderate


def as_matrix(features, name, ids):
    """Return encoded features of some ids as a finite float64 or float32 matrix, sparse ones as CSR.

    Raises
    ------
    ValueError
        If the features are not numbers, not finite, or too large.
    """
    if sparse.issparse(features):
        matrix = features.tocsr()
        values = matrix.data
    else:
        try:
            matrix = np.asarray(features)
            matrix = matrix if matrix.dtype in (np.float32, np.float64) else matrix.astype(np.float64)
        except (ValueError, TypeError) as error:
            raise ValueError(
                f"{name}_features hold values that are not numbers ({error}): give {name}_encoder= a transformer "
                f"that encodes them, e.g. a LLMTextEncoder or a TfidfVectorizer"
            ) from error
        matrix = matrix.reshape(len(matrix), -1)
        values = matrix
    if not is_moderate(values):
        _raise_for_value(matrix, name, ids)
    return matrix


def _raise_for_value(matrix, name, ids):
    """Raise an error that names the first value that is not finite, or too large."""
    table = matrix.tocoo() if sparse.issparse(matrix) else None
    values = matrix.ravel() if table is None else table.data
    is_missing = not np.isfinite(values).all()
    first = np.flatnonzero(~np.isfinite(values) if is_missing else abs(values) > LARGEST)[0]
    row, column = np.unravel_index(first, matrix.shape) if table is None else (table.row[first], table.col[first])
    where = f"for {name} {shown(ids[row])} in column {column}"
    if np.isnan(values[first]):
        raise ValueError(
            f"{name}_features, as encoded, have NaN or inf, first NaN {where}: fill missing values, e.g. with a "
            f"SimpleImputer in {name}_encoder"
        )
    if is_missing:
        raise ValueError(
            f"{name}_features, as encoded, have NaN or inf, first {values[first]} {where}: a number was too large for "
            f"its type ({values.dtype}) or divided by zero; scale the features, e.g. with a StandardScaler in "
            f"{name}_encoder"
        )
    raise ValueError(
        f"{name}_features, as encoded, have {values[first]:g} {where}: at most {LARGEST:g} in modulus is accepted, "
        f"because squares and sums of larger numbers overflow. Scale the features, e.g. with a StandardScaler in "
        f"{name}_encoder"
    )


def check_is_not_tiny(matrix, name):
    """Refuse features to learn from that are all so small that their squares are zero.

    Raises
    ------
    ValueError
        If the largest modulus is below `SMALLEST`, but not zero.
    """
    values = matrix.data if sparse.issparse(matrix) else matrix
    largest = max(-values.min(), values.max()) if values.size else 0.0
    if 0 < largest < SMALLEST:
        raise ValueError(
            f"{name}_features, as encoded, are at most {largest:g} in modulus: squares of such numbers are zero. Scale "
            f"the features to at least {SMALLEST:g}, e.g. with a StandardScaler in {name}_encoder"
        )


def stack(parts):
    """Stack encoded feature matrices; sparse if one of them is."""
    if any(sparse.issparse(part) for part in parts):
        return sparse.vstack(parts, format="csr")
    return np.concatenate(parts)
