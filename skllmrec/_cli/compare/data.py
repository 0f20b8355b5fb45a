"""The data of the main job: what is read, which text the models read, which rows are positives."""

import re
from argparse import Namespace
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from skllmrec._cli.compare.files import ID_TEXT, ITEM, NEXT_ITEM, TIME, USER, FileOptions, JobTables, load_job_files
from skllmrec._terminal import printable
from skllmrec._typing import Array, Frame
from skllmrec.base import FeatureTable
from skllmrec.base._rating_scale import default_threshold
from skllmrec.datasets import fetch_movielens_100k
from skllmrec.metrics._ranking import relevant_rows
from skllmrec.preprocessing import TextTemplate, describe_data

TARGET = "rating"
ML_100K = "ml-100k"

_LEAKING = re.compile(r"(^|_)tags?$")  # written by users, so by those under test as well
_NO_TEXT = re.compile(r"(^|_)(id|isbn|ean|sku|url|uri|link|image|img|picture|path|file|hash)s?$")
_TITLES = ("title", "name", "headline")
_KINDS = ("genre", "categor", "department", "class", "topic", "subject", "kind", "type", "brand", "author")


@dataclass
class JobData:
    """What the job trains and tests on.

    Attributes
    ----------
    name : str
    X : pandas.DataFrame
        The interactions that are used: ids, and times where there are some.
    y : pandas.Series or None
        Ratings, or counts that are weighted; None for other implicit feedback.
    items : pandas.DataFrame
        Every item, with its text columns and those for display.
    threshold : float or None
        Ratings at or above it are positives; None: those above 0 or, without ratings, all rows.
    template : str
        Makes one text of an item.
    columns : list of str
        The columns of the template.
    title : str
        The column that names an item.
    strength : pandas.Series
        How much a user liked a row: the rating.
    diversity : list of str
        Columns that measure the diversity of a list.
    notes : list of str
        What was decided, in words.
    read : pandas.DataFrame or None
        The interactions as they were read, dislikes and describing columns included; None: X.
    ratings : pandas.Series or None
        The ratings of `read`.
    users : pandas.DataFrame or None
        Every user, with what describes them.
    user_template : str or None
        Makes one text of a user; None where no text describes users.
    user_columns : list of str
        The columns of that template.
    protocol : str
        That of the options, which advice allows for.
    """

    name: str
    X: Frame
    y: Any
    items: Frame
    threshold: float | None
    template: str
    columns: list[str]
    title: str
    strength: Any
    diversity: list[str]
    notes: list[str] = field(default_factory=list)
    read: Frame | None = None
    ratings: Any = None
    users: Frame | None = None
    user_template: str | None = None
    user_columns: list[str] = field(default_factory=list)
    protocol: str = "warm"

    @property
    def item_table(self) -> FeatureTable:
        """Items with the text that the models read, for `fit`."""
        return FeatureTable(self.items[[ITEM, *self.columns]], key=ITEM)

    @property
    def user_table(self) -> FeatureTable | None:
        """Users with the text that the models read, for `fit`; None where no text describes them."""
        if self.user_template is None or self.users is None:
            return None
        return FeatureTable(self.users[[USER, *self.user_columns]], key=USER)

    @property
    def fit_tables(self) -> dict[str, FeatureTable]:
        """The tables that `fit` gets, by its parameters."""
        tables = {"item_table": self.item_table, "user_table": self.user_table}
        return {name: table for name, table in tables.items() if table is not None}

    @cached_property
    def user_texts(self) -> Array:
        """The text of every user, an object array, empty where no text describes them."""
        if self.user_template is None or self.users is None:
            return np.empty(0, dtype=object)
        return TextTemplate(self.user_template).fit_transform(self.users[self.user_columns])

    @property
    def item_vectors(self) -> FeatureTable:
        """Items in the space that measures diversity."""
        return FeatureTable(self.items[[ITEM, *self.diversity]], key=ITEM)

    @cached_property
    def texts(self) -> Array:
        """The text of every item, an object array."""
        return TextTemplate(self.template).fit_transform(self.items[self.columns])

    @cached_property
    def quality(self) -> Any:
        """What may be wrong with the data as it was read, a DataDescription."""
        X, y = (self.X, self.y) if self.read is None else (self.read, self.ratings)
        times = X[TIME] if TIME in X.columns else None
        time = TIME if times is not None and times.dtype.kind in "iufM" and times.notna().all() else None
        table = self.items[[ITEM, *self.columns]]
        found = describe_data(X, y, user=USER, item=ITEM, time=time, item_table=table)
        return replace(found, findings=[replace(one, advice=self._advice(one)) for one in found.findings])

    def _advice(self, finding):
        """Advice that suits what the job does anyway."""
        if finding.what.startswith("fewer than"):
            return f"too few to learn from ids alone; the estimators with text read {self.template!r} as well"
        if finding.what.startswith("drift"):
            if self.protocol in ("temporal", NEXT_ITEM):
                return "the temporal protocol, as chosen, tests what comes later"
            return "--protocol temporal tests what comes later"
        if finding.what.startswith("rank correlation"):
            if finding.where in self.columns:
                return f"it gives the answer away where later rows went into it: --exclude-columns {finding.where}"
            return "no built-in estimator reads it; estimators of your own should not"
        if finding.what == "missing values":
            return "the text is made of the other columns there"
        return finding.advice

    def describe(self) -> list[tuple[str, str]]:
        """Pairs that describe the data."""
        n_users, n_items = self.X[USER].nunique(), self.X[ITEM].nunique()
        density = len(self.X) / (n_users * n_items)
        texts = self.texts
        filled = [text for text in texts if text]
        words = np.median([len(text.split()) for text in filled]) if filled else 0
        return [
            ("Data", self.name),
            ("Interactions", f"{len(self.X):,} of {n_users:,} users and {n_items:,} items, density {density:.2%}"),
            ("Catalogue", f"{len(self.items):,} items, {len(filled):,} with text, median {words:.0f} words"),
            ("Text", self.template),
            *([] if self.user_template is None else [("Text of users", self.user_template)]),
            ("For example", next((_shorten(text) for text in filled), "")),
        ]


def _shorten(text, length=160):
    text = printable(text, one_line=True)
    return text if len(text) <= length else text[: length - 3] + "..."


def _is_text(column):
    """Whether a column holds words: strings, mostly letters, not codes."""
    values = [value for value in column.dropna().head(500).tolist() if value != ""]
    if not values or not all(isinstance(value, str) for value in values):
        return False
    letters = np.mean([sum(map(str.isalpha, value)) / len(value) for value in values])
    return letters > 0.5


def _rank(name, mean_length):
    """Sort key of text columns: titles, then kinds of things, then descriptions by length."""
    lower = name.lower()
    if any(word in lower for word in _TITLES):
        return 0, mean_length
    return (1 if any(word in lower for word in _KINDS) else 2), -mean_length


def find_text_columns(items: Frame, *, exclude: Iterable[str] = ()) -> tuple[list[str], list[str]]:
    """Choose the columns of the items that hold text, in the order in which a text should name them.

    Parameters
    ----------
    items : pandas.DataFrame
    exclude : sequence of str
        Columns that are not wanted.

    Returns
    -------
    columns : list of str
        Titles first, then genres and the like, then the rest, long descriptions first.
    leaking : list of str
        Columns left out because users wrote them: they would reveal what the users under test liked.
    """
    words = [c for c in items.columns if not _NO_TEXT.search(c.lower()) and c not in exclude and _is_text(items[c])]
    leaking = [name for name in words if _LEAKING.search(name.lower())]
    lengths = {name: items[name].dropna().str.len().mean() for name in words}
    chosen = sorted(set(words) - set(leaking), key=lambda name: (_rank(name, lengths[name]), name))
    return chosen, leaking


def _find_diversity(items, columns, leaking):
    """Choose the columns that measure diversity: those that no model reads, else kinds of things, else the text."""
    unread = [name for name in leaking if name not in columns and items[name].notna().mean() > 0.5]
    if unread:
        return unread, f"{', '.join(unread)} (no model reads it)"
    kinds = [name for name in columns if any(word in name.lower() for word in _KINDS)]
    if kinds:
        return kinds[:1], f"{kinds[0]} (a part of the text)"
    return columns, "the text itself"


def _positives(ratings, options, target, notes):
    """Return the threshold, None for what is above 0, and which rows are positives, None for all; note the choice."""
    if ratings is None:
        if options.threshold is not None:
            raise ValueError("--threshold needs ratings, but --target none says that there are none")
        notes.append("positives: every interaction")
    if options.feedback == "explicit" and (ratings is None or ratings.nunique() < 2):
        raise ValueError("--feedback explicit needs ratings that differ, but there are none: use --feedback implicit")
    if ratings is None:
        return None, None
    values = ratings.to_numpy(np.float64)
    threshold, reason = (options.threshold, "") if options.threshold is not None else default_threshold(values)
    positive = relevant_rows(values, threshold, len(values))
    at_least = "> 0" if threshold is None else f">= {threshold:g}"
    if not positive.any():
        _refuse(threshold, values, target)
    count = "every interaction" if positive.all() else f"{np.count_nonzero(positive):,} of {len(values):,} interactions"
    why = f" (default: {reason}; change it with --threshold)" if reason else ""
    notes.append(f"positives: {count} with {target} {at_least}{why}")
    return threshold, positive


def _weighted_rows(ratings, options, notes):
    """Return which rows are events whose y is a count that is weighted (--weights)."""
    method = options.weights
    if options.feedback == "explicit":
        raise ValueError(f"--weights {method} weights events, but --feedback explicit predicts ratings: leave one out")
    if ratings is None:
        raise ValueError(f"--weights {method} needs counts: name their column with --target")
    events = (ratings >= options.threshold if options.threshold is not None else ratings > 0).to_numpy()
    if not events.any():
        raise ValueError(f"--weights {method} leaves nothing: the largest count is {ratings.max():g}")
    least = "> 0" if options.threshold is None else f">= {options.threshold:g}"
    notes.append(f"positives: counts {least}, weighted by CountWeighter({method!r}) (--weights)")
    return events


def _refuse(threshold, values, target):
    """Raise the error for a threshold that leaves nothing."""
    lowest, highest = values.min(), values.max()
    if threshold is None:
        raise ValueError(
            f"no {target} is above 0 (they are between {lowest:g} and {highest:g}), so that no row is a positive: "
            "choose a --threshold, another column with --target, or --target none where every row is a positive"
        )
    raise ValueError(
        f"--threshold {threshold:g} leaves nothing: the highest {target} is {highest:g}, the lowest {lowest:g}; choose "
        "a lower one"
    )


def _load(options):
    """Return the tables that the options name."""
    target = None if options.target.lower() == "none" else options.target
    files = FileOptions.of(options)
    for flag in ("items", "users"):
        if files.interactions is None and getattr(files, flag) is not None:
            raise ValueError(f"--{flag} needs --interactions FILE, the file that holds who met which item")
    if files.interactions is None and options.data == ML_100K:
        bunch = fetch_movielens_100k()
        return JobTables(bunch.frame, bunch.item_table, bunch.user_table[[USER]], TARGET, [])
    excluded = [name for name in options.exclude_columns if name]
    return load_job_files(options.data, files, target=target, exclude_columns=excluded)


def _subsample(frame, options, notes):
    """Keep a random part of the users, where the options ask for it."""
    users = frame[USER].drop_duplicates()
    if options.max_users is None or options.max_users >= len(users):
        return frame
    kept = users.sample(options.max_users, random_state=options.seed)
    notes.append(f"a random {options.max_users:,} of {len(users):,} users (--max-users)")
    return frame[frame[USER].isin(kept)]


def _template(options, items, exclude, notes):
    """Return the template, its columns, and the columns that leak."""
    columns, leaking = find_text_columns(items, exclude=exclude)
    if leaking and not options.text:
        notes.append(
            f"left out of the text: {', '.join(leaking)} - tags are written by users, those under test included, "
            "and would give the answer away (name them in --text to use them all the same)"
        )
    if options.text:
        return options.text, TextTemplate(options.text).fit(items.head(1)).fields_, leaking
    if not columns and set(items.columns) == {ITEM, ID_TEXT}:
        return f"{{{ID_TEXT}}}", [ID_TEXT], leaking  # made of the ids, which are no words
    if not columns:
        others = [c for c in items.columns if c != ITEM]
        raise ValueError(
            f"no column of the items holds text ({', '.join(others)}: empty, numbers, codes or tags): name one all the "
            "same with --text, as in --text '{title}'"
            if others
            else "nothing describes the items: put items.parquet or items.csv, with their ids and titles, beside the "
            "interactions, or name the file with --items"
        )
    notes.append(f"text columns: {', '.join(columns)} (chosen automatically; change them with --text)")
    return ". ".join(f"{{{name}}}" for name in columns), columns, leaking


def _user_template(options, users, notes):
    """Return the template of the texts of users and its columns; None and [] where no text describes them."""
    given = getattr(options, "user_text", None)
    if given:
        return given, list(TextTemplate(given).fit(users.head(1)).fields_)
    columns, leaking = find_text_columns(users, exclude={USER, *options.exclude_columns})
    if leaking:
        notes.append(f"left out of the text of users: {', '.join(leaking)} (name them in --user-text to use them)")
    if columns:
        notes.append(f"text of users: {', '.join(columns)} (chosen automatically; change it with --user-text)")
        return ". ".join(f"{{{name}}}" for name in columns), columns
    if users.shape[1] > 1:
        notes.append("no column of the users holds text: only estimators of your own can use data.users")
    return None, []


def load_job_data(options: Namespace) -> JobData:
    """Read the data and decide what is text and what is a positive.

    Parameters
    ----------
    options : argparse.Namespace
        ``data, target, text, feedback, threshold, weights, exclude_columns, max_users, seed``, and those of
        `FileOptions`.

    Returns
    -------
    data : JobData

    Raises
    ------
    ValueError
        If the data cannot be found, no column holds text, the template is bad, or no row is a positive.
    """
    notes: list[str] = []
    try:
        return _make_data(options, notes)
    except ValueError as error:
        if not notes:
            raise
        found = "".join(f"\n  - {note}" for note in notes)
        raise ValueError(f"{error}\nWhat was found before:{found}") from error


def _make_data(options, notes):
    """Make the data of the job; what is decided on the way is noted."""
    tables = _load(options)
    notes += tables.notes
    frame, items, users, target = tables.frame, tables.items, tables.users, tables.target
    frame = _subsample(frame, options, notes).reset_index(drop=True)
    read = frame.drop(columns=[target, *options.exclude_columns], errors="ignore")
    ratings = None if target is None else frame[target]
    exclude = {USER, ITEM, *options.exclude_columns}
    items = items.drop(columns=list(options.exclude_columns), errors="ignore")
    template, columns, leaking = _template(options, items, exclude, notes)
    user_template, user_columns = _user_template(options, users, notes)
    weighted = getattr(options, "weights", None) is not None
    if weighted:
        threshold, positive = None, _weighted_rows(ratings, options, notes)
    else:
        threshold, positive = _positives(ratings, options, target, notes)
    if options.feedback == "implicit" and positive is not None:
        frame = frame[positive].reset_index(drop=True)
    diversity, where = _find_diversity(items, columns, leaking)
    notes.append(f"diversity of lists (ild) is measured in {where}")
    X = frame.filter(items=[USER, ITEM, TIME])
    strength = frame[target] if target else frame[ITEM].notna().astype(float)
    path = FileOptions.of(options).interactions or options.data
    name = path if path == ML_100K else Path(path).resolve().name
    data = JobData(
        name,
        X,
        frame[target] if options.feedback == "explicit" or weighted else None,
        items,
        threshold,
        template,
        list(columns),
        next((c for c in columns if c.lower() in _TITLES), columns[0]),
        strength,
        list(diversity),
        notes,
        read,
        ratings,
        users,
        user_template,
        user_columns,
        options.protocol if hasattr(options, "protocol") else "warm",
    )
    if not any(data.texts):
        raise ValueError(f"the text {template!r} is empty for all {len(items):,} items: choose another with --text")
    return data
