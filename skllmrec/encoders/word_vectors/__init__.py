"""Word vectors: reading their files, training them, pooling them to vectors of texts."""

from skllmrec.encoders.word_vectors._encoder import WordVectorEncoder

__all__ = ["WordVectorEncoder"]
