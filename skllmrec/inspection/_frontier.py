"""What accuracy costs in diversity: one recommender per point, and those that none beats in both."""

import numpy as np

from skllmrec._drawing import new_axes, point_style, tidy
from skllmrec.metrics import intra_list_diversity, rank_test_users


def _not_beaten(x, y):
    """Mask of the points that no other point beats in one coordinate without losing in the other."""
    at_least = (x[None] >= x[:, None]) & (y[None] >= y[:, None])
    more = (x[None] > x[:, None]) | (y[None] > y[:, None])
    return ~(at_least & more).any(axis=1)


class FrontierDisplay:
    """Accuracy against diversity, a point for each recommender, a line through those that none beats in both.

    Use `from_estimators` or `from_predictions`; the parameters are what those computed.

    Parameters
    ----------
    diversity, accuracy : ndarray of shape (n_recommenders,)
        The coordinates; more is better in both.
    names : list of str
        The recommenders.
    x_name, y_name : str
        Names of the axes.

    Attributes
    ----------
    on_frontier : ndarray of bool, shape (n_recommenders,)
        Those that no other beats in one without losing in the other.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
        What `plot` drew.

    Examples
    --------
    >>> from skllmrec.inspection import FrontierDisplay
    >>> display = FrontierDisplay.from_predictions(
    ...     {"ids": 0.25, "text": 0.27, "popularity": 0.1}, {"ids": 0.6, "text": 0.5, "popularity": 0.4}, plot=False
    ... )
    >>> [name for name, kept in zip(display.names, display.on_frontier) if kept]
    ['ids', 'text']
    """

    def __init__(self, *, diversity, accuracy, names, x_name="diversity", y_name="accuracy"):
        self.diversity = diversity
        self.accuracy = accuracy
        self.names = names
        self.x_name = x_name
        self.y_name = y_name
        self.on_frontier = _not_beaten(np.asarray(diversity, dtype=float), np.asarray(accuracy, dtype=float))

    @classmethod
    def from_estimators(
        cls, estimators, X, y=None, *, accuracy="ndcg", diversity="coverage", item_vectors=None, k=20, threshold=None,
        ax=None, plot=True,
    ):  # fmt: skip
        """Rank the users of a test set with each recommender and draw.

        Parameters
        ----------
        estimators : dict of str to fitted recommender
            Or Pipelines and searches that end in one.
        X, y : test rows and ratings or weights
            As for `skllmrec.metrics.rank_test_users`.
        accuracy : str, default="ndcg"
            Metric of the upward axis.
        diversity : str, default="coverage"
            Metric of the other axis: ``"coverage"``, ``"personalization"``, ``"novelty"``, or ``"ild"``, which needs
            `item_vectors`.
        item_vectors : callable, default=None
            Takes the ids of items, gives one vector for each, best in a space that no model used.
        k : int, default=20
            Length of the lists.
        threshold : float, default=None
            Rows with ``y >= threshold`` are relevant.
        ax : matplotlib Axes, default=None
            Where to draw.
        plot : bool, default=True
            Whether to draw at once.

        Returns
        -------
        display : FrontierDisplay

        Raises
        ------
        ValueError
            If a metric is unknown, or ``"ild"`` is asked for without `item_vectors`.
        """
        if diversity == "ild" and item_vectors is None:
            raise ValueError("diversity='ild' needs item_vectors=: a function that gives a vector for each item id")
        xs, ys = {}, {}
        for name, estimator in estimators.items():
            ranked = rank_test_users(estimator, X, y, k=k, threshold=threshold)
            ys[name] = ranked.evaluate(accuracy)
            if diversity == "ild":
                xs[name] = intra_list_diversity(ranked.recommended, item_vectors(ranked.items), k=k)
            else:
                xs[name] = ranked.evaluate(diversity)
        return cls.from_predictions(
            ys, xs, accuracy_name=f"{accuracy}@{k}", diversity_name=f"{diversity}@{k}", ax=ax, plot=plot
        )

    @classmethod
    def from_predictions(
        cls, accuracy, diversity, *, accuracy_name="accuracy", diversity_name="diversity", ax=None, plot=True
    ):
        """Draw figures that exist already.

        Parameters
        ----------
        accuracy, diversity : dict of str to float
            A figure for each recommender; more is better.
        accuracy_name, diversity_name : str
            Names of the axes.
        ax : matplotlib Axes, default=None
            Where to draw.
        plot : bool, default=True
            Whether to draw at once.

        Returns
        -------
        display : FrontierDisplay

        Raises
        ------
        ValueError
            If the two do not name the same recommenders.
        """
        if set(accuracy) != set(diversity):
            raise ValueError(f"accuracy names {sorted(accuracy)}, diversity {sorted(diversity)}: name the same ones")
        names = list(accuracy)
        display = cls(
            diversity=np.array([diversity[name] for name in names]), names=names, x_name=diversity_name,
            accuracy=np.array([accuracy[name] for name in names]), y_name=accuracy_name,
        )  # fmt: skip
        return display.plot(ax=ax) if plot else display

    def plot(self, *, ax=None):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : FrontierDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        ax = new_axes("FrontierDisplay") if ax is None else ax
        kept = np.flatnonzero(self.on_frontier)
        kept = kept[np.argsort(self.diversity[kept], kind="stable")]
        ax.plot(self.diversity[kept], self.accuracy[kept], color="0.6", linewidth=1, linestyle="--", zorder=1)
        for place, name in enumerate(self.names):
            ax.plot(self.diversity[place], self.accuracy[place], linestyle="none", label=name, **point_style(place))
        ax.set_xlabel(self.x_name)
        ax.set_ylabel(self.y_name)
        ax.margins(0.12)
        ax.legend(frameon=False)
        tidy(ax)
        self.ax_, self.figure_ = ax, ax.get_figure()
        return self
