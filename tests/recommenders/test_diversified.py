"""Re-ranked lists: what they are without strength, limits, the chosen strength, and what is refused."""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from skllmrec import (
    DiversifiedRecommender,
    FeatureTable,
    LinearAutoencoderRecommender,
    NeighborsRecommender,
)
from skllmrec._kernels.selection.held_out import hold_out_entries
from skllmrec.testing import check_recommender

RERANKED = {"check_ranker_equals_recommend": "the best scores are not those of a re-ranked list"}
GENRES = ["drama|war", "comedy", "comedy|drama", "war"]


def draw(n_users=80, n_items=40, seed=0):
    rng = np.random.default_rng(seed)
    share = 1 / (1 + np.arange(n_items))
    picks = [rng.choice(n_items, 12, replace=False, p=share / share.sum()) for _ in range(n_users)]
    pairs = [(user, item) for user, items in enumerate(picks) for item in items]
    X = pd.DataFrame(pairs, columns=["user", "item"])
    X["genres"] = [GENRES[item % 4] for item in X["item"]]
    X["author"] = [f"author {item % 5}" for item in X["item"]]
    return X


@pytest.fixture(scope="module", name="X")
def interactions():
    return draw()


def inner():
    return LinearAutoencoderRecommender(user="user", item="item", alpha=10.0)


ALL = [("exposure", None), ("popularity", None), ("mmr", "genres"), ("dpp", "genres"), ("calibrated", "genres")]


@pytest.mark.parametrize(("method", "features"), ALL)
def test_strength_zero_gives_the_lists_of_the_recommender(X, method, features):
    model = DiversifiedRecommender(inner(), method=method, features=features, strength=0.0).fit(X)
    expected = inner().fit(X).recommend(range(20), 8)
    found = model.recommend(range(20), 8)
    assert_array_equal(found[0], expected[0])
    assert_allclose(found[1], expected[1])


@pytest.mark.parametrize(("method", "features"), ALL)
@pytest.mark.parametrize("strength", [0.0, 0.9])
def test_limits_hold_and_no_seen_item_is_recommended(X, method, features, strength):
    model = DiversifiedRecommender(
        inner(), method=method, features=features, strength=strength, limits={"author": 2}
    ).fit(X)
    ids, scores = model.recommend(range(30), 8)
    assert np.isfinite(scores).all()
    for user, row in enumerate(ids):
        assert np.bincount(row % 5).max() <= 2
        assert len(set(row)) == 8
        assert not set(row) & set(X.loc[X["user"] == user, "item"])
    full, scores = model.recommend([0], 20)
    assert (scores[0, 10:] == -np.inf).all(), "five authors allow ten items"
    assert np.isfinite(scores[0, :10]).all()
    assert full.shape == (1, 20)


def test_scores_are_those_of_the_recommender(X):
    model = DiversifiedRecommender(inner(), strength=2.0).fit(X)
    ids, scores = model.recommend([3, 4], 5)
    rows = pd.DataFrame({"user": np.repeat([3, 4], 5), "item": ids.ravel(), "genres": "", "author": ""})
    assert_allclose(scores.ravel(), model.predict(rows), rtol=1e-5)


def test_exposure_covers_more_and_starts_anew_with_each_call(X):
    model = DiversifiedRecommender(inner(), strength=2.0).fit(X)
    ids, _ = model.recommend(model.users_, 3)
    plain, _ = inner().fit(X).recommend(model.users_, 3)
    assert len(np.unique(ids)) > len(np.unique(plain))
    assert_array_equal(model.recommend(model.users_, 3)[0], ids)
    for user in (0, 7):
        assert_array_equal(model.recommend([user], 3)[0][0], plain[user])
    ranker = model.ranker()
    assert_array_equal(ranker.rank(model.users_, 3)[0], ids)
    copied = pickle.loads(pickle.dumps(model))  # noqa: S301 - written a moment ago
    assert_array_equal(copied.recommend(model.users_, 3)[0], ids)


@pytest.mark.parametrize(("method", "features"), [("exposure", None), ("mmr", "genres")])
def test_automatic_strength_keeps_to_the_loss(X, method, features):
    model = DiversifiedRecommender(inner(), method=method, features=features, max_loss=0.05).fit(X)
    assert model.strength_ > 0
    seen = inner().fit(X).seen_
    _, test = hold_out_entries(seen, 0)
    users = np.repeat(np.arange(seen.shape[0]), np.diff(seen.indptr))[test]
    items = seen.indices[test]
    held_out = set(zip(users.tolist(), items.tolist(), strict=True))
    rest = X[[pair not in held_out for pair in zip(X["user"], X["item"], strict=True)]]
    judged = np.unique(users)
    relevant = [items[users == user] for user in judged]
    options = {"method": method, "features": features, "strength": model.strength_}
    found, _ = DiversifiedRecommender(inner(), **options).fit(rest).recommend(judged, 20)
    plain, _ = inner().fit(rest).recommend(judged, 20)

    def quality(lists):
        gains = 1 / np.log2(np.arange(2, 22))
        each = [
            gains[np.isin(row, own)].sum() / gains[: min(len(own), 20)].sum()
            for row, own in zip(lists, relevant, strict=True)
        ]
        return np.mean(each)

    assert 1 - quality(found) / quality(plain) <= 0.05
    assert_allclose(1 - quality(found) / quality(plain), model.validation_loss_, atol=1e-9)


def test_new_items_bring_their_features_and_limits(X):
    model = DiversifiedRecommender(
        NeighborsRecommender(user="user", item="item", feedback="implicit"), strength=0.0, limits={"author": 1}
    ).fit(X)
    new = pd.DataFrame({"user": 0, "item": [100, 101, 102], "genres": "war", "author": ["x", "x", "author 1"]})
    ids, _ = model.recommend([0], 3, candidates=new)
    assert sorted(ids[0, :2]) == [100, 102]
    ranker = model.ranker(new[:1])
    ranker.add(new[1:])
    assert_array_equal(ranker.rank([0], 3)[0], ids)
    more = X.assign(item=X["item"] + 1)[X["item"] == 39]
    folded = clone(model).fit(X)
    if hasattr(folded, "partial_fit"):
        folded.partial_fit(more.assign(author="y"))
        assert 40 in folded.items_
        assert len(folded.recommend([0], 5)[0][0]) == 5


def test_columns_of_an_item_table(X):
    table = X[["item", "genres"]].drop_duplicates("item").rename(columns={"genres": "kinds"})
    model = DiversifiedRecommender(inner(), method="mmr", features="kinds", strength=0.6)
    model.fit(X[["user", "item"]], item_table=FeatureTable(table, key="item"))
    same = DiversifiedRecommender(inner(), method="mmr", features="genres", strength=0.6).fit(X)
    assert_array_equal(model.recommend(range(9), 6)[0], same.recommend(range(9), 6)[0])


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"method": "mmr"}, "features is None"),
        ({"method": "best"}, "method"),
        ({"method": "mmr", "features": "genre"}, "is 'genres' meant"),
        ({"limits": {"writer": 2}}, "limits='writer' does not select columns"),
        ({"limits": {"author": 0}}, "limits: 'author' allows 0"),
        ({"strength": -1.0}, "strength"),
        ({"method": "mmr", "features": "genres", "strength": 1.5}, "between 0 and 1"),
    ],
)
def test_bad_parameters(X, params, message):
    with pytest.raises(ValueError, match=message):
        DiversifiedRecommender(inner(), **params).fit(X)


def test_other_estimators_are_refused(X):
    from sklearn.linear_model import Ridge

    with pytest.raises(TypeError, match="Ridge"):
        DiversifiedRecommender(Ridge()).fit(X)


def test_nested_parameters():
    model = DiversifiedRecommender(inner()).set_params(recommender__alpha=3.0)
    assert clone(model).get_params()["recommender__alpha"] == 3.0


def test_contract_but_for_the_order():
    model = DiversifiedRecommender(NeighborsRecommender(feedback="implicit"), strength=0.3)
    outcomes = check_recommender(model, expected_failed_checks=RERANKED)
    assert outcomes["check_partial_fit_takes_in_new_ids"] == "passed" or not hasattr(model, "partial_fit")
