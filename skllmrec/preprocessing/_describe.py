"""A report on the quality of a data set, before a model is fitted on it."""

from dataclasses import dataclass
from html import escape
from numbers import Integral, Real

import numpy as np

from skllmrec._foreign import as_table
from skllmrec._ids import IdIndex, column
from skllmrec._missing import is_missing
from skllmrec._sklearn import is_frame, take_columns
from skllmrec._terminal import printable
from skllmrec._times import time_codes
from skllmrec._typing import ArrayLike, Column, Frame, Rows
from skllmrec.preprocessing import _interaction_quality as quality
from skllmrec.preprocessing._columns import read_numbers, to_list
from skllmrec.preprocessing._findings import Finding
from skllmrec.preprocessing._text_quality import check_texts, column_kind, is_blank


@dataclass(frozen=True)
class DataDescription:
    """The result of `describe_data`; ``str(description)`` is the report.

    Parameters
    ----------
    facts : dict of str to str
        Sizes: rows, users, items, density, rows per user and item, ratings, texts.
    findings : list of Finding
        Possible problems, each with ``what, where, count, of, examples, advice``.

    Examples
    --------
    >>> from skllmrec.preprocessing import describe_data
    >>> description = describe_data([["ann", 1], ["ann", 1], ["bob", 2]], least=1)
    >>> description.facts["users"]
    '2'
    >>> [finding.what for finding in description.findings]
    ['repeated pairs']
    """

    facts: dict[str, str]
    findings: list[Finding]

    def __str__(self) -> str:
        lines = ["Data", *(f"  {name}: {value}" for name, value in self.facts.items())]
        found = [f"  - {finding}" for finding in self.findings] or ["  nothing found"]
        return printable("\n".join([*lines, "What may be wrong", *found]))

    def to_html(self) -> str:
        """Render the report as HTML.

        Returns
        -------
        html : str
            A fragment without ``<html>`` and ``<body>``.
        """
        facts = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in self.facts.items())
        found = "".join(f"<li>{escape(str(finding))}</li>" for finding in self.findings)
        return f"<dl>{facts}</dl>" + (f"<ul>{found}</ul>" if found else "<p>Nothing found.</p>")


def _quantiles(codes):
    counts = np.bincount(codes)
    low, middle, high = np.percentile(counts, [10, 50, 90])
    return f"median {middle:g}, 10 % have at most {low:g}, 10 % at least {high:g}"


def _describe_pairs(codes, least):
    """Facts and findings about the pairs of users and items."""
    users, items = codes["user"], codes["item"]
    n_users, n_items = users.max() + 1, items.max() + 1
    n_pairs = len(np.unique(users.astype(np.int64) * n_items + items))
    facts = {
        "rows": f"{len(users):,}",
        "users": f"{n_users:,}",
        "items": f"{n_items:,}",
        "density": f"{100 * n_pairs / (n_users * n_items):.3g} %",
        "rows per user": _quantiles(users),
        "rows per item": _quantiles(items),
    }
    findings = [found for name, ids in codes.items() for found in quality.check_counts(name, ids, least)]
    return facts, findings + list(quality.check_pairs(len(users), n_pairs))


def _describe_columns(columns):
    """Facts and findings about columns, a dict of name to list of values."""
    facts, findings = {}, []
    for name, values in columns.items():
        n_missing = sum(map(is_blank, values))
        kind = column_kind(values)
        if n_missing:
            advice = "TextTemplate leaves such fields out, encoders refuse them" if kind else "fill or drop them"
            findings.append(Finding("missing values", str(name), n_missing, len(values), advice=advice))
        if kind == "category":
            facts[f"category {name!r}"] = (
                f"{len({value for value in values if not is_blank(value)}):,} different values"
            )
        if kind == "text":
            sizes = [len(value.split()) for value in values if not is_blank(value)]
            facts[f"text {name!r}"] = f"{len(sizes):,} texts, median {np.median(sizes):g} words"
            findings += check_texts(str(name), values)
    return facts, findings


def _once_per_id(values, codes):
    """Reduce a column of X to one value per item, or per user, if it is a function of the item, or of the user."""
    rows = np.empty(len(values), dtype=object)
    rows[:] = values
    for side in ("item", "user"):
        first = np.unique(codes[side], return_index=True)[1]
        repeated = rows[first][codes[side]]
        if all(map(_is_same, rows, repeated)):
            return rows[first].tolist()
    return values


def _is_same(one, other):
    """Whether two cells hold the same value: a text, a number, an array, or a missing value."""
    if isinstance(one, str) and isinstance(other, str):
        return one == other
    if is_missing(one) or is_missing(other):
        return is_missing(one) and is_missing(other)
    return np.array_equal(one, other) if isinstance(one, np.ndarray) else bool(one == other)


def _as_numbers(values):
    """Return a column of numbers as float64 with NaN for missing ones; None if it holds anything else."""
    values = np.asarray(values)
    if values.dtype.kind in "biuf":
        return values.astype(np.float64)
    if values.dtype.kind != "O":
        return None
    numbers = [np.nan if is_missing(value) else value for value in values.tolist()]
    return np.array(numbers, dtype=np.float64) if all(isinstance(value, Real) for value in numbers) else None


def _check_names(frame, name):
    """Raise an error if two columns of a frame have the same name."""
    names = list(frame.columns)
    repeated = next((label for label in names if names.count(label) > 1), None)
    if repeated is not None:
        raise ValueError(f"{name} has {names.count(repeated)} columns named {repeated!r}: rename or drop all but one")


def _leaks_of_rows(X, y, codes, skip):
    """Find columns of X that reveal the interactions."""
    X = X if hasattr(X, "shape") else np.asarray(X, dtype=object)
    names = list(X.columns) if is_frame(X) else list(range(X.shape[1]))
    targets = quality.leak_targets_of_rows(y, codes["user"], codes["item"])
    for name in (name for name in names if name not in skip):
        values = _as_numbers(take_columns(X, name))
        is_y = y is not None and np.array_equal(values, y)  # the column of y itself, left in X
        if values is not None and not is_y:
            yield from quality.check_leak(str(name), values, targets)


def _leaks_of_items(frame, key, y, items, codes):
    """Find columns of the catalogue that reveal the interactions; `items` is the IdIndex of X."""
    if key not in frame.columns:
        return
    positions = items.encode(column(frame, key, name="key"))
    targets = quality.leak_targets_of_items(y, codes, positions)
    for name in (name for name in frame.columns if name != key):
        values = _as_numbers(frame[name])
        if values is not None:
            yield from quality.check_leak(str(name), values, targets)


def _catalogue(table, key, item):
    """Return the frame of the catalogue, and the name of the column that holds its ids."""
    table = as_table(table, name="item_table")
    frame = getattr(table, "frame", table)
    if not is_frame(frame):
        raise TypeError(
            f"item_table must be a dataframe or a FeatureTable, one row per item, got {type(table).__name__}"
        )
    _check_names(frame, "item_table")
    if key is not None and key not in frame.columns:
        raise ValueError(f"key={key!r} is not a column of item_table; its columns are {list(frame.columns)}")
    return frame, getattr(table, "key", item) if key is None else key


def _describe_y(y, times):
    """Facts and findings about ratings or weights; `times` may be None."""
    facts = {"y": f"mean {y.mean():.3g}, from {y.min():g} to {y.max():g}, {len(np.unique(y)):,} different values"}
    drift = [] if times is None else quality.check_drift(y, times)
    return facts, [*quality.check_tail(y), *drift]


def _columns_of_rows(X, codes, skip):
    """Return the columns of a frame except those to skip, reduced by `_once_per_id`."""
    names = [name for name in X.columns if name not in skip] if is_frame(X) else []
    return {name: _once_per_id(to_list(X[name]), codes) for name in names}


def _check_arguments(X, least):
    """Raise an error for a bad `least`, and for a frame with repeated column names."""
    if isinstance(least, bool) or not isinstance(least, Integral) or least < 1:
        raise ValueError(f"least must be an integer >= 1, got {least!r}")
    if is_frame(X):
        _check_names(X, "X")


def _encode_ids(X, user, item):
    """Return the IdIndex and the code of each row of X for both sides, as two dicts."""
    columns = {"user": column(X, user, name="user"), "item": column(X, item, name="item")}
    if len(columns["user"]) == 0:
        raise ValueError("X has no rows: there is nothing to describe")
    ids, codes = {}, {}
    for side, values in columns.items():
        ids[side], codes[side] = IdIndex.from_values(values)
    return ids, codes


def describe_data(
    X: Rows,
    y: ArrayLike | None = None,
    *,
    user: Column = 0,
    item: Column = 1,
    time: Column | None = None,
    item_table: Frame | None = None,
    key: str | None = None,
    least: int = 5,
) -> DataDescription:
    """Report on the quality of interactions and of the texts of items, before a model is fitted.

    The report lists missing, duplicate, very short and very long texts, boilerplate sentences, texts in another script
    or language, texts with markup or addresses, users and items with few rows, repeated pairs, counts with
    a heavy tail, a drift of the mean rating, and columns of X and of the catalogue that were computed from the
    interactions.

    Parameters
    ----------
    X : dataframe, array or list of shape (n_rows, n_columns)
        One interaction per row.
    y : array-like of shape (n_rows,), default=None
        Ratings or weights.
    user, item : str or int, default=0, 1
        Columns of X that hold the ids.
    time : str or int, default=None
        Column of X that holds the times.
    item_table : FeatureTable or dataframe, default=None
        Every item with its columns, one row each; the text columns are examined. If None, those of X are, if X is a
        frame.
    key : str, default=None
        Column of `item_table` that holds the ids. If None, the key of the FeatureTable, or the column named `item`.
        Without such a column the numbers of the table cannot be compared with the interactions.
    least : int, default=5
        Users and items with fewer rows than this are reported.

    Returns
    -------
    description : DataDescription
        ``print(description)`` prints the report; ``description.findings`` is a list.

    Raises
    ------
    ValueError
        If there are no rows, a column does not exist or is repeated, an id or a time is missing, y is not finite, X and
        y have different lengths, or `least` is not an integer >= 1.
    TypeError
        If ids are neither strings nor numbers, the times are strings, or `item_table` is not a dataframe.

    See Also
    --------
    skllmrec.preprocessing.TextCleaner : Removes markup and addresses from texts.
    skllmrec.preprocessing.InteractionFilter : Removes repeated pairs and rare users and items.

    Notes
    -----
    A column of numbers leaks if its rank correlation with y, with the mean of y of the item or the user, or with their
    number of rows is above 0.9.

    A column is a category, not a text, if at most a fifth of its values are distinct. A text is in another language if
    it is in another script than most, or, in a column of prose, if it has at least twelve words and none of the words
    that are frequent in the column. If there are more than 20,000 texts, a random sample of 20,000 is examined.

    Examples
    --------
    >>> import pandas as pd
    >>> from skllmrec.preprocessing import describe_data
    >>> X = [["ann", 1], ["ann", 2], ["bob", 2]]
    >>> items = pd.DataFrame({"id": [1, 2], "plot": ["A <b>crew</b> lost in space", None]})
    >>> print(describe_data(X, item_table=items, key="id", least=2))
    Data
      rows: 3
      users: 2
      items: 2
      density: 75 %
      rows per user: median 1.5, 10 % have at most 1.1, 10 % at least 1.9
      rows per item: median 1.5, 10 % have at most 1.1, 10 % at least 1.9
      text 'plot': 1 texts, median 5 words
    What may be wrong
      - user: fewer than 2 rows in 1 of 2 (50.0%): too few to learn from ids alone: add text features, or remov...
      - item: fewer than 2 rows in 1 of 2 (50.0%): too few to learn from ids alone: add text features, or remov...
      - plot: missing values in 1 of 2 (50.0%): TextTemplate leaves such fields out, encoders refuse them
      - plot: markup in 1 of 1 (100.0%): clean the texts with TextCleaner before they are encoded (e.g. 'A <b>c...
    """
    X = as_table(X)
    _check_arguments(X, least)
    ids, codes = _encode_ids(X, user, item)
    facts, findings = _describe_pairs(codes, least)
    ratings = None
    if y is not None:
        ratings = read_numbers(X, y)
        y_facts, y_findings = _describe_y(ratings, None if time is None else time_codes(X, time))
        facts |= y_facts
        findings += y_findings
    skip = {user, item, time}
    findings += _leaks_of_rows(X, ratings, codes, skip)
    if item_table is None:
        columns = _columns_of_rows(X, codes, skip)
    else:
        frame, key = _catalogue(item_table, key, item)
        findings += _leaks_of_items(frame, key, ratings, ids["item"], codes["item"])
        columns = {name: to_list(frame[name]) for name in frame.columns if name != key}
    text_facts, text_findings = _describe_columns(columns)
    return DataDescription(facts | text_facts, findings + text_findings)
