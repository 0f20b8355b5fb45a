"""LinearAutoencoderRecommender: item-to-item weights in closed form, with text as side-information."""

from functools import partial
from numbers import Integral, Real
from typing import Any

import numpy as np
from scipy import sparse

from skllmrec._free_memory import free_memory
from skllmrec._kernels.item_item.autoencoder import (
    METHODS,
    NEED_FEATURES,
    cold_columns,
    fit_autoencoder,
    memory_needed,
    prune,
)
from skllmrec._sklearn import Interval, StrOptions
from skllmrec._typing import Column, Columns, Estimator, Feedback, Unknown
from skllmrec.recommenders._item_to_item import Candidates, Content, ItemToItemRecommender, place_columns

_RIDGE_OF_HISTORIES = 5.0  # alpha in mean histories; published optima of EASE: 7 (ML-20M), 8 (Netflix), 3.4 (MSD)
_SHARE_OF_ALPHA = {"cease": 0.1, "l3ae": 1.0}
_ADDITIVE_SHARE = 0.25
_BLOCK_ITEMS = 1024  # whose columns are dense at a time where they are pruned


class LinearAutoencoderRecommender(ItemToItemRecommender):
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
    method : {"auto", "ease", "edlae", "cease", "additive", "l3ae"}, default="auto"
        With :math:`G = X^\top X`, K the inner products of the features of items, and :math:`Z(P)_{ij} = -P_{ij} /
        P_{jj}` with a zero diagonal:

        - ``"ease"`` [1]_: :math:`B = Z((G + \alpha I)^{-1})`,
        - ``"edlae"`` [2]_: as if interactions were dropped at random: :math:`B = Z((G + \frac{p}{1 - p}
          \operatorname{diag} G + \alpha I)^{-1})`, p the `dropout`,
        - ``"cease"`` [3]_: features as additional rows of X: :math:`B = Z((G + w K + \alpha I)^{-1})`,
        - ``"additive"`` [3]_: :math:`B = (1 - w) Z((G + \alpha I)^{-1}) + w Z((K + \beta I)^{-1})`,
        - ``"l3ae"`` [4]_: B is drawn, with strength w, to :math:`Z((K + \beta I)^{-1})`.

        ``"auto"``: ``"additive"`` with features, the best of them for new items, else ``"ease"``.
    alpha : float or None, default=None
        Ridge :math:`\alpha`. None: five times the mean number of interactions of a user, weights counted by
        their squares.
    feature_alpha : float, default=5.0
        Ridge :math:`\beta` of the features, whose rows have length one (additive, l3ae).
    feature_weight : float or None, default=None
        w; a share below 1 for ``"additive"``. None: :math:`\alpha / 10` (cease), .25 (additive), :math:`\alpha` (l3ae).
    dropout : float, default=0.3
        p of edlae.
    n_neighbors : int or None, default=None
        Entries of each column of B, those of new items among them, that are kept, the largest in modulus; a sparse B
        takes less memory and time to score. None keeps all. The fit itself is dense either way.
    handle_unknown : {"prior", "error"}, default="prior"
        Whether unknown users and items get what features and popularity say, or raise.

    Attributes
    ----------
    item_weights_ : ndarray or csc_matrix of shape (n_trained, n_trained), float32
        B. Its items are those with interactions at `fit`, the first of `items_`.
    alpha_ : float
        Ridge used.
    users_, items_, seen_
        See `BaseRecommender`.

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
        "method": [StrOptions({"auto", *METHODS})],
        "alpha": [Interval(Real, 0, None, closed="neither"), None],
        "feature_alpha": [Interval(Real, 0, None, closed="neither")],
        "feature_weight": [Interval(Real, 0, None, closed="neither"), None],
        "dropout": [Interval(Real, 0, 1, closed="left")],
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
        method: str = "auto",
        alpha: Any = None,
        feature_alpha: Any = 5.0,
        feature_weight: Any = None,
        dropout: float = 0.3,
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
        self.method = method
        self.alpha = alpha
        self.feature_alpha = feature_alpha
        self.feature_weight = feature_weight
        self.dropout = dropout
        self.n_neighbors = n_neighbors
        self.handle_unknown = handle_unknown

    def _fit_interactions(self, interactions):
        (n_users, n_trained), features = interactions.trained_shape, interactions.item_features
        method = self._check_method(features)
        X = interactions.weights[:, :n_trained]
        mean_history = float(X.data @ X.data) / n_users or 1.0  # where all weights are zero, any ridge will do
        self.alpha_ = _RIDGE_OF_HISTORIES * mean_history if self.alpha is None else self.alpha
        self._begin_count(interactions.weights)
        content = Content.learn(features, n_trained, dtype=np.float32) if method in NEED_FEATURES else None
        self._check_memory(method, n_trained, features if content is not None else None)
        fitted = fit_autoencoder(
            X,
            None if content is None else content.trained,
            method=method,
            alpha=self.alpha_,
            feature_alpha=self.feature_alpha,
            feature_weight=self._feature_weight(method),
            dropout=self.dropout,
        )
        self.item_weights_ = fitted.weights if self.n_neighbors is None else prune(fitted.weights, self.n_neighbors)
        self._content, self._cold, self._n_kept = content, fitted.cold, self.n_neighbors
        del fitted  # B, where a pruned one has taken its place
        if content is not None:
            self._new_columns = self._cold_columns(content.vectors[n_trained:])

    def _check_method(self, features):
        if self.method == "auto":
            return "ease" if features is None else "additive"
        if self.method in NEED_FEATURES and features is None:
            raise ValueError(f"method={self.method!r} reads features of items: name their columns with item_features=")
        if self.method == "additive" and self.feature_weight is not None and self.feature_weight >= 1:
            raise ValueError(
                f"feature_weight={self.feature_weight} is a share for method='additive': choose one below 1"
            )
        return self.method

    def _feature_weight(self, method):
        if self.feature_weight is not None:
            return self.feature_weight
        return _ADDITIVE_SHARE if method == "additive" else self.alpha_ * _SHARE_OF_ALPHA.get(method, 1.0)

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
