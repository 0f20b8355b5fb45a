"""Ridge maps from features to factors: one factorisation of the features, then cheap fits and leave-one-out errors."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import scipy.linalg
import scipy.sparse as sp
from numpy.typing import DTypeLike

from skllmrec._kernels.distinct_rows import on_distinct_rows
from skllmrec._typing import FloatArray, Matrix

MAX_EXACT = 2048  # features (or rows, whichever are fewer) up to which the singular values are exact
MAX_RANK = 512  # singular vectors kept beyond that
STRENGTHS = np.logspace(-3, 4, 15)  # grid of "auto", in units of the mean squared singular value
_BLOCK = 256  # columns handled at once, so that no (n, k) array is made
_DENSE_COLUMN = 0.25  # a sparse column with more non-zeros than this share is computed with as a dense one
_POWER_ITERATIONS = 2
_OVERSAMPLING = 1.1
# smallest over largest diagonal entry of a Cholesky factor: columns are too dependent, are independent enough
_DEPENDENT, _INDEPENDENT = 1e-6, 1e-2
_NEGLIGIBLE = 1e-10  # of the largest squared singular value: rounding noise
_ROUNDING = 1e-14  # of the squared entries before centring: what centring leaves where all rows are equal


@dataclass(frozen=True)
class FeatureBasis:
    """Thin singular value decomposition of the weighted, centred features: ``R^(1/2) (Z - 1 mean') = left S right'``.

    Attributes
    ----------
    left : ndarray of shape (n, r)
    singular : ndarray of shape (r,)
        Descending.
    right : ndarray of shape (k, r)
    mean : ndarray of shape (k,)
        Weighted mean of the features.
    root : ndarray of shape (n,)
        Square roots of the row weights R.
    unit : float
        Mean squared singular value (over the smaller side of Z), the unit of ridge strengths.
    influence : ndarray of shape (n, 15)
        `row_influence` at each of `STRENGTHS`.
    """

    left: np.ndarray
    singular: np.ndarray
    right: np.ndarray
    mean: np.ndarray
    root: np.ndarray
    unit: float
    influence: np.ndarray | None = None


@dataclass(frozen=True)
class FeatureMap:
    """Affine map from features to factors: ``Z @ coef + intercept``.

    Attributes
    ----------
    coef : ndarray of shape (k, d)
    intercept : ndarray of shape (d,)
    """

    coef: np.ndarray
    intercept: np.ndarray

    def predict(self, features: Matrix) -> FloatArray:
        """Factors of rows of features.

        Parameters
        ----------
        features : {array-like, sparse matrix} of shape (n, k)

        Returns
        -------
        ndarray of shape (n, d)
        """
        return on_distinct_rows(lambda rows: np.asarray(rows @ self.coef), features) + self.intercept


class _CentredRows:
    """Products with ``X = R^(1/2) (Z - 1 mean')``; dense and sparse columns are kept apart, X is never formed.

    A feature union of TF-IDF and a language model is a sparse matrix with dense columns; BLAS multiplies those.
    """

    def __init__(self, features, weights):
        self.shape = features.shape
        self.root = np.sqrt(weights)
        self.dense_columns, self.sparse_columns = np.arange(self.shape[1]), np.empty(0, np.intp)
        self.dense, self.sparse = features, None
        if sp.issparse(features):
            features = sp.csc_array(features, dtype=np.float64)
            often = np.diff(features.indptr) > _DENSE_COLUMN * self.shape[0]
            self.dense_columns, self.sparse_columns = np.flatnonzero(often), np.flatnonzero(~often)
            self.dense = features[:, self.dense_columns].toarray()
            self.sparse = sp.csr_array(features[:, self.sparse_columns])
        self.dense = np.asarray(self.dense, dtype=np.float64)
        self.mean = np.zeros(self.shape[1])
        self.mean = self._transposed_dot(weights[:, None])[:, 0] / weights.sum()

    def dot(self, Y):
        """X @ Y."""
        product = self.dense @ Y[self.dense_columns]
        if self.sparse is not None:
            product += self.sparse @ Y[self.sparse_columns]
        return self.root[:, None] * (product - self.mean @ Y)

    def transposed_dot(self, Y):
        """X.T @ Y."""
        Y = self.root[:, None] * Y
        return self._transposed_dot(Y) - np.outer(self.mean, Y.sum(axis=0))

    def _transposed_dot(self, Y):
        product = np.empty((self.shape[1], Y.shape[1]))
        product[self.dense_columns] = self.dense.T @ Y
        if self.sparse is not None:
            product[self.sparse_columns] = self.sparse.T @ Y
        return product

    def squared_norms(self):
        """Return the sum of the squared entries of X, and that of R^(1/2) Z."""
        squares = np.einsum("ij,ij->i", self.dense, self.dense)
        if self.sparse is not None:
            squares += np.asarray(self.sparse.multiply(self.sparse).sum(axis=1)).ravel()
        raw = self.root**2 @ squares
        return float(max(raw - (self.root @ self.root) * (self.mean @ self.mean), 0.0)), float(raw)


def _product_with_identity(product, size):
    """``product(I)`` for an identity of the given size, a block of columns at a time."""
    result = np.empty((size, size))
    for first in range(0, size, _BLOCK):
        block = np.eye(size, min(_BLOCK, size - first), -first)
        result[:, first : first + block.shape[1]] = product(block)
    return result


def _orthonormal(Y):
    """Orthonormal basis of the columns, by Cholesky QR: at the rate of matrix products, several times that of `qr`.

    Its error grows with the square of the condition number: a second round corrects the error of the first, and
    Householder QR takes over where the columns are nearly dependent (Yamamoto et al., ETNA 44, 2015).
    """
    basis = Y
    for _ in range(2):
        try:
            factor = scipy.linalg.cholesky(basis.T @ basis, check_finite=False)
        except np.linalg.LinAlgError:
            break
        diagonal = np.diagonal(factor)
        share = diagonal.min() / diagonal.max()
        if share < _DEPENDENT:
            break
        basis = scipy.linalg.solve_triangular(factor, basis.T, trans="T", check_finite=False).T
        if share > _INDEPENDENT:
            return basis
    return np.linalg.qr(Y)[0]


def _randomized_right(rows, rank, seed):
    """Leading right singular vectors by randomized subspace iteration (Halko, Martinsson, Tropp 2011)."""
    width = min(int(rank * _OVERSAMPLING), *rows.shape)
    sample = np.random.default_rng(seed).standard_normal((rows.shape[0], width))
    right = _orthonormal(rows.transposed_dot(sample))
    for _ in range(_POWER_ITERATIONS):
        right = _orthonormal(rows.transposed_dot(_orthonormal(rows.dot(right))))
    image = rows.dot(right)
    values, vectors = np.linalg.eigh(image.T @ image)
    return values[::-1][:rank], (right @ vectors)[:, ::-1][:, :rank]


def factorise_features(
    features: Matrix, weights: FloatArray, *, max_rank: int = MAX_RANK, seed: int = 0, dtype: DTypeLike = np.float64
) -> FeatureBasis:
    """Decompose features once, so that every later ridge fit on them is a pair of thin products.

    Exact up to 2,048 features or rows (eigenvalues of the smaller Gram matrix); beyond that the leading `max_rank`
    singular vectors, by randomized subspace iteration with implicit centring. Cost of the latter: seven passes over the
    stored values times 1.1 `max_rank`, and memory for ``(n + k) * max_rank`` numbers. On 2,700 films with TF-IDF and a
    language model side by side, NDCG of cold items was 0.256, 0.278 and 0.288 at ranks 128, 512 and 1,024 (0.3, 2 and
    6 s); on 13,600 books 0.022, 0.022 and 0.023 (2, 7 and 17 s).

    Parameters
    ----------
    features : {ndarray, sparse matrix} of shape (n, k)
        Z; never densified beyond the columns that are mostly non-zero.
    weights : ndarray of shape (n,)
        Non-negative row weights R; all zero counts as all one.
    max_rank : int, default=512
    seed : int, default=0
        Of the randomized decomposition.
    dtype : dtype, default=float64
        Of the left singular vectors, that is of every later fit; the decomposition itself is in double precision.

    Returns
    -------
    FeatureBasis
    """
    weights = np.asarray(weights, dtype=np.float64)
    weights = weights if weights.any() else np.ones_like(weights)
    rows = _CentredRows(features, weights)
    n, k = rows.shape
    if min(n, k) > MAX_EXACT:
        squares, right = _randomized_right(rows, max_rank, seed)
    elif k <= n:
        squares, right = np.linalg.eigh(_product_with_identity(lambda Y: rows.transposed_dot(rows.dot(Y)), k))
    else:
        squares, dual = np.linalg.eigh(_product_with_identity(lambda Y: rows.dot(rows.transposed_dot(Y)), n))
        right = rows.transposed_dot(dual)
    order = np.argsort(-squares)
    total, raw = rows.squared_norms()
    order = order[squares[order] > max(_NEGLIGIBLE * total, _ROUNDING * raw)]
    right = right[:, order]
    right /= np.linalg.norm(right, axis=0)
    left = rows.dot(right)
    singular = np.linalg.norm(left, axis=0)
    left = (left / singular).astype(dtype)
    unit = total / max(min(n, k), 1)
    basis = FeatureBasis(left, singular.astype(dtype), right, rows.mean, rows.root.astype(dtype), unit)
    return replace(basis, influence=row_influence(basis, STRENGTHS))


def _shrinkage(basis, strength):
    """Share of each component that the ridge lets through: s^2 / (s^2 + strength * unit)."""
    squares = basis.singular**2
    return squares / (squares + strength * basis.unit)


def _project(basis, V):
    """Weighted mean of V, and the components of the weighted, centred V on the left singular vectors."""
    mean = (basis.root**2 @ V) / (basis.root @ basis.root)
    return mean, basis.left.T @ (basis.root[:, None] * (V - mean))


def fit_rows(
    basis: FeatureBasis, V: FloatArray, strength: float, projection: tuple[FloatArray, FloatArray] | None = None
) -> FloatArray:
    """Predict the training rows of the ridge map.

    The map minimises ``sum_i r_i |v_i - c - B' z_i|^2 + strength * unit * |B|^2`` over B and c.

    Parameters
    ----------
    basis : FeatureBasis
    V : ndarray of shape (n, d)
        Factors.
    strength : float
    projection : tuple, default=None
        Mean and components of `V` on the basis, where they were computed before.

    Returns
    -------
    ndarray of shape (n, d)
    """
    mean, components = _project(basis, V) if projection is None else projection
    inverse_root = np.divide(1, basis.root, out=np.zeros_like(basis.root), where=basis.root > 0)
    shrunk = (_shrinkage(basis, strength)[:, None] * components).astype(basis.left.dtype)
    return mean + inverse_root[:, None] * (basis.left @ shrunk)


def row_influence(basis: FeatureBasis, strengths: FloatArray) -> FloatArray:
    """Weight h_i of each row in its own prediction, for each strength.

    Parameters
    ----------
    basis : FeatureBasis
    strengths : ndarray of shape (m,)

    Returns
    -------
    ndarray of shape (n, m)
    """
    weights = basis.root**2
    shares = np.stack([_shrinkage(basis, strength) for strength in strengths], axis=1)
    return (weights / weights.sum())[:, None] + basis.left**2 @ shares.astype(basis.left.dtype)


def leave_out(V: FloatArray, fitted: FloatArray, influence: FloatArray) -> FloatArray:
    """Predict each row from all others, without a refit: ``v_i - (v_i - fitted_i) / (1 - h_i)``, which is exact.

    Parameters
    ----------
    V, fitted : ndarray of shape (n, d)
    influence : ndarray of shape (n,)

    Returns
    -------
    ndarray of shape (n, d)
    """
    return V - (V - fitted) / np.maximum(1 - influence, 1e-9)[:, None]


def choose_strength(basis: FeatureBasis, V: FloatArray, start: int | None = None) -> int:
    """Position in `STRENGTHS` with the least weighted squared leave-one-out error ``sum_i r_i |v_i - left_out_i|^2``.

    Parameters
    ----------
    basis : FeatureBasis
    V : ndarray of shape (n, d)
    start : int, default=None
        Descend from this position instead of trying the whole grid.

    Returns
    -------
    int
    """
    projection = _project(basis, V)

    def error_at(position):
        fitted = fit_rows(basis, V, STRENGTHS[position], projection)
        left_out = leave_out(V, fitted, basis.influence[:, position])
        return basis.root**2 @ ((V - left_out) ** 2).sum(axis=1)

    if start is None:
        return int(np.argmin([error_at(position) for position in range(len(STRENGTHS))]))
    best, error = start, error_at(start)
    for step in (-1, 1):
        while 0 <= best + step < len(STRENGTHS):
            candidate = error_at(best + step)
            if candidate >= error:
                break
            best, error = best + step, candidate
    return best


def fit_map(basis: FeatureBasis, V: FloatArray, strength: float) -> FeatureMap:
    """Coefficients of the ridge map, for rows that were not in the fit.

    Parameters
    ----------
    basis : FeatureBasis
    V : ndarray of shape (n, d)
    strength : float

    Returns
    -------
    FeatureMap
    """
    mean, components = _project(basis, V)
    slopes = _shrinkage(basis, strength) / np.maximum(basis.singular, np.finfo(basis.singular.dtype).tiny)
    coef = basis.right @ (slopes[:, None] * components)
    return FeatureMap(coef, mean - basis.mean @ coef)


def ridge_map(
    features: Matrix, V: FloatArray, weights: FloatArray, strength: float | Literal["auto"] = "auto", *, seed: int = 0
) -> tuple[FeatureMap, float]:
    """Decompose features and fit a ridge map to V on them.

    Parameters
    ----------
    features : {ndarray, sparse matrix} of shape (n, k)
    V : ndarray of shape (n, d)
    weights : ndarray of shape (n,)
        Of the rows.
    strength : float or "auto", default="auto"
        In units of the mean squared singular value; "auto": by leave-one-out.
    seed : int, default=0
        Of the randomized decomposition.

    Returns
    -------
    FeatureMap
    strength : float
        Ridge strength of the map.
    """
    basis = factorise_features(features, weights, seed=seed)
    if strength == "auto":
        strength = float(STRENGTHS[choose_strength(basis, V)])
    return fit_map(basis, V, strength), strength
