"""Functions that are told of each epoch."""


def check_callbacks(callbacks):
    """Refuse callbacks that cannot be called, before anything is trained.

    Parameters
    ----------
    callbacks : sequence of callable

    Returns
    -------
    tuple of callable

    Raises
    ------
    TypeError
        If one of them cannot be called.

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
