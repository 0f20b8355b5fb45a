"""Events of users in their order, and the histories before them."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from skllmrec._typing import Array, IntArray

NOTHING = -1  # stands for an item in a history that is shorter than its row
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FACTORS = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


@dataclass(frozen=True)
class Sequences:
    """One list of items for each user, oldest first.

    Parameters
    ----------
    indptr : ndarray of shape (n_users + 1,)
        Where the list of each user begins.
    items : ndarray of shape (n,)
    """

    indptr: IntArray
    items: IntArray

    @classmethod
    def of(cls, owners: IntArray, items: IntArray, n_users: int) -> Self:
        """Make lists of items whose owners are given in ascending order.

        Parameters
        ----------
        owners, items : ndarray of shape (n,)
        n_users : int

        Returns
        -------
        Sequences
        """
        return cls(np.searchsorted(owners, np.arange(n_users + 1)), items)

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def take(self, rows: IntArray) -> "Sequences":
        """Select the lists of some users; that of -1 is empty.

        Parameters
        ----------
        rows : ndarray of int

        Returns
        -------
        Sequences
        """
        rows = np.asarray(rows)
        starts, stops = self.indptr[rows], self.indptr[rows + 1]
        counts = np.where(rows >= 0, stops - starts, 0)
        ends = np.cumsum(counts)
        places = np.repeat(starts - ends + counts, counts) + np.arange(counts.sum())
        return Sequences(np.append(0, ends), self.items[places])

    def latest(self, length: int) -> IntArray:
        """Write the last items of each list into a row, the latest one first.

        Parameters
        ----------
        length : int

        Returns
        -------
        ndarray of shape (n_users, length)
            Padded by -1.

        Examples
        --------
        >>> import numpy as np
        >>> from skllmrec._kernels.sequential.events import Sequences
        >>> Sequences(np.array([0, 3, 4]), np.array([5, 6, 7, 8])).latest(2).tolist()
        [[7, 6], [8, -1]]
        """
        places = self.indptr[1:, np.newaxis] - 1 - np.arange(length)
        within = places >= self.indptr[:-1, np.newaxis]
        if not len(self.items):
            return np.full(within.shape, NOTHING)
        return np.where(within, self.items[np.where(within, places, 0)], NOTHING)


@dataclass(frozen=True)
class Events:
    """Events sorted by user and time.

    Parameters
    ----------
    users, items : ndarray of shape (n,), intp
    times : ndarray of shape (n,)

    Attributes
    ----------
    starts : ndarray of shape (n,), intp
        Position of the first event of the same user.
    """

    users: IntArray
    items: IntArray
    times: Array

    @property
    def starts(self) -> IntArray:
        """Position of the first event of the same user."""
        return np.searchsorted(self.users, self.users)

    def __len__(self) -> int:
        return len(self.users)

    def take(self, positions: IntArray) -> "Events":
        """Select some events.

        Parameters
        ----------
        positions : ndarray of int
            Ascending.

        Returns
        -------
        Events
        """
        return Events(self.users[positions], self.items[positions], self.times[positions])

    def last(self, length: int) -> "Events":
        """Select the last events of each user.

        Parameters
        ----------
        length : int

        Returns
        -------
        Events
        """
        ends = np.searchsorted(self.users, self.users, side="right")
        return self.take(np.flatnonzero(ends - np.arange(len(self)) <= length))

    def next_same(self) -> IntArray:
        """Find the next event of the same user with the same item.

        Returns
        -------
        ndarray of shape (n,)
            Its position; n where there is none.
        """
        order = np.lexsort((np.arange(len(self)), self.items, self.users))
        same = (self.users[order[1:]] == self.users[order[:-1]]) & (self.items[order[1:]] == self.items[order[:-1]])
        following = np.full(len(self), len(self))
        following[order[:-1][same]] = order[1:][same]
        return following


def order_events(users: IntArray, items: IntArray, times: Array) -> Events:
    """Sort events by user and time; equal ones become one.

    The order of events of a user at one time is unknown: they stand in one that looks random, that does not depend on
    the order of the rows, and that is the same in each call.

    Parameters
    ----------
    users, items : ndarray of shape (n,), intp
    times : ndarray of shape (n,)
        Numbers, datetimes or timedeltas.

    Returns
    -------
    Events

    Examples
    --------
    >>> import numpy as np
    >>> from skllmrec._kernels.sequential.events import order_events
    >>> users, items, times = np.array([1, 0, 0, 0]), np.array([4, 5, 6, 5]), np.array([1, 9, 3, 9])
    >>> events = order_events(users, items, times)
    >>> events.users.tolist(), events.items.tolist()
    ([0, 0, 1], [6, 5, 4])
    """
    order = np.lexsort((items, _mixed(users, items), times, users))
    users, items, times = users[order], items[order], times[order]
    if not len(users):
        return Events(users, items, times)
    changes = [part[1:] != part[:-1] for part in (users, items, times)]
    first = np.flatnonzero(np.append(True, np.logical_or.reduce(changes)))
    return Events(users[first], items[first], times[first])


def _mixed(users, items):
    """Hash pairs of a user and an item (the finaliser of SplitMix64): numbers that look random."""
    key = users.astype(np.uint64) * np.uint64(1 << 32) + items.astype(np.uint64)  # overflow wraps around
    key = key * _GOLDEN + _GOLDEN
    for shift, factor in zip((30, 27), _FACTORS, strict=True):
        key = (key ^ (key >> np.uint64(shift))) * factor
    return key ^ (key >> np.uint64(31))


def join_histories(stored: Sequences, later: Sequences, length: int) -> IntArray:
    """Write the last items of two lists of each user into a row, the latest one first.

    Parameters
    ----------
    stored, later : Sequences
        Of the same users; what is `later` comes after what is `stored`.
    length : int

    Returns
    -------
    ndarray of shape (n_users, length)
        Padded by -1.

    Examples
    --------
    >>> import numpy as np
    >>> from skllmrec._kernels.sequential.events import Sequences, join_histories
    >>> join_histories(Sequences(np.array([0, 2]), np.array([5, 6])), Sequences(np.array([0, 1]), np.array([7])), 2)
    array([[7, 6]])
    """
    before, after = stored.latest(length), later.latest(length)
    n_after = (after >= 0).sum(axis=1, keepdims=True)
    places = np.arange(length) - n_after
    return np.where(places < 0, after, np.take_along_axis(before, np.maximum(places, 0), axis=1))


def is_first_mention(histories: IntArray) -> Array:
    """Mark the items of rows that do not stand before in the same row.

    Parameters
    ----------
    histories : ndarray of shape (n, length)
        -1 is no item.

    Returns
    -------
    ndarray of bool of the same shape
    """
    order = np.argsort(histories, axis=1, kind="stable")
    ordered = np.take_along_axis(histories, order, axis=1)
    fresh = np.ones(histories.shape, dtype=bool)
    fresh[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    first = np.empty_like(fresh)
    np.put_along_axis(first, order, fresh, axis=1)
    return first & (histories >= 0)


def cut_windows(events: Events, length: int) -> tuple[IntArray, IntArray]:
    """Cut the events of each user into windows, from the last one on.

    Parameters
    ----------
    events : Events
    length : int
        Most events of a window.

    Returns
    -------
    first, count : ndarray of shape (n_windows,)
        Position of the first event of each window, and how many it has.

    Examples
    --------
    >>> import numpy as np
    >>> from skllmrec._kernels.sequential.events import cut_windows, order_events
    >>> events = order_events(np.array([0, 0, 0, 1]), np.arange(4), np.arange(4))
    >>> [part.tolist() for part in cut_windows(events, 2)]
    [[0, 1, 3], [1, 2, 1]]
    """
    starts, positions = events.starts, np.arange(len(events))
    ends = np.searchsorted(events.users, events.users, side="right")
    begins = (positions == starts) | ((ends - positions) % length == 0)
    first = np.flatnonzero(begins)
    return first, np.diff(np.append(first, len(events)))
