"""Interactions, items and users, joined into one frame and handed over as a Bunch."""

from sklearn.utils import Bunch


class InteractionsBunch(Bunch):
    """A Bunch whose attribute `items` is the table of items, not the method of dict.

    Everything else is as in scikit-learn's; ``dict(bunch).items()`` gives the pairs of keys and values.
    """

    @property
    def items(self):
        """The table of items."""
        return self["items"]

    def __reduce__(self):
        # by default pickle and copy read a dict's content through its method items
        return _bunch_from_dict, (dict(self),)


def _bunch_from_dict(content):
    return InteractionsBunch(**content)


def check_key(table, key, name, *, unique=False):
    """Check that the ids of a table are there, and once each where they have to be.

    Parameters
    ----------
    table : pandas.DataFrame
    key : str
        The column of ids.
    name : str
        What the table is called in errors, e.g. its file.
    unique : bool, default=False
        Whether an id may stand in one row only.

    Raises
    ------
    ValueError
        If the column is not there, an id is missing, or an id is repeated.
    """
    if key not in table.columns:
        raise ValueError(f"{name} has no column {key!r}; its columns are {list(table.columns)}.")
    missing = table[key].isna().to_numpy()
    if missing.any():
        raise ValueError(f"{name}: {missing.sum()} rows have no {key!r}, the first is row {missing.argmax()}.")
    repeated = table[key].duplicated().to_numpy()
    if unique and repeated.any():
        first = repeated.argmax()
        raise ValueError(
            f"{name}: {repeated.sum()} rows repeat an id, the first is {table[key].iloc[first]!r} in row {first}; "
            f"keep one row for each {key!r}."
        )


def complete(table, key, ids):
    """Append a row of missing attributes for every id that the table lacks.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per id.
    key : str
        The column of ids.
    ids : pandas.Series
        Ids that need a row, repeated or not.

    Returns
    -------
    pandas.DataFrame
        The table itself where nothing is missing.
    """
    absent = ids[~ids.isin(table[key])].drop_duplicates()
    if absent.empty:
        return table
    everyone = list(table[key]) + list(absent)
    return table.set_index(key).reindex(everyone).rename_axis(key).reset_index()


def _tell_apart(interactions, items, users, keys):
    """Give a name that two tables share the prefix ``item_`` or ``user_``."""
    taken = set(interactions.columns) - set(keys)
    shared = (set(items.columns) & set(users.columns)) - set(keys)
    tables = []
    for table, prefix in ((items, "item_"), (users, "user_")):
        clashes = (set(table.columns) - set(keys)) & (taken | shared)
        tables.append(table.rename(columns={name: prefix + name for name in clashes}))
    return tables


def make_bunch(interactions, items, users, *, user, item, target, descr, as_frame=True, **others):
    """Join the attributes of items and users to the interactions and make the Bunch that every loader returns.

    Parameters
    ----------
    interactions, items, users : pandas.DataFrame
        Every id of the interactions has exactly one row in the other two.
    user, item : str
        The columns of ids.
    target : str or None
        The column that becomes y.
    descr : str
        Description of the data set.
    as_frame : bool, default=True
        Whether frames stay frames or become arrays.
    **others
        Further entries of the Bunch.

    Returns
    -------
    InteractionsBunch
        ``frame, data, target, items, users, feature_names, target_names, item_names, user_names, DESCR``.
    """
    items, users = _tell_apart(interactions, items, users, (user, item))
    frame = interactions.join(items.set_index(item), on=item).join(users.set_index(user), on=user)
    data = frame if target is None else frame.drop(columns=target)
    y = None if target is None else frame[target]
    names = {
        "feature_names": list(data.columns),
        "target_names": [] if target is None else [target],
        "item_names": list(items.columns),
        "user_names": list(users.columns),
    }
    if not as_frame:
        data, items, users = (table.to_numpy(dtype=object) for table in (data, items, users))
        y = None if y is None else y.to_numpy()
        frame = None
    return InteractionsBunch(data=data, target=y, frame=frame, items=items, users=users, **names, DESCR=descr, **others)
