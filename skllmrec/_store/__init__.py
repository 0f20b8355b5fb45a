"""The embedding store: input to vector, content-addressed, shared by threads and processes."""

from skllmrec._store._store import EmbeddingStore

__all__ = ["EmbeddingStore"]
