"""A metric by the number of training interactions of the user."""

from typing import TYPE_CHECKING, Self

import numpy as np

from skllmrec._typing import ArrayLike, Estimator, IntArray, Rows
from skllmrec.inspection._binned import BinnedDisplay
from skllmrec.metrics import rank_test_users, segment_by_count

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BOUNDS = (1, 2, 3, 5, 10, 20, 50, 100)


class ColdStartDisplay(BinnedDisplay):
    """A metric by the number of training interactions of the user.

    Create it with `from_estimator` or `from_predictions`, which compute the parameters.

    Parameters
    ----------
    means, errors : ndarray of shape (n_bins,)
        Mean of the metric in each bin, and the half width of its 95 % confidence interval over users.
    n_users : ndarray of int, shape (n_bins,)
        Number of users in each bin; bins without users are left out.
    bins : list of str
        Ranges of the number of training interactions, such as ``"5-9"``.
    metric : str
        Name of the metric.
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
    >>> from skllmrec.inspection import ColdStartDisplay
    >>> display = ColdStartDisplay.from_predictions([0.1, 0.3, 0.6], [1, 1, 7], metric="ndcg@10", plot=False)
    >>> display.bins, display.means
    (['1', '5-9'], array([0.2, 0.6]))
    """

    @classmethod
    def from_estimator(
        cls,
        estimator: Estimator,
        X: Rows,
        y: ArrayLike | None = None,
        *,
        metric: str = "ndcg",
        k: int = 20,
        threshold: float | None = None,
        bounds: tuple[int, ...] = _BOUNDS,
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
        metric : str, default="ndcg"
            A metric with one value per user.
        k : int, default=20
            Length of the lists.
        threshold : float, default=None
            Rows with ``y >= threshold`` are relevant.
        bounds : tuple of int
            Smallest number of interactions of every bin but the first.
        name : str, default=None
            Name in the legend. If None, the name of the class of the estimator.
        ax : matplotlib Axes, default=None
            Axes to draw into; several displays may share them. If None, a new figure is made.
        plot : bool, default=True
            Whether to draw the display.

        Returns
        -------
        display : ColdStartDisplay

        Raises
        ------
        ValueError
            If an option is unknown, or the estimator has no `seen_`.
        """
        ranked = rank_test_users(estimator, X, y, k=k, threshold=threshold)
        if ranked.history is None:
            raise ValueError(
                "ColdStartDisplay needs the training interactions: the recommender must have a `seen_` matrix"
            )
        values = ranked.evaluate(metric, average=False)
        n_known = np.asarray(ranked.history.sum(axis=1)).ravel().astype(int)
        name = type(estimator).__name__ if name is None else name
        return cls.from_predictions(values, n_known, metric=f"{metric}@{k}", bounds=bounds, name=name, ax=ax, plot=plot)

    @classmethod
    def from_predictions(
        cls,
        values: ArrayLike,
        n_known: ArrayLike,
        *,
        metric: str = "metric",
        bounds: tuple[int, ...] = _BOUNDS,
        name: str | None = None,
        ax: "Axes | None" = None,
        plot: bool = True,
    ) -> Self:
        """Create the display from values of a metric.

        Parameters
        ----------
        values : array-like of shape (n_users,)
            One value per user, as metrics return them with ``average=False``; NaN values are left out.
        n_known : array-like of int, shape (n_users,)
            Number of training interactions of each user.
        metric : str, default="metric"
            Name of the metric.
        bounds : tuple of int
            Smallest number of interactions of every bin but the first.
        name : str, default=None
            Name in the legend.
        ax : matplotlib Axes, default=None
            Axes to draw into. If None, a new figure is made.
        plot : bool, default=True
            Whether to draw the display.

        Returns
        -------
        display : ColdStartDisplay

        Raises
        ------
        ValueError
            If `values` and `n_known` do not have one entry per user, or a count is negative.
        """
        scores = np.asarray(values, dtype=np.float64)
        counts: IntArray = np.asarray(n_known)
        if scores.ndim != 1 or scores.shape != counts.shape:
            raise ValueError(f"values and n_known must have one entry per user, got {scores.shape}, {counts.shape}")
        evaluated = ~np.isnan(scores)
        scores, counts = scores[evaluated], counts[evaluated]
        segments = segment_by_count(counts, bounds=bounds)
        bins = list(dict.fromkeys(segments[np.argsort(counts, kind="stable")].tolist()))
        display = cls._from_bins([scores[segments == segment] for segment in bins], bins, metric=metric, name=name)
        return display.plot(ax=ax) if plot else display

    def _xlabel(self) -> str:
        return "known interactions of the user"
