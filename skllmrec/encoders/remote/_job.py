"""Embeddings of texts from a server, in requests of limited size."""

from typing import Any

import numpy as np

from skllmrec._inputs import FaultyInputsError
from skllmrec._remote_api import RemoteAPI
from skllmrec._typing import FloatArray, IntArray
from skllmrec.encoders.remote._requests import EmbeddingRequests

_ROUNDS = 4  # requests of each thread in a group: few enough to lose little, enough to keep all threads busy


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


class EmbeddingJob:
    """Encode texts on a server.

    Texts are sent in order of length, so that the texts of a request are of similar size. A blank text is not sent,
    as many servers refuse it: its vector is zero.

    Parameters
    ----------
    api : RemoteAPI
        The service.
    texts : list of str
        Texts.
    prompt : str
        Put before every text.
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
        Characters of each text with the prompt.
    groups : list of ndarray of int
        Positions to encode together.
    """

    def __init__(
        self,
        api: RemoteAPI,
        texts: list[str],
        *,
        prompt: str,
        request: dict[str, Any],
        n_dims: int | None,
        max_texts: int,
        max_chars: int,
        n_concurrent: int,
    ) -> None:
        self._api = api
        self._texts = [prompt + text for text in texts]
        self._n_dims = n_dims
        self._max_texts = max_texts
        self._max_chars = max_chars
        self._requests = EmbeddingRequests(api, request, prompt=prompt, n_dims=n_dims, max_texts=max_texts)
        self.costs = np.fromiter(map(len, self._texts), dtype=np.intp, count=len(texts))
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
        FaultyInputsError
            If the server cannot encode some texts, but others.
        RemoteAPIError
            If the server cannot be reached or does not answer as it should.
        """
        sent = np.array([row for row, i in enumerate(positions) if not self._is_blank(i)], dtype=np.intp)
        sent = sent[np.argsort(self.costs[positions[sent]], kind="stable")]
        batches = [sent[cut] for cut in self._cut(positions[sent])]
        found = self._api.map(lambda rows: self._requests([self._texts[i] for i in positions[rows]]), batches)
        n_dims = self._n_dims if self._n_dims is not None else found[0][0].shape[1]
        vectors = np.zeros((len(positions), n_dims), dtype=np.float32)
        faults = {}
        for rows, (part, wrong) in zip(batches, found, strict=True):
            vectors[rows] = part
            faults.update({int(rows[place]): fault for place, fault in wrong.items()})
        if faults:
            raise FaultyInputsError(faults, vectors)
        return vectors

    def _is_blank(self, position):
        text = self._texts[position]
        return not text or text.isspace()

    def _cut(self, positions):
        max_texts = min(self._max_texts, self._requests.max_texts)
        return cut_batches(self.costs[positions], max_texts=max_texts, max_chars=self._max_chars)
