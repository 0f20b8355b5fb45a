"""Language models: loaded once per process, run on texts in batches of similar length, pooled.

The only file that imports transformers.
"""

import functools
import logging
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import numpy as np

from skllmrec._device import resolve_device, resolve_dtype
from skllmrec._kernels.packed_linear import can_pack, pack_linear_layers
from skllmrec._kernels.pooling import pool
from skllmrec._weights import find_weights

_GROUP = 8  # batches that are encoded and stored together

_models = {}  # (sha256, dtype, device) -> LanguageModel
_tokenizers = {}  # sha256 -> Tokenizer
_loading = threading.RLock()


@dataclass(frozen=True)
class ModelInfo:
    """What the configuration of a model says, known without loading its weights."""

    sha256: str  # of weights, tokenizer and configuration
    n_dims: int  # length of a hidden state
    n_layers: int
    n_special: int  # tokens that the tokenizer adds to every text
    max_length: int | None  # most tokens the model can read; None if there is no limit


@dataclass(frozen=True)
class Encoding:
    """Everything besides the weights that decides the vector of a text."""

    pooling: str = "mean"
    layer: int = -1
    skip_first_token: bool = False
    prompt: str = ""
    max_length: int | None = 256
    normalize: bool = False
    dtype: str = "float32"


class _Quiet(logging.Filter):
    """Drop the records of one thread."""

    def __init__(self):
        super().__init__()
        self.thread = threading.get_ident()

    def filter(self, record):
        """Keep the records of all other threads."""
        return record.thread != self.thread


@contextmanager
def _quiet():
    """Keep transformers' progress bars and loading reports of this thread off the screen; nobody else's.

    Holders of the `_loading` lock only: hooks must be taken back in the reverse order.
    """
    from transformers.utils import logging as transformers_logging

    me, restore = threading.get_ident(), None
    if hasattr(transformers_logging, "set_tqdm_hook"):

        def hook(factory, args, kwargs):
            if threading.get_ident() == me:
                factory = transformers_logging.EmptyTqdm
            elif previous is not None:
                return previous(factory, args, kwargs)
            return factory(*args, **kwargs)

        previous = transformers_logging.set_tqdm_hook(hook)
        restore = functools.partial(transformers_logging.set_tqdm_hook, previous)
    handlers = [*transformers_logging.get_logger("transformers").handlers, *logging.getLogger().handlers]
    silence = _Quiet()
    for handler in handlers:
        handler.addFilter(silence)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(silence)
        if restore is not None:
            restore()


@functools.lru_cache(maxsize=64)
def _read_config(path, sha256):
    """Read the configuration of the text part of a model; `sha256` only tells versions of a directory apart."""
    from transformers import AutoConfig

    with _loading, _quiet():
        return AutoConfig.from_pretrained(path, local_files_only=True, trust_remote_code=False).get_text_config()


def model_info(model, *, revision=None):
    """Find a model and read its configuration and checksum, not its weights.

    Parameters
    ----------
    model : str or path-like
        Directory or name, see :func:`skllmrec._weights.find_weights`.
    revision : str or None, default=None
        Branch, tag or commit on the hub.

    Returns
    -------
    ModelInfo

    Raises
    ------
    ModelNotFoundError
        If there is no such model.
    """
    weights = find_weights(model, revision=revision)
    sha256 = weights.sha256
    config = _read_config(weights.path, sha256)
    tokenizer = load_tokenizer(weights)
    limits = (tokenizer.max_length, getattr(config, "max_position_embeddings", None))
    limits = [limit for limit in limits if limit is not None and 0 < limit < 10**9]  # "no limit" is a huge number
    return ModelInfo(
        sha256=sha256,
        n_dims=config.hidden_size,
        n_layers=config.num_hidden_layers,
        n_special=tokenizer.n_special,
        max_length=min(limits, default=None),
    )


class Tokenizer:
    """A tokenizer that several threads may share."""

    def __init__(self, path):
        from transformers import AutoTokenizer

        with _quiet():
            self._tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True, trust_remote_code=False)
        self._lock = threading.Lock()  # truncation is a state of the tokenizer
        self.max_length = self._tokenizer.model_max_length
        self.n_special = self._tokenizer.num_special_tokens_to_add(pair=False)
        pad, end = self._tokenizer.pad_token_id, self._tokenizer.eos_token_id
        # what stands in the padding does not matter, it is masked; but it must be a token
        self.pad_id = next((token for token in (pad, end) if token is not None), 0)

    def __call__(self, texts, max_length):
        """Token ids of every text, at most `max_length` each, with the model's special tokens."""
        if not texts:
            return []
        with self._lock:
            return self._tokenizer(
                texts,
                truncation=True,
                max_length=max_length,
                padding=False,
                return_attention_mask=False,
                return_token_type_ids=False,
            )["input_ids"]


class _Reached(Exception):  # noqa: N818 - control flow, never seen by users
    """The layer whose output was wanted has been computed."""


class LanguageModel:
    """A loaded model that gives the hidden states of one layer and computes no layer above it."""

    def __init__(self, path, dtype, device):
        self._model = _load_model(path, resolve_dtype(dtype)).to(device)
        if device.type == "cpu" and dtype == "float32" and can_pack():
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

    def hidden_states(self, input_ids, mask, layer):
        """States after `layer`: 0 is the embeddings, -1 the last layer with its final normalisation.

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
    with _quiet(), torch.random.fork_rng(devices=[]):
        model, report = AutoModel.from_pretrained(
            path, dtype=dtype, use_safetensors=True, local_files_only=True, trust_remote_code=False,
            output_loading_info=True,
        )  # fmt: skip
    if model.config.is_encoder_decoder:
        model = model.get_encoder()
    missing = sorted(name for name in report["missing_keys"] if "pooler" not in name and "decoder." not in name)
    if missing:
        raise ValueError(
            f"the weights in {path} lack {len(missing)} tensors of {type(model).__name__}, e.g. {missing[0]!r}, and "
            "random ones would be used instead: save the whole model with save_pretrained"
        )
    model.config.use_cache = False  # keys and values are needed for generation only
    return model.eval().requires_grad_(False)


def _packed(model):
    """Make the linear layers of a model faster; None where that changes what the model says."""
    import torch

    probe = torch.arange(min(8, model.config.get_text_config().vocab_size))[None]
    with torch.inference_mode():
        expected = model(input_ids=probe).last_hidden_state
        pack_linear_layers(model)
        with suppress(Exception):  # a model may use its weights in ways of its own
            states = model(input_ids=probe).last_hidden_state
            if torch.allclose(states, expected, rtol=1e-3, atol=1e-4 * expected.abs().max().item()):
                return model
    return None


def load_tokenizer(weights):
    """Load the tokenizer of `weights`, at most once per process."""
    sha256 = weights.sha256
    with _loading:
        if sha256 not in _tokenizers:
            _tokenizers[sha256] = Tokenizer(weights.path)
        return _tokenizers[sha256]


def load_model(weights, *, dtype, device):
    """Load the model of `weights`, at most once per process, precision and device."""
    device = resolve_device(device)
    key = weights.sha256, dtype, str(device)
    with _loading:
        if key not in _models:
            _models[key] = LanguageModel(weights.path, dtype, device)
        return _models[key]


def unload():
    """Forget every loaded model and tokenizer; the next use loads them again."""
    with _loading:
        _models.clear()
        _tokenizers.clear()


def plan_batches(lengths, budget):
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
        stop = start + max(1, budget // int(lengths[start]))
        yield slice(start, min(stop, len(lengths)))
        start = stop


class EncodingJob:
    """Texts, tokenised once, that are encoded in parts.

    Parameters
    ----------
    weights : Weights
        The model.
    texts : sequence of str
        Distinct texts.
    encoding : Encoding
        What decides the vectors.
    n_dims : int
        Length of a vector.
    batch_tokens : int
        Most padded tokens in one batch.
    device : str or None
        Torch device.

    Attributes
    ----------
    costs : ndarray of int, shape (n_texts,)
        Tokens of each text: what encoding it takes.
    groups : list of ndarray of int
        Positions of texts that are best encoded together, longest texts first; a partition of all texts.
    """

    def __init__(self, weights, texts, *, encoding, n_dims, batch_tokens, device):
        self._weights, self._encoding, self._n_dims = weights, encoding, n_dims
        self._batch_tokens, self._device = batch_tokens, device
        self._tokenizer = load_tokenizer(weights)
        self._tokens = self._tokenizer([encoding.prompt + text for text in texts], encoding.max_length)
        self.costs = np.fromiter(map(len, self._tokens), dtype=np.intp, count=len(self._tokens))
        order = np.argsort(-self.costs, kind="stable")
        # a text without tokens counts as one: it belongs to a group, though to no batch
        cuts = plan_batches(np.maximum(self.costs[order], 1), _GROUP * batch_tokens)
        self.groups = [order[cut] for cut in cuts]

    def encode(self, positions):
        """Vectors of some of the texts.

        Parameters
        ----------
        positions : ndarray of int, shape (n,)
            Which texts.

        Returns
        -------
        ndarray of shape (n, n_dims), dtype float32
            A text without any token (``""`` where the tokenizer adds no special tokens) is the zero vector.
        """
        import torch

        model = load_model(self._weights, dtype=self._encoding.dtype, device=self._device)
        vectors = np.zeros((len(positions), self._n_dims), dtype=np.float32)
        costs = self.costs[positions]
        order = np.argsort(-costs, kind="stable")[: np.count_nonzero(costs)]
        with torch.inference_mode():
            for cut in plan_batches(costs[order], self._batch_tokens):
                rows = order[cut]
                tokens = [self._tokens[position] for position in positions[rows]]
                vectors[rows] = self._encode_batch(model, tokens, costs[rows]).cpu().numpy()
        return vectors

    def _encode_batch(self, model, tokens, lengths):
        import torch

        mask = None
        if lengths[0] != lengths[-1]:
            mask = np.arange(lengths[0]) < lengths[:, None]
            padded = np.full(mask.shape, self._tokenizer.pad_id)
            padded[mask] = np.concatenate(tokens)
            tokens, mask = padded, torch.from_numpy(mask.astype(np.int64)).to(model.device)
        input_ids = torch.as_tensor(np.asarray(tokens, dtype=np.int64)).to(model.device)
        hidden = model.hidden_states(input_ids, mask, self._encoding.layer)
        vectors = pool(hidden, mask, pooling=self._encoding.pooling, skip_first_token=self._encoding.skip_first_token)
        return torch.nn.functional.normalize(vectors, dim=1) if self._encoding.normalize else vectors
