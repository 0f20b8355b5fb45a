"""Reading and writing columns of frames of any library, and the numbers beside them."""

import numpy as np
from sklearn.utils.validation import check_array, check_consistent_length, column_or_1d


class OwnContainerMixin:
    """For transformers that choose the container of their output: scikit-learn's choice of one means nothing to them.

    A pipeline refuses to set the output of a step that has no such method.
    """

    def set_output(self, *, transform=None):
        """Do nothing: the output is of one kind, whatever container the steps around it use.

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


def read_numbers(X, y):
    """Return y, one finite number for each row of X, as a float64 array of its own.

    Raises
    ------
    ValueError
        If y is not finite numbers, or of another length than X.
    """
    check_consistent_length(X, y)
    y = column_or_1d(check_array(y, ensure_2d=False, dtype=np.float64, input_name="y"), warn=True)
    return y.copy()


def listed(column):
    """Return the Python values of a Series or array."""
    return column.to_list() if hasattr(column, "to_list") else column.tolist()


def with_column(frame, name, values):
    """Return a frame with one column put in or replaced; the frame that came in stays as it is.

    Parameters
    ----------
    frame : pandas or polars frame
        The table.
    name : str
        The column.
    values : ndarray of shape (n_rows,), dtype object
        Its new values.

    Returns
    -------
    frame : the kind of frame that came in
    """
    series = type(frame[frame.columns[0]])
    if hasattr(frame, "assign"):  # pandas
        changed = frame.copy(deep=False)  # unlike assign, this takes names that are no texts
        changed[name] = series(values, index=frame.index, dtype=None if len(values) else object)
        return changed
    return frame.with_columns(series(name, values.tolist()))


def with_last_column(X, name, values):
    """Return X with one more column: a frame under its name, an array or list of rows as an object array.

    Parameters
    ----------
    X : frame or array-like of shape (n_rows, n_columns)
        The table.
    name : str
        The column of a frame.
    values : ndarray of shape (n_rows,), dtype object
        Its values.

    Returns
    -------
    X : the kind of frame that came in, or ndarray of shape (n_rows, n_columns + 1), dtype object
    """
    if hasattr(X, "columns"):
        return with_column(X, name, values)
    return np.column_stack([np.asarray(X, dtype=object), values])
