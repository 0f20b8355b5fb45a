"""Losses and scores of an estimator over its training epochs."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

from skllmrec._drawing import COLOURS, new_axes, tidy
from skllmrec._typing import Array, Estimator

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class LearningHistoryDisplay:
    """Losses and scores of an estimator over its training epochs.

    Create it with `from_estimator`, or with `from_predictions` from other records.

    Parameters
    ----------
    records : list of dict
        One record per epoch, with the key ``"epoch"`` and numbers.
    keys : list of str
        Keys of the numbers to draw.
    name : str or None
        Title.

    Attributes
    ----------
    ax_ : ndarray of matplotlib Axes
        One pair of axes per key, from top to bottom.
    figure_ : matplotlib Figure
        Set by `plot`.

    Examples
    --------
    >>> from skllmrec.inspection import LearningHistoryDisplay
    >>> records = [{"epoch": 0, "loss": 2.0}, {"epoch": 1, "loss": 1.0, "seconds": 3.0}]
    >>> LearningHistoryDisplay.from_predictions(records, plot=False).keys
    ['loss']
    """

    ax_: Array
    figure_: "Figure"

    def __init__(self, *, records: Sequence[dict[str, Any]], keys: Sequence[str], name: str | None = None) -> None:
        self.records = records
        self.keys = keys
        self.name = name

    @classmethod
    def from_estimator(cls, estimator: Estimator, *, keys: Sequence[str] | None = None, plot: bool = True) -> Self:
        """Create the display from the `history_` of a fitted estimator.

        Parameters
        ----------
        estimator : fitted estimator
            An estimator with the attribute `history_`, such as `LLMPretrainer` or `LLMFineTuner`.
        keys : list of str, default=None
            Keys of the numbers to draw. If None, all but the time and the learning rate.
        plot : bool, default=True
            Whether to draw the display.

        Returns
        -------
        display : LearningHistoryDisplay

        Raises
        ------
        ValueError
            If the estimator has no history, or its records lack a key.
        """
        if not getattr(estimator, "history_", None):
            raise ValueError(f"{type(estimator).__name__} has no history_: fit an estimator that trains in epochs")
        return cls.from_predictions(estimator.history_, keys=keys, name=type(estimator).__name__, plot=plot)

    @classmethod
    def from_predictions(
        cls,
        records: Sequence[dict[str, Any]],
        *,
        keys: Sequence[str] | None = None,
        name: str | None = None,
        plot: bool = True,
    ) -> Self:
        """Create the display from records of epochs.

        Parameters
        ----------
        records : list of dict
            One record per epoch, with the key ``"epoch"`` and numbers. With several objectives there is one record per
            epoch and objective, with its name in ``"objective"``.
        keys : list of str, default=None
            Keys of the numbers to draw. If None, all but the time and the learning rate.
        name : str, default=None
            Title.
        plot : bool, default=True
            Whether to draw the display.

        Returns
        -------
        display : LearningHistoryDisplay

        Raises
        ------
        ValueError
            If the records hold no numbers, or lack a key.
        """
        hidden = {"epoch", "step", "seconds", "learning_rate"}
        found = dict.fromkeys(
            key for record in records for key, value in record.items() if isinstance(value, float) and key not in hidden
        )
        if not found:
            raise ValueError("there is nothing to draw: the records hold no numbers")
        keys = list(found) if keys is None else list(keys)
        missing = [key for key in keys if not any(key in record for record in records)]
        if missing:
            raise ValueError(f"the records have no {missing}; they have {sorted(found)}")
        display = cls(records=records, keys=keys, name=name)
        return display.plot() if plot else display

    def plot(self) -> Self:
        """Draw each key into its own axes of a new figure.

        Returns
        -------
        self : LearningHistoryDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        figure = new_axes("LearningHistoryDisplay").get_figure()
        figure.clear()
        figure.set_size_inches(7, 1.2 + 1.7 * len(self.keys))
        axes = figure.subplots(len(self.keys), 1, sharex=True, squeeze=False)[:, 0]
        objectives = list(dict.fromkeys(record.get("objective") for record in self.records))
        for ax, key in zip(axes, self.keys, strict=True):
            for number, objective in enumerate(objectives):
                points = [(r["epoch"], r[key]) for r in self.records if r.get("objective") == objective and key in r]
                colour = COLOURS[number % len(COLOURS)]
                ax.plot(*zip(*points, strict=True), color=colour, marker="o", markersize=4, label=objective)
            ax.set_ylabel(key)
            tidy(ax)
        if objectives != [None]:
            axes[0].legend(frameon=False)
        axes[-1].set_xlabel("epoch")
        axes[-1].xaxis.get_major_locator().set_params(integer=True)
        figure.suptitle(self.name)
        self.ax_ = axes
        self.figure_ = figure
        return self
