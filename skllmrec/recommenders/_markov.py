"""MarkovRecommender: what usually comes next."""

from numbers import Integral, Real

import numpy as np
from scipy import sparse

from skllmrec._kernels.item_item.neighbors import inner_products, nearest
from skllmrec._kernels.item_item.transitions import count_transitions, order_baskets, recency
from skllmrec._sklearn import Interval
from skllmrec._typing import Column, Columns, Estimator, Feedback, Unknown
from skllmrec.base._interactions import rows_of
from skllmrec.recommenders._item_to_item import TIE_BREAK, Content, ItemToItemRecommender, history_sums, place_columns
from skllmrec.recommenders._order import TimedRecommender


class MarkovRecommender(TimedRecommender, ItemToItemRecommender):
    r"""Recommend what users had next after the items that this user had last; where that is unknown, what reads alike.

    A Markov chain over items: with :math:`c_{ji}` the number of times that item i followed item j, and
    :math:`s_{ji}` the share of item i in the similarities of the content of j to its `n_neighbors` most similar items,

    .. math:: T_{ji} = \frac{c_{ji} + \kappa\, s_{ji}}{c_{j\cdot} + \kappa}, \qquad
              \hat s_{ui} = \sum_j \gamma^{a_{uj}}\, T_{ji}

    with :math:`\kappa` the `backoff` (as in Dirichlet smoothing [2]_), :math:`\gamma` the `decay` and :math:`a_{uj}`
    the number of moments since the user had item j. Without features the back-off is the popularity of i. A pair
    counts 1 if i came at the moment after j or at the same one, :math:`\gamma^{g-1}` if it came g moments later, up to
    `window` [1]_. Of more than 1,000 items at one moment, the pairs of a fixed random sample of 1,000 are counted: the
    order within such a moment is unknown, and all pairs would not fit into memory [3]_. It is the baseline that a
    sequential recommender has to beat; with features it recommends new items too.

    `partial_fit` puts new rows in order with all rows before, late ones included, and counts the transitions of their
    users again: the model has the transitions, histories and popularities of a fit on all rows at once. What the
    content says stays that of `fit`: new items are compared with the items of `fit`.

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
        Column of X that orders the rows of a user: numbers or dates, with or without a time zone, of the same type in
        each call. None: the order is unknown, and all items of a user count as of one moment.
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
    transitions_ : csr_matrix of shape (n_observed, n_observed)
        :math:`c_{ji}`, between the first of `items_`, up to the last one with interactions.
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
    _reads_raw_counts = False
    _reads_ratings = False  # the chain counts which items followed each other
    _learns_from_all_rows_again = True  # transitions are counted as in a fit on all rows
    _times = _near = None  # in files of version 0.1.0

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

    def _fit_interactions(self, interactions):
        self._times = self._latest(interactions)
        self._content, self._near = None, None
        if interactions.item_features is not None:
            self._content = Content.learn(interactions.item_features, interactions.trained_shape[1])
        self._learn(interactions.weights)

    def _learn(self, weights, touched=None):
        """Learn from the events of all calls; of `touched` users only, where the others are as they were."""
        n_items = int(weights.indices.max(initial=-1)) + 1
        events, pairs = weights.data > 0, weights.tocoo()
        users, items, times = pairs.row[events].astype(np.intp), pairs.col[events], self._times[events]
        baskets, owners = order_baskets(users, items, times, *weights.shape)
        self._recent = recency(baskets, owners, weights.shape[0], self.decay)
        begins = None if touched is None else np.unique(items[np.isin(users, touched)])
        counts = count_transitions(baskets[:, :n_items], owners, window=self.window, decay=self.decay, begins=begins)
        if touched is not None:
            kept = np.ones(n_items)
            kept[begins] = 0.0
            known = self.transitions_.copy()
            known.resize(counts.shape)
            counts = (sparse.diags_array(kept) @ known + counts).tocsr()
            counts.eliminate_zeros()
        self.transitions_ = counts
        totals = np.asarray(counts.sum(axis=1)).ravel()
        self._left = self.backoff / (totals + self.backoff)  # the share of the back-off in each row of T
        self._steps = (sparse.diags_array(1 / (totals + self.backoff)) @ counts).tocsc()
        self._popularity = np.empty(0)
        self._begin_count(weights)
        if self._content is not None:
            self._learn_shares()

    def _learn_shares(self):
        """Learn what a similar item gets of the back-off, for each unit of similarity, and add it for those of fit."""
        self._near = self._neighbors_up_to(len(self._left))
        totals = np.asarray(self._near.sum(axis=1)).ravel()
        self._shares = np.divide(self._left, totals, out=np.zeros(len(totals)), where=totals > 0)
        backed_off = (sparse.diags_array(self._shares) @ self._near).tocsc()
        backed_off.resize(self._steps.shape)
        self._steps = (self._steps + backed_off).tocsc()

    def _neighbors_up_to(self, n_items):
        """Similarities of known items to those of fit nearest to them; neighbours that are known already stay."""
        vectors, n_trained = self._content.vectors, self._content.n_trained
        parts = [] if self._near is None else [self._near]
        new = np.arange(0 if self._near is None else self._near.shape[0], n_items)
        own = np.where(new < n_trained, new, -1)
        trained = self._content.trained
        parts.append(
            nearest(
                lambda rows: inner_products(vectors[new[rows]], trained), len(new), n_trained, self.n_neighbors, own
            )
        )
        return sparse.vstack(parts, format="csr")

    def _partial_fit_interactions(self, interactions, users, items):
        self._times = self._latest(interactions, self._known_times())
        if self._content is not None:
            self._content = self._content.extended(interactions.item_features, interactions.weights.shape[1])
        self._learn(interactions.weights, users)

    def _histories(self, users):
        recent = rows_of(self._recent, users.codes)
        if users.history is None:
            return recent
        counts = np.diff(users.history.weights.indptr)
        latest = users.history.weights.copy()
        latest.data = self.decay**users.history.ages
        return _older(recent, counts, self.decay).maximum(latest).tocsr()

    def _columns(self, items):
        n_observed = self.transitions_.shape[0]
        places = np.flatnonzero((items.codes >= 0) & (items.codes < n_observed))
        shape = n_observed, len(items)
        columns = place_columns([(places, self._steps[:, items.codes[places]])], shape)
        if self._content is not None:
            # items that came later may have been observed: they have transitions besides what their content says
            later, new = np.flatnonzero(items.codes >= self._content.n_trained), np.flatnonzero(items.codes < 0)
            parts = [(later, self._backed_off(self._content.vectors[items.codes[later]]))]
            if items.features is not None and len(new):
                parts.append((new, self._backed_off(self._content.of(items.features)[items.rows[new]])))
            columns = columns + place_columns(parts, shape)
        return columns.tocsr()

    def _backed_off(self, vectors):
        """Columns of T of items outside the fit by the similarity of their content, (n_observed, n_columns)."""
        trained = self._content.trained
        near = nearest(
            lambda rows: inner_products(vectors[rows], trained), vectors.shape[0], trained.shape[0], self.n_neighbors
        )
        columns = (near @ sparse.diags_array(self._shares[: trained.shape[0]])).T.tocsc()
        columns.resize((len(self._shares), vectors.shape[0]))
        return columns

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
    """Multiply the weights of the items that each user had before by the decay of the moments since then."""
    return (sparse.diags_array(decay ** np.asarray(n_moments, dtype=np.float64)) @ recent).tocsr()
