"""Matrix factorisation with side features."""

from skllmrec.recommenders.feature_mf._estimator import FeatureMFRecommender

__all__ = ["FeatureMFRecommender"]
