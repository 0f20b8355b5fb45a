"""Recommenders: estimators on rows of interactions."""

from skllmrec.recommenders._blend import BlendRecommender
from skllmrec.recommenders._feature_mf import FeatureMFRecommender
from skllmrec.recommenders._linear_autoencoder import LinearAutoencoderRecommender
from skllmrec.recommenders._markov import MarkovRecommender
from skllmrec.recommenders._neighbors import NeighborsRecommender
from skllmrec.recommenders._pairwise import PairwiseRecommender
from skllmrec.recommenders._popularity import PopularityRecommender
from skllmrec.recommenders._two_tower import TwoTowerRecommender

__all__ = [
    "BlendRecommender",
    "FeatureMFRecommender",
    "LinearAutoencoderRecommender",
    "MarkovRecommender",
    "NeighborsRecommender",
    "PairwiseRecommender",
    "PopularityRecommender",
    "TwoTowerRecommender",
]
