"""Text in, vectors out."""

from skllmrec._store import EmbeddingStore
from skllmrec.encoders._llm import LLMTextEncoder
from skllmrec.encoders._whitener import EmbeddingWhitener
from skllmrec.encoders.remote._encoder import RemoteTextEncoder
from skllmrec.encoders.word_vectors._encoder import WordVectorEncoder

__all__ = ["EmbeddingStore", "EmbeddingWhitener", "LLMTextEncoder", "RemoteTextEncoder", "WordVectorEncoder"]
