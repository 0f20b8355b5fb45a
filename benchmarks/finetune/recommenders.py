"""New items: one recommender for all vectors, NDCG of every test user, and the gain of some vectors over others."""

import numpy as np
from sklearn.pipeline import make_pipeline

from benchmarks.finetune.data import SETS
from skllmrec import FeatureMFRecommender, NeighborsRecommender, TextTemplate, rank_test_users
from skllmrec._typing import Estimator, FloatArray, Frame

RECOMMENDERS = {"factors": FeatureMFRecommender, "neighbours": NeighborsRecommender}
N_BOOTSTRAP = 2000


def make_recommender(name: str, *steps: Estimator, seed: int, kind: str = "factors") -> Estimator:
    """Recommender with its defaults, whose item encoder reads the text of a set through some steps."""
    recommender = RECOMMENDERS[kind](
        user="user_id",
        item="item_id",
        feedback="implicit",
        item_features=SETS[name].columns,
        item_encoder=make_pipeline(TextTemplate(SETS[name].template), *steps),
    )
    return recommender.set_params(random_state=seed) if kind == "factors" else recommender


def ndcg_of_users(recommender: Estimator, train: Frame, test: Frame, k: int) -> FloatArray:
    """NDCG of every test user, in the order of their ids; the same users for every recommender."""
    ranked = rank_test_users(recommender.fit(train), test, k=k, candidates="test")
    return ranked.evaluate("ndcg", average=False)[np.argsort(ranked.users.astype(str))]


def ratio(values: FloatArray, reference: FloatArray, rng: np.random.Generator) -> str:
    """Ratio of means less one, with the middle 95 % of a bootstrap over users."""
    drawn = rng.integers(len(values), size=(N_BOOTSTRAP, len(values)))
    low, high = np.quantile(values[drawn].mean(axis=1) / reference[drawn].mean(axis=1) - 1, [0.025, 0.975])
    return f"{values.mean() / reference.mean() - 1:+.1%} ({low:+.1%} to {high:+.1%})"
