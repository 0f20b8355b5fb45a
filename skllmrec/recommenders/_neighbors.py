"""NeighborsRecommender: a user likes what is like what they liked."""

import copy
from numbers import Integral, Real
from typing import Any

import numpy as np
from scipy import sparse

from skllmrec._kernels.item_item.neighbor_selection import (
    USUAL_SHRINKAGE,
    USUAL_WEIGHT,
    NeighborTrial,
    choose_strengths,
)
from skllmrec._kernels.item_item.neighbors import WEIGHTINGS, inner_products, nearest, shrunk_cosines, weigh
from skllmrec._kernels.selection.blending import ranking_gain
from skllmrec._kernels.selection.held_out import draw_hold_outs, popular_items
from skllmrec._sklearn import Interval, StrOptions
from skllmrec._typing import Column, Columns, Estimator, Feedback, Unknown
from skllmrec.base._interactions import interactions_of
from skllmrec.recommenders._item_to_item import TIE_BREAK, Content, ItemToItemRecommender, history_sums
from skllmrec.recommenders._order import FadingRecommender

_SUPPORT = 1.0  # draws what few neighbours say towards the biases
_MAX_JUDGED = 500  # users in each hold-out


class NeighborsRecommender(FadingRecommender, ItemToItemRecommender):
    r"""Score an item by the items among a user's history that are most like it, by content, interactions or both.

    The similarity of items i and j is the sum of two parts, of which `by` may keep one:

    .. math:: s_{ij} = \frac{x_i \cdot x_j}{|x_i|\,|x_j| + h} + w \cos(z_i, z_j)

    with :math:`x_i` the weighted column of interactions [1]_, h the `shrinkage`, :math:`z_i` the encoded features of
    the item (centred, unless sparse) and w the `content_weight`. Only the `n_neighbors` most similar items
    :math:`N(i)` of each item count. A new item has neighbours by its content: nothing has to be
    trained. Implicit feedback, with the weights :math:`w_{uj}` of the history:

    .. math:: \hat s_{ui} = \sum_{j \in N(i)} s_{ij} w_{uj}

    and explicit feedback, on what damped biases leave of the ratings [2]_:

    .. math:: \hat r_{ui} = \mu + b_u + b_i + \frac{\sum_{j \in N(i)} s_{ij} (r_{uj} - \mu - b_u - b_j)}
              {1 + \sum_{j \in N(i)} s_{ij}}, \qquad \text{sums over the j that u has rated.}

    A millionth of the item's share of all interactions is added to the implicit score, so that items without a
    neighbour in the history are ranked by popularity; so are all items for users without a history.

    Parameters
    ----------
    n_neighbors : int or None, default=100
        Neighbours of each item that count; None: all that are similar at all.
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
        Turns them into vectors, e.g. a pipeline of TextTemplate and LLMTextEncoder.
    feedback : {"implicit", "explicit"}, default="implicit"
        Whether y holds non-negative weights (None for all one), or ratings.
    weighter : transformer, default=None
        Turns counts with a heavy tail into weights, such as `CountWeighter`: it is fitted on the summed y of the pairs
        of users and items. None: y is the weight.
    time : str or int, default=None
        Column of X that orders the rows of a user: numbers or dates. None: the order of training rows is unknown.
    half_life : float, "auto" or None, default="auto"
        After how many later interactions of a user one counts half as much for what this user is recommended; 1 or 2
        for "what next?", more where tastes last. A list in `history` has an order, oldest first, also without `time`.
        "auto" chooses 0.5, 1, ..., 32 or no fading, by what users did last, held out from a second fit; without `time`
        and for explicit feedback nothing fades. None: order does not count.
    by : {"auto", "content", "interactions", "both"}, default="auto"
        What makes items similar; ``"auto"``: both if there are features, else interactions.
    metric : {"auto", "cosine", "tfidf", "bm25"}, default="auto"
        How interactions are weighted before cosines are taken; ``"tfidf"`` and ``"bm25"`` let users with long
        histories count less. Content is compared by the cosine always. Explicit feedback: ``"cosine"`` only, which
        ``"auto"`` takes then; for implicit feedback it takes ``"tfidf"``.
    content_weight : float or "auto", default="auto"
        Weight w of the content beside the interactions. Where neighbours by content mislead, a large weight does harm;
        where interactions are few, it helps: "auto" chooses among 0.03, 0.1, 0.3, 1 and 3, times what the chosen
        `shrinkage` leaves of the similarities by interactions, on the same held-out interactions as the shrinkage,
        and takes 0.3 unless another one is better beyond chance.
    shrinkage : float or "auto", default="auto"
        Draws similarities that rest on few interactions towards zero: h is so many times the mean square of the
        weighted interactions. The larger it is, the more count popular items. "auto" searches from 20 along factors of
        four, and interpolates, for the best NDCG@20 (or squared error of explicit feedback) on tenths of the
        interactions of the 1,000 most popular items that are held out for the choice. It stays 20 unless the other
        value is better by two standard errors. The choice has no random state: equal data, equal value.
    damping : float, default=5.0
        Number of ratings at the mean that every bias starts with (explicit feedback).
    handle_unknown : {"prior", "error"}, default="prior"
        Whether unknown users and items get what features and popularity say, or raise.

    Attributes
    ----------
    similarity_ : csr_matrix of shape (n_items, n_trained)
        Row i: the neighbours of item i, at most `n_neighbors`, among the items with interactions at `fit`, which are
        the first of `items_`. `partial_fit` appends rows for new items; neighbours of known ones stay.
    content_weight_, shrinkage_ : float
        Weight w and shrinkage that are used.
    mean_ : float
        Mean rating; 0 for implicit feedback.
    item_biases_, user_biases_ : ndarray of shape (n_items,), (n_users,)
        Damped biases; 0 for implicit feedback.
    half_life_ : float or None
        The half-life in use, None where nothing fades.
    users_, items_, seen_
        See `BaseRecommender`.

    References
    ----------
    .. [1] M. Deshpande and G. Karypis, "Item-based top-N recommendation algorithms", ACM TOIS 22(1), 2004.
    .. [2] Y. Koren, "Factor in the neighbors", ACM TKDD 4(1), 2010.

    Examples
    --------
    >>> from sklearn.feature_extraction.text import TfidfVectorizer
    >>> from skllmrec import NeighborsRecommender
    >>> X = [["ann", 1, "space horror"], ["ann", 2, "space desert"], ["bob", 3, "city crime"], ["cem", 4, "crime"]]
    >>> recommender = NeighborsRecommender(feedback="implicit", item_features=2, item_encoder=TfidfVectorizer())
    >>> recommender.fit(X).recommend(["bob"], n_items=1)[0]
    array([[4]])
    """

    _parameter_constraints: dict = {
        **ItemToItemRecommender._parameter_constraints,
        **FadingRecommender._order_constraints,
        "n_neighbors": [Interval(Integral, 1, None, closed="left"), None],
        "by": [StrOptions({"auto", "content", "interactions", "both"})],
        "metric": [StrOptions({"auto", *WEIGHTINGS})],
        "content_weight": [StrOptions({"auto"}), Interval(Real, 0, None, closed="neither")],
        "shrinkage": [StrOptions({"auto"}), Interval(Real, 0, None, closed="left")],
        "damping": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self,
        n_neighbors: int | None = 100,
        *,
        user: Column = 0,
        item: Column = 1,
        user_features: Columns | None = None,
        item_features: Columns | None = None,
        user_encoder: Estimator | None = None,
        item_encoder: Estimator | None = None,
        feedback: Feedback = "implicit",
        weighter: Estimator | None = None,
        time: Column | None = None,
        half_life: float | str | None = "auto",
        by: str = "auto",
        metric: str = "auto",
        content_weight: Any = "auto",
        shrinkage: Any = "auto",
        damping: float = 5.0,
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
        self.weighter = weighter
        self.time = time
        self.half_life = half_life
        self.by = by
        self.metric = metric
        self.content_weight = content_weight
        self.shrinkage = shrinkage
        self.damping = damping
        self.handle_unknown = handle_unknown

    def _fit_interactions(self, interactions):
        features = interactions.item_features
        if self.by in ("content", "both") and features is None:
            raise ValueError(f"by={self.by!r} compares items by their content: name its columns with item_features=")
        if self.feedback == "explicit" and self.metric not in ("auto", "cosine"):
            raise ValueError(
                f"metric={self.metric!r} weighs counts, not ratings: use metric='cosine', or feedback='implicit'"
            )
        self._n_trained = interactions.trained_shape[1]
        self._begin_count(interactions.weights)
        self.mean_ = 0.0
        if interactions.ratings is not None:
            self.mean_ = float(np.average(interactions.ratings, weights=interactions.weights.data))
        counts = features is not None and self.by != "interactions"
        self._content = Content.learn(features, self._n_trained) if counts else None
        self.item_biases_ = np.empty(0)
        self.similarity_ = sparse.csr_matrix((0, self._n_trained))
        self.shrinkage_, self.content_weight_ = self._choose_strengths(interactions)
        self._learn_order(interactions, {"shrinkage": self.shrinkage_, "content_weight": self.content_weight_})
        self._append_items(interactions)

    def _partial_fit_interactions(self, interactions, users, items):
        self._extend_order(interactions)
        if self._content is not None:
            self._content = self._content.extended(interactions.item_features, interactions.weights.shape[1])
        self._count(interactions.weights)
        self._append_items(interactions)

    def _append_items(self, interactions):
        """Learn biases and neighbours of the items that have none yet; those of the others stay."""
        n_old, n_items = len(self.item_biases_), interactions.weights.shape[1]
        self._learn_columns(interactions.weights, interactions.ratings)
        new = np.arange(n_old, n_items)
        own = np.where(new < self._n_trained, new, -1)
        rows = nearest(lambda block: self._similar(new[block]), len(new), self._n_trained, self.n_neighbors, own)
        self.similarity_ = sparse.vstack([self.similarity_, rows], format="csr")

    def _learn_columns(self, weights, ratings):
        """Learn biases of the items that have none yet, and the columns of interactions that are compared."""
        n_old, n_items = len(self.item_biases_), weights.shape[1]
        biases, columns = np.zeros(n_items), weights
        if ratings is not None:
            biases = _damped_means(weights.indices, weights.data, ratings - self.mean_, n_items, self.damping)
        self.item_biases_ = np.append(self.item_biases_, biases[n_old:])
        self.user_biases_ = np.zeros(weights.shape[0])
        if ratings is not None:
            self.user_biases_, columns = self._user_biases(weights, ratings)
        self._by_users, self._unit = None, 1.0
        if self.by != "content":
            weighting = ("tfidf" if ratings is None else "cosine") if self.metric == "auto" else self.metric
            columns = weigh(columns, weighting)
            self._by_users, self._unit = columns.T.tocsr(), float(np.mean(columns.data**2)) if columns.nnz else 1.0
            self._lengths = np.sqrt(np.asarray(self._by_users.multiply(self._by_users).sum(axis=1)).ravel())

    def _user_biases(self, weights, ratings):
        """Damped biases of some users, and what biases leave of their ratings."""
        rows = np.repeat(np.arange(weights.shape[0]), np.diff(weights.indptr))
        rest = ratings - self.mean_ - self.item_biases_[weights.indices]
        biases = _damped_means(rows, weights.data, rest, weights.shape[0], self.damping)
        return biases, sparse.csr_matrix((rest - biases[rows], weights.indices, weights.indptr), weights.shape)

    def _similar(self, codes):
        """Similarities of some known items to all that were trained on, (n, n_trained)."""
        similarity = None if self._content is None else self._similar_content(self._content.vectors[codes])
        if self._by_users is None:
            return similarity
        shared = self._similar_interactions(codes)
        return shared if similarity is None else np.add(shared, similarity, out=shared)

    def _similar_interactions(self, codes):
        """Similarities of the interactions of some known items to those of all that were trained on."""
        columns, lengths = self._by_users[: self._n_trained], self._lengths[: self._n_trained]
        # models that were saved before the shrinkage was chosen have only the parameter
        shrinkage = getattr(self, "shrinkage_", self.shrinkage) * self._unit
        return shrunk_cosines(self._by_users[codes], columns, self._lengths[codes], lengths, shrinkage)

    def _similar_content(self, vectors):
        """Similarities of the content of some items to that of all that were trained on."""
        return self.content_weight_ * inner_products(vectors, self._content.trained)

    # -- shrinkage and weight of the content ------------------------------------------------------------------

    def _choose_strengths(self, interactions):
        """Return the shrinkage and the weight of the content, those left open by held-out interactions."""
        shrinkage = None if self.shrinkage == "auto" else float(self.shrinkage)
        weight = None if self.content_weight == "auto" else float(self.content_weight)
        if self._content is None or self.by == "content":
            weight = 1.0
        if self.by != "content" and None in (shrinkage, weight):
            trials = self._trials(interactions)
            if trials:
                return choose_strengths(trials, shrinkage, weight)
        return USUAL_SHRINKAGE if shrinkage is None else shrinkage, USUAL_WEIGHT if weight is None else weight

    def _trials(self, interactions):
        """Fits of the most popular items without a tenth of their interactions; none where there are too few."""
        n_users, n_trained = interactions.trained_shape
        observed, ratings = interactions.weights[:n_users, :n_trained], interactions.ratings
        items = popular_items(observed)
        entries = np.flatnonzero(np.isin(observed.indices, items))
        codes = np.searchsorted(items, observed.indices[entries])
        indptr = np.searchsorted(entries, observed.indptr)
        sample = sparse.csr_matrix((observed.data[entries], codes, indptr), (n_users, len(items)))
        targets = None if ratings is None else ratings[entries]
        content = None if self._content is None else self._content.vectors[items]
        return [self._trial(drawn, targets, content) for drawn in draw_hold_outs(sample, _MAX_JUDGED)]

    def _trial(self, drawn, targets, content):
        """Neighbours of the items of a hold-out, judged by what it holds out."""
        trial = copy.copy(self)
        trial.item_biases_ = np.empty(0)
        trial._begin_count(drawn.train)
        parts = (drawn.train, drawn.train_entries), (drawn.test, drawn.test_entries)
        train, test = ((part, None if targets is None else targets[entries]) for part, entries in parts)
        trial._learn_columns(*train)
        given, asked = (interactions_of(*part, drawn.users) for part in (train, test))

        def quality(columns):
            return trial._held_out_quality(columns, given, asked)

        return NeighborTrial(trial._by_users, trial._unit, content, self.n_neighbors, quality)

    def _held_out_quality(self, columns, given, asked):
        """NDCG@20 of users, or minus the squared errors of ratings, that were held out."""
        (weights, ratings), (held_out, targets) = given, asked
        if ratings is None:
            return ranking_gain(history_sums(weights, columns) + TIE_BREAK * self._popularity, held_out, weights)
        predicted = self._predicted(weights, ratings, columns, self.mean_ + self.item_biases_)
        pairs = held_out.tocoo()
        return -((targets - predicted[pairs.row, pairs.col]) ** 2)

    def _new_vectors(self, items):
        """Vectors of the rows of features that new items bring; None where content does not count."""
        if items.features is None or self._content is None:
            return None
        return self._content.of(items.features)

    # -- scores -----------------------------------------------------------------------------------------------

    def _columns(self, items):
        n_known, n_trained = self.similarity_.shape
        places = np.where(items.codes >= 0, items.codes, n_known)
        parts = [self.similarity_, sparse.csr_matrix((1, n_trained))]  # the empty row: nothing is known
        vectors = self._new_vectors(items)
        if vectors is not None:
            n_new, new = vectors.shape[0], items.codes < 0
            parts.append(nearest(lambda few: self._similar_content(vectors[few]), n_new, n_trained, self.n_neighbors))
            places[new] = n_known + 1 + items.rows[new]
        return sparse.vstack(parts, format="csr")[places].T.tocsr()

    def _offsets(self, items):
        if self.feedback == "implicit":
            return super()._offsets(items)
        return self.mean_ + np.append(self.item_biases_, 0.0)[items.codes]

    def _score_prepared(self, users, prepared):
        if self.feedback == "implicit":
            return super()._score_prepared(users, prepared)
        return self._predicted(*self._interactions_of(users), prepared.columns, prepared.offsets)

    def _predicted(self, weights, ratings, columns, offsets):
        """Ratings predicted from those of users."""
        biases, residuals = self._user_biases(weights, ratings)
        support = history_sums(weights, columns)
        scores = history_sums(residuals.multiply(weights).tocsr(), columns) / (support + _SUPPORT)
        return scores + offsets + biases[:, np.newaxis]

    def _similarity_block(self, queries, items):
        similarity = np.zeros((len(queries), len(items)))
        trained = np.flatnonzero(items.codes < self._n_trained)
        is_known = queries.codes >= 0
        similarity[np.ix_(is_known, trained)] = self._similar(queries.codes[is_known])[:, items.codes[trained]]
        vectors = self._new_vectors(queries)
        if vectors is not None:
            content = self._similar_content(vectors[queries.rows[~is_known]])
            similarity[np.ix_(~is_known, trained)] = content[:, items.codes[trained]]
        return similarity


def _damped_means(codes, weights, values, n, damping):
    totals, counts = (np.bincount(codes, weights=part, minlength=n) for part in (weights * values, weights))
    return totals / (counts + damping)
