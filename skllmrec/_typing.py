"""Names for the types of public signatures; what numpy cannot say about a shape stands in the docstring."""

import os
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

__all__ = [
    "Array",
    "ArrayLike",
    "Column",
    "Columns",
    "CsrMatrix",
    "Estimator",
    "Feedback",
    "FloatArray",
    "Frame",
    "Id",
    "Ids",
    "IntArray",
    "Matrix",
    "NDArray",
    "Path",
    "RandomState",
    "Rows",
    "Texts",
    "Unknown",
]

Array: TypeAlias = NDArray[Any]
FloatArray: TypeAlias = NDArray[np.floating[Any]]
IntArray: TypeAlias = NDArray[np.integer[Any]]
CsrMatrix: TypeAlias = sparse.csr_matrix | sparse.csr_array
Matrix: TypeAlias = FloatArray | CsrMatrix  # dense or sparse

Frame: TypeAlias = Any  # a data frame of pandas, polars or another library: none of them is a dependency
Rows: TypeAlias = Any  # X: a data frame or an array-like of shape (n_samples, n_features)
Texts: TypeAlias = Any  # one text a row: a list, an array, a series or a frame of one column
Id: TypeAlias = Hashable
Ids: TypeAlias = ArrayLike | Sequence[Hashable]

Column: TypeAlias = str | int  # a name or a position
Columns: TypeAlias = str | int | list[Any] | slice | Callable[[Any], Any]

Estimator: TypeAlias = Any  # scikit-learn's are duck-typed
Feedback: TypeAlias = Literal["explicit", "implicit"]
Unknown: TypeAlias = Literal["prior", "error"]
RandomState: TypeAlias = int | np.random.RandomState | None
Path: TypeAlias = str | os.PathLike[str]
