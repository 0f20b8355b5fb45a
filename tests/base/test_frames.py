"""Data frames in and out: plain frames as tables, lists as a frame; similar users."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import Ridge

from skllmrec import FeatureTable
from skllmrec.exceptions import UnknownIdError
from skllmrec.recommenders import (
    BlendRecommender,
    FeatureMFRecommender,
    NeighborsRecommender,
    PairwiseRecommender,
    PopularityRecommender,
    TwoTowerRecommender,
)

WORDS = ["space robot", "space war", "love story", "love letter"]
CATALOGUE = pd.DataFrame({"item": [3, 1, 2, 4], "title": WORDS})
X = pd.DataFrame({"user": ["ann", "ann", "bob", "cid", "cid"], "item": [1, 3, 3, 2, 1]})
Y = np.array([5.0, 4.0, 4.0, 1.0, 2.0])
TEXT = {"item_features": "title", "item_encoder": TfidfVectorizer()}
NAMES = {"user": "user", "item": "item"}


def popularity(**params):
    return PopularityRecommender(feedback="implicit", **{**NAMES, **params}).fit(X)


# -- tables ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [NAMES, {"user": 0, "item": 1}])
@pytest.mark.parametrize("convert", [lambda frame: frame, pl.from_pandas])
def test_a_plain_frame_is_a_table(names, convert):
    model = FeatureMFRecommender(2, random_state=0, feedback="explicit", **names, **TEXT)
    expected = model.fit(X, Y, item_table=FeatureTable(CATALOGUE, key="item"))
    scores = expected.recommend(["ann"], 4, exclude_seen=False)
    found = model.fit(X, Y, item_table=convert(CATALOGUE)).recommend(["ann"], 4, exclude_seen=False)
    assert_array_equal(found[0], scores[0])
    assert_allclose(found[1], scores[1])


def test_a_plain_frame_of_users_and_blends():
    users = pd.DataFrame({"user": ["ann", "bob", "cid", "dan"], "about": WORDS})
    model = FeatureMFRecommender(2, user_features="about", user_encoder=TfidfVectorizer(), feedback="explicit", **NAMES)
    assert model.fit(X, Y, user_table=users).users_.tolist() == ["ann", "bob", "cid", "dan"]
    blend = BlendRecommender(
        [
            ("a", PopularityRecommender(feedback="explicit", **NAMES, **TEXT)),
            ("b", FeatureMFRecommender(2, feedback="explicit", **NAMES)),
        ]
    )
    many = pd.concat([X, X.assign(user=X["user"] + "2"), X.assign(user=X["user"] + "3")])
    blend.fit(many, np.tile(Y, 3), item_table=CATALOGUE)
    assert blend.items_.tolist() == [1, 2, 3, 4]


def test_frames_without_the_key():
    model = PopularityRecommender(feedback="explicit", **NAMES)
    message = (
        r"item_table must be a FeatureTable\(frame, key=\.\.\.\), got DataFrame that lacks 'item' \(is 'Item' meant"
    )
    with pytest.raises(TypeError, match=message):
        model.fit(X, Y, item_table=CATALOGUE.rename(columns={"item": "Item"}))
    with pytest.raises(TypeError, match="X names no column of ids that could be the key"):
        PopularityRecommender(feedback="explicit").fit(X.to_numpy(), Y, item_table=CATALOGUE)
    with pytest.raises(ValueError, match="1 ids appear more than once in column 'item'"):
        model.fit(X, Y, item_table=pd.concat([CATALOGUE, CATALOGUE[:1]]))


# -- lists as a frame ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("users", [["ann", "cid", "nobody"], X.drop_duplicates("user")[["user"]], np.array(["bob"])])
def test_frame_holds_the_lists_without_padding(users):
    model = popularity()
    ids, scores = model.recommend(users, 3)
    frame = model.recommend(users, 3, as_frame=True)
    names = users["user"].tolist() if hasattr(users, "columns") else list(users)
    expected = [
        (user, item, rank + 1, score)
        for user, items, row in zip(names, ids, scores, strict=True)
        for rank, (item, score) in enumerate(zip(items, row, strict=True))
        if score > -np.inf
    ]
    assert list(frame.columns) == ["user", "item", "rank", "score"]
    assert list(frame.itertuples(index=False, name=None)) == expected
    assert frame["item"].dtype == np.int64 and (frame["item"] > 0).all()


def test_frame_of_histories_candidates_and_nothing():
    model = popularity()
    frame = model.recommend(history=[[1], [1, 3]], n_items=1, as_frame=True)
    assert frame["user"].tolist() == [0, 1] and frame["item"].tolist() == [3, 2]
    everything = model.recommend(["ann"], 3, history=[[1, 2, 3]], as_frame=True)
    assert len(everything) == 0 and list(everything.columns) == ["user", "item", "rank", "score"]
    assert model.recommend(["bob"], 1, candidates=[2], as_frame=True)["item"].tolist() == [2]
    both = model.recommend((["ann"], X[:2]), 1, exclude_seen=False, as_frame=True)
    assert len(both) == len(model.recommend((["ann"], X[:2]), 1, exclude_seen=False)[0])


def entries(asked, ids, scores):
    """Rows of a frame of lists, by hand."""
    return [
        (query, found, rank, score)
        for query, row, values in zip(asked, ids.tolist(), scores.tolist(), strict=True)
        for rank, (found, score) in enumerate(zip(row, values, strict=True), start=1)
        if score > -np.inf
    ]


def test_frame_of_a_ranker():
    model = popularity()
    ranker = model.ranker([1, 3])
    frame = ranker.rank(["ann", "cid", "nobody"], 2, as_frame=True)
    expected = entries(["ann", "cid", "nobody"], *ranker.rank(["ann", "cid", "nobody"], 2))
    assert list(frame.itertuples(index=False, name=None)) == expected and 0 < len(expected) < 6
    assert list(frame.columns) == ["user", "item", "rank", "score"] and frame["item"].dtype == np.int64


def test_frames_of_similar_items_and_users():
    model = FeatureMFRecommender(2, random_state=0, feedback="implicit", **NAMES, **TEXT).fit(X, item_table=CATALOGUE)
    both = {
        ("item", "similar_item"): (model.similar_items, [1, 3, 99], 2),
        ("user", "similar_user"): (model.similar_users, ["ann", "nobody"], 1),
    }
    for names, (similar, asked, n) in both.items():
        frame, expected = similar(asked, n, as_frame=True), entries(asked, *similar(asked, n))
        assert list(frame.columns) == [*names, "rank", "score"]
        assert list(frame.itertuples(index=False, name=None)) == expected
        assert len(expected) == n * (len(asked) - 1), "nothing is known of the last: it has no row"
    by_text = model.similar_items(features=WORDS[:2], n_items=1, as_frame=True)
    assert by_text["item"].tolist() == [0, 1]
    blend = BlendRecommender([("a", model)], **NAMES).fit(X, item_table=CATALOGUE)
    ids, _ = blend.similar_items([1], 1)
    assert blend.similar_items([1], 1, as_frame=True)["similar_item"].tolist() == ids[0].tolist()


def test_frames_of_polars_where_scikit_learn_is_set_to_it():
    model = popularity()
    expected = entries(["ann", "cid", "bob"], *model.recommend(["ann", "cid", "bob"], 3))
    with sklearn.config_context(transform_output="polars"):
        frame = model.recommend(["ann", "cid", "bob"], 3, as_frame=True)
        nothing = model.recommend(["ann"], 3, history=[[1, 2, 3]], as_frame=True)
    assert isinstance(frame, pl.DataFrame) and frame.rows() == expected
    assert (
        frame.schema == nothing.schema == {"user": pl.String, "item": pl.Int64, "rank": pl.Int64, "score": pl.Float64}
    )
    assert nothing.height == 0


# -- similar users ---------------------------------------------------------------------------------------------

_RNG = np.random.default_rng(0)
GROUPED = pd.DataFrame(
    [(u, i) for u in range(20) for i in range(u % 2, 24, 2) if _RNG.random() < 0.7], columns=["u", "i"]
)
FACTORS = {
    "FeatureMF": FeatureMFRecommender(4, feedback="implicit", random_state=0),
    "explicit": FeatureMFRecommender(4, random_state=0, feedback="explicit"),
    "TwoTower": TwoTowerRecommender(4, feedback="implicit", max_iter=30, random_state=0),
}


@pytest.mark.parametrize("model", FACTORS.values(), ids=FACTORS)
def test_similar_users_are_those_with_the_highest_cosine(model):
    ratings = np.random.default_rng(1).integers(1, 6, len(GROUPED)).astype(float)
    model.fit(GROUPED, None if model.feedback == "implicit" else ratings)
    ids, scores = model.similar_users(np.arange(20), n_users=3)
    p = model.user_factors_ / np.linalg.norm(model.user_factors_, axis=1, keepdims=True)
    cosines = p @ p.T
    np.fill_diagonal(cosines, -np.inf)
    assert_allclose(scores, -np.sort(-cosines, axis=1)[:, :3], atol=1e-5)
    assert not (ids == np.arange(20)[:, np.newaxis]).any()
    if model.feedback == "implicit":
        assert np.mean(ids % 2 == np.arange(20)[:, np.newaxis] % 2) > 0.9


def test_unknown_users_have_no_similar_users():
    model = FACTORS["FeatureMF"].fit(GROUPED)
    ids, scores = model.similar_users([0, 99], n_users=2)
    assert_array_equal(ids[1], [np.iinfo(np.int64).min] * 2)
    assert_array_equal(scores[1], [-np.inf] * 2)
    assert np.isfinite(scores[0]).all()
    with pytest.raises(ValueError, match="n_users=21 exceeds the 20 candidates: ask for at most 20 users"):
        model.similar_users([0], 21)
    strict = FeatureMFRecommender(2, feedback="implicit", handle_unknown="error").fit(GROUPED)
    with pytest.raises(UnknownIdError):
        strict.similar_users([99])


def test_models_without_factors_of_users_have_no_similar_users():
    for model in (
        PopularityRecommender(feedback="explicit"),
        NeighborsRecommender(feedback="explicit"),
        PairwiseRecommender(Ridge(), feedback="explicit"),
    ):
        assert not hasattr(model, "similar_users")
