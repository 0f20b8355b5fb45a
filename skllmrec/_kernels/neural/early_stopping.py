"""Interactions held out from gradient descent, and the score of factors on them."""

from dataclasses import dataclass

import numpy as np

from skllmrec._kernels.selection.held_out import MIN_HELD_OUT, hold_out_entries, ranking_quality, take_entries
from skllmrec._typing import CsrMatrix, FloatArray, IntArray


@dataclass(frozen=True)
class HeldOutPairs:
    """A random part of the observed pairs.

    Parameters
    ----------
    kept, positions : ndarray of int
        Positions of the pairs to train on and of those held out, among all stored pairs.
    train, test : csr_matrix of shape (n_users, n_items)
        These pairs.
    seed : int
        Seed of the sample of users on whom a ranking is evaluated.
    """

    kept: IntArray
    positions: IntArray
    train: CsrMatrix
    test: CsrMatrix
    seed: int

    @classmethod
    def draw(cls, weights: CsrMatrix, fraction: float, seed: int) -> "HeldOutPairs | None":
        """Hold out a fraction of the stored pairs.

        Parameters
        ----------
        weights : csr_matrix of shape (n_users, n_items)
        fraction : float
        seed : int

        Returns
        -------
        HeldOutPairs or None
            None where fewer than 50 pairs can be held out.

        Examples
        --------
        >>> import numpy as np
        >>> from scipy import sparse
        >>> from skllmrec._kernels.neural.early_stopping import HeldOutPairs
        >>> held_out = HeldOutPairs.draw(sparse.csr_matrix(np.ones((30, 30))), 0.1, seed=0)
        >>> held_out.train.nnz + held_out.test.nnz, HeldOutPairs.draw(sparse.csr_matrix(np.ones((3, 3))), 0.1, seed=0)
        (900, None)
        """
        kept, positions = hold_out_entries(weights, seed, fraction)
        if len(positions) < MIN_HELD_OUT:
            return None
        return cls(kept, positions, take_entries(weights, kept), take_entries(weights, positions), seed)

    def ndcg(self, users: FloatArray, items: FloatArray) -> float:
        """Mean NDCG@20 of the held-out items, ranked for each user among the items that were not trained on.

        Parameters
        ----------
        users, items : ndarray of shape (n_users, d), (n_items, d)

        Returns
        -------
        float
        """
        return float(ranking_quality(users, items, self.train, self.test, seed=self.seed).mean())

    def minus_rmse(
        self,
        users: tuple[FloatArray, FloatArray],
        items: tuple[FloatArray, FloatArray],
        targets: FloatArray,
        weights: FloatArray,
    ) -> float:
        """Negative root mean squared error of ``b_u + b_i + p_u . q_i``.

        Parameters
        ----------
        users, items : tuple (vectors, biases)
            Arrays of shape (n, d) and (n,).
        targets, weights : ndarray of shape (n_pairs,)
            Of all pairs, those to train on included.

        Returns
        -------
        float
        """
        (p, user_biases), (q, item_biases) = users, items
        rows, columns = self.test.nonzero()
        predicted = (p[rows] * q[columns]).sum(axis=1)
        errors = targets[self.positions] - predicted - user_biases[rows] - item_biases[columns]
        return -float(np.sqrt(np.average(errors**2, weights=weights[self.positions])))
