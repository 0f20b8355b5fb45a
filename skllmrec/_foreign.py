"""Tables of other libraries: those that hold their rows are converted, the others are refused with the remedy."""

from typing import Any

import numpy as np

_REMEDIES = {
    "polars": "call .collect()",
    "dask": "call .compute()",
    "pyspark": "call .toPandas()",
}


def _library(X):
    return type(X).__module__.partition(".")[0]


def _is_lazy(X):
    """Whether a table is a plan or a graph, whose rows are not there yet."""
    if hasattr(X, "__dask_graph__") or _library(X) == "pyspark":
        return True
    return any(hasattr(X, method) for method in ("collect_schema", "collect")) and not hasattr(X, "item")


def _refuse(X, name, what, remedy):
    raise TypeError(f"{name} is a {type(X).__name__} of {_library(X)}, {what}: {remedy}, and pass the result")


def as_table(X: Any, *, name: str = "X") -> Any:
    """Convert a table of a library that scikit-learn does not index.

    Parameters
    ----------
    X : object
        What a caller passed: rows, ids, or a tuple of both.
    name : str, default="X"
        What the argument is called, for error messages.

    Returns
    -------
    object
        A data frame of pandas for tables of Arrow (pyarrow, or any table with the method ``__arrow_c_stream__``, such
        as those of DuckDB) and data sets of Hugging Face; all else as it is.

    Raises
    ------
    TypeError
        If the rows are not there yet: a LazyFrame of polars, a table of Dask or Spark, a data set that is streamed or
        that has several splits.
    ImportError
        If pandas, or for tables that are not of pyarrow, pyarrow is not installed.

    Examples
    --------
    >>> import pyarrow
    >>> from skllmrec._foreign import as_table
    >>> as_table(pyarrow.table({"user": ["ann", "bob"], "item": [1, None]}))
      user  item
    0  ann     1
    1  bob  None
    """
    if X is None or isinstance(X, str | list | np.ndarray) or hasattr(X, "iloc"):
        return X
    if isinstance(X, tuple):  # ids and rows
        parts = [as_table(part, name=name) for part in X] if len(X) == 2 else X
        return tuple(parts) if any(new is not old for new, old in zip(parts, X, strict=True)) else X
    if _library(X) == "polars" and not _is_lazy(X):
        return X
    if _library(X) == "datasets":
        return _read_data_set(X, name)
    if _is_lazy(X):
        _refuse(X, name, "which holds no rows yet", _REMEDIES.get(_library(X), "compute it"))
    return _read_arrow(X)


def _read_data_set(X, name):
    """Read a data set of Hugging Face."""
    if isinstance(X, dict):
        _refuse(X, name, f"which has the splits {list(X)}", f"choose one, such as {name}[{next(iter(X), 'train')!r}]")
    if not hasattr(X, "to_pandas"):
        _refuse(X, name, "which is streamed", "load it without streaming=True")
    return X.to_pandas()


def _read_arrow(X):
    """Read a table of Arrow; whole numbers with missing values stay whole."""
    is_table = hasattr(X, "column_names") and hasattr(X, "to_pandas")
    if not is_table and hasattr(X, "__arrow_c_stream__") and hasattr(X, "columns"):
        import pyarrow

        return pyarrow.table(X).to_pandas(integer_object_nulls=True)
    return X.to_pandas(integer_object_nulls=True) if is_table else X
