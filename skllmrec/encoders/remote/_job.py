"""Embeddings of texts from a server: requests of limited size, and every answer is checked before it is used."""

import base64
import re
from typing import Any

import numpy as np

from skllmrec._remote_api import RemoteAPI
from skllmrec._typing import FloatArray, IntArray
from skllmrec.exceptions import RemoteAPIError

_PATH = "embeddings"
_ROUNDS = 4  # requests of each thread in a group: few enough to lose little, enough to keep all threads busy
_SHOWN = 40  # characters of a text in a message
# servers that do not use 413 state it in the message
_TOO_LARGE = re.compile(r"too (many|large|long|big)|maximum|exceed|batch size|(context|input|sequence) length", re.I)


def cut_batches(lengths: IntArray, *, max_texts: int, max_chars: int) -> list[slice]:
    """Cut texts, in the order they are in, into batches.

    Parameters
    ----------
    lengths : ndarray of int, shape (n_texts,)
        Characters of each text.
    max_texts, max_chars : int
        Most texts, and most characters, of a batch; a longer text is a batch of its own.

    Returns
    -------
    list of slice
        A partition of all positions.

    Examples
    --------
    >>> import numpy as np
    >>> from skllmrec.encoders.remote._job import cut_batches
    >>> cut_batches(np.array([3, 3, 3, 9, 1]), max_texts=2, max_chars=8)
    [slice(0, 2, None), slice(2, 3, None), slice(3, 4, None), slice(4, 5, None)]
    """
    cuts, start, n_chars = [], 0, 0
    for position, length in enumerate(lengths.tolist()):
        if position > start and (position - start == max_texts or n_chars + length > max_chars):
            cuts.append(slice(start, position))
            start, n_chars = position, 0
        n_chars += length
    if len(lengths):
        cuts.append(slice(start, len(lengths)))
    return cuts


def _read_vector(entry, place):
    """One embedding: a list of numbers, or the base64 of float32 numbers, least byte first."""
    embedding = entry.get("embedding")
    if isinstance(embedding, str):
        try:
            return np.frombuffer(base64.b64decode(embedding, validate=True), dtype="<f4")
        except ValueError:
            raise ValueError(f"embedding {place} is a string, but not the base64 of float32 numbers") from None
    if not isinstance(embedding, list) or not embedding:
        raise ValueError(f"embedding {place} is {'empty' if embedding == [] else type(embedding).__name__}")
    try:
        row = np.array(embedding)
    except ValueError:  # lists of several lengths
        row = np.array(None)
    if row.ndim == 1 and row.dtype.kind in "fiu":
        return row
    if None in embedding:
        raise ValueError(f"embedding {place} holds null: the model computed NaN")
    raise ValueError(f"embedding {place} holds what is no number, or a vector for each token")


def _entries_in_order(answer, n_texts):
    """Put the entries of an answer in the order of the texts, whatever order the server has put them in."""
    entries = answer.get("data")
    if not isinstance(entries, list):
        raise ValueError(f"no list 'data' (but {', '.join(sorted(map(repr, answer))[:5]) or 'nothing'})")
    if len(entries) != n_texts:
        raise ValueError(f"{len(entries)} embeddings for {n_texts} texts")
    indices = [entry.get("index") if isinstance(entry, dict) else None for entry in entries]
    for place, index in enumerate(indices):
        if type(index) is not int:
            raise ValueError(f"entry {place} of 'data' has no index: whose embedding it is cannot be told")
    if sorted(indices) != list(range(n_texts)):
        raise ValueError(f"the indices {sorted(indices)[:8]} where each of 0 to {n_texts - 1} was expected once")
    return [entries[place] for place in np.argsort(indices)]


def read_embeddings(answer: dict[str, Any], *, n_texts: int, n_dims: int | None) -> FloatArray:
    """Read the vectors out of an answer of ``/v1/embeddings``.

    Parameters
    ----------
    answer : dict
        The answer of the server, from JSON.
    n_texts : int
        Texts that were sent.
    n_dims : int or None
        Length that a vector must have; None takes any that all have.

    Returns
    -------
    ndarray of shape (n_texts, n_dims), dtype float32
        Finite, in the order of the texts.

    Raises
    ------
    ValueError
        If number, indices, lengths or values are not as expected.

    Examples
    --------
    >>> from skllmrec.encoders.remote._job import read_embeddings
    >>> entries = [{"index": 1, "embedding": [3.0, 4.0]}, {"index": 0, "embedding": [1.0, 2.0]}]
    >>> read_embeddings({"data": entries}, n_texts=2, n_dims=2)
    array([[1., 2.],
           [3., 4.]], dtype=float32)
    """
    rows = [_read_vector(entry, place) for place, entry in enumerate(_entries_in_order(answer, n_texts))]
    lengths = sorted({len(row) for row in rows})
    if lengths != [lengths[0] if n_dims is None else n_dims]:
        expected = "of one length" if n_dims is None else f"of length {n_dims}"
        raise ValueError(f"embeddings of length {', '.join(map(str, lengths))} where all {expected} were expected")
    with np.errstate(over="ignore"):
        vectors = np.array(rows).astype(np.float32)
    if not np.isfinite(vectors).all():
        n_wrong = np.count_nonzero(~np.isfinite(vectors).all(axis=1))
        raise ValueError(f"NaN, infinity or more than float32 holds in {n_wrong} of {n_texts} embeddings")
    return vectors


def _is_too_large(error):
    return error.status == 413 or (error.status in {400, 422} and _TOO_LARGE.search(error.detail) is not None)


class EmbeddingJob:
    """Encode texts on a server.

    Texts are sent in order of length, so that the texts of a request are of similar size. A blank text is not sent,
    as many servers refuse it: its vector is zero.

    Parameters
    ----------
    api : RemoteAPI
        The service.
    texts : list of str
        Texts, prompts included.
    request : dict
        What goes with every request: model and options.
    n_dims : int or None
        Length of a vector; None where it is not known yet.
    max_texts, max_chars : int
        Most texts and characters of a request.
    n_concurrent : int
        Requests at a time.

    Attributes
    ----------
    costs : ndarray of int, shape (n_texts,)
        Characters of each text.
    groups : list of ndarray of int
        Positions to encode together.
    """

    def __init__(
        self,
        api: RemoteAPI,
        texts: list[str],
        *,
        request: dict[str, Any],
        n_dims: int | None,
        max_texts: int,
        max_chars: int,
        n_concurrent: int,
    ) -> None:
        self._api = api
        self._texts = texts
        self._request = request
        self._n_dims = n_dims
        self._max_texts = max_texts
        self._max_chars = max_chars
        self.costs = np.fromiter(map(len, texts), dtype=np.intp, count=len(texts))
        order = np.argsort(self.costs, kind="stable")
        cuts = self._cut(order)
        per_group = _ROUNDS * n_concurrent
        firsts = [cut.start for cut in cuts[::per_group]]
        self.groups = np.split(order, firsts[1:]) if firsts else []

    def encode(self, positions: IntArray) -> FloatArray:
        """Encode the texts at `positions`, a few requests at a time.

        Returns
        -------
        ndarray of shape (len(positions), n_dims), dtype float32

        Raises
        ------
        RemoteAPIError
            If the server cannot be reached or does not answer as it should.
        """
        sent = np.array([row for row, i in enumerate(positions) if not self._is_blank(i)], dtype=np.intp)
        sent = sent[np.argsort(self.costs[positions[sent]], kind="stable")]
        batches = [sent[cut] for cut in self._cut(positions[sent])]
        found = self._api.map(lambda rows: self._encode_batch([self._texts[i] for i in positions[rows]]), batches)
        n_dims = self._n_dims if self._n_dims is not None else found[0].shape[1]
        vectors = np.zeros((len(positions), n_dims), dtype=np.float32)
        for rows, part in zip(batches, found, strict=True):
            vectors[rows] = part
        return vectors

    def _is_blank(self, position):
        text = self._texts[position]
        return not text or text.isspace()

    def _cut(self, positions):
        return cut_batches(self.costs[positions], max_texts=self._max_texts, max_chars=self._max_chars)

    def _encode_batch(self, texts):
        """Vectors of the texts of a request, halved as often as it is too large for the server."""
        if len(texts) <= self._max_texts:
            try:
                answer = self._api.post_json(_PATH, {**self._request, "input": texts})
            except RemoteAPIError as error:
                if not _is_too_large(error):
                    raise
                if len(texts) == 1:
                    raise self._too_long(error, texts[0]) from error
                self._max_texts = min(self._max_texts, len(texts) // 2)  # long texts come last: the rest is no shorter
            else:
                return self._read(answer, len(texts))
        middle = len(texts) // 2
        return np.concatenate([self._encode_batch(texts[:middle]), self._encode_batch(texts[middle:])])

    def _read(self, answer, n_texts):
        try:
            return read_embeddings(answer, n_texts=n_texts, n_dims=self._n_dims)
        except ValueError as error:
            raise RemoteAPIError(
                f"{self._api.url}/{_PATH} answered the model {self._request['model']!r} with {error}. Nothing of this "
                "answer is used: check that base_url and model name an embedding model, and look into the server's log",
                200,
            ) from error

    def _too_long(self, error, text):
        return RemoteAPIError(
            f"{error}. Of all texts the one of {len(text):,} characters that begins {text[:_SHOWN]!r} is too long for "
            "the server by itself: let the server cut texts to what the model reads, or cut them first",
            error.status,
            error.detail,
        )
