"""Splitters: partition, disjointness, balance, order in time, invariance to the type of ids, errors."""

import datetime
from itertools import pairwise

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.dummy import DummyRegressor
from sklearn.model_selection import GridSearchCV, cross_val_score

from skllmrec.model_selection import ColdItemKFold, ColdUserKFold, LeaveLastOut, PerUserKFold, TemporalSplit

ROWS = st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8), st.integers(0, 12)), min_size=2, max_size=60).map(
    lambda rows: np.array(rows, dtype=np.int64)
)
SEEDS = st.integers(0, 2**32 - 1)
SPLITTERS = [
    PerUserKFold(3, user=0, random_state=0),
    ColdItemKFold(3, item=1, random_state=0),
    ColdUserKFold(3, user=0, random_state=0),
    LeaveLastOut(user=0, time=2),
    TemporalSplit(time=2, test_size=0.2, n_splits=2),
]


def make_rows(seed=0, n=400, n_users=40, n_items=60):
    """Rows (user, item, time) with a popular head and a long tail; time has ties."""
    rng = np.random.default_rng(seed)
    users = (n_users * rng.random(n) ** 2).astype(int)
    items = (n_items * rng.random(n) ** 3).astype(int)
    return np.column_stack([users, items, rng.integers(0, 100, n)])


def splits_or_error(splitter, X):
    """The splits as lists, or the message of the error."""
    try:
        return [(train.tolist(), test.tolist()) for train, test in splitter.split(X)]
    except ValueError as error:
        return str(error)


def assert_partition(splits, n, n_splits):
    assert len(splits) == n_splits
    for train, test in splits:
        assert len(test) > 0
        assert sorted(train + test) == list(range(n))
        assert train == sorted(train)
        assert test == sorted(test)
    assert sorted(row for _, test in splits for row in test) == list(range(n))


@settings(deadline=None)
@given(rows=ROWS, n_splits=st.integers(2, 6), shuffle=st.booleans(), seed=SEEDS)
def test_per_user_folds_are_balanced_and_keep_users_in_training(rows, n_splits, shuffle, seed):
    splitter = PerUserKFold(n_splits, shuffle=shuffle, random_state=seed if shuffle else None)
    users, counts = np.unique(rows[:, 0], return_counts=True)
    if n_splits > len(rows) or counts.max() == 1:
        with pytest.raises(ValueError, match=r"exceeds the|no user has two rows"):
            next(splitter.split(rows))
        return
    splits = splits_or_error(splitter, rows)
    assert_partition(splits, len(rows), n_splits)
    sizes = [len(test) for _, test in splits]
    assert max(sizes) - min(sizes) <= 1
    for user, count in zip(users, counts, strict=True):
        per_fold = [int((rows[test, 0] == user).sum()) for _, test in splits]
        assert max(per_fold) - min(per_fold) <= 1
        if count >= 2:
            assert all(user in rows[train, 0] for train, _ in splits)


@settings(deadline=None)
@given(rows=ROWS, n_splits=st.integers(2, 6), seed=SEEDS, side=st.sampled_from([0, 1]))
def test_cold_folds_are_disjoint_and_balanced(rows, n_splits, seed, side):
    make = (
        (lambda: ColdUserKFold(n_splits, random_state=seed))
        if side == 0
        else (lambda: ColdItemKFold(n_splits, random_state=seed))
    )
    counts = np.unique(rows[:, side], return_counts=True)[1]
    if n_splits > len(counts):
        with pytest.raises(ValueError, match=f"exceeds the {len(counts)} (users|items)"):
            next(make().split(rows))
        return
    splits = splits_or_error(make(), rows)
    assert_partition(splits, len(rows), n_splits)
    for train, test in splits:
        assert not set(rows[train, side]) & set(rows[test, side])
    sizes = [len(test) for _, test in splits]
    assert max(sizes) - min(sizes) <= counts.max()


@pytest.mark.parametrize("seed", range(3))
def test_cold_folds_of_a_long_tail_are_even(seed):
    rows = make_rows(seed, n=4000, n_items=500)
    sizes = [len(test) for _, test in ColdItemKFold(5, random_state=seed).split(rows)]
    assert max(sizes) - min(sizes) <= 0.02 * len(rows)


def test_cold_folds_of_other_seeds_part_the_head_differently():
    rows = make_rows()
    partners = set()
    for seed in range(10):
        splits = list(ColdItemKFold(3, random_state=seed).split(rows))
        fold = {item: j for j, (_, test) in enumerate(splits) for item in rows[test, 1].tolist()}
        partners.add(tuple(fold[item] == fold[1] for item in range(2, 8)))  # frequent items
    assert len(partners) > 3


@settings(deadline=None)
@given(rows=ROWS, n_rows=st.integers(1, 3), timed=st.booleans())
def test_leave_last_out_equals_a_loop(rows, n_rows, timed):
    expected = []
    for user in set(rows[:, 0].tolist()):
        own = np.flatnonzero(rows[:, 0] == user).tolist()
        own = sorted(own, key=lambda row: (rows[row, 2], row)) if timed else own
        expected += own[-n_rows:] if len(own) > n_rows else []
    splitter = LeaveLastOut(time=2 if timed else None, n_rows=n_rows)
    if not expected:
        with pytest.raises(ValueError, match="no user has more than n_rows"):
            next(splitter.split(rows))
        return
    ((train, test),) = splitter.split(rows)
    assert test.tolist() == sorted(expected)
    assert sorted([*train, *test]) == list(range(len(rows)))


@settings(deadline=None)
@given(rows=ROWS, n_splits=st.integers(1, 3), size=st.one_of(st.integers(1, 10), st.floats(0.05, 0.6)))
def test_temporal_training_is_strictly_earlier(rows, n_splits, size):
    times, n = rows[:, 2], len(rows)
    splits = splits_or_error(TemporalSplit(time=2, test_size=size, n_splits=n_splits), rows)
    if isinstance(splits, str):
        assert "leave nothing to train on" in splits or "too few" in splits
        return
    n_test = size if isinstance(size, int) else int(np.ceil(size * n))
    assert len(splits) == n_splits
    for train, test in splits:
        assert times[train].max() < times[test].min()
        # everything before the window is in training
        assert sorted(train) == np.flatnonzero(times < times[test].min()).tolist()
    for (_, earlier), (train, _) in pairwise(splits):
        assert set(earlier) <= set(train)
    assert set(splits[-1][1]) == set(np.flatnonzero(times >= times[splits[-1][1]].min()))
    # no other moment is nearer to what was asked for
    cuts = [int((times < time).sum()) for time in np.unique(times)[1:]]
    for j, (train, _) in enumerate(splits):
        wanted = n - n_test * (n_splits - j)
        assert abs(len(train) - wanted) == min(abs(cut - wanted) for cut in cuts)


def test_temporal_split_by_hand():
    rows = np.column_stack([np.zeros(10), np.arange(10), [5, 5, 1, 2, 3, 4, 5, 5, 6, 7]])
    ((train, test),) = TemporalSplit(time=2, test_size=0.3).split(rows)  # 7 rows: cuts are at 4 and at 8
    assert (train.tolist(), test.tolist()) == ([0, 1, 2, 3, 4, 5, 6, 7], [8, 9])
    ((train, test),) = TemporalSplit(time=2, test_size=4).split(rows)  # 6 rows: the earlier of two equally near
    assert (train.tolist(), test.tolist()) == ([2, 3, 4, 5], [0, 1, 6, 7, 8, 9])


def relabelled(rows):
    """The same rows with ids and times of other types."""
    users, items, times = rows.T
    day = datetime.datetime(2020, 1, 1)
    moments = [day + datetime.timedelta(hours=int(time)) for time in times]
    text = {"user": [f"u{u * 7919 % 41}" for u in users], "item": [f"i{i * 31 % 61}" for i in items]}
    mixed = np.column_stack([text["user"], text["item"], times]).astype(object)
    mixed[:, 2] = times
    return {
        "int32": rows.astype(np.int32),
        "float": rows.astype(float),
        "object": rows.astype(object),
        "negated": np.column_stack([-users, 1000 - items, times]),
        "text": mixed,
        "list": mixed.tolist(),
        "pandas": pd.DataFrame({**text, "time": moments}, index=times[::-1]),
        "zones": pd.DataFrame({**text, "time": pd.DatetimeIndex(moments).tz_localize("UTC")}),
        "categories": pd.DataFrame({**text, "time": times}).astype({"user": "category", "item": "category"}),
        "polars": pl.DataFrame({**text, "time": moments}),
        "durations": pd.DataFrame({**text, "time": pd.to_timedelta(times, unit="s")}),
    }


@pytest.mark.parametrize("kind", relabelled(make_rows()))
@pytest.mark.parametrize("splitter", SPLITTERS, ids=lambda s: type(s).__name__)
def test_the_type_of_ids_and_times_does_not_matter(splitter, kind):
    rows = make_rows()
    X = relabelled(rows)[kind]
    expected = splits_or_error(splitter, rows)
    assert splits_or_error(splitter, X) == expected
    if hasattr(X, "columns"):
        named = clone_with(splitter, user="user", item="item", time="time")
        assert splits_or_error(named, X[["time", "item", "user"]]) == expected


def clone_with(splitter, **columns):
    return type(splitter)(**{**vars(splitter), **{k: v for k, v in columns.items() if k in vars(splitter)}})


@pytest.mark.parametrize("splitter", SPLITTERS, ids=lambda s: type(s).__name__)
def test_scikit_learn_interface(splitter):
    rows = make_rows()
    y = rows[:, 2].astype(float)
    assert repr(eval(repr(splitter))) == repr(splitter)  # noqa: S307 - our own text
    assert len(list(splitter.split(rows))) == splitter.get_n_splits() == splitter.get_n_splits(rows, y, None)
    first, again = splits_or_error(splitter, rows), splits_or_error(splitter, rows)
    assert first == again
    assert cross_val_score(DummyRegressor(), rows, y, cv=splitter).shape == (splitter.get_n_splits(),)
    search = clone(GridSearchCV(DummyRegressor(), {"strategy": ["mean", "median"]}, cv=splitter)).fit(rows, y)
    assert search.n_splits_ == splitter.get_n_splits()
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        next(splitter.split(rows, y[:-1]))


def test_seeds_decide_the_shuffle():
    rows = make_rows()
    for make in (PerUserKFold, ColdItemKFold, ColdUserKFold):
        one, other = (splits_or_error(make(random_state=seed), rows) for seed in (0, 1))
        assert one != other
        assert splits_or_error(make(), rows) != splits_or_error(make(), rows)
    plain = PerUserKFold(shuffle=False)
    assert splits_or_error(plain, rows) == splits_or_error(plain, rows)


@pytest.mark.parametrize(
    ("splitter", "error", "message"),
    [
        (PerUserKFold(1), ValueError, "n_splits must be an integer >= 2, got 1"),
        (PerUserKFold(2.0), ValueError, "n_splits must be an integer >= 2, got 2.0"),
        (PerUserKFold(401), ValueError, "n_splits=401 exceeds the 400 rows"),
        (PerUserKFold(shuffle=False, random_state=0), ValueError, "random_state has no effect"),
        (PerUserKFold(user=3), ValueError, "user=3 is not a position"),
        (PerUserKFold(user="user"), ValueError, "user='user' names a column"),
        (ColdItemKFold(100), ValueError, r"n_splits=100 exceeds the \d+ items of X"),
        (ColdUserKFold(100), ValueError, r"n_splits=100 exceeds the \d+ users of X"),
        (ColdItemKFold(item="x"), ValueError, "item='x'"),
        (LeaveLastOut(n_rows=0), ValueError, "n_rows must be an integer >= 1"),
        (LeaveLastOut(n_rows=400), ValueError, "no user has more than n_rows=400"),
        (LeaveLastOut(time=5), ValueError, "time=5 is not a column of X: it has 3 unnamed columns"),
        (LeaveLastOut(time="t"), ValueError, "time='t' is not a column of X"),
        (TemporalSplit(time=2, test_size=1.0), ValueError, "test_size must be .* got 1.0"),
        (TemporalSplit(time=2, test_size=0), ValueError, "test_size must be .* got 0"),
        (TemporalSplit(time=2, test_size="a"), ValueError, "test_size must be .* got 'a'"),
        (TemporalSplit(time=2, test_size=400), ValueError, "leave nothing to train on: X has 400 rows"),
        (TemporalSplit(time=2, n_splits=5), ValueError, "leave nothing to train on"),
        (TemporalSplit(time=2, n_splits=0), ValueError, "n_splits must be an integer >= 1"),
        (TemporalSplit(time=2, test_size=1, n_splits=50), ValueError, "too few"),
    ],
    ids=repr,
)
def test_bad_parameters_are_named(splitter, error, message):
    with pytest.raises(error, match=message):
        list(splitter.split(make_rows()))


FRAME = pd.DataFrame({"user": [1, 1, 2, 2], "item": [1, 2, 1, 2], "time": [1.0, 2.0, 3.0, 4.0]})


@pytest.mark.parametrize(
    ("times", "error", "message"),
    [
        ([1.0, np.nan, 3.0, np.nan], ValueError, r"time='time' is missing at position 1 \(2 in total\)"),
        ([1, 2, None, 4], ValueError, "missing at position 2"),
        (np.array([1, 2, None, 4], dtype=object), ValueError, "missing at position 2"),
        (pd.to_datetime(["2020-01-01", None, "2020-01-02", "2020-01-03"]), ValueError, "missing at position 1"),
        (["10", "9", "8", "7"], TypeError, "holds strings"),
        (np.array([1, 2, datetime.date(2020, 1, 1), 4], dtype=object), TypeError, "cannot be compared"),
    ],
)
@pytest.mark.parametrize("splitter", [LeaveLastOut(time="time"), TemporalSplit(time="time", test_size=2)], ids=repr)
def test_bad_times_are_named(splitter, times, error, message):
    with pytest.raises(error, match=message):
        list(splitter.split(FRAME.assign(time=times)))


def test_other_bad_rows_are_named():
    with pytest.raises(ValueError, match="missing id"):
        list(PerUserKFold(2).split(FRAME.assign(user=[1, None, 2, 2])))
    with pytest.raises(ValueError, match="no user has two rows"):
        list(PerUserKFold(2).split(FRAME.assign(user=[1, 2, 3, 4])))
    with pytest.raises(ValueError, match="1 distinct values in 4 rows, too few"):
        list(TemporalSplit(time="time").split(FRAME.assign(time=7)))
    with pytest.raises(ValueError, match=r"its columns are \['user', 'item', 'time'\]"):
        list(TemporalSplit(time="date").split(FRAME))


def test_big_whole_times_keep_their_order():
    times = 1_600_000_000_000_000_000 + np.array([3, 2, 1, 0])  # nanoseconds, equal as float64
    ((_, test),) = LeaveLastOut(time="time").split(FRAME.assign(time=times))
    assert test.tolist() == [0, 2]
