"""The data of the main job: what is read, which text the models read, which rows are positives."""

import re
from argparse import Namespace
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from skllmrec._cli.compare.files import ID_TEXT, ITEM, TIME, USER, FileOptions, load_job_files
from skllmrec._typing import Array, Frame
from skllmrec.base import FeatureTable
from skllmrec.datasets import fetch_movielens_100k
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
        Ratings; None for implicit feedback.
    items : pandas.DataFrame
        Every item, with its text columns and those for display.
    threshold : float or None
        Ratings at or above it are positives.
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

    @property
    def item_table(self) -> FeatureTable:
        """Items with the text that the models read, for `fit`."""
        return FeatureTable(self.items[[ITEM, *self.columns]], key=ITEM)

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
        time = TIME if TIME in X.columns else None
        return describe_data(X, y, user=USER, item=ITEM, time=time, item_table=self.items[[ITEM, *self.columns]])

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
            ("For example", next((_shorten(text) for text in filled), "")),
        ]


def _shorten(text, length=160):
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


def _threshold(ratings, given):
    """Return the threshold of positives and a note about it; None where all ratings are alike."""
    if given is not None:
        return given, f"positives: ratings >= {given:g}"
    if ratings is None or ratings.nunique() < 2:
        return None, "positives: every interaction"
    top = ratings.max()
    default = 4.0 if top == 5 else round(0.7 * top, 2)
    rule = "4 of 5" if top == 5 else f"70 % of {top:g}"
    return default, f"positives: ratings >= {default:g} (default: {rule}; change it with --threshold)"


def _positives(ratings, options, notes):
    """Return the threshold and which rows are positives."""
    if ratings is None and options.threshold is not None:
        raise ValueError("--threshold needs ratings, but --target none says that there are none")
    threshold, note = _threshold(ratings, options.threshold)
    notes.append(note)
    if threshold is None:
        if options.feedback == "explicit":
            raise ValueError(
                "--feedback explicit needs ratings that differ, but there are none: use --feedback implicit"
            )
        return None, None
    positive = (ratings >= threshold).to_numpy()
    if not positive.any():
        raise ValueError(
            f"--threshold {threshold:g} leaves nothing: the highest rating is {ratings.max():g}, choose a lower one"
        )
    return threshold, positive


def _load(options):
    """Return the interactions, the items, the column of the ratings, and notes about what was read."""
    target = None if options.target.lower() == "none" else options.target
    files = FileOptions.of(options)
    if files.interactions is None and files.items is not None:
        raise ValueError("--items needs --interactions FILE, the file that holds who met which item")
    if files.interactions is None and options.data == ML_100K:
        bunch = fetch_movielens_100k()
        return bunch.frame, bunch.item_table, TARGET, []
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


def load_job_data(options: Namespace) -> JobData:
    """Read the data and decide what is text and what is a positive.

    Parameters
    ----------
    options : argparse.Namespace
        ``data, target, text, feedback, threshold, exclude_columns, max_users, seed``, and those of `FileOptions`.

    Returns
    -------
    data : JobData

    Raises
    ------
    ValueError
        If the data cannot be found, no column holds text, the template is bad, or no row is a positive.
    """
    notes: list[str] = []
    frame, items, target, found = _load(options)
    notes += found
    frame = _subsample(frame, options, notes).reset_index(drop=True)
    read = frame.drop(columns=[target, *options.exclude_columns], errors="ignore")
    ratings = None if target is None else frame[target]
    exclude = {USER, ITEM, *options.exclude_columns}
    items = items.drop(columns=list(options.exclude_columns), errors="ignore")
    template, columns, leaking = _template(options, items, exclude, notes)
    threshold, positive = _positives(ratings, options, notes)
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
        frame[target] if options.feedback == "explicit" else None,
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
    )
    if not any(data.texts):
        raise ValueError(f"the text {template!r} is empty for all {len(items):,} items: choose another with --text")
    return data
