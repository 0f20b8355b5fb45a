"""The files that the options of the main job name: read, and their columns renamed to those of the job."""

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from skllmrec._typing import Frame
from skllmrec.datasets import load_interactions
from skllmrec.datasets._bunch import make_bunch
from skllmrec.datasets._folder import load_files

USER, ITEM, TIME = "user_id", "item_id", "timestamp"
ID_TEXT = "item_name"  # the text of items that nothing describes


@dataclass
class FileOptions:
    """Options that name files and their columns.

    Attributes
    ----------
    interactions, items : str or None
        Files.
    user, item, time : str
        Columns.
    delimiter, encoding : str or None
        Of text files; None detects them.
    """

    interactions: str | None = None
    items: str | None = None
    user: str = USER
    item: str = ITEM
    time: str = TIME
    delimiter: str | None = None
    encoding: str | None = None

    @classmethod
    def of(cls, options: Namespace) -> "FileOptions":
        """Take those of the options of the command; what they lack has its default."""
        return cls(**{one.name: getattr(options, one.name) for one in fields(cls) if hasattr(options, one.name)})


def load_job_files(
    folder: str, files: FileOptions, *, target: str | None, exclude_columns: Sequence[str]
) -> tuple[Frame, Frame, str | None, list[str]]:
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
    frame : pandas.DataFrame
        Interactions with the attributes of their items, and the columns ``user_id``, ``item_id`` and ``timestamp``.
    items : pandas.DataFrame
        One row for each item, at least one column beside ``item_id`` where a file of interactions is named.
    target : str or None
        Column of the ratings in `frame`.
    notes : list of str
        What was detected, in words.

    Raises
    ------
    ValueError
        If a file does not exist or cannot be read, or its columns do not fit.
    """
    names: dict[object, str] = {files.user: USER, files.item: ITEM, files.time: TIME}
    if len(names) < 3 or target in (files.user, files.item):
        raise ValueError("--user, --item, --time and --target must name different columns")
    if files.interactions is None:
        bunch = load_interactions(
            folder,
            user=files.user,
            item=files.item,
            target=target,
            exclude_columns=exclude_columns,
            duplicates="last",
        )
        frame, items, notes = bunch.frame, bunch.item_table, []
    else:
        frame, items, notes = _read_files(files, target, exclude_columns)
    return _renamed(frame, names), _renamed(items, names), names.get(target, target), notes


def _read_files(files, target, exclude_columns):
    paths = [None if path is None else Path(path).expanduser() for path in (files.interactions, files.items)]
    for flag, path in zip(("--interactions", "--items"), paths, strict=True):
        if path is not None and not path.is_file():
            raise ValueError(f"{flag} {path}: there is no such file")
    try:
        (interactions, items, users), notes = load_files(
            [*paths, None],
            user=files.user,
            item=files.item,
            target=target,
            time=files.time,
            exclude_columns=exclude_columns,
            duplicates="last",
            delimiter=files.delimiter,
            encoding=files.encoding,
        )
    except ValueError as error:
        advice = " (--user, --item and --target name the columns, --delimiter and --encoding the format of text files)"
        raise ValueError(f"{error}{advice}") from error
    found = [f"users: {files.user} (--user)", f"items: {files.item} (--item)"]
    found.append("no ratings (--target none)" if target is None else f"ratings or weights: {target} (--target)")
    found.append(f"times: {files.time} (--time)" if files.time in interactions.columns else "no times (--time)")
    notes.append(f"columns of {paths[0].name}: {'; '.join(found)}")
    if paths[1] is None:
        interactions, items = _describe_items(interactions, files, target, notes)
    bunch = make_bunch(interactions, items, users, user=files.user, item=files.item, target=target, descr="")
    return bunch.frame, bunch.item_table, notes


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
