"""Every private or moving scikit-learn name the package uses, in one place."""

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from sklearn.base import _fit_context as fit_context
from sklearn.utils import _safe_indexing, get_tags
from sklearn.utils._indexing import _get_column_indices
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils._set_output import _get_output_config
from sklearn.utils.metaestimators import _BaseComposition as BaseComposition
from sklearn.utils.validation import _check_feature_names as check_feature_names
from sklearn.utils.validation import _check_feature_names_in as check_feature_names_in
from sklearn.utils.validation import _check_n_features as check_n_features
from sklearn.utils.validation import _check_sample_weight as check_sample_weight
from sklearn.utils.validation import _num_samples as num_rows
from sklearn.utils.validation import validate_data

try:  # scikit-learn >= 1.9
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Empty class for versions of scikit-learn without callbacks."""

    def with_callbacks(method):
        """Return the method unchanged: there are no callbacks to tear down."""
        return method


__all__ = [
    "BaseComposition",
    "CallbackSupportMixin",
    "HasMethods",
    "Interval",
    "StrOptions",
    "all_or_nothing",
    "changing_thread",
    "check_feature_names",
    "check_feature_names_in",
    "check_n_features",
    "check_sample_weight",
    "column_positions",
    "fit_context",
    "fit_progress",
    "get_tags",
    "is_frame",
    "n_changes",
    "num_rows",
    "output_container",
    "take_columns",
    "take_named_column",
    "take_rows",
    "validate_data",
    "with_callbacks",
    "with_types",
    "without_callbacks",
]

# attributes that scikit-learn sets on an estimator from the start of a fit to the teardown of its callbacks
_CALLBACK_STATE = ("_callback_fit_ctx", "_skl_callbacks_to_teardown")


class _Changes:
    """Which estimators a method is changing right now, and how many such calls there have been."""

    def __init__(self):
        self.n_begun = 0
        self._lock = threading.Lock()
        self._threads: dict[int, int] = {}

    @contextmanager
    def __call__(self, estimator):
        key = id(estimator)
        with self._lock:
            self.n_begun += 1
            outer = key in self._threads  # fit calls fit of a base class
            self._threads.setdefault(key, threading.get_ident())
        try:
            yield
        finally:
            if not outer:
                with self._lock:
                    del self._threads[key]

    def thread(self, estimator):
        return self._threads.get(id(estimator))


_changes = _Changes()


def changing_thread(estimator: Any) -> int | None:
    """Identity of the thread in which a method with `all_or_nothing` is changing an estimator, None without one."""
    return _changes.thread(estimator)


def n_changes() -> int:
    """Count the calls, in this process, of methods with `all_or_nothing` that have begun."""
    return _changes.n_begun


def all_or_nothing(method: Callable[..., Any]) -> Callable[..., Any]:
    """Make a method of an estimator leave all attributes as they were if it fails or is interrupted."""

    @functools.wraps(method)
    def wrapper(estimator, *args, **kwargs):
        before, state = dict(vars(estimator)), vars(estimator)
        try:
            with _changes(estimator):
                return method(estimator, *args, **kwargs)
        except BaseException:
            ongoing = {name: state[name] for name in _CALLBACK_STATE if name in state}
            state.clear()
            state.update(before | ongoing)
            raise

    return wrapper


def is_frame(X: Any) -> bool:
    """Whether X is a dataframe of any library (it has named columns)."""
    return hasattr(X, "columns") and hasattr(X, "shape") and len(X.shape) == 2


def with_types(X: Any) -> Any:
    """Convert lists of numbers and texts to an array of objects; numpy would convert all cells to texts."""
    if not isinstance(X, list | tuple) or not all(isinstance(row, list | tuple) for row in X):
        return X
    kinds = {isinstance(cell, str) for row in X for cell in row}
    return X if len(kinds) < 2 or len({len(row) for row in X}) > 1 else np.array(X, dtype=object)


def take_rows(X: Any, rows: np.ndarray) -> Any:
    """Rows of an array, sparse matrix, list, Series or frame by position, in the given order."""
    return _safe_indexing(X, rows, axis=0)


def take_columns(X: Any, key: Any) -> Any:
    """Columns of an array, sparse matrix or frame; a scalar key gives one dimension, a list two."""
    return _safe_indexing(X, key, axis=1)


def take_named_column(X: Any, key: Any, *, name: str) -> Any:
    """Column of a frame, an array or rows; the error where there is none says which parameter names it.

    Raises
    ------
    ValueError
        If X has no such column.
    """
    X = X if hasattr(X, "shape") else np.asarray(X, dtype=object)
    try:
        return take_columns(X, key)
    except (ValueError, IndexError, KeyError) as error:
        has = f"its columns are {list(X.columns)}" if is_frame(X) else f"it has {X.shape[1]} unnamed columns"
        raise ValueError(f"{name}={key!r} is not a column of X: {has}") from error


def column_positions(X: Any, key: Any) -> np.ndarray:
    """Positions of the columns that a scikit-learn column key (name, position, list, slice, mask) selects."""
    return np.asarray(_get_column_indices(X, key), dtype=np.intp)


def output_container(estimator: Any) -> str:
    """Return what `transform` of an estimator gives: "default" (an array), "pandas" or "polars"."""
    return _get_output_config("transform", estimator)["dense"]


def without_callbacks(estimator: Any) -> Any:
    """Remove scikit-learn's callbacks from a copy of an estimator whose fit is a step of another one."""
    for name in ("_skl_callbacks", "_parent_callback_ctx", *_CALLBACK_STATE):
        vars(estimator).pop(name, None)
    return estimator


@contextmanager
def fit_progress(estimator: Any, max_iter: int, X: Any, y: Any) -> Iterator[Callable[..., Any] | None]:
    """Report the iterations of a fit to scikit-learn's callbacks.

    Yields a function ``report(attributes)``, called after each iteration with a function that returns the attributes
    the estimator has at this point of the fit; it returns True when a callback asks to stop. Without callbacks, None is
    yielded.
    """
    if not getattr(estimator, "_skl_callbacks", None) and not hasattr(estimator, "_parent_callback_ctx"):
        yield None
        return
    root = estimator._init_callback_context(max_subtasks=max_iter)
    root.call_on_fit_task_begin(estimator=estimator, X=X, y=y)

    def report(attributes):
        task = root.subcontext(task_name="iteration")
        task.call_on_fit_task_begin(estimator=estimator, X=X, y=y)
        return task.call_on_fit_task_end(estimator=estimator, X=X, y=y, reconstruction_attributes=attributes)

    yield report
    root.call_on_fit_task_end(estimator=estimator, X=X, y=y)
