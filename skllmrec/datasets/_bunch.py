"""Join interactions, items and users into one frame, and return them as a Bunch."""

import re
from typing import Any

from sklearn.utils import Bunch

from skllmrec._typing import Frame


def check_key(table: Frame, key: str, name: str, *, unique: bool = False) -> None:
    """Check that no id of a table is missing and, optionally, that none is repeated.

    Parameters
    ----------
    table : pandas.DataFrame
    key : str
        Column of the ids.
    name : str
        Name of the table in errors, e.g. its file.
    unique : bool, default=False
        Whether each id must have one row only.

    Raises
    ------
    ValueError
        If the column does not exist, an id is missing, or, with `unique`, an id is repeated.
    """
    if key not in table.columns:
        is_data = any(re.fullmatch(r"[-\d.,: ]+", str(label)) for label in table.columns)
        hint = " That looks like a row of data: put a line with the names above it." if is_data else ""
        raise ValueError(f"{name} has no column {key!r}; its columns are {list(table.columns)}.{hint}")
    missing = table[key].isna().to_numpy()
    if missing.any():
        raise ValueError(
            f"{name}: {missing.sum()} rows have no {key!r}, the first is row {missing.argmax()} (it is empty, NA or "
            "NULL): remove these rows, or give them an id."
        )
    repeated = table[key].duplicated().to_numpy()
    if unique and repeated.any():
        first = repeated.argmax()
        raise ValueError(
            f"{name}: {repeated.sum()} rows repeat an id, the first is {table[key].iloc[first]!r} in row {first}; "
            f"keep one row for each {key!r}."
        )


def complete(table: Frame, key: str, ids: Any) -> Frame:
    """Append a row with missing attributes for every id without a row.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per id.
    key : str
        Column of the ids.
    ids : pandas.Series
        Ids that must have a row; they may be repeated.

    Returns
    -------
    pandas.DataFrame
        The table itself if every id has a row.
    """
    absent = ids[~ids.isin(table[key])].drop_duplicates()
    if absent.empty:
        return table
    all_ids = list(table[key]) + list(absent)
    return table.set_index(key).reindex(all_ids).rename_axis(key).reset_index()


def _prefix_shared_names(interactions, items, users, keys):
    """Add the prefix ``item_`` or ``user_`` to column names that two tables share."""
    taken = set(interactions.columns) - set(keys)
    shared = (set(items.columns) & set(users.columns)) - set(keys)
    tables = []
    for table, prefix in ((items, "item_"), (users, "user_")):
        clashes = (set(table.columns) - set(keys)) & (taken | shared)
        tables.append(table.rename(columns={name: prefix + name for name in clashes}))
    return tables


def make_bunch(
    interactions: Frame,
    items: Frame,
    users: Frame,
    *,
    user: str,
    item: str,
    target: str | None,
    descr: str,
    as_frame: bool = True,
    **others: Any,
) -> Bunch:
    """Join the attributes of items and users to the interactions; make the Bunch that every loader returns.

    Parameters
    ----------
    interactions, items, users : pandas.DataFrame
        Every id of the interactions has exactly one row in `items` or `users`.
    user, item : str
        Columns of the ids.
    target : str or None
        Column that becomes y.
    descr : str
        Description of the data set.
    as_frame : bool, default=True
        Whether to return frames or arrays.
    **others
        Additional entries of the Bunch.

    Returns
    -------
    Bunch
        ``frame, data, target, item_table, user_table, feature_names, target_names, item_names, user_names, DESCR``.
    """
    items, users = _prefix_shared_names(interactions, items, users, (user, item))
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
        data = data.to_numpy(dtype=object)
        items = items.to_numpy(dtype=object)
        users = users.to_numpy(dtype=object)
        y = None if y is None else y.to_numpy()
        frame = None
    return Bunch(data=data, target=y, frame=frame, item_table=items, user_table=users, **names, DESCR=descr, **others)
