"""Texts that occur more than once: they have one number, and are held out together."""

import numpy as np


def number_equal(values):
    """Give values numbers, equal ones the same.

    Parameters
    ----------
    values : iterable of hashable

    Returns
    -------
    ndarray of int

    Examples
    --------
    >>> from skllmrec.language_models._distinct import number_equal
    >>> number_equal(["b", "a", "b"]).tolist()
    [0, 1, 0]
    """
    numbers = {}
    return np.array([numbers.setdefault(value, len(numbers)) for value in values], dtype=np.int64)


def hold_out(order, numbers, n_held_out):
    """Hold out the first rows of an order, none of which equals one that is learned from.

    What is known by heart says nothing about what is new. Equal rows of which there are too many to be held out are
    learned from; where that leaves nothing to hold out, rows are taken as they come.

    Parameters
    ----------
    order : ndarray of int
        Rows in random order.
    numbers : ndarray of int
        Number of each row of the data; rows of one number are equal.
    n_held_out : int
        Most rows to hold out.

    Returns
    -------
    fitted, held_out : ndarray of int
        Rows, in ascending order.

    Examples
    --------
    >>> import numpy as np
    >>> from skllmrec.language_models._distinct import hold_out
    >>> fitted, held_out = hold_out(np.array([3, 0, 2, 1]), np.array([0, 1, 1, 2]), 2)
    >>> fitted.tolist(), held_out.tolist()
    ([1, 2], [0, 3])
    """
    own = numbers[order]
    distinct, first, counts = np.unique(own, return_index=True, return_counts=True)
    n_left, chosen = n_held_out, []
    for place in np.argsort(first):
        if counts[place] <= n_left:
            chosen.append(distinct[place])
            n_left -= counts[place]
        if not n_left:
            break
    is_held = np.isin(own, chosen) if chosen else np.arange(len(order)) < n_held_out
    return np.sort(order[~is_held]), np.sort(order[is_held])
