"""Tables of items and users as the arrays that metrics take: vectors, classes, groups."""

import re
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from skllmrec._ids import shown
from skllmrec._missing import missing_mask
from skllmrec._sklearn import take_columns
from skllmrec._typing import Array, Matrix

_SEPARATORS = re.compile(r"\s*[|,;]\s*")  # between the classes of one item
_NUMBERS = "biuf"


def _columns(table: Any, name: str) -> dict[str, Array]:
    """Return the columns of a table beside its key, by name."""
    columns = [column for column in table.frame.columns if column != table.key]
    if not columns:
        raise ValueError(f"{name}={table!r} has no column beside its key: add {_missing_column(name)}")
    return {column: np.asarray(take_columns(table.frame, column)) for column in columns}


def _missing_column(name: str) -> str:
    return "the group of each user" if name == "user_groups" else "the ones that tell items apart"


def rows_of(table: Any, ids: Array, name: str) -> Array:
    """Positions of ids in a table.

    Parameters
    ----------
    table : FeatureTable
    ids : ndarray
        Ids of items or users.
    name : str
        The parameter that the table was passed as, for the message.

    Returns
    -------
    positions : ndarray of int

    Raises
    ------
    ValueError
        If the table lacks an id.
    TypeError
        If the ids of the table are strings and the others numbers, or the other way round.
    """
    kind = "users" if name == "user_groups" else "items"
    table.index.check_kind(ids, name=f"the ids of {kind}", known=f"{name} has")
    positions = table.index.encode(ids)
    absent = np.flatnonzero(positions < 0)
    if absent.size:
        raise ValueError(
            f"{name} lacks {absent.size} of the {len(ids)} {kind}, e.g. {shown(ids[absent[0]])}: add a row for each"
        )
    return positions


def item_vectors(table: Any, items: Array) -> Matrix:
    """Vectors of items, from columns of numbers.

    Parameters
    ----------
    table : FeatureTable, or an object with a method ``rows(items)`` that returns the vectors
    items : ndarray
        Ids.

    Returns
    -------
    vectors : ndarray of shape (n_items, n_features), or a sparse matrix from ``rows``

    Raises
    ------
    ValueError
        If a column does not hold numbers, or an item is missing.
    """
    if hasattr(table, "rows"):
        return table.rows(items)
    columns = _columns(table, "item_vectors")
    for name, values in columns.items():
        if values.dtype.kind not in _NUMBERS:
            raise ValueError(
                f"item_vectors: column {name!r} holds {values.dtype}, not numbers: convert texts first, e.g. with "
                f"TfidfVectorizer, and classes with pandas' str.get_dummies('|')"
            )
    positions = rows_of(table, items, "item_vectors")
    return np.column_stack([values[positions] for values in columns.values()]).astype(np.float64)


def item_classes(table: Any, items: Array) -> csr_array:
    """Classes of items: how much of each class an item has.

    Parameters
    ----------
    table : FeatureTable
        A column of numbers is a class of its own; a column of texts names the classes of each item, separated by
        ``|``, ``,`` or ``;``, or holds lists of them.
    items : ndarray
        Ids.

    Returns
    -------
    classes : csr_array of shape (n_items, n_classes)

    Raises
    ------
    ValueError
        If an item is missing.
    """
    columns = _columns(table, "item_classes")
    positions = rows_of(table, items, "item_classes")
    rows: list[int] = []
    names: list[tuple[str, ...]] = []
    amounts: list[float] = []
    for column, values in columns.items():
        if values.dtype.kind in _NUMBERS:
            rows.extend(range(len(positions)))
            names.extend([(column,)] * len(positions))
            amounts.extend(values[positions].tolist())
            continue
        for row, value in enumerate(values[positions]):
            parts = _classes_of(value)
            rows.extend([row] * len(parts))
            names.extend((column, part) for part in parts)
            amounts.extend([1.0] * len(parts))
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    codes = [numbers[name] for name in names]
    shape = len(positions), max(1, len(numbers))
    return csr_array((np.array(amounts, dtype=np.float64), (rows, codes)), shape=shape)


def _classes_of(value: Any) -> list[str]:
    """Return the distinct classes that a cell names."""
    if isinstance(value, list | tuple | set | frozenset | np.ndarray):
        return sorted({str(part) for part in value})
    if value is None or value != value:
        return []
    return sorted({part for part in _SEPARATORS.split(str(value).strip()) if part})


def user_groups(table: Any, users: Array) -> Array:
    """Group of each user.

    Parameters
    ----------
    table : FeatureTable
        With one column beside its key.
    users : ndarray
        Ids.

    Returns
    -------
    groups : ndarray of shape (n_users,)

    Raises
    ------
    ValueError
        If there are several columns, or a user is missing or has no group.
    """
    columns = _columns(table, "user_groups")
    if len(columns) > 1:
        raise ValueError(f"user_groups must have one column beside its key, got {list(columns)}: choose one")
    ((name, values),) = columns.items()
    groups = values[rows_of(table, users, "user_groups")]
    missing = np.flatnonzero(missing_mask(groups))
    if missing.size:
        raise ValueError(
            f"user_groups: column {name!r} is missing for {missing.size} users, e.g. {shown(users[missing[0]])}: give "
            "them a group of their own, e.g. 'unknown'"
        )
    return groups.astype(str) if groups.dtype == object else groups


READERS = {"item_vectors": item_vectors, "item_classes": item_classes, "user_groups": user_groups}


def find_table(name: str, table: Any, ids: Array) -> Any:
    """Read what a metric needs of a table, or return an array that is aligned already.

    Parameters
    ----------
    name : {"item_vectors", "item_classes", "user_groups"}
    table : FeatureTable, or array with a row for each id
    ids : ndarray
        The items or users.

    Returns
    -------
    values : ndarray or sparse matrix
    """
    is_table = hasattr(table, "rows") or all(hasattr(table, part) for part in ("frame", "key", "index"))
    return READERS[name](table, ids) if is_table else table
