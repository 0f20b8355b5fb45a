"""Read and write columns of frames of any library, and check the y that belongs to them."""

from typing import Any, Self

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.validation import check_array, check_consistent_length, column_or_1d

from skllmrec._foreign import as_table
from skllmrec._sklearn import check_feature_names, check_n_features, is_frame
from skllmrec._typing import Array, ArrayLike, FloatArray, Frame, Rows


class OwnContainerMixin:
    """Mixin for transformers whose output container does not follow scikit-learn's ``set_output``.

    The method exists because a pipeline cannot set the output of a step without it. The mixin stands before
    ``TransformerMixin`` among the bases.
    """

    def __init_subclass__(cls, auto_wrap_output_keys=None, **kwargs):
        super().__init_subclass__(auto_wrap_output_keys=None, **kwargs)

    def set_output(self, *, transform: str | None = None) -> Self:
        """Do nothing: the container of the output is the same under every setting.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"}, default=None
            Ignored.

        Returns
        -------
        self : object
            The transformer itself.
        """
        return self


def checked_table(X: Any, name: str) -> Any:
    """Return a frame or a Series as it is, anything else as an array in which texts and numbers keep their type.

    Parameters
    ----------
    X : frame, Series or array-like of shape (n_rows,) or (n_rows, n_columns)
        The rows.
    name : str
        Name of the transformer, for error messages.

    Returns
    -------
    X : frame, Series, or ndarray

    Raises
    ------
    ValueError
        If X is complex or has other than one or two dimensions.
    TypeError
        If X is sparse or a single text.
    """
    X = as_table(X)
    if issparse(X) or isinstance(X, str | bytes):
        problem = f"a sparse {type(X).__name__}" if issparse(X) else f"the {type(X).__name__} {X!r:.60}"
        raise TypeError(f"{name} takes one text per row or a table with rows and columns, but got {problem}")
    if not hasattr(X, "shape"):
        X = np.asarray(X) if hasattr(X, "__array__") else _as_array(list(X))
    if len(X.shape) not in (1, 2):
        raise ValueError(f"{name} needs rows and columns, got {len(X.shape)} dimensions: shape {X.shape}")
    if getattr(getattr(X, "dtype", None), "kind", "") == "c":
        raise ValueError(f"Complex data not supported: {name} got an array of dtype {X.dtype}")
    return X


_KINDS = {bool: "b", int: "iu", float: "f", complex: "c"}


def _as_array(rows):
    """Convert a list to an array: of numbers where all values have one type of number, else of objects."""
    values = np.array(rows, dtype=object)
    types = set(map(type, values.ravel())) if values.ndim == 2 else set()
    if len(types) != 1:
        return values  # a large id beside a fraction would be rounded
    numbers = np.array(rows)
    return numbers if numbers.dtype.kind in _KINDS.get(types.pop(), "") else values


def check_columns(estimator: Any, X: Any, *, reset: bool) -> None:
    """Check the shape of a table, and remember its columns or compare their number with those that `fit` saw.

    Parameters
    ----------
    estimator : estimator
        Sets `n_features_in_` and `feature_names_in_` where `reset` is True.
    X : frame or ndarray of shape (n_rows, n_columns)
        The table. The columns of a frame are not compared, since they are looked up by name.
    reset : bool
        True in `fit`.

    Raises
    ------
    ValueError
        If X has no second dimension; in `fit`, if it has no rows or no columns; later, if an array has another number
        of columns than the one seen by `fit`.
    """
    name = type(estimator).__name__
    if len(X.shape) != 2:
        raise ValueError(
            f"{name}: expected a table with rows and columns, got one dimension: shape {X.shape}. Reshape your data: "
            "X.reshape(-1, 1) if it is one column, X.reshape(1, -1) if it is one row"
        )
    if reset:
        for number, unit in zip(X.shape, ("sample(s)", "feature(s)"), strict=True):
            if number == 0:
                raise ValueError(f"Found array with 0 {unit} (shape={X.shape}) while a minimum of 1 is required.")
        check_feature_names(estimator, X, reset=True)
        check_n_features(estimator, X, reset=True)
    elif not is_frame(X):
        check_n_features(estimator, X, reset=False)


def read_numbers(X: Rows, y: ArrayLike) -> FloatArray:
    """Check that y holds one finite number per row of X; return it as a new float64 array.

    Raises
    ------
    ValueError
        If y holds anything but finite numbers, or X and y have different lengths.
    """
    check_consistent_length(X, y)
    numbers = column_or_1d(check_array(y, ensure_2d=False, dtype=np.float64, input_name="y"), warn=True)
    return numbers.copy()


def to_list(column: Any) -> list[Any]:
    """Return the values of a Series or array as a list of Python objects."""
    return column.to_list() if hasattr(column, "to_list") else column.tolist()


def with_column(frame: Frame, name: Any, values: Array) -> Frame:
    """Return a copy of a frame with one column added or replaced.

    Parameters
    ----------
    frame : pandas or polars frame
        The table.
    name : str
        Name of the column.
    values : ndarray of shape (n_rows,), dtype object
        Values of the column.

    Returns
    -------
    frame : a frame of the same library
    """
    series = type(frame[frame.columns[0]])
    if hasattr(frame, "assign"):  # pandas
        changed = frame.copy(deep=False)  # unlike assign, this accepts names that are not strings
        changed[name] = series(values, index=frame.index, dtype=None if len(values) else object)
        return changed
    return frame.with_columns(series(name, values.tolist()))


def with_last_column(X: Rows, name: str, values: Array) -> Rows:
    """Append a column to X.

    Parameters
    ----------
    X : frame or array-like of shape (n_rows, n_columns)
        The table.
    name : str
        Name of the column, if X is a frame.
    values : ndarray of shape (n_rows,), dtype object
        Values of the column.

    Returns
    -------
    X : a frame of the same library, or ndarray of shape (n_rows, n_columns + 1), dtype object
    """
    if hasattr(X, "columns"):
        return with_column(X, name, values)
    return np.column_stack([np.asarray(X, dtype=object), values])
