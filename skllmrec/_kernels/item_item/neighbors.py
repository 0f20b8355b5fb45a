"""Nearest neighbours among items: weighted interactions, cosine similarities, the k best of each row."""

from collections.abc import Callable

import numpy as np
from scipy import sparse
from sklearn.preprocessing import normalize

from skllmrec._kernels.distinct_rows import on_distinct_rows
from skllmrec._kernels.topk.exact import topk_dense
from skllmrec._typing import CsrMatrix, FloatArray, IntArray, Matrix

WEIGHTINGS = ("cosine", "tfidf", "bm25")
_BLOCK = 2**22  # similarities computed at a time: 32 MiB of float64
_K1, _B = 1.2, 0.75  # BM25's usual constants
_ROWS = 512  # of a sparse product in memory at a time
_FULL = 0.1  # share of non-zeros above which a column is multiplied faster as a dense one


def weigh(interactions: CsrMatrix, weighting: str) -> sparse.csr_matrix:
    r"""Weight interactions by how informative they are about the similarity of two items.

    With the weight :math:`x_{ui}`, :math:`n_u` the number of interactions of user u, :math:`l_i`
    that of item i, and :math:`I, \bar l` number and mean of the items that have some,

    - ``"cosine"``: :math:`x_{ui}`,
    - ``"tfidf"``: :math:`\sqrt{x_{ui}}\,(1 + \log \frac{1 + I}{1 + n_u})`: users with many interactions count less,
    - ``"bm25"``: :math:`\frac{x_{ui} (k_1 + 1)}{x_{ui} + k_1 (1 - b + b\, l_i / \bar l)} \log(1 + \frac{I}{n_u})`,
      :math:`k_1 = 1.2`, :math:`b = 0.75` [1]_.

    Parameters
    ----------
    interactions : csr_matrix of shape (n_users, n_items)
        Non-negative weights.
    weighting : {"cosine", "tfidf", "bm25"}

    Returns
    -------
    csr_matrix of shape (n_users, n_items), float64

    References
    ----------
    .. [1] S. Robertson and H. Zaragoza, "The probabilistic relevance framework: BM25 and beyond", 2009.

    Examples
    --------
    >>> from scipy import sparse
    >>> from skllmrec._kernels.item_item.neighbors import weigh
    >>> weigh(sparse.csr_matrix([[1.0, 4.0], [1.0, 0.0]]), "tfidf").toarray().round(2)
    array([[1.  , 2.  ],
           [1.41, 0.  ]])
    """
    weighted = sparse.csr_matrix(interactions, dtype=np.float64, copy=True)
    if weighting == "cosine":
        return weighted
    per_user, per_item = np.diff(weighted.indptr), np.bincount(weighted.indices, minlength=weighted.shape[1])
    n_items = np.count_nonzero(per_item)
    if weighting == "tfidf":
        values, rarity = np.sqrt(weighted.data), 1 + np.log((1 + n_items) / (1 + per_user))
    else:
        length = (1 - _B + _B * per_item * n_items / max(weighted.nnz, 1))[weighted.indices]
        values, rarity = (
            weighted.data * (_K1 + 1) / (weighted.data + _K1 * length),
            np.log1p(n_items / np.maximum(per_user, 1)),
        )
    weighted.data = values * np.repeat(rarity, per_user)
    return weighted


def centred_rows(features: Matrix, mean: FloatArray | None = None) -> Matrix:
    """Rows of unit length, dense ones centred before.

    Parameters
    ----------
    features : ndarray or csr_matrix of shape (n, d)
    mean : ndarray of shape (d,), default=None
        Mean of dense rows. None: rows are not centred, as sparse ones never are.

    Returns
    -------
    ndarray or csr_matrix of shape (n, d)
        A zero row stays zero.
    """
    if sparse.issparse(features):
        return normalize(features.astype(np.float64))
    return normalize(np.asarray(features, dtype=np.float64) - (0.0 if mean is None else mean))


def cosines(rows: Matrix, columns: Matrix) -> FloatArray:
    """Inner products of all pairs of rows of two matrices, dense or sparse, as a dense array."""
    products = rows @ columns.T
    return products.toarray() if sparse.issparse(products) else np.asarray(products)


def inner_products(rows: Matrix, columns: Matrix) -> FloatArray:
    """Inner products of all pairs of rows of two matrices of features, as a dense array.

    As `cosines`, but fast for a sparse matrix that holds dense columns, such as TF-IDF beside vectors of a language
    model: columns that are mostly non-zero are multiplied as dense ones.

    Parameters
    ----------
    rows, columns : {ndarray, csr_matrix} of shape (n_rows, d), (n_columns, d)
        Both dense or both sparse.

    Returns
    -------
    ndarray of shape (n_rows, n_columns)

    Examples
    --------
    >>> from scipy import sparse
    >>> from skllmrec._kernels.item_item.neighbors import inner_products
    >>> F = sparse.csr_matrix([[1.0, 0.0], [2.0, 0.0], [3.0, 1.0]])
    >>> inner_products(F[:2], F)
    array([[1., 2., 3.],
           [2., 4., 6.]])
    """
    if not sparse.issparse(columns):
        return on_distinct_rows(lambda some: cosines(some, columns), rows)  # equal items have equal similarities
    full = np.bincount(columns.indices, minlength=columns.shape[1]) > _FULL * columns.shape[0]
    sparse_rows = sparse.csr_matrix(rows)
    products = sparse_rows[:, full].toarray() @ columns[:, full].toarray().T
    rest, others = sparse_rows[:, ~full], columns[:, ~full].T.tocsr()
    # the whole sparse product would be larger than the result
    for start in range(0, rows.shape[0] if others.nnz else 0, _ROWS):
        products[start : start + _ROWS] += (rest[start : start + _ROWS] @ others).toarray()
    return products


def shrunk_cosines(
    rows: CsrMatrix, columns: CsrMatrix, row_norms: FloatArray, column_norms: FloatArray, shrinkage: float
) -> FloatArray:
    r"""Cosine similarities of columns of interactions, shrunk where few interactions support them.

    .. math:: s_{ij} = \frac{x_i \cdot x_j}{|x_i|\,|x_j| + h}

    Parameters
    ----------
    rows, columns : csr_matrix of shape (n_rows, n_users), (n_columns, n_users)
    row_norms, column_norms : ndarray of shape (n_rows,), (n_columns,)
        Their lengths.
    shrinkage : float
        h.

    Returns
    -------
    ndarray of shape (n_rows, n_columns)
    """
    similarity = cosines(rows, columns)
    scale = np.outer(row_norms, column_norms) + shrinkage
    return np.divide(similarity, scale, out=similarity, where=scale > 0)


def nearest(
    similarity: Callable[[slice], FloatArray], n_rows: int, n_columns: int, k: int | None, own: IntArray | None = None
) -> sparse.csr_matrix:
    """Keep the k highest positive similarities of each row.

    Parameters
    ----------
    similarity : callable
        ``similarity(slice of rows)`` -> ndarray of shape (n, n_columns), finite; it may be overwritten.
    n_rows, n_columns : int
    k : int or None
        None keeps all positive ones.
    own : ndarray of shape (n_rows,), intp, default=None
        Column that is the row itself and therefore left out; -1 where there is none.

    Returns
    -------
    csr_matrix of shape (n_rows, n_columns), float64
    """
    own = np.full(n_rows, -1, dtype=np.intp) if own is None else own
    size, parts = max(1, _BLOCK // max(n_columns, 1)), []
    for start in range(0, n_rows, size):
        block = slice(start, min(start + size, n_rows))
        values, itself = similarity(block), own[block]
        among = np.flatnonzero(itself >= 0)
        if k is None or k >= n_columns:
            values[among, itself[among]] = 0.0
            parts.append(sparse.csr_matrix(np.maximum(values, 0.0)))
            continue
        left_out = sparse.csr_matrix((np.ones(len(among)), (among, itself[among])), shape=values.shape)
        positions, best = topk_dense(values, k, left_out)
        kept = (positions >= 0) & (best > 0)
        indptr = np.r_[0, np.cumsum(kept.sum(axis=1))]
        part = sparse.csr_matrix((best[kept], positions[kept], indptr), shape=values.shape)
        part.sort_indices()
        parts.append(part)
    return sparse.vstack(parts, format="csr", dtype=np.float64) if parts else sparse.csr_matrix((0, n_columns))
