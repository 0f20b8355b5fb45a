"""Requests for embeddings: smaller ones where a request is too large, and the texts that a server cannot encode."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from skllmrec._remote_api import Refusal, RemoteAPI, refusal_of
from skllmrec._typing import FloatArray
from skllmrec.encoders.remote._answers import read_embeddings
from skllmrec.exceptions import RemoteAPIError

PROBE = "a film"  # a text that any server can encode: shows the length of a vector, and whether the server works
_PATH = "embeddings"
_CRASHES = {500, 502}  # what a text may cause by itself, though the server does not say so; 503 and 504 are its load
_MOST_FAULTS = 10  # texts of a batch; with more, the reason is hardly the texts
_SHOWN = 40  # characters of a text in a message
_REMEDIES = {
    "size": "is too long for the server by itself: let the server cut texts to what the model reads, or cut them first",
    "text": "cannot be encoded by the server, also when it is sent by itself: change it or leave it out",
}


class Fault(NamedTuple):
    """Why a text has no vector.

    Parameters
    ----------
    what : str
        What the server said or gave.
    text : str
        The text.
    kind : {"size", "text"}
        Whether it is too long, or cannot be encoded.
    status : int or None
        Status of the answer.
    detail : str
        Message of the server.
    """

    what: str
    text: str
    kind: str
    status: int | None
    detail: str

    def __call__(self, row: int, others: list[int]) -> RemoteAPIError:
        """Return the error, which names the row in the input of the user, and other rows with a fault."""
        shown = self.text if len(self.text) <= _SHOWN else f"{self.text[:_SHOWN]}..."
        message = f"{self.what}. The text at position {row} ({len(self.text):,} characters, {shown!r}) "
        message += _REMEDIES[self.kind]
        if others:
            places = ", ".join(map(str, others[:8])) + (", ..." if len(others) > 8 else "")
            message += f". So it is with {len(others)} more text(s), at position(s) {places}"
        return RemoteAPIError(message, self.status, self.detail)


class _Search:
    """The search for what a server does not take in a batch; it ends early where the server takes nothing.

    A search for one text halves a batch of n texts ``log2(n)`` times. With twice as many failures and no success, the
    reason is not a few texts, and every text of the batch would have to be sent by itself.
    """

    def __init__(self, n_texts):
        self.is_begun = False  # the first request has failed
        self._n_left = 2 * math.ceil(math.log2(n_texts)) + 4
        self._n_faults = 0

    @property
    def is_over(self):
        return self._n_left <= 0 or self._n_faults >= _MOST_FAULTS

    def succeed(self):
        self._n_left = math.inf

    def fail(self):
        self.is_begun = True
        self._n_left -= 1

    def fail_at_text(self):
        """Count a text that fails by itself."""
        self.fail()
        self._n_faults += 1


class EmbeddingRequests:
    """Encodes batches of texts on a server; threads share the object.

    A batch that is too large is sent in smaller parts: of as many texts as the server names, or halves. So is a batch
    with a text that the server fails at, which it says, or which repetitions of the request do not change while
    another text is encoded.

    Parameters
    ----------
    api : RemoteAPI
        The service.
    request : dict
        What goes with every request: model and options.
    prompt : str
        What each text begins with; messages show what follows.
    n_dims : int or None
        Length of a vector; None where it is not known yet.
    max_texts : int
        Most texts of a request.
    """

    def __init__(
        self, api: RemoteAPI, request: dict[str, Any], *, prompt: str, n_dims: int | None, max_texts: int
    ) -> None:
        self._api = api
        self._request = request
        self._prompt = prompt
        self._n_dims = n_dims
        self.max_texts = max_texts

    def __call__(self, texts: list[str]) -> tuple[FloatArray, dict[int, Callable[[int, list[int]], Exception]]]:
        """Encode a batch.

        Parameters
        ----------
        texts : list of str, length n_texts

        Returns
        -------
        vectors : ndarray of shape (n_texts, n_dims), dtype float32
            NaN where a text has no vector.
        faults : dict of int to Fault
            Position of a text -> why the server cannot encode it. A text without vector and fault was not tried.

        Raises
        ------
        RemoteAPIError
            If the server cannot be reached or does not answer as it should.
        """
        return self._encode(texts, _Search(len(texts)))

    def _encode(self, texts, search):
        if search.is_over:
            return self._nothing(len(texts)), {}
        size = self.max_texts
        if len(texts) > size:
            return self._encode_parts(texts, size, search)
        try:
            answer = self._post(texts, search)
        except RemoteAPIError as error:
            return self._recover(texts, error, search)
        return self._read(texts, answer, search)

    def _post(self, texts, search):
        def is_final(status: int | None, refusal: Refusal) -> bool:
            """Whether to look for the reason in the texts instead of sending them again."""
            is_told = refusal.kind in _REMEDIES
            return is_told or (search.is_begun and status in _CRASHES and len(texts) > 1)

        return self._api.post_json(_PATH, {**self._request, "input": texts}, is_final=is_final)

    def _recover(self, texts, error, search):
        """Encode a batch in parts after the server has refused it or failed at it.

        Raises
        ------
        RemoteAPIError
            The error itself, if its reason is not the texts.
        """
        if self._n_dims is None:  # the texts are not those of the user
            raise error
        refusal = refusal_of(error)
        kind = refusal.kind if refusal.kind in _REMEDIES else self._kind_of_crash(texts, error, search)
        if kind is None:
            raise error
        if refusal.limit is not None and refusal.limit < len(texts):
            self.max_texts = min(self.max_texts, refusal.limit)
            return self._encode_parts(texts, refusal.limit, search)
        if len(texts) == 1:
            search.fail_at_text()
            return self._nothing(1), {0: self._fault(str(error), texts[0], kind, error)}
        search.fail()
        size = math.ceil(len(texts) / 2)
        vectors, faults = self._encode_parts(texts, size, search)
        # a part that the server takes shows its limit, unless the reason was a text
        if kind == "size" and not faults and np.isfinite(vectors).all():
            self.max_texts = min(self.max_texts, size)
        return vectors, faults

    def _kind_of_crash(self, texts, error, search):
        """Return the kind "text" if the server fails at a batch, but works; otherwise None."""
        if error.status not in _CRASHES:
            return None
        if not search.is_begun or len(texts) == 1:  # before a search, and before a verdict
            try:
                self._api.post_json(_PATH, {**self._request, "input": [PROBE]}, is_final=lambda status, refusal: True)
            except RemoteAPIError:
                return None
        return "text"

    def _encode_parts(self, texts, size, search):
        vectors, faults = [], {}
        for cut in np.array_split(np.arange(len(texts)), math.ceil(len(texts) / size)):
            part, wrong = self._encode([texts[place] for place in cut], search)
            vectors.append(part)
            faults.update({int(cut[place]): fault for place, fault in wrong.items()})
        return np.concatenate(vectors), faults

    def _read(self, texts, answer, search):
        """Vectors out of an answer; texts without one are sent again, each by itself.

        Raises
        ------
        RemoteAPIError
            If the answer is not to be used.
        """
        try:
            vectors, wrong = read_embeddings(answer, n_texts=len(texts), n_dims=self._n_dims)
        except ValueError as error:
            raise self._invalid(str(error)) from None
        if not wrong:
            search.succeed()
            return vectors, {}
        what = next(iter(wrong.values()))
        if len(texts) == 1 and self._n_dims is not None:
            search.fail_at_text()
            return vectors, {0: self._fault(self._describe(what), texts[0], "text", RemoteAPIError("", 200))}
        if 2 * len(wrong) > len(texts):  # a wrong model rather than wrong texts
            raise self._invalid(f"{what}, for {len(wrong)} of {len(texts)} texts")
        search.succeed()
        faults = {}
        for place in wrong:  # in a batch, what is wrong with one text may come from others
            part, fault = self._encode([texts[place]], search)
            vectors[place] = part[0]
            faults.update(dict.fromkeys([place], fault[0]) if fault else {})
        return vectors, faults

    def _fault(self, what, text, kind, error):
        return Fault(what, text.removeprefix(self._prompt), kind, error.status, error.detail)

    def _nothing(self, n_texts):
        return np.full((n_texts, self._n_dims), np.nan, dtype=np.float32)

    def _describe(self, what):
        return f"{self._api.url}/{_PATH} answered the model {self._request['model']!r} with {what}"

    def _invalid(self, what):
        return RemoteAPIError(
            f"{self._describe(what)}. Nothing of this answer is used: check that base_url and model name an embedding "
            "model, and look into the server's log",
            200,
        )
