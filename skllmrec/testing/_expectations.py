"""Assertions of the checks; they are functions, because ``python -O`` removes assert statements."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

from skllmrec._typing import Array, ArrayLike, Estimator
from skllmrec.testing._group_data import N_ITEMS, N_USERS, GroupData

TOLERANCE: dict[str, Any] = {"rtol": 1e-5, "atol": 1e-5}  # factors may be float32


def require(condition: object, message: str) -> None:
    """Raise an AssertionError with the message unless the condition is true.

    Raises
    ------
    AssertionError
        If the condition is false.
    """
    if not condition:
        raise AssertionError(message)


def expect_error(error: type[Exception], call: Callable[[], object], *words: object) -> None:
    """Require that a call raises an error whose message contains all the words.

    Raises
    ------
    AssertionError
        If the call does not raise the error, or its message lacks a word.
    """
    try:
        call()
    except error as raised:
        missing = [word for word in words if str(word) not in str(raised)]
        require(not missing, f"the message {str(raised)!r} does not name {missing}")
    else:
        raise AssertionError(f"no {error.__name__} was raised; its message should name {list(words)}")


def all_results(model: Estimator, data: GroupData) -> tuple[Array, Array, Array]:
    """Compute the predictions of all pairs, with a new user and a new item, and recommend to all users."""
    users, items = np.divmod(np.arange((N_USERS + 1) * (N_ITEMS + 1)), N_ITEMS + 1)
    scores = model.predict(data.rows(users, items))
    ids, best_scores = model.recommend(data.ids("user", np.arange(N_USERS)), n_items=3)
    return scores, ids, best_scores


def require_same(model: Estimator, other: Estimator, data: GroupData, message: str) -> None:
    """Require that two fitted recommenders give the same results."""
    for actual, expected in zip(all_results(model, data), all_results(other, data), strict=True):
        if actual.dtype == object or actual.dtype.kind in "iu":
            assert_array_equal(actual, expected, err_msg=message)
        else:
            assert_allclose(actual, expected, **TOLERANCE, err_msg=message)


def require_finite(model: Estimator, data: GroupData, users: ArrayLike, items: ArrayLike) -> None:
    """Require that all scores of pairs of users and items are finite."""
    require(np.isfinite(model.predict(data.rows(users, items))).all(), "predict returned NaN or inf")
    _, scores = model.recommend(data.ids("user", np.unique(users)), n_items=1, exclude_seen=False)
    require(np.isfinite(scores).all(), "recommend returned scores that are NaN or inf")
