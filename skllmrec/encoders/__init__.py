"""Text in, vectors out."""

from skllmrec._store import EmbeddingStore
from skllmrec.encoders._llm import LLMTextEncoder
from skllmrec.encoders._whitener import EmbeddingWhitener

__all__ = ["EmbeddingStore", "EmbeddingWhitener", "LLMTextEncoder"]
