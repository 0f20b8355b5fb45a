"""Shrinkage and weight of the content of item neighbourhoods, chosen on held-out interactions.

The trials have only the most popular items, for the sake of time. On films, artists and groceries (3,000 to 4,000
items) the best shrinkage among the 1,000 most popular ones is about the best among all; on books, where rare items make
up more of what is liked, it is several times too large. So the usual shrinkage is left for a clear gain only, which
groceries showed and the other sets, books included, did not.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from scipy import sparse

from skllmrec._kernels.item_item.neighbors import cosines, inner_products, nearest
from skllmrec._kernels.selection.held_out import is_better
from skllmrec._kernels.selection.peak import search_peak
from skllmrec._typing import CsrMatrix, FloatArray, Matrix

USUAL_SHRINKAGE = 20.0  # where the search begins, and what too little data keeps
SHRINKAGES = tuple(USUAL_SHRINKAGE * 4.0**power for power in range(-2, 5))
CONTENT_WEIGHTS = (0.03, 0.1, 0.3, 1.0, 3.0)  # at the usual shrinkage
USUAL_WEIGHT = 0.3
_CLEAR_GAIN = 2.0  # standard errors by which another shrinkage must be better


class NeighborStrengths(NamedTuple):
    """What neighbours are found with.

    Attributes
    ----------
    shrinkage : float
        In multiples of the mean square of the weighted interactions.
    content_weight : float
        Of the cosines of the content beside those of the interactions.
    """

    shrinkage: float
    content_weight: float


class NeighborTrial:
    """Neighbours of items by a part of the interactions; what similarities are made of is computed once.

    Parameters
    ----------
    columns : csr_matrix of shape (n_items, n_users)
        Weighted interactions of the items.
    unit : float
        Mean square of the weighted interactions.
    content : {ndarray, csr_matrix} of shape (n_items, n_features), or None
        Rows of unit length or zero.
    n_neighbors : int or None
    quality : callable
        From the neighbours, csr_matrix of shape (n_items, n_items) with one column for each scored item, to the quality
        of each user or rating that was held out; greater is better.
    """

    def __init__(
        self,
        columns: CsrMatrix,
        unit: float,
        content: Matrix | None,
        n_neighbors: int | None,
        quality: Callable[[CsrMatrix], FloatArray],
    ) -> None:
        self._products, self._unit = cosines(columns, columns), unit
        lengths = np.sqrt(self._products.diagonal())
        self._scale = np.outer(lengths, lengths)
        self._content = None if content is None else inner_products(content, content)
        self._n_neighbors, self._quality = n_neighbors, quality

    def neighbors(self, shrinkage: float, content_weight: float = 0.0) -> sparse.csr_matrix:
        """Neighbours of each item, (n_items, n_items); without a weight, by interactions alone."""
        scale = self._scale + shrinkage * self._unit
        similarity = np.divide(self._products, scale, out=np.zeros_like(scale), where=scale > 0)
        if content_weight and self._content is not None:
            similarity += content_weight * self._content
        n = len(similarity)
        return nearest(similarity.__getitem__, n, n, self._n_neighbors, np.arange(n))

    def quality(self, shrinkage: float, content_weight: float = 0.0) -> FloatArray:
        """Quality of what is held out, as `quality` of the constructor gives it."""
        return self._quality(self.neighbors(shrinkage, content_weight).T.tocsr())

    def spread(self, shrinkage: float) -> float:
        """Mean similarity of neighbours by interactions; 1 where none has any."""
        found = self.neighbors(shrinkage)
        return float(found.data.mean()) if found.nnz else 1.0


def choose_strengths(
    trials: Sequence[NeighborTrial], shrinkage: float | None, content_weight: float | None
) -> NeighborStrengths:
    """Choose what is None: the shrinkage by interactions alone, then the weight of the content beside it.

    The usual weight stays unless another one is better beyond chance, the usual shrinkage unless another one is clearly
    better.

    Shrinkage makes all similarities by interactions smaller. The weights that are tried are in proportion to them, so
    that the content has the same say at any shrinkage.

    Parameters
    ----------
    trials : sequence of NeighborTrial
        One for each hold-out.
    shrinkage : float or None
    content_weight : float or None
        A given one is kept; 0 without content.

    Returns
    -------
    NeighborStrengths
    """

    @cache
    def quality(shrinkage, weight=0.0):
        return np.concatenate([trial.quality(shrinkage, weight) for trial in trials])

    if shrinkage is None:
        start = SHRINKAGES.index(USUAL_SHRINKAGE)
        peak = search_peak(lambda one: float(quality(one).mean()), SHRINKAGES, start)
        clear = is_better(quality(peak.near), quality(USUAL_SHRINKAGE), _CLEAR_GAIN)
        shrinkage = peak.value if clear else USUAL_SHRINKAGE
    if content_weight is not None:
        return NeighborStrengths(shrinkage, content_weight)
    unit = (
        1.0 if shrinkage == USUAL_SHRINKAGE else _mean_spread(trials, shrinkage) / _mean_spread(trials, USUAL_SHRINKAGE)
    )
    found = {weight: quality(shrinkage, weight * unit) for weight in CONTENT_WEIGHTS}
    best = max(CONTENT_WEIGHTS, key=lambda weight: found[weight].mean())
    chosen = best if is_better(found[best], found[USUAL_WEIGHT]) else USUAL_WEIGHT
    return NeighborStrengths(shrinkage, chosen * unit)


def _mean_spread(trials, shrinkage):
    return float(np.mean([trial.spread(shrinkage) for trial in trials]))
