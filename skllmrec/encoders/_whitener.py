"""EmbeddingWhitener: centre, rotate, truncate, whiten and normalise vectors."""

from numbers import Integral
from typing import Any, Self

import numpy as np
from scipy import linalg, sparse
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.preprocessing import normalize as unit_rows
from sklearn.utils.validation import check_is_fitted

from skllmrec._format import VersionedStateMixin
from skllmrec._sklearn import Interval, fit_context, validate_data
from skllmrec._typing import FloatArray, Matrix, Rows


def _mean(X):
    return np.asarray(X.mean(axis=0), dtype=np.float64).ravel()


def _second_moments(X, mean):
    """Eigenvalues (rising) and eigenvectors (columns) of the d x d matrix of the rows around `mean`."""
    if sparse.issparse(X):
        # sum (x - m)(x - m)' = sum x x' - n m m' where m is the mean, and where m is zero
        moments = (X.T @ X).toarray() / X.shape[0] - np.outer(mean, mean)
    else:
        X = X - mean  # more exact where the mean is long
        moments = X.T @ X / X.shape[0]
    return linalg.eigh(moments)


def _truncated_directions(X, mean, k):
    """Variances and directions (rows) of the k largest components of a wide sparse matrix, by Lanczos iteration."""
    n, d = X.shape
    centred = sparse.linalg.LinearOperator(
        X.shape,
        matvec=lambda v: X @ v - mean @ v,
        rmatvec=lambda u: X.T @ u - mean * u.sum(),
        matmat=lambda V: X @ V - mean @ V,
        rmatmat=lambda U: X.T @ U - np.outer(mean, U.sum(axis=0)),
        dtype=np.float64,
    )
    if X.multiply(X).sum() / n - mean @ mean <= np.finfo(np.float64).eps * max(mean @ mean, np.finfo(float).tiny):
        return np.zeros(0), np.zeros((0, d))  # all rows are equal: nothing to iterate on
    start = np.random.default_rng(0).uniform(-1, 1, size=min(n, d))  # the same start, hence the same result, always
    _, singular, directions = sparse.linalg.svds(centred, k=k, v0=start)
    return singular**2 / n, directions


def _directions(X, mean, k):
    """Variances (falling) and orthonormal directions (rows) of the first k principal components around `mean`.

    Directions without variance in `X` are zero rows, so that there are k rows always.
    """
    n, d = X.shape
    if sparse.issparse(X) and k < min(n, d) - 1:
        variances, directions = _truncated_directions(X, mean, k)
    elif sparse.issparse(X) or d <= n:
        variances, vectors = _second_moments(X, mean)
        directions = vectors.T
    else:
        _, singular, directions = linalg.svd(X - mean, full_matrices=False)
        variances = singular**2 / n
    order = np.argsort(-variances, kind="stable")[:k]
    variances, directions = variances[order], directions[order]
    largest = max(variances.max(initial=0.0), mean @ mean)  # what rounding errors are relative to
    present = variances > largest * max(n, d) * np.finfo(np.float64).eps
    variances, directions = variances[present], directions[present]
    strongest = directions[np.arange(len(directions)), np.abs(directions).argmax(axis=1)]
    directions = directions * np.sign(strongest)[:, None]
    missing = k - len(variances)
    return np.pad(variances, (0, missing)), np.pad(directions, ((0, missing), (0, 0)))


def _as_dense(X):
    return X.toarray() if sparse.issparse(X) else X


class EmbeddingWhitener(ClassNamePrefixFeaturesOutMixin, TransformerMixin, VersionedStateMixin, BaseEstimator):
    r"""Centre vectors, and on demand keep their main directions, whiten them and scale them to unit length.

    Vectors of a language model share a large common component and few directions with most of the variance, so that
    all cosines are high. With the mean :math:`\mu` and the covariance :math:`\frac1n \sum_i (e_i-\mu)(e_i-\mu)^\top
    = U S U^\top`, the output is

    .. math:: (E - \mu)\, U_{:k}\, S_{:k}^{-1/2}

    with whitening [1]_, :math:`(E - \mu)\, U_{:k}` without, and :math:`E - \mu` without whitening and truncation;
    then every row is divided by its length.

    Parameters
    ----------
    n_components : int or None, default=None
        Length k of the output vectors, at most the number of features. None keeps all features, unrotated unless
        `whiten` is set. Directions in which the training rows do not vary, which there are when k exceeds their
        rank, are zero in the output.
    center : bool, default=True
        Subtract the mean of the training rows; if False, :math:`\mu = 0`. Sparse rows are centred implicitly: no
        array is larger than n_samples x k or the smaller side of the input squared.
    whiten : bool, default=False
        Scale the directions to variance one.
    normalize : bool, default=True
        Scale every row to unit length; a zero row stays zero.

    Attributes
    ----------
    mean_ : ndarray of shape (n_features_in_,), float64
        What is subtracted; zeros with ``center=False``.
    components_ : ndarray of shape (n_components_, n_features_in_), float64, or None
        Orthonormal directions, the entry of largest modulus positive; zero rows beyond the rank; None if the
        features are kept as they are.
    explained_variance_ : ndarray of shape (n_components_,), float64, or None
        Variance :math:`S` along each direction (around zero with ``center=False``), falling.
    n_components_ : int
        Length of the output vectors.
    n_features_in_ : int
        Number of features seen by `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, if the input had string names.

    See Also
    --------
    LLMTextEncoder : Makes the vectors.
    sklearn.decomposition.PCA : The same directions; needs at least as many rows as components.

    References
    ----------
    .. [1] J. Su, J. Cao, W. Liu and Y. Ou, "Whitening sentence representations for better semantics and faster
       retrieval", 2021, algorithm 1.

    Examples
    --------
    >>> import numpy as np
    >>> from skllmrec import EmbeddingWhitener
    >>> X = np.array([[9.0, 1.0, 0.0], [9.0, -1.0, 0.0], [9.0, 0.0, 2.0], [9.0, 0.0, -2.0]])
    >>> EmbeddingWhitener(n_components=2).fit_transform(X).round(3) + 0.0
    array([[ 0.,  1.],
           [ 0., -1.],
           [ 1.,  0.],
           [-1.,  0.]])
    """

    _parameter_constraints: dict = {
        "n_components": [Interval(Integral, 1, None, closed="left"), None],
        "center": ["boolean"],
        "whiten": ["boolean"],
        "normalize": ["boolean"],
    }

    def __init__(
        self, n_components: int | None = None, *, center: bool = True, whiten: bool = False, normalize: bool = True
    ) -> None:
        self.n_components = n_components
        self.center = center
        self.whiten = whiten
        self.normalize = normalize

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Rows | Matrix, y: Any = None) -> Self:
        """Learn mean and directions.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Vectors.
        y : None
            Ignored, here by convention.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If `n_components` exceeds the number of features, or X is empty or holds NaN or infinity.
        """
        X = validate_data(self, X, accept_sparse=("csr", "csc"), dtype=np.float64)
        d = X.shape[1]
        if self.n_components is not None and self.n_components > d:
            raise ValueError(
                f"n_components={self.n_components} exceeds the {d} feature(s) of X: choose at most {d}, or None for all"
            )
        self.n_components_ = d if self.n_components is None else self.n_components
        self.mean_ = _mean(X) if self.center else np.zeros(d)
        self.components_: Any = None
        self.explained_variance_: Any = None
        if self.whiten or self.n_components is not None:
            self.explained_variance_, self.components_ = _directions(X, self.mean_, self.n_components_)
        return self

    def transform(self, X: Rows | Matrix) -> FloatArray:
        """Centre, project and scale vectors.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Vectors.

        Returns
        -------
        ndarray of shape (n_samples, n_components_)
            Finite; float32 for float32 input, else float64. A frame after ``set_output``.

        Raises
        ------
        ValueError
            If X has another number of features than in `fit`, or holds NaN or infinity.
        sklearn.exceptions.NotFittedError
            Before `fit`.
        """
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse="csr", dtype=[np.float64, np.float32], reset=False)
        dtype = X.dtype
        if self.components_ is None:
            # centred in double precision: the mean is often much longer than what is left
            vectors = _as_dense(X) - self.mean_
        else:
            weights = self.components_.T
            if self.whiten:
                weights = weights / np.sqrt(np.where(self.explained_variance_ > 0, self.explained_variance_, 1.0))
            vectors = X @ weights - self.mean_ @ weights
        if self.normalize:
            vectors = unit_rows(vectors, copy=False)
        return vectors.astype(dtype, copy=False)

    @property
    def _n_features_out(self):
        return self.n_components_

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
