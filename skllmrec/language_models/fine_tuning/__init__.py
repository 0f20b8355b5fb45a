"""Fine-tuning a language model on interactions: objectives, targets, validation on held-out items."""

from skllmrec.language_models.fine_tuning._fine_tuner import LLMFineTuner

__all__ = ["LLMFineTuner"]
