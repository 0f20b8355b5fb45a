"""TextTemplate: the rule of separators, every kind of table and value, scikit-learn's conventions."""
# ruff: noqa: RUF001 - full-width and typographic characters are the subject

import itertools
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.decomposition import TruncatedSVD
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline

from skllmrec.preprocessing import TextTemplate

MISSING = [None, np.nan, pd.NA, pd.NaT, "", "  ", []]


def one(template, *values):
    row = np.empty((1, len(values)), dtype=object)
    row[0] = values
    (text,) = TextTemplate(template).fit_transform(row)
    return text


@pytest.fixture
def films():
    return pd.DataFrame(
        {"id": [1, 2, 3, 4], "title": ["Toy Story", "Heat", None, None], "genres": ["Comedy", None, "Drama", ""]}
    )


FILM_TEXTS = ["Toy Story. Comedy", "Heat", "Drama", ""]


@pytest.mark.parametrize(
    ("template", "title", "year", "genres", "expected"),
    [
        ("{0} ({1}): {2}", "Heat", 1995, "Crime", "Heat (1995): Crime"),
        ("{0} ({1}): {2}", "Heat", None, "Crime", "Heat: Crime"),
        ("{0} ({1}): {2}", "Heat", 1995, None, "Heat (1995)"),
        ("{0} ({1}): {2}", None, 1995, "Crime", "(1995): Crime"),
        ("{0} ({1}): {2}", None, None, "Crime", "Crime"),
        ("{0}. Year: {1}. Genres: {2}.", "Heat", None, "Crime", "Heat. Genres: Crime."),
        ("{0}. Year: {1}. Genres: {2}.", "Heat", None, None, "Heat."),
        ("{0}. Year: {1}. Genres: {2}.", None, 1995, "Crime", "Year: 1995. Genres: Crime."),
        ("Title: {0}, {1} | {2}", None, 1995, None, "1995"),
        ("Title: {0}, {1} | {2}", "Heat", None, "Crime", "Title: Heat | Crime"),
        ("《{0}》，年份：{1}，类型：{2}。", "热力", None, "犯罪", "《热力》，类型：犯罪。"),
        ("《{0}》，年份：{1}，类型：{2}。", None, 1995, None, "年份：1995。"),
        ("{0}{1}{2}", "a", None, "c", "ac"),
        ("{{{0}}} {1} {2}", "a", None, "c", "{a} c"),
        ('"{0}" by {1}, {2}', None, "Mann", "Crime", "by Mann, Crime"),
        ("{1}'s {0}: {2}", "Heat", "Mann", None, "Mann's Heat"),
    ],
)
def test_missing_field_takes_its_separator_and_label_along(template, title, year, genres, expected):
    assert one(template, title, year, genres) == expected


@pytest.mark.parametrize("missing", MISSING, ids=repr)
def test_every_kind_of_missing(missing):
    assert one("{0}. {1}", "Toy Story", missing) == "Toy Story"
    assert one("{0}. {1}", missing, "Comedy") == "Comedy"
    assert one("A {0}. {1}!", missing, missing) == ""


@pytest.mark.parametrize("n_fields", [1, 2, 5])
def test_plain_separator_is_a_join_of_what_is_present(n_fields):
    template = "; ".join(f"{{{i}}}" for i in range(n_fields))
    for present in itertools.product([True, False], repeat=n_fields):
        values = [f"w{i}" if keep else None for i, keep in enumerate(present)]
        assert one(template, *values) == "; ".join(value for value in values if value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1995.0, "1995"),
        (np.float64(1995.0), "1995"),
        (np.float32(0.1), "0.1"),
        (9.5, "9.5"),
        (-0.0, "0"),
        (np.int64(7), "7"),
        (True, "True"),
        (np.inf, "inf"),
        ("  Heat \n", "Heat"),
        (["Crime", "Drama"], "Crime, Drama"),
        (("Crime", None, 3.0), "Crime, 3"),
        ({"b", "a"}, "a, b"),
        (np.array(["Crime", "Drama"], dtype=object), "Crime, Drama"),
        (pd.Series(["Crime", "Drama"]), "Crime, Drama"),
        ([["a", "b"], ["c"]], "a, b, c"),
        (pd.Timestamp("1995-11-22"), "1995-11-22 00:00:00"),
    ],
)
def test_values_are_rendered_plainly(value, expected):
    assert one("{0}{1}", value, "") == expected


def test_typed_columns_of_frames():
    frame = pd.DataFrame(
        {
            "title": pd.Series(["Heat", "Babe"], dtype="category"),
            "year": pd.Series([1995, None], dtype="Int64"),
            "price": np.array([9.99, 0.5], dtype=np.float32),
            "genres": [["Crime"], ["Comedy", "Drama"]],
        }
    )
    expected = ["Heat 1995 9.99 Crime", "Babe 0.5 Comedy, Drama"]
    template = TextTemplate("{title} {year} {price} {genres}")
    assert template.fit_transform(frame).tolist() == expected
    polars = pl.from_pandas(frame)
    assert template.fit_transform(polars).tolist() == expected


def test_parquet_arrays(tmp_path):
    path = tmp_path / "items.parquet"
    pd.DataFrame({"title": ["Heat"], "genres": [["Crime", "Drama"]]}).to_parquet(path)
    frame = pd.read_parquet(path)
    assert isinstance(frame["genres"][0], np.ndarray)
    assert TextTemplate("{title}. {genres}").fit_transform(frame).tolist() == ["Heat. Crime, Drama"]


def test_every_kind_of_table_gives_the_same_texts(films):
    named, by_position = TextTemplate("{title}. {genres}"), TextTemplate("{1}. {2}")
    assert named.fit_transform(films).tolist() == FILM_TEXTS
    assert named.fit_transform(pl.from_pandas(films)).tolist() == FILM_TEXTS
    for table in (films, pl.from_pandas(films), films.to_numpy(), films.to_numpy().tolist()):
        assert by_position.fit_transform(table).tolist() == FILM_TEXTS


@pytest.mark.parametrize("make", [pd.Series, pl.Series, np.array, list])
def test_one_field_takes_one_dimension(make):
    texts = TextTemplate("Film: {title}").fit_transform(make(["Heat", ""]))
    assert texts.tolist() == ["Film: Heat", ""]


@pytest.mark.parametrize("container", ["default", "pandas", "polars"])
def test_output_is_a_1d_object_array_whatever_set_output_says(films, container):
    with sklearn.config_context(transform_output=container):
        texts = TextTemplate("{title}. {genres}").fit_transform(films)
    also = TextTemplate("{title}. {genres}").set_output(transform=container).fit(films).transform(films)
    for out in (texts, also):
        assert type(out) is np.ndarray and out.dtype == object and out.shape == (4,)
        assert all(type(text) is str for text in out)


def test_first_step_before_tfidf_with_pandas_output(films):
    with sklearn.config_context(transform_output="pandas"):
        tfidf = make_pipeline(TextTemplate("{title}. {genres}"), TfidfVectorizer())
        tfidf.fit(films)
        assert sorted(tfidf[-1].vocabulary_) == ["comedy", "drama", "heat", "story", "toy"]
    dense = make_pipeline(TextTemplate("{title}. {genres}"), TfidfVectorizer(), TruncatedSVD(2))
    with sklearn.config_context(transform_output="pandas"):
        assert list(dense.fit_transform(films, csr_array((4, 3))).columns) == ["truncatedsvd0", "truncatedsvd1"]


def test_sparse_targets_are_ignored(films):
    template = TextTemplate("{title}. {genres}")
    assert template.fit_transform(films, csr_array((4, 9))).tolist() == FILM_TEXTS
    assert template.fit(films, csr_array((4, 9))).transform(films).tolist() == FILM_TEXTS


def test_conventions(films):
    template = TextTemplate("{title}. {genres}")
    with pytest.raises(NotFittedError):
        template.transform(films)
    assert template.fit(films) is template
    assert template.n_features_in_ == 3
    assert template.feature_names_in_.tolist() == ["id", "title", "genres"]
    assert template.fields_ == ["title", "genres"]
    assert template.get_feature_names_out().tolist() == ["text"]
    assert not hasattr(clone(template), "fields_")
    assert clone(template).get_params() == {"template": "{title}. {genres}"}
    copy = pickle.loads(pickle.dumps(template))  # noqa: S301 - our own bytes
    assert copy.transform(films).tolist() == FILM_TEXTS
    template.set_params(template="{1}").fit(films.to_numpy())
    assert not hasattr(template, "feature_names_in_")


def test_transform_takes_other_columns_in_another_order(films):
    template = TextTemplate("{title}. {genres}").fit(films)
    assert template.transform(films[["genres", "title"]].assign(extra=1)).tolist() == FILM_TEXTS


def test_no_rows(films):
    texts = TextTemplate("{title}").fit_transform(films[:0])
    assert texts.shape == (0,) and texts.dtype == object


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{title", "expected '}'"),
        ("title}", "single '}'"),
        ("{}", "no name"),
        ("{ }", "no name"),
        ("{year:.0f}", "format"),
        ("{title!r}", "conversion"),
        ("no field", "no field"),
        (3, "not a str"),
    ],
)
def test_bad_template_is_an_error_at_fit(films, template, reason):
    estimator = TextTemplate(template)  # not before
    with pytest.raises(ValueError, match=f"(?i){reason}"):
        estimator.fit(films)


def test_missing_column_names_it_and_those_there_are(films):
    with pytest.raises(ValueError, match=r"'plot'.*not in X.*\['id', 'title', 'genres'\]"):
        TextTemplate("{title}. {plot}").fit(films)
    fitted = TextTemplate("{title}. {genres}").fit(films)
    with pytest.raises(ValueError, match=r"'genres'.*not in X.*\['id', 'title'\]"):
        fitted.transform(films[["id", "title"]])
    with pytest.raises(ValueError, match=r"'title'.*twice"):
        TextTemplate("{title}").fit(films[["title", "title"]])
    with pytest.raises(ValueError, match="column 3, but X has 3 columns"):
        TextTemplate("{3}").fit(films)


def test_unusable_tables_are_errors(films):
    with pytest.raises(ValueError, match="without names: use positions"):
        TextTemplate("{title}").fit(films.to_numpy())
    with pytest.raises(ValueError, match="2 fields, but X has one dimension"):
        TextTemplate("{0}. {1}").fit(films["title"])
    with pytest.raises(TypeError, match="sparse"):
        TextTemplate("{0}").fit(csr_array((2, 2)))
    with pytest.raises(TypeError, match=r"Column 'title' of X: b'Heat' is bytes"):
        TextTemplate("{title}").fit_transform(pd.DataFrame({"title": [b"Heat"]}))
    with pytest.raises(ValueError, match="3 dimensions"):
        TextTemplate("{0}").fit(np.zeros((2, 2, 2)))
    with pytest.raises(ValueError, match="2 features, but TextTemplate is expecting 3"):
        TextTemplate("{0}").fit(films.to_numpy()).transform(films.to_numpy()[:, :2])
