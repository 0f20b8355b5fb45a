"""RemoteTextEncoder: vectors of texts from a server."""

import json
import os
from numbers import Integral, Real
from typing import Any

from sklearn.preprocessing import normalize as unit_rows

from skllmrec._inputs import FaultyInputsError
from skllmrec._remote_api import RemoteAPI, parse_base_url
from skllmrec._sklearn import HasMethods, Interval, StrOptions
from skllmrec._store import EmbeddingStore
from skllmrec._typing import FloatArray, IntArray, Path
from skllmrec.base import BaseTextEncoder
from skllmrec.encoders.remote._job import EmbeddingJob
from skllmrec.encoders.remote._requests import PROBE

_OWN = {"model", "input", "dimensions", "encoding_format"}  # fields of a request that have parameters of their own


class _UnitJob:
    """A job whose vectors are scaled to unit length."""

    def __init__(self, job: EmbeddingJob) -> None:
        self._job = job
        self.costs = job.costs
        self.groups = job.groups

    def encode(self, positions: IntArray) -> FloatArray:
        """Encode the texts at `positions`; a zero vector stays zero.

        Raises
        ------
        FaultyInputsError
            If the server cannot encode some texts, but others.
        """
        try:
            return unit_rows(self._job.encode(positions), copy=False)
        except FaultyInputsError as fault:
            fault.vectors[fault.is_encoded] = unit_rows(fault.vectors[fault.is_encoded])
            raise


class RemoteTextEncoder(BaseTextEncoder):
    """Encode texts with a model behind an OpenAI-compatible ``/v1/embeddings`` server.

    vLLM, text-embeddings-inference, Ollama, llama.cpp and most hosted services implement this protocol. Every distinct
    text of a call is sent once, with others of similar length, several requests at a time; with `memory` no text is
    paid for twice. Requests that may succeed later (429, 5xx, time-outs, cut connections) are repeated after waits
    that double, or that the server names. An answer is used only if it has one finite vector of the right length
    for every text, each identified by its index. Where the server cannot encode a text, the others are encoded, and
    kept in `memory`, before an error names it.

    A blank text (empty or white space, after `prompt`) is not sent, as many servers refuse it: its vector is zero.

    Parameters
    ----------
    model : str
        Name of the model, as the server knows it.
    base_url : str, default="http://127.0.0.1:8000/v1"
        Address of the server, without ``/embeddings``. A key is sent to ``https://`` addresses and to this computer
        only; redirects are not followed; proxies of the environment are used, except for this computer.
    api_key_env : str or None, default=None
        Name of the environment variable that holds the key, e.g. ``"OPENAI_API_KEY"``; None sends no key. The key
        itself is read when a request is sent, and is in no attribute, pickle, store or message.
    prompt : str or None, default=None
        Text put before every text, for models that were trained with an instruction.
    dimensions : int or None, default=None
        Length of a vector to ask for, of models that can cut it. `fit` then asks the server nothing.
    extra_body : dict or None, default=None
        More fields for every request, for services that want them, e.g. ``{"input_type": "passage"}``. It is no place
        for a key: parameters are shown. Fields whose value is None are not sent.
    normalize : bool, default=False
        Scale every vector to unit length (a zero vector stays zero).
    encoding_format : {"float", "base64"} or None, default="float"
        How the server writes vectors. ``"base64"`` is a quarter of the size and much faster to read, but not every
        server knows it. None does not send the field, for servers that refuse it. Either is understood, whatever was
        asked for.
    max_batch_texts : int, default=64
        Most texts of a request. Where a server takes fewer and says how many, that is done; where it only says that a
        request is too large, it is halved until it is not.
    max_batch_chars : int, default=100_000
        Most characters of a request; a longer text is sent alone.
    n_concurrent : int, default=4
        Requests at a time, of each worker of a search.
    timeout : float, default=60.0
        Seconds that a request may take.
    max_retries : int, default=6
        How often a request is repeated: six waits make about a minute, the unit of most rate limits. A request and
        its repetitions take at most about ``(max_retries + 1) * (timeout + 120)`` seconds.
    memory : str, path-like, EmbeddingStore or None, default=None
        Directory of a store that keeps the vector of every text for later calls, other processes and other
        candidates of a search. It is keyed by address, model, length and all parameters that change a vector; what
        a server does under an unchanged name it cannot know: after a change of the model, use another directory. When
        a request fails for good, what is lost is at most the ``4 * n_concurrent`` requests of its group.
    verbose : bool, default=False
        Show a progress bar with rate and remaining time, where tqdm is installed.

    Attributes
    ----------
    embedding_size_ : int
        Length of a vector.

    See Also
    --------
    LLMTextEncoder : The same from a model in this process.
    EmbeddingWhitener : Centres, whitens or truncates the vectors.

    References
    ----------
    .. [1] OpenAI, "Create embeddings", API reference,
       https://platform.openai.com/docs/api-reference/embeddings/create

    Examples
    --------
    A small server, whose vectors are the counts of the vowels:

    >>> import json, threading
    >>> from http.server import BaseHTTPRequestHandler, HTTPServer
    >>> class VowelHandler(BaseHTTPRequestHandler):
    ...     def do_POST(self):
    ...         texts = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["input"]
    ...         vectors = [[text.count(vowel) for vowel in "aeiou"] for text in texts]
    ...         entries = [{"index": i, "embedding": vector} for i, vector in enumerate(vectors)]
    ...         self.send_response(200)
    ...         self.end_headers()
    ...         self.wfile.write(json.dumps({"data": entries}).encode())
    ...     def log_message(self, *args):
    ...         pass
    >>> server = HTTPServer(("127.0.0.1", 0), VowelHandler)
    >>> thread = threading.Thread(target=server.serve_forever)
    >>> thread.start()

    >>> from skllmrec import RemoteTextEncoder
    >>> encoder = RemoteTextEncoder("vowels", base_url=f"http://127.0.0.1:{server.server_port}/v1")
    >>> encoder.fit_transform(["a banana", "", "two films"])
    array([[4., 0., 0., 0., 0.],
           [0., 0., 0., 0., 0.],
           [0., 0., 1., 1., 0.]], dtype=float32)

    >>> server.shutdown()
    >>> thread.join()
    >>> server.server_close()
    """

    _parameter_constraints: dict = {
        "model": [str],
        "base_url": [str],
        "api_key_env": [str, None],
        "prompt": [str, None],
        "dimensions": [Interval(Integral, 1, None, closed="left"), None],
        "extra_body": [dict, None],
        "normalize": ["boolean"],
        "encoding_format": [StrOptions({"float", "base64"}), None],
        "max_batch_texts": [Interval(Integral, 1, None, closed="left")],
        "max_batch_chars": [Interval(Integral, 1, None, closed="left")],
        "n_concurrent": [Interval(Integral, 1, None, closed="left")],
        "timeout": [Interval(Real, 0, None, closed="neither")],
        "max_retries": [Interval(Integral, 0, None, closed="left")],
        "memory": [str, os.PathLike, HasMethods("fetch"), None],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        model: str,
        *,
        base_url: str = "http://127.0.0.1:8000/v1",
        api_key_env: str | None = None,
        prompt: str | None = None,
        dimensions: int | None = None,
        extra_body: dict[str, Any] | None = None,
        normalize: bool = False,
        encoding_format: str | None = "float",
        max_batch_texts: int = 64,
        max_batch_chars: int = 100_000,
        n_concurrent: int = 4,
        timeout: float = 60.0,
        max_retries: int = 6,
        memory: Path | EmbeddingStore | None = None,
        verbose: bool = False,
    ) -> None:
        self.model = model
        self.base_url = base_url
        self.api_key_env = api_key_env
        self.prompt = prompt
        self.dimensions = dimensions
        self.extra_body = extra_body
        self.normalize = normalize
        self.encoding_format = encoding_format
        self.max_batch_texts = max_batch_texts
        self.max_batch_chars = max_batch_chars
        self.n_concurrent = n_concurrent
        self.timeout = timeout
        self.max_retries = max_retries
        self.memory = memory
        self.verbose = verbose

    def _fit_encoder(self, texts):
        self._check_extra_body()
        if self.dimensions is not None:
            self._api()  # finds a bad address or a missing key
            return int(self.dimensions)
        job = self._job([PROBE], n_dims=None)
        return job.encode(job.groups[0]).shape[1]

    def _check_extra_body(self):
        extra = self.extra_body or {}
        taken = sorted(_OWN & set(extra))
        if taken:
            raise ValueError(
                f"extra_body={extra!r} sets {', '.join(taken)}: use the parameters of the encoder for that"
            )
        try:
            json.dumps(extra, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ValueError(f"extra_body={extra!r} cannot be sent as JSON ({error})") from error

    def _extra(self):
        """Fields of `extra_body` that are sent."""
        return {name: value for name, value in (self.extra_body or {}).items() if value is not None}

    def _api(self):
        return RemoteAPI(
            self.base_url,
            api_key_env=self.api_key_env,
            n_concurrent=self.n_concurrent,
            timeout=self.timeout,
            max_retries=self.max_retries,
        )

    def _job(self, texts, *, n_dims):
        dimensions = None if self.dimensions is None else int(self.dimensions)
        own = {"model": self.model, "encoding_format": self.encoding_format, "dimensions": dimensions}
        request = self._extra() | {name: value for name, value in own.items() if value is not None}
        return EmbeddingJob(
            self._api(),
            texts,
            prompt=self.prompt or "",
            request=request,
            n_dims=n_dims,
            max_texts=self.max_batch_texts,
            max_chars=self.max_batch_chars,
            n_concurrent=self.n_concurrent,
        )

    def _identity(self):
        return {
            "remote": parse_base_url(self.base_url).url,
            "model": self.model,
            "size": self.embedding_size_,
            "dimensions": None if self.dimensions is None else int(self.dimensions),
            "extra_body": self._extra(),
            "prompt": self.prompt or "",
            "normalize": bool(self.normalize),
        }

    def _start(self, texts):
        job = self._job(texts, n_dims=self.embedding_size_)
        return _UnitJob(job) if self.normalize else job
