"""Pre-training a language model on texts: tokenizer, documents, masked words, next sentences."""

from skllmrec.language_models.pretraining._pretrainer import LLMPretrainer

__all__ = ["LLMPretrainer"]
