"""Ids of users and items, and lists of them: read them from X, compare them by value, map them to positions."""

import math
import numbers
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from skllmrec._column_names import check_position_of_ids
from skllmrec._foreign import as_table
from skllmrec._missing import is_missing
from skllmrec._sklearn import is_frame, take_columns, take_named_column
from skllmrec._typing import Array, Column, Ids, IntArray, Rows


def column(X: Rows, key: Column, *, name: str = "column") -> Array:
    """Read one column of ids, by name or position, as a normalised array.

    Parameters
    ----------
    X : dataframe or array-like of shape (n_samples, n_features)
        The rows.
    key : str or int
        Name or position of the column.
    name : str, default="column"
        What the column is, for error messages, e.g. ``"user"``.

    Returns
    -------
    ids : ndarray of shape (n_samples,)
        int64, float64 or object (of str), see `normalise_ids`.

    Raises
    ------
    ValueError
        If the column does not exist, or there are several of that name, or the names of the columns contradict its
        position, or an id is missing.
    TypeError
        If an id is neither a string nor a number.

    See Also
    --------
    normalise_ids : The rules for single ids.
    """
    X = as_table(X)
    if isinstance(key, str):
        if not is_frame(X):
            raise ValueError(
                f"{name}={key!r} names a column, but X is a {type(X).__name__} without column names: "
                f"pass a dataframe, or the position of the column"
            )
        if key not in list(X.columns):
            raise ValueError(f"{name}={key!r} is not a column of X; its columns are {list(X.columns)}")
        if list(X.columns).count(key) > 1:
            raise ValueError(f"{name}={key!r} names {list(X.columns).count(key)} columns of X: keep one of them")
    else:
        X = X if hasattr(X, "shape") else np.asarray(X, dtype=object)
        if not -X.shape[1] <= key < X.shape[1]:
            raise ValueError(f"{name}={key} is not a position of a column of X, which has {X.shape[1]} columns")
        if name in ("user", "item") and is_frame(X):
            check_position_of_ids(X.columns, key, name)
    label = f"{name} column {key!r}"
    return normalise_ids(take_columns(X, key), name=label)


def normalise_ids(values: Ids, *, name: str = "ids") -> Array:
    """Turn ids of any container and dtype into one of three comparable forms.

    Parameters
    ----------
    values : array-like of shape (n,)
        Ids: integers, floats or strings, in a list, array, Series or categorical.
    name : str
        What they are, for error messages.

    Returns
    -------
    ids : ndarray of shape (n,)
        int64 where every id is a whole number (whatever the dtype), float64 for other numbers, object for
        strings.

    Raises
    ------
    ValueError
        If the ids are not one-dimensional, or one is missing (None, NaN), infinite, a whole number beyond int64, or a
        float of 2**53 or more (for float32 2**24), which may stand for several whole numbers.
    TypeError
        If an id is neither a string nor a number, or strings and numbers are mixed.
    """
    if isinstance(values, str):
        raise ValueError(f"{name} is the string {values!r}: pass a list, such as [{values!r}]")
    # numpy would turn a list of 1 and "a" into two strings: objects keep what they are
    ids = np.array(values, dtype=object) if isinstance(values, list | tuple) else np.asarray(values)
    if ids.ndim == 0:
        raise ValueError(f"{name} is the single value {shown(ids)}: pass a list, such as [{shown(ids)}]")
    if ids.ndim != 1:
        raise ValueError(f"{name} must be one-dimensional, got shape {ids.shape}: pass one column or a flat list")
    if ids.dtype.kind in "biu":
        _check_size(ids, name)
        return ids.astype(np.int64)
    if ids.dtype.kind == "f":
        return _normalise_floats(ids, name)
    if ids.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: {name} has dtype {ids.dtype}")
    return _normalise_objects(ids.astype(object), name)


def _normalise_floats(ids, name):
    bad = np.flatnonzero(~np.isfinite(ids))
    if bad.size:
        raise ValueError(
            f"{name} has a missing id (NaN, None or inf) at position {bad[0]} ({bad.size} in total): "
            f"remove these rows or give them an id"
        )
    _check_exact(ids, name)
    ids = ids.astype(np.float64)
    whole = ids.astype(np.int64)
    return whole if np.array_equal(whole, ids) else ids


def _check_exact(ids, name):
    """Refuse floats so large that neighbouring whole numbers are the same float: ids would have been merged."""
    limit = 2.0 ** min(np.finfo(ids.dtype).nmant + 1, 53)
    large = np.flatnonzero(np.abs(ids) >= limit)  # infinities were refused before
    if large.size:
        _refuse_rounded(ids[large[0]], large[0], name)


def _refuse_rounded(value, position, name):
    raise ValueError(
        f"{name} has {float(value):.0f} at position {position} as a floating-point number, which cannot hold every "
        "whole number of this size, so that different ids may have become one: read the column as text or Int64"
    )


def _precision(value):
    """Return the number of binary digits a real number can hold."""
    return np.finfo(type(value)).nmant + 1 if isinstance(value, np.floating) else 53


def _normalise_mixed(ids, name):
    """Normalise objects that are real numbers, some of them floats."""
    if not all(math.isfinite(value) for value in ids):
        return _normalise_floats(ids.astype(np.float64), name)
    with_fraction = large = -1
    for position, value in enumerate(ids):
        if isinstance(value, numbers.Integral | np.bool_):
            large = position if large < 0 and abs(int(value)) >= 2**53 else large
        elif abs(value) >= 2.0 ** min(_precision(value), 53):
            _refuse_rounded(value, position, name)
        elif value != int(value):
            with_fraction = position
    if large < 0:
        return _normalise_floats(ids.astype(np.float64), name)
    if with_fraction >= 0:
        raise ValueError(
            f"{name} has {shown(ids[large])} at position {large} beside {shown(ids[with_fraction])} at position "
            f"{with_fraction}: floating-point numbers cannot hold both, so that different ids would become one: read "
            "the column as text or Int64"
        )
    whole = np.array([int(value) for value in ids], dtype=object)
    _check_size(whole, name)
    return whole.astype(np.int64)


def _check_size(ids, name):
    """Refuse whole numbers that int64 cannot hold: hashes would silently become other, negative numbers."""
    limits = np.iinfo(np.int64)
    if len(ids) == 0 or limits.min <= ids.min() <= ids.max() <= limits.max:
        return
    position = int(np.argmax((ids > limits.max) | (ids < limits.min)))
    raise ValueError(
        f"{name} has {shown(ids[position])} at position {position}, which 64 bits with a sign cannot hold: "
        "convert the ids to strings, e.g. with astype(str)"
    )


def _check_object(value, position, name):
    if is_missing(value):
        raise ValueError(
            f"{name} has a missing id (NaN or None) at position {position}: remove this row or give it an id"
        )
    if not isinstance(value, numbers.Real | np.bool_ | str):
        raise TypeError(
            f"{name}: argument must be a string or a number, got {type(value).__name__} at position {position}"
        )


def _normalise_objects(ids, name):
    if all(type(value) is str for value in ids):
        return ids
    for position, value in enumerate(ids):
        _check_object(value, position, name)
    is_text = np.array([isinstance(value, str) for value in ids])
    if is_text.all():
        return np.array([str(value) for value in ids], dtype=object)
    if is_text.any():
        text, number = np.argmax(is_text), np.argmin(is_text)
        raise TypeError(
            f"{name} mixes strings and numbers, {shown(ids[text])} at position {text} and {shown(ids[number])} at "
            f"position {number}: convert them to one type, e.g. with astype(str)"
        )
    if all(isinstance(value, numbers.Integral | np.bool_) for value in ids):
        _check_size(ids, name)  # numpy would make floats, or objects, of what is larger
        return ids.astype(np.int64)
    return _normalise_mixed(ids, name)


def _kind(ids):
    return "strings" if ids.dtype == object else "numbers"


def shown(value: Any) -> str:
    """Return an id as a plain Python value, as error messages show it: 7 and not np.int64(7)."""
    return repr(value.item() if hasattr(value, "item") else value)


def missing_id(ids: Array) -> int | float | None:
    """Return the value that pads lists of these ids: None (strings), NaN (floats), the minimum of int64."""
    if ids.dtype == object:
        return None
    return np.nan if ids.dtype.kind == "f" else np.iinfo(np.int64).min


def join_ids(first: Array, second: Array, *, name: str = "ids") -> Array:
    """Concatenate normalised ids; large whole numbers beside fractions are refused, not rounded.

    Raises
    ------
    ValueError
        If some ids are fractions and others whole numbers of 2**53 or more.
    """
    if {first.dtype.kind, second.dtype.kind} == {"i", "f"}:
        return _normalise_mixed(np.concatenate([first.astype(object), second.astype(object)]), name)
    return np.concatenate([first, second])


def is_sequence(value: Any) -> bool:
    """Whether a value is a list of something, be it an array or a mapping; a string is none."""
    return not isinstance(value, str | bytes) and (hasattr(value, "__len__") or isinstance(value, Mapping))


def flatten(lists: Any, name: str, n_users: int, *, owner: str = "user") -> tuple[Array, IntArray]:
    """Make one array of ids out of one list for each user, and say whose each id is.

    Parameters
    ----------
    lists : sequence of sequences or mappings of ids
    name : str
        What the lists are, for error messages.
    n_users : int
        How many lists there must be.
    owner : str, default="user"
        What has a list, for error messages.

    Returns
    -------
    ids : ndarray of shape (n_ids,)
    owners : ndarray of shape (n_ids,), intp

    Raises
    ------
    ValueError
        If there are not as many lists, one is no list, or an id is missing; the message names whose it is.
    TypeError
        If an id is neither a string nor a number.
    """
    if len(lists) != n_users:
        raise ValueError(
            f"{name} has {len(lists)} lists for {n_users} {owner}s: give one list of item ids for each {owner}"
        )
    for position, one in enumerate(lists):
        if not is_sequence(one):
            raise ValueError(
                f"{name} holds one list of item ids for each {owner}, but that of {owner} {position} is {shown(one)} "
                f"({type(one).__name__}): put it in a list"
            )
    ids = [item for one in lists for item in one]
    owners = np.repeat(np.arange(n_users), [len(one) for one in lists])
    try:
        return normalise_ids(np.array(ids, dtype=object), name=f"{name}: the item ids"), owners
    except ValueError:
        missing = next((place for place, item in enumerate(ids) if is_missing(item)), None)
        if missing is None:
            raise
        raise ValueError(
            f"{name} of {owner} {owners[missing]} holds a missing id ({shown(ids[missing])}): leave it out"
        ) from None


def list_column(X: Rows, key: Column, *, name: str) -> Sequence[Any]:
    """Read a column of lists of ids.

    Parameters
    ----------
    X : dataframe or array-like of shape (n_samples, n_features)
    key : str or int
        Name or position of the column.
    name : str
        What the column is, for error messages.

    Returns
    -------
    lists : list of length n_samples
        What stands in the column; what is not a list is left for `flatten` to refuse.

    Raises
    ------
    ValueError
        If the column does not exist.
    """
    values = take_named_column(as_table(X), key, name=name)
    return values.to_list() if hasattr(values, "to_list") else list(values)


class IdIndex:
    """Positions of ids.

    Parameters
    ----------
    ids : ndarray of shape (n,)
        Distinct normalised ids, in the order of their positions.
    """

    __slots__ = ("_lookup", "ids")

    def __init__(self, ids: Array) -> None:
        self.ids = ids
        self._lookup: Any = None

    def __len__(self) -> int:
        return len(self.ids)

    def __reduce__(self) -> tuple[Any, ...]:
        return IdIndex, (self.ids,)  # the look-up is made again when it is needed

    @classmethod
    def from_values(cls, values: Array) -> tuple["IdIndex", IntArray]:
        """Index the sorted distinct ids among `values`; returns the index and the position of each value."""
        if values.dtype != object:
            ids, codes = np.unique(values, return_inverse=True)
            return cls(ids), codes.astype(np.intp)
        index = cls(np.array(sorted(set(values)), dtype=object))
        return index, index.encode(values)

    def encode(self, values: Ids) -> IntArray:
        """Position of each id, -1 where it is unknown; ids compare by value, not by dtype.

        Parameters
        ----------
        values : array-like of shape (n,)
            Ids.

        Returns
        -------
        positions : ndarray of shape (n,), intp
        """
        values = normalise_ids(values)
        if (values.dtype == object) != (self.ids.dtype == object) or len(self) == 0:
            return np.full(len(values), -1, dtype=np.intp)  # a string never equals a number
        return self._encode_strings(values) if values.dtype == object else self._encode_numbers(values)

    def check_kind(self, values: Array, *, name: str = "ids", known: str = "fit saw") -> None:
        """Refuse strings where the known ids are numbers and the other way round: none of them could be known.

        Parameters
        ----------
        values : ndarray of shape (n,)
            Normalised ids.
        name : str
            What they are, for the error message.
        known : str
            Where the known ids come from, for the error message.

        Raises
        ------
        TypeError
            If the kinds differ.
        """
        if len(values) and len(self) and (values.dtype == object) != (self.ids.dtype == object):
            raise TypeError(
                f"{name} are {_kind(values)}, e.g. {shown(values[0])}, but {known} {_kind(self.ids)}, e.g. "
                f"{shown(self.ids[0])}: a string never equals a number, convert them to one type"
            )

    def _encode_strings(self, values):
        if self._lookup is None:
            self._lookup = {value: position for position, value in enumerate(self.ids)}
        lookup = self._lookup
        return np.fromiter((lookup.get(value, -1) for value in values), dtype=np.intp, count=len(values))

    def _encode_numbers(self, values):
        if self._lookup is None:
            order = np.argsort(self.ids, kind="stable")
            self._lookup = order, self.ids[order]
        order, ordered = self._lookup
        place = np.minimum(np.searchsorted(ordered, values), len(self) - 1)
        return np.where(ordered[place] == values, order[place], -1)

    def extended(self, new_ids: Ids) -> "IdIndex":
        """Return an index with the unknown ones among `new_ids` appended, in sorted order.

        Raises
        ------
        TypeError
            If the new ids are strings and the known ones numbers, or the other way round.
        ValueError
            If some ids are fractions and others whole numbers of 2**53 or more.
        """
        new_ids = normalise_ids(new_ids)
        if len(new_ids) == 0:
            return self
        self.check_kind(new_ids)
        unknown = new_ids[self.encode(new_ids) < 0]
        fresh = IdIndex.from_values(unknown)[0].ids
        return IdIndex(join_ids(self.ids, fresh))
