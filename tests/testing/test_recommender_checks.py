"""The contract suite finds what breaks the contract, and lets pass a recommender of one's own."""

from itertools import count

import numpy as np
import pytest
from sklearn.base import clone

from skllmrec.base import BaseRecommender
from skllmrec.recommenders import PopularityRecommender
from skllmrec.testing import check_recommender

COUNTER = count()


class NearestUsers(BaseRecommender):
    """A recommender of one's own: what users with similar tastes like, weighted by similarity."""

    def __init__(self, *, user=0, item=1, feedback="implicit", shrinkage=1.0, handle_unknown="prior"):
        self.user = user
        self.item = item
        self.feedback = feedback
        self.shrinkage = shrinkage
        self.handle_unknown = handle_unknown

    def _fit_interactions(self, interactions):
        tastes = interactions.targets.toarray()
        norms = np.linalg.norm(tastes, axis=1) + self.shrinkage
        cosines = tastes @ tastes.T / np.outer(norms, norms)
        self.scores_ = cosines @ (tastes - tastes.mean(axis=0))
        self.item_vectors_ = (tastes - tastes.mean(axis=0)).T

    def _score_block(self, users, items):
        rows = users.fill(self.scores_, None, np.zeros(self.scores_.shape[1]))
        return items.fill(rows.T, None, np.zeros(len(users))).T

    def _similarity_block(self, queries, items):
        vectors = [entities.fill(self.item_vectors_, None, 0.0) for entities in (queries, items)]
        return vectors[0] @ vectors[1].T


class Broken(PopularityRecommender):
    """Popularity with one fault, by name."""

    def __init__(self, fault=None, *, user=0, item=1, feedback="explicit", damping=5.0, handle_unknown="prior"):
        super().__init__(user=user, item=item, feedback=feedback, damping=damping, handle_unknown=handle_unknown)
        self.fault = fault

    def fit(self, X, y=None, *, sample_weight=None, user_table=None, item_table=None):
        if self.fault == "weights":
            sample_weight = None
        if self.fault == "warm" and hasattr(self, "seen_"):
            return self
        if self.fault == "params":
            self.damping = 3.0
        if self.fault == "state":
            self.seen_ = None
        return super().fit(X, y, sample_weight=sample_weight, user_table=user_table, item_table=item_table)

    def _fit_interactions(self, interactions):
        super()._fit_interactions(interactions)
        if self.fault == "order":  # the scores depend on something else than the interactions
            self.item_scores_ = self.item_scores_ + next(COUNTER)

    def predict(self, X):
        scores = super().predict(X)
        if self.fault == "dtype":
            return scores.astype(np.float32)
        if self.fault == "batch":
            return scores - scores.mean()
        return scores + np.inf if self.fault == "inf" else scores

    def recommend(self, users=None, n_items=10, *, candidates=None, exclude_seen=True, **given):
        if self.fault == "clip":
            n_items = min(n_items, len(self.items_))
        if self.fault == "seen":
            exclude_seen = False
        if self.fault == "candidates":
            candidates = None
        if self.fault == "deny":
            given.pop("deny", None)
        if self.fault == "history" and given.get("history"):
            self.item_scores_ = self.item_scores_ + 1
            exclude_seen = False
        ids, scores = super().recommend(users, n_items, candidates=candidates, exclude_seen=exclude_seen, **given)
        if self.fault == "worst first":
            return ids[:, ::-1], scores[:, ::-1]
        if self.fault == "other scores":
            return ids, scores * 2
        return ids, np.where(np.isinf(scores), 0, scores) if self.fault == "padding" else scores

    def partial_fit(self, X, y=None, *, sample_weight=None):
        return self if self.fault == "fold-in" and hasattr(self, "seen_") else super().partial_fit(X, y)


FAULTS = {
    "weights": "check_weight_zero_is_removed",
    "warm": "check_refit_equals_fresh_fit",
    "params": "check_nothing_is_modified",
    "state": "check_bad_input",
    "order": "check_row_order_does_not_matter",
    "dtype": "check_predict_is_finite_float64",
    "inf": "check_predict_is_finite_float64",
    "batch": "check_predict_one_by_one",
    "clip": "check_too_many_items",
    "seen": "check_seen_items_are_excluded",
    "candidates": "check_candidates_are_ranked_exactly",
    "deny": "check_allow_and_deny",
    "history": "check_histories_are_excluded",
    "worst first": "check_recommend_shapes_and_order",
    "other scores": "check_recommend_ranks_by_predict",
    "padding": "check_lists_are_padded",
    "fold-in": "check_partial_fit_takes_in_new_ids",
}


@pytest.mark.parametrize("feedback", ["implicit", "explicit"])
def test_recommender_of_ones_own(feedback):
    outcomes = check_recommender(NearestUsers(feedback=feedback))
    assert outcomes["check_own_group_comes_first"] == outcomes["check_similar_items"] == "passed"
    assert outcomes["check_partial_fit_takes_in_new_ids"] == "skipped: the recommender has no partial_fit"


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_found_and_explained(fault):
    with pytest.raises(AssertionError) as caught:
        check_recommender(Broken(fault), personalised=False)
    message = str(caught.value)
    assert f"- {FAULTS[fault]}: " in message, "the check that looks for this fault does not find it"
    assert "breaks" in message and "help(skllmrec.base.BaseRecommender)" in message


def test_without_a_fault_it_passes():
    check_recommender(Broken(), personalised=False)


def test_not_personalised_is_found():
    with pytest.raises(AssertionError, match="check_own_group_comes_first: A personalised recommender ranks"):
        check_recommender(PopularityRecommender(feedback="explicit"))


def test_expected_failures():
    recommender = PopularityRecommender(feedback="explicit")
    names = ["check_own_group_comes_first", "check_similar_items"]
    outcomes = check_recommender(recommender, expected_failed_checks=dict.fromkeys(names, "same for all"))
    assert [outcomes[name] for name in names] == ["expected: same for all"] * 2
    with pytest.raises(AssertionError, match=r"check_score: was expected to fail \(why\), but passed"):
        check_recommender(recommender, personalised=False, expected_failed_checks={"check_score": "why"})
    with pytest.raises(AssertionError, match="check_nonsense: there is no such check"):
        check_recommender(recommender, personalised=False, expected_failed_checks={"check_nonsense": "why"})


def test_recommender_is_not_modified():
    recommender = NearestUsers(user="u", item="i")
    check_recommender(recommender)
    assert repr(recommender) == repr(clone(recommender)) and not hasattr(recommender, "seen_")
