"""Progress in words: durations, and the time to go."""

from collections import defaultdict
from collections.abc import Iterable


def seconds(value: float) -> str:
    """Write a duration for people: ``30 ms``, ``3.2 s``, ``48 s``, ``2 min 5 s``, ``1 h 4 min``.

    Examples
    --------
    >>> from skllmrec.comparison._progress import seconds
    >>> [seconds(value) for value in (0.03, 3.21, 48.3, 125, 3840)]
    ['30 ms', '3.2 s', '48 s', '2 min 5 s', '1 h 4 min']
    """
    if value < 0.0995:
        return f"{1000 * value:.0f} ms"
    if value < 10:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


class TimeToGo:
    """Estimate how long the rest takes: each estimator has its own duration, and several run at once.

    Parameters
    ----------
    left : iterable of str
        The estimator of each call that is still to be made.
    n_workers : int
        Calls that run at the same time.

    Examples
    --------
    >>> from skllmrec.comparison._progress import TimeToGo
    >>> left = TimeToGo(["quick", "slow", "quick", "slow"], n_workers=2)
    >>> left.add("quick", 1.0)
    >>> left.add("slow", 9.0)
    >>> left.estimate()
    9.0
    """

    def __init__(self, left: Iterable[str], n_workers: int) -> None:
        self._left: dict[str, int] = defaultdict(int)
        for name in left:
            self._left[name] += 1
        self._n_workers = n_workers
        self._durations: dict[str, list[float]] = defaultdict(list)

    def note(self, name: str, duration: float) -> None:
        """Record a duration of an earlier run."""
        self._durations[name].append(duration)

    def add(self, name: str, duration: float) -> None:
        """Record a call that is over."""
        self._left[name] -= 1
        self.note(name, duration)

    def estimate(self) -> float:
        """Seconds until all is done: an estimator that has not run yet counts with the mean of the others.

        Calls are handed out one by one, so the rest takes its share of all that is left, but no less than one call of
        the slowest estimator.
        """
        means = {name: sum(values) / len(values) for name, values in self._durations.items()}
        other = sum(means.values()) / len(means) if means else 0.0
        rest = {name: means.get(name, other) for name, count in self._left.items() if count}
        share = sum(self._left[name] * mean for name, mean in rest.items()) / self._n_workers
        return max(share, max(rest.values(), default=0.0))

    def __str__(self) -> str:
        return f"; about {seconds(self.estimate())} to go" if any(self._left.values()) else ""
