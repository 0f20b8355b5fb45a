"""InteractionFilter against naive loops over rows, and what it says of what it removed."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone

from skllmrec.preprocessing import InteractionFilter


def naive(rows, *, start, end, which, threshold, min_user, min_item):
    """The rows (user, item, time, y, position) that stay, one by one."""
    rows = [row for row in rows if start <= row[2] < end]
    pairs = {}
    for row in sorted(rows, key=lambda row: (row[2], row[4])):
        if which == "last" or row[:2] not in pairs:
            pairs[row[:2]] = row
    rows = [row for row in pairs.values() if row[3] >= threshold]
    while True:
        users, items = [row[0] for row in rows], [row[1] for row in rows]
        left = [row for row in rows if users.count(row[0]) >= min_user and items.count(row[1]) >= min_item]
        if left == rows:
            return sorted(row[4] for row in rows)
        rows = left


@pytest.mark.parametrize("which", ["last", "first"])
@pytest.mark.parametrize("seed", range(5))
def test_equals_the_naive_loop(which, seed):
    rng = np.random.default_rng(seed)
    users, items = rng.integers(0, 20, 800), rng.integers(0, 30, 800)
    times, y = rng.integers(0, 50, 800), rng.integers(1, 6, 800)
    rows = list(zip(users.tolist(), items.tolist(), times.tolist(), y.tolist(), range(800), strict=True))
    wanted = naive(rows, start=5, end=45, which=which, threshold=3, min_user=7, min_item=5)
    assert 0 < len(wanted) < 500
    step = InteractionFilter(
        time=2, start=5, end=45, duplicates=which, threshold=3, min_user_interactions=7, min_item_interactions=5
    )
    X = np.stack([users, items, times], axis=1)
    X_kept, y_kept = step.fit_resample(X, y)
    assert step.sample_indices_.tolist() == wanted
    assert np.array_equal(X_kept, X[wanted])
    assert y_kept is None
    assert step.report_[-1]["rows"] == len(wanted)
    assert sum(entry.get("removed", 0) for entry in step.report_) == 800 - len(wanted)
    assert step.report_[-1]["users"] == len(set(users[wanted]))


def test_sums_and_means_go_to_the_last_row():
    X = [["a", 1], ["b", 1], ["a", 1], ["a", 2]]
    loose = {"min_user_interactions": 1, "min_item_interactions": 1}
    for how, wanted in (("sum", [5.0, 4.0, 7.0]), ("mean", [5.0, 2.0, 7.0])):
        step = InteractionFilter(duplicates=how, **loose)
        X_kept, y_kept = step.fit_resample(X, [1, 5, 3, 7])
        assert (X_kept, y_kept.tolist()) == ([["b", 1], ["a", 1], ["a", 2]], wanted)
    assert InteractionFilter(duplicates="keep", **loose).fit_resample(X)[0] == X


def test_ratings_stay_where_no_threshold_takes_them():
    y = np.array([1.0, 2.0])
    step = InteractionFilter(min_user_interactions=1, min_item_interactions=1)
    assert step.fit_resample([["a", 1], ["b", 1]], y)[1].tolist() == [1.0, 2.0]
    assert y.tolist() == [1.0, 2.0]


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame], ids=["pandas", "polars"])
def test_frames_and_dates(frame):
    X = frame(
        {"u": ["a", "a", "b"], "i": [1, 2, 1], "t": np.array(["2001-01-01", "2001-02-01", "2001-03-01"], "M8[us]")}
    )
    step = InteractionFilter(
        user="u",
        item="i",
        time="t",
        start="2001-01-15",
        end="2001-03-01",
        min_user_interactions=1,
        min_item_interactions=1,
    )
    kept, _ = step.fit_resample(X)
    assert isinstance(kept, frame)
    assert kept["i"].to_list() == [2]


def test_says_what_it_removed(capsys):
    X = [["ann", 1], ["ann", 2], ["bob", 1], ["bob", 2], ["bob", 2], ["cid", 3]]
    step = InteractionFilter(min_user_interactions=2, min_item_interactions=2, verbose=True)
    clone(step).fit_resample(X)
    printed = capsys.readouterr().out.split("\n")
    assert printed[0].split() == ["step", "removed", "rows", "users", "items"]
    assert [line.split() for line in printed[1:4]] == [
        ["start", "6", "3", "3"],
        ["duplicates", "1", "5", "3", "3"],
        ["k-core", "1", "4", "2", "2"],
    ]


@pytest.mark.parametrize(
    ("parameters", "y", "error", "says"),
    [
        ({"threshold": 3}, None, ValueError, "threshold=3 needs y"),
        ({"duplicates": "sum"}, None, ValueError, "duplicates='sum' needs y"),
        ({"start": 3}, None, ValueError, "set time="),
        ({"time": 1, "start": "monday"}, None, TypeError, "cannot be compared with 'monday'"),
        ({"user": "who"}, None, ValueError, "who"),
        ({"min_user_interactions": 0}, None, ValueError, "min_user_interactions"),
        ({}, None, ValueError, "no row is left after the step 'k-core', of 3 rows"),
        ({"threshold": 9.0}, [1, 2, 3], ValueError, "no row is left after the step 'threshold'"),
        ({}, [1, 2], ValueError, "inconsistent numbers of samples"),
        ({}, [1, 2, np.nan], ValueError, "y contains NaN"),
    ],
    ids=["threshold", "sum", "window", "bound", "column", "k", "empty core", "empty", "length", "nan"],
)
def test_bad_input(parameters, y, error, says):
    step = InteractionFilter(**parameters)
    with pytest.raises(error, match=says):
        step.fit_resample(np.array([[0, 1], [1, 2], [1, 3]]), y)
    assert not hasattr(step, "report_")
