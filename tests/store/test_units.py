"""Sizes and ages as people write them."""

from datetime import timedelta

import pytest

from skllmrec._store._units import parse_bytes, parse_seconds, show_bytes


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (7, 7),
        (1e9, 10**9),
        ("7", 7),
        ("2GB", 2 * 10**9),
        (" 1.5 mb ", 1_500_000),
        ("2GiB", 2**31),
        (".5kB", 500),
        ("3 B", 3),
        ("1TB", 10**12),
    ],
)
def test_sizes(value, number):
    assert parse_bytes(value, "limit") == number


@pytest.mark.parametrize(
    "value", ["", "GB", "2QB", "2 G B", "-1", "1e3", -1, float("nan"), float("inf"), 2**70, True, []]
)
def test_what_is_no_size(value):
    with pytest.raises(ValueError, match=r'limit=.* is not a size: give a number of bytes, or a text such as "2GB"'):
        parse_bytes(value, "limit")


def test_least_size():
    with pytest.raises(ValueError, match="limit=99 is not a size: give a number of bytes of at least 100, or"):
        parse_bytes(99, "limit", minimum=100)


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (7, 7),
        (0.5, 0.5),
        ("90s", 90),
        ("2m", 120),
        ("12h", 43200),
        ("30d", 30 * 86400),
        ("2 w", 14 * 86400),
        (timedelta(days=1), 86400),
    ],
)
def test_ages(value, number):
    assert parse_seconds(value, "age") == number


@pytest.mark.parametrize("value", ["", "30", "30 years", -1, timedelta(-1), float("nan"), None, True])
def test_what_is_no_age(value):
    with pytest.raises(ValueError, match=r"age=.* is not an age"):
        parse_seconds(value, "age")


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 B"), (999, "999 B"), (1234, "1.2 kB"), (2 * 10**9, "2.0 GB"), (3 * 10**13, "30.0 TB")]
)
def test_show(number, text):
    assert show_bytes(number) == text
