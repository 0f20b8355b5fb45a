"""Tables as people have them: formats, delimiters, encodings, decimal commas, ids and times that are text."""

import codecs

import numpy as np
import pandas as pd
import pytest

from skllmrec.datasets import load_interactions
from skllmrec.datasets._table_file import read_table
from skllmrec.exceptions import FileFormatError

HEAD, ROWS = ["user_id", "item_id", "rating"], [["ann", "1", "4.5"], ["bob", "2", "3.25"]]


def lines(delimiter, rows=ROWS, ends="\n"):
    return ends.join(delimiter.join(row) for row in [HEAD, *rows]) + ends


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8], ids=["plain", "marked"])
@pytest.mark.parametrize("ends", ["\n", "\r\n"], ids=["unix", "windows"])
def test_delimiters_and_byte_order_marks(tmp_path, delimiter, mark, ends):
    path = tmp_path / "plays.csv"
    path.write_bytes(mark + lines(delimiter, ends=ends).encode())
    file = read_table(path, ["user_id", "item_id"])
    assert list(file.table.columns) == HEAD
    assert file.table.to_numpy().tolist() == [["ann", "1", 4.5], ["bob", "2", 3.25]]
    assert any("--delimiter" in note for note in file.notes) == (delimiter != ",")


@pytest.mark.parametrize("encoding", ["utf-16", "cp1252", "utf-8"])
def test_encodings(tmp_path, encoding):
    path = tmp_path / "games.tsv"
    path.write_bytes("item_id\ttitle\n07\tÉlise\n".encode(encoding))
    file = read_table(path, ["item_id"])
    assert file.table.to_numpy().tolist() == [["07", "Élise"]]
    assert any("--encoding" in note for note in file.notes) == (encoding != "utf-8")


def test_a_wrong_encoding_is_named(tmp_path):
    path = tmp_path / "games.csv"
    path.write_bytes(b"item_id,title\n07,Caf\xe9\n")
    with pytest.raises(FileFormatError, match=r"games\.csv cannot be read .*save it as UTF-8, or name its encoding"):
        read_table(path, ["item_id"], encoding="utf-8")
    with pytest.raises(FileFormatError, match=r"games\.csv cannot be read .*name an encoding that Python knows"):
        read_table(path, ["item_id"], encoding="utf-88")


def test_decimal_commas(tmp_path):
    path = tmp_path / "plays.csv"
    path.write_text(lines(";", [["ann", "1", "1.234,5"], ["bob", "2", "3"]]))
    assert read_table(path, ["user_id"], numbers=["rating"]).table["rating"].tolist() == [1234.5, 3.0]
    path.write_text(lines(";", [["ann", "1", "1,234"]]))
    with pytest.raises(FileFormatError, match=r"'rating' holds '1,234' .*decimals or thousands"):
        read_table(path, ["user_id"], numbers=["rating"])


def test_json_lines(tmp_path):
    path = tmp_path / "plays.jsonl"
    path.write_text('{"user_id": "ann", "item_id": 76561198070234017}\n{"user_id": "bob", "item_id": 7}\n')
    assert read_table(path, ["user_id", "item_id"]).table["item_id"].tolist() == ["76561198070234017", "7"]
    path.write_text("[1]\n")
    with pytest.raises(FileFormatError, match="one object"):
        read_table(path, ["user_id"])


def test_rows_wider_than_the_head_are_refused(tmp_path):
    path = tmp_path / "plays.csv"
    path.write_text("user_id,item_id\nann,1,4\nbob,2,3\n")
    with pytest.raises(FileFormatError, match="more columns than the first line names"):
        read_table(path, ["user_id"], delimiter=",")


def folder(tmp_path, interactions, items=None):
    (tmp_path / "interactions.csv").write_text(interactions)
    if items is not None:
        (tmp_path / "items.csv").write_text(items)
    return tmp_path


def test_whole_numbers_are_integers_only_where_the_text_round_trips(tmp_path):
    long = 76561198070234017
    data = load_interactions(folder(tmp_path, f"user_id,item_id,rating\n{long},1,4\n{long + 1},02,5\n"))
    assert data.frame["user_id"].tolist() == [long, long + 1]
    assert data.frame["item_id"].tolist() == ["1", "02"]
    data = load_interactions(folder(tmp_path, "user_id,item_id,rating\n1,2,4\n", "item_id,title\n2,a\n03,b\n"))
    assert data.item_table["item_id"].tolist() == ["2", "03"], "both files decide together"


def test_items_whose_ids_match_no_interaction_are_an_error(tmp_path):
    with pytest.raises(ValueError, match=r"items\.csv: none of its 2 ids .*'17\.0' here and '17' there"):
        load_interactions(
            folder(tmp_path, "user_id,item_id,rating\na,17,4\na,18,4\n", "item_id,title\n17.0,x\n18.0,y\n")
        )


def test_rounded_ids_in_a_file_are_refused(tmp_path):
    table = pd.DataFrame({"user_id": [1.0, 2.0**60], "item_id": ["a", "b"], "rating": [1.0, 2.0]})
    table.to_parquet(tmp_path / "interactions.parquet")
    with pytest.raises(ValueError, match=r"column 'user_id' has 1152921504606846976 at position 1 .*text or Int64"):
        load_interactions(tmp_path)


@pytest.mark.parametrize(
    ("times", "kept"),
    [
        (["9", "10"], 1),
        (["10", "9"], 0),
        (["01/02/2020", "31/01/2020"], 0),
        (["2020-02-01T00:00:00Z", "2020-01-31T23:00:00Z"], 0),
        (["01/31/2020", "02/01/2020"], 1),
        (["10", ""], 0),
        (["2020-01-01", ""], 0),
        (["1577836800000000001", "1577836800000000000"], 0),
    ],
)
def test_the_latest_row_is_kept_whatever_the_times_look_like(tmp_path, times, kept):
    rows = "".join(f"a,x,{position},{time}\n" for position, time in enumerate(times))
    data = load_interactions(folder(tmp_path, "user_id,item_id,rating,timestamp\n" + rows), duplicates="last")
    assert data.target.tolist() == [kept]


def test_times_that_cannot_be_ordered_are_refused(tmp_path):
    head = "user_id,item_id,rating,timestamp\n"
    with pytest.raises(ValueError, match="the day or the month"):
        load_interactions(folder(tmp_path, head + "a,x,1,01/02/2020\na,x,2,02/01/2020\n"), duplicates="last")
    with pytest.raises(ValueError, match="'morning' that is neither a number nor a date"):
        load_interactions(folder(tmp_path, head + "a,x,1,morning\na,x,2,noon\n"), duplicates="last")
    data = load_interactions(folder(tmp_path, head + "a,x,1,2020-01-31\na,y,2,\n"))
    assert np.isnat(data.frame["timestamp"].to_numpy()).tolist() == [False, True]
