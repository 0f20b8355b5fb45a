"""Calls of the encoders of features: the rows that they return are counted, and errors name the cell."""

from typing import Any

import numpy as np
from scipy import sparse

from skllmrec._ids import shown
from skllmrec._missing import missing_mask
from skllmrec._sklearn import get_tags, is_frame
from skllmrec._typing import Array, Estimator, Matrix
from skllmrec.base._matrices import as_matrix


def _steps(encoder):
    """Estimators that an encoder consists of, down to those without parts; itself where it has no parts."""
    parts = [getattr(encoder, name, None) for name in ("steps", "transformer_list", "transformers_", "transformers")]
    named = next((part for part in parts if part), None)
    inner = [part[1] for part in named] if named else [getattr(encoder, "estimator", None)]
    inner = [part for part in inner if hasattr(part, "fit")]
    return [step for part in inner for step in _steps(part)] if inner else [encoder]


def encodes_texts(encoder: Estimator | None) -> bool:
    """Whether an encoder, or a step of it, takes texts, so that a row of zeros is a text without known words."""
    if encoder is None:
        return False
    return any(hasattr(step, "build_analyzer") or get_tags(step).input_tags.string for step in _steps(encoder))


def learns_from_targets(encoder: Estimator) -> bool:
    """Whether an encoder, or a step of it, learns from the interactions of the items that it encodes."""
    return any(get_tags(step).target_tags.required for step in [encoder, *_steps(encoder)])


def _vectorizer(encoder):
    """Name of the vectorizer of scikit-learn that reads the table first, or None."""
    while getattr(encoder, "steps", None) or hasattr(getattr(encoder, "estimator", None), "fit"):
        encoder = encoder.steps[0][1] if getattr(encoder, "steps", None) else encoder.estimator
    return type(encoder).__name__ if hasattr(encoder, "build_analyzer") else None


def _remedy(table, name):
    columns = list(table.columns) if is_frame(table) else list(range(table.shape[1] if table.ndim == 2 else 1))
    return f"a vectorizer wants one column, {name}_features={columns[0]!r}, or TextTemplate before it"


def _raise_for_missing(error, table, name, ids):
    """Raise an error that names the missing value, as most encoders do not; return where none is missing."""
    cells = np.asarray(table, dtype=object).reshape(len(table), -1)
    missing = np.argwhere(missing_mask(cells))
    if len(missing) == 0:
        return
    row, position = missing[0]
    label = getattr(table, "name", None) or (table.columns[position] if is_frame(table) else position)
    raise ValueError(
        f"{name}_features column {label!r} has {cells[row, position]!r} for {name} {shown(ids[row])} "
        f"({len(missing)} missing values in all): fill them, e.g. with '', or put a TextTemplate before the "
        f"encoder, which said: {error}"
    ) from error


def _check_rows(encoded, table, name, ids):
    """Raise an error where an encoder did not return one row for each row of the table."""
    if isinstance(encoded, tuple):
        raise ValueError(f"{name}_encoder returned a tuple of {len(encoded)} parts: wrap it in DenseTargets")
    shape = encoded.shape if sparse.issparse(encoded) else np.shape(encoded)
    n_rows = shape[0] if shape else 0
    if n_rows == len(ids):
        return
    counts = f"{n_rows} row{'' if n_rows == 1 else 's'} for {len(ids)} {name}{'' if len(ids) == 1 else 's'}"
    raise ValueError(f"{name}_encoder returned {counts}: {_remedy(table, name)}")


def encode_table(encoder: Estimator | None, method: str, table: Any, name: str, ids: Array, *targets: Matrix) -> Matrix:
    """Encode the features of some users or items.

    Parameters
    ----------
    encoder : transformer or None
        None: the features are numbers.
    method : {"fit_transform", "transform"}
        What is called.
    table : Series, frame or array of len(ids) rows
        Features as `fit` or a call names them.
    name : {"user", "item"}
    ids : ndarray
        Ids of the rows, for error messages.
    *targets : csr_matrix
        What `fit_transform` learns from.

    Returns
    -------
    ndarray or csr_matrix of shape (len(ids), n_features)

    Raises
    ------
    ValueError
        If the encoder fails on a missing value, does not return one row for each row of the table, or returns what is
        not a finite number.
    """
    if encoder is None:
        return as_matrix(table, name, ids)
    reads_names = len(table.shape) == 2 and _vectorizer(encoder) is not None
    try:
        encoded = getattr(encoder, method)(table, *targets)
    except OSError:  # storage or network, also as a ValueError: missing values are not the reason
        raise
    except (ValueError, TypeError, AttributeError) as error:
        _raise_for_missing(error, table, name, ids)
        if reads_names:
            raise ValueError(
                f"{name}_encoder: {_vectorizer(encoder)} cannot read a table of {table.shape[1]} column(s): "
                f"{_remedy(table, name)}"
            ) from error
        raise
    _check_rows(encoded, table, name, ids)
    if reads_names and is_frame(table):  # as many rows as columns: the texts were the names of the columns
        raise ValueError(f"{name}_encoder: {_vectorizer(encoder)} read the names of columns: {_remedy(table, name)}")
    return as_matrix(encoded, name, ids)
