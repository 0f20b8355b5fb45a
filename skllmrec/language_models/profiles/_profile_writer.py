"""LLMProfileWriter: a language model writes what an item is, for whom and in which mood, as text for an encoder."""

import os
import warnings
from dataclasses import asdict
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skllmrec import _typing
from skllmrec._device import DTYPES
from skllmrec._format import VersionedStateMixin
from skllmrec._progress import progress_bar
from skllmrec._remote_api import RemoteAPI, parse_base_url
from skllmrec._sklearn import HasMethods, Interval, StrOptions, all_or_nothing, fit_context
from skllmrec._texts import check_texts
from skllmrec._typing import Array, Texts
from skllmrec._weights import find_weights
from skllmrec.exceptions import CheckpointError
from skllmrec.language_models.profiles._chat import ChatWriter
from skllmrec.language_models.profiles._generator import Answer, Generator, load_generator
from skllmrec.language_models.profiles._profile_text import clean_profile
from skllmrec.language_models.profiles._text_cache import TextCache
from skllmrec.preprocessing._columns import OwnContainerMixin

DEFAULT_PROMPT = (
    "Write a short profile of the following item for a recommender system, in two or three plain sentences: what it "
    "is, for whom it is, which mood it has, and what it is like. Write nothing but the profile.\n\n{text}"
)
_FIELD = "{text}"
_COUNTS = ("n_written_", "n_fallbacks_", "n_prompt_tokens_", "n_generated_tokens_")


class LLMProfileWriter(
    OwnContainerMixin, TransformerMixin, VersionedStateMixin, BaseEstimator, auto_wrap_output_keys=None
):
    r"""Let a generative language model rewrite texts as short profiles, which any encoder then reads.

    A model that has read much knows what a title and a few key words stand for: what a film is about, who likes it and
    in which mood. `transform` asks it for each text and gives its answer as plain text. It stands between
    :class:`~skllmrec.TextTemplate`, or :class:`~skllmrec.HistoryText` for users, and an encoder. Whether that helps is
    a matter of model, data and encoder: small models add little but noise. Measure it before paying for a catalogue.

    Each distinct text is written about once; with `memory`, once for good. An answer that is empty, that says that the
    model will not or cannot write, or that repeats the same few words, is replaced by the original text. A blank text
    stays as it is.

    Parameters
    ----------
    model : str or path-like
        A causal language model that was trained to follow instructions: a directory with safetensors weights, or a
        name on the hub, see :class:`~skllmrec.LLMTextEncoder`. With `base_url`, its name there.
    prompt : str or None, default=None
        What the model is asked, with ``{text}`` where the text stands; other braces mean nothing. None asks in English
        for two or three sentences on what the item is, for whom, in which mood, and what it is like.
    base_url : str or None, default=None
        Address of a server with an OpenAI-compatible ``/chat/completions``, e.g. ``"http://127.0.0.1:8000/v1"``.
        None runs the model in this process.
    api_key_env : str or None, default=None
        Name of the environment variable that holds the key of the server; the key is in no attribute and no file.
    keep_text : bool, default=False
        Put the profile behind the original text instead of in its place.
    max_new_tokens : int, default=96
        Most tokens of an answer; an answer that is cut off there loses its unfinished sentence.
    max_chars : int, default=2000
        Characters of a text that the model is given.
    temperature : float, default=0.0
        0 takes the most probable token always; higher ones draw tokens at random.
    max_texts : int or None, default=None
        Most texts that are written about from `fit` on, over all calls of `transform`. Further ones stay as they are,
        with a warning. Texts that `memory` holds cost nothing and do not count.
    batch_size : int, default=8
        Texts at a time, in this process.
    n_concurrent : int, default=4
        Requests at a time, with `base_url`.
    timeout : float, default=120.0
        Seconds that a request may take.
    max_retries : int, default=6
        How often a request is repeated that may succeed later.
    memory : str, path-like, EmbeddingStore or None, default=None
        Directory in which answers are kept for later calls and other processes, in a file of their own beside those of
        an :class:`~skllmrec.EmbeddingStore`. They are keyed by the checksum of the weights, or address and name of the
        model, by the prompt and by all that changes an answer. What was written survives a kill.
    device : str or None, default=None
        Torch device; None takes an accelerator if there is one.
    dtype : {"float32", "bfloat16", "float16"}, default="float32"
        Precision of weights and computation.
    random_state : int, default=0
        Of the sampling where `temperature` is not 0; every text has random numbers of its own. A server is sent it as
        ``seed``, and may ignore it.
    verbose : bool, default=False
        Show a progress bar with rate and remaining time, where tqdm is installed.

    Attributes
    ----------
    weights_sha256_ : str or None
        SHA-256 of weights, tokenizer and configuration; None with `base_url`.
    n_written_ : int
        Texts that the model was asked about since `fit`.
    n_fallbacks_ : int
        Texts since `fit` that stayed as they were because the answer was of no use.
    n_prompt_tokens_, n_generated_tokens_ : int
        Tokens that the model has read and written since `fit`; of a server, what it says.

    See Also
    --------
    skllmrec.TextTemplate : Makes one text of the fields of an item.
    skllmrec.HistoryText : Makes one text of what a user interacted with.

    Notes
    -----
    Every answer is made plain: thoughts, markup, links, bullets, preambles ("Sure! Here is ..."), quotes around the
    whole and sentences that were said before are taken off, and lines are joined. The counts are the only state that
    `transform` changes.

    References
    ----------
    .. [1] Y. Xi et al., "Towards open-world recommendation with knowledge augmentation from large language models",
       RecSys 2024 (KAR).
    .. [2] X. Ren et al., "Representation learning with large language models for recommendation", WWW 2024 (RLMRec).

    Examples
    --------
    A stand-in for a server, which writes the same about everything:

    >>> import json, threading
    >>> from http.server import BaseHTTPRequestHandler, HTTPServer
    >>> class Handler(BaseHTTPRequestHandler):
    ...     def do_POST(self):
    ...         self.rfile.read(int(self.headers["Content-Length"]))
    ...         message = {"content": "Sure! Here is the profile:\n**A tense film** for adults."}
    ...         answer = {"choices": [{"message": message}], "usage": {"prompt_tokens": 50, "completion_tokens": 9}}
    ...         self.send_response(200)
    ...         self.end_headers()
    ...         self.wfile.write(json.dumps(answer).encode())
    ...     def log_message(self, *args):
    ...         pass
    >>> server = HTTPServer(("127.0.0.1", 0), Handler)
    >>> thread = threading.Thread(target=server.serve_forever)
    >>> thread.start()

    >>> from skllmrec import LLMProfileWriter
    >>> writer = LLMProfileWriter("a-model", base_url=f"http://127.0.0.1:{server.server_port}/v1", keep_text=True)
    >>> writer.fit_transform(["Heat. Crime, Thriller", ""])
    array(['Heat. Crime, Thriller A tense film for adults.', ''], dtype=object)
    >>> writer.n_written_, writer.n_prompt_tokens_, writer.n_generated_tokens_
    (1, 50, 9)

    >>> server.shutdown()
    >>> thread.join()
    >>> server.server_close()
    """

    _parameter_constraints: dict = {
        "model": [str, os.PathLike],
        "prompt": [str, None],
        "base_url": [str, None],
        "api_key_env": [str, None],
        "keep_text": ["boolean"],
        "max_new_tokens": [Interval(Integral, 1, None, closed="left")],
        "max_chars": [Interval(Integral, 1, None, closed="left")],
        "temperature": [Interval(Real, 0, None, closed="left")],
        "max_texts": [Interval(Integral, 0, None, closed="left"), None],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "n_concurrent": [Interval(Integral, 1, None, closed="left")],
        "timeout": [Interval(Real, 0, None, closed="neither")],
        "max_retries": [Interval(Integral, 0, None, closed="left")],
        "memory": [str, os.PathLike, HasMethods("fetch"), None],
        "device": [str, None],
        "dtype": [StrOptions(set(DTYPES))],
        "random_state": [Interval(Integral, 0, None, closed="left")],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        model: _typing.Path,
        *,
        prompt: str | None = None,
        base_url: str | None = None,
        api_key_env: str | None = None,
        keep_text: bool = False,
        max_new_tokens: int = 96,
        max_chars: int = 2000,
        temperature: float = 0.0,
        max_texts: int | None = None,
        batch_size: int = 8,
        n_concurrent: int = 4,
        timeout: float = 120.0,
        max_retries: int = 6,
        memory: Any = None,
        device: str | None = None,
        dtype: str = "float32",
        random_state: int = 0,
        verbose: bool | int = False,
    ) -> None:
        self.model = model
        self.prompt = prompt
        self.base_url = base_url
        self.api_key_env = api_key_env
        self.keep_text = keep_text
        self.max_new_tokens = max_new_tokens
        self.max_chars = max_chars
        self.temperature = temperature
        self.max_texts = max_texts
        self.batch_size = batch_size
        self.n_concurrent = n_concurrent
        self.timeout = timeout
        self.max_retries = max_retries
        self.memory = memory
        self.device = device
        self.dtype = dtype
        self.random_state = random_state
        self.verbose = verbose

    @fit_context(prefer_skip_nested_validation=True)
    @all_or_nothing
    def fit(self, X: Texts, y: Any = None) -> "LLMProfileWriter":
        """Check parameters and texts, and find the model; nothing is written yet.

        Parameters
        ----------
        X : list, ndarray, Series or one-column frame of str, length n_texts
            The texts, one per row.
        y : object, default=None
            Ignored.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter is invalid, the prompt has no place for the text, a row is no string, or the model does not
            write texts.
        ModelNotFoundError
            If there is no model of that name.
        """
        check_texts(X, name=type(self).__name__)
        if _FIELD not in self._prompt():
            raise ValueError(f"prompt={self.prompt!r} has no {_FIELD} where the text of an item shall stand: add it")
        self.weights_sha256_ = None
        if self.base_url is None:
            weights = find_weights(self.model)
            load_generator(weights, dtype=self.dtype, device=self.device)
            self.weights_sha256_ = weights.generation_sha256
        else:
            self._api()  # finds a bad address or a missing key
        for name in _COUNTS:
            setattr(self, name, 0)
        return self

    def transform(self, X: Texts) -> Array:
        """Write a profile for each text.

        Parameters
        ----------
        X : list, ndarray, Series or one-column frame of str, length n_texts
            The texts, one per row.

        Returns
        -------
        ndarray of shape (n_texts,), dtype object
            A profile per text, or the text itself; whatever ``set_output`` says, as encoders want texts.

        Raises
        ------
        ValueError
            If a row is no string.
        CheckpointError
            If the weights have changed since `fit`.
        RemoteAPIError
            If the server fails for good; what it has written by then is in `memory`.

        Warns
        -----
        UserWarning
            If texts stay as they are because of `max_texts`.
        """
        check_is_fitted(self)
        texts = check_texts(X, name=type(self).__name__)
        wanted = list(dict.fromkeys(text for text in texts if text.strip()))
        cache = self._cache()
        answers = {} if cache is None else cache.read(wanted)
        answers = {text: Answer(**answer) for text, answer in answers.items()}
        missing = self._within_budget([text for text in wanted if text not in answers])
        if missing:
            answers |= self._write(missing, cache)
        profiles = {text: self._profile(text, answers.get(text)) for text in wanted}
        result = np.empty(len(texts), dtype=object)
        result[:] = [profiles.get(text, text) for text in texts]
        return result

    # -- the steps of a transformation --------------------------------------------------------------------------

    def _prompt(self):
        return DEFAULT_PROMPT if self.prompt is None else self.prompt

    def _api(self):
        return RemoteAPI(
            self.base_url,
            api_key_env=self.api_key_env,
            n_concurrent=self.n_concurrent,
            timeout=self.timeout,
            max_retries=self.max_retries,
        )

    def _cache(self):
        if self.memory is None:
            return None
        where = {"remote": parse_base_url(self.base_url).url, "model": os.fspath(self.model)} if self.base_url else {}
        identity = {
            **where,
            "weights": self.weights_sha256_,
            "prompt": self._prompt(),
            "max_new_tokens": int(self.max_new_tokens),
            "max_chars": int(self.max_chars),
            "temperature": float(self.temperature),
            "random_state": int(self.random_state) if self.temperature > 0 else None,
            "dtype": None if self.base_url else self.dtype,
        }
        return TextCache(getattr(self.memory, "path", self.memory), identity)

    def _within_budget(self, texts):
        """Texts that may still be written about; the others stay as they are."""
        if self.max_texts is None or self.n_written_ + len(texts) <= self.max_texts:
            return texts
        n_left = max(self.max_texts - self.n_written_, 0)
        warnings.warn(
            f"{len(texts) - n_left} of {len(texts)} new texts stay as they are: max_texts={self.max_texts} lets "
            f"{type(self).__name__} write about no more",
            UserWarning,
            stacklevel=3,
        )
        return texts[:n_left]

    def _writer(self):
        if self.base_url is not None:
            request = {"model": os.fspath(self.model), "max_tokens": int(self.max_new_tokens)}
            request |= {"temperature": float(self.temperature), "seed": int(self.random_state)}
            return ChatWriter(self._api(), request, n_concurrent=int(self.n_concurrent))
        weights = find_weights(self.model)
        if weights.generation_sha256 != self.weights_sha256_:
            raise CheckpointError(
                f"the files of the model {self.model!s} in {weights.path} have changed since fit: restore the model "
                "that was used, or fit again"
            )
        return Generator(
            *load_generator(weights, dtype=self.dtype, device=self.device),
            max_new_tokens=int(self.max_new_tokens),
            temperature=float(self.temperature),
            seed=int(self.random_state),
            batch_size=int(self.batch_size),
        )

    def _write(self, texts, cache):
        """Answers to texts, which are kept as soon as they are there."""
        answers = {}
        prompts = [self._prompt().replace(_FIELD, text[: self.max_chars]) for text in texts]
        with progress_bar(len(texts), description=type(self).__name__, unit="texts", enabled=self.verbose) as advance:
            for found in self._writer()(prompts):
                new = {texts[position]: answer for position, answer in found.items()}
                if cache is not None:
                    cache.write({text: asdict(answer) for text, answer in new.items()})
                answers |= new
                self.n_written_ += len(new)
                self.n_prompt_tokens_ += sum(answer.n_prompt_tokens for answer in new.values())
                self.n_generated_tokens_ += sum(answer.n_generated_tokens for answer in new.values())
                advance(len(new))
        return answers

    def _profile(self, text, answer):
        """Plain profile of a text; the text itself where there is none."""
        if answer is None:
            return text
        profile = "" if answer.is_refused else clean_profile(answer.text, is_cut=answer.is_cut)
        if not profile:
            self.n_fallbacks_ += 1
            return text
        return f"{text} {profile}" if self.keep_text else profile

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        return tags
