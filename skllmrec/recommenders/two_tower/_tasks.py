"""Further targets that the towers of TwoTowerRecommender learn to predict: columns of X, read row by row."""

from dataclasses import dataclass, replace

import numpy as np

from skllmrec._ids import shown
from skllmrec._missing import missing_mask
from skllmrec.recommenders.two_tower._network import pair_features

KINDS = ("regression", "classification")


@dataclass
class Task:
    """A target column: its values at observed pairs, and later the head that predicts it.

    Attributes
    ----------
    name : str or int
        Column of X.
    kind : {"regression", "classification"}
    weight : float
        Of its loss.
    pairs : tuple of two ndarray of shape (n_pairs,)
        Distinct pairs of positions at which the target is known.
    values : ndarray of shape (n_pairs,)
        Standardised numbers, or positions in `classes`.
    classes : ndarray or None
        Labels, sorted.
    mean, scale : float
        What the numbers were standardised by.
    head : tuple of two ndarray or None
        Weights (n_outputs, 3 d) and biases (n_outputs,) of the head.
    """

    name: object
    kind: str
    weight: float
    pairs: tuple
    values: np.ndarray
    classes: np.ndarray | None = None
    mean: float = 0.0
    scale: float = 1.0
    head: tuple | None = None

    @property
    def n_outputs(self):
        """Numbers that its head computes for a pair."""
        return 1 if self.kind == "regression" else len(self.classes)

    def without_targets(self):
        """Return what is needed to predict: no values of the training data."""
        return replace(self, pairs=(), values=np.empty(0))

    def output(self, users, items):
        """Numbers of the head for pairs of vectors.

        Parameters
        ----------
        users, items : ndarray of shape (n_pairs, d)

        Returns
        -------
        ndarray of shape (n_pairs, n_outputs), float64
            Predictions of the target, or log-odds of the classes.
        """
        weights, biases = self.head
        numbers = np.concatenate(pair_features(users.astype(np.float64), items.astype(np.float64)), axis=1)
        outputs = numbers @ weights.T + biases
        return outputs * self.scale + self.mean if self.kind == "regression" else outputs


def check_tasks(tasks, weights):
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


def read_task(rows, name, kind, weight):
    """Read a target column.

    Rows of equal pairs count as one: with their mean number, or their most frequent label. Missing values are left
    out: a task learns from the rows that have one.

    Parameters
    ----------
    rows : InteractionRows
    name : str or int
        Column of X.
    kind : {"regression", "classification"}
    weight : float

    Returns
    -------
    Task

    Raises
    ------
    ValueError
        If the column does not exist, holds no value at all, or for a regression anything but finite numbers.
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
        return Task(name, kind, weight, pairs, (numbers - mean) / scale, None, float(mean), float(scale))
    classes, codes = _classes(values, name)
    counts = np.zeros((len(distinct), len(classes)))
    np.add.at(counts, (places, codes), 1)
    return Task(name, kind, weight, pairs, counts.argmax(axis=1), classes)


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
    return numbers


def _classes(values, name):
    labels = np.array(values.tolist())  # numbers, strings or truth values
    if labels.dtype == object or (labels.dtype.kind in "US" and not all(isinstance(value, str) for value in values)):
        raise ValueError(f"tasks: column {name!r} mixes kinds of labels, e.g. {shown(values[0])}: make all strings")
    return np.unique(labels, return_inverse=True)
