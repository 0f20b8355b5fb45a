"""Times of interactions: read from a column of X, ordered."""

import re
from datetime import UTC, date, timedelta
from typing import Any

import numpy as np

from skllmrec._missing import missing_mask
from skllmrec._optional import import_optional
from skllmrec._sklearn import take_named_column
from skllmrec._typing import Array, Column, IntArray, Rows


def read_times(X: Rows, key: Column) -> Array:
    """Read a column of times.

    Parameters
    ----------
    X : dataframe or array of shape (n_samples, n_features)
        The rows.
    key : str or int
        Name or position of the column.

    Returns
    -------
    times : ndarray of shape (n_samples,)
        As they come: numbers, datetimes or objects.

    Raises
    ------
    ValueError
        If the column does not exist, or a time is missing.
    TypeError
        If the times are strings.
    """
    values = np.asarray(take_named_column(X, key, name="time"))
    if values.dtype.kind == "U" or (values.dtype.kind == "O" and any(isinstance(v, str) for v in values)):
        raise TypeError(
            f"time={key!r} holds strings, whose order need not be that of time: convert them to numbers or datetimes"
        )
    missing = np.flatnonzero(missing_mask(values))
    if missing.size:
        raise ValueError(
            f"time={key!r} is missing at position {missing[0]} ({missing.size} in total): remove these rows"
        )
    return values


def time_codes(X: Rows, key: Column) -> IntArray:
    """Rank the distinct times of a column: 0 is the earliest, equal times have equal codes.

    Parameters
    ----------
    X : dataframe or array of shape (n_samples, n_features)
        The rows.
    key : str or int
        Name or position of the column.

    Returns
    -------
    codes : ndarray of shape (n_samples,), intp

    Raises
    ------
    ValueError
        If the column does not exist, or a time is missing.
    TypeError
        If the times are strings or cannot be compared.
    """
    return _codes(read_times(X, key), f"time={key!r}")


def _codes(values, name):
    try:
        return np.unique(values, return_inverse=True)[1]
    except TypeError as error:
        raise TypeError(f"the values of {name} cannot be compared: {error}") from error


def absolute_times(X: Rows, key: Column) -> Array:
    """Read a column of times as values that later columns can be compared with, in whatever call they come.

    Parameters
    ----------
    X : dataframe or array of shape (n_samples, n_features)
        The rows.
    key : str or int
        Name or position of the column.

    Returns
    -------
    times : ndarray of shape (n_samples,)
        int64 or float64 for numbers, datetime64 (with a time zone: in UTC) or timedelta64 else.

    Raises
    ------
    ValueError
        If the column does not exist, or a time is missing.
    TypeError
        If the times are strings, are no times or cannot be compared.
    """
    values, name = read_times(X, key), f"time={key!r}"
    if values.dtype.kind == "O":
        _codes(values, name)  # numbers and dates, or dates with and without a zone, are not of one order
        values = np.array([_plain_time(value) for value in values.tolist()])
    if values.dtype.kind in "bi" or (values.dtype.kind == "u" and values.max(initial=0) <= np.iinfo(np.int64).max):
        return values.astype(np.int64)
    if values.dtype.kind in "uf":
        return values.astype(np.float64)
    if values.dtype.kind in "mM":
        return values
    raise TypeError(f"{name} holds values that are neither numbers nor dates, e.g. {values[0]!r}: convert them")


def _plain_time(value):
    """Turn a date or a number into what NumPy compares without Python objects."""
    if hasattr(value, "to_timestamp"):  # a period of pandas
        value = value.to_timestamp()
    if getattr(value, "tzinfo", None) is not None:
        value = value.astimezone(UTC)
        value = value.tz_localize(None) if hasattr(value, "tz_localize") else value.replace(tzinfo=None)
    if hasattr(value, "to_datetime64"):  # keeps nanoseconds
        return value.to_datetime64()
    if isinstance(value, date):
        return np.datetime64(value)
    if isinstance(value, timedelta):
        return np.timedelta64(value)
    return value if isinstance(value, int | np.generic) else float(value)


def join_times(known: Array, new: Array, *, name: str) -> Array:
    """Put times of an earlier call and of this one into one array.

    Parameters
    ----------
    known, new : ndarray
        As from `absolute_times`.
    name : str
        What they are, for error messages.

    Returns
    -------
    ndarray of shape (len(known) + len(new),)

    Raises
    ------
    TypeError
        If one holds numbers and the other dates.
    ValueError
        If no common type holds both exactly.
    """
    kinds = ["dates" if times.dtype.kind in "mM" else "numbers" for times in (known, new)]
    if kinds[0] != kinds[1] or (kinds[0] == "dates" and known.dtype.kind != new.dtype.kind):
        raise TypeError(
            f"the values of {name} cannot be compared with those of the earlier rows: these are {kinds[0]} "
            f"({known.dtype}), now there are {kinds[1]} ({new.dtype}); convert them to the same type"
        )
    joined = np.concatenate([known, new])
    parts = joined[: len(known)], joined[len(known) :]
    if any((part.astype(given.dtype) != given).any() for part, given in zip(parts, (known, new), strict=True)):
        raise ValueError(
            f"the values of {name} are {known.dtype} in the earlier rows and {new.dtype} now, and {joined.dtype} does "
            "not hold both exactly: convert them to the same type"
        )
    return joined


def codes_of_times(values: Any, *, name: str) -> IntArray:
    """Rank times some of which may be missing: those have the code -1, and so come before all others.

    Parameters
    ----------
    values : array-like of shape (n,)
        Numbers, datetimes, or text as `parse_times` reads it.
    name : str
        What they are, for error messages.

    Returns
    -------
    codes : ndarray of shape (n,), intp

    Raises
    ------
    ValueError
        If the times are text that `parse_times` does not read.
    TypeError
        If the times cannot be compared.
    """
    values = np.asarray(parse_times(values, name=name))
    missing = missing_mask(values)
    codes = np.full(len(values), -1, dtype=np.intp)
    codes[~missing] = _codes(values[~missing], name)
    return codes


_DAY_OR_MONTH_FIRST = re.compile(r"\s*(\d{1,2})([/.-])(\d{1,2})[/.-](\d{4})(?!\d)")


def parse_times(values: Any, *, name: str) -> Any:
    """Convert times that are text to numbers or datetimes; other values stay as they are.

    Parameters
    ----------
    values : array-like of shape (n,)
        Text: numbers, ISO 8601, or dates such as 31/01/2020 whose order of day and month the values show.
    name : str
        What they are, for error messages.

    Returns
    -------
    times : ndarray of shape (n,), or `values`
        int64 or float64 (NaN where one is missing), or datetime64 in UTC (NaT where one is missing).

    Raises
    ------
    ValueError
        If the text is neither, or day and month cannot be told apart.
    """
    array = np.asarray(values, dtype=object)
    missing = missing_mask(array)
    texts = array[~missing]
    if not any(isinstance(value, str) for value in texts):
        return values
    if not all(isinstance(value, str) for value in texts):
        raise ValueError(f"{name} mixes text and other values: convert them to numbers or datetimes")
    times = numbers_of_texts(texts)
    if times is None:
        times = _dates_of_texts(texts, name)
        filled = np.full(len(array), np.datetime64("NaT"), dtype=times.dtype)
    else:
        filled = np.full(len(array), np.nan) if missing.any() else np.empty(len(array), dtype=times.dtype)
    filled[~missing] = times
    return filled


def numbers_of_texts(texts: Any) -> Array | None:
    """Convert texts to int64 where all are whole numbers, else to float64; None where one is no number."""
    for dtype in (int, float):
        try:
            return np.array([dtype(text) for text in texts], dtype=np.int64 if dtype is int else np.float64)
        except (ValueError, OverflowError):
            continue
    return None


def _dates_of_texts(texts, name):
    pandas = import_optional("pandas", extra="demo", purpose="reading dates from text")
    day_first = _has_day_first(texts, name)
    try:
        if day_first is None:
            times = pandas.to_datetime(texts, format="ISO8601", utc=True)
        else:
            times = pandas.to_datetime(texts, format="mixed", dayfirst=day_first, utc=True)
    except (ValueError, OverflowError) as error:
        raise ValueError(
            f"{name} holds text such as {texts[0]!r} that is neither a number nor a date: convert it to numbers "
            "or ISO dates, such as 2020-01-31"
        ) from error
    return times.tz_localize(None).to_numpy()


def _has_day_first(texts, name):
    """Whether dates such as 31/01/2020 begin with the day; None where the texts are not of this form."""
    found = [_DAY_OR_MONTH_FIRST.match(text) for text in texts]
    dates = [match for match in found if match is not None]
    if not dates:
        return None
    first, second = (max(int(match[group]) for match in dates) for group in (1, 3))
    if first > 12 or all(match[2] == "." for match in dates):
        return True
    if second > 12:
        return False
    if all(match[1] == match[3] for match in dates):
        return True
    raise ValueError(
        f"{name} holds dates such as {dates[0].string!r} that may begin with the day or the month: write ISO dates, "
        "such as 2020-01-31"
    )
