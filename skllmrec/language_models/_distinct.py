"""Duplicate texts: equal texts have the same number, and are held out together."""

from collections.abc import Hashable, Iterable

import numpy as np

from skllmrec._typing import IntArray


def number_equal(values: Iterable[Hashable]) -> IntArray:
    """Assign numbers to values, the same number to equal values.

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
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(value, len(numbers)) for value in values], dtype=np.int64)


def hold_out_texts(order: IntArray, numbers: IntArray, n_held_out: int) -> tuple[IntArray, IntArray]:
    """Hold out the first rows of an order, none of which equals a row that is trained on.

    A score on texts that were trained on would not measure how well the model generalises. Equal rows are trained on if
    there are more of them than may be held out; if no rows could be held out then, the first rows of the order are.

    Parameters
    ----------
    order : ndarray of int
        Rows in random order.
    numbers : ndarray of int
        Number of each row of the data; rows of one number are equal.
    n_held_out : int
        Maximal number of rows to hold out.

    Returns
    -------
    fitted, held_out : ndarray of int
        Rows, in ascending order.

    Examples
    --------
    >>> import numpy as np
    >>> from skllmrec.language_models._distinct import hold_out_texts
    >>> fitted, held_out = hold_out_texts(np.array([3, 0, 2, 1]), np.array([0, 1, 1, 2]), 2)
    >>> fitted.tolist(), held_out.tolist()
    ([1, 2], [0, 3])
    """
    own = numbers[order]
    distinct, first, counts = np.unique(own, return_index=True, return_counts=True)
    n_left, chosen = n_held_out, list[int]()
    for place in np.argsort(first):
        if counts[place] <= n_left:
            chosen.append(distinct[place])
            n_left -= counts[place]
        if not n_left:
            break
    is_held = np.isin(own, chosen) if chosen else np.arange(len(order)) < n_held_out
    return np.sort(order[~is_held]), np.sort(order[is_held])
