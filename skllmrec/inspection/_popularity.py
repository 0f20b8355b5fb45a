"""Is it good for the long tail, or for the favourites only: a metric by the popularity of what was to be found."""

from numbers import Integral

import numpy as np
from scipy.sparse import csr_array

from skllmrec.inspection._binned import BinnedDisplay
from skllmrec.metrics import ndcg_at_k, precision_at_k, rank_test_users, recall_at_k

_METRICS = {"ndcg": ndcg_at_k, "recall": recall_at_k, "precision": precision_at_k}


def _bins_of(counts, n_bins):
    """Put items into bins of about the same size by their counts; equal counts are never parted."""
    less_known = np.searchsorted(np.sort(counts), counts, side="left")  # how many items are known less
    return n_bins * less_known // max(1, len(counts))


class PopularityDisplay(BinnedDisplay):
    """A metric by the popularity of the relevant items, from the least known tenth to the best known.

    The items are put into bins that hold about equal shares of them, by the number of their training users; the metric
    is computed on the relevant items of each bin alone, over the users who have one. Items of equally many users are in
    one bin, so that there are fewer bins where many items are hardly known.

    Use `from_estimator` or `from_predictions`; the parameters are what those computed.

    Parameters
    ----------
    means, errors : ndarray of shape (n_bins,)
        The metric in each bin, and the half width of its 95 % interval over users.
    n_users : ndarray of int, shape (n_bins,)
        Users with a relevant item in the bin.
    bins : list of str
        Numbers of training users of the items of each bin, such as ``"3-7"``.
    metric : str
        Name of the metric, with its k.
    name : str or None
        Name of the recommender.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    line_ : matplotlib Line2D
        What `plot` drew.

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
        cls, estimator, X, y=None, *, metric="recall", k=20, threshold=None, n_bins=10, name=None, ax=None, plot=True
    ):
        """Rank the users of a test set and draw.

        Parameters
        ----------
        estimator : fitted recommender, or a fitted Pipeline or search that ends in one
            It must remember what was seen (`seen_`).
        X, y : test rows and ratings or weights
            As for `skllmrec.metrics.rank_test_users`.
        metric : {"recall", "ndcg", "precision"}, default="recall"
            What is drawn.
        k : int, default=20
            Length of the lists.
        threshold : float, default=None
            Rows with ``y >= threshold`` are relevant.
        n_bins : int, default=10
            Number of bins, at most.
        name : str, default=None
            Name in the legend; None: the class of the estimator.
        ax : matplotlib Axes, default=None
            Where to draw; several displays may share one.
        plot : bool, default=True
            Whether to draw at once.

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
            ranked.relevant, ranked.recommended, ranked.item_counts, metric=metric, k=k, n_bins=n_bins, name=name,
            ax=ax, plot=plot,
        )  # fmt: skip

    @classmethod
    def from_predictions(
        cls, relevant, recommended, item_counts, *, metric="recall", k=20, n_bins=10, name=None, ax=None, plot=True
    ):
        """Draw lists that exist already.

        Parameters
        ----------
        relevant : sparse matrix or array of shape (n_users, n_items)
            A positive entry marks a relevant item.
        recommended : array-like of int, shape (n_users, n)
            Column indices of the recommended items, best first; -1 is padding.
        item_counts : array-like of shape (n_items,)
            Number of training users of each item.
        metric : {"recall", "ndcg", "precision"}, default="recall"
            What is drawn.
        k : int, default=20
            Length of the lists.
        n_bins : int, default=10
            Number of bins, at most.
        name : str, default=None
            Name in the legend.
        ax : matplotlib Axes, default=None
            Where to draw.
        plot : bool, default=True
            Whether to draw at once.

        Returns
        -------
        display : PopularityDisplay

        Raises
        ------
        ValueError
            If the metric is unknown, `n_bins` is no integer >= 1, or the shapes disagree.
        """
        if isinstance(n_bins, bool) or not isinstance(n_bins, Integral) or n_bins < 1:
            raise ValueError(f"n_bins must be an integer >= 1, got {n_bins!r}")
        if metric not in _METRICS:
            raise ValueError(f"metric={metric!r} is unknown: choose one of {sorted(_METRICS)}")
        relevant, counts = csr_array(relevant), np.asarray(item_counts)
        values_of_bins, bins = [], []
        for place in np.unique(bin_of := _bins_of(counts, n_bins)):
            inside = bin_of == place
            values_of_bins.append(_METRICS[metric](relevant.multiply(inside), recommended, k=k, average=False))
            low, high = counts[inside].min(), counts[inside].max()
            bins.append(f"{low}" if low == high else f"{low}-{high}")
        display = cls._of_bins(values_of_bins, bins, metric=f"{metric}@{k}", name=name)
        return display.plot(ax=ax) if plot else display

    def plot(self, *, ax=None):
        super().plot(ax=ax)
        self.ax_.tick_params(axis="x", rotation=45)
        return self

    plot.__doc__ = BinnedDisplay.plot.__doc__

    def _xlabel(self):
        tenths = ": from the least known tenth to the best known" if len(self.bins) == 10 else ""
        return f"training users of the item{tenths}"
