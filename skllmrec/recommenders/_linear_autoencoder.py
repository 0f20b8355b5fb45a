"""LinearAutoencoderRecommender: item-to-item weights in closed form, with text as side-information."""

from functools import partial
from numbers import Integral, Real

import numpy as np
from scipy import sparse

from skllmrec._free_memory import free_memory
from skllmrec._kernels.item_item.autoencoder import (
    METHODS,
    NEED_FEATURES,
    cold_columns,
    fit_autoencoder,
    memory_needed,
    popularity_factors,
    prune,
    weigh_users,
)
from skllmrec._kernels.item_item.autoencoder_selection import choose_feature_ridge, choose_strengths
from skllmrec._sklearn import Interval, StrOptions
from skllmrec._typing import Column, Columns, Estimator, Feedback, Unknown
from skllmrec.recommenders._item_to_item import Candidates, Content, ItemToItemRecommender, place_columns
from skllmrec.recommenders._order import FadingRecommender

_DROPOUT, _USER_EXPONENT = 0.33, 0.5  # of "auto": near the best on validation rows of four sets
_BLOCK_ITEMS = 1024  # whose columns are dense at a time where they are pruned


class LinearAutoencoderRecommender(FadingRecommender, ItemToItemRecommender):
    r"""Reconstruct each user's history from itself by item-to-item weights with a zero diagonal.

    The score is :math:`\hat s_{ui} = \sum_j x_{uj} B_{ji}` with X the interactions and B in closed form (see
    `method`): no training loop and no learning rate. B has n_items x n_items entries and takes time of the order of the
    cube of the number of items: suited to up to some ten thousand items.

    With features the text of items shapes B, and a new item gets the column that the same least squares give to its
    features, so that it can be recommended at once.

    Parameters
    ----------
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
        Turns them into vectors; dense ones are centred, all are scaled to unit length.
    feedback : {"implicit"}, default="implicit"
        y holds weights (None for all one). `fit` refuses "explicit": reconstruction knows what was chosen, not how it
        was rated, so that no rating can be predicted.
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
    method : {"auto", "ease", "edlae", "cease", "additive", "l3ae"}, default="auto"
        With :math:`G = X^\top X`, K the inner products of the features of items, and :math:`Z(P)_{ij} = -P_{ij} /
        P_{jj}` with a zero diagonal:

        - ``"ease"`` [1]_: :math:`B = Z((G + \alpha I)^{-1})`,
        - ``"edlae"`` [2]_: as if interactions were dropped at random: :math:`B = Z((G + \frac{p}{1 - p}
          \operatorname{diag} G + \alpha I)^{-1})`, p the `dropout`,
        - ``"cease"`` [3]_: features as additional rows of X: :math:`B = Z((G + w K + \alpha I)^{-1})`,
        - ``"additive"`` [3]_: :math:`B = (1 - w) Z((G + \alpha I)^{-1}) + w Z((K + \beta I)^{-1})`,
        - ``"l3ae"`` [4]_: B is drawn, with strength w, to :math:`Z((K + \beta I)^{-1})`.

        Those are the published models. ``"auto"``: ``"additive"`` with features, else ``"edlae"``, both with a dropout
        and with weights of users and of popular items, see `user_exponent` and `popularity_exponent`.
    alpha : float or None, default=None
        Ridge :math:`\alpha`. None: the best on held-out interactions (NDCG@20), see Notes.
    feature_alpha : float or None, default=None
        Ridge :math:`\beta` of the features, whose rows have length one. None: the one that ranks held-out items best.
    feature_weight : float or None, default=None
        w; a share below 1 for ``"additive"``. None: the best of 0.05, 0.1, 0.25 and 0.5 on held-out interactions
        (additive), :math:`\alpha / 10` (cease), :math:`\alpha` (l3ae).
    dropout : float or None, default=None
        p; it adds :math:`\frac{p}{1 - p} \operatorname{diag} G` to :math:`\alpha I` in every method but ``"ease"``.
        None: 0.33 for ``"auto"`` and ``"edlae"``, else 0.
    user_exponent : float or None, default=None
        a: an interaction of a user with n of them counts :math:`n^{-a}` in G, so that users with long histories do not
        decide alone. None: 0.5 for ``"auto"``, else 0.
    popularity_exponent : float or None, default=None
        c: the score of an item with n interactions is multiplied by :math:`(n / \bar n)^{-c}`, so that lists cover
        more items. None: the best of 0, 0.1, ..., 0.4 on held-out interactions for ``"auto"``, else 0.
    n_neighbors : int or None, default=None
        Entries of each column of B, those of new items among them, that are kept, the largest in modulus; a sparse B
        takes less memory and time to score. None keeps all. The fit itself is dense either way.
    handle_unknown : {"prior", "error"}, default="prior"
        Whether unknown users and items get what features and popularity say, or raise.

    Attributes
    ----------
    item_weights_ : ndarray or csc_matrix of shape (n_trained, n_trained), float32
        B. Its items are those with interactions at `fit`, the first of `items_`.
    alpha_, feature_alpha_, feature_weight_, dropout_, user_exponent_, popularity_exponent_ : float
        As given or as chosen; `feature_alpha_` and `feature_weight_` are NaN without features.
    half_life_ : float or None
        The half-life in use, None where nothing fades.
    users_, items_, seen_
        See `BaseRecommender`.

    Notes
    -----
    What is None is chosen with a tenth of the interactions held out, two to eight times, among the 1,000 most popular
    items only: the best ridge hardly depends on the others, and the search takes less time than the fit from some 3,000
    items on. The ridge is climbed in factors of two and interpolated; which interactions are held out is fixed, so that
    equal data gives equal choices. Fewer than 50 held-out interactions choose nothing: then :math:`\alpha` is eight
    mean histories, w of additive 0.25, :math:`\beta` 5 and c 0.

    References
    ----------
    .. [1] H. Steck, "Embarrassingly shallow autoencoders for sparse data", WWW 2019.
    .. [2] H. Steck, "Autoencoders that don't overfit towards the identity", NeurIPS 2020.
    .. [3] O. Jeunen, J. Van Balen and B. Goethals, "Closed-form models for collaborative filtering with
       side-information", RecSys 2020.
    .. [4] J. Moon, S. Park and J. Lee, "LLM-enhanced linear autoencoders for recommendation", CIKM 2025.

    Examples
    --------
    >>> from skllmrec import LinearAutoencoderRecommender
    >>> X = [["ann", "alien"], ["ann", "dune"], ["bob", "alien"], ["bob", "dune"], ["bob", "up"], ["cem", "dune"]]
    >>> LinearAutoencoderRecommender(alpha=1.0).fit(X).recommend(["cem"], n_items=1)[0]
    array([['alien']], dtype=object)
    """

    _parameter_constraints: dict = {
        **ItemToItemRecommender._parameter_constraints,
        **FadingRecommender._order_constraints,
        "method": [StrOptions({"auto", *METHODS})],
        "alpha": [Interval(Real, 0, None, closed="neither"), None],
        "feature_alpha": [Interval(Real, 0, None, closed="neither"), None],
        "feature_weight": [Interval(Real, 0, None, closed="neither"), None],
        "dropout": [Interval(Real, 0, 1, closed="left"), None],
        "user_exponent": [Interval(Real, 0, None, closed="left"), None],
        "popularity_exponent": [Interval(Real, None, None, closed="neither"), None],
        "n_neighbors": [Interval(Integral, 1, None, closed="left"), None],
    }
    _reads_ratings = False  # reconstruction knows what was chosen, not how it was rated

    def __init__(
        self,
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
        method: str = "auto",
        alpha: float | None = None,
        feature_alpha: float | None = None,
        feature_weight: float | None = None,
        dropout: float | None = None,
        user_exponent: float | None = None,
        popularity_exponent: float | None = None,
        n_neighbors: int | None = None,
        handle_unknown: Unknown = "prior",
    ) -> None:
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
        self.method = method
        self.alpha = alpha
        self.feature_alpha = feature_alpha
        self.feature_weight = feature_weight
        self.dropout = dropout
        self.user_exponent = user_exponent
        self.popularity_exponent = popularity_exponent
        self.n_neighbors = n_neighbors
        self.handle_unknown = handle_unknown

    def _fit_interactions(self, interactions):
        (_, n_trained), features = interactions.trained_shape, interactions.item_features
        method = self._check_method(features)
        X = interactions.weights[:, :n_trained]
        unit = self._unit(X)
        X = X / unit
        self._begin_count(interactions.weights)
        content = Content.learn(features, n_trained, dtype=np.float32) if method in NEED_FEATURES else None
        self._check_memory(method, n_trained, features if content is not None else None)
        trained = None if content is None else content.trained
        strengths = self._choose(X, trained, method, unit)
        self._learn_order(interactions, self._chosen(method))
        fitted = fit_autoencoder(
            weigh_users(X, self.user_exponent_),
            trained,
            method=method,
            alpha=strengths.alpha,
            feature_alpha=self.feature_alpha_,
            feature_weight=strengths.feature_weight,
            dropout=self.dropout_,
        )
        if self.popularity_exponent_:
            counts = np.bincount(X.indices, minlength=n_trained)
            np.multiply(fitted.weights, popularity_factors(counts, self.popularity_exponent_), out=fitted.weights)
        self.item_weights_ = fitted.weights if self.n_neighbors is None else prune(fitted.weights, self.n_neighbors)
        self._content, self._cold, self._n_kept = content, fitted.cold, self.n_neighbors
        del fitted  # B, where a pruned one has taken its place
        if content is not None:
            self._new_columns = self._cold_columns(content.vectors[n_trained:])

    def _check_method(self, features):
        if self.method == "auto":
            return "edlae" if features is None else "additive"
        if self.method in NEED_FEATURES and features is None:
            raise ValueError(f"method={self.method!r} reads features of items: name their columns with item_features=")
        if self.method == "additive" and self.feature_weight is not None and self.feature_weight >= 1:
            raise ValueError(
                f"feature_weight={self.feature_weight} is a share for method='additive': choose one below 1"
            )
        return self.method

    def _choose(self, X, features, method, unit):
        """Fill in the strengths that are None, for weights that are counted in a unit."""
        is_auto = self.method == "auto"
        self.dropout_ = (_DROPOUT if is_auto or method == "edlae" else 0.0) if self.dropout is None else self.dropout
        self.user_exponent_ = float(is_auto) * _USER_EXPONENT if self.user_exponent is None else self.user_exponent
        self.feature_alpha_ = self.feature_alpha
        if self.feature_alpha is None:
            self.feature_alpha_ = float("nan") if features is None else choose_feature_ridge(X, features)
        exponent = 0.0 if self.popularity_exponent is None and not is_auto else self.popularity_exponent
        strengths = choose_strengths(
            X,
            features,
            method=method,
            alpha=self.alpha,
            popularity_exponent=exponent,
            feature_weight=self.feature_weight,
            feature_alpha=self.feature_alpha_,
            user_exponent=self.user_exponent_,
            dropout=self.dropout_,
        )
        scale = 1.0 if method == "additive" else unit**2
        self.alpha_, self.popularity_exponent_ = strengths.alpha * unit**2, strengths.popularity_exponent
        self.feature_weight_ = float("nan") if features is None else strengths.feature_weight * scale
        return strengths

    def _chosen(self, method):
        """Values of the parameters that this fit has chosen."""
        names = "alpha", "feature_alpha", "feature_weight", "popularity_exponent", "dropout", "user_exponent"
        found = {name: getattr(self, f"{name}_") for name in names}
        found = {name: None if value is not None and np.isnan(value) else value for name, value in found.items()}
        return {"method": method, **found}

    def _unit(self, X):
        """Power of two in which weights are counted: B does not depend on it, but squares of tiny weights are zero."""
        relative = self.alpha is None and (self.feature_weight is None or self.method in ("auto", "additive"))
        largest = X.data.max(initial=0.0)
        return float(2.0 ** np.floor(np.log2(largest))) if relative and largest > 0 else 1.0

    def _check_memory(self, method, n_items, features):
        """Refuse a fit that cannot fit, before anything is allocated."""
        n_all, n_features = (n_items, 0) if features is None else features.shape
        n_later = n_all - n_items if self.n_neighbors is None else 0
        needed = memory_needed(method, n_items, n_features=n_features, n_later=n_later)
        free = free_memory()
        if free is not None and needed > free:
            raise ValueError(
                f"method={method!r} on {n_items:,} items needs {needed / 2**30:.1f} GiB of memory, and "
                f"{free / 2**30:.1f} GiB are free: keep fewer items (those with most interactions), choose "
                "method='ease', or use FeatureMFRecommender, whose memory is linear in the items"
            )

    def _cold_columns(self, vectors):
        """Columns of B of items outside the fit, (n_trained, n), for rows of vectors."""
        trained, n = self._content.trained, vectors.shape[0]
        if self._n_kept is None:
            return cold_columns(self._cold, trained, vectors)
        blocks = (vectors[start : start + _BLOCK_ITEMS] for start in range(0, max(n, 1), _BLOCK_ITEMS))
        pruned = [prune(cold_columns(self._cold, trained, block), self._n_kept) for block in blocks]
        return sparse.hstack(pruned, format="csc")

    def _partial_fit_interactions(self, interactions, users, items):
        self._extend_order(interactions)
        self._count(interactions.weights)
        if self._content is not None:
            known = self._content.vectors.shape[0]
            self._content = self._content.extended(interactions.item_features, interactions.weights.shape[1])
            new = self._cold_columns(self._content.vectors[known:])
            join = np.hstack if self._n_kept is None else partial(sparse.hstack, format="csc")
            self._new_columns = join([self._new_columns, new])

    def _prepare_items(self, items):
        n_trained = self.item_weights_.shape[0]
        if (
            self._n_kept is None
            and 2 * len(items) >= n_trained
            and (items.codes < n_trained).all()
            and (items.codes >= 0).all()
        ):
            # most of a dense B: to score too many is cheaper than to copy it
            return Candidates(self.item_weights_, self._offsets(items), items.codes)
        return super()._prepare_items(items)

    def _columns(self, items):
        n_trained = self.item_weights_.shape[0]
        if np.array_equal(items.codes, np.arange(n_trained)):
            return self.item_weights_
        trained = np.flatnonzero((items.codes >= 0) & (items.codes < n_trained))
        parts = [(trained, self.item_weights_[:, items.codes[trained]])]
        if self._content is not None:
            later, new = np.flatnonzero(items.codes >= n_trained), np.flatnonzero(items.codes < 0)
            parts.append((later, self._new_columns[:, items.codes[later] - n_trained]))
            if items.features is not None:
                parts.append((new, self._cold_columns(self._content.of(items.features))[:, items.rows[new]]))
        return place_columns(parts, (n_trained, len(items)))

    def _similarity_block(self, queries, items):
        """Return the weights of each item for the queries: their columns of B; 0 for items outside the fit."""
        columns = self._columns(queries)
        columns = columns.toarray() if sparse.issparse(columns) else columns
        similarity = np.zeros((len(queries), len(items)), dtype=np.float32)
        trained = np.flatnonzero(items.codes < len(columns))
        similarity[:, trained] = columns[items.codes[trained]].T
        return similarity
