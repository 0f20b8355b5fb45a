"""Language models that learn and write: pre-trained on one's own texts, fine-tuned for recommendation, profiles."""

from skllmrec.language_models.fine_tuning._fine_tuner import LLMFineTuner
from skllmrec.language_models.pretraining._pretrainer import LLMPretrainer
from skllmrec.language_models.profiles._profile_writer import LLMProfileWriter

__all__ = ["LLMFineTuner", "LLMPretrainer", "LLMProfileWriter"]
