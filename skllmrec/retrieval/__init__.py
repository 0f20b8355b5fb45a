"""Indices of vectors: what a prepared ranker searches. Arrays in, arrays out."""

from skllmrec.retrieval._base import VectorIndex
from skllmrec.retrieval._exact import ExactIndex

__all__ = ["ExactIndex", "VectorIndex"]
