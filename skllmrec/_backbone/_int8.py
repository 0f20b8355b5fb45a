"""Models whose linear layers compute in 8-bit integers."""

from typing import TYPE_CHECKING, Any

from skllmrec._backbone._replacement import replace_and_compare
from skllmrec._backbone.layers.int8_linear import can_quantize, quantize_linear_layers
from skllmrec._device import resolve_device

if TYPE_CHECKING:
    import torch

_LEAST_COSINE = 0.9  # between token vectors before and after; less is no rounding error


def check_int8(device: str | None) -> "torch.device":
    """Refuse 8-bit integers where they cannot run.

    Parameters
    ----------
    device : str or None
        Torch device; None means the processor, whatever else there is.

    Returns
    -------
    torch.device
        The processor.

    Raises
    ------
    ValueError
        If the device is not the processor, or the processor or torch lacks fast products of 8-bit integers.
    """
    resolved = resolve_device("cpu" if device is None else device)
    if resolved.type != "cpu":
        raise ValueError(
            f'dtype="int8" runs on the processor only, not on device={device!r}: choose device="cpu", or '
            'dtype="bfloat16" or "float16" on this device'
        )
    if not can_quantize():
        raise ValueError(
            'dtype="int8" needs an x86-64 processor with AVX2 and a torch with oneDNN, which this machine does not '
            'have: choose dtype="float32"'
        )
    return resolved


def _mean_cosine(states, expected):
    import torch

    return torch.cosine_similarity(states, expected, dim=-1).mean().item()


def quantize(model: Any) -> Any:
    """Turn the linear layers of a loaded float32 model to 8-bit integers, in place.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        On the processor, for inference.

    Returns
    -------
    transformers.PreTrainedModel
        The same model.

    Raises
    ------
    ValueError
        If the model has no linear layers, or uses their weights in ways of its own, so that its results change by
        more than rounding.
    """
    name = type(model).__name__
    n_layers, cosine = replace_and_compare(model, quantize_linear_layers, _mean_cosine)
    if not n_layers:
        raise ValueError(f'dtype="int8" needs linear layers, and {name} has none: choose dtype="float32"')
    if cosine is None or not cosine > _LEAST_COSINE:  # NaN is no agreement either
        raise ValueError(
            f'dtype="int8" does not suit {name}: its states keep a cosine of only {cosine or 0.0:.2f} to those of '
            'float32: choose dtype="float32"'
        )
    return model
