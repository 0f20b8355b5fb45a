"""LLMFineTuner: fine-tuning of a text encoder on interactions, labels or numbers."""

import os
from collections.abc import Callable, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np

from skllmrec import _typing
from skllmrec._backbone import model_info
from skllmrec._device import resolve_device
from skllmrec._sklearn import HasMethods, Interval, StrOptions, all_or_nothing, fit_context
from skllmrec._texts import check_texts
from skllmrec._training import Checkpoint, check_callbacks
from skllmrec._typing import RandomState, Texts
from skllmrec.language_models._checkpoint_encoder import CheckpointEncoder
from skllmrec.language_models.fine_tuning._augmenters import check_augmenter, describe_augmenter
from skllmrec.language_models.fine_tuning._partial_model import CorpusEncoder
from skllmrec.language_models.fine_tuning._projection import TunedJob, remember, write_projection
from skllmrec.language_models.fine_tuning._targets import OBJECTIVES, read_targets, targets_digest
from skllmrec.language_models.fine_tuning._tuning import Options, Tuning, make_recipe, split_rows

_EVERY = 20  # steps between two writes of a checkpoint
# parameters that must be the same for a training to be resumed
_IDENTITY = (
    "task_weights",
    "trainable",
    "lora_rank",
    "pooling",
    "n_components",
    "batch_size",
    "temperature",
    "threshold",
    "early_stopping",
    "validation_fraction",
    "dtype",
    "token_dropout",
)


class LLMFineTuner(CheckpointEncoder):
    r"""Fine-tune a pre-trained language model on interactions, labels or numbers, and encode texts with it.

    This is a supervised text encoder. `fit` takes texts and targets: the interactions of each text as a sparse matrix,
    which recommenders pass to their encoders, or labels, numbers or a dense matrix. Some texts are held out, and after
    each epoch they are scored as new items. The weights of the best epoch are kept, those before training included: if
    tuning does not improve the score beyond chance, the vectors are those of the untuned model (`improved_`).

    The layers below the trained ones are run once, and their states are stored in a temporary file. No attribute and no
    pickle contains weights: a tuned model is a folder in the format of transformers, named by its content.

    Parameters
    ----------
    model : str or path-like, default="sentence-transformers/all-MiniLM-L6-v2"
        Initial model, named as in :class:`LLMTextEncoder`.
    objective : str, default="auto"
        Loss that is minimised, for vectors :math:`a_i` of unit length.

        - "contrastive": softmax cross-entropy of an item given the user's other items in the batch, among the items of
          the batch [1]_; the user's other items are neither positive nor negative.
        - "factors": squared error of a linear head that predicts latent factors: 64 of a singular value decomposition
          of the interactions, each item weighted by log(1 + its number), or the columns of a dense matrix. The head
          starts from the ridge regression.
        - "interactions": distance of the interactions X of users from :math:`X (A A^T - I)` [2]_. Activations are
          computed twice, in chunks, so that memory does not grow with the batch.
        - "regression", "classification": numbers or labels from a linear head.
        - "multitask": the weighted sum of several losses: those in `task_weights` or in a dict of targets, else
          "contrastive" and "factors".
        - "auto": for interactions "contrastive" and "factors", of which the better one on held-out texts is kept; for
          continuous numbers "regression"; for other numbers and labels "classification".
    task_weights : dict of str to float, default=None
        Weight of each objective of "multitask"; None: weights by uncertainty, learned with the model [3]_.
    trainable : int, "all" or "lora", default=2
        Number of last layers that are trained; "all": all layers and the embeddings; "lora": low-rank adapters of
        all layers [4]_, merged into the weights at the end (``pip install "skllmrec[finetune]"``).
    lora_rank : int, default=8
        Rank of the adapters.
    pooling : {"mean", "cls", "max", "last", "weighted_mean"}, default="mean"
        How token vectors are combined to a text vector.
    n_components : int, default=None
        Length of the vectors after a linear projection, which is initialised by the principal directions and trained
        with the model; None: no projection.
    max_length : int or None, default=48
        Maximal number of tokens of a text, special tokens included; None: the maximum of the model. Training time grows
        with it.
    batch_size : int or "auto", default="auto"
        Number of texts of a step; "auto": 256 for "contrastive", 1,024 for "interactions", else 128, and less (at least
        32) if an epoch would have fewer than ten steps.
    learning_rate : {"linear", "cosine", "constant"}, default="linear"
        Schedule of the learning rate after the warm-up: it falls to zero at `max_iter` along a line or half a cosine,
        or stays constant.
    learning_rate_init : float, default=3e-4
        Highest learning rate of AdamW; the learning rate of heads is five times as high.
    weight_decay : float, default=0.01
        Decoupled weight decay of matrices.
    warmup : float, default=0.1
        Share of the steps in which the learning rate rises.
    max_iter : int, default=8
        Maximal number of epochs, which are passes over the texts, of each objective.
    early_stopping : bool, default=True
        Hold out some texts, stop an objective once their score has not improved for `n_iter_no_change` epochs, and keep
        the best epoch, the model before training included. False: train `max_iter` epochs on all texts, and keep the
        last one.
    validation_fraction : float, default=0.1
        Share of the texts that `early_stopping` holds out.
    n_iter_no_change : int or None, default=2
        See `early_stopping`; None: all epochs are trained.
    temperature : float, default=0.1
        Temperature :math:`\tau` of "contrastive".
    threshold : float, default=None
        Smallest target of a positive interaction, such as 4 for ratings; None: any value above 0. "contrastive",
        "factors" and "interactions" use which interactions are positive, not their values.
    token_dropout : float, default=0.0
        Share of the tokens that are removed from the input of the trained layers, drawn again in each step; the lower
        layers have processed all tokens. Steps become cheaper, and vectors depend less on single words.
    augmenter : TextAugmenter, default=None
        Random changes of the texts during training, drawn again in each epoch. The lower layers are then run in each
        step.
    checkpoint_dir : str or path-like, default=None
        Folder of tuned models, from which nothing is removed. Trainings are saved there as well: the same call of `fit`
        resumes an interrupted training and gives the same result. Each data set has its own training; the same data
        with other parameters raise an error. None: models are saved in ``get_data_home() / "models"``, a cache of 10 GB
        (environment variable ``SKLLMREC_MODEL_CACHE_SIZE``) from which the least recently used models are removed.
    callbacks : sequence of callable, default=()
        Functions called with each record of `history_` at the end of its epoch, for loggers such as TensorBoard and
        MLflow; a true return value ends the training with this objective. Pass functions, not methods of objects, since
        `clone` copies parameters. An error in a callback ends `fit`.
    memory : str, path-like, EmbeddingStore or None, default=None
        Store of vectors, keyed by the tuned weights, see :class:`LLMTextEncoder`.
    device : str or None, default=None
        Torch device; None: an accelerator if there is one.
    dtype : {"auto", "float32", "bfloat16"}, default="auto"
        Precision of matrix products during training; "auto": bfloat16 if the device has instructions for it. Weights
        are float32, and `transform` computes in float32.
    random_state : int, RandomState instance or None, default=None
        Seed of held-out rows, batches and dropout. None: another seed in each fit, or with `checkpoint_dir` a seed
        derived from the data, so that a training can be resumed.
    verbose : bool, default=False
        Show a progress bar if tqdm is installed.

    Attributes
    ----------
    checkpoint_ : str
        Folder of the tuned model, or of `model` if tuning did not help, for ``LLMTextEncoder(checkpoint_)``. A
        projection is a separate file in it, which `LLMTextEncoder` does not apply.
    improved_ : bool or None
        Whether tuning increased the score on held-out texts by more than two standard errors, which include the
        variance over users and over texts. None if no texts were held out.
    objective_ : str or None
        The objective whose weights were kept; None if the weights of `model` were kept.
    n_iter_ : int
        Number of epochs that were trained; the maximum over the objectives.
    history_ : list of dict
        A record for each epoch: "objective", "epoch" (0: before training), "step", "loss", "score" on the held-out
        texts (interactions: NDCG@20 of recommending them as new items, by a ridge regression to latent factors or by
        the cosine to the user's other items, whichever is better; labels: accuracy; numbers: R2), "learning_rate",
        "seconds", with "multitask" the loss of each objective.
    embedding_size_ : int
        Length of a vector.
    max_length_ : int or None
        Maximal number of tokens of a text.
    weights_sha256_ : str
        SHA-256 of the files of the model; `transform` accepts no others.

    See Also
    --------
    LLMTextEncoder : Encodes without training.
    TextAugmenter : Random changes of texts.

    References
    ----------
    .. [1] A. van den Oord, Y. Li, O. Vinyals, "Representation learning with contrastive predictive coding", 2018.
    .. [2] V. Vancura, P. Kordik, M. Straka, "beeFormer: bridging the gap between semantic and interaction similarity in
       recommender systems", RecSys 2024.
    .. [3] A. Kendall, Y. Gal, R. Cipolla, "Multi-task learning using uncertainty to weigh losses for scene geometry and
       semantics", CVPR 2018.
    .. [4] E. Hu et al., "LoRA: low-rank adaptation of large language models", ICLR 2022.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from scipy.sparse import csr_array
    >>> from skllmrec import LLMFineTuner, LLMTextEncoder
    >>> texts = ["space war", "alien planet", "robot ship", "wedding", "first love", "a kiss in paris"]
    >>> films_of_users = csr_array(np.repeat([[1, 0], [0, 1]], 3, axis=0))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tuner = LLMFineTuner(early_stopping=False, max_iter=1, checkpoint_dir=folder)
    ...     vectors = tuner.fit_transform(texts, films_of_users)
    ...     np.allclose(vectors, LLMTextEncoder(tuner.checkpoint_, normalize=True).fit_transform(texts), atol=1e-5)
    True
    """

    _parameter_constraints: dict = {
        **CheckpointEncoder._parameter_constraints,
        "model": [str, os.PathLike],
        "objective": [StrOptions({"auto", "multitask", *OBJECTIVES})],
        "task_weights": [dict, None],
        "trainable": [StrOptions({"all", "lora"}), Interval(Integral, 1, None, closed="left")],
        "lora_rank": [Interval(Integral, 1, None, closed="left")],
        "n_components": [Interval(Integral, 1, None, closed="left"), None],
        "max_length": [Interval(Integral, 1, None, closed="left"), None],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 2, None, closed="left")],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "temperature": [Interval(Real, 0, None, closed="neither")],
        "threshold": [Real, None],
        "token_dropout": [Interval(Real, 0, 1, closed="left")],
        "augmenter": [HasMethods("augment"), None],
        "dtype": [StrOptions({"auto", "float32", "bfloat16"})],
    }

    def __init__(
        self,
        model: _typing.Path = "sentence-transformers/all-MiniLM-L6-v2",
        *,
        objective: str = "auto",
        task_weights: dict[Any, float] | None = None,
        trainable: int | str = 2,
        lora_rank: int = 8,
        pooling: str = "mean",
        n_components: int | None = None,
        max_length: int | None = 48,
        batch_size: int | str = "auto",
        learning_rate: str = "linear",
        learning_rate_init: float = 3e-4,
        weight_decay: float = 0.01,
        warmup: float = 0.1,
        max_iter: int = 8,
        early_stopping: bool = True,
        validation_fraction: float = 0.1,
        n_iter_no_change: int | None = 2,
        temperature: float = 0.1,
        threshold: float | None = None,
        token_dropout: float = 0.0,
        augmenter: Any = None,
        checkpoint_dir: _typing.Path | None = None,
        callbacks: Sequence[Callable[[dict[str, Any]], Any]] = (),
        memory: Any = None,
        device: str | None = None,
        dtype: str = "auto",
        random_state: RandomState = None,
        verbose: bool | int = False,
    ) -> None:
        self.model = model
        self.objective = objective
        self.task_weights = task_weights
        self.trainable = trainable
        self.lora_rank = lora_rank
        self.pooling = pooling
        self.n_components = n_components
        self.max_length = max_length
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.weight_decay = weight_decay
        self.warmup = warmup
        self.max_iter = max_iter
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.temperature = temperature
        self.threshold = threshold
        self.token_dropout = token_dropout
        self.augmenter = augmenter
        self.checkpoint_dir = checkpoint_dir
        self.callbacks = callbacks
        self.memory = memory
        self.device = device
        self.dtype = dtype
        self.random_state = random_state
        self.verbose = verbose

    @fit_context(prefer_skip_nested_validation=True)
    @all_or_nothing
    def fit(self, X: Texts, y: Any = None) -> "LLMFineTuner":
        """Tune the model.

        Parameters
        ----------
        X : list, ndarray, Series or one-column frame of str, length n_texts
            The texts, one per row.
        y : sparse matrix of shape (n_texts, n_others), array-like of shape (n_texts,) or (n_texts, k), or dict
            Required. Interactions of each text; labels, numbers, a dense matrix; for "multitask" also a dict of
            objective -> one of these. Texts without a positive interaction are not trained on.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter is invalid, a row is not a string, targets are missing, do not fit the texts or the
            objective, are not finite or constant; or if `checkpoint_dir` is a file.
        CheckpointError
            If `checkpoint_dir` holds a training on the same data with other parameters; nothing is overwritten.
        FileFormatError
            If the tokenizer does not fit the model.
        TypeError
            If one of the callbacks cannot be called, or the augmenter is a class.
        ImportError
            If ``trainable="lora"`` and peft is not installed.
        """
        self._check_directory()
        augmenter = check_augmenter(self.augmenter)
        callbacks, texts = check_callbacks(self.callbacks), check_texts(X, name=type(self).__name__)
        targets = read_targets(y, self.objective, len(texts), threshold=self.threshold, weights=self.task_weights)
        device = resolve_device(self.device)
        info = model_info(self.model)
        self._check_sizes(info)
        self.max_length_ = info.choose_max_length(self.max_length)
        digest = targets_digest(texts, targets)
        seed = self._draw_seed(int(digest[:7], 16))
        held_out_share = self.validation_fraction if self.early_stopping else None
        rows = split_rows(targets, texts, held_out_share, np.random.default_rng(seed))
        encoder = CorpusEncoder(
            info.weights,
            texts.tolist(),
            trainable=self.trainable,
            lora_rank=self.lora_rank,
            pooling=self.pooling,
            max_length=self.max_length_,
            dtype=self.dtype,
            token_dropout=self.token_dropout,
            augmenter=augmenter,
            device=device,
        )
        tuning = Tuning(encoder, len(texts), self.n_components, device)
        outcome = tuning.run(
            targets,
            rows,
            judged_by=None if held_out_share is None else next(iter(targets.values())),
            recipe=make_recipe(self, seed),
            options=Options(
                temperature=self.temperature,
                batch_size=self.batch_size,
                multitask=self.objective == "multitask",
                task_weights=self.task_weights,
                lenient=self.objective == "auto",
                checkpoint_of=lambda name: self._checkpoint(digest, name, info.sha256),
                verbose=self.verbose,
                callbacks=callbacks,
            ),
        )
        self.improved_, self.objective_, self.history_ = outcome.improved, outcome.objective, outcome.history
        self.n_iter_ = max((record["epoch"] for record in outcome.history), default=0)
        self._n_pooled = info.n_dims
        self.checkpoint_, self.weights_sha256_ = str(info.weights.path), info.sha256
        if outcome.objective is not None or tuning.projection is not None:
            self._keep(lambda folder: self._save(folder, encoder, tuning), name="tuned")
        self.embedding_size_ = info.n_dims if self.n_components is None else int(self.n_components)
        return self

    def _fit_encoder(self, texts):
        """Never called: `fit` needs targets."""
        raise NotImplementedError

    _normalize = True

    def _check_sizes(self, info):
        """Raise an error for more layers or components than the model has."""
        if not isinstance(self.trainable, str) and self.trainable > info.n_layers:
            raise ValueError(
                f"trainable={self.trainable} is more than the {info.n_layers} layers of {self.model!s}: choose from 1 "
                f'to {info.n_layers}, or "all" for these and the embeddings'
            )
        info.check_n_components(self.n_components)

    def _checkpoint(self, digest, name, sha256):
        """Make the checkpoint of the training with one objective; None without `checkpoint_dir`."""
        if self.checkpoint_dir is None:
            return None
        parameters = {key: getattr(self, key) for key in _IDENTITY}
        identity = {"estimator": type(self).__name__, "model": sha256, "max_length": self.max_length_}
        return Checkpoint(
            Path(self.checkpoint_dir) / "trainings" / digest[:16] / name,
            every=_EVERY,
            identity={**identity, "augmenter": describe_augmenter(self.augmenter), "parameters": parameters},
        )

    @staticmethod
    def _save(folder, encoder, tuning):
        encoder.trained.save(folder)
        if tuning.projection is not None:
            write_projection(tuning.projection, folder)

    def _identity(self):
        return {**super()._identity(), "projection": self.n_components}

    def _start(self, texts):
        job = self._job(texts, n_dims=self._n_pooled)
        if self.objective_ is not None or self.n_components is not None:
            remember(self.weights_sha256_)
        return TunedJob(job, self.checkpoint_)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags
