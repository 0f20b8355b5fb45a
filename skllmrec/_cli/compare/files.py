"""The files that the options of the main job name: read, and their columns renamed to those of the job."""

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from skllmrec._typing import Frame
from skllmrec.datasets._bunch import make_bunch
from skllmrec.datasets._folder import find_interactions, find_table, load_files

USER, ITEM, TIME = "user_id", "item_id", "timestamp"
HISTORY = "history"  # made for the protocols that ask what comes next
NEXT_ITEM, LAST_ITEM = "next-item", "last-item"
ID_TEXT = "item_name"  # the text of items that nothing describes


@dataclass
class FileOptions:
    """Options that name files and their columns.

    Attributes
    ----------
    interactions, items, users : str or None
        Files.
    user, item, time : str
        Columns.
    delimiter, decimal, encoding : str or None
        Of text files; None detects them.
    protocol : str
        Those that ask what comes next keep all rows of a user and an item, the others the latest.
    """

    interactions: str | None = None
    items: str | None = None
    users: str | None = None
    user: str = USER
    item: str = ITEM
    time: str = TIME
    delimiter: str | None = None
    decimal: str | None = None
    encoding: str | None = None
    protocol: str = "warm"

    @classmethod
    def of(cls, options: Namespace) -> "FileOptions":
        """Take those of the options of the command; what they lack has its default."""
        return cls(**{one.name: getattr(options, one.name) for one in fields(cls) if hasattr(options, one.name)})


@dataclass
class JobTables:
    """The tables of the job, their columns renamed to those of the job.

    Attributes
    ----------
    frame : pandas.DataFrame
        Interactions with the attributes of their items and users, and the columns ``user_id``, ``item_id`` and
        ``timestamp``.
    items : pandas.DataFrame
        One row for each item, at least one column beside ``item_id`` where a file of interactions is named.
    users : pandas.DataFrame
        One row for each user.
    target : str or None
        Column of the ratings in `frame`.
    notes : list of str
        What was detected, in words.
    """

    frame: Frame
    items: Frame
    users: Frame
    target: str | None
    notes: list[str]


def load_job_files(folder: str, files: FileOptions, *, target: str | None, exclude_columns: Sequence[str]) -> JobTables:
    """Read the files, or the folder where no file is named.

    Parameters
    ----------
    folder : str
        Used where ``files.interactions`` is None.
    files : FileOptions
    target : str or None
        Column of the ratings.
    exclude_columns : sequence of str

    Returns
    -------
    tables : JobTables

    Raises
    ------
    ValueError
        If a file does not exist or cannot be read, or its columns do not fit.
    """
    names: dict[object, str] = {files.user: USER, files.item: ITEM, files.time: TIME}
    if len(names) < 3 or target in (files.user, files.item):
        raise ValueError("--user, --item, --time and --target must name different columns")
    paths = _find_files(folder, files)
    try:
        (interactions, items, users), notes = load_files(
            paths,
            target=target,
            exclude_columns=exclude_columns,
            duplicates="keep" if files.protocol in (NEXT_ITEM, LAST_ITEM) else "last",
            **{name: getattr(files, name) for name in ("user", "item", "time", "delimiter", "decimal", "encoding")},
        )
    except ValueError as error:
        raise ValueError(f"{error}{_advice(str(error))}") from error
    if files.time not in interactions.columns and files.time != TIME:
        raise ValueError(f"--time {files.time}: {paths[0]} has no such column, only {list(interactions.columns)}")
    found = [f"users: {files.user} (--user)", f"items: {files.item} (--item)"]
    found.append("no ratings (--target none)" if target is None else f"ratings or weights: {target} (--target)")
    found.append(_describe_times(interactions, files.time))
    notes.append(f"columns of {paths[0].name}: {'; '.join(found)}")
    if paths[1] is None and files.interactions is not None:
        interactions, items = _describe_items(interactions, files, target, notes)
    bunch = make_bunch(interactions, items, users, user=files.user, item=files.item, target=target, descr="")
    frame, items, users = (_renamed(table, names) for table in (bunch.frame, bunch.item_table, bunch.user_table))
    return JobTables(frame, items, users, names.get(target, target), notes)


def _describe_times(interactions, time):
    if time not in interactions.columns:
        return "no times (--time)"
    if interactions[time].dtype.kind not in "iufM":
        return f"times: {time} (--time), but its texts are no times"
    n_missing = int(interactions[time].isna().sum())
    return f"times: {time} (--time)" + (f", missing in {n_missing:,} rows" if n_missing else "")


def _find_files(folder, files):
    """Paths of interactions, items and users; None where there is no file."""
    if files.interactions is None:
        place = Path(folder).expanduser()
        return [find_interactions(place), find_table(place, "items"), find_table(place, "users")]
    paths = []
    for flag in ("interactions", "items", "users"):
        name = getattr(files, flag)
        paths.append(None if name is None else Path(name).expanduser())
        if name is not None and not paths[-1].is_file():
            raise ValueError(f"--{flag} {paths[-1]}: there is no such file")
    return paths


def _advice(error):
    """Name the options that change what an error is about."""
    if "has no column" in error:
        return " (--user and --item name the columns)"
    if "no target column" in error:
        return " (--target names the column)"
    if any(words in error for words in ("okenizing", "more columns", "No columns", "codec")):
        return " (--delimiter and --encoding name the format of text files)"
    return ""


def _describe_items(interactions, files, target, notes):
    """Move columns of text that are the same in all rows of an item to a table of items; without any, use the ids."""
    import pandas

    ids = {files.user, files.item, files.time, target}
    grouped = interactions.groupby(files.item, sort=False)
    columns = [
        name
        for name in interactions.columns
        if name not in ids
        and not pandas.api.types.is_numeric_dtype(interactions[name])
        and (grouped[name].nunique() <= 1).all()
        and interactions[name].nunique() > 1
    ]
    items = grouped[columns].first().reset_index() if columns else interactions[[files.item]].drop_duplicates()
    if columns:
        notes.append(f"items are described by {', '.join(columns)} of the interactions (another file: --items)")
    else:
        items = items.assign(**{ID_TEXT: "item " + items[files.item].astype(str)})
        notes.append(
            "nothing describes the items: their ids are their text, from which no model can learn anything about "
            "new items (name a file with texts by --items)"
        )
    return interactions.drop(columns=columns), items.reset_index(drop=True)


def _renamed(frame, names):
    """Give the columns the names of the job; a column that has such a name without being the one is left out."""
    wanted = {old: new for old, new in names.items() if old in frame.columns}
    clashing = [new for old, new in wanted.items() if old != new and new in frame.columns and new not in wanted]
    return frame.drop(columns=clashing).rename(columns=wanted)
