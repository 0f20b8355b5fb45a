"""Text in, vectors out."""

from skllmrec._store import EmbeddingStore
from skllmrec.encoders._llm import LLMTextEncoder
from skllmrec.encoders._remote import RemoteTextEncoder
from skllmrec.encoders._whitener import EmbeddingWhitener
from skllmrec.encoders._word_vectors import WordVectorEncoder

__all__ = ["EmbeddingStore", "EmbeddingWhitener", "LLMTextEncoder", "RemoteTextEncoder", "WordVectorEncoder"]
