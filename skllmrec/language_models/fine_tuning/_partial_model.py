"""Partial training of a language model on a fixed corpus: the lower layers are run once, and their states stored."""

import tempfile
from typing import TYPE_CHECKING, Any

import numpy as np

from skllmrec._backbone import LanguageModel, TrainableModel, load_model, load_tokenizer, pad_batch, plan_batches
from skllmrec._backbone.pooling import pool
from skllmrec._device import has_bfloat16, to_device
from skllmrec._typing import Array, FloatArray, IntArray
from skllmrec._weights import Weights

if TYPE_CHECKING:
    import torch

_BATCH_TOKENS = 8192  # padded tokens that are passed through the model at once; larger batches are divided
_CHUNK_TOKENS = 4096  # the same if activations are computed a second time to save memory


class LowerStates:
    """Hidden states of a corpus after a layer, stored without padding in a temporary file of the process.

    The file is mapped into memory. The operating system decides how much of it is in memory, so that the memory of a
    training does not grow with its corpus.

    Parameters
    ----------
    model : LanguageModel
        Model for inference.
    layer : int
        Layer whose output is stored.
    tokens : list of ndarray of int
        Token ids of every text, none of them empty.
    pad_id : int
    """

    def __init__(self, model: LanguageModel, layer: int, tokens: list[IntArray], pad_id: int) -> None:
        self._starts = np.cumsum([0, *map(len, tokens)])
        self._states: Any = None  # a memory map
        order = np.argsort(-np.diff(self._starts), kind="stable")
        for cut in plan_batches(np.diff(self._starts)[order], _CHUNK_TOKENS):
            self._run(model, layer, tokens, order[cut], pad_id)

    def _run(self, model, layer, tokens, rows, pad_id):
        import torch

        input_ids, mask, is_token = pad_batch([tokens[row] for row in rows], pad_id, model.device)
        with torch.inference_mode():
            states = model.hidden_states(input_ids, mask, layer).float().cpu().numpy()
        if self._states is None:
            with tempfile.TemporaryFile() as file:  # the map keeps it
                self._states = np.memmap(file, np.float32, "w+", shape=(self._starts[-1], states.shape[2]))
        for row, own, valid in zip(rows, states, is_token, strict=True):
            self._states[self._starts[row] : self._starts[row + 1]] = own[valid]

    def batch(self, rows: IntArray, places: list[IntArray], is_token: Array) -> FloatArray:
        """Return the states of some tokens of some texts, with zeros in the padding.

        Parameters
        ----------
        rows : ndarray of int, shape (n,)
        places : list of ndarray of int, length n
            Positions of the tokens in their text.
        is_token : ndarray of bool, shape (n, n_tokens)

        Returns
        -------
        ndarray of shape (n, n_tokens, n_dims), float32
        """
        batch = np.zeros((*is_token.shape, self._states.shape[1]), dtype=np.float32)
        for row, kept, own in zip(rows, places, batch, strict=True):
            own[: len(kept)] = self._states[self._starts[row] + kept]
        return batch


class CorpusEncoder:
    """Encodes the texts of one corpus with a model that is being trained.

    Parameters
    ----------
    weights : Weights
        The model to start from.
    texts : list of str
        The corpus.
    trainable : "all", "lora" or int
        What is trained: all layers and the embeddings, adapters, or this number of last layers.
    lora_rank : int
        Rank of the adapters.
    pooling : str
    max_length : int or None
        Maximal number of tokens of a text.
    dtype : {"auto", "float32", "bfloat16"}
        Precision of the matrix products of the model; "auto" is bfloat16 if the device has instructions for it.
        Parameters and all computations after the model are float32.
    token_dropout : float
        Share of the tokens that are removed from the input of the trained layers in training mode; the first and the
        last token of a text are kept.
    augmenter : object or None
        ``augment(texts, rng)`` changes texts at random, in training mode.
    device : torch.device

    Attributes
    ----------
    backbone : torch.nn.Module
        The model; its mode (training or evaluation) decides about dropout and augmentation.
    """

    def __init__(
        self,
        weights: Weights,
        texts: list[str],
        *,
        trainable: int | str,
        lora_rank: int,
        pooling: str,
        max_length: int | None,
        dtype: str,
        token_dropout: float,
        augmenter: Any,
        device: "torch.device",
    ) -> None:
        self._weights = weights
        self._texts = texts
        self._max_length = max_length
        self._augmenter = augmenter
        self._pooling = pooling
        self._token_dropout = token_dropout
        self._device = device
        self._is_half = dtype == "bfloat16" or (dtype == "auto" and has_bfloat16(device))
        self._tokenizer = load_tokenizer(weights)
        self._tokens = self._tokenize(texts)
        self.trained = TrainableModel(weights, device)
        if trainable == "all":
            self.trained.train_all()
        elif trainable == "lora":
            self.trained.add_adapters(lora_rank)
        else:
            self.trained.train_last(int(trainable))
        self.backbone = self.trained.module
        self._lower = None
        if self.trained.first > 0:
            self._lower = LowerStates(self._lower_model(), self.trained.first, self._tokens, self._tokenizer.pad_id)

    def _lower_model(self):
        return load_model(self._weights, dtype="float32", device=str(self._device))

    def _tokenize(self, texts):
        # a text without tokens (possible if the tokenizer adds no special ones) is encoded as padding
        found = self._tokenizer(texts, self._max_length)
        return [np.array(tokens or [self._tokenizer.pad_id], dtype=np.int32) for tokens in found]

    def encode(self, rows: IntArray, *, checkpointed: bool = False) -> "torch.Tensor":
        """Compute the pooled vectors of some texts, in chunks of similar length.

        Parameters
        ----------
        rows : ndarray of int, shape (n,)
            Positions in the corpus.
        checkpointed : bool, default=False
            Compute activations again for the gradient instead of storing them: memory is that of one chunk.

        Returns
        -------
        torch.Tensor of shape (n, n_dims)
        """
        import torch
        from torch.utils.checkpoint import checkpoint

        augmented = self._augmenter is not None and self.backbone.training
        tokens = self._augment(rows) if augmented else [self._tokens[row] for row in rows]
        places = self._places(tokens)
        lengths = np.fromiter(map(len, places), dtype=np.intp, count=len(places))
        order, parts = np.argsort(-lengths, kind="stable"), []
        for cut in plan_batches(lengths[order], _CHUNK_TOKENS if checkpointed else _BATCH_TOKENS):
            chunk = order[cut]
            arguments = rows[chunk], [tokens[text] for text in chunk], [places[text] for text in chunk], augmented
            if checkpointed and torch.is_grad_enabled():
                parts.append(checkpoint(self._encode_chunk, *arguments, use_reentrant=False))
            else:
                parts.append(self._encode_chunk(*arguments))
        return torch.cat(parts)[torch.from_numpy(np.argsort(order)).to(self._device)]

    def _augment(self, rows):
        """Tokenise augmented texts, with a seed from torch's generator, whose state is a part of every checkpoint."""
        import torch

        rng = np.random.default_rng(int(torch.randint(2**31, ()).item()))
        return self._tokenize(self._augmenter.augment([self._texts[row] for row in rows], rng))

    def _places(self, tokens):
        """Positions of the tokens that are passed to the trained layers: all, or a random part in training mode."""
        import torch

        places = [np.arange(len(own)) for own in tokens]
        if not self._token_dropout or not self.backbone.training:
            return places
        ends = np.cumsum([len(own) for own in tokens])
        kept = (torch.rand(int(ends[-1])) >= self._token_dropout).numpy()
        kept[ends - 1] = kept[ends - [len(own) for own in tokens]] = True
        return [own[keep] for own, keep in zip(places, np.split(kept, ends[:-1]), strict=True)]

    def _encode_chunk(self, rows, tokens, places, augmented):
        import torch

        kept = [own[place] for own, place in zip(tokens, places, strict=True)]
        input_ids, mask, is_token = pad_batch(kept, self._tokenizer.pad_id, self._device)
        entry = None
        if self._lower is not None and augmented:
            entry = self._run_lower(input_ids, mask)
        elif self._lower is not None:
            entry = to_device(self._lower.batch(rows, places, is_token), self._device)
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._is_half):
            states = self.trained.states(input_ids, mask, entry)
        return pool(states, mask, pooling=self._pooling)

    def _run_lower(self, input_ids, mask):
        import torch

        with torch.no_grad():
            return self._lower_model().hidden_states(input_ids, mask, self.trained.first)
