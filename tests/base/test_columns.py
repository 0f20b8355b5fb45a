"""Column keys: resolved on the X of fit, read from a later X by name or by position."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_array_equal
from sklearn.compose import make_column_selector

from skllmrec.base._columns import ColumnKey

FRAME = pd.DataFrame({"u": [1, 2], "i": [3, 4], "title": ["a", "b"], "year": [1990.0, 2000.0]})


@pytest.mark.parametrize(
    ("key", "positions"),
    [
        ("title", [2]),
        (-1, [3]),
        (["year", "title"], [3, 2]),
        (slice("title", "year"), [2, 3]),
        (slice(2, 4), [2, 3]),
        ([False, False, True, False], [2]),
        (make_column_selector(dtype_include="number"), [0, 1, 3]),
        (lambda X: [name for name in X.columns if name.startswith("t")], [2]),
    ],
)
def test_every_kind_of_key(key, positions):
    resolved = ColumnKey.resolve(FRAME, key, name="item_features")
    assert_array_equal(resolved.positions, positions)
    assert resolved.scalar == isinstance(key, str | int), "one column as a scalar is read one-dimensional"
    assert_array_equal(resolved.read(FRAME), FRAME.iloc[:, positions[0] if resolved.scalar else positions])


def test_later_frame_is_read_by_name():
    key = ColumnKey.resolve(FRAME, "title", name="item_features")
    shuffled = FRAME[["title", "u"]]
    assert key.found_in(shuffled) and not key.found_in(FRAME[["u", "i", "year"]])
    assert_array_equal(key.read(shuffled), ["a", "b"])
    assert_array_equal(key.read(pl.DataFrame({"x": [0, 0], "title": ["c", "d"]})), ["c", "d"])
    assert_array_equal(key.read(FRAME.to_numpy()), ["a", "b"], err_msg="an array is read by position")


def test_frame_without_string_names_is_read_by_position():
    frame = pd.DataFrame({7: [1, 2], 5: [3, 4]})
    key = ColumnKey.resolve(frame, 1, name="item")
    assert_array_equal(key.read(frame), [3, 4])


@pytest.mark.parametrize(
    ("X", "key", "message"),
    [
        (FRAME, "text", r"item_features='text' does not select columns of X: its columns are \['u', .*'year'\]"),
        (FRAME, ["title", "text"], r"item_features=\['title', 'text'\] does not select columns"),
        (FRAME, 4, "item_features=4 does not select columns of X"),
        (FRAME.to_numpy(), "title", "item_features='title' does not select columns of X: it has 4 unnamed columns"),
        (FRAME, [], r"item_features=\[\] selects no column"),
    ],
)
def test_key_that_selects_nothing(X, key, message):
    with pytest.raises(ValueError, match=message):
        ColumnKey.resolve(X, key, name="item_features")


def test_column_missing_later():
    key = ColumnKey.resolve(FRAME, ["title", "year"], name="item_features")
    with pytest.raises(ValueError, match=r"columns \['title', 'year'\] are needed here, but X has \['title'\]"):
        key.read(FRAME[["title"]])
    with pytest.raises(ValueError, match=r"columns \[2, 3\] are needed here, but X has 3 unnamed columns"):
        key.read(np.zeros((2, 3)))
