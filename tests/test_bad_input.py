"""Bad input: an error that names column, value, position and remedy, and leaves nothing half-done."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_array_equal
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

from skllmrec.base import FeatureTable
from skllmrec.encoders import LLMTextEncoder
from skllmrec.exceptions import ModelNotFoundError, StoreError, UnknownIdError
from skllmrec.preprocessing import TextTemplate
from skllmrec.recommenders import FeatureMFRecommender, PairwiseRecommender, PopularityRecommender

FRAME = pd.DataFrame(
    {
        "user_id": ["ann", "bob", "cem", "ann"],
        "item_id": [1, 2, 1, 3],
        "title": ["a red sea", "a blue sea", "a red sea", "sun"],
        "year": [1990.0, 2000.0, 1990.0, 1980.0],
    }
)
Y = np.array([5.0, 1.0, 4.0, 2.0])
NAMES = {"user": "user_id", "item": "item_id"}
TFIDF = {"item_features": "title", "item_encoder": TfidfVectorizer()}


def mf(**params):
    return FeatureMFRecommender(2, **{**NAMES, "feedback": "explicit", **params})


def fitted(**params):
    return mf(**params).fit(FRAME, Y)


STRICT = fitted(handle_unknown="error")
COLUMNS = r"\['user_id', 'item_id', 'title', 'year'\]"

# what is done, the error, what its message says
FIT = {
    "user column": (lambda: fitted(user="uid"), f"user='uid' does not select columns of X: its columns are {COLUMNS}"),
    "item column": (lambda: fitted(item=7), f"item=7 does not select columns of X: its columns are {COLUMNS}"),
    "feature column": (lambda: fitted(item_features="text"), "item_features='text' does not select .* name some of"),
    "name on an array": (
        lambda: mf().fit(FRAME.to_numpy(), Y),
        "user='user_id' does not select columns of X: it has 4 unnamed columns, give positions or pass a dataframe",
    ),
    "the same column twice": (lambda: fitted(item="user_id"), "user='user_id' and item='user_id' name the same column"),
    "field of a template": (
        lambda: fitted(
            item_features=["title", "year"],
            item_encoder=make_pipeline(TextTemplate("{title} {yeer}"), TfidfVectorizer()),
        ),
        "names the column 'yeer', which is not in X",
    ),
    "NaN id": (
        lambda: mf().fit(FRAME.assign(item_id=[1, 2, np.nan, 3]), Y),
        "item column 'item_id' has a missing id .* at position 2 .*: remove these rows or give them an id",
    ),
    "None id": (
        lambda: mf().fit(FRAME.assign(user_id=["ann", None, "cem", None]), Y),
        "user column 'user_id' has a missing id .* at position 1: remove this row or give it an id",
    ),
    "null id in polars": (
        lambda: mf().fit(pl.DataFrame({**FRAME.to_dict("list"), "user_id": ["ann", None, "cem", "ann"]}), Y),
        "user column 'user_id' has a missing id .* at position 1",
    ),
    "None id in an array": (
        lambda: PopularityRecommender(feedback="explicit").fit([["ann", 1], ["bob", None]], [1, 2]),
        "item column 1 has a missing id .* at position 1",
    ),
    "NaN rating": (lambda: mf().fit(FRAME, [1, np.nan, 2, 3]), "y contains NaN or inf, nan at position 1 .*remove"),
    "infinite rating": (lambda: mf().fit(FRAME, [1, 2, 3, np.inf]), "y contains NaN or inf, inf at position 3"),
    "None rating": (lambda: mf().fit(FRAME, [1, None, 2, 3]), "y contains NaN or inf, nan at position 1"),
    "text as rating": (lambda: mf().fit(FRAME, ["good"] * 4), "y must hold numbers, got dtype .*'good'"),
    "no ratings": (lambda: mf().fit(FRAME), "requires y to be passed, but the target y is None"),
    "too few ratings": (lambda: mf().fit(FRAME, [1, 2]), "4 rows in X, 2 in y"),
    "negative implicit weight": (
        lambda: mf(feedback="implicit").fit(FRAME, [1, 2, -3, 1]),
        r"Negative values .* y\[2\] is -3.0; for ratings use feedback='explicit'",
    ),
    "negative sample weight": (lambda: mf().fit(FRAME, Y, sample_weight=[1, 1, -1, 1]), "Negative .*sample_weight"),
    "every sample weight zero": (lambda: mf().fit(FRAME, Y, sample_weight=np.zeros(4)), "at least one non-zero"),
    "NaN text, TF-IDF": (
        lambda: mf(**TFIDF).fit(FRAME.assign(title=["a red sea", np.nan, "a red sea", "sun"]), Y),
        "item_features column 'title' has nan for item 2 .*: fill them, e.g. with '', or put a TextTemplate",
    ),
    "None text of a user, TF-IDF": (
        lambda: mf(user_features="about", user_encoder=TfidfVectorizer()).fit(
            FRAME.assign(about=pd.Series(["tall", "old", None, "tall"], dtype=object)), Y
        ),
        "user_features column 'about' has None for user 'cem' ",
    ),
    "text without encoder": (
        lambda: fitted(item_features="title"),
        "item_features hold values that are not numbers .*'a red sea'.*: give item_encoder= a transformer",
    ),
    "NaN number": (
        lambda: mf(item_features="year").fit(FRAME.assign(year=[1, 2, 1, np.nan]), Y),
        "item_features, as encoded, have NaN or inf, first NaN for item 3 in column 0: fill missing values, e.g.",
    ),
    "encoder without features": (lambda: fitted(item_encoder=TfidfVectorizer()), "item_features is None: name the col"),
    "empty frame": (lambda: mf().fit(FRAME.iloc[:0], Y[:0]), r"0 sample\(s\) while a minimum of 1 is required by Feat"),
    "empty array": (
        lambda: PopularityRecommender(feedback="explicit").fit(np.empty((0, 2)), []),
        r"0 sample\(s\) .* minimum of 1",
    ),
    "one column": (
        lambda: PopularityRecommender(feedback="explicit").fit([[1], [2]], [1, 2]),
        r"1 feature\(s\) .* minimum of 2",
    ),
    "solver": (lambda: fitted(solver="newton"), "'solver' parameter of FeatureMFRecommender must be a str among"),
    "parameter": (lambda: fitted(feedback="stars"), "'feedback' parameter of FeatureMFRecommender must be a str among"),
    "table with equal ids": (
        lambda: FeatureTable(FRAME, key="item_id"),
        r"1 ids appear more than once in column 'item_id', e.g. 1 in rows \[0, 2\]: keep one row for each id",
    ),
    "table that lacks an item": (
        lambda: mf(**TFIDF).fit(FRAME, Y, item_table=FeatureTable(FRAME.iloc[:2], key="item_id")),
        "item_table lacks 1 of the 3 items of X, e.g. 3: add a row for each, or remove their interactions",
    ),
    "table without the feature": (
        lambda: mf(**TFIDF).fit(FRAME, Y, item_table=FeatureTable(FRAME[["item_id"]].drop_duplicates(), key="item_id")),
        r"item_features='title' does not select columns of X: its columns are \['item_id'\]",
    ),
    "None text of a table": (
        lambda: mf(**TFIDF).fit(
            FRAME,
            Y,
            item_table=FeatureTable(
                pd.DataFrame({"item_id": [4, 1, 3, 2], "title": [None, "sun", "sea", "sun"]}), key="item_id"
            ),
        ),
        "item_features column 'title' has (nan|None) for item 4 ",
    ),
}

ASK = {
    "string for a list of users": (lambda: STRICT.recommend("ann", 1), r"user ids is the string 'ann': pass a list"),
    "string for candidates": (
        lambda: STRICT.recommend(["ann"], 1, candidates="alien"),
        r"item ids is the string 'alien': pass a list, such as \['alien'\]",
    ),
    "string for a list of items": (lambda: STRICT.similar_items("alien", 1), "item ids is the string 'alien'"),
    "number for a list": (lambda: STRICT.recommend(3, 1), r"user ids is the single value 3: pass a list, such as \[3"),
    "None user": (lambda: STRICT.recommend(["ann", None], 1), "user ids has a missing id .* at position 1"),
    "too many items": (lambda: STRICT.recommend(["ann"], 4), "n_items=4 exceeds the 3 candidates: ask for at most 3"),
    "too many items of few candidates": (
        lambda: STRICT.recommend(["ann"], 3, candidates=[1, 2, 2]),
        "n_items=3 exceeds the 2 candidates",
    ),
    "too many similar items": (lambda: STRICT.similar_items([1], 4), "n_items=4 exceeds the 3 candidates"),
    "no items": (lambda: STRICT.recommend(["ann"], 0), "n_items must be a positive integer, got 0"),
    "half an item": (lambda: STRICT.recommend(["ann"], 1.5), "n_items must be a positive integer, got 1.5"),
    "no candidates": (lambda: STRICT.recommend(["ann"], 1, candidates=[]), "candidates are empty: pass at least one"),
    "rows without users": (
        lambda: STRICT.recommend(FRAME[["title"]], 1),
        r"columns \['user_id'\] are needed here, but X has \['title'\]",
    ),
    "columns missing": (lambda: STRICT.predict(FRAME[["user_id", "item_id"]]), "(?s)feature names.*missing.*title"),
    "NaN id": (
        lambda: STRICT.predict(FRAME.assign(item_id=[1, 2, np.nan, 3])),
        "item column 'item_id' has a missing id .* at position 2",
    ),
    "empty frame": (lambda: STRICT.predict(FRAME.iloc[:0]), r"0 sample\(s\)"),
    "text of a new item": (
        lambda: fitted(**TFIDF).predict(FRAME.assign(item_id=[1, 2, 77, 3], title=["sun", "sun", None, "sun"])),
        "item_features column 'title' has (nan|None) for item 77 .*: fill them",
    ),
    "names of features": (lambda: STRICT.get_feature_names_out(["a"]), "input_features is not equal"),
}

UNKNOWN = {
    "user": (lambda: STRICT.recommend(["bob", "dan"], 1), "user column 'user_id': user 'dan' at position 1 was not"),
    "item": (
        lambda: STRICT.predict(FRAME.assign(item_id=[1, 2, 9, 8])),
        r"item column 'item_id': item 9 at position 2 .*\(2 in total\): remove them, or use handle_unknown='prior'",
    ),
    "candidate": (lambda: STRICT.recommend(["ann"], 1, candidates=[1, 7]), "item 7 at position 1 was not seen"),
    "similar item": (lambda: STRICT.similar_items([7], 1), "item 7 at position 0 was not seen"),
}

KINDS = {
    "strings and numbers": (
        lambda: mf().fit(FRAME.assign(user_id=["ann", 3, "cem", 4]), Y),
        r"user column 'user_id' mixes strings and numbers, 'ann' at position 0 and 3 at position 1: .*astype\(str\)",
    ),
    "lists": (
        lambda: mf().fit(FRAME.assign(user_id=["ann", [3], "cem", "dan"]), Y),
        "user column 'user_id': argument must be a string or a number, got list at position 1",
    ),
    "strings where fit saw numbers": (
        lambda: fitted().predict(FRAME.assign(item_id=["1", "2", "3", "4"])),
        "item column 'item_id': the ids are strings, e.g. '1', but fit saw numbers, e.g. 1: a string never equals",
    ),
    "numbers where fit saw strings": (
        lambda: fitted().recommend([1], 1),
        "user column 'user_id': the ids are numbers, e.g. 1, but fit saw strings, e.g. 'ann'",
    ),
    "partial_fit": (
        lambda: fitted().partial_fit(FRAME.assign(item_id=["1", "2", "3", "4"]), Y),
        "strings, e.g. '1', but fit saw numbers",
    ),
    "table": (
        lambda: mf().fit(FRAME, Y, item_table=FRAME.to_numpy()),
        r"item_table must be a FeatureTable\(frame, key=...\)",
    ),
    "table of lists": (lambda: FeatureTable([[1, 2]], key=0), "FeatureTable needs a dataframe, got list"),
}


@pytest.mark.parametrize(("call", "message"), FIT.values(), ids=FIT)
def test_fit(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(("call", "message"), ASK.values(), ids=ASK)
def test_questions(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(("call", "message"), UNKNOWN.values(), ids=UNKNOWN)
def test_unknown_ids(call, message):
    with pytest.raises(UnknownIdError, match=message):
        call()


@pytest.mark.parametrize(("call", "message"), KINDS.values(), ids=KINDS)
def test_wrong_kinds(call, message):
    with pytest.raises(TypeError, match=message):
        call()


def test_missing_text_with_a_language_model(tiny_bert):
    recommender = mf(item_features="title", item_encoder=LLMTextEncoder(tiny_bert))
    with pytest.raises(ValueError, match=r"column 'title' has nan for item 2 .*LLMTextEncoder takes texts only"):
        recommender.fit(FRAME.assign(title=["a red sea", np.nan, "a red sea", "sun"]), Y)
    with pytest.raises(ValueError, match=r"None.*fill missing texts with ''"):
        LLMTextEncoder(tiny_bert).fit(["a", None])
    with pytest.raises(ValueError, match="LLMTextEncoder takes one text per row, but got a single str 'a red sea'"):
        LLMTextEncoder(tiny_bert).fit("a red sea")


def test_model_that_cannot_be_found(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    recommender = mf(item_features="title", item_encoder=LLMTextEncoder("nobody/no-such-model"))
    with pytest.raises(ModelNotFoundError) as caught:
        recommender.fit(FRAME, Y)
    for word in ("nobody/no-such-model", "Tried", "directory", "hub cache", "package", "HF_HUB_OFFLINE", "Give model="):
        assert word in str(caught.value)


def test_store_that_cannot_be_used(tiny_bert, tmp_path):
    file = tmp_path / "file"
    file.write_text("not a directory")
    recommender = mf(item_features="title", item_encoder=LLMTextEncoder(tiny_bert, memory=file))
    with pytest.raises(StoreError, match=r"memory='.*file' cannot be used .*: choose a directory .*, or memory=None"):
        recommender.fit(FRAME, Y)


# calls of fit and partial_fit that fail, at different steps
FAILING = {
    "fit, rating": lambda model: model.fit(FRAME, [1, np.nan, 2, 3]),
    "fit, id": lambda model: model.fit(FRAME.assign(item_id=[1, None, 2, 3]), Y),
    "fit, feature": lambda model: model.fit(FRAME.assign(year=[1, np.nan, 1, 2]), Y),
    "fit, weights": lambda model: model.fit(FRAME, Y, sample_weight=np.zeros(4)),
    "fit, table": lambda model: model.fit(FRAME, Y, item_table=FeatureTable(FRAME.iloc[:1], key="item_id")),
    "partial_fit, rating": lambda model: model.partial_fit(FRAME.assign(item_id=99), [1, np.nan, 2, 3]),
    "partial_fit, id": lambda model: model.partial_fit(FRAME.assign(item_id=[97, None, 98, 99]), Y),
    "partial_fit, feature": lambda model: model.partial_fit(FRAME.assign(item_id=99, year=np.nan), Y),
}


@pytest.mark.parametrize("call", FAILING.values(), ids=FAILING)
@pytest.mark.parametrize(
    "recommender",
    [mf(item_features="year"), PairwiseRecommender(Ridge(), feedback="explicit", **NAMES, item_features="year")],
    ids=["FeatureMF", "Pairwise"],
)
def test_nothing_is_half_done(recommender, call):
    recommender.fit(FRAME, Y)
    before = recommender.predict(FRAME), recommender.recommend(["ann"], 3), recommender.items_, recommender.seen_.nnz
    with pytest.raises(ValueError):
        call(recommender)
    assert_array_equal(recommender.predict(FRAME), before[0])
    for after, expected in zip(recommender.recommend(["ann"], 3), before[1], strict=True):
        assert_array_equal(after, expected)
    assert_array_equal(recommender.items_, before[2])
    assert recommender.seen_.nnz == before[3]


class Moody(Ridge):
    """Fails on ratings of zero, which it cannot know before it sees them."""

    def fit(self, X, y, sample_weight=None):
        if (np.asarray(y) == 0).any():
            raise RuntimeError("not today")
        return super().fit(X, y, sample_weight=sample_weight)


def test_regressor_that_fails_leaves_the_last_fit():
    recommender = PairwiseRecommender(Moody(), feedback="explicit", **NAMES, item_features="year").fit(FRAME, Y)
    before = recommender.predict(FRAME)
    other = FRAME.assign(user_id=["zoe", "ann", "bob", "zoe"], year=FRAME["year"] + 50)
    with pytest.raises(RuntimeError, match="not today"):
        recommender.fit(other, np.zeros(4))
    assert_array_equal(recommender.predict(FRAME), before)
    assert_array_equal(recommender.users_, ["ann", "bob", "cem"])


@pytest.mark.parametrize("feedback", ["explicit", "implicit"])
def test_what_is_legal_is_finite(feedback):
    frame = FRAME.assign(title="")  # no word at all, in any item
    encoder = make_pipeline(TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 2)))
    recommender = mf(feedback=feedback, item_features="title", item_encoder=encoder)
    one_text = FRAME.assign(title=["", "a blue sea", "", "sun"])
    cases = {
        "an empty text": (one_text, Y),
        "one user": (FRAME.assign(user_id="ann"), Y),
        "one item": (FRAME.assign(item_id=1), Y),
        "one row": (FRAME.iloc[:1], Y[:1]),
        "equal ratings": (FRAME, np.full(4, 3.0)),
        "all seen": (FRAME.assign(user_id=["ann"] * 3 + ["bob"], item_id=[1, 2, 3, 1]), Y),
        "weights of zero": (FRAME, np.zeros(4)),
    }
    for name, (X, y) in cases.items():
        recommender.fit(X, y)
        assert np.isfinite(recommender.predict(FRAME)).all(), name
        new = FRAME.assign(user_id="zoe", item_id=99)
        assert np.isfinite(recommender.predict(new)).all(), name
        _, scores = recommender.recommend(["ann", "zoe"], 1, exclude_seen=False)
        assert np.isfinite(scores).all(), name
    ids, scores = mf(feedback=feedback).fit(*cases["all seen"]).recommend(["ann"], 2)
    assert ids.tolist() == [[np.iinfo(np.int64).min] * 2]
    assert np.isneginf(scores).all()
    with pytest.raises(ValueError, match="empty vocabulary"):  # scikit-learn's own: no word in the whole catalogue
        recommender.fit(frame, Y)
