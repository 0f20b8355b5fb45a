"""Interactions as rows and as a matrix."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse

from skllmrec import interactions_from_matrix, matrix_from_interactions

R = np.array([[5.0, 0.0, 1.0], [0.0, 0.0, 0.0], [4.0, 2.0, 0.0]])
USERS, ITEMS = ["ann", "bob", "cid"], [30, 10, 20]
FORMS = {
    "csr_matrix": sparse.csr_matrix,
    "csr_array": sparse.csr_array,
    "csc": sparse.csc_matrix,
    "coo": sparse.coo_array,
    "lil": sparse.lil_matrix,
    "dok": sparse.dok_array,
    "dense": np.asarray,
    "list": np.ndarray.tolist,
    "NaN": lambda dense: np.where(dense == 0, np.nan, dense),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_rows_are_the_entries(form):
    X, y = interactions_from_matrix(form(R), USERS, ITEMS)
    expected = [[USERS[u], ITEMS[i]] for u in range(3) for i in range(3) if R[u, i]]
    assert sorted(map(tuple, X)) == sorted(map(tuple, expected))
    assert all(R[USERS.index(user), ITEMS.index(item)] == value for (user, item), value in zip(X, y, strict=True))
    positions, _ = interactions_from_matrix(form(R))
    assert positions.dtype == np.int64
    assert_array_equal(positions, np.argwhere(R != 0))


@pytest.mark.parametrize("form", ["csr_matrix", "csr_array", "coo", "dense"])
def test_there_and_back(form):
    X, y = interactions_from_matrix(FORMS[form](R), USERS, ITEMS)
    back, users, items = matrix_from_interactions(X, y, users=USERS, items=ITEMS)
    assert_array_equal(back.toarray(), R)
    assert users.tolist() == USERS and items.tolist() == ITEMS
    smaller, users, items = matrix_from_interactions(X, y)
    assert users.tolist() == ["ann", "cid"] and items.tolist() == [10, 20, 30]
    assert_array_equal(smaller.toarray(), R[[0, 2]][:, [1, 2, 0]])


def test_the_matrix_is_not_changed_and_duplicates_are_summed():
    twice = sparse.coo_array(([1.0, 2.0, 0.0], ([0, 0, 1], [1, 1, 0])), shape=(2, 2))
    X, y = interactions_from_matrix(twice)
    assert X.tolist() == [[0, 1], [1, 0]] and y.tolist() == [3.0, 0.0], "a stored zero is observed"
    assert twice.nnz == 3
    unsorted = sparse.csr_matrix(([1.0, 2.0], [1, 0], [0, 2]), shape=(1, 2))
    interactions_from_matrix(unsorted)
    assert unsorted.indices.tolist() == [1, 0]


def test_integer_entries_and_frames():
    X, y = interactions_from_matrix(sparse.csr_array(R.astype(np.int8)))
    assert y.dtype == np.float64 and len(X) == 4
    pivot = pd.DataFrame(R, index=pd.Index(USERS, name="user"), columns=pd.Index(ITEMS, name="item"))
    X, _ = interactions_from_matrix(pivot)
    assert X.tolist() == [["ann", 30], ["ann", 20], ["cid", 30], ["cid", 10]]
    frame = pd.DataFrame({"who": ["ann", "ann"], "what": [1, 1], "stars": [1.0, 2.0]})
    back, users, items = matrix_from_interactions(frame, frame["stars"], user="who", item="what")
    assert back.toarray().tolist() == [[3.0]] and users.tolist() == ["ann"] and items.tolist() == [1]


WRONG = {
    "one id too few": (lambda: interactions_from_matrix(R, ["ann"]), ValueError, "users has 1 ids for 3 rows"),
    "twice": (lambda: interactions_from_matrix(R, items=[1, 2, 1]), ValueError, "items has 1 twice.* position 2"),
    "text": (lambda: interactions_from_matrix([["a", "b"]]), TypeError, "R must be a matrix of numbers"),
    "one dimension": (lambda: interactions_from_matrix([1.0, 2.0]), ValueError, r"two dimensions.*got shape \(2,\)"),
    "inf": (
        lambda: interactions_from_matrix(sparse.csr_array([[0.0, np.inf]]), items=["a", "b"]),
        ValueError,
        "R has inf for user 0 and item 'b'",
    ),
    "stored NaN": (lambda: interactions_from_matrix(sparse.csr_array([[np.nan]])), ValueError, "R has nan for user 0"),
    "unknown": (
        lambda: matrix_from_interactions([["a", "b"]], items=["c"]),
        ValueError,
        "item column 1 has 'b' at position 0 .1 rows in total., which is not among items",
    ),
    "another kind": (lambda: matrix_from_interactions([["a", "b"]], items=[1]), TypeError, "are strings, e.g. 'b'"),
    "y too short": (lambda: matrix_from_interactions([["a", "b"]], [1, 2]), ValueError, r"y has shape \(2,\)"),
    "y NaN": (lambda: matrix_from_interactions([["a", "b"]], [np.nan]), ValueError, "y has nan at position 0"),
}


@pytest.mark.parametrize(("call", "error", "message"), WRONG.values(), ids=WRONG)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()
