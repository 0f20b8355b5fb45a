"""Checks of `predict`, `recommend` and `similar_items`, one part of the contract of recommenders."""
# ruff: noqa: D401 - the docstring of a check is the rule that it checks

from collections.abc import Callable
from typing import Any
from unittest import SkipTest

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

from skllmrec._ids import missing_id
from skllmrec._typing import Array, Estimator
from skllmrec.testing._expectations import TOLERANCE, expect_error, require
from skllmrec.testing._group_data import N_ITEMS, N_UNSEEN, N_USERS, GroupData


def _ranked_by_predict(model, data, user, items):
    """Return the items, sorted by `predict` (equal scores in the given order), and all scores."""
    scores = model.predict(data.rows(user, items))
    return np.asarray(items)[np.argsort(-scores, kind="stable")], scores


def check_predict_is_finite_float64(recommender: Estimator, personalised: bool) -> None:
    """`predict` returns one finite float64 for each row, for known and unknown users and items."""
    data = GroupData(recommender)
    model = data.fitted()
    for users, items in ((data.user_codes, data.item_codes), ([0, N_USERS, N_USERS], [N_ITEMS, 0, N_ITEMS])):
        scores = model.predict(data.rows(users, items))
        require(isinstance(scores, np.ndarray), f"predict returned a {type(scores).__name__}, not an ndarray")
        require(scores.dtype == np.float64, f"predict returned dtype {scores.dtype}, not float64")
        require(scores.shape == (len(users),), f"predict returned shape {scores.shape} for {len(users)} rows")
        require(np.isfinite(scores).all(), "predict returned NaN or inf")


def check_predict_one_by_one(recommender: Estimator, personalised: bool) -> None:
    """The score of a row does not depend on the other rows."""
    data = GroupData(recommender)
    model = data.fitted()
    X = data.rows([0, 1, N_USERS, 5], [3, N_ITEMS, 2, 5])
    one_by_one = np.concatenate([model.predict(X[row : row + 1]) for row in range(len(X))])
    assert_allclose(one_by_one, model.predict(X), **TOLERANCE, err_msg="row by row and together differ")


def check_recommend_shapes_and_order(recommender: Estimator, personalised: bool) -> None:
    """`recommend` returns ids and float64 scores of shape (n_users, n_items), best first, without repetitions."""
    data = GroupData(recommender)
    model = data.fitted()
    for n_users in (N_USERS, 1, 0):
        ids, scores = model.recommend(data.ids("user", np.arange(n_users)), n_items=4)
        require(ids.shape == scores.shape == (n_users, 4), f"shapes {ids.shape}, {scores.shape}, not {(n_users, 4)}")
        require(scores.dtype == np.float64, f"scores have dtype {scores.dtype}, not float64")
        require(ids.dtype == data.ids("item", [0]).dtype, f"ids have dtype {ids.dtype}")
        require((np.diff(scores, axis=1) <= 0).all(), "a score is higher than the one before it")
        require(all(len(set(row)) == len(row) for row in ids.tolist()), "an item is twice in one list")
        require(np.isin(ids, model.items_).all(), "an id is not among items_")


def check_recommend_one_by_one(recommender: Estimator, personalised: bool) -> None:
    """The list of a user does not depend on the other users, and is the same for rows of X as for ids."""
    data = GroupData(recommender)
    model = data.fitted()
    users = np.array([4, 0, 7, 4])
    ids, scores = model.recommend(data.ids("user", users), n_items=3)
    for row, user in enumerate(users):
        one = model.recommend(data.ids("user", [user]), n_items=3)
        assert_array_equal(one[0][0], ids[row], err_msg="a user alone gets another list than among others")
        assert_allclose(one[1][0], scores[row], **TOLERANCE)
    by_rows = model.recommend(data.rows(users, 0), n_items=3)
    assert_array_equal(by_rows[0], ids, err_msg="rows of X and ids of the same users give different lists")


def check_recommend_ranks_by_predict(recommender: Estimator, personalised: bool) -> None:
    """`recommend` returns the unseen items with the highest scores of `predict`, and these scores."""
    data = GroupData(recommender)
    model = data.fitted()
    for user in range(4):
        unseen = np.setdiff1d(np.arange(N_ITEMS), data.seen(user))
        ids, scores = model.recommend(data.ids("user", [user]), n_items=5)
        codes = [list(data.ids("item", np.arange(N_ITEMS))).index(item) for item in ids[0].tolist()]
        _, predicted = _ranked_by_predict(model, data, user, unseen)
        assert_allclose(scores[0], np.sort(predicted)[::-1][:5], **TOLERANCE, err_msg="not the highest scores")
        assert_allclose(scores[0], model.predict(data.rows(user, codes)), **TOLERANCE, err_msg="not predict's scores")


def check_seen_items_are_excluded(recommender: Estimator, personalised: bool) -> None:
    """`recommend` leaves out the training items of a user, unless `exclude_seen=False`."""
    data = GroupData(recommender)
    model = data.fitted()
    for user in (0, 1, 2):
        seen = data.ids("item", data.seen(user))
        n_unseen = N_ITEMS - len(seen)
        ids, _ = model.recommend(data.ids("user", [user]), n_items=n_unseen)
        require(not np.isin(ids, seen).any(), "an item of the training rows of the user was recommended")
        ids, _ = model.recommend(data.ids("user", [user]), n_items=N_ITEMS, exclude_seen=False)
        require(set(ids[0]) == set(model.items_), "exclude_seen=False does not rank every item")


def check_candidates_are_ranked_exactly(recommender: Estimator, personalised: bool) -> None:
    """Exactly the `candidates` are ranked, whether ids, rows or (ids, rows); repeated ones count once."""
    data = GroupData(recommender)
    model = data.fitted()
    user, known, new = data.ids("user", [0]), np.array([9, 2, 5, 12]), np.array([N_ITEMS + 3, N_ITEMS])
    all_codes = np.concatenate([known, new])
    cases = {
        "ids": (data.ids("item", known), known),
        "list of ids": (data.ids("item", known).tolist(), known),
        "equal ids": (data.ids("item", np.repeat(known, 2)), known),
        "rows": (data.rows(0, known), known),
        "rows with new items": (data.rows(0, all_codes), all_codes),
        "(ids, rows)": ((data.ids("item", known), data.rows(0, new)), all_codes),
        "(ids, rows) that overlap": ((data.ids("item", known), data.rows(0, all_codes)), all_codes),
    }
    for name, (candidates, codes) in cases.items():
        best, scores = _ranked_by_predict(model, data, 0, codes)
        ids, returned = model.recommend(user, n_items=len(codes), candidates=candidates, exclude_seen=False)
        require(set(ids[0]) == set(data.ids("item", codes)), f"candidates as {name}: other items were ranked")
        assert_allclose(returned[0], np.sort(scores)[::-1], **TOLERANCE, err_msg=f"candidates as {name}")
        assert_array_equal(ids[0], data.ids("item", best), err_msg=f"candidates as {name}: order")
    expect_error(ValueError, lambda: model.recommend(user, n_items=5, candidates=data.ids("item", [1, 1, 2])), 5, 2)


def check_histories_are_excluded(recommender: Estimator, personalised: bool) -> None:
    """Users given by a `history` get finite scores and no item of their history; the model does not change."""
    data = GroupData(recommender)
    model = data.fitted()
    before = model.predict(data.X)
    liked = [data.ids("item", [0, 2]), data.ids("item", [1]), data.ids("item", [])]
    ids, scores = model.recommend(history=liked, n_items=N_ITEMS - 2)
    for row, own in enumerate(liked):
        require(not np.isin(ids[row], own).any(), "an item of the history was recommended")
    require(np.isfinite(scores).all(), "a score is not finite")
    one = model.recommend(history=liked[1:2], n_items=N_ITEMS - 2)
    assert_array_equal(one[0][0], ids[1], err_msg="a history alone gives another list than among others")
    assert_array_equal(model.predict(data.X), before, err_msg="recommend with a history changed the model")


def check_allow_and_deny(recommender: Estimator, personalised: bool) -> None:
    """`allow` and `deny` restrict the candidates, for all users or for each user."""
    data = GroupData(recommender)
    model = data.fitted()
    users, items = data.ids("user", [0, 1]), data.ids("item", np.arange(N_ITEMS))
    rule = {"n_items": 4, "exclude_seen": False}
    assert_array_equal(
        model.recommend(users, allow=items[3:9], deny=items[8:], **rule)[0],
        model.recommend(users, candidates=items[3:8], **rule)[0],
        err_msg="allowed and not denied items are not the candidates",
    )
    best, _ = model.recommend(users, **rule)
    ids, _ = model.recommend(users, deny=[best[0, :2], best[1]], **rule)
    require(not (np.isin(ids[0], best[0, :2]).any() or np.isin(ids[1], best[1]).any()), "a list has items denied")
    ids, _ = model.recommend(users, allow=[items[:5], items[5:]], **rule)
    require(np.isin(ids[0], items[:5]).all() and np.isin(ids[1], items[5:]).all(), "a list has items not allowed")


def _require_same_lists(found: tuple[Array, Array], expected: tuple[Array, Array], why: str) -> None:
    assert_array_equal(found[0], expected[0], err_msg=f"{why}: other ids")
    assert_allclose(found[1], expected[1], **TOLERANCE, err_msg=f"{why}: other scores")


def check_ranker_equals_recommend(recommender: Estimator, personalised: bool) -> None:
    """A `ranker` gives the lists of `recommend`, for histories, rules and new items too, and follows a refit."""
    data = GroupData(recommender)
    model = data.fitted()
    users, items = data.ids("user", [0, 5, 3]), data.ids("item", np.arange(N_ITEMS))
    liked = [items[[0, 2]], items[[1]], items[[]]]
    asked: list[dict[str, Any]] = [
        {},
        {"exclude_seen": False},
        {"history": liked},
        {"deny": items[:5]},
        {"allow": items[2:9]},
        {"deny": [items[:2], items[3:4], items[:0]]},
    ]
    new = data.rows(0, np.array([9, N_ITEMS, 2, N_ITEMS + 1, 12, 7]))
    for name, candidates in (("all items", None), ("ids", items[::-1]), ("rows with new items", new)):
        ranker = model.ranker(candidates)
        for given in asked:
            if candidates is new and not set(given) <= {"exclude_seen", "history"}:
                continue
            expected = model.recommend(users, 3, candidates=candidates, **given)
            _require_same_lists(ranker.rank(users, 3, **given), expected, f"a ranker of {name}, {given}")
        require(len(ranker.candidates_) == (len(new) if candidates is new else N_ITEMS), "candidates_ lacks some")
        block = ranker.scores(users)
        best = ranker.rank(users, 3, exclude_seen=False)[1]
        assert_allclose(np.sort(block, axis=1)[:, ::-1][:, :3], best, **TOLERANCE, err_msg="scores of a ranker")
    ranker = model.ranker()
    half = slice(0, len(data.y) // 2)
    model.fit(data.X[half], data.y[half])
    known = model.users_[:2]
    _require_same_lists(ranker.rank(known, 2), model.recommend(known, 2), "a ranker of a recommender fitted again")
    assert_array_equal(ranker.candidates_, model.items_, err_msg="candidates_ after a second fit")


def check_ties_go_by_position(recommender: Estimator, personalised: bool) -> None:
    """Items with equal scores come in the order of the candidates."""
    data = GroupData(recommender)
    model = data.fitted()
    twins = data.rows(0, np.full(4, N_ITEMS))  # new items that differ in the id only
    for order in ([0, 1, 2, 3], [2, 0, 3, 1]):
        ids = data.ids("item", N_ITEMS + np.array(order))
        twins[:, 1] = ids
        ranked, scores = model.recommend(data.ids("user", [0]), n_items=4, candidates=twins)
        require(np.ptp(scores) == 0, f"new items with equal features have different scores {scores[0]}")
        assert_array_equal(ranked[0], ids, err_msg="equal scores are not in the order of the candidates")


def check_lists_are_padded(recommender: Estimator, personalised: bool) -> None:
    """A user with fewer unseen candidates gets the missing id (None, NaN, or the minimum of int64) and -inf."""
    for kind in ("int", "float", "str"):
        data = GroupData(recommender, kind=kind)
        model = data.fitted()
        candidates = np.append(data.seen(0)[:3], np.setdiff1d(np.arange(N_ITEMS), data.seen(0))[:1])
        user = data.ids("user", [0])
        ids, scores = model.recommend(user, n_items=4, candidates=data.ids("item", candidates))
        require(ids[0, 0] == data.ids("item", candidates)[-1], "the only unseen candidate is not first")
        expected = [missing_id(ids)] * 3
        assert_array_equal(ids[0, 1:], np.array(expected, dtype=ids.dtype), err_msg=f"padding of {kind} ids")
        assert_array_equal(scores[0, 1:], [-np.inf] * 3, err_msg="scores of missing ids")
        require(np.isfinite(scores[0, 0]), "the score of an unseen candidate is NaN or inf")


def check_too_many_items(recommender: Estimator, personalised: bool) -> None:
    """More `n_items` than candidates raise a ValueError that names both numbers."""
    data = GroupData(recommender)
    model, users = data.fitted(), data.ids("user", [0])
    expect_error(ValueError, lambda: model.recommend(users, n_items=N_ITEMS + 1), N_ITEMS + 1, N_ITEMS)
    candidates = data.ids("item", [3, 4])
    expect_error(ValueError, lambda: model.recommend(users, n_items=7, candidates=candidates), 7, 2)
    expect_error(ValueError, lambda: model.recommend(users, n_items=0), 0)


def check_own_group_comes_first(recommender: Estimator, personalised: bool) -> None:
    """A personalised recommender ranks the unseen items of the group that a user likes first.

    Raises
    ------
    SkipTest
        If the recommender is not personalised.
    """
    if not personalised:
        raise SkipTest("the recommender is not personalised")
    data = GroupData(recommender)
    ids, _ = data.fitted().recommend(data.ids("user", np.arange(N_USERS)), n_items=N_UNSEEN)
    for user in range(N_USERS):
        own = np.setdiff1d(np.arange(user % 2, N_ITEMS, 2), data.seen(user))
        expected = set(data.ids("item", own))
        require(set(ids[user]) == expected, f"user {user} likes {expected}, but was recommended {set(ids[user])}")


def check_new_items_follow_their_features(recommender: Estimator, personalised: bool) -> None:
    """Items and users that `fit` did not see are ranked by their features.

    Raises
    ------
    SkipTest
        If the recommender is not personalised or has no item features.
    """
    data = GroupData(recommender)
    if not (personalised and data.has_features["item"]):
        raise SkipTest("the recommender is not personalised or has no item features")
    model = data.fitted()
    new = N_ITEMS + np.arange(4)
    users = np.arange(N_USERS + 2 if data.has_features["user"] else N_USERS)
    ids, _ = model.recommend(data.rows(users, 0), n_items=2, candidates=data.rows(0, new))
    for user in users:
        expected = set(data.ids("item", new[new % 2 == user % 2]))
        require(set(ids[user]) == expected, f"user {user}: {set(ids[user])} are ranked before {expected}")


def check_similar_items(recommender: Estimator, personalised: bool) -> None:
    """`similar_items` has the shape and order of `recommend`, without the item itself, and finds its group.

    Raises
    ------
    SkipTest
        If the recommender cannot compare items.
    """
    data = GroupData(recommender)
    model = data.fitted()
    queries = data.ids("item", np.arange(N_ITEMS))
    if not hasattr(model, "similar_items"):
        raise SkipTest("the recommender cannot compare items")
    ids, scores = model.similar_items(queries, n_items=3)
    require(ids.shape == scores.shape == (N_ITEMS, 3), f"shapes {ids.shape}, {scores.shape}")
    require(scores.dtype == np.float64, f"scores have dtype {scores.dtype}, not float64")
    require(np.isfinite(scores).all(), "a similarity is NaN or inf")
    require((np.diff(scores, axis=1) <= 0).all(), "a similarity is higher than the one before it")
    require(not (ids == queries[:, np.newaxis]).any(), "an item is similar to itself")
    if personalised:
        own = (np.searchsorted(queries, ids) - np.arange(N_ITEMS)[:, np.newaxis]) % 2 == 0
        require(own.all(), f"the items most like {queries[~own.all(axis=1)]} are of the other group")
    one, _ = model.similar_items(queries[3:4], n_items=3)
    assert_array_equal(one[0], ids[3], err_msg="an item alone gets another list than among others")
    full, last = model.similar_items(queries[:1], n_items=N_ITEMS)
    require(full[0, -1] == missing_id(full), "the item itself leaves a missing id at the end of the full list")
    require(last[0, -1] == -np.inf, "the score of a missing id is not -inf")
    expect_error(ValueError, lambda: model.similar_items(queries[:1], n_items=N_ITEMS + 1), N_ITEMS + 1, N_ITEMS)


def check_score(recommender: Estimator, personalised: bool) -> None:
    """`score` is a finite number of at most 1 for held-out rows, including new users and items."""
    data = GroupData(recommender)
    held_out = np.arange(len(data.y)) % 5 == 0
    model = data.fitted(data.X[~held_out], data.y[~held_out])
    X = np.concatenate([data.X[held_out], data.rows([0, N_USERS], [N_ITEMS, 1])])
    score = model.score(X, np.append(data.y[held_out], [1.0, 2.0]))
    require(np.isfinite(score) and score <= 1, f"score is {score}")


RANKING_CHECKS: list[Callable[[Estimator, bool], None]] = [
    check_predict_is_finite_float64,
    check_predict_one_by_one,
    check_recommend_shapes_and_order,
    check_recommend_one_by_one,
    check_recommend_ranks_by_predict,
    check_seen_items_are_excluded,
    check_candidates_are_ranked_exactly,
    check_histories_are_excluded,
    check_allow_and_deny,
    check_ranker_equals_recommend,
    check_ties_go_by_position,
    check_lists_are_padded,
    check_too_many_items,
    check_own_group_comes_first,
    check_new_items_follow_their_features,
    check_similar_items,
    check_score,
]
