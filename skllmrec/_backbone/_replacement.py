"""States of a model on a few tokens, before and after its layers are replaced."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any


def replace_and_compare(
    model: Any, replace: Callable[[Any], int], compare: Callable[[Any, Any], Any]
) -> tuple[int, Any]:
    """Replace layers of a model and compare its states with those that it had.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        On the processor, for inference.
    replace : callable
        ``replace(model) -> int``, the number of layers replaced, in place.
    compare : callable
        ``compare(states, expected)``, both of shape (1, n_tokens, n_dims).

    Returns
    -------
    n_replaced : int
    result : object
        What `compare` returned; None where the model uses its weights in ways of its own and fails without them.
    """
    import torch

    probe = torch.arange(min(8, model.config.get_text_config().vocab_size))[None]
    result = None
    with torch.inference_mode():
        expected = model(input_ids=probe).last_hidden_state
        n_replaced = replace(model)
        with suppress(Exception):
            result = compare(model(input_ids=probe).last_hidden_state, expected)
    return n_replaced, result
