"""Language models: found, loaded once per process, run on texts in batches of similar length, pooled.

Encoders use transformers through this package only; `language_models` also trains and writes with it.
"""

from skllmrec._backbone._batches import pad_batch, plan_batches
from skllmrec._backbone._declared import write_declared
from skllmrec._backbone._info import ModelInfo, model_info
from skllmrec._backbone._job import Encoding, EncodingJob
from skllmrec._backbone._model import LanguageModel, check_precision, forget_model, load_model, unload_models
from skllmrec._backbone._tokenizer import Tokenizer, forget_tokenizer, load_tokenizer, unload_tokenizers
from skllmrec._backbone._trainable import TrainableModel

__all__ = [
    "Encoding",
    "EncodingJob",
    "LanguageModel",
    "ModelInfo",
    "Tokenizer",
    "TrainableModel",
    "check_precision",
    "forget",
    "load_model",
    "load_tokenizer",
    "model_info",
    "pad_batch",
    "plan_batches",
    "unload",
    "write_declared",
]


def unload() -> None:
    """Forget every loaded model and tokenizer; the next use loads them again."""
    unload_models()
    unload_tokenizers()


def forget(sha256: str) -> None:
    """Forget one model, in every precision and on every device, and its tokenizer.

    Parameters
    ----------
    sha256 : str
        Of its files, as `Weights` computes it.
    """
    forget_model(sha256)
    forget_tokenizer(sha256)
