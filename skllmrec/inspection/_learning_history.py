"""The learning curve of an estimator that trains in epochs."""

from skllmrec._drawing import COLOURS, new_axes, tidy


class LearningHistoryDisplay:
    """What an estimator noted in each epoch: losses and scores over the epochs.

    Use `from_estimator`, or `from_predictions` for records of one's own.

    Parameters
    ----------
    records : list of dict
        One for each epoch, with ``"epoch"`` and numbers.
    keys : list of str
        The numbers that are drawn.
    name : str or None
        Title.

    Attributes
    ----------
    ax_ : ndarray of matplotlib Axes
        One for each key, on top of each other.
    figure_ : matplotlib Figure
        What `plot` drew.

    Examples
    --------
    >>> from skllmrec.inspection import LearningHistoryDisplay
    >>> records = [{"epoch": 0, "loss": 2.0}, {"epoch": 1, "loss": 1.0, "seconds": 3.0}]
    >>> LearningHistoryDisplay.from_predictions(records, plot=False).keys
    ['loss']
    """

    def __init__(self, *, records, keys, name=None):
        self.records = records
        self.keys = keys
        self.name = name

    @classmethod
    def from_estimator(cls, estimator, *, keys=None, plot=True):
        """Draw the `history_` of a fitted estimator.

        Parameters
        ----------
        estimator : fitted estimator
            With `history_`: `LLMPretrainer`, `LLMFineTuner`.
        keys : list of str, default=None
            Numbers to draw; None: all but the time and the learning rate.
        plot : bool, default=True
            Whether to draw at once.

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
    def from_predictions(cls, records, *, keys=None, name=None, plot=True):
        """Draw records that exist already.

        Parameters
        ----------
        records : list of dict
            One for each epoch, with ``"epoch"`` and numbers; those of several objectives name it in "objective".
        keys : list of str, default=None
            Numbers to draw; None: all but the time and the learning rate.
        name : str, default=None
            Title.
        plot : bool, default=True
            Whether to draw at once.

        Returns
        -------
        display : LearningHistoryDisplay

        Raises
        ------
        ValueError
            If there are no records, or they lack a key.
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

    def plot(self):
        """Draw, each number into axes of its own.

        Returns
        -------
        display : LearningHistoryDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        figure = new_axes("LearningHistoryDisplay").get_figure()
        figure.clear()
        figure.set_size_inches(7, 1.2 + 1.7 * len(self.keys))
        axes = figure.subplots(len(self.keys), 1, sharex=True, squeeze=False)[:, 0]
        groups = list(dict.fromkeys(record.get("objective") for record in self.records))
        for ax, key in zip(axes, self.keys, strict=True):
            for place, group in enumerate(groups):
                points = [(r["epoch"], r[key]) for r in self.records if r.get("objective") == group and key in r]
                colour = COLOURS[place % len(COLOURS)]
                ax.plot(*zip(*points, strict=True), color=colour, marker="o", markersize=4, label=group)
            ax.set_ylabel(key)
            tidy(ax)
        if groups != [None]:
            axes[0].legend(frameon=False)
        axes[-1].set_xlabel("epoch")
        axes[-1].xaxis.get_major_locator().set_params(integer=True)
        figure.suptitle(self.name)
        self.ax_, self.figure_ = axes, figure
        return self
