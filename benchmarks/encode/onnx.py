"""The same model in 8-bit integers through onnxruntime: an encoder that takes the same batches and the same store."""

import logging
import tempfile
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.encode.texts import MAX_LENGTH, MODEL
from skllmrec._backbone._batches import plan_batches
from skllmrec._weights import find_weights
from skllmrec.base import BaseTextEncoder

PEER = "onnxruntime 1.32, int8"
_N_DIMS, _BATCH_TOKENS = 384, 1024


def _export(path):
    """Write the model as float32 ONNX; with eager attention, whose graph onnxruntime fuses best."""
    import torch
    from transformers import AutoModel

    model = AutoModel.from_pretrained(find_weights(MODEL).path, dtype=torch.float32, attn_implementation="eager").eval()
    # the exporter passes arguments by position, the model takes them by name
    states = torch.nn.Module()
    states.model = model
    states.forward = lambda input_ids, mask: model(input_ids=input_ids, attention_mask=mask).last_hidden_state
    ids = torch.ones(2, 3, dtype=torch.int64)
    axes = {0: "texts", 1: "tokens"}
    torch.onnx.export(
        states,
        (ids, ids),
        path,
        dynamo=False,
        opset_version=17,
        input_names=["input_ids", "attention_mask"],
        output_names=["states"],
        dynamic_axes={"input_ids": axes, "attention_mask": axes, "states": axes},
    )


@cache
def _session():
    """Export and quantise the model, weights per channel and activations dynamically, and load the result."""
    import onnxruntime
    import torch
    from onnxruntime.quantization import QuantType, quantize_dynamic

    logging.getLogger().setLevel(logging.ERROR)  # "please consider to run pre-processing", which fails on this graph
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(action="ignore"):
        exported, quantized = Path(folder) / "float32.onnx", Path(folder) / "int8.onnx"
        _export(exported)
        quantize_dynamic(
            exported, quantized, per_channel=True, weight_type=QuantType.QInt8, op_types_to_quantize=["MatMul"]
        )
        return onnxruntime.InferenceSession(quantized.read_bytes(), options, providers=["CPUExecutionProvider"])


@cache
def _tokenizer():
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(find_weights(MODEL).path)


class _Job:
    """Texts, tokenised once, in batches of similar length; mean pooling."""

    def __init__(self, texts, max_length, normalize):
        self._normalize = normalize
        self._ids = _tokenizer()(texts, truncation=True, max_length=max_length)["input_ids"]
        self.costs = np.array([len(ids) for ids in self._ids])
        order = np.argsort(-self.costs, kind="stable")
        self.groups = [order[cut] for cut in plan_batches(self.costs[order], _BATCH_TOKENS)]

    def encode(self, positions):
        """Vectors of one batch."""
        lengths = self.costs[positions]
        mask = (np.arange(lengths.max()) < lengths[:, None]).astype(np.int64)
        input_ids = np.zeros_like(mask)
        input_ids[mask > 0] = np.concatenate([self._ids[i] for i in positions])
        (states,) = _session().run(None, {"input_ids": input_ids, "attention_mask": mask})
        sums = np.einsum("ntd,nt->nd", states, mask.astype(np.float32))
        return sums / (np.linalg.norm(sums, axis=1, keepdims=True) if self._normalize else lengths[:, None])


class OnnxEncoder(BaseTextEncoder):
    """LLMTextEncoder(dtype="int8") computed by onnxruntime; raises ImportError without it."""

    def __init__(self, *, max_length: int = MAX_LENGTH, normalize: bool = False, memory: Path | None = None) -> None:
        self.max_length = max_length
        self.normalize = normalize
        self.memory = memory

    def _fit_encoder(self, texts):
        _session()
        return _N_DIMS

    def _start(self, texts):
        return _Job(texts, self.max_length, self.normalize)

    def _identity(self):
        return {"model": MODEL, "by": PEER, "max_length": self.max_length, "normalize": self.normalize}


def onnx_encoder(**options: Any) -> OnnxEncoder | None:
    """Fit the peer; None where onnxruntime, or what exports the model, is not installed."""
    try:
        return OnnxEncoder(**options).fit(["a text"])
    except ImportError:
        return None
