"""Two towers: networks that map users and items into one space, trained by gradients."""

from skllmrec.recommenders.two_tower._estimator import TwoTowerRecommender

__all__ = ["TwoTowerRecommender"]
