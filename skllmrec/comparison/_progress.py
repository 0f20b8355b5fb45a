"""Say what is going on."""

import sys


def say(message=""):
    """Write a line to standard output at once, also where it goes to a file or a pipe."""
    sys.stdout.write(f"{message}\n")
    sys.stdout.flush()


def seconds(value):
    """Write a duration for people: ``3.2 s``, ``48 s``, ``2 min 5 s``.

    Examples
    --------
    >>> from skllmrec.comparison._progress import seconds
    >>> [seconds(value) for value in (3.21, 48.3, 125)]
    ['3.2 s', '48 s', '2 min 5 s']
    """
    if value < 10:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
