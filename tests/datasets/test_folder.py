"""load_interactions: parquet and csv, the traps of real folders, and errors that say what is there."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from skllmrec.datasets import load_interactions
from skllmrec.exceptions import DatasetNotFoundError


@pytest.fixture
def tables():
    return {
        "interactions": pd.DataFrame(
            {
                "user_id": ["u1", "u2", "u1", "u3"],
                "item_id": ["07", "07", "08", "99"],
                "rating": [4.0, 3.0, 5.0, 1.0],
                "timestamp": pd.array([30, 10, 20, 40], dtype="Int64"),
            }
        ),
        "items": pd.DataFrame(
            {"item_id": ["08", "07", "06"], "title": ["Babe", "Heat", "Big"], "year": [1995, 1995, 1988]}
        ),
        "users": pd.DataFrame({"user_id": ["u2", "u1"], "age": [30, 20]}),
    }


def write(folder, tables, kind):
    for name, table in tables.items():
        if kind == "csv":
            table.to_csv(folder / f"{name}.csv", index=False)
        else:
            table.to_parquet(folder / f"{name}.parquet")
    return folder


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_joins_what_is_there(tmp_path, tables, kind):
    data = load_interactions(write(tmp_path, tables, kind))
    expected = pd.DataFrame(
        {
            "user_id": ["u1", "u2", "u1", "u3"],
            "item_id": ["07", "07", "08", "99"],
            "rating": [4.0, 3.0, 5.0, 1.0],
            "timestamp": [30, 10, 20, 40],
            "title": ["Heat", "Heat", "Babe", None],
            "year": [1995, 1995, 1995, np.nan],
            "age": [20, 30, 20, np.nan],
        }
    )
    assert_frame_equal(data.frame, expected)
    assert_frame_equal(data.data, expected.drop(columns="rating"))
    assert data.target.tolist() == [4.0, 3.0, 5.0, 1.0] and data.target.name == "rating"
    assert data.item_table["item_id"].tolist() == ["08", "07", "06", "99"]
    assert data.user_table["user_id"].tolist() == ["u2", "u1", "u3"]
    assert data.feature_names == list(data.data.columns)
    assert (data.target_names, data.item_names) == (["rating"], ["item_id", "title", "year"])
    X, y = load_interactions(tmp_path, return_X_y=True)
    assert_frame_equal(X, data.data)
    assert y.equals(data.target)


def test_bunch_survives_copies_and_pickle(tmp_path, tables):
    data = load_interactions(write(tmp_path, tables, "parquet"))
    for again in (copy.copy(data), copy.deepcopy(data), pickle.loads(pickle.dumps(data))):  # noqa: S301
        assert type(again) is type(data)
        assert_frame_equal(again.item_table, data.item_table)
        assert_frame_equal(again["frame"], data.frame)
    assert set(dir(data)) >= {"frame", "data", "target", "item_table", "user_table", "DESCR"}
    assert [(key, value is data[key]) for key, value in data.items()] == [(key, True) for key in data]  # a dict's own


def test_attributes_are_optional(tmp_path, tables):
    data = load_interactions(write(tmp_path, {"interactions": tables["interactions"].drop(columns="timestamp")}, "csv"))
    assert list(data.frame.columns) == ["user_id", "item_id", "rating"]
    assert data.item_table.to_dict("list") == {"item_id": ["07", "08", "99"]}
    assert data.user_table.to_dict("list") == {"user_id": ["u1", "u2", "u3"]}


def test_shared_names_are_told_apart(tmp_path, tables):
    tables["items"]["age"] = [1, 2, 3]
    tables["users"]["timestamp"] = [100, 200]
    data = load_interactions(write(tmp_path, tables, "parquet"))
    attributes = ["title", "year", "item_age", "user_age", "user_timestamp"]
    assert data.feature_names == ["user_id", "item_id", "timestamp", *attributes]
    assert data.item_names == ["item_id", "title", "year", "item_age"]
    assert data.frame["item_age"].tolist()[:3] == [2, 2, 1]
    assert data.frame["user_timestamp"].tolist()[:3] == [200, 100, 200]


def test_descr_is_the_source_file(tmp_path, tables):
    write(tmp_path, tables, "csv")
    assert tmp_path.name in load_interactions(tmp_path).DESCR
    (tmp_path / "SOURCE.md").write_text("Où? Là.", encoding="utf-8")
    assert load_interactions(tmp_path).DESCR == "Où? Là."


def test_excluded_columns_are_gone_everywhere(tmp_path, tables):
    data = load_interactions(write(tmp_path, tables, "csv"), exclude_columns=["title", "age", "timestamp"])
    assert list(data.frame.columns) == ["user_id", "item_id", "rating", "year"]
    assert data.item_names == ["item_id", "year"] and data.user_names == ["user_id"]


def test_other_keys_and_targets(tmp_path, tables):
    tables["interactions"].insert(0, "plays", [3, None, 1, 2])
    renamed = {name: table.rename(columns={"user_id": "u", "item_id": "i"}) for name, table in tables.items()}
    data = load_interactions(
        write(tmp_path, renamed, "csv"), user="u", item="i", target="plays", exclude_columns=["rating"]
    )
    assert data.target.tolist() == [3.0, 1.0, 2.0]  # the row without plays is left out
    assert list(data.frame.index) == [0, 1, 2]
    assert "rating" not in data.frame
    none = load_interactions(tmp_path, user="u", item="i", target=None, exclude_columns=["rating", "plays"])
    assert none.target is None and none.data is none.frame and len(none.data) == 4


@pytest.mark.parametrize(
    ("duplicates", "timestamps", "rows", "target"),
    [
        ("keep", [5, 9, 7, 1, 2], [0, 1, 2, 3, 4], [1, 2, 3, 4, 5]),
        ("last", [5, 9, 7, 1, 2], [1, 2, 4], [2, 3, 5]),
        ("sum", [5, 9, 7, 1, 2], [1, 2, 4], [7, 3, 5]),
        ("last", None, [2, 3, 4], [3, 4, 5]),
        ("sum", None, [2, 3, 4], [3, 7, 5]),
        ("last", [1, 1, 1, 1, 1], [2, 3, 4], [3, 4, 5]),
    ],
)
def test_duplicates(tmp_path, duplicates, timestamps, rows, target):
    table = pd.DataFrame({"user_id": ["a", "a", "b", "a", "c"], "item_id": ["x", "x", "x", "x", "y"]})
    table = table.assign(rating=[1, 2, 3, 4, 5], row=range(5))
    if timestamps:
        table["timestamp"] = timestamps
    data = load_interactions(write(tmp_path, {"interactions": table}, "csv"), duplicates=duplicates)
    assert data.frame["row"].tolist() == rows
    assert data.target.tolist() == target


def test_missing_places(tmp_path, tables):
    write(tmp_path, {"items": tables["items"]}, "csv")
    with pytest.raises(DatasetNotFoundError, match=r"no folder .*nowhere.*holds the folders \[\]") as caught:
        load_interactions(tmp_path / "nowhere")
    assert isinstance(caught.value, ValueError) and isinstance(caught.value, OSError)
    with pytest.raises(DatasetNotFoundError, match=r"no interactions.parquet or interactions.csv.*items.csv"):
        load_interactions(tmp_path)


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda t: t["interactions"].drop(columns="item_id"), {}, r"no column 'item_id'.*'user_id', 'rating'"),
        (lambda t: t["interactions"].drop(columns="rating"), {}, r"no target column 'rating'.*'timestamp'"),
        (lambda t: t["interactions"].replace("u2", np.nan), {}, r"1 rows have no 'user_id', the first is row 1"),
        (lambda t: t["interactions"].assign(rating="good"), {}, r"target column 'rating' holds .* not numbers"),
        (lambda t: t["interactions"], {"exclude_columns": ["plot"]}, r"\['plot'\].*'title'"),
        (lambda t: t["interactions"], {"exclude_columns": ["item_id"]}, r"\['item_id'\] cannot be excluded"),
        (lambda t: t["interactions"], {"exclude_columns": "title"}, r"got the str 'title'"),
        (lambda t: t["interactions"], {"duplicates": "first"}, r"duplicates must be one of"),
    ],
)
def test_errors(tmp_path, tables, change, options, message):
    tables["interactions"] = change(tables)
    with pytest.raises(ValueError, match=message):
        load_interactions(write(tmp_path, tables, "csv"), **options)


def test_errors_of_attributes(tmp_path, tables):
    tables["items"] = pd.concat([tables["items"], tables["items"][1:2]])
    with pytest.raises(ValueError, match=r"items.parquet: 1 rows repeat an id, the first is '07' in row 3"):
        load_interactions(write(tmp_path, tables, "parquet"))
    tables["items"] = pd.DataFrame({"item_id": [7, 8], "title": ["Heat", "Babe"]})
    with pytest.raises(ValueError, match=r"'item_id' is int64, in the interactions it is"):
        load_interactions(write(tmp_path, tables, "parquet"))
    tables["items"] = pd.DataFrame({"title": ["Heat", "Babe"]})
    with pytest.raises(ValueError, match=r"items.parquet has no column 'item_id'"):
        load_interactions(write(tmp_path, tables, "parquet"))


SHAPES = {  # interactions, items with a row of their own or an interaction, users
    "book_crossing": (272678, 17384, 2946),
    "completejourney": (75000, 20902, 2377),
    "lastfm_hetrec": (92834, 17632, 1892),
    "ml_latest_small": (100004, 9125, 671),
}


@pytest.mark.realdata
@pytest.mark.parametrize("name", SHAPES)
def test_real_folders(data_folder, name):
    data = load_interactions(data_folder / name)
    assert (len(data.frame), len(data.item_table), len(data.user_table)) == SHAPES[name]
    raw = pd.read_parquet(data_folder / name / "interactions.parquet")
    assert data.frame["user_id"].tolist() == raw["user_id"].tolist()
    assert data.target.tolist() == raw["rating"].tolist()
    titles = data.item_table.set_index("item_id")["title"]
    assert titles.index.is_unique
    sample = data.frame.sample(200, random_state=0)
    assert sample["title"].fillna("").tolist() == titles[sample["item_id"]].fillna("").tolist()
    assert data.frame["item_id"].isin(data.item_table["item_id"]).all()
    assert "Licence" in data.DESCR
    assert not any(
        pd.api.types.is_extension_array_dtype(t) and pd.api.types.is_numeric_dtype(t) for t in data.frame.dtypes
    )


@pytest.mark.realdata
def test_real_traps(data_folder):
    journey = load_interactions(data_folder / "completejourney", duplicates="sum")
    assert len(journey.frame) == len(journey.frame[["user_id", "item_id"]].drop_duplicates()) == 75000 - 5746
    assert journey.target.sum() == 75000
    assert journey.item_table["department"].isna().sum() == 5  # bought, but not in the product table
    books = load_interactions(data_folder / "book_crossing", target="explicit_rating", exclude_columns=["rating"])
    assert len(books.target) == 62656 and books.target.between(1, 10).all()
    music = load_interactions(data_folder / "lastfm_hetrec", exclude_columns=["tags", "own_tags", "listen_count"])
    assert music.feature_names == ["user_id", "item_id", "title", "url"]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("interactions.csv", b"", r"interactions\.csv cannot be read .*check the file"),
        ("interactions.csv", b"user_id,item_id,rating\n", r"interactions\.csv has no rows"),
        ("interactions.csv", b"user_id,item_id,rating\n1,2,3\n1,2,3,4\n", r"interactions\.csv cannot be read"),
        ("items.csv", b"item_id,title\n07,Caf\xe9\n", r"items\.csv cannot be read .*save it as UTF-8"),
        ("interactions.csv", b"user_id,item_id,rating\n1,07,\n", "'rating' is empty in all of the 1 rows"),
        ("interactions.csv", b"user_id,item_id,rating\n1,07,3\n1,08,inf\n", "'rating' is infinite in row 1"),
    ],
    ids=["empty", "head only", "ragged", "latin", "no rating", "infinite"],
)
def test_an_error_names_the_file(tables, tmp_path, name, content, says):
    write(tmp_path, tables, "csv")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=says):
        load_interactions(tmp_path)


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "shop").touch()
    with pytest.raises(DatasetNotFoundError, match="shop is a file: name the folder"):
        load_interactions(tmp_path / "shop")
