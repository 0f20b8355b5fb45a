"""Ranker: the lists of `recommend` from prepared candidates, whatever happens to the model and the candidates."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import Ridge

from skllmrec import (
    BlendRecommender,
    ExactIndex,
    FeatureMFRecommender,
    LinearAutoencoderRecommender,
    MarkovRecommender,
    NeighborsRecommender,
    PairwiseRecommender,
    PopularityRecommender,
    SequentialRecommender,
)
from skllmrec.base import BaseRecommender, _prepared
from skllmrec.retrieval import VectorIndex

WORDS = ("space horror", "space desert", "city crime", "city balloon", "war", "war sea")
TEXT = {"item_features": 2, "item_encoder": CountVectorizer()}


def rows(n_users=30, n_items=40, seed=0):
    generator = np.random.default_rng(seed)
    pairs = np.argwhere(generator.random((n_users, n_items)) < 0.2).tolist()
    return [[user, item, WORDS[item % len(WORDS)]] for user, item in pairs]


X = rows()
NEW = [[0, 900 + n, WORDS[n % len(WORDS)]] for n in range(5)]
FACTORS = FeatureMFRecommender(4, feedback="implicit", alpha=0.1, max_iter=3, random_state=0, **TEXT)
PARTS = [FACTORS, NeighborsRecommender(feedback="implicit", **TEXT)]
RECOMMENDERS = {
    "factors": FACTORS,
    "popular": PopularityRecommender(feedback="implicit", **TEXT),
    "near": PARTS[1],
    "autoencoder": LinearAutoencoderRecommender(**TEXT),
    "markov": MarkovRecommender(**TEXT),
    "sequential": SequentialRecommender(4, max_iter=3, random_state=0, **TEXT),
    "pairwise": PairwiseRecommender(Ridge(), feedback="explicit", **TEXT),
    "blend": BlendRecommender([("one", PARTS[0]), ("two", PARTS[1])], random_state=0),
}


def fitted(name="factors", X=X):
    y = np.arange(len(X)) % 5 + 1.0 if name == "pairwise" else None
    return clone(RECOMMENDERS[name]).fit(np.array(X, dtype=object), y)


def assert_same(found, expected, rtol=1e-5):
    assert_array_equal(found[0], expected[0])
    assert_allclose(found[1], expected[1], rtol=rtol, atol=1e-6)


@pytest.mark.parametrize("name", RECOMMENDERS)
def test_lists_are_those_of_recommend(name):
    model, users = fitted(name), [3, 0, 777]
    new = (np.arange(10, 30), np.array(NEW, dtype=object))
    for candidates in (None, np.arange(35, 5, -1), new):
        ranker = model.ranker(candidates)
        for given in (
            {},
            {"exclude_seen": False},
            {"history": [[12, 13], {14: 2.0}, []]},
            {"deny": [11, 12, 902]},
            {"allow": [11, 12, 13, 14, 15, 16]},
            {"allow": [range(10, 20), range(15, 25), range(20, 30)], "deny": [[12], [], [21, 22]]},
        ):
            assert_same(ranker.rank(users, 5, **given), model.recommend(users, 5, candidates=candidates, **given))
        assert_same(
            ranker.rank(history=[[12], [13, 14]]), model.recommend(history=[[12], [13, 14]], candidates=candidates)
        )
        scores = ranker.scores(users, history=[[12], [], [13]])
        best = ranker.rank(users, 5, exclude_seen=False, history=[[12], [], [13]])[1]
        assert_allclose(-np.sort(-scores, axis=1)[:, :5], best, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", RECOMMENDERS)
def test_candidates_come_and_go(name):
    model, users = fitted(name), [3, 0, 777]
    ranker = model.ranker(np.arange(20))
    for n in range(30):  # added one by one, so that all are prepared again in between
        ranker.add([20 + n % 20] if n < 20 else [NEW[n - 20]] if n < 25 else [n - 25])
        if n == 0:
            ranker.remove(range(5))
        order = [
            *range(5, 20),
            *range(20, min(21 + n, 40)),
            *range(900, 900 + min(max(n - 19, 0), 5)),
            *range(max(n - 24, 0)),
        ]
        assert ranker.candidates_.tolist() == order
        if n % 6 == 5:
            known = [item for item in order if item < 900]
            rest = np.array(NEW[: len(order) - len(known)], dtype=object)
            expected = model.ranker((known, rest) if len(rest) else known)
            assert_same(ranker.rank(users, 5), expected.rank(users, 5))
            assert_same(ranker.rank(users, 3, deny=[7, 9]), expected.rank(users, 3, deny=[7, 9]))
            by_id = dict(zip(expected.candidates_.tolist(), expected.scores(users).T, strict=True))
            assert_allclose(ranker.scores(users).T, [by_id[item] for item in order], rtol=1e-5, atol=1e-6)


def test_what_was_added_last_is_last_among_equals():
    ranker = fitted("popular").ranker([3, 900, 1])
    ranker.add([901, 899])
    ids, scores = ranker.rank([777], 5, exclude_seen=False)
    assert ids[0, 2:].tolist() == [900, 901, 899] and np.ptp(scores[0, 2:]) == 0


@pytest.mark.parametrize("name", [name for name in RECOMMENDERS if name != "pairwise"])
def test_a_ranker_follows_its_model(name):
    model = fitted(name)
    everything, some = model.ranker(), model.ranker([5, 6, 7, 950])
    everything.rank([0], 3), some.rank([0], 3)
    more = np.array([[0, 5, WORDS[0]], [0, 6, WORDS[1]], [55, 950, WORDS[2]], [55, 7, WORDS[1]]], dtype=object)
    model.partial_fit(more)
    for ranker, candidates in ((everything, None), (some, [5, 6, 7, 950])):
        assert_same(ranker.rank([0, 55], 3), model.recommend([0, 55], 3, candidates=candidates))
    assert 950 in everything.candidates_
    before = everything.rank([1], 5)[1]
    model.fit(np.array(rows(seed=4), dtype=object))
    assert_same(everything.rank([1], 5), model.recommend([1], 5))
    assert_same(some.rank([1], 3), model.recommend([1], 3, candidates=[5, 6, 7, 950]))
    assert not np.allclose(before, everything.rank([1], 5)[1])


def test_recommend_sees_attributes_that_are_set():
    model = fitted()
    before = model.recommend([0], 5)
    model.item_factors_ = -model.item_factors_
    assert_array_equal(
        model.recommend([0], 5, exclude_seen=False)[0],
        fitted().ranker().candidates_[np.argsort(model.ranker().scores([0])[0] * -1, kind="stable")][None, :5],
    )
    model.item_factors_ = -model.item_factors_
    assert_same(model.recommend([0], 5), before)


def test_items_are_prepared_once_for_each_state(monkeypatch):
    model, asked = fitted(), []
    original = FeatureMFRecommender._item_vectors
    monkeypatch.setattr(
        FeatureMFRecommender, "_item_vectors", lambda self, items: asked.append(len(items)) or original(self, items)
    )
    model.recommend([0], 3), model.recommend([1], 3), model.ranker().rank([2], 3)
    assert asked == [40]
    ranker = model.ranker(np.arange(39))
    ranker.add([39])
    assert asked == [40, 39, 1]
    copied = pickle.loads(pickle.dumps(model))  # noqa: S301 - just written
    assert vars(copied).keys() == vars(model).keys() and not any("prepared" in name for name in vars(model))
    assert_same(copied.recommend([0], 3), model.recommend([0], 3))


def test_prepared_items_live_as_long_as_their_model():
    model = fitted("popular")
    model.recommend([0], 3)
    n_before = len(_prepared.prepared_models._entries)
    del model
    assert len(_prepared.prepared_models._entries) < n_before


def test_a_model_that_is_being_fitted_answers_from_the_state_before():
    class Slow(PopularityRecommender):
        def _partial_fit_interactions(self, interactions, users, items):
            self.item_scores_ = None  # half done
            with ThreadPoolExecutor(1) as pool:
                answers.append(pool.submit(self.recommend, [0], 3).result())
                answers.append(pool.submit(ranker.rank, [0], 3).result())
            super()._partial_fit_interactions(interactions, users, items)

        def _learn_scores(self, interactions):
            return super()._learn_scores(interactions)

    answers, model = [], Slow(feedback="implicit").fit(np.array(X)[:, :2].astype(int))
    ranker, before = model.ranker(), model.recommend([0], 3)
    model.partial_fit([[0, int(before[0][0, 0])]])
    for answer in answers:
        assert_same(answer, before)
    assert before[0][0, 0] not in ranker.rank([0], 3)[0]


def test_threads_rank_while_candidates_come_and_go():
    model = fitted()
    ranker, expected = (
        model.ranker(np.arange(30)),
        {user: model.recommend([user], 3, candidates=np.arange(30)) for user in range(20)},
    )

    def ask(user):
        for _ in range(20):
            ids, scores = ranker.rank([user], 3, deny=range(30, 40))
            assert_same((ids, scores), expected[user])

    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(ask, user) for user in range(20)]
        for n in range(30, 40):
            ranker.add([n])
        for n in range(30, 40):
            ranker.remove([n])
        for answer in answers:
            answer.result()
    assert_array_equal(ranker.candidates_, np.arange(30))


@pytest.mark.parametrize("name", ["factors", "blend"])
def test_pickled_rankers_go_on(name):
    ranker = fitted(name).ranker((np.arange(20), np.array(NEW, dtype=object)))
    ranker.remove([3, 901])
    ranker.add([30])
    again = pickle.loads(pickle.dumps(ranker))  # noqa: S301 - just written
    assert_array_equal(again.candidates_, ranker.candidates_)
    assert_same(again.rank([1, 2], 4), ranker.rank([1, 2], 4))
    again.add([3])
    assert again.candidates_[-1] == 3


class Index:
    """An index of one's own: all scores, sorted."""

    def __init__(self, vectors=None):
        self.vectors, self.gone = vectors, []

    def search(self, vectors, k, excluded):
        scores = vectors @ self.vectors.T
        scores[excluded.nonzero()] = -np.inf
        scores[:, self.gone] = -np.inf
        positions = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        best = np.take_along_axis(scores, positions, axis=1)
        return np.where(np.isfinite(best), positions, -1), best


class Full(Index):
    def fit(self, vectors):
        self.__init__(vectors)

    def add(self, vectors):
        self.vectors = np.concatenate([self.vectors, vectors])

    def remove(self, positions):
        self.gone = [*self.gone, *positions]


@pytest.mark.parametrize("make", [Full, ExactIndex])
def test_an_index_searches_instead(make):
    model = fitted()
    ranker = model.ranker(np.arange(30), index=make())
    assert_same(ranker.rank([3, 0], 5), model.recommend([3, 0], 5, candidates=np.arange(30)))
    assert_same(ranker.rank([3], 5, allow=range(9)), model.recommend([3], 5, candidates=np.arange(30), allow=range(9)))
    ranker.add(NEW[:2])
    ranker.remove([4, 5, 900])
    left = [*range(4), *range(6, 30)], np.array(NEW[1:2], dtype=object)
    for one in (ranker, pickle.loads(pickle.dumps(ranker))):  # noqa: S301 - just written
        assert_same(one.rank([3, 0], 5), model.recommend([3, 0], 5, candidates=left))
        assert_allclose(one.scores([3]), model.ranker(left).scores([3]), rtol=1e-5)
        assert one.item_vectors_.shape == (29, 6)
    model.partial_fit([[0, 7, WORDS[1]], [3, 8, WORDS[2]]])
    assert_same(ranker.rank([3, 0], 5), model.recommend([3, 0], 5, candidates=left))


def test_an_index_that_cannot_change_says_so():
    model = fitted()
    vectors = model.ranker([1, 2, 3]).item_vectors_
    assert isinstance(Index(), VectorIndex)
    ranker = model.ranker([1, 2, 3], index=Index(vectors))
    assert_same(ranker.rank([3], 2), model.recommend([3], 2, candidates=[1, 2, 3]))
    with pytest.raises(ValueError, match="Index has no method add: make a new index"):
        ranker.add([4])
    with pytest.raises(ValueError, match="Index has no method remove"):
        ranker.remove([1])
    model.partial_fit([[0, 7, WORDS[1]]])
    with pytest.raises(ValueError, match="recommender has changed, and Index has no method fit"):
        ranker.rank([3], 2)
    held = type("Held", (Index,), {"__len__": lambda self: 7})(vectors)
    with pytest.raises(ValueError, match="Held holds 7 vectors for 3 candidates"):
        model.ranker([1, 2, 3], index=held)


def test_what_cannot_be():
    with pytest.raises(NotFittedError):
        clone(FACTORS).ranker()
    with pytest.raises(TypeError, match="score of NeighborsRecommender is no inner product"):
        fitted("near").ranker(index=ExactIndex())
    with pytest.raises(AttributeError, match="no inner product"):
        fitted("near").ranker().item_vectors_  # noqa: B018 - the access is the test
    ranker = fitted().ranker([1, 2, 3])
    with pytest.raises(ValueError, match=r"2 is a candidate already .1 of 2 are.: add only new ones"):
        ranker.add([4, 2])
    with pytest.raises(ValueError, match="9 is no candidate"):
        ranker.remove([1, 9])
    with pytest.raises(ValueError, match="these are all candidates"):
        ranker.remove([1, 2, 3])
    with pytest.raises(ValueError, match="n_items=4 exceeds the 3 candidates"):
        ranker.rank([1], 4)
    assert ranker.candidates_.tolist() == [1, 2, 3]


@pytest.mark.parametrize("name", RECOMMENDERS)
def test_folding_in_and_comparing_exist_where_they_work(name):
    for model in (RECOMMENDERS[name], fitted(name)):
        assert hasattr(model, "partial_fit") and hasattr(model, "similar_items")


def test_what_exists_depends_on_the_parts():
    class Plain(BaseRecommender):
        feedback = "implicit"

        def __init__(self, *, user=0, item=1):
            self.user = user
            self.item = item

        def _fit_interactions(self, interactions):
            self.n_ = 1

        def _score_block(self, users, items):
            return np.zeros((len(users), len(items)))

    popular = PopularityRecommender(feedback="implicit")
    blend = BlendRecommender([("plain", Plain()), ("popular", popular)], random_state=0)
    assert not hasattr(blend, "partial_fit") and not hasattr(blend, "similar_items")
    blend.fit(np.array(X)[:, :2].astype(int))
    for weights, there in (([0.0, 1.0], True), ([1.0, 0.0], False)):
        blend.weights_ = dict.fromkeys(blend.weights_, np.array(weights))
        assert hasattr(blend, "similar_items") == there and not hasattr(blend, "partial_fit")
    assert not hasattr(PairwiseRecommender(Ridge(), feedback="explicit"), "similar_items")
    assert hasattr(PairwiseRecommender(Ridge(), feedback="explicit"), "partial_fit")
