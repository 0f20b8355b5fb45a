"""Targets of a supervised text encoder: their kind, their checks, and the objectives that learn from them."""

import hashlib
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.utils.multiclass import type_of_target

from skllmrec._typing import Array, IntArray

OBJECTIVES = ("contrastive", "factors", "interactions", "regression", "classification")
# kinds of targets that an objective learns from; an ambiguous y is read as the first one
_KINDS = {
    "contrastive": ("interactions",),
    "interactions": ("interactions",),
    "factors": ("interactions", "numbers"),
    "regression": ("numbers",),
    "classification": ("labels",),
}
_MULTITASK = ("contrastive", "factors")
# objectives that "auto" tries for each kind of targets
_CANDIDATES = {"interactions": ("contrastive", "factors"), "numbers": ("regression",), "labels": ("classification",)}


@dataclass(frozen=True)
class Targets:
    """Targets of all rows.

    Attributes
    ----------
    kind : {"interactions", "numbers", "labels"}
    values : csr_matrix of bool (n_rows, n_others), ndarray of float64 (n_rows, k) or of int (n_rows,)
        Positive interactions, numbers, or codes of classes.
    """

    kind: str
    values: Any

    @property
    def informative(self) -> Array:
        """Mask of the rows that have a target to learn from."""
        if self.kind == "interactions":
            return np.diff(self.values.indptr) > 0
        return np.ones(len(self.values), dtype=bool)

    def take(self, rows: IntArray) -> "Targets":
        """Return the targets of some rows."""
        return Targets(self.kind, self.values[rows])


def read_targets(
    y: Any, objective: str, n_rows: int, *, threshold: float | None, weights: dict[str, float] | None
) -> dict[str, Targets]:
    """Check the targets passed to `fit`, and determine their kind.

    Parameters
    ----------
    y : object
        Sparse interactions, labels, numbers, a dense matrix, or a dict of objective -> one of these.
    objective : str
        "auto", "multitask" or one of `OBJECTIVES`.
    n_rows : int
        Number of texts.
    threshold : float or None
        Smallest value of a positive interaction; None: any value above 0.
    weights : dict or None
        Weights of the objectives of "multitask", by name.

    Returns
    -------
    dict of str to Targets
        Targets of each objective that is learned.

    Raises
    ------
    ValueError
        If y does not fit the texts or the objective, there is nothing to learn from, or `weights` has other objectives
        than y.
    """
    _check_weights(weights, objective, y)
    y = {name: _as_array(own) for name, own in y.items()} if isinstance(y, dict) else _as_array(y)
    if y is None:
        raise ValueError(
            "LLMFineTuner requires y to be passed, but the target y is None: pass the interactions of each text as a "
            "sparse matrix (recommenders do), labels, or numbers"
        )
    if objective == "auto" and not isinstance(y, dict):
        targets = _read(y, _kind_of(y), n_rows, threshold)
        return dict.fromkeys(_CANDIDATES[targets.kind], targets)
    found = {}
    for name, own in _by_objective(y, objective, weights).items():
        kind = _kind_of(own)
        found[name] = _read(own, kind if kind in _KINDS[name] else _KINDS[name][0], n_rows, threshold, name)
    return found


def _check_weights(weights, objective, y):
    """Raise an error for weights of objectives that are not learned."""
    if weights is None:
        return
    if objective != "multitask":
        raise ValueError(f'task_weights={weights!r} belong to objective="multitask", not {objective!r}')
    if not weights or not set(weights) <= set(OBJECTIVES):
        raise ValueError(f"task_weights names the objectives {list(weights)}: choose of {', '.join(OBJECTIVES)}")
    if isinstance(y, dict) and set(y) != set(weights):
        raise ValueError(f"task_weights names {list(weights)}, but y has targets for {list(y)}: name the same")
    wrong = {name: weight for name, weight in weights.items() if not (isinstance(weight, Real) and weight > 0)}
    if wrong:
        raise ValueError(f"task_weights has {wrong}: weights are numbers above 0")


def _by_objective(y, objective, weights):
    """Return the targets of each objective by name: one for each, or the same for all."""
    if not isinstance(y, dict):
        names = (weights or _MULTITASK) if objective == "multitask" else (objective,)
        return dict.fromkeys(names, y)
    if objective != "multitask":
        raise ValueError(f'y is a dict of targets, which objective={objective!r} has no use for: set "multitask"')
    if not y or not set(y) <= set(OBJECTIVES):
        raise ValueError(f"y names the objectives {list(y)}: choose of {', '.join(OBJECTIVES)}")
    return y


def _as_array(y):
    """Convert targets to an array, and numbers stored as objects, missing ones included, to floats."""
    if y is None or sp.issparse(y):
        return y
    y = np.asarray(y)
    return _as_numbers(y) if y.dtype.kind == "O" else y


def _as_numbers(y):
    """Convert objects to floats if all that are not missing are numbers; integers may be labels and are kept."""
    missing = np.array([_is_missing(value) for value in y.ravel()], dtype=bool)
    others = y.ravel()[~missing]
    if not missing.any() and all(isinstance(value, Integral) for value in others):
        return y
    if not len(others) or not all(isinstance(value, (Real, np.bool_)) for value in others):
        return y
    numbers = np.full(y.size, np.nan)
    numbers[~missing] = others.astype(np.float64)
    return numbers.reshape(y.shape)


def _is_missing(value):
    """Whether a value is None, NaN, NaT or the NA of pandas, which cannot be compared."""
    return value is None or type(value).__name__ == "NAType" or (isinstance(value, Hashable) and value != value)


def _kind_of(y):
    """Determine the kind of targets of y; the checks of the kind find what does not fit."""
    if sp.issparse(y):
        return "interactions"
    if y.ndim == 2 and y.shape[1] > 1:
        return "numbers"
    if y.dtype.kind == "O":
        return "labels"
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        return "numbers"  # the check of numbers reports the row
    return "numbers" if type_of_target(y.ravel()) == "continuous" else "labels"


def _read(y, kind, n_rows, threshold, objective="auto"):
    if y.ndim not in ((2,) if sp.issparse(y) else (1, 2)):
        raise ValueError(f"y has shape {y.shape}: one row of targets for each text is needed")
    if y.shape[0] != n_rows:
        raise ValueError(f"X has {n_rows} texts, but y has {y.shape[0]} rows: pass one row of targets for each text")
    if kind == "interactions":
        return Targets(kind, _positives(y, threshold, objective))
    if sp.issparse(y):
        raise ValueError(f"objective={objective!r} learns from dense targets, but y is sparse: pass y.toarray()")
    return Targets(kind, _labels(y) if kind == "labels" else _numbers(y))


def _check_finite(values, row_of):
    """Raise an error for values that are not finite; the message has the first row."""
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        raise ValueError(
            f"y holds {len(wrong)} value(s) that are not finite; the first, {values[wrong[0]]}, is in row "
            f"{row_of(wrong[0])}: remove these rows or fill in the values"
        )


def _positives(y, threshold, objective):
    """Return the mask of positive interactions."""
    if not sp.issparse(y) and y.ndim == 1:
        raise ValueError(
            f"objective={objective!r} learns from interactions, one column for each user or item of the other side, "
            f'but y has shape {y.shape}: pass a sparse matrix, or choose objective="auto"'
        )
    y = sp.csr_matrix(y)
    _check_finite(y.data, lambda place: int(np.searchsorted(y.indptr, place, side="right")) - 1)
    positive = y.data > 0 if threshold is None else y.data >= threshold
    rows = np.repeat(np.arange(y.shape[0]), np.diff(y.indptr))[positive]
    found = sp.csr_matrix((np.ones(len(rows), dtype=bool), (rows, y.indices[positive])), y.shape)
    if found.nnz == 0:
        least = "above 0" if threshold is None else f"of at least threshold={threshold}"
        raise ValueError(f"y has {y.nnz} stored values and none {least}: there is nothing to learn from")
    return found


def _numbers(y):
    if y.dtype.kind not in "biuf":
        raise ValueError(
            f"y holds {y.dtype} values such as {y.ravel()[0]!r:.60} where numbers are needed: pass numbers, one column "
            "of labels, or interactions as a sparse matrix"
        )
    y = y.astype(np.float64).reshape(len(y), -1)
    _check_finite(y.ravel(), lambda place: int(place) // y.shape[1])
    if not np.ptp(y, axis=0).any():
        raise ValueError(f"all targets are equal ({y[0, 0]:g} in the first column): there is nothing to learn from")
    return y


def _check_no_label_is_missing(labels):
    if labels.dtype.kind in "fc":
        _check_finite(labels, lambda place: int(place))
    elif labels.dtype.kind == "O":
        missing = [place for place, label in enumerate(labels) if _is_missing(label)]
        if missing:
            raise ValueError(
                f"y holds {len(missing)} missing label(s); the first, {labels[missing[0]]}, is in row {missing[0]}: "
                "remove these rows or fill in the labels"
            )


def _labels(y):
    _check_no_label_is_missing(y.ravel())
    if y.ndim == 2 and y.shape[1] > 1:
        raise ValueError(f"classification takes one label for each text, but y has shape {y.shape}")
    try:
        classes, codes = np.unique(y.ravel(), return_inverse=True)
    except TypeError as error:
        kinds = sorted({type(label).__name__ for label in y.ravel()})
        raise ValueError(
            f"y holds labels of the types {', '.join(kinds)}, which have no order: convert them, e.g. with astype(str)"
        ) from error
    if len(classes) < 2:
        raise ValueError(f"all labels are {classes.tolist()[0]!r}: there is nothing to learn from")
    return codes


def targets_digest(texts: Iterable[str], targets: dict[str, Targets]) -> str:
    """Compute the checksum of texts and targets.

    Parameters
    ----------
    texts : sequence of str
    targets : dict of str to Targets

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode() + b"\0")
    for name, own in targets.items():
        values = own.values
        is_sparse = sp.issparse(values)
        arrays = (values.indptr, values.indices) if is_sparse else (np.ascontiguousarray(values),)
        digest.update(f"{name} {own.kind} {values.shape}".encode())
        for array in arrays:
            digest.update(array.astype(array.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()
