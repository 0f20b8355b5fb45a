"""Texts of one call: tokenised once, cut into windows, encoded group by group."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from skllmrec._backbone._batches import encode_windows, plan_batches
from skllmrec._backbone._model import load_model
from skllmrec._backbone._tokenizer import load_tokenizer
from skllmrec._typing import FloatArray, IntArray
from skllmrec._weights import Weights

_GROUP = 8  # batches that are encoded and stored together


@dataclass(frozen=True)
class Encoding:
    """Everything besides the weights that decides the vector of a text."""

    pooling: str = "mean"
    layer: int = -1
    skip_first_token: bool = False
    prompt: str = ""
    max_length: int | None = 256
    overflow: str = "truncate"
    n_components: int | None = None
    normalize: bool = False
    dtype: str = "float32"
    n_skipped: int = 0  # first tokens that are not pooled, those of a prompt
    lower_case: bool = False  # of texts and prompt
    unit_states: bool = False  # scale the pooled states to unit length before dimensions are cut off

    def identity(self) -> dict[str, Any]:
        """Return what decides a vector, for the key of a store: fields that came later only where they are used."""
        used = asdict(self)
        return {name: value for name, value in used.items() if name not in _LATER or value}


_LATER = {"n_skipped", "lower_case", "unit_states"}


def _unit_length(vectors):
    """Scale vectors to unit length; zero vectors stay zero."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.maximum(norms, 1e-12)


class EncodingJob:
    r"""Texts, tokenised once, that are encoded in parts.

    With ``overflow="mean"``, a text of more tokens than `max_length` is cut into windows, each with the special tokens
    and the prompt. Of windows with vectors :math:`v_i` and :math:`n_i` tokens of the text itself, the vector of the
    text is :math:`\sum_i n_i v_i / \sum_i n_i`.

    Parameters
    ----------
    weights : Weights
        The model.
    texts : sequence of str
        Distinct texts.
    encoding : Encoding
        What decides the vectors.
    n_dims : int
        Length of a vector: the first so many dimensions of the pooled states.
    batch_tokens : int
        Most padded tokens in one batch.
    device : str or None
        Torch device.

    Attributes
    ----------
    costs : ndarray of int, shape (n_texts,)
        Tokens of each text, those of all its windows: what encoding it takes.
    groups : list of ndarray of int
        Positions of texts that are best encoded together, longest texts first; a partition of all texts.
    """

    def __init__(
        self,
        weights: Weights,
        texts: Sequence[str],
        *,
        encoding: Encoding,
        n_dims: int,
        batch_tokens: int,
        device: str | None,
    ) -> None:
        self._weights = weights
        self._encoding = encoding
        self._n_dims = n_dims
        self._batch_tokens = batch_tokens
        self._device = device
        self._tokenizer = load_tokenizer(weights)
        whole = [encoding.prompt + text for text in texts]
        self._windows = self._cut([text.lower() for text in whole] if encoding.lower_case else whole)
        self.costs = np.array([sum(map(len, windows)) for windows in self._windows], dtype=np.intp)
        order = np.argsort(-self.costs, kind="stable")
        # a text without tokens counts as one: it belongs to a group, though to no batch
        cuts = plan_batches(np.maximum(self.costs[order], 1), _GROUP * batch_tokens)
        self.groups = [order[cut] for cut in cuts]

    def _cut(self, texts):
        """Token ids of the windows of every text: one, unless long texts are read to their end."""
        max_length, prompt = self._encoding.max_length, self._encoding.prompt
        if self._encoding.overflow == "mean" and max_length is not None:
            return self._tokenizer.windows(texts, max_length, prompt=prompt)
        return [[tokens] for tokens in self._tokenizer(texts, max_length)]

    def encode(self, positions: IntArray) -> FloatArray:
        """Encode some of the texts.

        Parameters
        ----------
        positions : ndarray of int, shape (n,)
            Which texts.

        Returns
        -------
        ndarray of shape (n, n_dims), dtype float32
            A text without any token (``""`` where the tokenizer adds no special tokens) is the zero vector.

        Raises
        ------
        MemoryError
            If the device has no room for a single text.
        """
        windows = [window for position in positions for window in self._windows[position]]
        owner = np.repeat(np.arange(len(positions)), [len(self._windows[position]) for position in positions])
        lengths = np.fromiter(map(len, windows), dtype=np.intp, count=len(windows))
        order = np.argsort(-lengths, kind="stable")[: np.count_nonzero(lengths)]
        vectors = np.zeros((len(positions), self._n_dims), dtype=np.float32)
        if len(order):
            model = load_model(self._weights, dtype=self._encoding.dtype, device=self._device)
            pooled = encode_windows(
                model,
                [windows[index] for index in order],
                encoding=self._encoding,
                batch_tokens=self._batch_tokens,
                pad_id=self._tokenizer.pad_id,
            )
            share = self._shares(lengths, owner)[order, None]
            if self._encoding.unit_states:
                whole = np.zeros((len(positions), pooled.shape[1]), dtype=np.float32)
                np.add.at(whole, owner[order], share * pooled)
                vectors = _unit_length(whole)[:, : self._n_dims]
            else:
                np.add.at(vectors, owner[order], share * pooled[:, : self._n_dims])
        return _unit_length(vectors) if self._encoding.normalize else vectors

    def _shares(self, lengths, owner):
        """Share of every window in the text that it is of; exactly 1 for an only window."""
        if len(owner) == owner[-1] + 1:
            return np.ones(len(owner), dtype=np.float32)
        n_around = self._tokenizer.n_special + len(self._tokenizer.prompt_ids(self._encoding.prompt))
        n_text = np.maximum(lengths - n_around, 1)  # 1: an only window may hold nothing but special tokens
        return (n_text / np.bincount(owner, weights=n_text)[owner]).astype(np.float32)
