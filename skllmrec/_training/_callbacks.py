"""Functions that are called with the record of each epoch."""

from collections.abc import Callable, Sequence
from typing import Any


def check_callbacks(callbacks: Sequence[Any]) -> tuple[Callable[[dict], Any], ...]:
    """Check that callbacks can be called, before a training begins.

    Parameters
    ----------
    callbacks : sequence of callable

    Returns
    -------
    tuple of callable

    Raises
    ------
    TypeError
        If a callback cannot be called.

    Examples
    --------
    >>> from skllmrec._training import check_callbacks
    >>> check_callbacks([print, "log.txt"])
    Traceback (most recent call last):
    TypeError: callbacks[1] is 'log.txt', which cannot be called: pass functions that take the record of an epoch
    """
    for place, callback in enumerate(callbacks):
        if not callable(callback):
            raise TypeError(
                f"callbacks[{place}] is {callback!r}, which cannot be called: pass functions that take the record of "
                "an epoch"
            )
    return tuple(callbacks)
