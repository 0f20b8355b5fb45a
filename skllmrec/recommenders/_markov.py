"""MarkovRecommender: what usually comes next."""

from numbers import Integral, Real

import numpy as np
from scipy import sparse

from skllmrec._kernels.item_item.neighbors import inner_products, nearest
from skllmrec._kernels.item_item.transitions import count_transitions, order_baskets, recency
from skllmrec._sklearn import Interval
from skllmrec._times import numbers_of_texts, time_codes
from skllmrec._typing import Column, Columns, Estimator, Feedback, Unknown
from skllmrec.base._columns import ColumnKey
from skllmrec.base._interactions import rows_of
from skllmrec.recommenders._item_to_item import TIE_BREAK, Content, ItemToItemRecommender, history_sums, place_columns


class MarkovRecommender(ItemToItemRecommender):
    r"""Recommend what users had next after the items that this user had last; where that is unknown, what reads alike.

    A Markov chain over items: with :math:`c_{ji}` the number of times that item i followed item j, and
    :math:`s_{ji}` the share of item i in the similarities of the content of j to its `n_neighbors` most similar items,

    .. math:: T_{ji} = \frac{c_{ji} + \kappa\, s_{ji}}{c_{j\cdot} + \kappa}, \qquad
              \hat s_{ui} = \sum_j \gamma^{a_{uj}}\, T_{ji}

    with :math:`\kappa` the `backoff` (as in Dirichlet smoothing [2]_), :math:`\gamma` the `decay` and :math:`a_{uj}`
    the number of moments since the user had item j. Without features the back-off is the popularity of i. A pair
    counts 1 if i came at the moment after j or at the same one, :math:`\gamma^{g-1}` if it came g moments later, up to
    `window` [1]_. Of more than 1,000 items at one moment a random sample of 1,000 is counted, always the same one: so
    many say nothing about what comes next, and their pairs would fill the memory [3]_. The baseline that a sequential
    recommender has to beat; with features it takes new items.

    Parameters
    ----------
    n_neighbors : int, default=100
        Similar items that an item backs off to.
    user, item : str or int, default=0, 1
        Columns of X that hold the ids.
    user_features : None
        Nothing is learned from features of users: the parameter is there because all recommenders have it and can be
        exchanged for each other. `fit` refuses any other value.
    item_features : column key, default=None
        Columns that describe the item.
    user_encoder : None
        As `user_features`.
    item_encoder : transformer, default=None
        Turns them into vectors; dense ones are centred, all are compared by the cosine.
    feedback : {"implicit"}, default="implicit"
        y holds weights (None for all one). `fit` refuses "explicit": that an item came next is all that counts, so that
        no rating can be predicted.
    time : str or int or None, default=None
        Column of X that orders the rows of a user: numbers or dates, with or without a time zone. None: nothing is
        known about the order, what a user had counts as of one moment.
    window : int, default=3
        How many moments later an item still counts as following.
    decay : float, default=0.8
        :math:`\gamma`, at most 1.
    backoff : float, default=5.0
        :math:`\kappa`: how many observed transitions the back-off is worth.
    handle_unknown : {"prior", "error"}, default="prior"
        Whether unknown users and items get what features and popularity say, or raise.

    Attributes
    ----------
    transitions_ : csr_matrix of shape (n_trained, n_trained)
        :math:`c_{ji}`, between the items with interactions at `fit`, the first of `items_`.
    users_, items_, seen_
        See `BaseRecommender`.

    References
    ----------
    .. [1] G. Shani, D. Heckerman and R. I. Brafman, "An MDP-based recommender system", JMLR 6, 2005: skipping.
    .. [2] C. Zhai and J. Lafferty, "A study of smoothing methods for language models", ACM TOIS 22(2), 2004.
    .. [3] S. Schelter, C. Boden and V. Markl, "Scalable similarity-based neighborhood methods with MapReduce",
       RecSys 2012: the interaction cut.

    Examples
    --------
    >>> from skllmrec import MarkovRecommender
    >>> X = [["ann", "pot", 1], ["ann", "soil", 2], ["ann", "seed", 3], ["bob", "soil", 1], ["bob", "seed", 2],
    ...      ["cem", "pot", 5]]
    >>> MarkovRecommender(time=2).fit(X).recommend(["cem"], n_items=2)[0].tolist()
    [['soil', 'seed']]
    """

    _parameter_constraints: dict = {
        **ItemToItemRecommender._parameter_constraints,
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "time": [str, Integral, None],
        "window": [Interval(Integral, 1, None, closed="left")],
        "decay": [Interval(Real, 0, 1, closed="right")],
        "backoff": [Interval(Real, 0, None, closed="neither")],
    }
    _reads_ratings = False  # that an item came next is all that counts

    def __init__(
        self,
        n_neighbors: int = 100,
        *,
        user: Column = 0,
        item: Column = 1,
        user_features: Columns | None = None,
        item_features: Columns | None = None,
        user_encoder: Estimator | None = None,
        item_encoder: Estimator | None = None,
        feedback: Feedback = "implicit",
        time: Column | None = None,
        window: int = 3,
        decay: float = 0.8,
        backoff: float = 5.0,
        handle_unknown: Unknown = "prior",
    ) -> None:
        self.n_neighbors = n_neighbors
        self.user = user
        self.item = item
        self.user_features = user_features
        self.item_features = item_features
        self.user_encoder = user_encoder
        self.item_encoder = item_encoder
        self.feedback = feedback
        self.time = time
        self.window = window
        self.decay = decay
        self.backoff = backoff
        self.handle_unknown = handle_unknown

    def _check_columns(self, X):
        if self.time is not None:
            ColumnKey.resolve(X, self.time, name="time")

    def _read_times(self, rows):
        """Read the times of the rows as numbers; arrays of text may hold numbers as text."""
        if self.time is None:
            return np.zeros(len(rows))
        values = np.asarray(rows.column(self.time, name="time"))
        if not any(isinstance(value, str) for value in values.ravel()[:1]):
            return time_codes(rows.X, self.time)
        times = numbers_of_texts(values.ravel())
        if times is None:
            raise ValueError(
                f"time column {self.time!r} holds {values[0]!r}, which is no number: convert it, e.g. with "
                "pandas.to_datetime"
            )
        return times

    def _baskets(self, interactions):
        """Order the rows of this call by time, see `order_baskets`; a row of weight zero is no event."""
        rows = interactions.rows
        kept, times = rows.weights > 0, self._read_times(rows)
        return order_baskets(rows.users[kept], rows.items[kept], times[kept], *interactions.weights.shape)

    def _fit_interactions(self, interactions):
        n_users, n_trained = interactions.weights.shape[0], interactions.trained_shape[1]
        baskets, owners = self._baskets(interactions)
        self._recent = recency(baskets, owners, n_users, self.decay)
        self.transitions_ = count_transitions(baskets[:, :n_trained], owners, window=self.window, decay=self.decay)
        totals = np.asarray(self.transitions_.sum(axis=1)).ravel()
        self._left = self.backoff / (totals + self.backoff)  # the share of the back-off in each row of T
        self._steps = (sparse.diags_array(1 / (totals + self.backoff)) @ self.transitions_).tocsc()
        self._begin_count(interactions.weights)
        self._content = None
        if interactions.item_features is not None:
            self._content = Content.learn(interactions.item_features, n_trained)
            self._steps = (self._steps + self._learn_shares()).tocsc()

    def _learn_shares(self):
        """Learn what a similar item gets of the back-off, for each unit of similarity; returns it for those of fit."""
        vectors, n_trained = self._content.trained, self._content.n_trained
        own = np.arange(n_trained)
        near = nearest(lambda rows: inner_products(vectors[rows], vectors), n_trained, n_trained, self.n_neighbors, own)
        totals = np.asarray(near.sum(axis=1)).ravel()
        self._shares = np.divide(self._left, totals, out=np.zeros(n_trained), where=totals > 0)
        return sparse.diags_array(self._shares) @ near

    def _partial_fit_interactions(self, interactions, users, items):
        n_users, n_items = interactions.weights.shape
        baskets, owners = self._baskets(interactions)
        latest = recency(baskets, owners, n_users, self.decay)
        known = self._recent.copy()
        known.resize(latest.shape)
        self._recent = _older(known, np.bincount(owners, minlength=n_users), self.decay).maximum(latest).tocsr()
        self._count(interactions.weights)
        if self._content is not None:
            self._content = self._content.extended(interactions.item_features, n_items)

    def _histories(self, users):
        recent = rows_of(self._recent, users.codes)
        if users.history is None:
            return recent
        counts = np.diff(users.history.weights.indptr)
        just = users.history.weights.copy()
        just.data = self.decay**users.history.ages
        return _older(recent, counts, self.decay).maximum(just).tocsr()

    def _columns(self, items):
        n_trained = self.transitions_.shape[0]
        places = np.flatnonzero((items.codes >= 0) & (items.codes < n_trained))
        parts = [(places, self._steps[:, items.codes[places]])]
        if self._content is not None:
            later, new = np.flatnonzero(items.codes >= n_trained), np.flatnonzero(items.codes < 0)
            parts.append((later, self._backed_off(self._content.vectors[items.codes[later]])))
            if items.features is not None and len(new):
                parts.append((new, self._backed_off(self._content.of(items.features)[items.rows[new]])))
        return place_columns(parts, (n_trained, len(items))).tocsr()

    def _backed_off(self, vectors):
        """Columns of T of items outside the fit: the similarity of their content, (n_trained, n_columns)."""
        trained = self._content.trained
        near = nearest(
            lambda rows: inner_products(vectors[rows], trained), vectors.shape[0], trained.shape[0], self.n_neighbors
        )
        return (near @ sparse.diags_array(self._shares)).T.tocsc()

    def _offsets(self, items):
        return self._popularity_of(items)

    def _score_prepared(self, users, prepared):
        histories = self._histories(users)
        scores = history_sums(histories, prepared.columns)
        left = TIE_BREAK
        if self._content is None:  # back off to what is popular
            left = left + histories[:, : len(self._left)] @ self._left
        return scores + np.outer(np.broadcast_to(left, len(scores)), prepared.offsets)

    def _similarity_block(self, queries, items):
        columns, trained = self._columns(queries).T.tocsr(), np.flatnonzero(items.codes < self.transitions_.shape[0])
        similarity = np.zeros((len(queries), len(items)))
        similarity[:, trained] = columns[:, items.codes[trained]].toarray()  # 0 for items outside the fit
        return similarity


def _older(recent, n_moments, decay):
    """Let moments pass for each user: weights of what they had before."""
    return (sparse.diags_array(decay ** np.asarray(n_moments, dtype=np.float64)) @ recent).tocsr()
