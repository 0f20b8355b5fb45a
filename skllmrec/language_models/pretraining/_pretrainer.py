"""LLMPretrainer: pre-training of a language model on one's own texts, from scratch or continued."""

import os
from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import Any

from skllmrec import _typing
from skllmrec._backbone import model_info
from skllmrec._backbone._quiet import loading, quiet
from skllmrec._device import resolve_device
from skllmrec._sklearn import Interval, StrOptions, all_or_nothing, fit_context
from skllmrec._training import Recipe, check_callbacks, training_constraints
from skllmrec._typing import FloatArray, RandomState, Texts
from skllmrec._weights import find_weights
from skllmrec.language_models._checkpoint_encoder import CheckpointEncoder
from skllmrec.language_models.pretraining._documents import divide, find_documents, join_pairs, read_texts
from skllmrec.language_models.pretraining._networks import SIZES, load_network, make_network
from skllmrec.language_models.pretraining._objectives import HELD_OUT, OBJECTIVES, make_collator, summarise
from skllmrec.language_models.pretraining._run import pretrain
from skllmrec.language_models.pretraining._tokenizer import TOKENIZERS, train_tokenizer

_SIZE_NAMES = ("hidden_size", "n_layers", "n_heads")
_SCRATCH_RATE, _CONTINUED_RATE = 5e-4, 5e-5
_CLIP_NORM = 1.0
_SEED = 0  # of a training with a checkpoint and without a seed


class LLMPretrainer(CheckpointEncoder):
    """Pre-train a language model on one's own texts, and encode texts with it.

    `fit` trains a tokenizer and a BERT from scratch, or continues the pre-training of an existing model, without
    labels. There are two objectives, which are used alone or together (their losses are added):

    - "mlm", masked language modelling: 15 % of the tokens are hidden, and predicted from the others.
    - "nsp", next-sentence prediction: whether the second of two segments follows the first one. The segments are the
      sentences of a text up to a random position, and those after it; in half of the pairs the second segment is from
      another text and of similar length. With two columns of texts, each row is a pair.

    A part of the texts is held out: loss and accuracy of each objective on them are reported for each epoch, and the
    weights of the best epoch are kept. They are saved as a directory in the format of transformers, which
    :class:`~skllmrec.LLMTextEncoder` opens as ``model``; no attribute and no pickle contains them.

    Parameters
    ----------
    model : str, path-like or None, default=None
        Model whose pre-training is continued, named as in :class:`~skllmrec.LLMTextEncoder`; its own tokenizer is used,
        and `tokenizer`, `vocab_size`, `size` and the explicit sizes are ignored. None: random initial weights.
    objectives : sequence of {"mlm", "nsp"}, default=("mlm", "nsp")
        Objectives that are minimised together.
    tokenizer : {"wordpiece", "bpe"}, default="wordpiece"
        Kind of the tokenizer that is trained: word pieces as in BERT (lower case, no accents, every Chinese character
        is a word), or byte pairs (lossless).
    vocab_size : int, default=8000
        Maximal number of tokens of the tokenizer.
    size : {"tiny", "mini", "small", "base"}, default="tiny"
        Hidden size, layers and attention heads of the model: 128, 2, 2; 256, 4, 4; 512, 4, 8; 768, 12, 12 [2]_.
    hidden_size, n_layers, n_heads : int or None, default=None
        Replaces the value of `size`; the intermediate size is always four times the hidden size.
    whole_word_masking : bool, default=False
        Hide all tokens of a word together.
    mask_probability : float, default=0.15
        Share of the tokens, or words, that are hidden. Of these, 80 % are replaced by the mask, 10 % by another token,
        and 10 % are unchanged.
    max_length : int, default=128
        Maximal number of tokens of an example, special tokens included, and of a text in `transform`. `fit` divides
        longer texts into several examples.
    batch_size : int, default=32
        Number of examples of a batch.
    learning_rate : {"linear", "cosine", "constant"}, default="linear"
        Schedule of the learning rate after the warm-up: it falls to zero at the end of the training along a line or
        half a cosine, or stays constant.
    learning_rate_init : float or None, default=None
        Highest learning rate of AdamW. None: 5e-4 for a new model, 5e-5 for continued pre-training.
    weight_decay : float, default=0.01
        Decoupled weight decay of matrices and embeddings, not of biases and scales.
    warmup : float, default=0.1
        Share of the training in which the learning rate rises.
    max_iter : int, default=10
        Maximal number of epochs, which are passes over the texts; pairs and masks are drawn again in each.
    max_steps : int or None, default=None
        Maximal number of steps of the optimiser; None: the steps of `max_iter` epochs.
    early_stopping : bool, default=True
        Hold out some texts, report the loss and accuracy on them for each epoch, stop once their loss has not improved
        for `n_iter_no_change` epochs, and keep the best epoch. False: train on all texts, and keep the last epoch.
    validation_fraction : float, default=0.1
        Share of the texts that `early_stopping` holds out.
    n_iter_no_change : int or None, default=None
        See `early_stopping`; None: all epochs are trained.
    dtype : {"auto", "float32", "bfloat16", "float16"}, default="auto"
        Precision of the forward pass; weights are float32. "auto" is bfloat16 on an accelerator that supports it, else
        float32.
    gradient_accumulation : int, default=1
        Batches whose mean gradient makes one step.
    gradient_checkpointing : bool, default=False
        Compute the states between layers twice instead of storing them: less memory, more computation.
    pooling : {"mean", "cls", "max", "last", "weighted_mean"}, default="mean"
        How `transform` combines token vectors to a text vector.
    checkpoint_dir : str, path-like or None, default=None
        Directory in which the training is saved every 100 steps, so that the same call of `fit` resumes an interrupted
        training and gives the same weights; the model is saved there as well. None: the model is saved in a cache of
        limited size, see `checkpoint_`, and the training is not saved.
    callbacks : sequence of callable, default=()
        Functions called with each record of `history_` (a dict of numbers) at the end of its epoch, for loggers such
        as TensorBoard and MLflow; a true return value ends the training. Pass functions, not methods of objects, since
        `clone` copies parameters.
    memory : str, path-like, EmbeddingStore or None, default=None
        Store of the vectors of texts, or its directory.
    device : str or None, default=None
        Torch device; None: an accelerator if there is one.
    random_state : int, RandomState instance or None, default=None
        Seed of weights, held-out texts, pairs and masks. None: another seed in each fit, or with `checkpoint_dir` a
        constant one, since a training with other random numbers could not be resumed.
    verbose : bool, default=False
        Show a progress bar with rate and remaining time if tqdm is installed.

    Attributes
    ----------
    checkpoint_ : str
        Directory of the trained model, named by a checksum of its content. Without `checkpoint_dir` it is in the folder
        ``models`` of :func:`skllmrec.get_data_home`, from which the least recently used models are removed while it is
        larger than 10 GB (environment variable ``SKLLMREC_MODEL_CACHE_SIZE``).
    weights_sha256_ : str
        SHA-256 of weights, tokenizer and configuration; `transform` accepts no others.
    embedding_size_ : int
        Length of a vector.
    max_length_ : int
        Maximal number of tokens of a text in `transform`.
    history_ : list of dict
        A record for each epoch, the first one of the weights before training: "epoch", "step", "loss" (sum over the
        objectives), and for each objective "mlm_loss" and "mlm_accuracy", "nsp_loss" and "nsp_accuracy", the same on
        held-out texts as "held_out_mlm_loss" and so on, "score" (the negative sum of the held-out losses, by which the
        best epoch is chosen), "learning_rate" and "seconds". For masked tokens also "mlm_perplexity", and
        "unigram_perplexity", the perplexity of the relative frequencies of the tokens.
    scores_ : dict of str to float
        Losses, accuracies and perplexities on the held-out texts with the weights that were kept, named as above
        without ``held_out_``; empty if no texts were held out.
    best_epoch_ : int
        Epoch of these weights.
    n_iter_, n_steps_ : int
        Epochs and steps of the optimiser that were done.

    See Also
    --------
    skllmrec.LLMTextEncoder : Encodes with an existing model.

    Notes
    -----
    On held-out texts, tokens are predicted from a masked context and pairs are classified by masked segments, as in
    training. Perplexity is the exponential of the mean loss of a masked token. It depends on the vocabulary, so that
    it compares only models with the same tokenizer.

    References
    ----------
    .. [1] J. Devlin, M.-W. Chang, K. Lee and K. Toutanova, "BERT: pre-training of deep bidirectional transformers for
       language understanding", NAACL 2019.
    .. [2] I. Turc, M.-W. Chang, K. Lee and K. Toutanova, "Well-read students learn better: on the importance of
       pre-training compact models", 2019.

    Examples
    --------
    >>> import tempfile
    >>> from skllmrec import LLMPretrainer
    >>> texts = [f"The {who} went home. It was {how} there." for who in ("cat", "dog", "fox", "hen") for how in
    ...          ("warm", "cold", "dark", "loud", "calm")]
    >>> folder = tempfile.TemporaryDirectory()
    >>> pretrainer = LLMPretrainer(hidden_size=32, max_iter=2, checkpoint_dir=folder.name, random_state=0)
    >>> pretrainer.fit_transform(texts).shape
    (20, 32)
    >>> sorted(pretrainer.scores_)
    ['mlm_accuracy', 'mlm_loss', 'mlm_perplexity', 'nsp_accuracy', 'nsp_loss', 'unigram_perplexity']
    >>> folder.cleanup()
    """

    _parameter_constraints: dict = {
        **CheckpointEncoder._parameter_constraints,
        **training_constraints("max_steps", "gradient_accumulation"),
        "model": [str, os.PathLike, None],
        "objectives": [tuple, list],
        "tokenizer": [StrOptions(set(TOKENIZERS))],
        "vocab_size": [Interval(Integral, 10, None, closed="left")],
        "size": [StrOptions(set(SIZES))],
        **{name: [Interval(Integral, 1, None, closed="left"), None] for name in _SIZE_NAMES},
        "whole_word_masking": ["boolean"],
        "mask_probability": [Interval(Real, 0, 1, closed="neither")],
        "max_length": [Interval(Integral, 8, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "gradient_checkpointing": ["boolean"],
    }

    def __init__(
        self,
        model: _typing.Path | None = None,
        *,
        objectives: Sequence[str] = ("mlm", "nsp"),
        tokenizer: str = "wordpiece",
        vocab_size: int = 8000,
        size: str = "tiny",
        hidden_size: int | None = None,
        n_layers: int | None = None,
        n_heads: int | None = None,
        whole_word_masking: bool = False,
        mask_probability: float = 0.15,
        max_length: int = 128,
        batch_size: int | str = 32,
        learning_rate: str = "linear",
        learning_rate_init: float | None = None,
        weight_decay: float | None = 0.01,
        warmup: float = 0.1,
        max_iter: int = 10,
        max_steps: int | None = None,
        early_stopping: bool = True,
        validation_fraction: float = 0.1,
        n_iter_no_change: int | None = None,
        dtype: str = "auto",
        gradient_accumulation: int = 1,
        gradient_checkpointing: bool = False,
        pooling: str = "mean",
        checkpoint_dir: _typing.Path | None = None,
        callbacks: Sequence[Callable[[dict[str, Any]], Any]] = (),
        memory: Any = None,
        device: str | None = None,
        random_state: RandomState = None,
        verbose: bool | int = False,
    ) -> None:
        self.model = model
        self.objectives = objectives
        self.tokenizer = tokenizer
        self.vocab_size = vocab_size
        self.size = size
        self.hidden_size = hidden_size
        self.n_layers = n_layers
        self.n_heads = n_heads
        self.whole_word_masking = whole_word_masking
        self.mask_probability = mask_probability
        self.max_length = max_length
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.weight_decay = weight_decay
        self.warmup = warmup
        self.max_iter = max_iter
        self.max_steps = max_steps
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.dtype = dtype
        self.gradient_accumulation = gradient_accumulation
        self.gradient_checkpointing = gradient_checkpointing
        self.pooling = pooling
        self.checkpoint_dir = checkpoint_dir
        self.callbacks = callbacks
        self.memory = memory
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    @fit_context(prefer_skip_nested_validation=True)
    @all_or_nothing
    def fit(self, X: Texts, y: Any = None) -> "LLMPretrainer":
        """Train the tokenizer and the model, and save them.

        Parameters
        ----------
        X : list, ndarray, Series or frame of str, shape (n_texts,) or (n_texts, 2)
            Texts, or pairs of texts, one text or pair per row. Blank texts are left out.
        y : object, default=None
            Ignored.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter is invalid, a row is not a string, all texts are blank, fewer than two texts have two
            sentences for "nsp", `model` cannot be trained with these objectives or has another model's tokenizer, or
            `checkpoint_dir` is a file.
        CheckpointError
            If `checkpoint_dir` holds a training of another configuration; nothing is overwritten.
        DivergenceError
            If the loss is not finite.
        TypeError
            If one of the callbacks cannot be called.
        ModelNotFoundError
            If there is no `model` of that name.
        """
        self.embedding_size_ = self._fit_encoder(read_texts(X, name=type(self).__name__))
        return self

    def transform(self, X: Texts, *, out: Any = None) -> FloatArray:
        """Encode texts with the trained model.

        Parameters
        ----------
        X : list, ndarray, Series, frame or iterator of str, shape (n_texts,) or (n_texts, 2)
            Texts. In an array or frame with two columns, the two texts of a row are encoded as one.
        out : None, ndarray of shape (n_texts, embedding_size_), str or path-like, default=None
            Destination of the vectors, see :meth:`skllmrec.LLMTextEncoder.transform`.

        Returns
        -------
        ndarray of shape (n_texts, embedding_size_), dtype float32

        Raises
        ------
        ValueError
            If a row is not a string.
        CheckpointError
            If the saved model has changed since `fit`.
        ModelNotFoundError
            If the saved model does not exist any more.
        """
        return super().transform(join_pairs(X, name=type(self).__name__), out=out)

    # -- the steps of a fit -------------------------------------------------------------------------------------

    def _fit_encoder(self, columns):
        self._check_parameters()
        device, seed, with_pairs = resolve_device(self.device), self._draw_seed(_SEED), "nsp" in self.objectives
        found = find_documents(columns, with_pairs=with_pairs)
        fraction = self.validation_fraction if self.early_stopping else 0.0
        documents = divide(found, fraction=fraction, least=2 if with_pairs else 1, seed=seed)
        network, tokenizer, origin = self._network(documents[0], seed)
        collator = make_collator(
            tokenizer,
            objectives=tuple(dict.fromkeys(self.objectives)),
            max_length=int(self.max_length),
            batch_size=int(self.batch_size),
            mask_probability=float(self.mask_probability),
            whole_words=bool(self.whole_word_masking),
        )
        training = pretrain(
            network.to(device),
            tokenizer,
            documents,
            collator,
            self._recipe(seed),
            origin=origin,
            directory=self.checkpoint_dir,
            callbacks=self.callbacks,
            gradient_checkpointing=self.gradient_checkpointing,
            verbose=self.verbose,
        )
        self.history_ = [summarise(record, collator.objectives) for record in training.history]
        self.n_iter_, self.n_steps_ = training.epoch, training.step
        self.scores_ = self._scores(training.best_epoch)

        def save(folder):
            with loading, quiet():
                network.save_pretrained(folder)
                tokenizer.save_pretrained(folder)

        return self._keep(save, name="pretrained")

    def _network(self, documents, seed):
        """Load or create network and tokenizer; return them and the checksum of the loaded weights."""
        if self.model is not None:
            weights = find_weights(self.model)
            return *load_network(weights, with_pairs="nsp" in self.objectives, seed=seed), weights.sha256
        sentences, length = list(documents.flat()), int(self.max_length)
        tokenizer = train_tokenizer(sentences, kind=self.tokenizer, vocab_size=int(self.vocab_size), max_length=length)
        return make_network(tokenizer, sizes=self._sizes(), max_length=length, seed=seed), tokenizer, None

    def _check_parameters(self):
        """Check what the constraints of single parameters cannot check."""
        check_callbacks(self.callbacks)
        self._check_directory()
        unknown = [name for name in self.objectives if name not in OBJECTIVES]
        if unknown or not self.objectives:
            what = f"has {unknown[0]!r}, which is unknown" if unknown else "is empty"
            raise ValueError(f"objectives={self.objectives!r} {what}: choose from {', '.join(map(repr, OBJECTIVES))}")
        hidden_size, _, n_heads = self._sizes()
        if self.model is None and hidden_size % n_heads:
            raise ValueError(f"hidden_size={hidden_size} cannot be divided among n_heads={n_heads}: choose a multiple")
        if self.model is not None:
            readable = model_info(self.model).max_length
            if readable is not None and readable < self.max_length:
                raise ValueError(
                    f"max_length={self.max_length} is more than the {readable} tokens {self.model!s} reads"
                )

    def _sizes(self):
        given = (getattr(self, name) for name in _SIZE_NAMES)
        return tuple(
            preset if size is None else int(size) for size, preset in zip(given, SIZES[self.size], strict=True)
        )

    def _recipe(self, seed):
        rate = self.learning_rate_init or (_SCRATCH_RATE if self.model is None else _CONTINUED_RATE)
        return Recipe(
            max_iter=int(self.max_iter),
            learning_rate=self.learning_rate,
            learning_rate_init=float(rate),
            weight_decay=float(self.weight_decay),
            warmup=float(self.warmup),
            clip_norm=_CLIP_NORM,
            gradient_accumulation=int(self.gradient_accumulation),
            dtype=self.dtype,
            n_iter_no_change=self.n_iter_no_change if self.early_stopping else None,
            seed=seed,
            max_steps=None if self.max_steps is None else int(self.max_steps),
        )

    def _scores(self, best_epoch):
        """Return the held-out scores of the weights that were kept."""
        self.best_epoch_ = self.n_iter_ if best_epoch is None else best_epoch
        record = next((record for record in self.history_ if record["epoch"] == best_epoch), {})
        return {name.removeprefix(HELD_OUT): value for name, value in record.items() if name.startswith(HELD_OUT)}
