"""A report on the quality of data, before anything is trained on it."""

from dataclasses import dataclass
from html import escape
from numbers import Integral, Real

import numpy as np

from skllmrec._ids import IdIndex, column
from skllmrec._missing import is_missing
from skllmrec._sklearn import is_frame, take_columns
from skllmrec._times import time_codes
from skllmrec.preprocessing import _interaction_quality as quality
from skllmrec.preprocessing._columns import listed, read_numbers
from skllmrec.preprocessing._findings import Finding
from skllmrec.preprocessing._text_quality import check_texts, is_blank, kind_of


@dataclass(frozen=True)
class DataDescription:
    """What `describe_data` found; its ``str`` is the report.

    Parameters
    ----------
    facts : dict of str to str
        Sizes: rows, users, items, density, rows per user and item, ratings, texts.
    findings : list of Finding
        What may be wrong, each with ``what, where, count, of, examples, advice``.

    Examples
    --------
    >>> from skllmrec.preprocessing import describe_data
    >>> description = describe_data([["ann", 1], ["ann", 1], ["bob", 2]], least=1)
    >>> description.facts["users"]
    '2'
    >>> [finding.what for finding in description.findings]
    ['repeated pairs']
    """

    facts: dict
    findings: list

    def __str__(self):
        lines = ["Data", *(f"  {name}: {value}" for name, value in self.facts.items())]
        found = [f"  - {finding}" for finding in self.findings] or ["  nothing found"]
        return "\n".join([*lines, "What may be wrong", *found])

    def to_html(self):
        """Render the report as a piece of HTML.

        Returns
        -------
        html : str
        """
        facts = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in self.facts.items())
        found = "".join(f"<li>{escape(str(finding))}</li>" for finding in self.findings)
        return f"<dl>{facts}</dl>" + (f"<ul>{found}</ul>" if found else "<p>Nothing found.</p>")


def _quantiles(codes):
    counts = np.bincount(codes)
    low, middle, high = np.percentile(counts, [10, 50, 90])
    return f"median {middle:g}, 10 % have at most {low:g}, 10 % at least {high:g}"


def _describe_pairs(codes, least):
    """Facts and findings on who met what."""
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
    findings = [found for name, side in codes.items() for found in quality.check_counts(name, side, least)]
    return facts, findings + list(quality.check_pairs(len(users), n_pairs))


def _describe_columns(columns):
    """Facts and findings on the values of columns, a dict of name to list."""
    facts, findings = {}, []
    for name, values in columns.items():
        missing, kind = sum(map(is_blank, values)), kind_of(values)
        if missing:
            advice = "TextTemplate leaves such fields out, encoders refuse them" if kind else "fill or drop them"
            findings.append(Finding("missing values", str(name), missing, len(values), [], advice))
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
    """Reduce a column of X that describes the items, or the users, to one value for each of them."""
    rows = np.empty(len(values), dtype=object)
    rows[:] = values
    for side in ("item", "user"):
        first = np.unique(codes[side], return_index=True)[1]
        spread = rows[first][codes[side]]
        if all(map(_is_same, rows, spread)):
            return rows[first].tolist()
    return values


def _is_same(one, other):
    """Whether two cells hold the same: texts, numbers, arrays, or nothing."""
    if isinstance(one, str) and isinstance(other, str):
        return one == other
    if is_missing(one) or is_missing(other):
        return is_missing(one) and is_missing(other)
    return np.array_equal(one, other) if isinstance(one, np.ndarray) else bool(one == other)


def _as_numbers(values):
    """Return a column of numbers as float64, missing ones NaN; None where it holds something else."""
    values = np.asarray(values)
    if values.dtype.kind in "biuf":
        return values.astype(np.float64)
    if values.dtype.kind != "O":
        return None
    numbers = [np.nan if is_missing(value) else value for value in values.tolist()]
    return np.array(numbers, dtype=np.float64) if all(isinstance(value, Real) for value in numbers) else None


def _check_names(frame, name):
    """Refuse a frame in which two columns have one name."""
    names = list(frame.columns)
    twice = next((label for label in names if names.count(label) > 1), None)
    if twice is not None:
        raise ValueError(f"{name} has {names.count(twice)} columns named {twice!r}: rename or drop all but one")


def _leaks_of_rows(X, y, codes, skip):
    """Columns of X that know the interactions."""
    X = X if hasattr(X, "shape") else np.asarray(X, dtype=object)
    names = list(X.columns) if is_frame(X) else list(range(X.shape[1]))
    truths = quality.truths_of_rows(y, codes["user"], codes["item"])
    for name in (name for name in names if name not in skip):
        values = _as_numbers(take_columns(X, name))
        is_y = y is not None and np.array_equal(values, y)  # where nobody took it out
        if values is not None and not is_y:
            yield from quality.check_leak(str(name), values, truths)


def _leaks_of_items(frame, key, y, items, codes):
    """Columns of the catalogue that know the interactions; `items` is the IdIndex of X."""
    if key not in frame.columns:
        return
    places = items.encode(column(frame, key, name="key"))
    truths = quality.truths_of_items(y, codes, places)
    for name in (name for name in frame.columns if name != key):
        values = _as_numbers(frame[name])
        if values is not None:
            yield from quality.check_leak(str(name), values, truths)


def _catalogue(items, key, item):
    """Return the frame of the catalogue, and the name of the column that holds its ids."""
    frame = getattr(items, "frame", items)
    if not is_frame(frame):
        raise TypeError(f"items must be a dataframe or a FeatureTable, one row per item, got {type(items).__name__}")
    _check_names(frame, "items")
    if key is not None and key not in frame.columns:
        raise ValueError(f"key={key!r} is not a column of items; its columns are {list(frame.columns)}")
    return frame, getattr(items, "key", item) if key is None else key


def _describe_y(y, times):
    """Facts and findings on ratings or weights; `times` may be None."""
    facts = {"y": f"mean {y.mean():.3g}, from {y.min():g} to {y.max():g}, {len(np.unique(y)):,} different values"}
    return facts, [] if times is None else list(quality.check_drift(y, times))


def _columns_of_rows(X, codes, skip):
    """Columns of a frame beside those to skip, each value once for each id that it belongs to."""
    names = [name for name in X.columns if name not in skip] if is_frame(X) else []
    return {name: _once_per_id(listed(X[name]), codes) for name in names}


def describe_data(X, y=None, items=None, *, user=0, item=1, time=None, key=None, least=5):
    """Look at the quality of interactions and of the texts that describe items, before anything is trained.

    It finds missing, duplicate, boilerplate, very short and very long texts, those in another script or language, and
    markup and addresses in them; users and items with few rows, repeated pairs, ratings whose mean drifts, and
    columns, of X and of the catalogue, that were computed from the interactions.

    Parameters
    ----------
    X : dataframe, array or list of shape (n_rows, n_columns)
        One interaction per row.
    y : array-like of shape (n_rows,), default=None
        Ratings or weights.
    items : dataframe or FeatureTable, default=None
        The catalogue, one row per item; its text columns are examined. None: those of X, where it is a frame.
    user, item : str or int, default=0, 1
        Columns of X that hold the ids.
    time : str or int, default=None
        Column of X that holds the times.
    key : str, default=None
        Column of `items` that holds the ids; None: that of the FeatureTable, or the name `item`. Without such a column
        the numbers of the catalogue cannot be held against the interactions.
    least : int, default=5
        Users and items with fewer rows are counted.

    Returns
    -------
    description : DataDescription
        ``print(description)`` shows it; ``description.findings`` is a list.

    Raises
    ------
    ValueError
        If there are no rows, a column does not exist or is there twice, an id or a time is missing, y is not finite or
        has another length than X, or `least` is no integer >= 1.
    TypeError
        If ids are neither strings nor numbers, the times are strings, or `items` is no dataframe.

    See Also
    --------
    skllmrec.preprocessing.TextCleaner : Cleans what it finds in texts.
    skllmrec.preprocessing.InteractionFilter : Cleans what it finds in interactions.

    Notes
    -----
    A column of numbers leaks where its ranks agree (a rank correlation above 0.9) with y, with the mean of y of the
    item or the user, or with their number of rows.

    A column in which fewer than a fifth of the values differ is a category, not a text. Language is told by script, and
    in prose by the words: a text of twelve or more that shares none of the column's frequent ones. Of more than 20,000
    texts a random 20,000 are examined.

    Examples
    --------
    >>> import pandas as pd
    >>> from skllmrec.preprocessing import describe_data
    >>> X = [["ann", 1], ["ann", 2], ["bob", 2]]
    >>> items = pd.DataFrame({"id": [1, 2], "plot": ["A <b>crew</b> lost in space", None]})
    >>> print(describe_data(X, items=items, key="id", least=2))
    Data
      rows: 3
      users: 2
      items: 2
      density: 75 %
      rows per user: median 1.5, 10 % have at most 1.1, 10 % at least 1.9
      rows per item: median 1.5, 10 % have at most 1.1, 10 % at least 1.9
      text 'plot': 1 texts, median 5 words
    What may be wrong
      - user: fewer than 2 rows in 1 of 2 (50.0%): ids alone say little of them: text features help here; Inter...
      - item: fewer than 2 rows in 1 of 2 (50.0%): ids alone say little of them: text features help here; Inter...
      - plot: missing values in 1 of 2 (50.0%): TextTemplate leaves such fields out, encoders refuse them
      - plot: markup in 1 of 1 (100.0%): clean the texts with TextCleaner before they are encoded (e.g. 'A <b>c...
    """
    if isinstance(least, bool) or not isinstance(least, Integral) or least < 1:
        raise ValueError(f"least must be an integer >= 1, got {least!r}")
    if is_frame(X):
        _check_names(X, "X")
    sides = {"user": column(X, user, name="user"), "item": column(X, item, name="item")}
    if len(sides["user"]) == 0:
        raise ValueError("X has no rows: there is nothing to describe")
    ids, codes = {}, {}
    for side, values in sides.items():
        ids[side], codes[side] = IdIndex.from_values(values)
    facts, findings = _describe_pairs(codes, least)
    skip = {user, item, time}
    if y is not None:
        y = read_numbers(X, y)
        more, found = _describe_y(y, None if time is None else time_codes(X, time))
        facts, findings = facts | more, findings + found
    findings += _leaks_of_rows(X, y, codes, skip)
    if items is None:
        columns = _columns_of_rows(X, codes, skip)
    else:
        frame, key = _catalogue(items, key, item)
        findings += _leaks_of_items(frame, key, y, ids["item"], codes["item"])
        columns = {name: listed(frame[name]) for name in frame.columns if name != key}
    more, found = _describe_columns(columns)
    return DataDescription(facts | more, [*findings, *found])
