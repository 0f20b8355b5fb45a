"""Batches: windows of tokens of similar length through a model, pooled; smaller batches where memory runs out."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from skllmrec._backbone.pooling import pool
from skllmrec._device import free_memory, is_out_of_memory, keep_freed_memory, to_device
from skllmrec._typing import Array, FloatArray, IntArray

if TYPE_CHECKING:
    import torch

# model -> most padded tokens of a batch, where its device once ran out of memory
_affordable: WeakKeyDictionary[Any, int] = WeakKeyDictionary()


def _batch_size(length, budget):
    """Texts that fit in a batch whose longest has `length` tokens: at least one."""
    return max(1, budget // int(length))


def plan_batches(lengths: Sequence[int] | IntArray, budget: int) -> Iterator[slice]:
    """Cut texts, sorted by falling length, into batches of at most `budget` padded tokens.

    Parameters
    ----------
    lengths : sequence of int
        Number of tokens of each text, falling, none of them 0.
    budget : int
        Most tokens in a batch, padding included; a longer text is a batch of its own.

    Yields
    ------
    slice
        Consecutive texts.
    """
    start = 0
    while start < len(lengths):
        stop = start + _batch_size(lengths[start], budget)
        yield slice(start, min(stop, len(lengths)))
        start = stop


def pad_batch(
    tokens: list[Any], pad_id: int, device: "torch.device"
) -> tuple["torch.Tensor", "torch.Tensor | None", Array]:
    """Put the tokens of texts into one array.

    Padding is on the right: there a causal model sees nothing of it, and the positions of the tokens are the same as
    without padding, whichever side the tokenizer would pad for generation.

    Parameters
    ----------
    tokens : list of (list or ndarray) of int, length n
        Token ids, sorted by falling length, none of them empty.
    pad_id : int
        Token that fills the padding.
    device : torch.device

    Returns
    -------
    input_ids : torch.Tensor of shape (n, n_tokens), int64
        On the device.
    mask : torch.Tensor of shape (n, n_tokens), int64, or None
        1 where there is a token; None where there is no padding.
    is_token : ndarray of shape (n, n_tokens), bool
        The same, always.
    """
    lengths = np.fromiter(map(len, tokens), dtype=np.intp, count=len(tokens))
    is_token = np.arange(lengths[0]) < lengths[:, None]
    input_ids = np.full(is_token.shape, pad_id, dtype=np.int64)
    input_ids[is_token] = np.concatenate(tokens)
    mask = None if lengths[0] == lengths[-1] else to_device(is_token.astype(np.int64), device)
    return to_device(input_ids, device), mask, is_token


def encode_windows(
    model: Any, windows: list[list[int]], *, encoding: Any, batch_tokens: int, pad_id: int
) -> FloatArray:
    """Pool the hidden states of windows of tokens.

    A batch that is too large for the memory of the device is halved, and so are all batches after it.

    Parameters
    ----------
    model : LanguageModel
        Or another object with `hidden_states` and `device`.
    windows : list of list of int, length n
        Token ids, sorted by falling length, none of them empty.
    encoding : Encoding
        Which hidden states, and how they are pooled.
    batch_tokens : int
        Most padded tokens in one batch.
    pad_id : int
        Token that fills the padding.

    Returns
    -------
    ndarray of shape (n, n_dims), dtype float32

    Raises
    ------
    MemoryError
        If the device has no room for a single window.
    """
    import torch

    parts: list[torch.Tensor] = []
    start = 0
    keep_freed_memory()
    with torch.inference_mode():
        while start < len(windows):
            budget = min(batch_tokens, _affordable.get(model, batch_tokens))
            batch = windows[start : start + _batch_size(len(windows[start]), budget)]
            part = _encode_if_it_fits(model, batch, encoding, pad_id)
            if part is None:
                _affordable[model] = len(batch) * len(batch[0]) // 2
            else:
                parts.append(part)
                start += len(batch)
        # copied from the device only here: the processor prepares a batch while the device computes the one before
        return torch.cat(parts).cpu().numpy()


def _encode_if_it_fits(model, batch, encoding, pad_id):
    """Vectors of a batch; None if it is too large for the memory of the device, and could be smaller."""
    try:
        return _encode_batch(model, batch, encoding, pad_id)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        if len(batch) == 1:
            raise MemoryError(
                f"no room on the device {str(model.device)!r} for a single text of {len(batch[0])} tokens: choose a "
                'smaller max_length, dtype="bfloat16", or device="cpu"'
            ) from error
    free_memory(model.device)  # after the error is gone, whose traceback holds the tensors of the batch
    return None


def _encode_batch(model, batch, encoding, pad_id):
    """Vectors of a batch, on the device of the model."""
    input_ids, mask, _ = pad_batch(batch, pad_id, model.device)
    hidden = model.hidden_states(input_ids, mask, encoding.layer)
    skipped = {"skip_first_token": encoding.skip_first_token, "n_skipped": encoding.n_skipped}
    return pool(hidden, mask, pooling=encoding.pooling, **skipped)
