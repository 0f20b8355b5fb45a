"""Synthetic interactions and ratings of any size, with a long-tailed popularity of items."""

import numpy as np
from scipy import sparse

from skllmrec._typing import FloatArray, IntArray


def make_interactions(
    n_users: int, n_items: int, mean_length: float, seed: int | np.random.Generator = 0
) -> sparse.csr_matrix:
    """Draw random pairs: items by a long-tailed popularity, histories of geometric length.

    Parameters
    ----------
    n_users, n_items : int
    mean_length : float
    seed : int or Generator, default=0

    Returns
    -------
    csr_matrix of shape (n_users, n_items), float64
        Ones. A little sparser than asked for: no user has an item twice.
    """
    rng = np.random.default_rng(seed)
    popularity = 1 / np.arange(1, n_items + 1) ** 0.7
    lengths = np.minimum(1 + rng.geometric(1 / mean_length, n_users), n_items // 2)
    columns = rng.choice(n_items, lengths.sum(), p=popularity / popularity.sum())
    rows = np.repeat(np.arange(n_users), lengths)
    pairs = sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), (n_users, n_items))
    pairs.data[:] = 1
    return pairs


def make_ratings(
    n_users: int, n_items: int, n_ratings: int, *, rank: int = 12, noise: float = 0.8, seed: int = 0
) -> tuple[IntArray, IntArray, FloatArray]:
    """Half-star ratings between 0.5 and 5 from biases, a few hidden factors and noise.

    Returns
    -------
    users, items : ndarray of int
        Distinct pairs, about `n_ratings` of them.
    ratings : ndarray of float64
    """
    pairs = make_interactions(n_users, n_items, n_ratings / n_users, seed).tocoo()
    rng = np.random.default_rng(seed + 1)
    p, q = (rng.normal(scale=(0.7**2 / rank) ** 0.25, size=(n, rank)) for n in (n_users, n_items))
    biases = [rng.normal(scale=0.4, size=n) for n in (n_users, n_items)]
    ratings = 3.5 + biases[0][pairs.row] + biases[1][pairs.col] + np.einsum("ij,ij->i", p[pairs.row], q[pairs.col])
    ratings += rng.normal(scale=noise, size=len(ratings))
    return pairs.row, pairs.col, np.clip(np.round(2 * ratings) / 2, 0.5, 5)
