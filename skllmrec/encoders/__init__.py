"""Text in, vectors out."""

from skllmrec._store import EmbeddingStore
from skllmrec.encoders._llm import LLMTextEncoder

__all__ = ["EmbeddingStore", "LLMTextEncoder"]
