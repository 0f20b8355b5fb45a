"""BlendRecommender: the right part for each segment, scores by the formula, and refusals."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.linear_model import Ridge

from skllmrec import BlendRecommender, FeatureMFRecommender, NeighborsRecommender, PopularityRecommender
from skllmrec._kernels.selection import pools
from skllmrec.base import BaseFactorRecommender, BaseRecommender, FeatureTable
from skllmrec.recommenders.blend import _validation
from skllmrec.recommenders.blend._validation import Validation


class Oracle(BaseRecommender):
    """Knows the taste of users and items that numbers tell, for items of some segments; noise for the others."""

    def __init__(self, knows="warm", *, user=0, item=1, item_features=2, feedback="implicit", handle_unknown="prior"):
        self.knows = knows
        self.user = user
        self.item = item
        self.item_features = item_features
        self.feedback = feedback
        self.handle_unknown = handle_unknown

    def _fit_interactions(self, interactions):
        self.known_ = np.diff(interactions.weights.T.tocsr().indptr) > 0
        self.side_ = interactions.item_features

    def _score_block(self, users, items):
        new = None if items.features is None else items.features
        side = items.fill(self.side_, new, np.zeros(1))[:, 0]
        cold = np.append(~self.known_, True)[items.codes]
        truth = np.equal.outer(np.asarray(users.ids) % 2, side)
        noise = np.sin(np.add.outer(np.asarray(users.ids) * 12.9898, np.asarray(items.ids) * 78.233)) * 43758.5 % 1
        return np.where(cold == (self.knows == "cold"), 10.0 * truth, 0.01 * noise)


def tribes(seed, n_users=60, n_items=80):
    """Users like items of their own parity; the third column says the parity."""
    generator = np.random.default_rng(seed)
    liked = (generator.random((n_users, n_items)) < 0.4) & np.equal.outer(
        np.arange(n_users) % 2, np.arange(n_items) % 2
    )
    users, items = np.nonzero(liked)
    return np.column_stack([users, items, items % 2])


@pytest.mark.parametrize("seed", [0, 1])
def test_each_segment_gets_the_part_that_knows_it(seed):
    parts = [("frequent", Oracle("warm")), ("new", Oracle("cold"))]
    blend = BlendRecommender(parts, validation_fraction=0.2, few_shot=0, random_state=seed).fit(tribes(seed))
    assert blend.weights_["warm"][0] >= 0.5 and blend.weights_["cold"][1] >= 0.5
    for scores, best in ((blend.validation_scores_["warm"], 0), (blend.validation_scores_["cold"], 1)):
        assert np.argmax(scores) == best
    rows = np.array([[0, 900, 0], [1, 901, 1]])  # new items of either parity
    assert blend.recommend([0, 1], n_items=1, candidates=rows)[0].ravel().tolist() == [900, 901]


class Blurred(BaseFactorRecommender):
    """Knows the factors behind random interactions, with noise."""

    def __init__(self, seed=0, noise=0.5, *, user=0, item=1, feedback="implicit", handle_unknown="prior"):
        self.seed = seed
        self.noise = noise
        self.user = user
        self.item = item
        self.feedback = feedback
        self.handle_unknown = handle_unknown

    def _fit_interactions(self, interactions):
        self.asked_ = []

    def _vectors(self, ids, side):
        generator = np.random.default_rng((self.seed, side))
        return (factors(side) + self.noise * generator.normal(size=factors(side).shape))[np.asarray(ids)]

    def _user_vectors(self, users):
        self.asked_.append(len(users))
        return self._vectors(users.ids, 0)

    def _item_vectors(self, items):
        return self._vectors(items.ids, 1)


_USERS = 120  # of the factor models


def factors(side):
    return np.random.default_rng(side).normal(size=((_USERS, 8), (5000, 8))[side])


@pytest.mark.parametrize("seed", [0, 1])
def test_pools_of_candidates_find_the_weights_of_the_full_ranking(seed, monkeypatch):
    generator = np.random.default_rng(seed)
    tastes = factors(0) @ factors(1).T + generator.gumbel(size=(_USERS, 5000))
    users, places = np.nonzero(np.ones((_USERS, 30)))
    liked = np.argpartition(-tastes, 30)[:, :30]
    X = np.column_stack([users, liked[users, places]])
    X = np.concatenate([X, np.column_stack([np.zeros(5000, int), np.arange(5000)])])  # all items are known
    parts = [("one", Blurred(1, 0.4)), ("two", Blurred(2, 0.6)), ("three", Blurred(3, 2.0))]
    blend = BlendRecommender(parts, few_shot=0, random_state=seed)
    found, most = {}, {}
    monkeypatch.setattr(pools, "_BLOCK_SCORES", 64 * 5000)
    judge = Validation.judge

    def watched(validation, fitted, name):
        for part in fitted:
            part.asked_.clear()
        result = judge(validation, fitted, name)
        # but for the levels, which are of all users and few items
        most[kind, name] = max((n for part in fitted for n in part.asked_[1:]), default=0)
        return result

    monkeypatch.setattr(Validation, "judge", watched)
    for kind, n_items in (("pools", 4096), ("all", 5000)):
        monkeypatch.setattr(_validation, "_MAX_RANKED", n_items)
        found[kind] = clone(blend).fit(X)
    assert most["pools", "all"] <= 64 < most["all", "all"]
    for name in ("all", "warm"):
        one, other = (found[kind].validation_scores_[name] for kind in ("pools", "all"))
        assert_allclose(one, other, rtol=1e-12)
    assert_allclose(found["pools"].weights_["warm"], found["all"].weights_["warm"], atol=0.02)


@pytest.mark.parametrize("n_items", [100, 40])
def test_weights_are_means_over_random_halves_of_the_items(n_items, monkeypatch):
    bags = {}  # by the number of items of the segment

    def recorded(rankings, items):
        bags.setdefault(rankings.scores[0].shape[1], []).append(items)
        return np.array([items[0], 9.0]) / (9 + items[0])

    monkeypatch.setattr(Validation, "_select", staticmethod(recorded))
    parts = [("near", NeighborsRecommender(feedback="implicit")), ("all", PopularityRecommender(feedback="implicit"))]
    blend = BlendRecommender(parts, few_shot=0, random_state=0).fit(tribes(0, n_items=n_items)[:, :2])
    n_warm = sorted(bags)[-2]  # the most are all items
    if n_items == 100:
        assert [len(bag) for bag in bags[n_warm]] == [n_warm // 2] * 4
        assert len({tuple(bag) for bag in bags[n_warm]}) == 4
        assert all((np.diff(bag) > 0).all() and bag.max() < n_warm for bag in bags[n_warm])
    else:  # too few to be halved
        assert [bag.tolist() for bag in bags[n_warm]] == [list(range(n_warm))] and n_warm < 40
    shares = [bag[0] / (9 + bag[0]) for bag in bags[n_warm]]
    assert_allclose(blend.weights_["warm"], [np.mean(shares), 1 - np.mean(shares)])


def test_items_are_compared_by_the_part_that_weighs_most_and_idle_parts_do_nothing(monkeypatch):
    X = tribes(0)
    parts = [
        ("near", NeighborsRecommender(feedback="implicit")),
        ("mf", FeatureMFRecommender(3, feedback="implicit", max_iter=2)),
    ]
    blend = BlendRecommender(parts, random_state=0).fit(X[:, :2])
    for heaviest in (0, 1):
        blend.weights_ = {name: np.eye(2)[heaviest] for name in blend.weights_}
        found, expected = (one.similar_items([4, 7], n_items=5) for one in (blend, blend.estimators_[heaviest]))
        assert_array_equal(found[0], expected[0])
    monkeypatch.setattr(NeighborsRecommender, "_prepare_items", None)  # would raise
    assert blend.recommend([0, 1], n_items=3)[0].shape == (2, 3)


def test_implicit_scores_are_weighted_standard_scores():
    X = tribes(0)[:, :2]
    parts = [("near", NeighborsRecommender(feedback="implicit")), ("all", PopularityRecommender(feedback="implicit"))]
    blend = BlendRecommender(parts, random_state=3).fit(X)
    expected = np.zeros((len(blend.users_), len(blend.items_)))
    for part, weight in zip(blend.estimators_, blend.weights_["warm"], strict=True):
        pairs = np.array([[user, item] for user in blend.users_ for item in blend.items_])
        scores = part.predict(pairs).reshape(expected.shape)
        levels = scores[:, np.isin(blend.items_, blend._reference)]
        spread = levels.std(axis=1, keepdims=True)
        expected += weight * (scores - levels.mean(axis=1, keepdims=True)) / np.where(spread > 0, spread, 1)
    assert_allclose(blend.predict(pairs), expected.ravel(), atol=1e-9)


class Silent(Oracle):
    """Tells items apart by their parity, but says next to nothing about the known ones to one user."""

    def _score_block(self, users, items):
        parity = np.asarray(items.ids) % 2 + np.zeros((len(users), 1))
        parity[np.ix_(np.asarray(users.ids) == 5, items.codes >= 0)] *= 1e-9
        return parity


def test_a_part_that_says_next_to_nothing_does_not_drown_the_others():
    X = tribes(0)
    blend = BlendRecommender([("silent", Silent()), ("taste", Oracle("warm"))], random_state=0).fit(X)
    blend.weights_ = dict.fromkeys(blend.weights_, np.array([0.5, 0.5]))
    usual, quiet = (blend.predict(np.array([[user, 901, 1]])).item() for user in (7, 5))
    assert abs(usual) < 10 and abs(quiet) < 10  # a score of 1, divided by the spread of 5e-10, would be 1e9


def test_explicit_ratings_are_a_convex_combination():
    X = tribes(0)[:, :2]
    y = np.random.default_rng(0).integers(1, 6, len(X)).astype(float) + (X[:, 1] % 5)
    parts = [
        ("mf", FeatureMFRecommender(2, max_iter=3, feedback="explicit")),
        ("mean", PopularityRecommender(feedback="explicit")),
    ]
    blend = BlendRecommender(parts, few_shot=0, random_state=0).fit(X, y)
    expected = sum(w * part.predict(X) for w, part in zip(blend.weights_["warm"], blend.estimators_, strict=True))
    assert_allclose(blend.predict(X), expected)
    assert (blend.validation_scores_["warm"] < 0).all()


def test_parameters_of_the_parts():
    blend = BlendRecommender(
        [("mf", FeatureMFRecommender(3, feedback="explicit")), ("mean", PopularityRecommender(feedback="explicit"))]
    )
    assert blend.get_params()["mf__n_components"] == 3
    other = clone(blend).set_params(mf__n_components=7, mean=PopularityRecommender(damping=1.0, feedback="explicit"))
    assert other.estimators[0][1].n_components == 7 and other.estimators[1][1].damping == 1.0
    assert blend.estimators[0][1].n_components == 3


def test_seeds_of_the_parts_follow_that_of_the_blend():
    X = tribes(1)[:, :2]
    parts = [
        ("mf", FeatureMFRecommender(3, feedback="implicit", max_iter=2)),
        ("fixed", FeatureMFRecommender(3, feedback="implicit", max_iter=2, random_state=5)),
    ]
    one, two = (BlendRecommender(parts, random_state=1).fit(X) for _ in range(2))
    assert_allclose(one.predict(X), two.predict(X))
    assert parts[0][1].random_state is None and one.estimators_[1].random_state == 5


def test_too_little_data_gives_equal_weights():
    X = [["ann", "alien"], ["bob", "dune"], ["bob", "alien"]]
    parts = [("near", NeighborsRecommender(feedback="implicit")), ("all", PopularityRecommender(feedback="implicit"))]
    blend = BlendRecommender(parts, random_state=0).fit(X)
    assert blend.weights_["warm"].tolist() == [0.5, 0.5] and blend.validation_scores_ == {}


@pytest.mark.parametrize(
    ("estimators", "error", "message"),
    [
        ([], ValueError, "give a list of at least one"),
        ([PopularityRecommender(feedback="explicit")], ValueError, "give a list of at least one"),
        (
            [("a", PopularityRecommender(feedback="explicit")), ("a", PopularityRecommender(feedback="explicit"))],
            ValueError,
            "Names provided are not unique",
        ),
        ([("a", Ridge())], TypeError, "'a' is a Ridge: blends are made of recommenders"),
        (
            [("a", PopularityRecommender(feedback="explicit")), ("b", PopularityRecommender(feedback="implicit"))],
            ValueError,
            "different feedback, {'a': 'explicit', 'b': 'implicit'}: set feedback=",
        ),
    ],
)
def test_what_cannot_be_blended(estimators, error, message):
    with pytest.raises(error, match=message):
        BlendRecommender(estimators).fit([["ann", "alien"], ["bob", "dune"]], [1.0, 2.0])


def test_parts_that_read_other_columns_are_refused():
    frame = pd.DataFrame({"item": [1, 2, 1, 3], "user": [1, 1, 2, 2]})
    by_name = PopularityRecommender(user="user", item="item", feedback="implicit")
    with pytest.raises(ValueError, match=r"estimators: 'b' has user=0, but the blend has user='user': set both"):
        parts = [("a", by_name), ("b", PopularityRecommender(feedback="implicit"))]
        BlendRecommender(parts, user="user", item="item").fit(frame)
    # a name and a position of the same column
    BlendRecommender([("a", by_name), ("b", clone(by_name))], user=1, item=0).fit(frame)


@pytest.mark.parametrize("feedback", ["implicit", "explicit"])
def test_parts_that_refuse_unknown_items_are_judged_on_held_out_ones(feedback):
    X = tribes(0)
    ratings = None if feedback == "implicit" else np.random.default_rng(0).integers(1, 6, len(X))
    strict = NeighborsRecommender(feedback=feedback, handle_unknown="error")
    inner = BlendRecommender([("near", strict)], handle_unknown="error")
    parts = [("popular", PopularityRecommender(feedback=feedback)), ("near", strict), ("inner", inner)]
    blend = BlendRecommender(parts, random_state=0, validation_fraction=0.3).fit(X, ratings)
    assert "cold" in blend.validation_scores_
    assert [part.handle_unknown for part in blend.estimators_] == ["prior", "error", "error"]
    assert blend.estimators_[2].estimators_[0].handle_unknown == "error" and strict.handle_unknown == "error"


@pytest.mark.parametrize("estimators", [[], None, [PopularityRecommender(feedback="explicit")], "parts"])
def test_a_blend_that_cannot_be_fitted_can_be_shown(estimators):
    blend = BlendRecommender(estimators)
    assert "BlendRecommender" in blend._repr_html_() and "BlendRecommender" in repr(blend)
    with pytest.raises(ValueError, match="estimators"):
        blend.fit([["ann", "alien"]])


def test_later_rows_bring_the_columns_of_the_table_to_the_parts():
    rows = pd.DataFrame(tribes(0)[:, :2], columns=["user", "item"])
    table = FeatureTable(
        pd.DataFrame({"item": range(80), "parity": [[0.0, 1.0][n % 2] for n in range(80)]}), key="item"
    )
    columns = {"user": "user", "item": "item"}
    part = NeighborsRecommender(feedback="implicit", item_features=["parity"], **columns)
    popular = PopularityRecommender(feedback="implicit", **columns)  # it knows nothing of the table's columns
    blend = BlendRecommender([("near", part), ("popular", popular)], random_state=0, **columns)
    blend.fit(rows, item_table=table)
    new = pd.DataFrame({"user": [0, 1], "item": [901, 900], "parity": [1.0, 0.0]})
    scores = blend.predict(new)
    ids, found = blend.recommend([0, 1], 2, candidates=new[["item", "parity"]])
    assert ids.tolist() == [[900, 901], [901, 900]]
    assert_allclose(found[:, 1], scores)
    assert blend.partial_fit(new).similar_items([901], 1)[0] % 2 == 1
