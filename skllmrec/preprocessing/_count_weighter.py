"""CountWeighter: weights of implicit feedback out of counts such as plays, hours, clicks or money."""

from numbers import Real
from typing import Any, Literal, Self

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skllmrec._column_names import columns_of_kind
from skllmrec._format import VersionedStateMixin
from skllmrec._sklearn import Interval, StrOptions, all_or_nothing, fit_context, is_frame, validate_data
from skllmrec._typing import ArrayLike, CsrMatrix, FloatArray, IntArray, Matrix

_MOST_LEVELS = 1001  # quantiles that are kept of more distinct counts


def _log(counts, alpha, eps):
    """Hu, Koren and Volinsky's confidence; an observed zero is no event."""
    return np.where(counts > 0, 1 + alpha * np.log1p(counts / eps), 0.0)


def _bm25(matrix, lengths, k1, b):
    """BM25 of the stored counts; items are the documents, users the terms."""
    trained = lengths > 0
    n_items = max(int(trained.sum()), 1)
    relative = np.where(trained, lengths / (lengths[trained].mean() if trained.any() else 1.0), 1.0)
    norm = (1 - b + b * relative)[matrix.indices]
    frequencies = np.bincount(_rows_of(matrix), weights=matrix.data > 0, minlength=matrix.shape[0])
    # a user of all items but one would weigh nothing, a user of all less than nothing
    rarity = np.maximum(np.log(n_items / (1 + frequencies)), np.log1p(1 / n_items))
    return matrix.data * (k1 + 1) / (k1 * norm + matrix.data) * rarity[_rows_of(matrix)]


def _rows_of(matrix: CsrMatrix) -> IntArray:
    """Row of each stored entry."""
    return np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))


def _shares_within_rows(matrix: CsrMatrix) -> FloatArray:
    """Share of the positive counts of a row that are not larger than each of them; 0 for zeros."""
    rows, counts = _rows_of(matrix), matrix.data
    order = np.lexsort((counts, rows))
    rows, counts = rows[order], counts[order]
    # the last entry of a run of equal counts: all before it in the row are not larger
    is_last = np.append((np.diff(rows) != 0) | (np.diff(counts) != 0), True) if len(counts) else np.zeros(0, bool)
    last = np.flatnonzero(is_last)[np.r_[0, np.cumsum(is_last)[:-1]]] if len(counts) else np.zeros(0, int)
    n_zeros = np.bincount(rows, weights=counts == 0, minlength=matrix.shape[0])
    sizes = np.diff(matrix.indptr) - n_zeros
    shares = np.empty(len(counts))
    shares[order] = (last + 1 - matrix.indptr[rows] - n_zeros[rows]) / np.maximum(sizes[rows], 1)
    return np.where(matrix.data > 0, shares, 0.0)


def _levels(counts: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Distinct positive counts and the share of counts that are not larger; of many, as many quantiles."""
    levels, n_each = np.unique(counts, return_counts=True)
    shares = np.cumsum(n_each) / max(len(counts), 1)
    if len(levels) > _MOST_LEVELS:
        kept = np.unique(np.searchsorted(shares, np.linspace(shares[0], 1.0, _MOST_LEVELS) - 1e-12))
        levels, shares = levels[kept], shares[kept]
    return levels.astype(np.float64), shares


class CountWeighter(OneToOneFeatureMixin, TransformerMixin, VersionedStateMixin, BaseEstimator):
    r"""Turn counts of users and items into weights of implicit feedback.

    Plays, hours, clicks and money have a heavy tail: a few pairs hold much of the sum, and raw as weights they alone
    decide what is learned. Recommenders of implicit feedback take a CountWeighter as their parameter `weighter`. It is
    then fitted on the training rows of each fold, rows of the same user and item summed before, and its parameters are
    those of the recommender in a grid: ``weighter__method``. With the count :math:`c_{ui}`, the weight of an observed
    pair is

    - ``"log"``: :math:`1 + \alpha \log(1 + c_{ui} / \epsilon)` [1]_;
    - ``"bm25"``: :math:`\frac{c_{ui} (k_1 + 1)}{c_{ui} + k_1 (1 - b + b\, l_i / \bar l)} \log \frac{I}{1 + n_u}` [2]_:
      it grows little beyond :math:`k_1`; frequent items and users of many items count less. :math:`l_i` is the sum of
      the counts of an item, :math:`\bar l` their mean over the I items that have some, :math:`n_u` the number of items
      of a user. The logarithm is at least :math:`\log(1 + 1/I)`, so that no weight is 0 or negative;
    - ``"quantile"``: the share of counts that are not larger, of the same user or of all.

    A zero is no event and stays a zero.

    Parameters
    ----------
    method : {"log", "bm25", "quantile"}, default="log"
        How counts become weights.
    alpha : float, default=1.0
        Of "log": how much a count adds to the weight 1 of a mere event.
    eps : float, default=1.0
        Of "log": the count, in its own unit, at which the logarithm begins to bend; 1 suits whole counts. Take the
        smallest count that matters for others, such as 0.1 hours.
    k1 : float, default=100.0
        Of "bm25": the count at which the weight is half of what it can become (in units of the length of the item).
    b : float, default=0.8
        Of "bm25": how much the length of the item counts, from 0 to 1.
    by : {"user", "all"}, default="user"
        Of "quantile": whether a count is compared with those of the same user, or with all of the training.
    normalize : bool, default=True
        Divide the weights by their mean in the training. Strengths that are relative to the number of interactions,
        such as `unobserved_weight`, then mean what they mean without counts.

    Attributes
    ----------
    scale_ : float
        What weights are multiplied by: 1 over their mean in the training, or 1.
    item_lengths_ : ndarray of shape (n_items,), float64, or None
        Sums :math:`l_i` of the counts in the training (method "bm25").
    levels_, shares_ : ndarray of shape (n_levels,), float64, or None
        Counts of the training and the share of counts that are not larger (method "quantile" by "all").
    n_features_in_ : int
        Number of items.

    See Also
    --------
    skllmrec.preprocessing.matrix_from_interactions : Makes a matrix of rows of interactions.

    Notes
    -----
    Only statistics of items and of all counts are learned. What is a user's own, :math:`n_u` and ranks within a user,
    is read from the row that is transformed, so that new users and histories are weighted as those of the training.

    An item without counts in the training has the mean length. Weights cannot be turned back into counts: there is no
    ``inverse_transform``.

    References
    ----------
    .. [1] Y. Hu, Y. Koren and C. Volinsky, "Collaborative filtering for implicit feedback datasets", ICDM 2008.
    .. [2] S. Robertson and H. Zaragoza, "The probabilistic relevance framework: BM25 and beyond", 2009; with the
       constants and the rarity of users of ``bm25_weight`` of the package implicit, for a matrix of items and users.

    Examples
    --------
    >>> from skllmrec import CountWeighter, FeatureMFRecommender
    >>> X = [["ann", "low"], ["ann", "abba"], ["bob", "low"], ["bob", "pulp"], ["cem", "pulp"]]
    >>> hours = [0.5, 120.0, 3.0, 2500.0, 40.0]
    >>> recommender = FeatureMFRecommender(2, feedback="implicit", weighter=CountWeighter("log"), random_state=0)
    >>> recommender.fit(X, hours).recommend(["cem"], n_items=1)[0]
    array([['low']], dtype=object)

    A matrix of users and items:

    >>> CountWeighter("quantile", normalize=False).fit_transform([[10.0, 0.0, 20.0, 3000.0]]).round(2)
    array([[0.33, 0.  , 0.67, 1.  ]])
    """

    _parameter_constraints: dict = {
        "method": [StrOptions({"log", "bm25", "quantile"})],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "eps": [Interval(Real, 0, None, closed="neither")],
        "k1": [Interval(Real, 0, None, closed="neither")],
        "b": [Interval(Real, 0, 1, closed="both")],
        "by": [StrOptions({"user", "all"})],
        "normalize": ["boolean"],
    }

    def __init__(
        self,
        method: Literal["log", "bm25", "quantile"] = "log",
        *,
        alpha: float = 1.0,
        eps: float = 1.0,
        k1: float = 100.0,
        b: float = 0.8,
        by: Literal["user", "all"] = "user",
        normalize: bool = True,
    ) -> None:
        self.method = method
        self.alpha = alpha
        self.eps = eps
        self.k1 = k1
        self.b = b
        self.by = by
        self.normalize = normalize

    @all_or_nothing
    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike | CsrMatrix, y: Any = None) -> Self:
        """Learn the statistics of the counts.

        Parameters
        ----------
        X : sparse matrix or array-like of shape (n_users, n_items)
            Counts. Zeros, stored or not, are no events.
        y : None
            Ignored.

        Returns
        -------
        self : object
            The fitted transformer.

        Raises
        ------
        ValueError
            If a count is negative, NaN or infinite, or X holds rows of ids instead of counts.
        """
        self._learn(self._read(X, reset=True)[0])
        return self

    def transform(self, X: ArrayLike | CsrMatrix) -> Matrix:
        """Weight counts.

        Parameters
        ----------
        X : sparse matrix or array-like of shape (n_users, n_items)
            Counts; the users may be others than those of `fit`.

        Returns
        -------
        weights : csr_matrix or ndarray of shape (n_users, n_items), float64
            Sparse where X is; entries that are stored stay stored.

        Raises
        ------
        ValueError
            As in `fit`, or if X has another number of items.
        """
        check_is_fitted(self)
        counts, is_sparse = self._read(X, reset=False)
        weights = counts.copy()
        weights.data = self._weights_of(counts) * self.scale_
        return weights if is_sparse else weights.toarray()

    def _read(self, X, *, reset):
        """Return the counts as a matrix of sorted rows, and whether they came as a sparse one."""
        if is_frame(X) and columns_of_kind(X.columns, "user") and columns_of_kind(X.columns, "item"):
            raise ValueError(
                f"CountWeighter takes a matrix of counts, users x items, got a frame of rows with the columns "
                f"{list(X.columns)}: give it to a recommender, weighter=CountWeighter(...), which then takes these "
                "rows, with the counts as y; or make a matrix with matrix_from_interactions(X, y)"
            )
        is_sparse = sparse.issparse(X)
        checked: Any = validate_data(
            self, X, accept_sparse="csr", dtype=np.float64, ensure_all_finite=False, reset=reset
        )
        counts = sparse.csr_matrix(checked)
        if not counts.has_canonical_format:
            counts = counts.copy()
            counts.sum_duplicates()
        for is_wrong, what in (
            (~np.isfinite(counts.data), "Input X contains NaN or infinity"),
            (counts.data < 0, "Negative values in data passed to CountWeighter"),
        ):
            wrong = np.flatnonzero(is_wrong)
            if len(wrong):
                row, column = _rows_of(counts)[wrong[0]], counts.indices[wrong[0]]
                raise ValueError(
                    f"{what}: the count in row {row}, column {column} is {counts.data[wrong[0]]} ({len(wrong)} in "
                    "total); counts say how often or how long, remove these entries"
                )
        return counts, is_sparse

    def _learn(self, counts):
        self.item_lengths_: FloatArray | None = None
        self.levels_: FloatArray | None = None
        self.shares_: FloatArray | None = None
        if self.method == "bm25":
            self.item_lengths_ = np.asarray(counts.sum(axis=0)).ravel()
        elif self.method == "quantile" and self.by == "all":
            self.levels_, self.shares_ = _levels(counts.data[counts.data > 0])
        observed = counts.data > 0
        mean = self._weights_of(counts)[observed].mean() if self.normalize and observed.any() else 1.0
        self.scale_ = float(1 / mean)

    def _weights_of(self, counts):
        """Weights of the stored counts, before they are scaled."""
        if self.method == "log":
            return _log(counts.data, self.alpha, self.eps)
        if self.method == "bm25":
            return _bm25(counts, self.item_lengths_, self.k1, self.b)
        if self.by == "user":
            return _shares_within_rows(counts)
        shares = np.interp(counts.data, self.levels_, self.shares_) if len(self.levels_) else np.zeros(counts.nnz)
        return np.where(counts.data > 0, shares, 0.0)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.positive_only = True
        return tags
