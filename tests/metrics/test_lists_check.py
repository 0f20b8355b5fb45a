"""Faulty lists are named with user and item; test rows that training saw are counted."""

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array
from sklearn.model_selection import KFold, cross_validate
from stand_in import StandIn, make_rows

from skllmrec._ids import IdIndex
from skllmrec.exceptions import RepeatedRowsWarning
from skllmrec.metrics import make_ranking_scorer, rank_test_users
from skllmrec.metrics._lists_check import count_repeated, list_positions, pair_matrix
from skllmrec.recommenders import FeatureMFRecommender, PopularityRecommender


class Faulty(StandIn):
    """Gives the lists that it was told to give to every user."""

    def fit(self, X, y=None):
        super().fit(X, y)
        if getattr(self, "forgets", False):
            del self.seen_
        return self

    def recommend(self, users, n_items=10, *, candidates=None, exclude_seen=True):
        ids, scores = (np.array([row] * len(users)) for row in self.told)
        return ids, scores


def faulty(ids, scores, train):
    recommender = Faulty().fit(np.array(train))
    recommender.told = ids, scores
    return recommender


TRAIN = [["ann", "a"], ["ann", "b"], ["bob", "c"], ["bob", "d"], ["cem", "e"]]
TEST = [["ann", "c"], ["bob", "e"]]


@pytest.mark.parametrize(
    ("ids", "scores", "message"),
    [
        (["e", "e"], [2.0, 1.0], r"listed the item 'e' twice for the user 'ann', the second time at place 2 \(2 such"),
        (["c", "d", "c"], [2.0, 2, 1], "listed the item 'c' twice for the user 'ann', the second time at place 3"),
        (["e", "c"], [2.0, np.nan], "scored the item 'c' NaN for the user 'ann', at place 2"),
        (["e", "z"], [2.0, 1.0], "returned the item 'z' for the user 'ann', which is not a candidate"),
        (
            ["e", "c"],
            [2.0, 1.0],
            "listed the item 'c' for the user 'bob', who had it in training, although exclude_seen",
        ),
        (["e", "c"], [2.0], r"ids of shape \(2, 2\) and scores of shape \(2, 1\) for 2 users and n_items=3"),
        (["e", "c", "d", "a"], [4.0, 3, 2, 1], r"at most n_items columns"),
    ],
)
def test_faulty_lists_name_user_item_and_place(ids, scores, message):
    with pytest.raises(ValueError, match=message):
        rank_test_users(faulty(ids, scores, TRAIN), np.array(TEST), k=3)


def test_lists_without_a_fault_and_their_padding_pass():
    items = IdIndex(np.array(["a", "b", "c"], dtype=object))
    ids = np.array([["c", "a", None], [None, None, None]], dtype=object)
    scores = np.array([[2.0, 1.0, -np.inf], [-np.inf] * 3])
    assert list_positions(items, ids, scores, np.array(["ann", "bob"]), 3).tolist() == [[2, 0, -1], [-1, -1, -1]]
    ranked = rank_test_users(faulty(["e", "c"], [2.0, 1.0], TRAIN), np.array([["ann", "c"]]), k=3)
    assert ranked.items[ranked.recommended].tolist() == [["e", "c"]]


def test_repeated_pairs_are_counted_as_a_loop_counts_them():
    rng = np.random.default_rng(0)
    train, test = rng.integers(0, 12, (2, 80, 2))
    expected = sum(tuple(row) in {tuple(pair) for pair in train.tolist()} for row in test.tolist())
    pairs = pair_matrix(train[:, 0], train[:, 1])
    assert 0 < expected < 80
    assert count_repeated(*pairs, test[:, 0], test[:, 1]) == expected
    assert count_repeated(*pairs, train[:, 0], train[:, 1]) == 0  # a score of the training rows
    assert count_repeated(*pairs, train[:40, 0], train[:40, 1]) == 40
    zeros = csr_array((np.zeros(pairs[0].nnz), pairs[0].indices, pairs[0].indptr), shape=pairs[0].shape)
    assert count_repeated(zeros, *pairs[1:], test[:, 0], test[:, 1]) == expected


def repeated_plays():
    X, _ = make_rows()
    return pd.DataFrame(np.vstack([X, X[:20]]), columns=["user", "item"])


def test_scorers_count_test_rows_that_training_saw_and_name_the_remedy():
    X = repeated_plays()
    train, test = next(iter(KFold(3, shuffle=True, random_state=0).split(X)))
    pairs = set(map(tuple, X.iloc[train].to_numpy().tolist()))
    expected = sum(tuple(row) in pairs for row in X.iloc[test].to_numpy().tolist())
    recommender = PopularityRecommender(feedback="implicit").fit(X.iloc[train])
    scorer = make_ranking_scorer("ndcg", k=3)
    message = rf"^{expected} of {len(test)} test rows \(.*InteractionFilter.*exclude_seen=False"
    with pytest.warns(RepeatedRowsWarning, match=message):
        scorer(recommender, X.iloc[test])
    with pytest.warns(RepeatedRowsWarning, match=message):
        recommender.score(X.iloc[test])
    with pytest.warns(RepeatedRowsWarning, match=message):
        rank_test_users(recommender, X.iloc[test])
    scorer(recommender, X.iloc[train])  # training rows: documented as 0, and no split at all


def test_repeats_count_where_the_caller_wants_them():
    X = repeated_plays()
    scorer = make_ranking_scorer("recall", k=13, candidates="fitted", exclude_seen=False)
    assert "exclude_seen=False" in repr(scorer)
    recommender = FeatureMFRecommender(4, feedback="implicit", random_state=0)
    cv = KFold(3, shuffle=True, random_state=0)
    scores = cross_validate(recommender, X, cv=cv, scoring=scorer)["test_score"]
    assert scores == pytest.approx(1.0)  # lists of all items hold everything, what training saw included
    scorer = make_ranking_scorer("recall", k=13)
    with pytest.warns(RepeatedRowsWarning):
        assert cross_validate(recommender, X, cv=cv, scoring=scorer)["test_score"].max() < 1
