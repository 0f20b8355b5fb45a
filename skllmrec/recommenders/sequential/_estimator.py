"""SequentialRecommender: what comes next, by a network that reads the history of a user in order."""

from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from skllmrec import _typing
from skllmrec._kernels.sequential.item_inputs import ItemInputs
from skllmrec._sklearn import CallbackSupportMixin, Interval, StrOptions, fit_progress
from skllmrec._training import Recipe, training_constraints
from skllmrec._typing import Column, Columns, Estimator, Feedback, RandomState, Unknown
from skllmrec.recommenders.sequential._fitted import SequenceStateRecommender
from skllmrec.recommenders.sequential._network import ENCODERS, Architecture
from skllmrec.recommenders.sequential._training import RATE_FACTORS, Data, fit_sequences

_LEARNING_RATE = 0.003
_CLIP_NORM = 5.0


class SequentialRecommender(CallbackSupportMixin, SequenceStateRecommender):
    r"""Recommend what comes next after the items that a user had, in their order.

    An item is what its features say: its embedding :math:`x_i` is a linear map of the leading components of the
    features, plus a learned vector for each of its words (the sparse columns, such as TF-IDF), plus, where `ids` asks
    for it, a vector of its own. It is the same where the item stands in a history and where it is recommended, so that
    an item without interactions can do both. A history with the latest item :math:`x_0` has the state

    .. math:: s = \sum_a \mathrm{softmax}(r)_a\, x_a + A x_0 \quad (\text{pooling}), \qquad
              s = \mathrm{transformer}(x_{l-1}, \dots, x_0) \quad (\text{attention}),

    with learned weights r of the age, a learned matrix A, or layers of causal self-attention with learned positions
    [1]_; an empty history has a learned state of its own. The score of an item is
    :math:`\cos(s, x_i) / \tau + b_i + c`, where :math:`b_i` is learned for each item (items without interactions have
    the mean of the rarest ones), and c is a learned number for the latest item, another one for the other items of the
    history, and 0 for all others: whether people come back to what they had is learned, too, and read where
    ``exclude_seen=False``. Each item of each history is predicted from those before it, by cross-entropy against all
    items. Without features this is SASRec [1]_ with cosines, or its counterpart with pooling.

    Only that there was an event counts, not its weight; a row of weight zero is no event. `partial_fit` puts new rows
    in order with the last ones of each user. New items get what their features say; without features, the mean of the
    states before them. What was learned stays as it is.

    The fitted model needs no torch. A training holds about :math:`4 (n d + n f + 6 p + 2 b c)` bytes beside the sparse
    features: n items, f (up to 256) components of their features, p parameters (d f, d for each word, d for each item
    with `ids`), b rows of a batch and c candidates of the softmax; plus 8 d numbers for each item of each history of a
    batch.

    Parameters
    ----------
    n_components : int, default=128
        Length of the embeddings.
    user, item : str or int, default=0, 1
        Columns of X that hold the ids.
    user_features : None
        Nothing is learned from features of users: the parameter is there because all recommenders have it and can be
        exchanged for each other. `fit` refuses any other value.
    item_features : column key or callable, default=None
        Columns that describe the item.
    user_encoder : None
        As `user_features`.
    item_encoder : transformer, default=None
        Turns them into vectors, dense or sparse. Of a feature union of TF-IDF and a language model both blocks are
        found and get equal weight: the columns that are mostly non-zero, and the others.
    feedback : {"implicit"}, default="implicit"
        y holds weights (None for all one). `fit` refuses "explicit": that an item came next is all that counts, so that
        no rating can be predicted.
    time : str or int, default=None
        Column of X that orders the rows of a user: numbers or dates, with or without a time zone, of the same type in
        each call. None: the order is unknown, and the items of a user stand in any order. So do items of the same time.
    encoder : {"pooling", "attention", "auto"}, default="pooling"
        How a history is read. "pooling" takes half of the time and is as good on short histories. "auto" trains both
        without the last items of `validation_fraction` of the users, and takes the one that ranks these better, then on
        all rows.
    ids : bool, default=None
        Whether items have embeddings of their ids. None: only without features. Beside features they often hurt.
    word_vectors : bool, default=True
        Whether the sparse columns of the features have learned vectors.
    max_length : int, default=20
        How many of the last items are read.
    n_layers, n_heads : int, default=2, 1
        Of "attention".
    temperature : float, default=0.07
        :math:`\tau`: larger for more popular, smaller for rarer items.
    n_negatives : int, default=None
        Items drawn for each step, besides those that came next in the batch; the sum over them is corrected for how
        likely each is drawn (logQ). None: all items, from 32,768 on 8,192 of them.
    dropout : float, default=0.1
        Share of the components of features, and of the numbers of embeddings and states, left out in training.
    weight_decay : float, default=0.01
        Decoupled, of all matrices.
    learning_rate : {"cosine", "linear", "constant"}, default="cosine"
        Schedule of the learning rate after the warm-up.
    learning_rate_init : float, default=None
        Highest learning rate of AdamW. None: 0.003. Vectors of words learn at a fifth of it.
    warmup : float, default=0.1
        Share of the training in which the learning rate rises.
    batch_size : int or "auto", default="auto"
        Items to predict in a step, of similar length of history. "auto": a tenth of the events, between 32 and 512.
    max_iter : int, default=12
        Most epochs.
    early_stopping : bool, default=False
        Hold out the last item of some users, stop once its NDCG@10 has not improved for `n_iter_no_change` epochs, and
        keep the best epoch. Without effect where fewer than 50 can be held out.
    validation_fraction : float, default=0.1
        Share of the users with several items whose last one is held out, at most 5,000 users.
    n_iter_no_change : int or None, default=3
        See `early_stopping`; None: all epochs are trained.
    checkpoint_dir : path-like, default=None
        Folder for the state of the training, written after each epoch: a `fit` that was interrupted or killed goes on
        there when it is called again with the same data, parameters and `random_state` (an integer); with others it
        refuses.
    handle_unknown : {"prior", "error"}, default="prior"
        Unknown items score by their features, without features 0, and are left out of a history; unknown users have an
        empty history. Or they raise.
    random_state : int, RandomState instance or None, default=None
        Seed of the initial weights, batches and draws.
    device : str, default=None
        Torch device of the training; None takes an accelerator where there is one.
    verbose : bool, default=False
        Show a progress bar.

    Attributes
    ----------
    item_embeddings_ : ndarray of shape (n_items, n_components), float32
        In the order of `items_`.
    item_biases_ : ndarray of shape (n_items,), float32
        What each item gets on top of its cosine over the temperature.
    repeat_ : ndarray of shape (2,)
        What the latest item of a history and its other items get on top of their scores.
    encoder_ : {"pooling", "attention"}
        The one in use.
    n_iter_ : int
        Number of epochs.
    history_ : list of dict
        "epoch", the mean "loss", and with `early_stopping` the "score" of each epoch.
    users_, items_, seen_, user_encoder_, item_encoder_
        See `BaseRecommender`.

    References
    ----------
    .. [1] W.-C. Kang and J. McAuley, "Self-attentive sequential recommendation", ICDM 2018.

    Examples
    --------
    >>> from skllmrec import SequentialRecommender
    >>> week = ["flour", "yeast", "salt", "oven", "bread"]
    >>> X = [[user, week[(user + day) % 5], day] for user in range(40) for day in range(4)]
    >>> recommender = SequentialRecommender(16, time=2, device="cpu", random_state=0).fit(X)
    >>> recommender.recommend(history=[["salt", "oven"], ["flour"]], n_items=1)[0].tolist()
    [['bread'], ['yeast']]
    """

    _parameter_constraints: dict = {
        **SequenceStateRecommender._parameter_constraints,
        **training_constraints(
            "dropout",
            "weight_decay",
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
        "time": [str, Integral, None],
        "encoder": [StrOptions({*ENCODERS, "auto"})],
        "ids": ["boolean", None],
        "word_vectors": ["boolean"],
        "max_length": [Interval(Integral, 1, None, closed="left")],
        "n_layers": [Interval(Integral, 1, None, closed="left")],
        "n_heads": [Interval(Integral, 1, None, closed="left")],
        "temperature": [Interval(Real, 0, None, closed="neither")],
        "n_negatives": [None, Interval(Integral, 1, None, closed="left")],
    }
    _reads_user_features = False  # a user is what they had
    _reads_raw_counts = False
    _reads_ratings = False  # which item came next is what is learned

    def __init__(
        self,
        n_components: int = 128,
        *,
        user: Column = 0,
        item: Column = 1,
        user_features: Columns | None = None,
        item_features: Columns | None = None,
        user_encoder: Estimator | None = None,
        item_encoder: Estimator | None = None,
        feedback: Feedback = "implicit",
        time: Column | None = None,
        encoder: str = "pooling",
        ids: bool | None = None,
        word_vectors: bool = True,
        max_length: int = 20,
        n_layers: int = 2,
        n_heads: int = 1,
        temperature: float = 0.07,
        n_negatives: int | None = None,
        dropout: float = 0.1,
        weight_decay: float = 0.01,
        learning_rate: str = "cosine",
        learning_rate_init: float | None = None,
        warmup: float = 0.1,
        batch_size: int | str = "auto",
        max_iter: int = 12,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int | None = 3,
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
        self.time = time
        self.encoder = encoder
        self.ids = ids
        self.word_vectors = word_vectors
        self.max_length = max_length
        self.n_layers = n_layers
        self.n_heads = n_heads
        self.temperature = temperature
        self.n_negatives = n_negatives
        self.dropout = dropout
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
        super()._check_columns(X)
        if self.n_components % self.n_heads and self.encoder != "pooling":
            raise ValueError(
                f"n_components={self.n_components} is no multiple of n_heads={self.n_heads}: each head reads an equal "
                "share of an embedding"
            )
        if self.ids is not None and not self.ids and self.item_features is None:
            raise ValueError("ids=False leaves nothing to learn from without features: give item_features, or ids=None")

    def _fit_interactions(self, interactions):
        events = self._events_of(interactions.rows, self._read_times(interactions.rows))
        inputs, data = self._learn_inputs(interactions, events)
        with fit_progress(self, self.max_iter, *interactions.rows.passed) as report:

            def after_epoch(record: Any, so_far: Any) -> Any:
                if report is None or record["epoch"] == 0:
                    return False
                return report(lambda: self._attributes_after(so_far(), interactions, inputs, events))

            trained = fit_sequences(
                data, self._architecture(data), self.temperature, self._recipe(), self._options(after_epoch)
            )
        self.history_, self.n_iter_ = trained.history, trained.n_iter
        self._adopt(trained, interactions, inputs, events)

    def _learn_inputs(self, interactions, events):
        """Learn what the features of the items with interactions are read as."""
        n_items, features = interactions.trained_shape[1], interactions.item_features
        if features is None:
            return None, Data(events, np.zeros((n_items, 0), dtype=np.float32), None, n_items)
        features = features[:n_items]
        inputs = ItemInputs.learn(features)
        return inputs, Data(events, inputs.rows(features), inputs.word_rows(features), n_items)

    def _architecture(self, data):
        names = ("encoder", "n_components", "max_length", "n_layers", "n_heads", "word_vectors", "dropout")
        says_nothing = not data.rows.shape[1] and (data.words is None or not self.word_vectors)
        ids = says_nothing if self.ids is None else self.ids
        return Architecture(**{name: getattr(self, name) for name in names}, ids=bool(ids))

    def _recipe(self):
        return Recipe(
            max_iter=self.max_iter,
            learning_rate=self.learning_rate,
            learning_rate_init=self.learning_rate_init or _LEARNING_RATE,
            weight_decay=self.weight_decay,
            warmup=self.warmup,
            clip_norm=_CLIP_NORM,
            n_iter_no_change=self.n_iter_no_change if self.early_stopping else None,
            rate_factors=RATE_FACTORS,
            seed=check_random_state(self.random_state).randint(np.iinfo(np.int32).max),
        )

    def _options(self, callback):
        names = ("n_negatives", "batch_size", "early_stopping", "validation_fraction", "checkpoint_dir", "device")
        return {**{name: getattr(self, name) for name in names}, "callback": callback, "verbose": bool(self.verbose)}
