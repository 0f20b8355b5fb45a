"""add_histories and next_item_split against loops over rows, and every error that they make."""

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skllmrec.base import FeatureTable
from skllmrec.metrics import rank_test_users
from skllmrec.model_selection import add_histories, next_item_split
from skllmrec.recommenders import MarkovRecommender

ROWS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5), st.integers(0, 6)), min_size=1, max_size=40)
FRAME = pd.DataFrame(
    {
        "user": list("abacabcaad"),
        "item": [f"i{n}" for n in (1, 2, 3, 1, 1, 3, 2, 2, 4, 5)],
        "time": [5, 1, 3, 3, *range(6, 12)],
    }
)


def naive_histories(rows, max_history):
    """For each row what its user had at an earlier time, or at the same one further up."""
    found = []
    for place, (user, _, time) in enumerate(rows):
        before = [
            (other_time, other, item)
            for other, (owner, item, other_time) in enumerate(rows)
            if owner == user and (other_time, other) < (time, place)
        ]
        items = [item for *_, item in sorted(before)]
        found.append(items if max_history is None else items[-max_history:])
    return found


@settings(deadline=None)
@given(rows=ROWS, max_history=st.one_of(st.none(), st.integers(1, 4)))
def test_histories_are_those_of_a_loop(rows, max_history):
    table = add_histories(np.array(rows), time=2, max_history=max_history)
    assert table[:, -1].tolist() == naive_histories(rows, max_history)
    assert table[:, :3].tolist() == [list(row) for row in rows]
    in_order = [(user, item, place) for place, (user, item, _) in enumerate(rows)]
    assert add_histories(rows, max_history=max_history)[:, -1].tolist() == naive_histories(in_order, max_history)


def test_frames_of_every_kind_get_the_same_column():
    columns = {"user": "user", "item": "item", "time": "time"}
    expected = naive_histories(FRAME.to_numpy().tolist(), 10)
    assert add_histories(FRAME, **columns)["history"].tolist() == expected
    assert list(FRAME.columns) == ["user", "item", "time"], "X itself stays as it is"
    assert [list(one) for one in add_histories(pl.from_pandas(FRAME), **columns)["history"]] == expected
    dated = FRAME.assign(time=[datetime.date(2020, 1, day) for day in FRAME["time"]])
    assert add_histories(dated, **columns, name="before")["before"].tolist() == expected


@settings(deadline=None)
@given(rows=ROWS, n_last=st.integers(1, 3))
def test_the_last_rows_of_each_user_are_asked_for(rows, n_last):
    histories = naive_histories(rows, 2)
    by_user = {}
    for place in sorted(range(len(rows)), key=lambda place: (rows[place][2], place)):
        by_user.setdefault(rows[place][0], []).append(place)
    asked = sorted(place for places in by_user.values() if len(places) > n_last for place in places[-n_last:])
    if not asked:
        with pytest.raises(ValueError, match="no user has more than"):
            next_item_split(np.array(rows), time=2, n_last=n_last)
        return
    train, questions = next_item_split(np.array(rows), time=2, n_last=n_last, max_history=2)
    assert questions.tolist() == [[*rows[place], histories[place]] for place in asked]
    assert train.tolist() == [[*row, histories[place]] for place, row in enumerate(rows) if place not in asked]


@settings(deadline=None)
@given(rows=ROWS.filter(lambda rows: len({time for *_, time in rows}) > 2), size=st.sampled_from([0.2, 0.5, 1]))
def test_by_time_no_training_row_and_no_history_is_of_the_future(rows, size):
    try:
        train, questions = next_item_split(np.array(rows), time=2, test_size=size)
    except ValueError as error:
        assert "has an earlier row of its user" in str(error) or "leave nothing" in str(error)
        return
    histories = naive_histories(rows, 10)
    begin = max(time for *_, time, _ in train.tolist())
    assert train.tolist() == [[*row, histories[place]] for place, row in enumerate(rows) if row[2] <= begin]
    later = [[*row, histories[place]] for place, row in enumerate(rows) if row[2] > begin]
    assert questions.tolist() == [row for row in later if row[-1]], "the first row of a new user asks nothing"


def test_repeated_purchases_are_in_histories_and_answers():
    rows = pd.DataFrame({"user": list("aaab"), "item": list("xxxy")})
    train, questions = next_item_split(rows, user="user", item="item")
    assert questions["history"].tolist() == [["x", "x"]]
    assert questions["item"].tolist() == ["x"]
    assert train.index.tolist() == [0, 1, 3]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"time": "when"}, ValueError, r"time='when' is not a column of X: its columns are \['user', 'item', 'time'\]"),
        ({"user": "who"}, ValueError, "user='who' is not a column of X"),
        ({"X": FRAME.assign(time="2020-01-01")}, TypeError, "time='time' holds strings"),
        ({"X": FRAME.assign(time=[1.0, np.nan, *range(8)])}, ValueError, "time='time' is missing at position 1"),
        ({"X": FRAME.assign(item=["i", None, *"abcdefgh"])}, ValueError, "item column 'item' has a missing id"),
        ({"X": FRAME.assign(history=1)}, ValueError, "X has a column 'history' already"),
        ({"max_history": 0}, ValueError, "max_history must be an integer >= 1 or None, got 0"),
        ({"max_history": True}, ValueError, "max_history must be an integer >= 1 or None, got True"),
        ({"n_last": 0}, ValueError, "n_rows must be an integer >= 1, got 0"),
        ({"n_last": 1, "test_size": 0.2}, ValueError, "n_last=1 asks for rows of each user, test_size=0.2"),
        ({"test_size": 0.2, "time": None}, ValueError, "test_size=0.2 splits by time: name the column of the times"),
        ({"test_size": 1}, ValueError, "none of the 1 test rows has an earlier row of its user"),
    ],
)
def test_what_is_wrong_is_named(change, error, message):
    options = {"X": FRAME, "user": "user", "item": "item", "time": "time", **change}
    with pytest.raises(error, match=message):
        next_item_split(options.pop("X"), **options)


def test_all_of_a_long_history_or_its_end():
    rows = np.column_stack([np.zeros(3000, dtype=int), np.arange(3000) % 7])
    table = add_histories(rows, max_history=None)
    assert table[-1, -1] == rows[:-1, 1].tolist()
    assert add_histories(rows, max_history=3)[-1, -1] == rows[-4:-1, 1].tolist()


# -- real data ------------------------------------------------------------------------------------------------------


def naive_hits(recommender, questions, candidates):
    """Ask one question after the other; equal scores in the order of the candidates."""
    hits = []
    for history, item in zip(questions["history"], questions["item_id"], strict=True):
        ids, _ = recommender.recommend(history=[list(history)], candidates=candidates, n_items=10, exclude_seen=False)
        hits.append(item in ids[0].tolist())
    return hits


@pytest.mark.realdata
def test_published_questions_are_those_of_the_interactions_and_asked_as_they_are(data_folder):
    folder = data_folder / "amazon_office"
    rows = pd.read_parquet(folder / "interactions.parquet")
    questions = pd.read_parquet(folder / "next_item_test.parquet")
    items = pd.read_parquet(folder / "items.parquet", columns=["item_id"])
    assert len(questions) == 4866
    columns = {"user": "user_id", "item": "item_id"}
    table = add_histories(rows, **columns, time="position")
    test = table[table["split"] == "test"]
    found = {(user, tuple(history), item) for user, history, item in test[["user_id", "history", "item_id"]].to_numpy()}
    published = {(row.user_id, tuple(row.history), row.item_id) for row in questions.itertuples()}
    assert published <= found
    assert questions["history"].str.len().max() == test["history"].str.len().max() == 10

    markov = MarkovRecommender(**columns, time="position")
    markov.fit(rows[rows["split"] != "test"], item_table=FeatureTable(items, key="item_id"))
    ranked = rank_test_users(markov, questions, history="history", exclude_seen=False)
    assert ranked.rows.tolist() == list(range(4866))
    assert ranked.users.tolist() == questions["user_id"].tolist()
    assert ranked.n_items == 3459
    hits = ranked.evaluate("hit_rate", average=False)
    assert hits[::20].tolist() == naive_hits(markov, questions.iloc[::20], ranked.items)
    assert 0.13 < hits.mean() < 0.15
