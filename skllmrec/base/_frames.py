"""Ranked lists as a data frame."""

from typing import Any

import numpy as np

from skllmrec._optional import import_optional
from skllmrec._sklearn import output_container
from skllmrec._typing import Array, Estimator, FloatArray, Frame


def lists_as_frame(
    estimator: Estimator, asked: Array, ids: Array, scores: FloatArray, *, names: tuple[str, str]
) -> Frame:
    """Make one row for each entry of the lists, without padding.

    Parameters
    ----------
    estimator : recommender
        Its container of outputs (`set_output` or ``set_config(transform_output=...)``) is "polars", or the frame is one
        of pandas.
    asked : ndarray of shape (n_lists,)
        Whom or what the lists are for.
    ids : ndarray of shape (n_lists, n_entries)
    scores : ndarray of shape (n_lists, n_entries), float64
        -inf where a list is padded.
    names : tuple of two str
        Names of the columns of `asked` and of `ids`.

    Returns
    -------
    pandas.DataFrame or polars.DataFrame with four columns
        The two that are named, rank and score; list by list in their order; ranks begin with 1.
    """
    rows, ranks = np.nonzero(scores > -np.inf)
    columns: dict[str, Any] = {names[0]: asked[rows], names[1]: ids[rows, ranks]}
    columns |= {"rank": ranks + 1, "score": scores[rows, ranks]}
    if output_container(estimator) != "polars":
        return import_optional("pandas", extra="demo", purpose="as_frame=True").DataFrame(columns)
    is_text = {name: values.dtype.kind == "O" for name, values in columns.items()}
    polars = import_optional("polars", extra="test", purpose="as_frame=True with the output 'polars'")
    schema = {name: polars.String if text else None for name, text in is_text.items()}  # also of no rows
    return polars.DataFrame({name: list(v) if is_text[name] else v for name, v in columns.items()}, schema=schema)
