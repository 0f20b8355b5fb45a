"""The contracts: BaseRecommender, BaseEncoder and BaseTextEncoder."""

from skllmrec.base._encoder import BaseEncoder
from skllmrec.base._entities import Entities
from skllmrec.base._factors import BaseFactorRecommender
from skllmrec.base._feature_table import FeatureTable
from skllmrec.base._interactions import InteractionRows, Interactions
from skllmrec.base._ranker import Ranker
from skllmrec.base._recommender import BaseRecommender
from skllmrec.base._text_encoder import BaseTextEncoder

__all__ = [
    "BaseEncoder",
    "BaseFactorRecommender",
    "BaseRecommender",
    "BaseTextEncoder",
    "Entities",
    "FeatureTable",
    "InteractionRows",
    "Interactions",
    "Ranker",
]
