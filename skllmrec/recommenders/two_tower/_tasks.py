"""Columns of X that the towers of TwoTowerRecommender learn to predict besides the interactions."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from skllmrec._ids import shown
from skllmrec._missing import missing_mask
from skllmrec._typing import Array, Column, FloatArray
from skllmrec.base import InteractionRows
from skllmrec.base._magnitude import check_magnitude
from skllmrec.recommenders.two_tower._network import pair_features

KINDS = ("regression", "classification")


@dataclass
class ColumnTask:
    """A target column: its values at observed pairs, and after the training the head that predicts it.

    Attributes
    ----------
    name : str or int
        Column of X.
    kind : {"regression", "classification"}
    weight : float
        Weight of its loss.
    pairs : tuple of two ndarray of shape (n_pairs,)
        Distinct pairs (positions of users, of items) with a known target.
    values : ndarray of shape (n_pairs,)
        Standardised numbers, or positions in `classes`.
    classes : ndarray or None
        Labels, sorted.
    mean, scale : float
        Mean and standard deviation of the numbers, by which they were standardised.
    head : tuple of two ndarray or None
        Weights (n_outputs, 3 d) and biases (n_outputs,) of the head.
    """

    name: Column
    kind: str
    weight: float
    pairs: tuple
    values: Array
    classes: Array | None = None
    mean: float = 0.0
    scale: float = 1.0
    head: tuple | None = None

    @property
    def n_outputs(self) -> int:
        """Number of outputs of the head for one pair."""
        return 1 if self.classes is None else len(self.classes)

    def without_targets(self) -> "ColumnTask":
        """Return a copy without the values of the training data, which prediction does not need."""
        return replace(self, pairs=(), values=np.empty(0))

    def output(self, users: FloatArray, items: FloatArray) -> FloatArray:
        """Compute the outputs of the head for pairs of vectors.

        Parameters
        ----------
        users, items : ndarray of shape (n_pairs, d)

        Returns
        -------
        ndarray of shape (n_pairs, n_outputs), float64
            Predictions of the target, or log-odds of the classes.
        """
        if self.head is None:
            raise AttributeError("the head is set at the end of the training")
        weights, biases = self.head
        numbers = np.concatenate(pair_features(users.astype(np.float64), items.astype(np.float64)), axis=1)
        outputs = numbers @ weights.T + biases
        return outputs * self.scale + self.mean if self.kind == "regression" else outputs


def check_tasks(tasks: Mapping[Column, str] | None, weights: Mapping[Column, float] | None) -> None:
    """Check the parameters `tasks` and `task_weights`.

    Raises
    ------
    ValueError
        If a kind is unknown, or a weight belongs to no task or is not positive.
    """
    for name, kind in (tasks or {}).items():
        if kind not in KINDS:
            raise ValueError(f"tasks={{{name!r}: {kind!r}}}: a column is predicted by 'regression' or 'classification'")
    for name, weight in (weights or {}).items():
        if name not in (tasks or {}):
            raise ValueError(f"task_weights names {name!r}, which is not among the tasks {list(tasks or {})}")
        if not weight > 0:
            raise ValueError(f"task_weights={{{name!r}: {weight}}}: a weight is positive; remove a task to ignore it")


def read_task(rows: InteractionRows, name: Column, kind: str, weight: float) -> ColumnTask:
    """Read a target column.

    Rows of equal pairs count as one: with their mean number, or their most frequent label. Missing values are left
    out.

    Parameters
    ----------
    rows : InteractionRows
    name : str or int
        Column of X.
    kind : {"regression", "classification"}
    weight : float

    Returns
    -------
    ColumnTask

    Raises
    ------
    ValueError
        If the column does not exist, holds no value at all, or for a regression anything but finite numbers that are
        not too large.
    """
    values = np.asarray(rows.column(name, name="tasks"), dtype=object).ravel()
    known = np.flatnonzero(~missing_mask(values))
    if len(known) == 0:
        raise ValueError(f"tasks: column {name!r} holds no value that could be learned; remove it from tasks")
    users, items, values = rows.users[known], rows.items[known], values[known]
    n_items = int(rows.items.max()) + 1
    distinct, places = np.unique(users.astype(np.int64) * n_items + items, return_inverse=True)
    pairs = distinct // n_items, distinct % n_items
    if kind == "regression":
        numbers = _numbers(values, name)
        numbers = np.bincount(places, numbers) / np.bincount(places)
        mean, scale = numbers.mean(), numbers.std() or 1.0
        return ColumnTask(name, kind, weight, pairs, (numbers - mean) / scale, None, float(mean), float(scale))
    classes, codes = _classes(values, name)
    counts = np.zeros((len(distinct), len(classes)))
    np.add.at(counts, (places, codes), 1)
    return ColumnTask(name, kind, weight, pairs, counts.argmax(axis=1), classes)


def _numbers(values, name):
    try:
        numbers = values.astype(np.float64)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"tasks: column {name!r} is to be learned by regression, but does not hold numbers ({error}): "
            "use 'classification' for labels"
        ) from error
    wrong = np.flatnonzero(~np.isfinite(numbers))
    if len(wrong):
        raise ValueError(f"tasks: column {name!r} holds {numbers[wrong[0]]}: numbers to be learned are finite")
    check_magnitude(numbers, f"tasks: column {name!r}, where it is known,", remedy="Scale it")
    return numbers


def _classes(values, name):
    labels = np.array(values.tolist())  # numbers, strings or truth values
    if labels.dtype == object or (labels.dtype.kind in "US" and not all(isinstance(value, str) for value in values)):
        raise ValueError(f"tasks: column {name!r} mixes kinds of labels, e.g. {shown(values[0])}: make all strings")
    return np.unique(labels, return_inverse=True)
