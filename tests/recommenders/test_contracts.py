"""Every recommender passes scikit-learn's checks and the contract of this package, without an expected failure."""

import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import Lasso, Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.utils.estimator_checks import check_estimator

from skllmrec.recommenders import (
    BlendRecommender,
    DiversifiedRecommender,
    FeatureMFRecommender,
    LinearAutoencoderRecommender,
    MarkovRecommender,
    NeighborsRecommender,
    PairwiseRecommender,
    PopularityRecommender,
    SequentialRecommender,
    StackedRecommender,
    TwoTowerRecommender,
)
from skllmrec.testing import EXPECTED_FAILED_CHECKS, check_recommender

TEXTS = {"item_features": "title", "item_encoder": TfidfVectorizer()}
BOTH = {**TEXTS, "user_features": "text", "user_encoder": TfidfVectorizer()}
NUMBERS = {"user_features": ["age"], "item_features": ["year"]}


def blend(*recommenders):
    return BlendRecommender([(f"part{n}", part) for n, part in enumerate(recommenders)], random_state=0)


def stack(*recommenders, **params):
    return StackedRecommender([(f"part{n}", part) for n, part in enumerate(recommenders)], random_state=0, **params)


SKLEARN = [
    FeatureMFRecommender(feedback="explicit"),
    FeatureMFRecommender(feedback="implicit"),
    FeatureMFRecommender(
        3, alpha=0.5, nu=0.5, feature_alpha=2.0, prior_strength=0.0, max_iter=2, tol=1e-3, feedback="explicit"
    ),
    FeatureMFRecommender(3, feedback="implicit", alpha=0.5, unobserved_weight=0.2, max_iter=1, random_state=3),
    FeatureMFRecommender(3, solver="adamw", dropout=0.2, feedback="explicit"),
    FeatureMFRecommender(3, solver="rmsprop", early_stopping=True, feedback="explicit"),
    FeatureMFRecommender(3, solver="sgd", learning_rate="constant", feedback="explicit"),
    FeatureMFRecommender(3, feedback="implicit", solver="adamw", max_iter=3),
    FeatureMFRecommender(3, feedback="implicit", solver="rmsprop", max_iter=3, early_stopping=True, tol=1e-3),
    FeatureMFRecommender(3, feedback="implicit", solver="sgd", max_iter=3),
    LinearAutoencoderRecommender(),
    LinearAutoencoderRecommender(method="edlae", n_neighbors=2),
    MarkovRecommender(),
    MarkovRecommender(time=0),
    NeighborsRecommender(feedback="explicit"),
    NeighborsRecommender(5, feedback="implicit", metric="bm25"),
    PopularityRecommender(feedback="explicit"),
    PopularityRecommender(feedback="implicit"),
    PopularityRecommender(damping=0.0, feedback="explicit"),
    PopularityRecommender(item_features=1, feature_alpha=0.5, feedback="explicit"),
    PopularityRecommender(feedback="implicit", item_features=1, scale="log"),
    PairwiseRecommender(Ridge(), feedback="explicit"),
    PairwiseRecommender(Ridge()),
    PairwiseRecommender(KNeighborsRegressor(1), feedback="explicit"),
    SequentialRecommender(),
    SequentialRecommender(3, encoder="attention", n_layers=1, ids=True, max_iter=3),
    SequentialRecommender(4, time=0, encoder="auto", early_stopping=True, n_negatives=2, max_iter=2),
    TwoTowerRecommender(),
    TwoTowerRecommender(feedback="explicit"),
    TwoTowerRecommender(3, loss="softmax", n_layers=0, max_iter=3),
    TwoTowerRecommender(3, loss="bpr", max_iter=3, early_stopping=True),
    TwoTowerRecommender(3, loss="warp", solver="rmsprop", max_iter=3),
    blend(FeatureMFRecommender(3, max_iter=2, feedback="explicit"), PopularityRecommender(feedback="explicit")),
    blend(NeighborsRecommender(feedback="implicit"), PopularityRecommender(feedback="implicit")),
    stack(
        NeighborsRecommender(feedback="implicit"), PopularityRecommender(feedback="implicit"), final_estimator=Ridge()
    ),
    stack(LinearAutoencoderRecommender(), time=0, cv=2),
    DiversifiedRecommender(PopularityRecommender(feedback="implicit"), strength=0.5),
    DiversifiedRecommender(NeighborsRecommender(feedback="explicit"), method="popularity"),
]

PERSONALISED = [
    FeatureMFRecommender(8, feedback="explicit"),
    FeatureMFRecommender(8, feedback="implicit"),
    FeatureMFRecommender(8, feedback="explicit", **TEXTS),
    FeatureMFRecommender(8, feedback="implicit", **TEXTS),
    FeatureMFRecommender(8, feedback="explicit", **BOTH),
    FeatureMFRecommender(8, feedback="implicit", prior_strength=0.5, **BOTH),
    FeatureMFRecommender(4, feedback="explicit", **NUMBERS),
    FeatureMFRecommender(4, feedback="implicit", feature_alpha=0.1, **NUMBERS),
    FeatureMFRecommender(8, solver="adamw", dropout=0.1, feedback="explicit", **TEXTS),
    FeatureMFRecommender(8, feedback="implicit", solver="adamw", **BOTH),
    FeatureMFRecommender(8, solver="rmsprop", feedback="explicit", **NUMBERS),
    FeatureMFRecommender(8, feedback="implicit", solver="rmsprop"),
    FeatureMFRecommender(8, solver="sgd", feedback="explicit"),
    FeatureMFRecommender(8, feedback="implicit", solver="sgd", **NUMBERS),
    LinearAutoencoderRecommender(alpha=1.0),
    LinearAutoencoderRecommender(alpha=1.0, n_neighbors=8),
    LinearAutoencoderRecommender(alpha=1.0, **TEXTS),
    LinearAutoencoderRecommender(alpha=1.0, method="additive", **TEXTS),
    LinearAutoencoderRecommender(alpha=1.0, method="l3ae", item_features=["year"]),
    MarkovRecommender(),
    MarkovRecommender(4, window=1, decay=0.5, **TEXTS),
    NeighborsRecommender(feedback="explicit"),
    NeighborsRecommender(feedback="implicit", **TEXTS),
    NeighborsRecommender(8, by="content", feedback="implicit", **TEXTS),
    NeighborsRecommender(None, item_features=["year"], feedback="explicit"),
    blend(FeatureMFRecommender(8, max_iter=5, feedback="explicit"), NeighborsRecommender(feedback="explicit")),
    blend(MarkovRecommender(), FeatureMFRecommender(8, max_iter=5, feedback="implicit")),
    DiversifiedRecommender(FeatureMFRecommender(8, feedback="implicit", random_state=0)),
    DiversifiedRecommender(NeighborsRecommender(feedback="implicit"), method="mmr", features=1, strength=0.0),
    PairwiseRecommender(Ridge(alpha=0.1), feedback="explicit", **NUMBERS),
    PairwiseRecommender(RandomForestRegressor(10, random_state=0), n_negatives=2, **NUMBERS),
    PairwiseRecommender(RandomForestRegressor(10, random_state=0), feedback="explicit", **NUMBERS),
    stack(NeighborsRecommender(feedback="implicit"), MarkovRecommender(), final_estimator=Ridge()),
    stack(NeighborsRecommender(feedback="implicit"), LinearAutoencoderRecommender(alpha=1.0), cv=2),
    SequentialRecommender(8, learning_rate_init=0.03, max_iter=30),
    SequentialRecommender(8, encoder="attention", n_heads=2, learning_rate_init=0.03, max_iter=30),
    SequentialRecommender(8, learning_rate_init=0.03, max_iter=10, **TEXTS),
    SequentialRecommender(8, ids=True, n_negatives=6, learning_rate_init=0.03, max_iter=15, item_features=["year"]),
    TwoTowerRecommender(8, **TEXTS),
    TwoTowerRecommender(8, ids=False, **BOTH),
    TwoTowerRecommender(8, loss="softmax", max_iter=10, **NUMBERS),
    TwoTowerRecommender(8, loss="warp", temperature=1.0, max_iter=10),
    TwoTowerRecommender(8, feedback="explicit", **BOTH),
]
THE_SAME_FOR_ALL = [
    PopularityRecommender(feedback="explicit"),
    PopularityRecommender(damping=0.0, feedback="explicit"),
    PopularityRecommender(feedback="implicit"),
    PopularityRecommender(feedback="explicit", **TEXTS),
    PopularityRecommender(feedback="implicit", **TEXTS),
    PopularityRecommender(feedback="implicit", item_features=["year"], feature_alpha=0.1, scale="log"),
    PairwiseRecommender(Ridge(alpha=0.1), feedback="explicit"),  # of ids alone a linear model learns biases
    PairwiseRecommender(Lasso(alpha=0.01), feedback="explicit", **TEXTS),
]


def shown(recommender):
    return " ".join(repr(recommender).split())


# some checks have classes 0 and 1 as y, which are odd ratings
@pytest.mark.filterwarnings("ignore:y holds only 0 and 1:skllmrec.exceptions.RatingScaleWarning")
@pytest.mark.parametrize("recommender", SKLEARN, ids=shown)
def test_scikit_learn_checks(recommender):
    outcomes = check_estimator(recommender, on_skip=None)
    skipped = {outcome["check_name"] for outcome in outcomes if outcome["status"] != "passed"}
    assert skipped <= {"check_array_api_input"}, "only what needs SCIPY_ARRAY_API may be skipped"


@pytest.mark.parametrize("recommender", PERSONALISED, ids=shown)
def test_contract_of_personalised(recommender):
    outcomes = check_recommender(recommender)
    assert outcomes["check_own_group_comes_first"] == "passed"


@pytest.mark.parametrize("recommender", THE_SAME_FOR_ALL, ids=shown)
def test_contract_of_the_same_list_for_all(recommender):
    check_recommender(recommender, personalised=False)


def test_nothing_is_expected_to_fail():
    assert EXPECTED_FAILED_CHECKS == {}
