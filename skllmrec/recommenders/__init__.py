"""Recommenders: estimators on rows of interactions."""

from skllmrec.recommenders._pairwise import PairwiseRecommender
from skllmrec.recommenders._popularity import PopularityRecommender

__all__ = ["PairwiseRecommender", "PopularityRecommender"]
