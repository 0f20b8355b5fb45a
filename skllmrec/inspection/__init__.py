"""Displays of recommenders and encoders: their accuracy by user and item, their training, their embeddings."""

from skllmrec.inspection._cold_start import ColdStartDisplay
from skllmrec.inspection._embedding_map import EmbeddingMapDisplay
from skllmrec.inspection._frontier import FrontierDisplay
from skllmrec.inspection._learning_history import LearningHistoryDisplay
from skllmrec.inspection._popularity import PopularityDisplay

__all__ = [
    "ColdStartDisplay",
    "EmbeddingMapDisplay",
    "FrontierDisplay",
    "LearningHistoryDisplay",
    "PopularityDisplay",
]
