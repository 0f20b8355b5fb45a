"""The network of SequentialRecommender: embeddings of items from their features, and states of histories."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from skllmrec._device import to_device
from skllmrec._kernels.neural.graph import LinkProduct
from skllmrec._typing import CsrMatrix, FloatArray

if TYPE_CHECKING:
    import torch

_SMALL = 0.02  # standard deviation of new id embeddings and positions
_RESIDUAL = 0.1  # new layers change little
_OLDER = 0.5  # by which the logit of an item falls with each step back, at first
ENCODERS = ("pooling", "attention")


@dataclass(frozen=True)
class Architecture:
    """Sizes and options of the network; see the parameters of `SequentialRecommender` with the same names.

    Attributes
    ----------
    encoder : {"pooling", "attention"}
    n_components, max_length, n_layers, n_heads : int
    ids, word_vectors : bool
    dropout : float
    """

    encoder: str
    n_components: int
    max_length: int
    n_layers: int
    n_heads: int
    ids: bool
    word_vectors: bool
    dropout: float


class ItemTable:
    """Embeddings of items: a linear map of their components, plus vectors of their words, plus those of their ids.

    Parameters
    ----------
    rows : ndarray of shape (n_items, r), float32
        Components of the features; r may be 0.
    words : csr_matrix of shape (n_items, n_words), float32, or None
    n_items : int
    device : torch.device
    """

    def __init__(self, rows: FloatArray, words: CsrMatrix | None, n_items: int, device: "torch.device") -> None:
        self.n_items, self.device = n_items, device
        self._rows = to_device(np.ascontiguousarray(rows), device) if rows.shape[1] else None
        self._words = None if words is None else LinkProduct.of(words, device)
        self._csr = None
        if words is not None:
            parts = words.indptr.astype(np.int64), words.indices.astype(np.int64), words.data
            self._csr = [to_device(part, device) for part in parts]

    def embed(
        self, parameters: "dict[str, torch.Tensor]", wanted: "torch.Tensor | None" = None, rate: float = 0.0
    ) -> "torch.Tensor":
        """Compute the embeddings of all items or of some.

        Parameters
        ----------
        parameters : dict
            "projection", "words" and "ids", as many as there are.
        wanted : torch.Tensor of shape (n,), int64, default=None
            None: all.
        rate : float, default=0.0
            Share of the components of the features that is left out.

        Returns
        -------
        torch.Tensor of shape (n, d)
        """
        from torch.nn.functional import dropout

        parts = []
        if "projection" in parameters and self._rows is not None:
            rows = self._rows if wanted is None else self._rows[wanted]
            parts.append((dropout(rows, rate) if rate else rows) @ parameters["projection"])
        if "words" in parameters and self._words is not None:
            words = parameters["words"]
            parts.append(self._words.dot(words) if wanted is None else self._bags(words, wanted))
        if "ids" in parameters:
            parts.append(parameters["ids"] if wanted is None else parameters["ids"][wanted])
        if not parts:  # features that say nothing
            return self._nothing(len(parameters["start"]), self.n_items if wanted is None else len(wanted))
        return sum(parts[1:], parts[0])

    def _nothing(self, width, n_rows):
        import torch

        return torch.zeros(n_rows, width, device=self.device)

    def _bags(self, vectors, wanted):
        """Weighted sums of the vectors of the words of some items."""
        import torch
        from torch.nn.functional import embedding_bag

        indptr, indices, data = self._csr
        counts = indptr[wanted + 1] - indptr[wanted]
        ends = counts.cumsum(0)
        offsets = ends - counts
        places = torch.arange(int(ends[-1]), device=self.device)
        places = places + torch.repeat_interleave(indptr[wanted] - offsets, counts)
        return embedding_bag(indices[places], vectors, offsets, mode="sum", per_sample_weights=data[places])


class SequenceNetwork:
    """States of histories, and the parameters of everything.

    Parameters
    ----------
    architecture : Architecture
    table : ItemTable
    n_components, n_words : int
        Widths of the features.
    seed : int
        Of the initial weights, which do not depend on the device.

    Attributes
    ----------
    parameters : dict of str to torch.Tensor
    """

    def __init__(self, architecture: Architecture, table: ItemTable, n_inputs: int, n_words: int, seed: int) -> None:
        import torch

        self.architecture, self.table, self.device = architecture, table, table.device
        self._generator = torch.Generator().manual_seed(seed)
        self.parameters: dict[str, torch.Tensor] = {}
        width = architecture.n_components
        if n_inputs:
            self._add("projection", (n_inputs, width), n_inputs**-0.5)
        if n_words and architecture.word_vectors:
            self._add("words", (n_words, width), 0.0)
        if architecture.ids:
            self._add("ids", (table.n_items, width), width**-0.5 if not n_inputs else _SMALL)
        self._add("start", (width,), _RESIDUAL)
        self._add("repeat", (2,), 0.0)
        self._add("biases", (table.n_items,), 0.0)
        if architecture.encoder == "pooling":
            self._set("recency", -_OLDER * torch.arange(architecture.max_length, dtype=torch.float32))
            self._add("last", (width, width), 0.0)
        else:
            self._add_layers(width)

    def _set(self, name, values):
        self.parameters[name] = values.to(self.device).requires_grad_()

    def _add(self, name, shape, scale):
        import torch

        self._set(name, scale * torch.randn(shape, generator=self._generator))

    def _add_layers(self, width):
        import torch

        scale = width**-0.5
        self._add("positions", (self.architecture.max_length, width), _SMALL)
        for layer in range(self.architecture.n_layers):
            for name in ("query", "key", "value", "inner"):
                self._add(f"layer{layer}.{name}", (width, width), scale)
            for name in ("output", "outer"):
                self._add(f"layer{layer}.{name}", (width, width), _RESIDUAL * scale)
            for name in ("shift1", "shift2", "inner_bias", "outer_bias"):
                self._add(f"layer{layer}.{name}", (width,), 0.0)
            for name in ("norm1", "norm2"):
                self._set(f"layer{layer}.{name}", torch.ones(width))

    def pooled(self, embeddings: "torch.Tensor", histories: "torch.Tensor", training: bool) -> "torch.Tensor":
        """Pool histories by recency.

        Parameters
        ----------
        embeddings : torch.Tensor of shape (n_items, d)
        histories : torch.Tensor of shape (n, length), int64
            The latest item first, padded by -1.
        training : bool
            Whether dropout is on.

        Returns
        -------
        torch.Tensor of shape (n, d)
        """
        import torch
        from torch.nn.functional import dropout, embedding, linear

        known = histories >= 0
        read = embedding(histories.clamp(min=0), embeddings)  # (n, length, d)
        read = dropout(read, self.architecture.dropout, training)
        logits = self.parameters["recency"][: histories.shape[1]].masked_fill(~known, -1e9)
        shares = torch.softmax(logits, 1) * known
        states = torch.bmm(shares[:, None], read)[:, 0] + linear(read[:, 0], self.parameters["last"])
        states = torch.where(known[:, :1], states, self.parameters["start"])
        return dropout(states, self.architecture.dropout, training)

    def attended(self, embeddings: "torch.Tensor", inputs: "torch.Tensor", training: bool) -> "torch.Tensor":
        """Read windows of items by causal self-attention.

        Parameters
        ----------
        embeddings : torch.Tensor of shape (n_items, d)
        inputs : torch.Tensor of shape (n, length), int64
            The oldest item first; -1 is the start of a history. Padding stands behind, and is read by nothing before.
        training : bool
            Whether dropout is on.

        Returns
        -------
        torch.Tensor of shape (n, length, d)
            The state after each place.
        """
        import torch
        from torch.nn.functional import dropout, embedding, layer_norm, linear

        architecture, p = self.architecture, self.parameters
        width, rate = architecture.n_components, architecture.dropout * training
        read = torch.where((inputs >= 0)[..., None], embedding(inputs.clamp(min=0), embeddings), p["start"])
        hidden = dropout(read * width**0.5 + p["positions"][: inputs.shape[1]], rate, training)
        for layer in range(architecture.n_layers):
            own = {name.partition(".")[2]: tensor for name, tensor in p.items() if name.startswith(f"layer{layer}.")}
            mixed = self._mix(layer_norm(hidden, (width,), own["norm1"], own["shift1"]), own, rate)
            hidden = hidden + dropout(mixed, rate, training)
            inner = linear(layer_norm(hidden, (width,), own["norm2"], own["shift2"]), own["inner"], own["inner_bias"])
            outer = linear(dropout(inner.relu(), rate, training), own["outer"], own["outer_bias"])
            hidden = hidden + dropout(outer, rate, training)
        return hidden

    def _mix(self, hidden, own, rate):
        """Self-attention in which no place reads later ones."""
        from torch.nn.functional import linear, scaled_dot_product_attention

        n, length, width = hidden.shape
        parts = (
            linear(hidden, own[name]).view(n, length, self.architecture.n_heads, -1).transpose(1, 2)
            for name in ("query", "key", "value")
        )
        mixed = scaled_dot_product_attention(*parts, dropout_p=rate, is_causal=True)
        return linear(mixed.transpose(1, 2).reshape(n, length, width), own["output"])

    def arrays(self) -> dict[str, FloatArray]:
        """Copy the parameters to arrays.

        Returns
        -------
        dict of str to ndarray, float32
        """
        return {name: tensor.detach().cpu().numpy().copy() for name, tensor in self.parameters.items()}
