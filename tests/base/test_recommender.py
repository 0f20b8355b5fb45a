"""BaseRecommender: what a recommender inherits, with a score that is known by hand."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError
from sklearn.metrics import r2_score
from sklearn.preprocessing import normalize

from skllmrec.base import BaseFactorRecommender, BaseRecommender, FeatureTable, _factors
from skllmrec.metrics import make_ranking_scorer
from skllmrec.recommenders import PopularityRecommender

X = np.array([[7, 1], [7, 3], [8, 2], [9, 3], [9, 1], [9, 2]])  # user, item
Y = np.array([5.0, 1.0, 3.0, 2.0, 4.0, 4.0])


class Counts(BaseRecommender):
    """Score: rows of the user plus a tenth of those of the item; a new one counts as its feature says, or zero."""

    def __init__(self, *, user=0, item=1, user_features=None, item_features=None, user_encoder=None, item_encoder=None):
        self.user, self.item = user, item
        self.user_features, self.item_features = user_features, item_features
        self.user_encoder, self.item_encoder = user_encoder, item_encoder

    def _fit_interactions(self, interactions):
        self.interactions_ = interactions
        dense = interactions.weights.toarray()
        self.counts_ = [dense.sum(axis=axis)[:, np.newaxis] for axis in (1, 0)]

    def _score_block(self, users, items):
        of_user, of_item = (
            entities.fill(known, entities.features, 0.0)
            for entities, known in zip((users, items), self.counts_, strict=True)
        )
        return of_user + of_item.T / 10


def test_interactions_reach_the_subclass():
    twice = np.vstack([X, X[:1]])
    interactions = Counts().fit(twice, np.append(Y, 2.0), sample_weight=[1, 1, 1, 1, 1, 0, 3]).interactions_
    assert_array_equal(interactions.users.ids, [7, 8, 9])
    assert_array_equal(interactions.weights.toarray(), [[4, 0, 1], [0, 1, 0], [1, 0, 1]])
    assert_allclose(interactions.targets.toarray(), [[(5 + 3 * 2) / 4, 0, 1], [0, 3, 0], [4, 0, 2]])


def test_predict_and_recommend():
    recommender = Counts().fit(X, Y)
    assert_allclose(recommender.predict([[7, 2], [9, 1], [7, 99], [99, 2]]), [2.2, 3.2, 2, 0.2])
    ids, scores = recommender.recommend([8, 7, 9], n_items=2)
    assert_array_equal(ids, [[1, 3], [2, np.iinfo(np.int64).min], [np.iinfo(np.int64).min] * 2])
    assert_allclose(scores, [[1.2, 1.2], [2.2, -np.inf], [-np.inf, -np.inf]])
    ids, _ = recommender.recommend([8], n_items=3, candidates=[3, 2, 1], exclude_seen=False)
    assert_array_equal(ids, [[3, 2, 1]], err_msg="equal scores in the order of the candidates")


def test_numbers_beside_texts_stay_numbers():
    rows = [[7, 1, "an alien"], [8, 2, "a war"], [8, 1, "an alien"]]
    recommender = Counts().fit(rows, [1.0, 2.0, 3.0])
    assert_array_equal(recommender.users_, [7, 8])
    assert_allclose(recommender.predict([[8, 1, "an alien"], [7, 9, "new"]]), [2.2, 1.0])
    with pytest.raises(TypeError, match="strings and numbers"):
        Counts().fit([[7, 1, "an alien"], ["8", 2, "a war"]])


def test_predict_of_many_rows_goes_in_blocks():
    rng = np.random.default_rng(0)
    rows = np.column_stack([rng.choice([7, 8, 9, 99], 700), rng.choice([1, 2, 3, 99], 700)])
    users, items = {7: 2, 8: 1, 9: 3, 99: 0}, {1: 2, 2: 2, 3: 2, 99: 0}
    expected = [users[user] + items[item] / 10 for user, item in rows.tolist()]
    assert_allclose(Counts().fit(X, Y).predict(rows), expected)


def test_new_ids_bring_their_features():
    frame = pd.DataFrame(X, columns=["u", "i"]).assign(age=0.0, year=0.0)
    recommender = Counts(user="u", item="i", user_features="age", item_features="year").fit(frame, Y)
    new = pd.DataFrame({"u": [99, 7], "i": [98, 98], "age": [5.0, 5.0], "year": [20.0, 40.0]})
    assert_allclose(recommender.predict(new), [5 + 2, 2 + 2], err_msg="known users keep theirs; the first row counts")
    ids, scores = recommender.recommend(new[["u", "age"]], n_items=2, candidates=([1], new[["i", "year"]].iloc[:1]))
    assert_array_equal(ids, [[98, 1], [98, np.iinfo(np.int64).min]])
    assert_allclose(scores, [[7, 5.2], [4, -np.inf]])


def test_columns_by_name_whatever_their_order():
    frame = pd.DataFrame({"i": X[:, 1], "note": "x", "u": X[:, 0]})
    recommender = Counts(user="u", item="i").fit(frame, Y)
    assert_array_equal(recommender.users_, [7, 8, 9])
    assert_array_equal(recommender.feature_names_in_, ["i", "note", "u"])
    assert recommender.n_features_in_ == 3
    assert_allclose(recommender.predict(frame), Counts().fit(X, Y).predict(X))
    with pytest.raises(ValueError, match="feature names should match"):
        recommender.predict(frame[["u", "i", "note"]])


def test_score_is_r2_for_ratings_and_ndcg_for_likes():
    recommender = Counts().fit(X, Y)
    assert_allclose(recommender.score(X, Y), r2_score(Y, recommender.predict(X)))
    implicit = PopularityRecommender(feedback="implicit").fit(X)
    held_out = [[8, 1], [8, 3], [7, 2]]
    assert_allclose(implicit.score(held_out), make_ranking_scorer("ndcg", k=10)(implicit, np.array(held_out)))
    assert implicit.score(X) == 0, "seen items are excluded, so training rows can never be hits"


def test_what_a_subclass_does_not_implement():
    recommender = Counts().fit(X, Y)
    for method in ("partial_fit", "similar_items"):
        assert not hasattr(recommender, method) and not hasattr(Counts(), method)
        with pytest.raises(AttributeError, match=f"This 'Counts' has no attribute '{method}'"):
            getattr(recommender, method)
    with pytest.raises(NotFittedError):
        Counts().predict(X)
    with pytest.raises(NotFittedError):
        Counts().recommend([7])


def test_tables():
    frame = pd.DataFrame(X, columns=["u", "i"])
    tables = {
        "user_table": FeatureTable(pd.DataFrame({"u": [9, 6, 8, 7]}), key="u"),
        "item_table": FeatureTable(pd.DataFrame({"id": [3, 2, 1, 50]}), key="id"),
    }
    recommender = Counts(user="u", item="i").fit(frame, Y, **tables)
    assert_array_equal(recommender.users_, [7, 8, 9, 6])
    assert_array_equal(recommender.items_, [1, 2, 3, 50])
    assert recommender.seen_.shape == (4, 4)
    ids, _ = recommender.recommend([6], n_items=4)
    assert_array_equal(ids, [[1, 2, 3, 50]])
    with pytest.raises(TypeError, match=r"item_table must be a FeatureTable\(frame, key=\.\.\.\), got ndarray"):
        recommender.fit(frame, Y, item_table=frame.to_numpy())


def test_failed_fit_leaves_the_fitted_state():
    recommender = Counts().fit(X, Y)
    before = recommender.predict(X)
    with pytest.raises(ValueError, match="NaN"):
        recommender.fit(X[:2], [1.0, np.nan])
    assert_allclose(recommender.predict(X), before)


class Factors(BaseFactorRecommender):
    """Inner products of given vectors."""

    def __init__(self, p, q, *, user=0, item=1):
        self.p, self.q, self.user, self.item = p, q, user, item

    def _fit_interactions(self, interactions):
        pass

    def _user_vectors(self, users):
        return users.fill(self.p, None, 0.0)

    def _item_vectors(self, items):
        return items.fill(self.q, None, 0.0)


@pytest.mark.parametrize("seed", [0, 1])
def test_factors_in_blocks_equal_all_at_once(seed, monkeypatch):
    rng = np.random.default_rng(seed)
    p, q = rng.normal(size=(40, 4)), rng.normal(size=(70, 4))
    rows = np.argwhere(rng.random((40, 70)) < 0.2)
    rows = np.vstack([rows, np.column_stack([np.arange(70) % 40, np.arange(70)])])
    recommender = Factors(p, q).fit(rows, np.ones(len(rows)))
    scores = p @ q.T
    scores[rows[:, 0], rows[:, 1]] = -np.inf
    expected = np.argsort(-scores, axis=1)[:, :8]
    monkeypatch.setattr("skllmrec.base._search.BLOCK_SCORES", 200)  # two users at a time
    ids, best = recommender.recommend(np.arange(40), n_items=8)
    assert_array_equal(ids, expected)
    assert_allclose(best, np.take_along_axis(scores, expected, axis=1))
    assert_allclose(recommender.predict(rows), np.einsum("ij,ij->i", p[rows[:, 0]], q[rows[:, 1]]))
    cosines = normalize(q) @ normalize(q).T
    np.fill_diagonal(cosines, -np.inf)
    similar, _ = recommender.similar_items(np.arange(70), n_items=5)
    assert_array_equal(similar, np.argsort(-cosines, axis=1)[:, :5])


class Careless(Counts):
    """Answers about other pairs than it was asked for, or not with numbers."""

    def __init__(self, answer, *, user=0, item=1):
        self.answer, self.user, self.item = answer, user, item

    def _score_block(self, users, items):
        answers = {"all known": (len(users), 3), "nan": (len(users), len(items)), "int": (len(users), len(items))}
        fill = np.nan if self.answer == "nan" else 2
        return np.full(answers[self.answer], fill)


def test_hooks_of_subclasses_are_not_trusted():
    with pytest.raises(ValueError, match=r"Careless._score_block returned shape \(1, 3\): .* of \(1, 2\) pairs"):
        Careless("all known").fit(X, Y).recommend([7], n_items=1, candidates=[1, 2])
    with pytest.raises(ValueError, match=r"Careless._score_block returned NaN or inf"):
        Careless("nan").fit(X, Y).recommend([7], n_items=1)
    ids, scores = Careless("int").fit(X, Y).recommend([8], n_items=3)
    assert_array_equal(ids, [[1, 3, np.iinfo(np.int64).min]])
    assert_array_equal(scores, [[2, 2, -np.inf]])
    recommender = Factors(np.ones((3, 2)), np.ones((3, 2))).fit(X, Y)
    recommender._item_vectors = lambda items: np.ones((3, 2))
    with pytest.raises(ValueError, match="Factors gave vectors of 1 users and 3 items, asked for 1 and 2"):
        recommender.recommend([7], n_items=1, candidates=[1, 2])


def test_unit_rows_leave_zeros():
    assert_allclose(normalize(np.array([[3.0, 4.0], [0.0, 0.0]])), [[0.6, 0.8], [0, 0]])


def test_later_rows_bring_the_columns_of_the_table():
    rows = pd.DataFrame(X, columns=["user", "item"])
    table = FeatureTable(pd.DataFrame({"item": [1, 2, 3], "year": [0.1, 0.2, 0.3]}), key="item")
    recommender = Counts(user="user", item="item", item_features=["year"]).fit(rows, Y, item_table=table)
    new = pd.DataFrame({"user": [7, 8], "item": [50, 1], "year": [30.0, 0.1]})
    expected = recommender.recommend([7], 1, candidates=new[["item", "year"]][:1])[1][0, 0]
    assert_allclose(recommender.predict(new), [expected, 1 + 2 / 10])
    assert expected == pytest.approx(2 + 30 / 10)
    assert_allclose(recommender.predict(rows), Counts(user="user", item="item").fit(rows, Y).predict(rows))
    for frame in (new.assign(colour=1), new[["item", "user", "year"]], new[["user", "year"]]):
        with pytest.raises(ValueError, match="feature names should match"):
            recommender.predict(frame)


class Products(BaseFactorRecommender):
    def __init__(self, *, user=0, item=1):
        self.user, self.item = user, item

    def _fit_interactions(self, interactions):
        self.largest_ = 0

    def _user_vectors(self, users):
        self.largest_ = max(self.largest_, len(users))
        return users.ids[:, np.newaxis]

    def _item_vectors(self, items):
        return items.ids[:, np.newaxis]


def test_pairs_are_scored_by_factors_in_blocks(monkeypatch):
    monkeypatch.setattr(_factors, "_BLOCK_PAIRS", 4)
    recommender = Products().fit(X, Y)
    assert_array_equal(recommender.predict(X), X[:, 0] * X[:, 1])
    assert recommender.largest_ == 4
