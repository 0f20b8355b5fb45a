"""describe_data finds what was planted, where it was planted, and nothing in clean data."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from skllmrec.base import FeatureTable
from skllmrec.preprocessing import describe_data

NOUNS = ["crew", "ship", "star", "farm", "baker", "bread", "river", "king", "child", "train", "island", "letter"]
VERBS = ["finds", "loses", "hides", "builds", "forgets", "paints", "steals", "follows", "saves", "sells"]


def plots(n=300, seed=0):
    """Texts of about 14 different words."""
    rng = np.random.default_rng(seed)
    return [
        f"In {1900 + row} the {rng.choice(NOUNS)} {row} {rng.choice(VERBS)} a {rng.choice(NOUNS)} and the "
        f"{rng.choice(NOUNS)} {rng.choice(VERBS)} it for {row} days"
        for row in range(n)
    ]


def rows(seed=0, n_users=60, n_items=40, each=12):
    """Every user rates some items at random, over time."""
    rng = np.random.default_rng(seed)
    X = np.array([[user, item] for user in range(n_users) for item in rng.choice(n_items, each, replace=False)])
    return X, rng.integers(1, 6, len(X)).astype(float), rng.random(len(X))


def found(description):
    return {(finding.where, finding.what): finding for finding in description.findings}


@pytest.mark.parametrize("seed", range(3))
def test_nothing_in_clean_data(seed):
    X, y, times = rows(seed)
    frame = pd.DataFrame(
        {"user": X[:, 0], "item": X[:, 1], "time": times, "noise": np.random.default_rng(seed).random(len(X))}
    )
    items = pd.DataFrame({"item": range(300), "plot": plots(seed=seed)})
    description = describe_data(frame, y, item_table=items, user="user", item="item", time="time")
    assert description.findings == [], str(description)
    assert description.facts["rows"] == "720"
    assert "nothing found" in str(description)
    assert "Nothing found" in description.to_html()


def test_texts():
    texts = plots()
    texts[0], texts[1] = None, " "
    texts[2:12] = ["The very same plot of the film"] * 10
    texts[12] = (
        "Ein Schiff verliert seine Mannschaft, bevor niemand mehr wissen kann, woher dieses Unwetter eigentlich kam"
    )
    texts[13] = "\u0418\u0432\u0430\u043d \u0438 \u0441\u0435\u0440\u044b\u0439 \u0432\u043e\u043b\u043a"
    texts[14] = "word " * 200
    texts[15] = "<p>The crew &amp; the ship</p>, mail a@b.example"
    texts[16] = "The crÃ¨me of the baker"
    texts[20:60] = [f"{text}. Read more on our website today." for text in texts[20:60]]
    items = pd.DataFrame({"id": range(300), "plot": texts, "genre": ["Comedy", "Drama"] * 150})
    for table in (items, pl.DataFrame({"id": range(300), "plot": texts}), FeatureTable(items, key="id")):
        seen = found(describe_data([["ann", 1]], item_table=table, key="id", least=1))
        assert {(where, what): finding.count for (where, what), finding in seen.items()} == {
            ("plot", "missing values"): 2,
            ("plot", "duplicate texts"): 10,
            ("plot", "boilerplate"): 40,
            ("plot", "other language"): 1,
            ("plot", "other script"): 1,
            ("plot", "very long texts"): 1,
            ("plot", "markup"): 1,
            ("plot", "entities"): 1,
            ("plot", "e-mail addresses"): 1,
            ("plot", "broken characters"): 1,
        }
    assert seen["plot", "boilerplate"].examples == ["Read more on our website today."]
    assert seen["plot", "missing values"].of == 300
    assert "'A" not in describe_data([["ann", 1]], item_table=items, key="id").to_html()


def test_short_texts():
    items = pd.DataFrame({"id": range(40), "plot": [*plots(30), *"abcdefghij"]})
    assert found(describe_data([[1, 1]], item_table=items, key="id"))["plot", "very short texts"].count == 10


def test_columns_of_few_values_are_categories():
    items = pd.DataFrame({"id": range(40), "genre": ["A", "a long name of a genre"] * 20})
    description = describe_data([[1, 1]], item_table=items, key="id", least=1)
    assert description.facts["category 'genre'"] == "2 different values"
    assert description.findings == []


def test_chinese_texts_are_one_script():
    words = [chr(code) for code in range(0x4E00, 0x4E40)]
    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice(words, 30)) for _ in range(100)]
    table = pd.DataFrame({"id": range(100), "plot": texts})
    assert describe_data([[1, 1]], item_table=table, key="id", least=1).findings == []


def test_interactions():
    X, y, times = rows()
    X = np.vstack([X, X[:3], [[99, 0]]])
    y, times = np.append(y, [1, 2, 3, 4]), np.append(times, [0.1, 0.2, 0.3, 0.4])
    y += times * 2
    seen = found(describe_data(np.column_stack([X, times]), y, time=2))
    assert seen["user", "fewer than 5 rows"].count == 1
    assert seen["user and item", "repeated pairs"].count == 3
    (drift,) = [finding for finding in seen.values() if finding.where == "y over time"]
    means = [part.mean() for part in np.array_split(y[np.argsort(times)], 4)]
    assert " -> ".join(f"{mean:.2f}" for mean in means) in drift.what


def test_columns_that_know_the_ratings():
    X, y, _ = rows()
    item_mean = pd.Series(y).groupby(X[:, 1]).transform("mean").to_numpy()
    frame = pd.DataFrame(
        {"user": X[:, 0], "item": X[:, 1], "score": -3 * y + 1, "liked": item_mean, "year": X[:, 1] % 7}
    )
    seen = found(describe_data(frame, y, user="user", item="item"))
    assert {where for where, _ in seen} == {"score", "liked"}
    assert "-1.00 with y" in str(seen["score", "rank correlation -1.00 with y"])
    assert any("the item's mean of y" in what for where, what in seen if where == "liked")


@pytest.mark.parametrize(
    "cells",
    [pd.array(["a fish", None, "a fish", "a cat"], dtype="string"), [np.ones(2), None, np.ones(2), np.zeros(2)]],
    ids=["NA", "arrays"],
)
def test_cells_of_any_kind_are_compared(cells):
    frame = pd.DataFrame({"user": [1, 2, 3, 4], "item": [1, 2, 1, 3], "about": cells})
    description = describe_data(frame, user="user", item="item", least=1)
    missing = found(description)["about", "missing values"]
    assert (missing.count, missing.of) == (1, 3)  # of three items


def test_texts_of_x_are_looked_at_once_per_item():
    X, _, _ = rows()
    texts = plots(40)
    frame = pd.DataFrame({"user": X[:, 0], "item": X[:, 1], "plot": [texts[item] for item in X[:, 1]]})
    description = describe_data(frame, user="user", item="item")
    assert description.facts["text 'plot'"].startswith("40 texts")
    assert description.findings == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"y": [1.0]}, "inconsistent"),
        ({"y": [1.0, np.nan]}, "y contains NaN"),
        ({"item": 4}, "item=4"),
        ({"y": [1.0, 2.0], "time": 5}, "time=5 is not a column"),
    ],
    ids=["length", "nan", "column", "time"],
)
def test_bad_input(arguments, says):
    with pytest.raises(ValueError, match=says):
        describe_data([["ann", 1], ["bob", 2]], **arguments)


@pytest.mark.parametrize("library", [pd, pl])
@pytest.mark.parametrize("container", ["frame", "table"])
def test_columns_of_the_catalogue_that_leak_are_found(library, container):
    X, y, _ = rows()
    X, y = X[3:], y[3:]  # now the items differ in how many rows they have
    ids, codes = np.unique(X[:, 1], return_inverse=True)
    rng = np.random.default_rng(0)
    columns = {
        "item": [*rng.permutation(ids), 99],  # 99 has no row
        "year": rng.integers(1900, 2000, len(ids) + 1),
        "pages": [None, *range(len(ids))],
    }
    means = {item: y[codes == place].mean() for place, item in enumerate(ids)}
    sizes = {item: int((codes == place).sum()) for place, item in enumerate(ids)}
    columns["stars"] = [means.get(item) for item in columns["item"]]
    columns["sold"] = [-sizes.get(item, 0) for item in columns["item"]]
    items = library.DataFrame(columns)
    items = FeatureTable(items, key="item") if container == "table" else items
    frame = library.DataFrame({"user": X[:, 0], "item": X[:, 1]})
    seen = found(describe_data(frame, y, user="user", item="item", item_table=items))
    seen = {where for where, what in seen if "rank" in what}
    assert seen == {"stars", "sold"}
    seen = found(describe_data(frame, user="user", item="item", item_table=items))
    seen = {where for where, what in seen if "rank" in what}
    assert seen == {"sold"}  # without ratings nobody knows their mean


def test_a_column_that_counts_the_rows_leaks():
    X, _, _ = rows()
    frame = pd.DataFrame({"user": X[:, 0], "item": X[:, 1]})
    frame["bought"] = frame.groupby("item")["user"].transform("size").astype("Int64")
    frame.loc[0, "bought"] = pd.NA
    assert {where for where, _ in found(describe_data(frame, user="user", item="item"))} == {"bought"}


def test_broken_characters_are_not_to_be_cleaned_away():
    X, _, _ = rows()
    items = pd.DataFrame({"item": range(300), "plot": plots()})
    items.loc[0, "plot"] = items.loc[0, "plot"].replace("the", "JosÃ© MarÃ\xada", 1)
    seen = {what for _, what in found(describe_data(X, item_table=items, key="item"))}
    assert seen == {"broken characters"}


def test_a_small_share_is_not_told_as_zero():
    X, _, _ = rows()
    items = pd.DataFrame({"item": range(3000), "plot": [*plots(2999), None]})
    (finding,) = describe_data(X, item_table=items, key="item").findings
    assert "in 1 of 3,000 (< 0.1%)" in str(finding)


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"least": 0}, ValueError, "least must be an integer >= 1, got 0"),
        ({"item_table": pd.DataFrame({"id": [1]}), "key": "item"}, ValueError, "'item' is not a column of item_table"),
        ({"item_table": [["a title"]]}, TypeError, "item_table must be a dataframe"),
        (
            {"item_table": pd.DataFrame([[1, "a", "b"]], columns=["id", "t", "t"]), "key": "id"},
            ValueError,
            "item_table has 2 columns named 't'",
        ),
        ({"X": pd.DataFrame([["ann", 1, 1]], columns=["u", "i", "i"])}, ValueError, "X has 2 columns named 'i'"),
    ],
    ids=["least", "key", "list", "twice", "twice in X"],
)
def test_bad_catalogues(arguments, error, says):
    with pytest.raises(error, match=says):
        describe_data(**{"X": [["ann", 1], ["bob", 2]], **arguments})
