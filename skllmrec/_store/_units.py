"""Sizes and ages as people write them: "2GB", "30d"."""

import math
import re
from datetime import timedelta
from numbers import Real
from typing import Any

_SIZES = {
    "": 1,
    "b": 1,
    **{f"{prefix}b": 1000**power for power, prefix in enumerate("kmgt", 1)},
    **{f"{prefix}ib": 1024**power for power, prefix in enumerate("kmgt", 1)},
}
_AGES = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_MOST = 2**62  # a file or a clock of 64 bits holds no more


def _parse(text, units):
    """Count the base units in a text such as "1.5 GB"; NaN if it is not one."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([a-z]*)\s*", text.lower())
    return float(match[1]) * units[match[2]] if match and match[2] in units else math.nan


def parse_bytes(value: int | str, name: str, *, minimum: int = 0) -> int:
    """Read a number of bytes, in an int or a text such as "2GB".

    Parameters
    ----------
    value : int or str
        "2GB" is 2 * 1000**3 bytes, "2GiB" is 2 * 1024**3.
    name : str
        Of the parameter, for the error.
    minimum : int, default=0
        Least that is accepted.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If the value is no size, or less than `minimum`.
    """
    number: Any = math.nan
    if isinstance(value, str):
        number = _parse(value, _SIZES)
    elif isinstance(value, Real) and not isinstance(value, bool):
        number = value
    if not minimum <= number < _MOST:  # NaN fails too
        least = f" of at least {minimum}" if minimum else ""
        raise ValueError(f'{name}={value!r} is not a size: give a number of bytes{least}, or a text such as "2GB"')
    return int(number)


def parse_seconds(value: float | str | timedelta, name: str) -> float:
    """Read an age in seconds, in a number, a timedelta or a text such as "30d".

    Parameters
    ----------
    value : int, float, timedelta or str
        A text has the unit s, m (minutes), h, d or w.
    name : str
        Of the parameter, for the error.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If the value is no age.
    """
    number: Any = math.nan
    if isinstance(value, timedelta):
        number = value.total_seconds()
    elif isinstance(value, str):
        number = _parse(value, _AGES)
    elif isinstance(value, Real) and not isinstance(value, bool):
        number = value
    if not 0 <= number < _MOST:
        raise ValueError(
            f'{name}={value!r} is not an age: give seconds, a timedelta, or a text such as "30d" (s, m, h, d, w)'
        )
    return float(number)


def show_bytes(number: float) -> str:
    """Write a number of bytes for people: 1234567 is "1.2 MB"."""
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"
