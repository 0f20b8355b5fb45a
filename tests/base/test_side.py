"""Sides of a recommender: encoders fitted on the ids with interactions, entities of a call."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skllmrec._ids import IdIndex
from skllmrec.base import Entities, FeatureTable
from skllmrec.base._columns import ColumnKey
from skllmrec.base._matrices import as_matrix, stack
from skllmrec.base._side import fit_side
from skllmrec.exceptions import UnknownIdError

# rows of users 5 and 7 with items 30, 10, 20
FRAME = pd.DataFrame(
    {
        "user": [5, 7, 5, 7],
        "item": [30, 10, 20, 30],
        "title": ["red sea", "blue sea", "sun", "ignored"],
        "year": [1990.0, 1980.0, 2000.0, 0.0],
    }
)
TARGETS = sparse.csr_matrix(np.array([[0, 1], [1, 0], [1, 1]]))


def side_of(features, encoder=None, table=None):
    ids = IdIndex.from_values(FRAME["item"].to_numpy())
    return fit_side(
        "item",
        FRAME,
        id_key=ColumnKey.resolve(FRAME, "item", name="item"),
        features=features,
        encoder=encoder,
        table=table,
        ids=ids,
        targets=TARGETS,
    )


def test_first_row_of_each_id_is_read():
    _, matrix = side_of("year")
    assert_allclose(matrix, [[1980], [2000], [1990]])
    _, matrix = side_of(["year", "user"])
    assert_allclose(matrix, [[1980, 7], [2000, 5], [1990, 5]])


def test_encoder_is_fitted_on_a_clone_and_sparse_stays_sparse():
    encoder = TfidfVectorizer()
    side, matrix = side_of("title", encoder)
    assert not hasattr(encoder, "vocabulary_") and sparse.issparse(matrix)
    assert_allclose(matrix.toarray(), encoder.fit_transform(["blue sea", "sun", "red sea"]).toarray())
    assert set(side.encoder.vocabulary_) == {"blue", "red", "sea", "sun"}, "a later row of an item was read"


def test_encoder_of_several_columns_gets_a_frame():
    encoder = make_pipeline(StandardScaler().set_output(transform="pandas"), PCA(1))
    side, matrix = side_of(["year", "user"], encoder)
    assert matrix.shape == (3, 1)
    assert_array_equal(side.encoder[0].feature_names_in_, ["year", "user"])


def test_table_holds_more_items_and_only_those_with_interactions_fit_the_encoder():
    table = pd.DataFrame({"item": [40, 30, 10, 20, 15], "title": ["moon", "a red", "a blue", "a sun", "sun sea"]})
    side, matrix = side_of("title", TfidfVectorizer(), FeatureTable(table, key="item"))
    assert_array_equal(side.index.ids, [10, 20, 30, 15, 40])
    assert set(side.encoder.vocabulary_) == {"blue", "red", "sun"}
    assert matrix.shape == (5, 3) and matrix[[4]].nnz == 0, "moon was not among the words"
    assert_allclose(matrix[[3]].toarray(), side.encoder.transform(["sun sea"]).toarray())


def test_table_without_features_brings_ids():
    side, matrix = side_of(None, table=FeatureTable(pd.DataFrame({"item": [40, 30, 10, 20]}), key="item"))
    assert_array_equal(side.index.ids, [10, 20, 30, 40])
    assert matrix is None


def test_table_that_lacks_an_item():
    table = FeatureTable(pd.DataFrame({"item": [30, 10], "year": [1.0, 2.0]}), key="item")
    with pytest.raises(ValueError, match=r"item_table lacks 1 of the 3 items of X, e.g. 20: add a row"):
        side_of("year", table=table)


@pytest.mark.parametrize(
    ("features", "encoder", "message"),
    [
        (None, TfidfVectorizer(), "item_encoder is given, but item_features is None: name the columns"),
        ("title", None, r"item_features hold values that are not numbers.*give item_encoder= a transformer"),
        ("text", None, "item_features='text' does not select columns"),
    ],
)
def test_features_that_cannot_be(features, encoder, message):
    with pytest.raises(ValueError, match=message):
        side_of(features, encoder)


def test_entities_known_and_new():
    side, _ = side_of("title", TfidfVectorizer())
    X = pd.DataFrame({"item": [20, 99, 10, 99], "title": ["moon", "red sun", "moon", "moon"]})
    entities = side.read(X)
    assert_array_equal(entities.codes, [1, -1, 0, -1])
    assert_array_equal(entities.rows, [-1, 0, -1, 0])
    assert_allclose(entities.features.toarray(), side.encoder.transform(["red sun"]).toarray())
    known, new, default = np.arange(6.0).reshape(3, 2), np.array([[8.0, 9.0]]), np.array([-1.0, -1.0])
    assert_allclose(entities.fill(known, new, default), [[2, 3], [8, 9], [0, 1], [8, 9]])
    assert_allclose(entities.fill(known, None, default), [[2, 3], [-1, -1], [0, 1], [-1, -1]])
    taken = entities.take([3, 0])
    assert_allclose(taken.fill(known, new, default), [[8, 9], [2, 3]])
    assert len(taken) == 2


def test_known_ids_alone_encode_nothing():
    side, _ = side_of("title", TfidfVectorizer())
    side.encoder = None  # would fail
    assert side.read(FRAME).features is None
    assert side.read([10, 99]).features is None, "ids alone bring no features"


def test_entities_of_ids_and_rows_together():
    side, _ = side_of("title", TfidfVectorizer())
    X = pd.DataFrame({"item": [99, 20, 98, 99], "title": ["red", "sun", "sea", "blue"]})
    entities = side.read(([30, 20, 30], X), distinct=True)
    assert_array_equal(entities.ids, [30, 20, 99, 98])
    assert_array_equal(entities.codes, [2, 1, -1, -1])
    expected = side.encoder.transform(["red", "sea"]).toarray()
    assert_allclose(entities.features[entities.rows[2:]].toarray(), expected)
    with pytest.raises(UnknownIdError, match="item 77 at position 1 was not seen"):
        side.read(([30, 77], X))


def test_unknown_ids_raise_on_demand():
    side, _ = side_of("year")
    with pytest.raises(UnknownIdError, match=r"item column 'item': item 99 at position 1 was not seen by fit \(2 in"):
        side.read([10, 99, 98], handle_unknown="error")


@pytest.mark.parametrize("dtype", [object, "string"])
def test_encoder_that_fails_on_a_missing_value_is_explained(dtype):
    frame = FRAME.assign(title=pd.Series(["a", None, "c", "d"], dtype=dtype))
    with pytest.raises(
        ValueError, match=r"item_features column 'title' has (None|nan|<NA>) for item 10 \(1 missing .*fill them"
    ):
        fit_side(
            "item",
            frame,
            id_key=ColumnKey.resolve(frame, "item", name="item"),
            features="title",
            encoder=TfidfVectorizer(),
            table=None,
            ids=IdIndex.from_values(frame["item"].to_numpy()),
            targets=TARGETS,
        )


def test_matrices():
    ids = np.array([7, 8])
    assert as_matrix(np.ones((2, 2), np.float32), "item", ids).dtype == np.float32
    assert as_matrix([1, 2], "item", ids).shape == (2, 1)
    assert as_matrix(sparse.coo_matrix(np.eye(2)), "item", ids).format == "csr"
    encoded = OneHotEncoder().fit_transform([["a"], ["b"]])
    assert stack([np.ones((1, 2)), encoded]).toarray().tolist() == [[1, 1], [1, 0], [0, 1]]
    for value, message in ((np.nan, "NaN for item 8 in column 0: fill"), (np.inf, "inf for item 8 in column 0: a num")):
        message = f"item_features, as encoded, have NaN or inf, first {message}"
        for bad in (np.array([[1, 2], [value, 3]]), sparse.csr_matrix([[1, 2], [value, 3]])):
            with pytest.raises(ValueError, match=message):
                as_matrix(bad, "item", ids)
    for bad in (np.array([[1, 2], [3, -2e15]]), sparse.csr_matrix([[1, 2], [0, -2e15]])):
        with pytest.raises(ValueError, match=r"encoded, have -2e\+15 for item 8 in column 1: at most 1e\+15"):
            as_matrix(bad, "item", ids)


def test_entities_are_plain():
    assert len(Entities(np.array([1, 2]), np.array([0, 1]))) == 2


@pytest.mark.parametrize("dense", [False, True])
def test_a_selection_brings_the_features_that_it_needs(dense):
    side, _ = side_of("title", TfidfVectorizer())
    X = pd.DataFrame({"item": [99, 20, 98, 97], "title": ["red", "sun", "moon", "red moon"]})
    entities = side.read(X)
    if dense:
        entities = replace(entities, features=entities.features.toarray())
    rows = entities.rows.copy()
    for positions, wanted in (
        (np.array([3, 1, 2, 3]), ["red moon", "moon", "red moon"]),
        (slice(2, 4), ["moon", "red moon"]),
    ):
        taken = entities.take(positions)
        assert taken.features.shape[0] == 2, "those of 98 and 97"
        found = taken.features[taken.rows[taken.codes < 0]]
        assert_allclose(found if dense else found.toarray(), side.encoder.transform(wanted).toarray())
        assert_array_equal(entities.rows, rows)
    assert entities.take(np.array([1])).features is None, "no new item, no features"
