"""A second stage that re-ranks the candidates of several recommenders."""

from skllmrec.recommenders.stacked._estimator import StackedRecommender

__all__ = ["StackedRecommender"]
