"""ExactIndex: inner products with all vectors that can matter."""

from typing import Self

import numpy as np
from scipy import sparse

from skllmrec._kernels.topk.exact import ItemVectors, join_lists, leave_out, topk_factors
from skllmrec._typing import CsrMatrix, FloatArray, IntArray


class ExactIndex:
    """Index that finds the vectors with the highest inner products exactly.

    Vectors are searched in the order of their norms, so that a search ends as soon as no later vector can be among the
    best k. Equal scores are ordered by position. A score does not depend on the other queries of a call.

    Vectors that are added are searched beside the others until they are more than the square root of all; then all are
    put together, which copies them. Threads may search while others add or remove: a search sees the index as it was
    when the search began.

    Examples
    --------
    >>> import numpy as np
    >>> from skllmrec.retrieval import ExactIndex
    >>> index = ExactIndex().fit(np.array([[1.0, 0.0], [0.0, 1.0], [2.0, 2.0]]))
    >>> index.search(np.array([[1.0, 3.0]]), k=2)
    (array([[2, 1]]), array([[8., 3.]]))
    >>> index.add(np.array([[9.0, 0.0]]))
    >>> index.remove([2])
    >>> index.search(np.array([[1.0, 3.0]]), k=2)
    (array([[3, 1]]), array([[9., 3.]]))
    """

    def __init__(self) -> None:
        self._state: tuple = (), np.empty(0, dtype=np.intp)  # replaced as a whole, never changed

    def __len__(self) -> int:
        return sum(map(len, self._state[0]))

    @property
    def vectors(self) -> FloatArray:
        """Vectors of all positions, those removed included."""
        return np.concatenate([part.vectors for part in self._state[0]])

    def fit(self, vectors: FloatArray) -> Self:
        """Hold these vectors instead of what was there.

        Parameters
        ----------
        vectors : ndarray of shape (n_vectors, d)
            They are not copied if they are contiguous, and are not to be changed afterwards.

        Returns
        -------
        self : ExactIndex
        """
        self._state = (ItemVectors(vectors),), np.empty(0, dtype=np.intp)
        return self

    def search(self, vectors: FloatArray, k: int, excluded: CsrMatrix | None = None) -> tuple[IntArray, FloatArray]:
        """Find the k vectors of the index with the highest inner products.

        Parameters
        ----------
        vectors : ndarray of shape (n_queries, d), float32 or float64
            Queries.
        k : int
            At most the number of vectors of the index.
        excluded : csr_matrix of shape (n_queries, n_vectors), default=None
            The stored entries are left out.

        Returns
        -------
        positions : ndarray of shape (n_queries, k), intp
            Best first; -1 where there are no more.
        scores : ndarray of shape (n_queries, k)
            Inner products; -inf where the position is -1.

        Raises
        ------
        ValueError
            If `k` exceeds the number of vectors.
        """
        parts, removed = self._state
        n_vectors = sum(map(len, parts))
        if not 1 <= k <= n_vectors:
            raise ValueError(f"k={k} must be between 1 and the {n_vectors} vectors of the index")
        if excluded is None:
            excluded = sparse.csr_matrix((len(vectors), n_vectors))
        excluded = leave_out(excluded, removed)
        if len(parts) == 1:
            return topk_factors(vectors, parts[0], k, excluded)
        found, start = [], 0
        for part in parts:
            stop = start + len(part)
            positions, scores = topk_factors(vectors, part, min(k, len(part)), excluded[:, start:stop])
            found.append((np.where(positions < 0, -1, positions + start), scores))
            start = stop
        return join_lists(found, k)

    def add(self, vectors: FloatArray) -> None:
        """Append vectors at the next positions.

        Parameters
        ----------
        vectors : ndarray of shape (n_new, d)
            They are copied.
        """
        (first, *rest), removed = self._state
        rest = ItemVectors(np.concatenate([*(part.vectors for part in rest), vectors]).astype(first.vectors.dtype))
        if len(rest) ** 2 > len(first):
            self._state = (ItemVectors(np.concatenate([first.vectors, rest.vectors])),), removed
        else:
            self._state = (first, rest), removed

    def remove(self, positions: IntArray) -> None:
        """Never return these positions again; the other vectors keep theirs.

        Parameters
        ----------
        positions : array-like of int
            Positions that were not removed before.
        """
        parts, removed = self._state
        self._state = parts, np.union1d(removed, np.asarray(positions, dtype=np.intp))
