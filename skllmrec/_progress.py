"""A progress bar with rate and remaining time, where it is wanted and tqdm is installed."""

from contextlib import contextmanager


@contextmanager
def progress_bar(total, *, description, unit, enabled):
    """Show how far a loop is.

    Parameters
    ----------
    total : int
        Steps of the whole loop.
    description : str
        What is going on, e.g. ``"encoding"``.
    unit : str
        What a step is, e.g. ``"texts"``.
    enabled : bool
        False, or tqdm not installed: nothing is shown.

    Yields
    ------
    advance : callable
        ``advance(n=1)``, to be called after n steps.
    """
    bar = _make_bar(total, description, unit) if enabled else None
    try:
        yield (lambda n=1: None) if bar is None else bar.update
    finally:
        if bar is not None:
            bar.close()


def _make_bar(total, description, unit):
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return None
    return tqdm(total=total, desc=description, unit=f" {unit}")
