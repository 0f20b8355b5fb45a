"""Lists of ids as callers pass them: one for everybody, or one for each user."""

from collections.abc import Mapping

import numpy as np

from skllmrec._ids import normalise_ids, shown


def is_sequence(value):
    return not isinstance(value, str | bytes) and (hasattr(value, "__len__") or isinstance(value, Mapping))


def flatten(lists, name, n_users):
    """One array of ids out of one list for each user, and whose each id is."""
    if len(lists) != n_users:
        raise ValueError(f"{name} has {len(lists)} lists for {n_users} users: give one list of item ids for each user")
    for position, one in enumerate(lists):
        if not is_sequence(one):
            raise ValueError(
                f"{name} holds one list of item ids for each user, but that of user {position} is {shown(one)} "
                f"({type(one).__name__}): put it in a list"
            )
    ids = [item for one in lists for item in one]
    owners = np.repeat(np.arange(n_users), [len(one) for one in lists])
    return normalise_ids(np.array(ids, dtype=object), name=f"{name}: the item ids"), owners
