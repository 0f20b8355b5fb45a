"""Accuracy against diversity of several recommenders, with the Pareto frontier."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from skllmrec._drawing import point_style, tidy
from skllmrec._typing import ArrayLike, Estimator, FloatArray, Rows
from skllmrec.inspection._display import BaseDisplay
from skllmrec.metrics import intra_list_diversity, rank_test_users

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def _pareto_optimal(x, y):
    """Mask of the points that no other point dominates; more is better in both coordinates."""
    at_least = (x[None] >= x[:, None]) & (y[None] >= y[:, None])
    more = (x[None] > x[:, None]) | (y[None] > y[:, None])
    return ~(at_least & more).any(axis=1)


class FrontierDisplay(BaseDisplay):
    """Accuracy against diversity: one point per recommender, and a line along the Pareto frontier.

    Create it with `from_estimators` or `from_predictions`, which compute the parameters.

    Parameters
    ----------
    diversity, accuracy : ndarray of shape (n_recommenders,)
        Coordinates of the points; more is better in both.
    names : list of str
        Names of the recommenders.
    x_name, y_name : str
        Names of the axes.

    Attributes
    ----------
    on_frontier : ndarray of bool, shape (n_recommenders,)
        Mask of the Pareto-optimal recommenders: no other one is at least as good in both and better in one.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
        Set by `plot`.

    Examples
    --------
    >>> from skllmrec.inspection import FrontierDisplay
    >>> display = FrontierDisplay.from_predictions(
    ...     {"ids": 0.25, "text": 0.27, "popularity": 0.1}, {"ids": 0.6, "text": 0.5, "popularity": 0.4}, plot=False
    ... )
    >>> [name for name, kept in zip(display.names, display.on_frontier) if kept]
    ['ids', 'text']
    """

    def __init__(
        self,
        *,
        diversity: FloatArray,
        accuracy: FloatArray,
        names: list[str],
        x_name: str = "diversity",
        y_name: str = "accuracy",
    ) -> None:
        self.diversity = diversity
        self.accuracy = accuracy
        self.names = names
        self.x_name = x_name
        self.y_name = y_name
        self.on_frontier = _pareto_optimal(np.asarray(diversity, dtype=float), np.asarray(accuracy, dtype=float))

    @classmethod
    def from_estimators(
        cls,
        estimators: Mapping[str, Estimator],
        X: Rows,
        y: ArrayLike | None = None,
        *,
        accuracy: str = "ndcg",
        diversity: str = "coverage",
        item_vectors: Callable[[Any], Any] | None = None,
        k: int = 20,
        threshold: float | None = None,
        ax: "Axes | None" = None,
        plot: bool = True,
    ) -> Self:
        """Create the display from the recommendations of each recommender to the users of a test set.

        Parameters
        ----------
        estimators : dict of str to fitted recommender
            Pipelines and searches that end in a recommender are accepted, too.
        X, y : test rows and ratings or weights
            As for `skllmrec.metrics.rank_test_users`.
        accuracy : str, default="ndcg"
            Metric of the vertical axis.
        diversity : str, default="coverage"
            Metric of the horizontal axis: ``"coverage"``, ``"personalization"``, ``"novelty"``, or ``"ild"``, which
            needs `item_vectors`.
        item_vectors : callable, default=None
            Takes the ids of items and returns one vector for each, preferably from a space that none of the
            recommenders uses.
        k : int, default=20
            Length of the lists.
        threshold : float, default=None
            Rows with ``y >= threshold`` are relevant.
        ax : matplotlib Axes, default=None
            Axes to draw into. If None, a new figure is made.
        plot : bool, default=True
            Whether to draw the display.

        Returns
        -------
        display : FrontierDisplay

        Raises
        ------
        ValueError
            If a metric is unknown, or `diversity` is ``"ild"`` and `item_vectors` is None.
        """
        if diversity == "ild" and item_vectors is None:
            raise ValueError("diversity='ild' needs item_vectors=: a function that gives a vector for each item id")
        accuracies: dict[str, Any] = {}
        diversities: dict[str, Any] = {}
        for name, estimator in estimators.items():
            ranked = rank_test_users(estimator, X, y, k=k, threshold=threshold)
            accuracies[name] = ranked.evaluate(accuracy)
            if item_vectors is not None and diversity == "ild":
                diversities[name] = intra_list_diversity(ranked.recommended, item_vectors(ranked.items), k=k)
            else:
                diversities[name] = ranked.evaluate(diversity)
        return cls.from_predictions(
            accuracies,
            diversities,
            accuracy_name=f"{accuracy}@{k}",
            diversity_name=f"{diversity}@{k}",
            ax=ax,
            plot=plot,
        )

    @classmethod
    def from_predictions(
        cls,
        accuracy: Mapping[str, float],
        diversity: Mapping[str, float],
        *,
        accuracy_name: str = "accuracy",
        diversity_name: str = "diversity",
        ax: "Axes | None" = None,
        plot: bool = True,
    ) -> Self:
        """Create the display from values of the two metrics.

        Parameters
        ----------
        accuracy, diversity : dict of str to float
            One value per recommender; more is better.
        accuracy_name, diversity_name : str
            Names of the axes.
        ax : matplotlib Axes, default=None
            Axes to draw into. If None, a new figure is made.
        plot : bool, default=True
            Whether to draw the display.

        Returns
        -------
        display : FrontierDisplay

        Raises
        ------
        ValueError
            If `accuracy` and `diversity` do not have the same keys.
        """
        if set(accuracy) != set(diversity):
            raise ValueError(f"accuracy names {sorted(accuracy)}, diversity {sorted(diversity)}: name the same ones")
        names = list(accuracy)
        display = cls(
            diversity=np.array([diversity[name] for name in names]),
            accuracy=np.array([accuracy[name] for name in names]),
            names=names,
            x_name=diversity_name,
            y_name=accuracy_name,
        )
        return display.plot(ax=ax) if plot else display

    def _draw(self, ax: "Axes") -> None:
        frontier = np.flatnonzero(self.on_frontier)
        frontier = frontier[np.argsort(self.diversity[frontier], kind="stable")]
        ax.plot(self.diversity[frontier], self.accuracy[frontier], color="0.6", linewidth=1, linestyle="--", zorder=1)
        for point, name in enumerate(self.names):
            ax.plot(self.diversity[point], self.accuracy[point], linestyle="none", label=name, **point_style(point))
        ax.set_xlabel(self.x_name)
        ax.set_ylabel(self.y_name)
        ax.margins(0.12)
        ax.legend(frameon=False)
        tidy(ax)
