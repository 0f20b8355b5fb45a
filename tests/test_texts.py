"""check_texts: every container of one column of texts, and a message for everything else."""

import numpy as np
import pytest
from scipy import sparse

from skllmrec._texts import check_texts

TEXTS = ["a film", "", "電影 🎬"]


def containers():
    """Containers with TEXTS in them, by name."""
    pd, pl = pytest.importorskip("pandas"), pytest.importorskip("polars")
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
        "pandas category": pd.Series(TEXTS, dtype="category"),
        "pandas other index": pd.Series(TEXTS, index=[7, 7, 1]),
        "pandas Index": pd.Index(TEXTS),
        "pandas frame": pd.DataFrame({"title": TEXTS}),
        "pandas frame of categories": pd.DataFrame({"title": pd.Categorical(TEXTS)}),
        "polars": pl.Series(TEXTS),
        "polars category": pl.Series(TEXTS, dtype=pl.Categorical),
        "polars frame": pl.DataFrame({"title": TEXTS}),
    }


@pytest.mark.parametrize("name", containers())
def test_containers(name):
    got = check_texts(containers()[name], name="Encoder")
    assert got.dtype == object
    assert got.shape == (3,)
    assert got.tolist() == TEXTS
    assert all(isinstance(text, str) for text in got)


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


def test_lone_surrogate_is_an_error_with_a_remedy():
    with pytest.raises(ValueError, match=r"text at position 1, 'bad.*not valid Unicode.*replace"):
        check_texts(["good", "bad \ud800"], name="Encoder")
