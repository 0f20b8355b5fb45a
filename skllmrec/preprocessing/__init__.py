"""Preparation of texts and tables before they are encoded."""

from skllmrec.preprocessing._count_weighter import CountWeighter
from skllmrec.preprocessing._dense_targets import DenseTargets
from skllmrec.preprocessing._describe import DataDescription, describe_data
from skllmrec.preprocessing._history_text import HistoryText
from skllmrec.preprocessing._interaction_filter import InteractionFilter
from skllmrec.preprocessing._interaction_matrix import interactions_from_matrix, matrix_from_interactions
from skllmrec.preprocessing._text_analyzer import TextAnalyzer
from skllmrec.preprocessing._text_augmenter import TextAugmenter
from skllmrec.preprocessing._text_cleaner import TextCleaner
from skllmrec.preprocessing._text_template import TextTemplate

__all__ = [
    "CountWeighter",
    "DataDescription",
    "DenseTargets",
    "HistoryText",
    "InteractionFilter",
    "TextAnalyzer",
    "TextAugmenter",
    "TextCleaner",
    "TextTemplate",
    "describe_data",
    "interactions_from_matrix",
    "matrix_from_interactions",
]
