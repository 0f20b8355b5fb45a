"""Two towers: neural encoders of users and items, learned by ranking what was liked before the rest."""

from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from skllmrec import _typing
from skllmrec._kernels.ratings import standardise
from skllmrec._sklearn import CallbackSupportMixin, Interval, StrOptions, fit_progress
from skllmrec._training import Recipe, training_constraints
from skllmrec._typing import Column, Columns, Estimator, Feedback, RandomState, Unknown
from skllmrec.base._columns import ColumnKey
from skllmrec.recommenders.two_tower._fitted import TowerVectorRecommender, basis_of
from skllmrec.recommenders.two_tower._network import Architecture, rotated
from skllmrec.recommenders.two_tower._tasks import check_tasks, read_task
from skllmrec.recommenders.two_tower._training import LOSSES, Objective, fit_towers, with_links

_LOSS = {"implicit": "infonce", "explicit": "squared_error"}
_LEARNING_RATE = 0.01
_WEIGHT_DECAY = {"implicit": 3.0, "explicit": 0.1}  # of "adamw"; vectors of implicit feedback have unit length anyway
_TASK_WEIGHT = 0.1


class TwoTowerRecommender(CallbackSupportMixin, TowerVectorRecommender):
    r"""Neural encoders of users and items, smoothed along the graph of their interactions.

    Every user and item gets a vector: a tower of its features plus an embedding of its id, averaged with those of its
    neighbours in the graph of interactions over `n_layers` steps. A user's features are his own, if there are some,
    and the mean of those of his items, which go through the items' tower. The score of implicit feedback is the cosine
    of both vectors, between -1 and 1; of explicit feedback ``mu + b_u + b_i + p_u . q_i``.

    With ``ids=False`` this is AlphaRec [1]_; without features it is LightGCN [2]_; with ``n_layers=0`` it is the plain
    two-tower model.

    What is kept are vectors, as of a factorisation, and ridge maps, fitted in closed form with leave-one-out when the
    network has been trained: from features to vectors, for new items and users (a tower is trained to tell the known
    items apart, a map to predict those that are left out); and from histories to vectors, for `partial_fit` and
    ``recommend(history=)``. A row with features and a history gets both, in proportion n to 2 for n interactions; a
    trained row that gets new interactions keeps its deviation from what its history spoke for. The weights of the
    network are in the file of `checkpoint_dir` only.

    Parameters
    ----------
    n_components : int, default=64
        Length of the vectors.
    user, item : str or int, default=0, 1
        Columns of X that hold the ids.
    user_features, item_features : column key or callable, default=None
        Columns that describe the user or the item: a name, a position, a list, a slice or a selector.
    user_encoder, item_encoder : transformer, default=None
        Encodes the feature columns, once for each distinct user or item; a scalar column reaches it one-dimensional.
        None: the columns are numbers.
    feedback : {"implicit", "explicit"}, default="implicit"
        Whether y holds non-negative weights (None for all one), or ratings.
    weighter : transformer, default=None
        Turns counts with a heavy tail into weights, such as `CountWeighter`: it is fitted on the summed y of the pairs
        of users and items. None: y is the weight.
    ids : bool, default=True
        Whether users and items have embeddings of their ids beside what their features say.
    tower : {"mlp", "linear"}, default="mlp"
        One hidden layer with leaky rectifier, or none.
    hidden_size : int, default=128
        Of "mlp".
    n_layers : int, default=2
        Steps along the graph; 0 for none.
    loss : {"infonce", "softmax", "bpr", "warp", "squared_error"}, default=None
        What is minimised; "squared_error" belongs to explicit feedback (and is its default), the others to implicit
        feedback:

        - "infonce" (default): cross-entropy of each liked item against `n_negatives` items drawn uniformly;
        - "softmax": against the items of the batch, corrected for frequent items being in it more often (logQ);
        - "bpr": against one item at a time;
        - "warp": against the first of some drawn items that comes within 2.5 temperatures, by its estimated rank.

        The first two learn from all candidates at once, and so in fewer epochs.

        What a user is known to like never counts against him.
    temperature : float, default=None
        Cosines are divided by it in the ranking losses; smaller ones recommend rarer items. None:
        ``2 / log(6 n_items)``, with which perfect separation would leave as small a loss in a catalogue of any size.
    n_negatives : int, default=None
        "infonce": items drawn for each batch; None for all of them, at most 8192. "warp": items drawn for each pair;
        None for 10.
    tasks : dict of column -> {"regression", "classification"}, default=None
        Columns of X, one value for each interaction, that the vectors must predict as well, such as
        ``{"rating": "regression", "device": "classification"}``: see `predict_task`. Rows where a value is missing are
        left out.
    task_weights : dict of column -> float, default=None
        Weight of the loss of a task relative to the main loss; 0.1 where none is given. Numbers are standardised.
    dropout : float, default=0.0
        Share of hidden units left out in training ("mlp").
    feature_dropout : float, default=0.0
        Share of users and items whose features are hidden at a training step: their ids learn to do without.
    feature_noise : float, default=0.0
        Length of the random vector that is added to features in training, relative to their own mean length.
    solver : {"adamw", "adam", "rmsprop"}, default="adamw"
    weight_decay : float, default=None
        Of all matrices: decoupled for "adamw" (at a rate of 0.01 and a decay of 3, each step takes 3 % off), added to
        the gradient for the others. None: 3 for implicit and 0.1 for explicit feedback with "adamw", else 0.
    learning_rate : {"linear", "cosine", "constant"}, default="linear"
        Schedule of the learning rate after the warm-up: it falls to zero at `max_iter` along a line or half a cosine,
        or stays constant.
    learning_rate_init : float, default=None
        Highest learning rate. None: 0.01.
    warmup : float, default=0.05
        Share of the training in which the learning rate rises.
    batch_size : int or "auto", default="auto"
        Interactions of a step; "infonce" and "softmax" take whole users. "auto": a tenth of them, at least 32.
    max_iter : int, default=20
        Most epochs, which are passes over the interactions.
    early_stopping : bool, default=False
        Hold out some interactions, stop once their NDCG@20 (implicit) or RMSE (explicit feedback) has not improved for
        `n_iter_no_change` epochs, and keep the best epoch. Without effect where fewer than 50 can be held out.
    validation_fraction : float, default=0.1
        Share of the interactions that `early_stopping` holds out.
    n_iter_no_change : int or None, default=5
        See `early_stopping`; None: all epochs are trained.
    checkpoint_dir : path-like, default=None
        Folder for the state of the training, written after each epoch: a `fit` that was interrupted or killed goes on
        there when it is called again with the same data, parameters and `random_state` (an integer); with others it
        refuses.
    handle_unknown : {"prior", "error"}, default="prior"
        Unknown users and items get what their features predict, without features the mean vector; or they raise.
    random_state : int, RandomState instance or None, default=None
        Seed of the initial weights, batches and draws.
    device : str, default=None
        Torch device of the training; None takes an accelerator where there is one.
    verbose : bool, default=False
        Show a progress bar.

    Attributes
    ----------
    user_factors_, item_factors_ : ndarray of shape (n_users, n_components), (n_items, n_components), float32
        Unit vectors (implicit feedback) of those that were trained; those of new ones are shorter, the less sure.
    user_biases_, item_biases_ : ndarray of shape (n_users,), (n_items,)
        Zero for implicit feedback.
    mean_ : float
        mu, the weighted mean rating; 0 for implicit feedback.
    task_classes_ : dict of column -> ndarray
        Sorted labels of the classification tasks.
    n_iter_ : int
        Number of epochs.
    history_ : list of dict
        "epoch", the mean "loss" and that of each task, and with `early_stopping` the "score" of each epoch.
    users_, items_, seen_, user_encoder_, item_encoder_
        See `BaseRecommender`.

    References
    ----------
    .. [1] L. Sheng, A. Zhang, Y. Zhang, Y. Chen, X. Wang, T.-S. Chua, "Language representations can be what
       recommenders need: findings and potentials", ICLR 2025.
    .. [2] X. He, K. Deng, X. Wang, Y. Li, Y. Zhang, M. Wang, "LightGCN: simplifying and powering graph convolution
       network for recommendation", SIGIR 2020.

    Examples
    --------
    >>> from sklearn.feature_extraction.text import TfidfVectorizer
    >>> from skllmrec.datasets import make_interactions
    >>> from skllmrec.recommenders import TwoTowerRecommender
    >>> data = make_interactions(n_users=50, n_items=40, random_state=0)
    >>> recommender = TwoTowerRecommender(
    ...     8, user="user_id", item="item_id", item_features="title", item_encoder=TfidfVectorizer(),
    ...     max_iter=5, device="cpu", random_state=0)
    >>> ids, scores = recommender.fit(data.data).recommend(data.user_table["user_id"][:2], n_items=3)
    >>> ids.shape
    (2, 3)
    """

    _parameter_constraints: dict = {
        **TowerVectorRecommender._parameter_constraints,
        **training_constraints(
            "dropout",
            "learning_rate",
            "learning_rate_init",
            "warmup",
            "batch_size",
            "max_iter",
            "early_stopping",
            "validation_fraction",
            "n_iter_no_change",
            "checkpoint_dir",
            "random_state",
            "device",
            "verbose",
        ),
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "ids": ["boolean"],
        "tower": [StrOptions({"mlp", "linear"})],
        "hidden_size": [Interval(Integral, 1, None, closed="left")],
        "n_layers": [Interval(Integral, 0, None, closed="left")],
        "loss": [None, StrOptions(set(LOSSES))],
        "temperature": [None, Interval(Real, 0, None, closed="neither")],
        "n_negatives": [None, Interval(Integral, 1, None, closed="left")],
        "tasks": [None, dict],
        "task_weights": [None, dict],
        "feature_dropout": [Interval(Real, 0, 1, closed="left")],
        "feature_noise": [Interval(Real, 0, None, closed="left")],
        "solver": [StrOptions({"adamw", "adam", "rmsprop"})],
        "weight_decay": [None, Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self,
        n_components: int = 64,
        *,
        user: Column = 0,
        item: Column = 1,
        user_features: Columns | None = None,
        item_features: Columns | None = None,
        user_encoder: Estimator | None = None,
        item_encoder: Estimator | None = None,
        feedback: Feedback = "implicit",
        weighter: Estimator | None = None,
        ids: bool = True,
        tower: str = "mlp",
        hidden_size: int = 128,
        n_layers: int = 2,
        loss: str | None = None,
        temperature: float | None = None,
        n_negatives: int | None = None,
        tasks: dict[Column, str] | None = None,
        task_weights: dict[Any, float] | None = None,
        dropout: float = 0.0,
        feature_dropout: float = 0.0,
        feature_noise: float = 0.0,
        solver: str = "adamw",
        weight_decay: float | None = None,
        learning_rate: str = "linear",
        learning_rate_init: float | None = None,
        warmup: float = 0.05,
        batch_size: int | str = "auto",
        max_iter: int = 20,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int | None = 5,
        checkpoint_dir: _typing.Path | None = None,
        handle_unknown: Unknown = "prior",
        random_state: RandomState = None,
        device: str | None = None,
        verbose: bool | int = False,
    ) -> None:
        self.n_components = n_components
        self.user = user
        self.item = item
        self.user_features = user_features
        self.item_features = item_features
        self.user_encoder = user_encoder
        self.item_encoder = item_encoder
        self.feedback = feedback
        self.weighter = weighter
        self.ids = ids
        self.tower = tower
        self.hidden_size = hidden_size
        self.n_layers = n_layers
        self.loss = loss
        self.temperature = temperature
        self.n_negatives = n_negatives
        self.tasks = tasks
        self.task_weights = task_weights
        self.dropout = dropout
        self.feature_dropout = feature_dropout
        self.feature_noise = feature_noise
        self.solver = solver
        self.weight_decay = weight_decay
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.warmup = warmup
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.checkpoint_dir = checkpoint_dir
        self.handle_unknown = handle_unknown
        self.random_state = random_state
        self.device = device
        self.verbose = verbose

    def _check_columns(self, X):
        check_tasks(self.tasks, self.task_weights)
        for name in self.tasks or {}:
            ColumnKey.resolve(X, name, name="tasks")

    def _fit_interactions(self, interactions):
        n_users, n_items = interactions.trained_shape
        weights, ratings = interactions.weights[:n_users, :n_items], interactions.ratings
        self._check_network(interactions)
        tasks = self._read_tasks(interactions.rows)
        bases, inputs = self._tower_inputs(interactions)
        targets, self.mean_, self._scale = standardise(weights, ratings)
        if ratings is None:
            links, positions = with_links(weights)
        else:
            links, positions = weights, np.arange(weights.nnz)
        with fit_progress(self, self.max_iter, *interactions.rows.passed) as report:

            def after_epoch(record: Any, so_far: Any) -> Any:
                if report is None or record["epoch"] == 0:
                    return False
                return report(lambda: self._attributes_after(so_far(), interactions, bases))

            trained = fit_towers(
                links,
                targets,
                weights.data[positions] / (weights.data[positions].mean() if len(positions) else 1.0),
                inputs,
                tasks,
                self._architecture(),
                self._objective(n_items),
                self._recipe(),
                self._options(after_epoch),
            )
        self.history_, self.n_iter_ = trained.history, trained.n_iter
        self._tasks = {task.name: task.without_targets() for task in tasks}
        self._adopt(trained, interactions, bases)

    def _read_tasks(self, rows):
        """Read the target column of each task."""
        weights = self.task_weights or {}
        return [
            read_task(rows, name, kind, weights.get(name, _TASK_WEIGHT)) for name, kind in (self.tasks or {}).items()
        ]

    def _check_network(self, interactions):
        """Raise an error for parameters that do not go together."""
        loss = self.loss or _LOSS[self.feedback]
        if (loss == "squared_error") != (self.feedback == "explicit"):
            fitting = "squared_error" if self.feedback == "explicit" else "infonce, softmax, bpr or warp"
            raise ValueError(f"loss={loss!r} does not go with feedback={self.feedback!r}: choose {fitting}, or None")
        if not self.ids and interactions.user_features is None and interactions.item_features is None:
            raise ValueError("ids=False leaves nothing to learn from without features: give item_features, or ids=True")

    def _tower_inputs(self, interactions):
        """Bases of the features of both sides, for the ridge maps, and what goes into the towers, each by side."""
        n_users, n_items = interactions.trained_shape
        weights = interactions.weights[:n_users, :n_items]
        counts = np.diff(weights.indptr), np.bincount(weights.indices, minlength=n_items)
        bases, inputs = {}, []
        for side, n_interactions in zip(("user", "item"), counts, strict=True):
            features = getattr(interactions, f"{side}_features")
            bases[side] = None
            if features is not None:
                features = features[: len(n_interactions)]
                bases[side] = basis_of(features, n_interactions)
            inputs.append(None if bases[side] is None else rotated(features, bases[side]))
        return bases, tuple(inputs)

    def _architecture(self):
        names = ("n_components", "hidden_size", "tower", "ids", "n_layers", "dropout", "feature_dropout")
        settings = {name: getattr(self, name) for name in (*names, "feature_noise")}
        return Architecture(**settings, explicit=self.feedback == "explicit")

    def _objective(self, n_items):
        temperature = self.temperature or 2 / np.log(6 * n_items)
        return Objective(self.loss or _LOSS[self.feedback], float(temperature), self.n_negatives)

    def _recipe(self):
        weight_decay = self.weight_decay
        if weight_decay is None:
            weight_decay = _WEIGHT_DECAY[self.feedback] if self.solver == "adamw" else 0.0
        return Recipe(
            max_iter=self.max_iter,
            learning_rate=self.learning_rate,
            learning_rate_init=self.learning_rate_init or _LEARNING_RATE,
            solver=self.solver,
            weight_decay=weight_decay,
            warmup=self.warmup,
            n_iter_no_change=self.n_iter_no_change if self.early_stopping else None,
            seed=check_random_state(self.random_state).randint(np.iinfo(np.int32).max),
        )

    def _options(self, callback):
        names = ("batch_size", "early_stopping", "validation_fraction", "checkpoint_dir", "device")
        return {**{name: getattr(self, name) for name in names}, "callback": callback, "verbose": bool(self.verbose)}
