"""Encoders of features: their rows are counted, missing columns are named, and nothing known looks like no answer."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from sklearn.cross_decomposition import PLSRegression
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler

from skllmrec.base import FeatureTable
from skllmrec.preprocessing import DenseTargets, TextTemplate
from skllmrec.recommenders import (
    FeatureMFRecommender,
    LinearAutoencoderRecommender,
    MarkovRecommender,
    NeighborsRecommender,
    PairwiseRecommender,
    PopularityRecommender,
    SequentialRecommender,
    TwoTowerRecommender,
)

N = 12
WORDS = ["space", "robot", "crime", "love", "war", "desert"]
ITEMS = pd.DataFrame(
    {
        "item": [f"i{number:02}" for number in range(N)],
        "title": [f"{WORDS[number % 6]} {WORDS[(number * 5 + 1) % 6]}" for number in range(N)],
        "genre": [WORDS[number % 3] for number in range(N)],
        "year": np.linspace(0, 1, N),
    }
)
_rng = np.random.default_rng(0)
PAIRS = pd.DataFrame(
    [(f"u{user:02}", f"i{item:02}") for user in range(N) for item in _rng.permutation(N)[:5]], columns=["user", "item"]
)
FRAME = PAIRS.merge(ITEMS, on="item")
FRAME["about"] = FRAME["user"].map({f"u{user:02}": WORDS[user % 6] for user in range(N)})
Y = np.ones(len(FRAME))
NAMES = {"user": "user", "item": "item"}
RECOMMENDERS = {
    "FeatureMF": lambda **params: FeatureMFRecommender(3, feedback="implicit", **NAMES, **params),
    "autoencoder": lambda **params: LinearAutoencoderRecommender(**NAMES, method="cease", **params),
    "Neighbors": lambda **params: NeighborsRecommender(**NAMES, **params),
    "Popularity": lambda **params: PopularityRecommender(feedback="implicit", **NAMES, **params),
    "Markov": lambda **params: MarkovRecommender(**NAMES, **params),
    "Pairwise": lambda **params: PairwiseRecommender(Ridge(), **NAMES, **params),
    "Sequential": lambda **params: SequentialRecommender(3, max_iter=1, **NAMES, **params),
    "TwoTower": lambda **params: TwoTowerRecommender(3, feedback="implicit", max_iter=1, **NAMES, **params),
}
VECTORIZERS = {
    "tfidf": TfidfVectorizer(),
    "hashing": HashingVectorizer(n_features=8),
    "with SVD": make_pipeline(TfidfVectorizer(), TruncatedSVD(2)),
}


def one_row_more(rows):
    return np.ones((len(rows) + 1, 2))


@pytest.fixture(params=RECOMMENDERS)
def recommender(request):
    return RECOMMENDERS[request.param]


# -- rows are counted ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoder", VECTORIZERS.values(), ids=VECTORIZERS)
@pytest.mark.parametrize("with_table", [False, True])
def test_vectorizer_of_a_table_is_refused(recommender, encoder, with_table):
    model = recommender(item_features=["title"], item_encoder=encoder)
    table = FeatureTable(ITEMS, key="item") if with_table else None
    X = PAIRS if with_table else FRAME
    with pytest.raises(ValueError, match="a vectorizer wants one column, item_features='title', or TextTemplate"):
        model.fit(X, Y, item_table=table)


def test_rows_are_named_in_the_message():
    model = RECOMMENDERS["FeatureMF"](item_features=["title"], item_encoder=TfidfVectorizer())
    with pytest.raises(ValueError, match="item_encoder returned 1 row for 12 items"):
        model.fit(FRAME, Y)


@pytest.mark.parametrize("with_table", [False, True])
@pytest.mark.parametrize("side", ["user", "item"])
def test_a_row_too_many_is_refused(recommender, side, with_table):
    if side == "user" and not recommender()._reads_user_features:
        pytest.skip("it reads no features of users")
    column = "about" if side == "user" else "year"
    params = {f"{side}_features": [column], f"{side}_encoder": FunctionTransformer(one_row_more)}
    table = FRAME.drop_duplicates(side)[[side, column]]
    tables = {f"{side}_table": FeatureTable(table, key=side)} if with_table else {}
    with pytest.raises(ValueError, match=f"{side}_encoder returned 13 rows for 12 {side}s"):
        recommender(**params).fit(FRAME, Y, **tables)


class OneForAll(MinMaxScaler):
    """One row for all rows, after `fit`."""

    def fit_transform(self, X, y=None):
        return self.fit(X).transform(X, real=True)

    def transform(self, X, *, real=False):
        return super().transform(X) if real else super().transform(X)[:1]


def test_rows_of_transform_are_counted(recommender):
    model = recommender(item_features=["year"], item_encoder=OneForAll())
    two = ITEMS.iloc[:2].assign(item=["new", "newer"])
    with pytest.raises(ValueError, match="item_encoder returned 1 row for 2 items"):
        model.fit(FRAME, Y).recommend(["u00"], 1, candidates=two)
    with pytest.raises(ValueError, match="item_encoder returned 1 row for 2 items"):  # the rest of a table
        model.fit(PAIRS, Y, item_table=FeatureTable(pd.concat([ITEMS, two]), key="item"))
    model.fit(FRAME, Y)
    if hasattr(model, "partial_fit"):
        with pytest.raises(ValueError, match="item_encoder returned 1 row for 2 items"):
            model.partial_fit(FRAME.iloc[:2].assign(item=["new", "newer"]), Y[:2])
    if hasattr(model, "similar_items"):
        with pytest.raises(ValueError, match="item_encoder returned 1 row for 2 items"):
            model.similar_items(features=two[["year"]], n_items=1)


def test_names_of_columns_are_never_the_texts():
    few = FRAME[FRAME["item"].isin(["i00", "i01"])]  # as many items as columns
    model = RECOMMENDERS["FeatureMF"](item_features=["title", "genre"], item_encoder=CountVectorizer())
    with pytest.raises(ValueError, match="CountVectorizer read the names of columns: a vectorizer wants one column"):
        model.fit(few, Y[: len(few)])


def test_a_template_before_the_vectorizer_works(recommender):
    encoder = make_pipeline(TextTemplate("{title}"), TfidfVectorizer())
    recommender(item_features=["title"], item_encoder=encoder).fit(FRAME, Y)


def test_a_tuple_is_refused():
    encoder = FunctionTransformer(lambda rows: (rows, rows))
    with pytest.raises(ValueError, match="returned a tuple of 2 parts: wrap it in DenseTargets"):
        RECOMMENDERS["FeatureMF"](item_features=["year"], item_encoder=encoder).fit(FRAME, Y)


def test_dense_targets_count_rows():
    targets = np.ones((N, 2))
    with pytest.raises(ValueError, match="TfidfVectorizer returned 1 row for 12 rows of X"):
        DenseTargets(TfidfVectorizer()).fit_transform(ITEMS[["title"]], targets)
    fitted = DenseTargets(TfidfVectorizer()).fit(ITEMS["title"], targets)
    with pytest.raises(ValueError, match="TfidfVectorizer returned 1 row for 12 rows of X"):
        fitted.transform(ITEMS[["title"]])
    with pytest.raises(ValueError, match="y has 12 rows, but X has 11"):
        DenseTargets(MinMaxScaler()).fit(ITEMS[["year"]][1:], targets)
    assert DenseTargets(PLSRegression(1)).fit_transform(ITEMS[["year"]], ITEMS["year"]).shape == (N, 1)


# -- missing columns -------------------------------------------------------------------------------------------

TEXTS = {
    "item_features": ["title", "genre"],
    "item_encoder": make_pipeline(TextTemplate("{title} {genre}"), TfidfVectorizer()),
}
NEW = ITEMS.iloc[:2].assign(item=["new", "newer"])
LACKING = {
    "other spelling": (NEW.rename(columns={"title": "Title"}), r"lacks 'title' \(is 'Title' meant\?\)"),
    "one of two": (NEW.drop(columns="genre"), "lacks 'genre'"),
    "both": (NEW.drop(columns=["genre", "title"]), "lacks 'title' and 'genre'"),
}


@pytest.mark.parametrize("with_table", [False, True])
@pytest.mark.parametrize(("frame", "message"), LACKING.values(), ids=LACKING)
def test_missing_columns_of_candidates_are_named(recommender, frame, message, with_table):
    model = recommender(**TEXTS)
    if with_table:
        model.fit(PAIRS, Y, item_table=FeatureTable(ITEMS, key="item"))
    else:
        model.fit(FRAME, Y)
    for candidates in (frame, (["i00"], frame)):
        with pytest.raises(ValueError, match=message):
            model.recommend(["u00"], 1, candidates=candidates)
    if hasattr(model, "similar_items"):
        with pytest.raises(ValueError, match=message):
            model.similar_items(frame, 1)
        with pytest.raises(ValueError, match=message):
            model.similar_items(features=frame, n_items=1)
    with pytest.raises(ValueError, match=message):
        model.ranker().add(frame)


def test_missing_columns_of_users_are_named():
    model = RECOMMENDERS["FeatureMF"](user_features="about", user_encoder=TfidfVectorizer()).fit(FRAME, Y)
    rows = pd.DataFrame({"user": ["nobody"], "About": ["space"]})
    with pytest.raises(ValueError, match=r"user_features: .*'nobody'.* lacks 'about' \(is 'About' meant\?\)"):
        model.recommend(rows, 1)
    assert model.recommend(rows.rename(columns={"About": "about"}), 1)[0].shape == (1, 1)
    assert model.recommend(["nobody"], 1)[0].shape == (1, 1), "ids alone get the prior"


def test_missing_columns_of_tables_are_named(recommender):
    table = FeatureTable(ITEMS.rename(columns={"title": "Title"}), key="item")
    with pytest.raises(ValueError, match=r"lacks 'title' \(is 'Title' meant\?\).*item_table"):
        recommender(item_features="title", item_encoder=TfidfVectorizer()).fit(PAIRS, Y, item_table=table)


def test_misspelled_column_of_ids_is_named():
    model = RECOMMENDERS["Popularity"]().fit(PAIRS, Y)
    with pytest.raises(ValueError, match=r"lacks 'item' \(is 'Item' meant\?\)"):
        model.recommend(["u00"], 1, candidates=ITEMS.rename(columns={"item": "Item"}))


def test_rows_like_those_of_fit_may_lack_what_a_table_holds():
    model = RECOMMENDERS["FeatureMF"](**TEXTS).fit(PAIRS, Y, item_table=FeatureTable(ITEMS, key="item"))
    new = pd.DataFrame({"user": ["u00"], "item": ["new"]})
    assert np.isfinite(model.predict(new)).all()
    assert model.recommend(["u00"], 1, candidates=new)[0].tolist() == [["new"]]


def test_narrow_rows_are_refused_and_columns_of_a_table_are_not_read_by_position():
    params = {"item_features": 2, "item_encoder": TfidfVectorizer()}
    rows = FRAME[["user", "item", "title"]].to_numpy()
    model = FeatureMFRecommender(2, feedback="implicit", **params).fit(rows, Y)
    with pytest.raises(ValueError, match="lack column 2: they have 2 columns"):
        model.recommend(["u00"], 1, candidates=[["u00", "new"]])
    by_table = FeatureMFRecommender(2, feedback="implicit", item_features="title", item_encoder=TfidfVectorizer())
    by_table.fit(rows[:, :2], Y, item_table=FeatureTable(ITEMS, key="item"))
    named_like_a_title = by_table.predict([["u00", "space"], ["u00", "unheard-of"]])  # the id is no title
    assert named_like_a_title[0] == named_like_a_title[1]


# -- nothing known ---------------------------------------------------------------------------------------------


def test_unknown_items_have_no_similar_items(recommender):
    model = recommender(item_features="title", item_encoder=TfidfVectorizer()).fit(FRAME, Y)
    if not hasattr(model, "similar_items"):
        pytest.skip("it compares no items")
    ids, scores = model.similar_items(["i00", "no such item", "i01"], n_items=3)
    assert_array_equal(ids[1], [None] * 3)
    assert_array_equal(scores[1], [-np.inf] * 3)
    alone = model.similar_items(["i00", "i01"], n_items=3)
    assert_array_equal(ids[[0, 2]], alone[0])
    assert all(item is not None for item in ids[[0, 2]].ravel())


def test_texts_without_known_words_have_no_similar_items(recommender):
    model = recommender(item_features="title", item_encoder=TfidfVectorizer()).fit(FRAME, Y)
    if not hasattr(model, "similar_items"):
        pytest.skip("it compares no items")
    ids, scores = model.similar_items(features=["qwertz", "space robot", ""], n_items=2)
    assert_array_equal(ids[[0, 2]], np.full((2, 2), None))
    assert np.isneginf(scores[[0, 2]]).all()
    if "LinearAutoencoder" not in type(model).__name__:
        assert all(item is not None for item in ids[1])
    new = FRAME.iloc[:1].assign(item="new", title="qwertz")
    assert_array_equal(model.similar_items(new, n_items=2)[0], [[None, None]])


def test_numbers_that_are_zero_are_known():
    model = RECOMMENDERS["FeatureMF"](item_features=["year"], item_encoder=MinMaxScaler()).fit(FRAME, Y)
    ids, _ = model.similar_items(features=pd.DataFrame({"year": [0.0]}), n_items=2)
    assert all(item is not None for item in ids[0])
