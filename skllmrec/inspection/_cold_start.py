"""How much must be known of a user: a metric by the number of their known interactions."""

import numpy as np

from skllmrec.inspection._binned import BinnedDisplay
from skllmrec.metrics import rank_test_users, segment_by_count

_BOUNDS = (1, 2, 3, 5, 10, 20, 50, 100)


class ColdStartDisplay(BinnedDisplay):
    """A metric by the number of interactions that training knew of the user.

    Use `from_estimator` or `from_predictions`; the parameters are what those computed.

    Parameters
    ----------
    means, errors : ndarray of shape (n_bins,)
        The metric in each bin, and the half width of its 95 % interval over users.
    n_users : ndarray of int, shape (n_bins,)
        Users in each bin; bins without any are left out.
    bins : list of str
        Numbers of known interactions, such as ``"5-9"``.
    metric : str
        Name of the metric.
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
    >>> from skllmrec.inspection import ColdStartDisplay
    >>> display = ColdStartDisplay.from_predictions([0.1, 0.3, 0.6], [1, 1, 7], metric="ndcg@10", plot=False)
    >>> display.bins, display.means
    (['1', '5-9'], array([0.2, 0.6]))
    """

    @classmethod
    def from_estimator(
        cls, estimator, X, y=None, *, metric="ndcg", k=20, threshold=None, bounds=_BOUNDS, name=None, ax=None, plot=True
    ):
        """Rank the users of a test set and draw.

        Parameters
        ----------
        estimator : fitted recommender, or a fitted Pipeline or search that ends in one
            It must remember what was seen (`seen_`).
        X, y : test rows and ratings or weights
            As for `skllmrec.metrics.rank_test_users`.
        metric : str, default="ndcg"
            A metric that has values per user.
        k : int, default=20
            Length of the lists.
        threshold : float, default=None
            Rows with ``y >= threshold`` are relevant.
        bounds : tuple of int
            Least number of interactions of every bin but the first.
        name : str, default=None
            Name in the legend; None: the class of the estimator.
        ax : matplotlib Axes, default=None
            Where to draw; several displays may share one.
        plot : bool, default=True
            Whether to draw at once.

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
            raise ValueError("ColdStartDisplay needs what training saw: the recommender must have a `seen_` matrix")
        values = ranked.evaluate(metric, average=False)
        known = np.asarray(ranked.history.sum(axis=1)).ravel().astype(int)
        name = type(estimator).__name__ if name is None else name
        return cls.from_predictions(values, known, metric=f"{metric}@{k}", bounds=bounds, name=name, ax=ax, plot=plot)

    @classmethod
    def from_predictions(cls, values, n_known, *, metric="metric", bounds=_BOUNDS, name=None, ax=None, plot=True):
        """Draw values that exist already.

        Parameters
        ----------
        values : array-like of shape (n_users,)
            One value per user, as metrics give them with ``average=False``; NaN is left out.
        n_known : array-like of int, shape (n_users,)
            Number of known interactions of each user.
        metric : str, default="metric"
            Its name.
        bounds : tuple of int
            Least number of interactions of every bin but the first.
        name : str, default=None
            Name in the legend.
        ax : matplotlib Axes, default=None
            Where to draw.
        plot : bool, default=True
            Whether to draw at once.

        Returns
        -------
        display : ColdStartDisplay

        Raises
        ------
        ValueError
            If the two do not have one entry per user, or a count is negative.
        """
        values, n_known = np.asarray(values, dtype=np.float64), np.asarray(n_known)
        if values.ndim != 1 or values.shape != n_known.shape:
            raise ValueError(f"values and n_known must have one entry per user, got {values.shape}, {n_known.shape}")
        known = ~np.isnan(values)
        values, n_known = values[known], n_known[known]
        segments = segment_by_count(n_known, bounds=bounds)
        bins = list(dict.fromkeys(segments[np.argsort(n_known, kind="stable")].tolist()))
        display = cls._of_bins([values[segments == part] for part in bins], bins, metric=metric, name=name)
        return display.plot(ax=ax) if plot else display

    def _xlabel(self):
        return "known interactions of the user"
