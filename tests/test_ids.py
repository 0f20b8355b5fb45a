"""Ids of any container and dtype, compared by value."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_array_equal

from skllmrec._ids import IdIndex, column, missing_id, normalise_ids, shown

NUMBERS = [
    [3, 1, 2],
    np.array([3, 1, 2], dtype=np.uint8),
    np.array([3.0, 1.0, 2.0], dtype=np.float32),
    np.array([3, 1, 2], dtype=object),
    pd.Series([3, 1, 2], dtype="Int64"),
    pd.Series([3, 1, 2], dtype="category"),
    pl.Series([3, 1, 2]),
    pl.Series([3.0, 1.0, 2.0]),
]
STRINGS = [
    ["c", "a", "b"],
    np.array(["c", "a", "b"]),
    np.array(["c", "a", "b"], dtype=object),
    np.array([np.str_("c"), "a", "b"], dtype=object),
    pd.Series(["c", "a", "b"]),
    pd.Series(["c", "a", "b"], dtype="category"),
    pl.Series(["c", "a", "b"]),
    pl.Series(["c", "a", "b"], dtype=pl.Categorical),
    pl.Series(["c", "a", "b"], dtype=pl.Enum(["a", "b", "c"])),
]


def of(values):
    return f"{type(values).__module__.partition('.')[0]}-{getattr(values, 'dtype', 'list')}"


@pytest.mark.parametrize("values", NUMBERS, ids=of)
def test_whole_numbers_become_int64(values):
    ids = normalise_ids(values)
    assert ids.dtype == np.int64
    assert_array_equal(ids, [3, 1, 2])


@pytest.mark.parametrize("values", STRINGS, ids=of)
def test_strings_become_objects(values):
    ids = normalise_ids(values)
    assert ids.dtype == object and all(type(value) is str for value in ids)
    assert ids.tolist() == ["c", "a", "b"]


def test_other_numbers():
    assert_array_equal(normalise_ids([0.5, 2]), [0.5, 2.0])
    assert normalise_ids([True, False]).tolist() == [1, 0]
    large = normalise_ids([2**62 + 1, 2**62])
    assert large.tolist() == [2**62 + 1, 2**62], "large integers are not rounded by way of floats"
    assert normalise_ids([]).shape == (0,)


@pytest.mark.parametrize(
    ("values", "position"),
    [
        ([1.0, np.nan], 1),
        ([None, "a"], 0),
        ([1, None], 1),
        ([1.0, 2.0, np.inf], 2),
        (pd.Series([1, None], dtype="Int64"), 1),
        (pd.Series(["a", None], dtype="category"), 1),
        (pl.Series(["a", None]), 1),
        (pl.Series([1, None]), 1),
        (pd.Series(["a", pd.NA], dtype="string"), 1),
        ([1, pd.NA], 1),
    ],
    ids=str,
)
def test_missing_id_says_where(values, position):
    with pytest.raises(ValueError, match=rf"users has a missing id .* at position {position}.*: remove"):
        normalise_ids(values, name="users")


@pytest.mark.parametrize("number", [2**63, 2**64 - 1, 2**70, -(2**63) - 1])
def test_whole_numbers_that_int64_cannot_hold_never_become_others(number):
    containers = [list, lambda ids: np.array(ids, dtype=object)]
    if 0 < number < 2**64:
        containers += [lambda ids: np.array(ids, dtype=np.uint64), lambda ids: pl.Series(ids, dtype=pl.UInt64)]
    for container in containers:
        with pytest.raises(ValueError, match=rf"users has {number} at position 1, .*astype\(str\)"):
            normalise_ids(container([3, number]), name="users")


def test_the_largest_whole_numbers_stay_what_they_are():
    limits = [-(2**63), 2**63 - 1]
    assert normalise_ids(limits).tolist() == limits
    assert normalise_ids(np.array([5, 2**63 - 1], dtype=np.uint64)).tolist() == [5, 2**63 - 1]


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ("ann", ValueError, r"users is the string 'ann': pass a list, such as \['ann'\]"),
        (3, ValueError, r"users is the single value 3: pass a list, such as \[3\]"),
        ([["a"], ["b"]], ValueError, r"users must be one-dimensional, got shape \(2, 1\)"),
        (
            [1, "a"],
            TypeError,
            r"users mixes strings and numbers, 'a' at position 1 and 1 at position 0: .*astype\(str\)",
        ),
        ([1, {}], TypeError, r"users: argument must be a string or a number, got dict at position 1"),
        (np.array([1 + 2j]), ValueError, "Complex data not supported"),
    ],
)
def test_what_is_no_list_of_ids(values, error, message):
    with pytest.raises(error, match=message):
        normalise_ids(values, name="users")


def test_column_by_name_or_position():
    frame = pd.DataFrame({"u": ["a", "b"], "i": [2, 1]})
    assert column(frame, "u").tolist() == column(frame, 0).tolist() == column(frame, -2).tolist() == ["a", "b"]
    assert column(frame.to_numpy(), 1).tolist() == column(frame.to_numpy().tolist(), 1).tolist() == [2, 1]
    with pytest.raises(ValueError, match=r"user='x' is not a column of X; its columns are \['u', 'i'\]"):
        column(frame, "x", name="user")
    with pytest.raises(ValueError, match=r"user='u' names 2 columns of X: keep one of them"):
        column(pd.concat([frame, frame], axis=1), "u", name="user")
    with pytest.raises(ValueError, match=r"user='u' names a column, but X is a ndarray without column names"):
        column(frame.to_numpy(), "u", name="user")
    with pytest.raises(ValueError, match=r"user=2 is not a position of a column of X, which has 2 columns"):
        column(frame, 2, name="user")


@pytest.mark.parametrize("ids", [[7, 3, 9], [0.5, -1.0, 3.0], ["b", "c", "a"]], ids=str)
def test_positions(ids):
    ids = normalise_ids(ids)
    index, codes = IdIndex.from_values(ids[[0, 1, 0, 2]])
    assert index.ids.tolist() == sorted(ids.tolist())
    assert_array_equal(index.ids[codes], ids[[0, 1, 0, 2]])
    assert_array_equal(IdIndex(ids).encode(ids[::-1]), [2, 1, 0])
    absent = "zz" if ids.dtype == object else 99
    assert_array_equal(IdIndex(ids).encode([absent, ids[1]]), [-1, 1])
    assert_array_equal(IdIndex(ids).encode(ids[:0]), [])
    assert_array_equal(IdIndex(ids[:0]).encode(ids), [-1, -1, -1])
    again = pickle.loads(pickle.dumps(index))  # noqa: S301 - own bytes
    assert_array_equal(again.encode(ids), index.encode(ids))


def test_numbers_equal_by_value_and_never_a_string():
    index = IdIndex(normalise_ids([1, 2]))
    assert_array_equal(index.encode([2.0, 1.5]), [1, -1])
    assert_array_equal(index.encode(["1", "2"]), [-1, -1])
    assert_array_equal(IdIndex(normalise_ids([0.5, 2])).encode([2]), [1])


def test_extended_appends_the_unknown_in_sorted_order():
    index = IdIndex(normalise_ids(["b", "a"]))
    extended = index.extended(["d", "a", "c", "d"])
    assert extended.ids.tolist() == ["b", "a", "c", "d"]
    assert index.ids.tolist() == ["b", "a"], "the index itself stays"
    assert index.extended([]).ids.tolist() == ["b", "a"]
    assert IdIndex(normalise_ids([1])).extended([0.5]).ids.tolist() == [1.0, 0.5]
    with pytest.raises(
        TypeError,
        match=r"ids are numbers, e.g. 1, but fit saw strings, e.g. 'b': a string never equals a number, convert",
    ):
        index.extended([1, 2])


def test_missing_ids_and_how_ids_are_shown():
    assert missing_id(normalise_ids(["a"])) is None
    assert missing_id(normalise_ids([1])) == np.iinfo(np.int64).min
    assert np.isnan(missing_id(normalise_ids([0.5])))
    assert [shown(np.int64(7)), shown(np.float64(0.5)), shown("a")] == ["7", "0.5", "'a'"]


LARGE = 76561198070234017


@pytest.mark.parametrize(
    ("values", "shown_value", "position"),
    [
        (np.array([1.0, 2.0**53]), 2**53, 1),
        ([float(LARGE), LARGE], int(float(LARGE)), 0),
        (np.array([3.0, -(2.0**60)]), -(2**60), 1),
        (pd.Series([7, LARGE, None]).dropna(), int(float(LARGE)), 1),
        (pl.Series([1.0, float(LARGE)]), int(float(LARGE)), 1),
        (np.array([1, 2**24], dtype=np.float32), 2**24, 1),
        ([1, np.float32(2**24)], 2**24, 1),
        (np.array([0.5, 2.0**53]), 2**53, 1),
    ],
)
def test_floats_that_stand_for_several_whole_numbers_are_refused(values, shown_value, position):
    with pytest.raises(
        ValueError, match=rf"users has {shown_value} at position {position} .*read the column as text or Int64"
    ):
        normalise_ids(values, name="users")


def test_large_whole_numbers_beside_fractions_are_refused():
    with pytest.raises(ValueError, match=rf"users has {2**60 + 1} at position 0 beside 0.5 at position 2: .*Int64"):
        normalise_ids([2**60 + 1, 2**60 + 2, 0.5], name="users")
    assert normalise_ids([2**60 + 1, 2**60 + 2, 3.0]).tolist() == [2**60 + 1, 2**60 + 2, 3]
    with pytest.raises(ValueError, match=r"beside 0.5"):
        IdIndex(normalise_ids([2**60 + 1])).extended([0.5])
    with pytest.raises(ValueError, match=r"beside"):
        IdIndex(normalise_ids([0.5])).extended([2**60 + 1])


def test_the_largest_floats_that_are_exact_stay_ids():
    assert normalise_ids([2.0**53 - 1]).tolist() == [2**53 - 1]
    assert normalise_ids(np.array([2**24 - 1], dtype=np.float32)).tolist() == [2**24 - 1]
