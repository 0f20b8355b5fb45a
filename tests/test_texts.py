"""check_texts: every container of one column of texts, and a message for everything else."""

import enum
from collections.abc import Iterator

import numpy as np
import pytest
from scipy import sparse

from skllmrec import _inputs, _texts
from skllmrec._texts import check_texts, cut_blocks, open_texts

TEXTS = ["a film", "", "電影 🎬"]


def text_blocks(texts, *, name):
    """Blocks of texts as an encoder takes them, and their number where it is known."""
    column = open_texts(texts, name=name)
    return cut_blocks(column), None if isinstance(column, Iterator) else len(column)


def containers():
    """Containers with TEXTS in them, by name."""
    pd, pl, pa = (pytest.importorskip(name) for name in ("pandas", "polars", "pyarrow"))
    return {
        "list": TEXTS,
        "tuple": tuple(TEXTS),
        "iterator": iter(TEXTS),
        "numpy str": np.array(TEXTS),
        "numpy object": np.array(TEXTS, dtype=object),
        "numpy column": np.array(TEXTS)[:, None],
        "numpy strings in a list": list(np.array(TEXTS)),
        "pandas str": pd.Series(TEXTS, dtype="str"),
        "pandas object": pd.Series(TEXTS, dtype=object),
        "pandas string": pd.Series(TEXTS, dtype="string"),
        "pandas arrow": pd.Series(TEXTS, dtype=pd.ArrowDtype(pa.string())),
        "pandas category": pd.Series(TEXTS, dtype="category"),
        "pandas other index": pd.Series(TEXTS, index=[7, 7, 1]),
        "pandas Index": pd.Index(TEXTS),
        "pandas frame": pd.DataFrame({"title": TEXTS}),
        "pandas frame of categories": pd.DataFrame({"title": pd.Categorical(TEXTS)}),
        "polars": pl.Series(TEXTS),
        "polars category": pl.Series(TEXTS, dtype=pl.Categorical),
        "polars frame": pl.DataFrame({"title": TEXTS}),
        "polars chunks": pl.concat([pl.Series(TEXTS[:1]), pl.Series(TEXTS[1:])], rechunk=False),
        "arrow array": pa.array(TEXTS),
        "arrow chunks": pa.chunked_array([TEXTS[:1], TEXTS[1:]]),
        "arrow table": pa.table({"title": TEXTS}),
    }


@pytest.mark.parametrize("name", containers())
def test_containers(name):
    got = check_texts(containers()[name], name="Encoder")
    assert got.dtype == object
    assert got.shape == (3,)
    assert got.tolist() == TEXTS
    assert all(type(text) is str for text in got)


@pytest.mark.parametrize("size", [1, 2, 3, 100])
@pytest.mark.parametrize("name", containers())
def test_blocks_of_containers(name, size, monkeypatch):
    monkeypatch.setattr(_texts, "BLOCK_TEXTS", size)
    monkeypatch.setattr(_inputs, "_SLICE", 2)
    blocks, n_texts = text_blocks(containers()[name], name="Encoder")
    assert n_texts == (None if name == "iterator" else 3)
    blocks = list(blocks)
    assert blocks == [TEXTS[start : start + size] for start in range(0, 3, size)]
    assert all(type(text) is str for block in blocks for text in block)


@pytest.mark.parametrize("position", [0, 1, 4])
@pytest.mark.parametrize("library", ["pandas str", "pandas string", "pandas arrow", "polars", "arrow", "numpy", "list"])
def test_missing_text_has_its_position_over_slices(library, position, monkeypatch):
    pd, pl, pa = (pytest.importorskip(name) for name in ("pandas", "polars", "pyarrow"))
    monkeypatch.setattr(_inputs, "_SLICE", 2)
    make = {
        "pandas str": lambda texts: pd.Series(texts, dtype="str", index=range(7, 13)),
        "pandas string": lambda texts: pd.Series(texts, dtype="string", index=list("ffffff")),
        "pandas arrow": lambda texts: pd.Series(texts, dtype=pd.ArrowDtype(pa.string())),
        "polars": pl.Series,
        "arrow": pa.array,
        "numpy": lambda texts: np.array(texts, dtype=object),
        "list": list,
    }[library]
    texts = ["a", "b", "c", "d", "e", None]
    texts[position] = None
    for read in (check_texts, text_blocks):
        with pytest.raises(ValueError, match=rf"2 of 6 values.*; the first, at position {position}, is .*fill missing"):
            read(make(texts), name="Encoder")


def test_value_of_an_iterator_is_checked_when_it_comes(monkeypatch):
    monkeypatch.setattr(_texts, "BLOCK_TEXTS", 2)
    blocks, _ = text_blocks(iter(["a", "b", "c", None, "d"]), name="Encoder")
    assert next(blocks) == ["a", "b"]
    with pytest.raises(ValueError, match=r"the value at position 3 of the iterator is None \(NoneType\): fill missing"):
        next(blocks)
    blocks, _ = text_blocks(iter(["a", "b", "c", "\udfff"]), name="Encoder")
    with pytest.raises(ValueError, match=r"text at position 3 of the iterator, .* surrogate"):
        list(blocks)


def test_error_of_an_iterator_is_its_own():
    def broken():
        yield "a"
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError, match="gone"):
        check_texts(broken(), name="Encoder")
    with pytest.raises(ConnectionError, match="gone"):
        list(text_blocks(broken(), name="Encoder")[0])


def test_other_classes_of_str_become_the_characters_that_they_are():
    class Genre(str, enum.Enum):  # noqa: UP042 - unlike StrEnum, str() gives the name
        DRAMA = "drama"

    class Shy(str):
        __slots__ = ()

        def __str__(self):
            return "hidden"

        __repr__ = __str__

        def __eq__(self, other):
            return False

        def __hash__(self):
            return 0

    texts = [Genre.DRAMA, enum.StrEnum("Kind", {"FILM": "film"}).FILM, Shy("shy"), np.str_("numpy"), "plain"]
    expected = ["drama", "film", "shy", "numpy", "plain"]
    array = np.array(texts, dtype=object)
    for got in (check_texts(texts, name="Encoder"), check_texts(array, name="Encoder")):
        assert got.tolist() == expected
        assert {type(text) for text in got} == {str}
    assert array[2] is texts[2]  # the input is as it was
    for given in (texts, array, iter(texts)):
        (block,) = text_blocks(given, name="Encoder")[0]
        assert block == expected
        assert {type(text) for text in block} == {str}


def test_container_is_made_objects_a_slice_at_a_time(monkeypatch):
    monkeypatch.setattr(_inputs, "_SLICE", 10)
    monkeypatch.setattr(_texts, "BLOCK_TEXTS", 25)
    sizes, asarray = [], np.asarray
    monkeypatch.setattr(np, "asarray", lambda *args, **kwargs: sizes.append(len(args[0])) or asarray(*args, **kwargs))
    texts = np.array([f"film {i}" for i in range(100)])
    blocks, _ = text_blocks(texts, name="Encoder")
    assert [len(block) for block in blocks] == [25, 25, 25, 25]
    assert set(sizes) == {10}


def test_text_longer_than_a_block_is_a_block():
    texts = ["a", "b" * (_texts.BLOCK_CHARS + 1), "c"]
    assert [len(block) for block in cut_blocks(texts)] == [1, 1, 1]


@pytest.mark.parametrize("missing", [None, float("nan"), np.nan])
@pytest.mark.parametrize("make", [list, tuple, lambda values: np.array(values, dtype=object)])
def test_missing_text_is_named_with_its_position(make, missing):
    with pytest.raises(ValueError, match=r"Encoder takes texts only, but 1 of 3 values is not a string; .* position 1"):
        check_texts(make(["a", missing, "b"]), name="Encoder")


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_missing_text_in_a_frame_is_named_with_its_column(library):
    frames = pytest.importorskip(library)
    series = (
        frames.Series(["a", None, None], dtype="string") if library == "pandas" else frames.Series(["a", None, None])
    )
    frame = frames.DataFrame({"plot": series})
    for column in (frame, frame["plot"]):
        expected = r"2 of 3 values in column 'plot' are not strings; the first, at position 1, is (<NA>|None).*fill"
        with pytest.raises(ValueError, match=expected):
            check_texts(column, name="Encoder")


@pytest.mark.parametrize(
    ("value", "remedy"), [(b"bytes", "decode"), (3, "astype"), (["nested"], "astype"), (2.5, "fill missing")]
)
def test_other_values_are_named_with_a_remedy(value, remedy):
    with pytest.raises(ValueError, match=f"position 2, is .*{type(value).__name__}.*{remedy}"):
        check_texts(["a", "b", value], name="Encoder")


@pytest.mark.parametrize("text", ["a film", b"a film"])
def test_single_text_is_an_error(text):
    with pytest.raises(ValueError, match=r"Encoder takes one text per row, but got a single .*put it in a list"):
        check_texts(text, name="Encoder")


def test_several_columns_point_to_text_template():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"title": ["a"], "genres": ["b"]})
    with pytest.raises(ValueError, match=r"columns \['title', 'genres'\].*TextTemplate"):
        check_texts(frame, name="Encoder")
    with pytest.raises(ValueError, match=r"shape \(2, 2\).*TextTemplate"):
        check_texts(np.array([["a", "b"], ["c", "d"]]), name="Encoder")


@pytest.mark.parametrize("empty", [[], (), np.array([], dtype=str), np.empty((0, 1), dtype=object)])
def test_no_text_is_an_error_in_scikit_learns_words(empty):
    with pytest.raises(
        ValueError, match=r"Found no texts \(shape=\(0,\)\) while a minimum of 1 is required by Encoder"
    ):
        check_texts(empty, name="Encoder")


@pytest.mark.parametrize("value", [None, {"a": 1}, {"a", "b"}, 5, object(), sparse.eye(2), np.array("a")])
def test_what_is_no_column_is_an_error(value):
    with pytest.raises(ValueError, match="Encoder takes"):
        check_texts(value, name="Encoder")


def test_columns_of_an_arrow_table_are_named():
    pa = pytest.importorskip("pyarrow")
    with pytest.raises(ValueError, match=r"columns \['a', 'b'\].*TextTemplate"):
        check_texts(pa.table({"a": ["x"], "b": ["y"]}), name="Encoder")
    with pytest.raises(ValueError, match="in column 'plot'"):
        check_texts(pa.table({"plot": ["x", None]}), name="Encoder")


def test_lone_surrogate_is_an_error_with_a_remedy():
    with pytest.raises(ValueError, match=r"text at position 1, 'bad.*not valid Unicode.*replace"):
        check_texts(["good", "bad \ud800"], name="Encoder")
    with pytest.raises(ValueError, match=r"position 2, is None"):  # what is no text at all comes first
        check_texts(["good", "bad \ud800", None], name="Encoder")
    for surrogate in ("\ud800", "\udbff", "\udc00", "\udfff", "\udc00\ud800", "😀\ude00"):
        with pytest.raises(ValueError, match="not valid Unicode"):
            check_texts([surrogate], name="Encoder")
    assert check_texts(["\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16")], name="E").tolist() == ["😀"]
