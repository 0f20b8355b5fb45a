"""Weighted blends of recommenders, the weights chosen on held-out interactions."""

from skllmrec.recommenders.blend._estimator import BlendRecommender

__all__ = ["BlendRecommender"]
