"""Lists of another recommender, made more diverse at a bounded loss of accuracy."""

from skllmrec.recommenders.diversified._estimator import DiversifiedRecommender

__all__ = ["DiversifiedRecommender"]
