"""VectorIndex: what an index has to offer to be searched by a ranker."""

from typing import Protocol, runtime_checkable

from skllmrec._typing import CsrMatrix, FloatArray, IntArray


@runtime_checkable
class VectorIndex(Protocol):
    """Protocol of an index of vectors that is searched by the inner product.

    An index holds vectors at positions 0, 1, 2, ...; ``recommender.ranker(index=...)`` takes any object with the
    method `search`. Three further methods are used where they exist:

    - ``fit(vectors)``: hold these vectors instead of what was there. The ranker calls it on a shallow copy of the index
      when it is made and whenever the model has changed, so that searches that are going on keep what they have. An
      index without it must hold the vectors of the candidates in their order, and is refused once the model changed.
    - ``add(vectors)``: append vectors at the next positions.
    - ``remove(positions)``: never return these positions again. The other vectors keep theirs.

    Without `add` or `remove`, adding or removing candidates is an error. An index that is searched by several threads
    while candidates are added has to allow for that by itself.

    Examples
    --------
    >>> import numpy as np
    >>> from skllmrec.retrieval import ExactIndex, VectorIndex
    >>> isinstance(ExactIndex().fit(np.eye(2)), VectorIndex)
    True
    """

    def __init__(self) -> None: ...

    def search(self, vectors: FloatArray, k: int, excluded: CsrMatrix) -> tuple[IntArray, FloatArray]:
        """Find the k vectors of the index with the highest inner products.

        Parameters
        ----------
        vectors : ndarray of shape (n_queries, d), float32 or float64
            Queries.
        k : int
            At most the number of vectors of the index.
        excluded : csr_matrix of shape (n_queries, n_vectors)
            The stored entries are left out, whatever their values. Indices need not be sorted.

        Returns
        -------
        positions : ndarray of shape (n_queries, k), int
            Best first; -1 where there are no more. An approximate index may miss some.
        scores : ndarray of shape (n_queries, k)
            Inner products; -inf where the position is -1.
        """
        ...
