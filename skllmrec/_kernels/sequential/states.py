"""States of histories in NumPy: fitted weights applied to the embeddings of the items of a history."""

import numpy as np
from scipy import sparse
from scipy.special import softmax

from skllmrec._typing import FloatArray, IntArray

BLOCK_NUMBERS = 2**23  # of the embeddings of histories that are in memory at the same time: 32 MiB
_EPSILON = 1e-5  # of layer normalisation, as in torch


def pooled_states(embeddings: FloatArray, histories: IntArray, weights: dict[str, FloatArray]) -> FloatArray:
    r"""Pool histories by recency, :math:`\sum_a \mathrm{softmax}(r)_a x_a + A x_0`, with :math:`x_a` the item of age a.

    Parameters
    ----------
    embeddings : ndarray of shape (n_items, d)
    histories : ndarray of shape (n, length)
        Rows of `embeddings`, the latest item first, padded by -1.
    weights : dict
        "recency" r of shape (length,), "last" A of shape (d, d), "start" of shape (d,): the state of an empty history.

    Returns
    -------
    ndarray of shape (n, d)

    Examples
    --------
    >>> import numpy as np
    >>> from skllmrec._kernels.sequential.states import pooled_states
    >>> weights = {"recency": np.zeros(2), "last": np.eye(1), "start": np.array([7.0])}
    >>> pooled_states(np.array([[1.0], [2.0]]), np.array([[1, 0], [0, -1], [-1, -1]]), weights).ravel()
    array([3.5, 2. , 7. ])
    """
    known = histories >= 0
    counts = known.sum(axis=1)
    if not counts.any():
        return np.tile(weights["start"].astype(embeddings.dtype), (len(histories), 1))
    logits = np.where(known, weights["recency"][: histories.shape[1]], -np.inf)
    logits[counts == 0] = 0.0
    shares = softmax(logits, axis=1)[known].astype(embeddings.dtype)
    indptr = np.append(0, np.cumsum(counts))
    shape = len(histories), len(embeddings)
    states = sparse.csr_array((shares, histories[known], indptr), shape=shape) @ embeddings
    read = counts > 0
    states[read] += embeddings[histories[read, 0]] @ weights["last"].T
    states[~read] = weights["start"]
    return states


def attended_states(
    embeddings: FloatArray, histories: IntArray, weights: dict[str, FloatArray], n_heads: int
) -> FloatArray:
    """Read histories by causal self-attention; the state is the output at the last item.

    Parameters
    ----------
    embeddings : ndarray of shape (n_items, d)
    histories : ndarray of shape (n, length)
        Rows of `embeddings`, the latest item first, padded by -1.
    weights : dict
        "start", "positions" and the weights of the layers, see `AttentionEncoder`.
    n_heads : int

    Returns
    -------
    ndarray of shape (n, d)
    """
    states = np.empty((len(histories), embeddings.shape[1]), dtype=embeddings.dtype)
    length = len(weights["positions"])
    counts = np.minimum((histories >= 0).sum(axis=1) + 1, length)  # with the start
    for count in np.unique(counts):
        rows = np.flatnonzero(counts == count)
        size = max(1, BLOCK_NUMBERS // (count * max(embeddings.shape[1], count)))
        for first in range(0, len(rows), size):
            some = rows[first : first + size]
            items = histories[some, :count][:, ::-1]
            inputs = np.where((items >= 0)[:, :, np.newaxis], embeddings[items], weights["start"])
            states[some] = _attend(inputs.astype(embeddings.dtype), weights, n_heads)
    return states


def _attend(inputs, weights, n_heads):
    """Output at the last place of inputs of shape (n, length, d), all of one length."""
    n, length, d = inputs.shape
    hidden = inputs * np.float32(d**0.5) + weights["positions"][:length]
    mask = np.triu(np.full((length, length), -np.inf, dtype=np.float32), 1)
    n_layers = sum(name.endswith(".query") for name in weights)
    for layer in range(n_layers):
        own = {name.partition(".")[2]: value for name, value in weights.items() if name.startswith(f"layer{layer}.")}
        is_last = layer == n_layers - 1  # only its last place is read
        normed = _normalise(hidden, own["norm1"], own["shift1"])
        asking = normed[:, -1:] if is_last else normed
        query, key, value = (
            (part @ own[name].T).reshape(n, -1, n_heads, d // n_heads).transpose(0, 2, 1, 3)
            for part, name in ((asking, "query"), (normed, "key"), (normed, "value"))
        )
        logits = query @ key.transpose(0, 1, 3, 2) / np.float32((d // n_heads) ** 0.5)
        mixed = softmax(logits + (mask[-1:] if is_last else mask), axis=-1) @ value
        hidden = hidden[:, -1:] if is_last else hidden
        hidden = hidden + mixed.transpose(0, 2, 1, 3).reshape(n, -1, d) @ own["output"].T
        inner = np.maximum(_normalise(hidden, own["norm2"], own["shift2"]) @ own["inner"].T + own["inner_bias"], 0)
        hidden = hidden + inner @ own["outer"].T + own["outer_bias"]
    return hidden[:, -1]


def _normalise(rows, scale, shift):
    """Layer normalisation."""
    centred = rows - rows.mean(axis=-1, keepdims=True)
    return centred / np.sqrt(np.square(centred).mean(axis=-1, keepdims=True) + _EPSILON) * scale + shift


def unit_rows(rows: FloatArray) -> FloatArray:
    """Divide rows by their lengths; rows of zeros stay zero.

    Parameters
    ----------
    rows : ndarray of shape (n, d)

    Returns
    -------
    ndarray of shape (n, d)
    """
    lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows))[:, np.newaxis]
    return np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 1e-12)
