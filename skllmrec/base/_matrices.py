"""Encoded features as one finite matrix, dense or sparse."""

import numpy as np
from scipy import sparse

from skllmrec._ids import shown


def as_matrix(features, name, ids):
    """Return encoded features of some ids as a finite float64 or float32 matrix, sparse ones as CSR.

    Raises
    ------
    ValueError
        If the features are not numbers, or not finite.
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
    if not np.isfinite(values).all():
        first = np.argwhere(~np.isfinite(values))[0][0]
        row = np.searchsorted(matrix.indptr, first, side="right") - 1 if sparse.issparse(matrix) else first
        raise ValueError(
            f"{name}_features, as encoded, have NaN or inf, first for {name} {shown(ids[row])}: fill missing values, "
            f"e.g. with a SimpleImputer in {name}_encoder"
        )
    return matrix


def stack(parts):
    """Stack encoded feature matrices; sparse if one of them is."""
    if any(sparse.issparse(part) for part in parts):
        return sparse.vstack(parts, format="csr")
    return np.concatenate(parts)
