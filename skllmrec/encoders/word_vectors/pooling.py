"""Pooling of word vectors: from one vector per word to one vector per text."""

import numpy as np
from scipy import sparse

from skllmrec._typing import Array, ArrayLike, CsrMatrix, FloatArray

POOLINGS = ("mean", "tfidf", "sif")
_RANK_TOL = 1e-10  # eigenvalues below this share of the largest are rounding


def smooth_idf(document_frequency: ArrayLike, n_texts: int) -> Array:
    r"""Inverse document frequency as scikit-learn's ``smooth_idf`` has it: :math:`\ln\frac{1 + n}{1 + df} + 1`.

    Parameters
    ----------
    document_frequency : array-like of int
        Texts that hold the word; 0 gives the largest value.
    n_texts : int
        Texts in all.

    Returns
    -------
    ndarray of float64

    Examples
    --------
    >>> from skllmrec.encoders.word_vectors.pooling import smooth_idf
    >>> smooth_idf([3, 1, 0], 3).round(3)
    array([1.   , 1.693, 2.386])
    """
    return np.log((1 + n_texts) / (1 + np.asarray(document_frequency))) + 1


def sif_weights(counts: ArrayLike, n_words: int, a: float) -> Array:
    r"""Weight of a word by smooth inverse frequency: :math:`a / (a + p)`, p its share of the words [1]_, eq. 3.

    Parameters
    ----------
    counts : array-like of int
        How often the word occurs; 0 gives weight 1, the largest.
    n_words : int
        Words in all, repetitions counted.
    a : float
        The frequency whose weight is one half.

    Returns
    -------
    ndarray of float64

    References
    ----------
    .. [1] S. Arora, Y. Liang and T. Ma, "A simple but tough-to-beat baseline for sentence embeddings", ICLR 2017.

    Examples
    --------
    >>> from skllmrec.encoders.word_vectors.pooling import sif_weights
    >>> sif_weights([90, 10, 0], 100, a=0.1).round(2)
    array([0.1, 0.5, 1. ])
    """
    return a / (a + np.asarray(counts) / max(n_words, 1))


def pool_words(
    occurrences: CsrMatrix, vectors: FloatArray, weights: FloatArray | None = None, *, divide_by: str = "weight"
) -> Array:
    r"""Weighted mean of the vectors of a text's words, repetitions counted.

    :math:`\sum_t w_t v_t / \sum_t w_t` over the words t of a text, or divided by their number.

    Parameters
    ----------
    occurrences : csr_array of shape (n_texts, n_words)
        How often a text holds a word; an entry may be split into several.
    vectors : ndarray of shape (n_words, n_dims)
        A vector for each word.
    weights : ndarray of shape (n_words,) or None, default=None
        Positive weight for each word; None weights all alike.
    divide_by : {"weight", "count"}, default="weight"
        The sum of the weights, or the number of words.

    Returns
    -------
    ndarray of shape (n_texts, n_dims), dtype float64
        A text without words is the zero vector.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import sparse

    from skllmrec._typing import Array, ArrayLike, CsrMatrix, FloatArray
    >>> from skllmrec.encoders.word_vectors.pooling import pool_words
    >>> occurrences = sparse.csr_array([[1, 3], [0, 0]])
    >>> pool_words(occurrences, np.array([[4.0, 0.0], [0.0, 8.0]]))
    array([[1., 6.],
           [0., 0.]])
    """
    # entries are added in the order of the text, in double precision: no text depends on its neighbours
    total = occurrences.sum(axis=1, dtype=np.float64)
    weighted = occurrences.astype(np.float64)
    if weights is not None:
        weighted.data *= weights[weighted.indices]
        if divide_by == "weight":
            total = weighted.sum(axis=1)
    sums = weighted @ np.asarray(vectors, dtype=np.float64)
    return sums / np.where(total > 0, total, 1.0)[:, None]


def leading_directions(gram: FloatArray, n_directions: int) -> FloatArray:
    """Leading right singular vectors of a matrix X, not centred, from its Gram matrix X'X.

    Parameters
    ----------
    gram : ndarray of shape (n_dims, n_dims)
        X'X.
    n_directions : int
        How many; fewer where the rank of X is lower.

    Returns
    -------
    ndarray of shape (n_found, n_dims)
        Orthonormal rows, the largest entry of each positive.

    Examples
    --------
    >>> import numpy as np
    >>> from skllmrec.encoders.word_vectors.pooling import leading_directions
    >>> leading_directions(np.diag([1.0, 9.0, 0.0]), 3)
    array([[0., 1., 0.],
           [1., 0., 0.]])
    """
    values, vectors = np.linalg.eigh(gram)
    order = np.argsort(values)[::-1][:n_directions]
    found = vectors[:, order[values[order] > _RANK_TOL * max(values[-1], 0.0)]].T
    largest = np.abs(found).argmax(axis=1, keepdims=True)
    return found * np.where(np.take_along_axis(found, largest, axis=1) < 0, -1.0, 1.0)


def remove_directions(X: FloatArray, directions: FloatArray) -> FloatArray:
    """Take the projection on orthonormal directions out of every row: X - X U'U.

    Parameters
    ----------
    X : ndarray of shape (n_texts, n_dims)
        Vectors.
    directions : ndarray of shape (n_directions, n_dims)
        U, orthonormal rows.

    Returns
    -------
    ndarray of shape (n_texts, n_dims)

    Examples
    --------
    >>> import numpy as np
    >>> from skllmrec.encoders.word_vectors.pooling import remove_directions
    >>> remove_directions(np.array([[3.0, 4.0]]), np.array([[1.0, 0.0]]))
    array([[0., 4.]])
    """
    # einsum, not BLAS: its order of summation, and so a vector's last bits, depend on the number of rows
    projections = np.einsum("nd,kd->nk", X, directions)
    return X - np.einsum("nk,kd->nd", projections, directions)


def select_columns(occurrences: CsrMatrix, kept: Array) -> CsrMatrix:
    """Columns of a matrix with split entries, their order within a row unchanged.

    Parameters
    ----------
    occurrences : csr_array of shape (n_texts, n_words)
        As in `pool_words`.
    kept : ndarray of bool, shape (n_words,)
        Which columns.

    Returns
    -------
    csr_array of shape (n_texts, n_kept)

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import sparse

    from skllmrec._typing import Array, ArrayLike, CsrMatrix, FloatArray
    >>> from skllmrec.encoders.word_vectors.pooling import select_columns
    >>> select_columns(sparse.csr_array([[1, 2, 3]]), np.array([True, False, True])).toarray()
    array([[1, 3]])
    """
    mask = kept[occurrences.indices]
    indices = (np.cumsum(kept) - 1)[occurrences.indices[mask]]
    indptr = np.concatenate([[0], np.cumsum(mask)])[occurrences.indptr]
    shape = occurrences.shape[0], int(np.count_nonzero(kept))
    return sparse.csr_array((occurrences.data[mask], indices, indptr), shape=shape)
