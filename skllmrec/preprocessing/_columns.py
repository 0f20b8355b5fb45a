"""Read and write columns of frames of any library, and check the y that belongs to them."""

from typing import Any, Self

import numpy as np
from sklearn.utils.validation import check_array, check_consistent_length, column_or_1d

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
