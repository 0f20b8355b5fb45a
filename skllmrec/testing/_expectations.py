"""What checks say: conditions, errors, equal and finite results; statements of `assert` would vanish under -O."""

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

from skllmrec.testing._tribes import N_ITEMS, N_USERS

TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}  # factors may be float32


def require(condition, message):
    """Raise an AssertionError with the message unless the condition holds.

    Raises
    ------
    AssertionError
        If the condition does not hold.
    """
    if not condition:
        raise AssertionError(message)


def expect_error(error, call, *words):
    """Call, and require that it raises an error whose message holds all the words.

    Raises
    ------
    AssertionError
        If no such error is raised, or its message lacks a word.
    """
    try:
        call()
    except error as raised:
        missing = [word for word in words if str(word) not in str(raised)]
        require(not missing, f"the message {str(raised)!r} does not name {missing}")
    else:
        raise AssertionError(f"no {error.__name__} was raised; its message should name {list(words)}")


def everything(model, data):
    """Predictions of all pairs, with a new user and a new item, and the lists of all users."""
    users, items = np.divmod(np.arange((N_USERS + 1) * (N_ITEMS + 1)), N_ITEMS + 1)
    scores = model.predict(data.rows(users, items))
    return scores, *model.recommend(data.ids("user", np.arange(N_USERS)), n_items=3)


def require_same(model, other, data, why):
    """Require that two fitted recommenders give the same results."""
    for mine, its in zip(everything(model, data), everything(other, data), strict=True):
        if mine.dtype == object or mine.dtype.kind in "iu":
            assert_array_equal(mine, its, err_msg=why)
        else:
            assert_allclose(mine, its, **TOLERANCE, err_msg=why)


def require_finite(model, data, users, items):
    """Require that everything that can be asked about some users and items is finite."""
    require(np.isfinite(model.predict(data.rows(users, items))).all(), "predict returned NaN or inf")
    _, scores = model.recommend(data.ids("user", np.unique(users)), n_items=1, exclude_seen=False)
    require(np.isfinite(scores).all(), "recommend returned scores that are NaN or inf")
