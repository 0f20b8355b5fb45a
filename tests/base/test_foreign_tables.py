"""Tables of Arrow, Hugging Face, DuckDB, Dask and lazy ones: read as data frames are, or refused with the remedy."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numpy.testing import assert_array_equal
from sklearn.feature_extraction.text import TfidfVectorizer

from skllmrec import (
    BlendRecommender,
    FeatureMFRecommender,
    FeatureTable,
    HistoryText,
    InteractionFilter,
    PerUserKFold,
    PopularityRecommender,
    compare_recommenders,
    describe_data,
    matrix_from_interactions,
    rank_test_users,
)
from skllmrec._foreign import as_table

LONG = 2**53
FRAME = pd.DataFrame(
    {
        "user": ["ann", "ann", "bob", "bob", "cid", "dan"],
        "item": [LONG + 1, LONG + 2, LONG + 1, LONG + 3, LONG + 3, LONG + 2],
        "title": ["red sea", "blue sea", "red sea", "sun", "sun", "blue sea"],
    }
)
ITEMS = FRAME[["item", "title"]].drop_duplicates("item").reset_index(drop=True)
NAMES = {"user": "user", "item": "item"}


def like(library, name, **members):
    """An object that looks like one of a library that need not be installed."""
    return type(name, (), {"__module__": f"{library}.core", **members})()


def data_set(frame):
    """What a data set of Hugging Face has: no columns and no rows of its own, but `to_pandas`."""
    return like(
        "datasets", "Dataset", column_names=list(frame.columns), shape=frame.shape, to_pandas=lambda self: frame.copy()
    )


def relation(frame):
    """What a relation of DuckDB has: a shape and columns that cannot be read, and a stream of Arrow."""
    table = pa.Table.from_pandas(frame, preserve_index=False)
    return like(
        "duckdb", "DuckDBPyRelation", columns=list(frame.columns), shape=frame.shape,
        __arrow_c_stream__=lambda self, requested_schema=None: table.__arrow_c_stream__(requested_schema),
    )  # fmt: skip


READ = {
    "table": lambda frame: pa.Table.from_pandas(frame, preserve_index=False),
    "batch": lambda frame: pa.RecordBatch.from_pandas(frame, preserve_index=False),
    "data set": data_set,
    "relation": relation,
}
REFUSED = {
    "lazy": (lambda: pl.from_pandas(FRAME).lazy(), r"LazyFrame of polars, which holds no rows yet: call \.collect\(\)"),
    "dask": (
        lambda: like("dask", "DataFrame", __dask_graph__=lambda self: {}, columns=list(FRAME.columns)),
        r"DataFrame of dask, which holds no rows yet: call \.compute\(\)",
    ),
    "spark": (lambda: like("pyspark", "DataFrame"), r"DataFrame of pyspark.*: call \.toPandas\(\)"),
    "splits": (
        lambda: type("DatasetDict", (dict,), {"__module__": "datasets.dict"})(train=1, test=2),
        r"DatasetDict of datasets, which has the splits \['train', 'test'\]: choose one, such as \w+.*\['train'\]",
    ),
    "stream": (lambda: like("datasets", "IterableDataset"), "which is streamed: load it without streaming=True"),
}
CALLS = {
    "fit": lambda X: PopularityRecommender(**NAMES).fit(X),
    "predict": lambda X: PopularityRecommender(**NAMES).fit(FRAME).predict(X),
    "partial_fit": lambda X: PopularityRecommender(**NAMES).fit(FRAME).partial_fit(X),
    "users": lambda X: PopularityRecommender(**NAMES).fit(FRAME).recommend(X, 1),
    "candidates": lambda X: PopularityRecommender(**NAMES).fit(FRAME).recommend(["ann"], 1, candidates=X),
    "ranker": lambda X: PopularityRecommender(**NAMES).fit(FRAME).ranker(X),
    "item_table": lambda X: PopularityRecommender(**NAMES).fit(FRAME, item_table=X),
    "FeatureTable": lambda X: FeatureTable(X, key="item"),
    "describe_data": lambda X: describe_data(X, **NAMES),
    "matrix": lambda X: matrix_from_interactions(X, **NAMES),
    "filter": lambda X: InteractionFilter(**NAMES).fit_resample(X),
    "splitter": lambda X: list(PerUserKFold(2, user="user").split(X)),
    "scorer": lambda X: rank_test_users(PopularityRecommender(**NAMES).fit(FRAME), X, k=1),
    "history": lambda X: HistoryText("{title}", user="user").fit(X),
    "compare": lambda X: compare_recommenders({"a": PopularityRecommender(**NAMES)}, X, cv=2),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize(("make", "said"), REFUSED.values(), ids=REFUSED)
def test_rows_that_are_not_there_yet_are_refused(make, said, call):
    with pytest.raises(TypeError, match=said):
        call(make())


def recommender():
    return FeatureMFRecommender(2, **NAMES, item_features="title", item_encoder=TfidfVectorizer(), random_state=0)


@pytest.mark.parametrize("make", READ.values(), ids=READ)
def test_tables_are_read_as_data_frames_are(make):
    expected, found = recommender().fit(FRAME), recommender().fit(make(FRAME))
    assert_array_equal(found.predict(make(FRAME)), expected.predict(FRAME))
    assert found.items_.tolist() == [LONG + 1, LONG + 2, LONG + 3], "no id is rounded"
    new = pd.DataFrame({"item": [7, 8], "title": ["red sun", "blue"]})
    for one, other in zip(
        found.recommend(make(FRAME[["user"]]), 2, candidates=make(new)),
        expected.recommend(FRAME[["user"]], 2, candidates=new),
        strict=True,
    ):
        assert_array_equal(one, other)
    with_table = recommender().fit(make(FRAME[["user", "item"]]), item_table=make(ITEMS))
    assert_array_equal(with_table.predict(FRAME), expected.predict(FRAME))
    ids, _ = found.recommend(["ann"], 1, candidates=([LONG + 3], make(new)))
    assert ids.shape == (1, 1)


@pytest.mark.parametrize("make", READ.values(), ids=READ)
def test_every_reader_takes_them(make):
    table = make(FRAME)
    assert describe_data(table, **NAMES, item_table=make(ITEMS)).facts["items"] == "3"
    assert matrix_from_interactions(table, **NAMES)[0].nnz == len(FRAME)
    kept, _ = InteractionFilter(**NAMES, min_user_interactions=2, min_item_interactions=1).fit_resample(table)
    assert kept["user"].tolist() == ["ann", "ann", "bob", "bob"]
    assert HistoryText("{title}", user="user").fit_transform(table)["history"][4] == "sun"
    assert len(FeatureTable(make(ITEMS), key="item").index) == 3
    folds = list(PerUserKFold(2, user="user").split(table))
    assert sum(len(test) for _, test in folds) == len(FRAME)
    model = PopularityRecommender(**NAMES).fit(FRAME)
    assert len(rank_test_users(model, table, k=1).users) == 4
    blend = BlendRecommender([("a", PopularityRecommender(**NAMES))], **NAMES).fit(table)
    assert_array_equal(blend.recommend(table, 1)[0], blend.recommend(FRAME, 1)[0])


def test_comparisons_of_arrow_tables():
    rng = np.random.default_rng(0)
    pairs = np.unique(rng.integers([12, 9], size=(80, 2)), axis=0)
    frame = pd.DataFrame(pairs, columns=["user", "item"])
    options = {"cv": 2, "k": 3, "metrics": ("ndcg",), "n_permutations": 9, "n_resamples": 9, "random_state": 0}
    found, expected = (
        compare_recommenders({"a": PopularityRecommender(**NAMES)}, X, **options).value("a", "ndcg")
        for X in (pa.Table.from_pandas(frame), frame)
    )
    assert found == expected


def test_whole_numbers_with_missing_values_stay_whole():
    table = pa.table({"user": ["ann", "bob"], "item": [LONG + 1, None]})
    assert as_table(table)["item"][0] == LONG + 1
    with pytest.raises(ValueError, match="missing"):
        PopularityRecommender(**NAMES).fit(table)


@pytest.mark.parametrize("X", [[["a", 1]], np.zeros((2, 2)), FRAME, pl.from_pandas(FRAME), None, "ann", (1, 2, 3)])
def test_all_else_stays_as_it_is(X):
    assert as_table(X) is X


def test_arrays_of_arrow_are_ids():
    model = PopularityRecommender(**NAMES).fit(FRAME)
    found = model.recommend(pa.array(["ann", "cid"]), 1, candidates=pa.array([LONG + 3, LONG + 1]))
    for one, other in zip(found, model.recommend(["ann", "cid"], 1, candidates=[LONG + 3, LONG + 1]), strict=True):
        assert_array_equal(one, other)
