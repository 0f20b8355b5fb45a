"""Language models that learn: pre-trained on texts of one's own, fine-tuned for recommendation."""

from skllmrec.language_models._fine_tuner import LLMFineTuner
from skllmrec.language_models._pretrainer import LLMPretrainer

__all__ = ["LLMFineTuner", "LLMPretrainer"]
