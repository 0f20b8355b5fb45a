"""What a call of recommend brings along: histories, lists of allowed and denied items, descriptions."""

import copy

import numpy as np
import pytest
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer

from skllmrec import FeatureMFRecommender, PopularityRecommender
from skllmrec.base._interactions import interactions_of
from skllmrec.base._rules import Rules
from skllmrec.exceptions import UnknownIdError

TEXTS = {"alien": "space horror", "dune": "space desert", "heat": "city crime", "ronin": "city crime", "up": "balloon"}
LIKED = {"ann": ["alien", "dune"], "bob": ["heat", "ronin"], "cem": ["alien", "up", "dune"], "dee": ["ronin", "up"]}
ROWS = [[user, item, TEXTS[item]] for user, items in LIKED.items() for item in items]


@pytest.fixture
def implicit():
    return FeatureMFRecommender(3, feedback="implicit", alpha=0.1, max_iter=5, random_state=0).fit(ROWS)


@pytest.fixture
def explicit():
    ratings = [3.0 + (len(row[1]) % 3) for row in ROWS]
    return FeatureMFRecommender(3, alpha=0.1, max_iter=5, random_state=0, feedback="explicit").fit(ROWS, ratings)


def scores_of(recommender, *args, **kwargs):
    ids, scores = recommender.recommend(*args, n_items=len(recommender.items_), exclude_seen=False, **kwargs)
    return [dict(zip(one, values, strict=True)) for one, values in zip(ids.tolist(), scores, strict=True)]


def test_history_of_an_unknown_person_is_the_normal_equation(implicit):
    V = implicit.item_factors_.astype(float)
    liked = [list(implicit.items_).index(item) for item in ("heat", "up")]
    a0 = implicit.unobserved_weight_
    size = (len(liked) + a0 * len(V)) ** implicit._settings["nu"] * implicit._ridge_scale["user"]
    left = V[liked].T @ V[liked] + a0 * V.T @ V + size * np.eye(V.shape[1])
    expected = V @ np.linalg.solve(left, V[liked].sum(axis=0))
    (scores,) = scores_of(implicit, history=[["heat", "up"]])
    np.testing.assert_allclose([scores[item] for item in implicit.items_], expected, rtol=1e-4)


def test_history_equals_the_fold_in_of_a_new_user_and_leaves_the_model(explicit):
    before = copy.deepcopy(vars(explicit))
    (scores,) = scores_of(explicit, history=[{"heat": 5.0, "dune": 2.0}])
    folded = copy.deepcopy(explicit)
    with_history = explicit._user_vectors(explicit._target_users(None, [{"heat": 5.0, "dune": 2.0}]))
    folded.partial_fit([["new", "heat", ""], ["new", "dune", ""]], [5.0, 2.0])
    np.testing.assert_allclose(with_history[0, :3], folded.user_factors_[-1], rtol=1e-5)
    assert scores["heat"] > scores["dune"]
    for name in ("user_factors_", "item_factors_", "user_biases_", "item_biases_"):
        np.testing.assert_array_equal(before[name], getattr(explicit, name))
    assert len(explicit.users_) == 4


def test_history_of_a_known_user_adds_to_training(explicit):
    plain, added = explicit.recommend(["ann"], n_items=5), explicit.recommend(["ann"], 5, history=[["heat"]])
    assert {"heat"} == set(plain[0][0]) - set(added[0][0])
    again = scores_of(explicit, ["ann", "bob"], history=[[], []])
    assert again == scores_of(explicit, ["ann", "bob"])


def test_an_id_alone_stands_for_the_highest_rating(explicit):
    assert scores_of(explicit, history=[["up"]]) == scores_of(explicit, history=[{"up": 5.0}])


def test_weights_of_a_history_count(implicit):
    once, twice, weighted = scores_of(implicit, history=[["up"], ["up", "up"], {"up": 2.0}])
    assert twice == weighted != once


def test_history_is_left_out_of_the_list_unless_asked_for(implicit):
    ids, _ = implicit.recommend(history=[["heat", "up"], ["alien"]], n_items=5)
    assert not {"heat", "up"} & set(ids[0]) and "heat" in ids[1] and "alien" not in ids[1]
    assert list(ids[0][3:]) == [None, None]
    ids, _ = implicit.recommend(history=[["heat", "up"]], n_items=5, exclude_seen=False)
    assert set(ids[0]) == set(TEXTS)


def test_unknown_items_of_a_history_are_of_no_effect_or_an_error(implicit):
    assert scores_of(implicit, history=[["up", "new"]]) == scores_of(implicit, history=[["up"]])
    strict = implicit.set_params(handle_unknown="error")
    with pytest.raises(UnknownIdError, match="'new' at position 1"):
        strict.recommend(history=[["up", "new"]])


def test_history_in_blocks_equals_history_at_once(implicit, monkeypatch):
    histories = [["heat"], [], ["alien", "up"], ["dune"]]
    whole = implicit.recommend(history=histories, n_items=4)
    monkeypatch.setattr("skllmrec.base._search.BLOCK_SCORES", 6)
    parts = implicit.recommend(history=histories, n_items=4)
    np.testing.assert_array_equal(whole[0], parts[0])
    np.testing.assert_allclose(whole[1], parts[1], rtol=1e-5)


def test_allow_and_deny_for_everybody():
    recommender = PopularityRecommender(feedback="implicit").fit(ROWS)
    ids, _ = recommender.recommend(["ann", "new"], 2, allow=["ronin", "up", "gone"], exclude_seen=False)
    assert ids.tolist() == [["ronin", "up"], ["ronin", "up"]]
    ids, _ = recommender.recommend(["ann"], 3, deny=np.array(["ronin", "up"], dtype=object), exclude_seen=False)
    assert set(ids[0]) == {"alien", "dune", "heat"}
    ids, _ = recommender.recommend(["ann"], 1, allow=["up", "heat"], deny=["up"])
    assert ids.tolist() == [["heat"]]


def test_allow_and_deny_user_by_user(monkeypatch):
    recommender = PopularityRecommender(feedback="implicit").fit(ROWS)
    monkeypatch.setattr("skllmrec.base._search.BLOCK_SCORES", 5)  # one user at a time
    ids, scores = recommender.recommend(
        ["ann", "bob", "new"], 5, allow=[["up", "heat"], [], ["dune", "ronin"]], deny=[["up"], [], ["none of it"]]
    )
    assert ids.tolist() == [["heat", None, None, None, None], [None] * 5, ["dune", "ronin", None, None, None]]
    assert np.isneginf(scores[1]).all()


def test_lists_for_each_user_are_read_for_few_users_at_a_time(implicit, monkeypatch):
    monkeypatch.setattr("skllmrec.base._search.BLOCK_SCORES", 5)
    asked, left_out = [], Rules.left_out
    monkeypatch.setattr(Rules, "left_out", lambda self, rows: asked.append(len(rows)) or left_out(self, rows))
    implicit.recommend(["ann", "bob", "cem"], 1)
    implicit.recommend(["ann", "bob", "cem"], 1, deny=[["up"], ["dune"], []])
    assert asked == [3, 1, 1, 1]  # a factor model takes many users at once, but not with lists of each


@pytest.mark.parametrize("codes", [[3, 0, 1], [2, -1, 2], []])
def test_rows_of_interactions_keep_their_ratings(codes):
    weights = sparse.random_array((4, 6), density=0.5, random_state=np.random.default_rng(0), format="csr")
    weights = sparse.csr_matrix(weights)
    ratings = 10.0 + np.arange(weights.nnz)
    full = np.zeros((5, 6))  # the last row is nobody's
    full[weights.nonzero()] = ratings
    codes = np.array(codes, dtype=np.intp)
    found, found_ratings = interactions_of(weights, ratings, codes)
    np.testing.assert_array_equal(found.toarray(), np.vstack([weights.toarray(), np.zeros(6)])[codes])
    np.testing.assert_array_equal(found_ratings, full[codes][full[codes] > 0])
    assert interactions_of(weights, None, codes)[1] is None


def test_allow_works_on_candidates_with_new_items(implicit):
    ids, _ = implicit.recommend(["ann"], 1, candidates=["new", "up"], allow=["new"])
    assert ids.tolist() == [["new"]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "needs users, or the history"),
        ({"history": "alien"}, "history is str: give a list with one list"),
        ({"history": ["alien", "heat"]}, "user 0 is 'alien' .str.: put it in a list"),
        ({"users": ["ann"], "history": [["alien"], ["heat"]]}, "history has 2 lists for 1 users"),
        ({"history": [["up"], {"heat": np.nan}]}, "history of user 1 gives item 'heat' the value nan"),
        ({"history": [{"heat": -1.0}]}, "weights are finite, not negative and at most 1e"),
        ({"users": ["ann"], "allow": []}, "leave none of the 5 candidates"),
        ({"users": ["ann"], "deny": [["up"], ["heat"]]}, "deny has 2 lists for 1 users"),
        ({"users": ["ann"], "allow": "up"}, "allow is 'up' .str.: give a list"),
        ({"users": ["ann"], "allow": ["up", "heat"], "n_items": 3}, "n_items=3 exceeds the 2 candidates"),
    ],
)
def test_what_does_not_fit_is_an_error(implicit, arguments, message):
    with pytest.raises(ValueError, match=message):
        implicit.recommend(**arguments)


@pytest.mark.parametrize("listed", [[1, 2], [[1], [2]]], ids=["everybody", "user by user"])
@pytest.mark.parametrize("name", ["allow", "deny"])
def test_lists_of_the_other_kind_of_ids_are_refused(implicit, name, listed):
    with pytest.raises(TypeError, match=rf"{name}: the item ids are numbers, e.g. 1, but fit saw strings"):
        implicit.recommend(["ann", "bob"], 1, **{name: listed})


def test_similar_items_by_what_a_text_says():
    recommender = FeatureMFRecommender(
        2, feedback="implicit", item_features=2, item_encoder=CountVectorizer(), alpha=0.1, random_state=0
    ).fit(ROWS)
    ids, scores = recommender.similar_items(features=["space horror", "city crime"], n_items=2)
    assert set(ids[1]) == {"heat", "ronin"} and "alien" in ids[0]
    by_row, row_scores = recommender.similar_items([["nobody", "new", "city crime"]], n_items=2)
    np.testing.assert_array_equal(by_row[0], ids[1])
    np.testing.assert_allclose(row_scores[0], scores[1])


def test_similar_items_wants_one_question(implicit):
    with pytest.raises(ValueError, match="either items or features"):
        implicit.similar_items()
    with pytest.raises(ValueError, match="either items or features"):
        implicit.similar_items(["up"], features=["a text"])
    with pytest.raises(ValueError, match="fit saw none: name their columns with item_features="):
        implicit.similar_items(features=["a text"])


@pytest.mark.parametrize("history", [None, [[]], [["heat"]], [{"heat": 0.0}]])
def test_what_was_seen_with_weight_zero_stays_out_whatever_the_history(history):
    X = [["ann", "alien"], ["ann", "dune"], ["bob", "heat"], ["bob", "up"]]
    recommender = PopularityRecommender(feedback="implicit").fit(X, [0, 1, 1, 1])
    expected = ["up"] if history and history[0] else ["heat", "up"]
    found = recommender.recommend(["ann"], n_items=4, history=history)[0][0]
    assert [item for item in found if item] == expected
