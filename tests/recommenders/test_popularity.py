"""PopularityRecommender against counts and damped means by hand."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import Ridge

from skllmrec import BlendRecommender, NeighborsRecommender
from skllmrec._kernels.feature_map import STRENGTHS
from skllmrec.base import FeatureTable
from skllmrec.exceptions import UnknownIdError
from skllmrec.metrics import make_ranking_scorer
from skllmrec.recommenders import PopularityRecommender

X = [["ann", "alien"], ["bob", "alien"], ["bob", "heat"], ["cem", "alien"], ["cem", "up"], ["ann", "up"]]
Y = [4.0, 5.0, 1.0, 3.0, 5.0, 2.0]  # mean 10/3: alien 12 in 3, heat 1 in 1, up 7 in 2


def test_counts():
    recommender = PopularityRecommender(feedback="implicit").fit(X)
    assert_array_equal(recommender.items_, ["alien", "heat", "up"])
    assert_array_equal(recommender.item_scores_, [3, 1, 2])
    ids, scores = recommender.recommend(["dan", "bob"], n_items=2)
    assert_array_equal(ids, np.array([["alien", "up"], ["up", None]], dtype=object))
    assert_array_equal(scores, [[3, 2], [2, -np.inf]])


def test_weights_are_summed():
    recommender = PopularityRecommender(feedback="implicit")
    recommender.fit(X, [1, 0, 2, 1, 1, 1], sample_weight=[1, 1, 3, 0, 1, 0.5])
    assert_allclose(recommender.item_scores_, [1, 6, 1.5])


@pytest.mark.parametrize("damping", [0.0, 2.0])
def test_damped_means(damping):
    recommender = PopularityRecommender(damping=damping, feedback="explicit").fit(X, Y)
    mean = 20 / 6
    expected = [(12 + damping * mean) / (3 + damping), (1 + damping * mean) / (1 + damping)]
    assert_allclose(recommender.predict([["ann", "alien"], ["ann", "heat"]]), expected)
    assert_allclose(recommender.predict([["ann", "jaws"]]), [mean], err_msg="an unknown item has the mean")


def test_partial_fit_equals_fit_on_all():
    recommender = PopularityRecommender(feedback="explicit").fit(X[:3], Y[:3]).partial_fit(X[3:], Y[3:])
    assert_allclose(
        recommender.predict([["ann", item] for item in ("alien", "heat", "up")]),
        PopularityRecommender(feedback="explicit").fit(X, Y).item_scores_,
    )
    assert_array_equal(recommender.recommend(["cem"], n_items=2)[0], [["heat", None]])


def test_similar_items_are_the_popular_ones():
    ids, _ = PopularityRecommender(feedback="implicit").fit(X).similar_items(["alien"], n_items=2)
    assert_array_equal(ids, [["up", "heat"]])


# -- item features: against scikit-learn's Ridge, the strength against a loop over left-out items ------------------

NUMBERS = ["a", "b", "c"]


class ToSparse(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return sparse.csr_matrix(np.asarray(X, dtype=np.float64))


def catalogue(seed, n_items=25, n_users=30):
    """Items with numbers and words that tell, with noise, how many like them; the last five nobody knows."""
    generator = np.random.default_rng(seed)
    numbers = generator.normal(size=(n_items, 3)) * [1, 3, 0.2] + [0, 5, -1]
    words = np.where(numbers[:, 0] > 0, "famous", "obscure")
    items = pd.DataFrame(numbers, columns=NUMBERS).assign(item=np.arange(n_items), text=words)
    items["text"] += np.where(numbers[:, 1] > 5, " long", " short")
    share = 1 / (1 + np.exp(-1.5 * numbers[:, 0] - generator.normal(size=n_items) / 2))
    users, liked = np.nonzero(generator.random((n_users, n_items)) < share)
    rows = pd.DataFrame({"user": users, "item": liked}).merge(items, on="item")
    rows["rating"] = np.clip(np.round(3 + rows["a"] + generator.normal(size=len(rows))), 1, 5)
    return rows[rows["item"] < n_items - 5].reset_index(drop=True), items


def popularity(feedback, **parameters):
    return PopularityRecommender(user="user", item="item", feedback=feedback, **parameters)


def fitted(rows, feedback, item_table=None, sample_weight=None, **parameters):
    y = rows["rating"] if feedback == "explicit" else None
    return popularity(feedback, **parameters).fit(rows, y, item_table=item_table, sample_weight=sample_weight)


def by_ridge(rows, features, feedback, scale="count", strength="auto", damping=5.0):
    """Strength, and scores of all items: `features` has a row for each, of which the ones in `rows` are learned."""
    counts = rows.groupby("item").size()
    known, weights = counts.index.to_numpy(), np.ones(len(counts))
    targets = np.log1p(counts.to_numpy(dtype=float))
    if feedback == "explicit":
        sums, mean = rows.groupby("item")["rating"].sum(), rows["rating"].mean()
        targets, weights = ((sums + damping * mean) / (counts + damping)).to_numpy(), counts.to_numpy(dtype=float)
    Z = features - np.average(features[known], axis=0, weights=weights)
    unit = (weights @ Z[known] ** 2).sum() / min(len(known), Z.shape[1])

    def predicted(strength, learned, wanted):
        ridge = Ridge(alpha=strength * unit).fit(Z[known[learned]], targets[learned], sample_weight=weights[learned])
        return ridge.predict(Z[wanted])

    def left_out_error(strength):
        others = [np.delete(np.arange(len(known)), i) for i in range(len(known))]
        errors = [targets[i] - predicted(strength, others[i], known[i : i + 1])[0] for i in range(len(known))]
        return weights @ np.square(errors)

    strength = min(STRENGTHS, key=left_out_error) if strength == "auto" else strength
    scores = predicted(strength, np.arange(len(known)), np.arange(len(Z)))
    if feedback == "implicit":
        scores = np.maximum(scores, 0)
    scores[known] = targets
    return strength, np.expm1(scores) if (feedback, scale) == ("implicit", "count") else scores


def as_rows_of(rows, items, **changes):
    """Lay items out like the rows of fit, for a user whom nobody knows."""
    return items.assign(user=-1, rating=0, **changes)[rows.columns]


CASES = [("implicit", "count"), ("implicit", "log"), ("explicit", "count"), ("explicit", "log")]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("encoder", [None, ToSparse()], ids=["dense", "sparse"])
@pytest.mark.parametrize("alpha", ["auto", 0.7])
@pytest.mark.parametrize(("feedback", "scale"), CASES)
def test_new_items_are_predicted_by_ridge_regression(feedback, scale, alpha, encoder, seed):
    rows, items = catalogue(seed)
    recommender = fitted(
        rows, feedback, item_features=NUMBERS, item_encoder=encoder, scale=scale, feature_alpha=alpha, damping=2.0
    )
    strength, expected = by_ridge(rows, items[NUMBERS].to_numpy(), feedback, scale, alpha, damping=2.0)
    assert recommender.feature_alpha_ == pytest.approx(strength)
    assert_allclose(recommender.predict(as_rows_of(rows, items)), expected, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("feedback", "scale"), CASES)
def test_texts_and_a_table_of_all_items(feedback, scale, seed):
    rows, items = catalogue(seed)
    text = {"item_features": "text", "item_encoder": TfidfVectorizer(), "scale": scale}
    table = FeatureTable(items[["item", "text"]], key="item")
    recommender = fitted(rows[["user", "item", "a", "rating"]], feedback, table, **text)
    known = items["text"][np.unique(rows["item"])]
    features = TfidfVectorizer().fit(known).transform(items["text"]).toarray()
    _, expected = by_ridge(rows, features, feedback, scale)
    assert_allclose(recommender.item_scores_, expected[recommender.items_], rtol=1e-7)
    ids, scores = recommender.recommend([-1], n_items=len(items))
    assert_allclose(scores[0], np.sort(expected)[::-1], rtol=1e-7)
    assert_allclose(expected[ids[0].astype(int)], scores[0], rtol=1e-7)
    of_a_frame = fitted(rows, feedback, **text)  # the same items as candidates, known by their rows
    new = as_rows_of(rows, items[items["item"] >= 20])
    assert_allclose(np.sort(of_a_frame.recommend([0], n_items=5, candidates=new)[1][0]), np.sort(expected[20:]))


def test_the_same_words_are_worth_the_same_whoever_asks():
    rows, items = catalogue(0)
    recommender = fitted(rows, "implicit", item_features="text", item_encoder=TfidfVectorizer())
    liked, ignored = (
        recommender.predict(as_rows_of(rows, items[items["text"] == text].head(1), item=-2))[0]
        for text in ("famous long", "obscure long")
    )
    assert liked > 2 * ignored > 0
    assert recommender.predict(as_rows_of(rows, items.head(1), item=-2, text="unheard"))[0] > 0
    assert_array_equal(recommender.recommend([-1], candidates=[0, -2], n_items=2)[1][0, 1], 0.0)  # an id says nothing


@pytest.mark.parametrize(("feedback", "scale"), CASES)
def test_known_items_are_scored_as_without_features(feedback, scale):
    rows, _ = catalogue(1)
    plain = fitted(rows, feedback)
    expected = np.log1p(plain.item_scores_) if (feedback, scale) == ("implicit", "log") else plain.item_scores_
    for features in ({}, {"item_features": NUMBERS}):
        recommender = fitted(rows, feedback, scale=scale, **features)
        assert_array_equal(recommender.item_scores_, expected)
        assert recommender.default_score_ == plain.default_score_
    assert plain.feature_alpha_ is None


def test_similar_items_by_features_are_the_popular_ones():
    rows, items = catalogue(0)
    recommender = fitted(rows, "implicit", FeatureTable(items[["item", *NUMBERS]], key="item"), item_features=NUMBERS)
    ids, scores = recommender.similar_items(features=items[NUMBERS].head(2), n_items=3)
    best = np.argsort(-recommender.item_scores_, kind="stable")[:3]
    assert_array_equal(ids, np.tile(recommender.items_[best], (2, 1)))
    assert_allclose(scores[0], recommender.item_scores_[best])


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(("feedback", "scale"), CASES)
def test_after_partial_fit_interactions_count_and_the_map_stays(feedback, scale, seed):
    rows, items = catalogue(seed)
    table = FeatureTable(items[items["item"] < 23][["item", *NUMBERS]], key="item")
    recommender = fitted(rows, feedback, table, item_features=NUMBERS, scale=scale)
    as_rows = as_rows_of(rows, items)
    before = recommender.predict(as_rows)
    added = as_rows.iloc[[3, 20, 20, 23]].assign(user=[100, 100, 101, 100], rating=[1.0, 5.0, 4.0, 2.0])
    recommender.partial_fit(added, added["rating"] if feedback == "explicit" else None)
    expected, touched = before.copy(), [3, 20, 23]
    refitted = fitted(pd.concat([rows, added]), feedback, scale=scale)
    known = refitted.items_
    expected[known] = refitted.item_scores_  # of explicit feedback, the mean of all has moved as well
    assert_allclose(recommender.predict(as_rows), expected)
    assert not np.isclose(before[touched], expected[touched]).any()
    assert_allclose(recommender.predict(as_rows.tail(1).assign(item=-5)), before[-1:], err_msg="another new item")
    assert_allclose(recommender.item_scores_[recommender.items_ == 21], before[21], err_msg="of the table only")


@pytest.mark.parametrize(("feedback", "scale"), CASES)
def test_sample_weights_are_repetitions_and_removals(feedback, scale):
    rows, items = catalogue(2)
    weights = np.random.default_rng(0).integers(0, 3, len(rows))
    weights[rows["item"] == 0] = 0  # this item is not there at all
    repeated = rows.loc[np.repeat(rows.index, weights)]
    settings = {"item_features": "text", "item_encoder": TfidfVectorizer(), "scale": scale}
    pair = fitted(rows, feedback, sample_weight=weights, **settings), fitted(repeated, feedback, **settings)
    as_rows = as_rows_of(rows, items)
    assert_allclose(*(recommender.predict(as_rows) for recommender in pair))
    assert pair[0].feature_alpha_ == pair[1].feature_alpha_
    assert not np.allclose(pair[0].predict(as_rows), fitted(rows, feedback, **settings).predict(as_rows))


@pytest.mark.parametrize("scale", ["count", "log"])
def test_counts_of_far_away_features_have_bounds(scale):
    rows, items = catalogue(0)
    recommender = fitted(rows, "implicit", item_features=NUMBERS, scale=scale)
    far = as_rows_of(rows, items.head(2), item=[-2, -3], a=[1e6, -1e6])
    most = len(rows) if scale == "count" else np.log1p(len(rows))
    assert_allclose(recommender.predict(far), [most, 0.0])


def test_features_that_do_not_vary_promise_the_mean():
    rows, items = catalogue(0)
    rows, as_rows = rows.assign(a=0.1), as_rows_of(rows, items.tail(1))
    recommender = fitted(rows, "implicit", item_features=["a"], scale="log")
    assert_allclose(recommender.predict(as_rows), recommender.item_scores_.mean())


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"feature_alpha": 0.0}, "feature_alpha"),
        ({"feature_alpha": "best"}, "feature_alpha"),
        ({"scale": "sqrt"}, "scale"),
        ({"item_encoder": TfidfVectorizer()}, "item_encoder is given, but item_features is None"),
        ({"item_features": "colour"}, "colour"),
        ({"item_features": "text"}, "are not numbers"),
    ],
)
def test_errors(parameters, said):
    with pytest.raises(ValueError, match=said):
        fitted(catalogue(0)[0], "implicit", **parameters)


def test_unknown_items_can_be_errors():
    rows, items = catalogue(0)
    recommender = fitted(rows, "implicit", item_features=NUMBERS, handle_unknown="error")
    with pytest.raises(UnknownIdError, match="item -2"):
        recommender.predict(as_rows_of(rows, items.head(1), item=-2).assign(user=0))


# -- as a part of a blend -----------------------------------------------------------------------------------------


def tastes_and_fame(seed, n_users=150, n_items=240):
    """Likes by taste and fame of items: both stand in their text; a third of the items is held out."""
    generator = np.random.default_rng(seed)
    taste, fame = generator.integers(0, 4, n_items), generator.integers(0, 3, n_items)
    share = np.where(np.equal.outer(np.arange(n_users) % 4, taste), 0.25, 0.05) * np.array([0.2, 1.0, 3.0])[fame]
    users, items = np.nonzero(generator.random((n_users, n_items)) < share)
    words = np.array(["obscure", "known", "classic"])[fame]
    genres = np.array(["horror", "crime", "romance", "western"])[taste]
    rows = pd.DataFrame({"user": users, "item": items, "genre": genres[items], "fame": words[items]})
    new = items >= 2 * n_items // 3
    return rows[~new].reset_index(drop=True), rows[new].reset_index(drop=True)


@pytest.mark.parametrize("seed", range(3))
def test_a_blend_weighs_the_expected_popularity_of_new_items(seed):
    train, test = tastes_and_fame(seed)
    columns = {"user": "user", "item": "item", "feedback": "implicit", "item_encoder": TfidfVectorizer()}
    near = "near", NeighborsRecommender(by="content", item_features="genre", **columns)
    popular = "popular", PopularityRecommender(item_features="fame", scale="log", **columns)
    settings = {"user": "user", "item": "item", "validation_fraction": 0.2, "random_state": seed}
    blend = BlendRecommender([near, popular], **settings).fit(train)
    assert 0 < blend.weights_["cold"][1] < 1
    ndcg = make_ranking_scorer("ndcg", k=20, candidates="test")
    alone = [ndcg(BlendRecommender([part], **settings).fit(train), test) for part in (near, popular)]
    assert ndcg(blend, test) > 1.1 * max(alone)
    # without features it knows nothing about new items
    blind = BlendRecommender([near, ("popular", popular[1].set_params(item_features=None, item_encoder=None))])
    blind.set_params(**settings).fit(train)
    assert ndcg(blend, test) > 1.1 * ndcg(blind, test)
