"""A progress bar with rate and remaining time, where it is wanted and tqdm is installed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from skllmrec._terminal import printable


@contextmanager
def progress_bar(
    total: int | None, *, description: str, unit: str, enabled: bool, initial: int = 0
) -> Iterator[Callable[..., Any]]:
    """Show how far a loop is.

    Parameters
    ----------
    total : int or None
        Steps of the whole loop; None if it is unknown: then steps and rate are shown, no remaining time.
    description : str
        What is going on, e.g. ``"encoding"``.
    unit : str
        What a step is, e.g. ``"texts"``.
    enabled : bool
        False, or tqdm not installed: nothing is shown.
    initial : int, default=0
        Steps that were done before the loop; they do not count for the rate.

    Yields
    ------
    advance : callable
        ``advance(n=1)``, to be called after n steps.
    """
    bar = _make_bar(total, description, unit, initial) if enabled else None
    try:
        yield (lambda n=1: None) if bar is None else bar.update
    finally:
        if bar is not None:
            bar.close()


def _make_bar(total, description, unit, initial):
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return None
    return tqdm(total=total, desc=printable(description), unit=f" {unit}", initial=initial)
