"""A metric by the popularity of the relevant items: how well the long tail is recommended."""

from numbers import Integral
from typing import TYPE_CHECKING, Self

import numpy as np
from scipy.sparse import csr_array

from skllmrec._typing import ArrayLike, Estimator, IntArray, Matrix, Rows
from skllmrec.inspection._binned import BinnedDisplay
from skllmrec.metrics import ndcg_at_k, precision_at_k, rank_test_users, recall_at_k

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_METRICS = {"ndcg": ndcg_at_k, "recall": recall_at_k, "precision": precision_at_k}


def _bins_of(counts, n_bins):
    """Put items into bins of about equal size by their counts; items with equal counts are in one bin."""
    n_less_popular = np.searchsorted(np.sort(counts), counts, side="left")
    return n_bins * n_less_popular // max(1, len(counts))


class PopularityDisplay(BinnedDisplay):
    """A metric by the popularity of the relevant items, from the least popular tenth to the most popular.

    The items are sorted by their number of training users and put into bins of about equal size. For each bin, the
    metric is computed on the relevant items in the bin only, over the users who have such an item. Items with equally
    many users are in one bin, so that there are fewer bins where many items have few users.

    Create it with `from_estimator` or `from_predictions`, which compute the parameters.

    Parameters
    ----------
    means, errors : ndarray of shape (n_bins,)
        Mean of the metric in each bin, and the half width of its 95 % confidence interval over users.
    n_users : ndarray of int, shape (n_bins,)
        Number of users with a relevant item in the bin.
    bins : list of str
        Range of the number of training users of the items in each bin, such as ``"3-7"``.
    metric : str
        Name of the metric, with its k.
    name : str or None
        Name of the recommender.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    line_ : matplotlib Line2D
        Set by `plot`.

    Examples
    --------
    >>> import numpy as np
    >>> from skllmrec.inspection import PopularityDisplay
    >>> display = PopularityDisplay.from_predictions(
    ...     np.eye(4), [[3], [3], [2], [3]], [1, 2, 5, 9], metric="recall", k=1, n_bins=2, plot=False
    ... )
    >>> display.bins, display.means
    (['1-2', '5-9'], array([0., 1.]))
    """

    @classmethod
    def from_estimator(
        cls,
        estimator: Estimator,
        X: Rows,
        y: ArrayLike | None = None,
        *,
        metric: str = "recall",
        k: int = 20,
        threshold: float | None = None,
        n_bins: int = 10,
        name: str | None = None,
        ax: "Axes | None" = None,
        plot: bool = True,
    ) -> Self:
        """Create the display from the recommendations to the users of a test set.

        Parameters
        ----------
        estimator : fitted recommender, or a fitted Pipeline or search that ends in one
            It must have a `seen_` matrix of its training interactions.
        X, y : test rows and ratings or weights
            As for `skllmrec.metrics.rank_test_users`.
        metric : {"recall", "ndcg", "precision"}, default="recall"
            Name of the metric.
        k : int, default=20
            Length of the lists.
        threshold : float, default=None
            Rows with ``y >= threshold`` are relevant.
        n_bins : int, default=10
            Largest number of bins.
        name : str, default=None
            Name in the legend. If None, the name of the class of the estimator.
        ax : matplotlib Axes, default=None
            Axes to draw into; several displays may share them. If None, a new figure is made.
        plot : bool, default=True
            Whether to draw the display.

        Returns
        -------
        display : PopularityDisplay

        Raises
        ------
        ValueError
            If an option is unknown, or the estimator has no `seen_`.
        """
        ranked = rank_test_users(estimator, X, y, k=k, threshold=threshold)
        if ranked.item_counts is None:
            raise ValueError("PopularityDisplay needs the training counts: the recommender must have a `seen_` matrix")
        name = type(estimator).__name__ if name is None else name
        return cls.from_predictions(
            ranked.relevant,
            ranked.recommended,
            ranked.item_counts,
            metric=metric,
            k=k,
            n_bins=n_bins,
            name=name,
            ax=ax,
            plot=plot,
        )

    @classmethod
    def from_predictions(
        cls,
        relevant: Matrix,
        recommended: ArrayLike,
        item_counts: ArrayLike,
        *,
        metric: str = "recall",
        k: int = 20,
        n_bins: int = 10,
        name: str | None = None,
        ax: "Axes | None" = None,
        plot: bool = True,
    ) -> Self:
        """Create the display from lists of recommendations.

        Parameters
        ----------
        relevant : sparse matrix or array of shape (n_users, n_items)
            A positive entry marks a relevant item.
        recommended : array-like of int, shape (n_users, n)
            Column indices of the recommended items, best first; -1 is padding.
        item_counts : array-like of shape (n_items,)
            Number of training users of each item.
        metric : {"recall", "ndcg", "precision"}, default="recall"
            Name of the metric.
        k : int, default=20
            Length of the lists.
        n_bins : int, default=10
            Largest number of bins.
        name : str, default=None
            Name in the legend.
        ax : matplotlib Axes, default=None
            Axes to draw into. If None, a new figure is made.
        plot : bool, default=True
            Whether to draw the display.

        Returns
        -------
        display : PopularityDisplay

        Raises
        ------
        ValueError
            If the metric is unknown, `n_bins` is not an integer >= 1, or the shapes disagree.
        """
        if isinstance(n_bins, bool) or not isinstance(n_bins, Integral) or n_bins < 1:
            raise ValueError(f"n_bins must be an integer >= 1, got {n_bins!r}")
        if metric not in _METRICS:
            raise ValueError(f"metric={metric!r} is unknown: choose one of {sorted(_METRICS)}")
        relevant = csr_array(relevant)
        counts: IntArray = np.asarray(item_counts)
        values_of_bins, bins = [], []
        bin_of_item = _bins_of(counts, n_bins)
        for number in np.unique(bin_of_item):
            inside = bin_of_item == number
            values_of_bins.append(_METRICS[metric](relevant.multiply(inside), recommended, k=k, average=False))
            low, high = counts[inside].min(), counts[inside].max()
            bins.append(f"{low}" if low == high else f"{low}-{high}")
        display = cls._from_bins(values_of_bins, bins, metric=f"{metric}@{k}", name=name)
        return display.plot(ax=ax) if plot else display

    def _draw(self, ax: "Axes") -> None:
        super()._draw(ax)
        ax.tick_params(axis="x", rotation=45)

    def _xlabel(self) -> str:
        tenths = ": from the least known tenth to the best known" if len(self.bins) == 10 else ""
        return f"training users of the item{tenths}"
