"""Texts through a model: tokenised, cut into batches of similar length, pooled."""

from dataclasses import dataclass

import numpy as np

from skllmrec._backbone._model import load_model
from skllmrec._backbone._tokenizer import load_tokenizer
from skllmrec._kernels.pooling import pool

_GROUP = 8  # batches that are encoded and stored together


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
    cache : Path or None, default=None
        Folder where a derived model may be kept, see `load_model`.

    Attributes
    ----------
    costs : ndarray of int, shape (n_texts,)
        Tokens of each text: what encoding it takes.
    groups : list of ndarray of int
        Positions of texts that are best encoded together, longest texts first; a partition of all texts.
    """

    def __init__(self, weights, texts, *, encoding, n_dims, batch_tokens, device, cache=None):
        self._weights, self._encoding, self._n_dims = weights, encoding, n_dims
        self._batch_tokens, self._device, self._cache = batch_tokens, device, cache
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

        model = load_model(self._weights, dtype=self._encoding.dtype, device=self._device, cache=self._cache)
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
