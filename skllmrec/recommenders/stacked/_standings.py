"""How high the scores of each part stand among those that it gives the same user."""

import numpy as np

from skllmrec._kernels.selection.standing import (
    knot_ranks,
    knots,
    levels,
    reciprocal_ranks,
    standardised,
    usual_spread,
)
from skllmrec._typing import CsrMatrix, FloatArray, IntArray


def standings_of(scores: FloatArray, seen: CsrMatrix) -> FloatArray:
    """Mean, standard deviation and `knots` of the scores of a part for the items of the fit, user by user.

    Parameters
    ----------
    scores : ndarray of shape (n_users, n_items)
    seen : csr_matrix of shape (n_users, n_items)

    Returns
    -------
    ndarray of shape (n_users, 2 + n_ranks), float32
    """
    return np.hstack([levels(scores), knots(scores, seen)]).astype(np.float32)


def n_standings(n_items: int) -> int:
    """Return how many numbers `standings_of` stores of a user and a part."""
    return 2 + len(knot_ranks(n_items))


def usual_spreads(standings: FloatArray) -> FloatArray:
    """Usual spread of each part, of standings of shape (n_parts, n_users, n)."""
    return np.array([usual_spread(found) for found in standings])


def columns_of(
    scores: FloatArray, owners: IntArray, standings: FloatArray, usual: FloatArray, n_items: int
) -> FloatArray:
    """Columns that the second stage reads: standardised scores and reciprocal ranks of each part, and their means.

    Parameters
    ----------
    scores : ndarray of shape (n_parts, n_pairs)
    owners : ndarray of int, shape (n_pairs,)
        The user of each pair, a row of the standings.
    standings : ndarray of shape (n_parts, n_users, n)
    usual : ndarray of shape (n_parts,)
    n_items : int
        Number of items of the fit.

    Returns
    -------
    ndarray of shape (n_pairs, 2 n_parts + 2)
    """
    standard, ranks = [], []
    for one, found, spread in zip(scores, standings, usual, strict=True):
        found = found.astype(np.float64)
        standard.append(standardised(one[:, np.newaxis], found[owners], spread)[:, 0])
        width = np.where(found[:, 1] > 0, found[:, 1], spread)
        ranks.append(reciprocal_ranks(np.asarray(one, dtype=np.float64), owners, found[:, 2:], width, n_items))
    return np.column_stack([*standard, *ranks, np.mean(standard, axis=0), np.mean(ranks, axis=0)])


def names_of_columns(parts: list[str]) -> list[str]:
    """Names of the columns of `columns_of`."""
    return [*(f"{name}: score" for name in parts), *(f"{name}: rank" for name in parts), "mean score", "mean rank"]
