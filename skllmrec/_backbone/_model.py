"""Language models: loaded once per process, precision and device; they give the hidden states of one layer."""

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from skllmrec._backbone._broken import explain
from skllmrec._backbone._int8 import check_int8, quantize
from skllmrec._backbone._quiet import loading, quiet
from skllmrec._backbone._replacement import replace_and_compare
from skllmrec._backbone.layers.packed_linear import can_pack, pack_linear_layers
from skllmrec._device import resolve_device, resolve_dtype
from skllmrec._weights import Weights
from skllmrec.exceptions import FileFormatError

if TYPE_CHECKING:
    import torch

_models: dict[tuple[str, str, str], "LanguageModel"] = {}  # (sha256, dtype, device) -> LanguageModel


class _Reached(Exception):  # noqa: N818 - control flow, never seen by users
    """The layer whose output was wanted has been computed."""


class LanguageModel:
    """A loaded model that gives the hidden states of one layer and computes no layer above it."""

    def __init__(self, path: Path, dtype: str, device: "torch.device") -> None:
        self._model = _load_model(path, resolve_dtype("float32" if dtype == "int8" else dtype)).to(device)
        if dtype == "int8":
            quantize(self._model)
        elif device.type == "cpu" and dtype == "float32" and can_pack():
            self._model = _packed(self._model) or _load_model(path, resolve_dtype(dtype))
        self._wanted = threading.local()
        self.device = device
        self.n_layers = self._model.config.get_text_config().num_hidden_layers
        self._can_stop = self._watch_layers()

    def _watch_layers(self):
        """Make it possible to stop after a layer; False where the stack of layers is not recognised."""
        from torch.nn import ModuleList

        stacks = [module for module in self._model.modules() if isinstance(module, ModuleList)]
        stacks = [stack for stack in stacks if len(stack) == self.n_layers]
        if len(stacks) != 1:
            return False

        def watch(number, layer, output):
            if getattr(self._wanted, "layer", None) == number:
                self._wanted.states = output[0] if isinstance(output, tuple) else output
                raise _Reached

        stacks[0][0].register_forward_pre_hook(lambda layer, args: watch(0, layer, args))
        for number, layer in enumerate(stacks[0], start=1):
            layer.register_forward_hook(lambda layer, args, output, number=number: watch(number, layer, output))
        return True

    def hidden_states(self, input_ids: "torch.Tensor", mask: "torch.Tensor | None", layer: int) -> "torch.Tensor":
        """Return the states after `layer`: 0 is the embeddings, -1 the last layer with its final normalisation.

        Parameters
        ----------
        input_ids : torch.Tensor of shape (n_texts, n_tokens), int64
        mask : torch.Tensor of shape (n_texts, n_tokens), int64, or None
        layer : int
            In [-n_layers - 1, n_layers].

        Returns
        -------
        torch.Tensor of shape (n_texts, n_tokens, n_dims)

        Raises
        ------
        RuntimeError
            If the model ends before that layer.
        """
        inputs = {"input_ids": input_ids} if mask is None else {"input_ids": input_ids, "attention_mask": mask}
        layer %= self.n_layers + 1
        if layer == self.n_layers:
            return self._model(**inputs).last_hidden_state
        if not self._can_stop:
            return self._model(**inputs, output_hidden_states=True).hidden_states[layer]
        self._wanted.layer = layer
        try:
            self._model(**inputs)
        except _Reached:
            return self._wanted.states
        finally:
            self._wanted.layer = self._wanted.states = None
        raise RuntimeError(f"{type(self._model).__name__} never reached its layer {layer}")


def _load_model(path, dtype):
    """Load the transformers model in a directory for inference; of an encoder-decoder, the encoder."""
    import torch
    from transformers import AutoModel

    # a missing pooler is initialised at random: unused here, but it would advance the user's random numbers
    with quiet(), torch.random.fork_rng(devices=[]), explain(path, "the weights"):
        model, report = AutoModel.from_pretrained(
            path,
            dtype=dtype,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    if model.config.is_encoder_decoder:
        model = model.get_encoder()
    missing = sorted(name for name in report["missing_keys"] if "pooler" not in name and "decoder." not in name)
    if missing:
        raise FileFormatError(
            f"the weights in {path} lack {len(missing)} tensors of {type(model).__name__}, e.g. {missing[0]!r}, and "
            "random ones would be used instead: save the whole model with save_pretrained"
        )
    model.config.use_cache = False  # keys and values are needed for generation only
    return model.eval().requires_grad_(False)


def _packed(model):
    """Make the linear layers of a model faster; None where that changes its states."""

    def agree(states, expected):
        return states.allclose(expected, rtol=1e-3, atol=1e-4 * expected.abs().max().item())

    _, same = replace_and_compare(model, pack_linear_layers, agree)
    return model if same else None


def check_precision(dtype: str, device: str | None) -> None:
    """Refuse a precision or a device that this machine cannot run, before anything is loaded.

    Parameters
    ----------
    dtype : str
        Precision.
    device : str or None
        Torch device.

    Raises
    ------
    ValueError
        If either is not known or not available.
    """
    _resolve(dtype, device)


def _resolve(dtype, device):
    """Find the device for a precision that is known."""
    if dtype == "int8":
        return check_int8(device)
    resolve_dtype(dtype)
    return resolve_device(device)


def load_model(weights: Weights, *, dtype: str, device: str | None) -> LanguageModel:
    """Load the model of `weights`, at most once per process, precision and device.

    Parameters
    ----------
    weights : Weights
        The files.
    dtype : {"float32", "bfloat16", "float16", "int8"}
        Precision.
    device : str or None
        Torch device; None takes an accelerator where there is one.

    Returns
    -------
    LanguageModel
    """
    resolved = _resolve(dtype, device)
    key = weights.sha256, dtype, str(resolved)
    with loading:
        if key not in _models:
            _models[key] = LanguageModel(weights.path, dtype, resolved)
        return _models[key]


def forget_model(sha256: str) -> None:
    """Forget the model with this checksum."""
    with loading:
        for key in [key for key in _models if key[0] == sha256]:
            del _models[key]


def unload_models() -> None:
    """Forget every loaded model."""
    with loading:
        _models.clear()
