"""Tables as people have them: formats, delimiters, encodings, decimal commas, ids and times that are text."""

import bz2
import codecs
import gzip
import io
import lzma
import zipfile

import numpy as np
import pandas as pd
import pyarrow as pa
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


@pytest.mark.parametrize(
    ("written", "decimal", "numbers"),
    [
        (["1.234,5", "3"], None, [1234.5, 3]),
        (["4,5", "0,25"], None, [4.5, 0.25]),
        (["0,123", "4,567"], None, [0.123, 4.567]),  # no thousands begin with 0
        (["1,234.5", "3"], None, [1234.5, 3]),
        (["1,234,567", "3"], None, [1234567, 3]),
        (["1,234", "3"], ",", [1.234, 3]),
        (["1,234", "3"], ".", [1234, 3]),
        (["1.234", "3"], None, [1.234, 3]),
        (["1.234", "3"], ",", [1234, 3]),
        (["1\u202f234,5", "12 000"], None, [1234.5, 12000]),
        (["1'234.50", "1e3"], None, [1234.5, 1000]),
        (["-2.5", ".5"], None, [-2.5, 0.5]),
    ],
)
@pytest.mark.parametrize("delimiter", [";", ","])
def test_numbers_as_people_write_them(tmp_path, written, decimal, numbers, delimiter):
    path = tmp_path / "plays.csv"
    path.write_text(lines(delimiter, [["ann", "1", f'"{text}"'] for text in written]), encoding="utf-8")
    file = read_table(path, ["user_id"], numbers=["rating"], decimal=decimal)
    assert file.table["rating"].tolist() == numbers
    assert any("--decimal" in note for note in file.notes) == any("," in text for text in written)


def test_commas_that_may_be_both_are_refused_with_the_option_that_decides(tmp_path):
    path = tmp_path / "plays.csv"
    path.write_text(lines(";", [["ann", "1", "1,234"]]))
    with pytest.raises(FileFormatError, match=r"'rating' holds '1,234' .*decimals or thousands: say .*--decimal"):
        read_table(path, ["user_id"], numbers=["rating"])


def zipped(content, *others):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("data/", "")
        archive.writestr("data/plays.csv", content)
        archive.writestr("__MACOSX/data/._plays.csv", "x")
        for name in others:
            archive.writestr(name, "x")
    return packed.getvalue()


def zstd(content):
    stream = pa.BufferOutputStream()
    with pa.CompressedOutputStream(stream, "zstd") as packed:
        packed.write(content)
    return stream.getvalue().to_pybytes()


PACK = {"csv.gz": gzip.compress, "csv.bz2": bz2.compress, "csv.xz": lzma.compress, "csv.zst": zstd, "zip": zipped}


@pytest.mark.parametrize("suffix", PACK)
def test_compressed_files_are_read_and_cut_ones_named(tmp_path, suffix):
    path = tmp_path / f"plays.{suffix}"
    content = PACK[suffix](lines(";").encode("utf-16"))
    path.write_bytes(content)
    file = read_table(path, ["user_id", "item_id"])
    assert file.table.to_numpy().tolist() == [["ann", "1", 4.5], ["bob", "2", 3.25]]
    assert any("utf-16" in note for note in file.notes)
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(FileFormatError, match=rf"plays\.{suffix} cannot be read"):
        read_table(path, ["user_id"])


def test_compressed_parquet_and_folders_of_compressed_files(tmp_path):
    table = pd.DataFrame([["ann", 1, 4.5]], columns=HEAD)
    table.to_parquet(tmp_path / "interactions.parquet")
    whole = (tmp_path / "interactions.parquet").read_bytes()
    (tmp_path / "interactions.parquet").unlink()
    (tmp_path / "interactions.parquet.gz").write_bytes(gzip.compress(whole))
    assert load_interactions(tmp_path).frame.to_numpy().tolist() == [["ann", 1, 4.5]]
    (tmp_path / "interactions.parquet.gz").unlink()
    (tmp_path / "interactions.csv.gz").write_bytes(gzip.compress(lines(";", [["ann", "1", "4,5"]]).encode("cp1252")))
    assert load_interactions(tmp_path, encoding="cp1252").target.tolist() == [4.5]
    assert load_interactions(tmp_path, decimal=",", delimiter=";").target.tolist() == [4.5]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("plays.zip", zipped("x", "other.csv"), r"the archive holds 2 files, \['data/plays.csv', 'other.csv'\]"),
        ("plays.csv", b"PK\x03\x04 sheet", "sheet of Excel.*: save the sheet as CSV"),
        ("plays.xlsx", b"PK\x03\x04 sheet", r"suffix '.xlsx' is unknown.*Save the sheet as CSV"),
        ("plays.csv.gz", b"user_id,item_id\n", r"plays\.csv\.gz cannot be read"),
        ("plays.csv", b"user_id,item_id\na,1\na,b,1,2\n", r"line 3, saw 4\): look at that line"),
    ],
)
def test_files_that_are_no_tables_say_what_to_do(tmp_path, name, content, says):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=says):
        read_table(tmp_path / name, ["user_id"])


AWKWARD = {
    "Excel's first line": b"\xef\xbb\xbfsep=;\r\nuser_id;item_id;rating\r\nann;1;4,5\r\nbob;2;3,25\r\n",
    "Excel's Unicode text": lines("\t", ends="\r\n").encode("utf-16"),
    "UTF-16 without a mark": lines(",").encode("utf-16-le"),
    "big-endian UTF-16 without a mark": lines(",").encode("utf-16-be"),
    "spaces": b" user_id , item_id , rating \nann, 1, 4.5\nbob, 2, 3.25\n",
    "mixed ends": b"user_id,item_id,rating\r\nann,1,4.5\nbob,2,3.25\r\n\r\n",
}


@pytest.mark.parametrize("kind", AWKWARD)
def test_awkward_files_are_read_as_what_they_mean(tmp_path, kind):
    path = tmp_path / "plays.csv"
    path.write_bytes(AWKWARD[kind])
    file = read_table(path, ["user_id", "item_id"], numbers=["rating"])
    assert list(file.table.columns) == HEAD
    assert file.table.to_numpy().tolist() == [["ann", "1", 4.5], ["bob", "2", 3.25]]


@pytest.mark.parametrize("encoding", ["gb18030", "shift_jis"])
def test_named_encodings_are_used_and_not_announced_as_found(tmp_path, encoding):
    path = tmp_path / "games.csv"
    path.write_bytes("item_id,title\n07,海の男\n".encode(encoding))
    file = read_table(path, ["item_id"], encoding=encoding)
    assert file.table["title"].tolist() == ["海の男"]
    assert not file.notes


def test_a_named_delimiter_that_a_file_lacks_is_detected_and_said(tmp_path):
    path = tmp_path / "plays.csv"
    path.write_text(lines("::"))
    assert read_table(path, ["item_id"], delimiter="::").table.to_numpy().tolist() == [
        ["ann", "1", 4.5],
        ["bob", "2", 3.25],
    ]
    path.write_text(lines(","))
    file = read_table(path, ["item_id"], delimiter="::")
    assert list(file.table.columns) == HEAD
    assert file.notes == ["the columns of plays.csv are separated by commas, and not by '::'"]


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
