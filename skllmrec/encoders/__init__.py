"""Text in, vectors out."""

from skllmrec.encoders._llm import LLMTextEncoder

__all__ = ["LLMTextEncoder"]
