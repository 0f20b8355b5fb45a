"""Recommenders: estimators on rows of interactions."""

from skllmrec.recommenders._linear_autoencoder import LinearAutoencoderRecommender
from skllmrec.recommenders._markov import MarkovRecommender
from skllmrec.recommenders._neighbors import NeighborsRecommender
from skllmrec.recommenders._pairwise import PairwiseRecommender
from skllmrec.recommenders._popularity import PopularityRecommender
from skllmrec.recommenders.blend._estimator import BlendRecommender
from skllmrec.recommenders.diversified._estimator import DiversifiedRecommender
from skllmrec.recommenders.feature_mf._estimator import FeatureMFRecommender
from skllmrec.recommenders.sequential._estimator import SequentialRecommender
from skllmrec.recommenders.stacked._estimator import StackedRecommender
from skllmrec.recommenders.two_tower._estimator import TwoTowerRecommender

__all__ = [
    "BlendRecommender",
    "DiversifiedRecommender",
    "FeatureMFRecommender",
    "LinearAutoencoderRecommender",
    "MarkovRecommender",
    "NeighborsRecommender",
    "PairwiseRecommender",
    "PopularityRecommender",
    "SequentialRecommender",
    "StackedRecommender",
    "TwoTowerRecommender",
]
