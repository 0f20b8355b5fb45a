"""Load interactions, items and users from a folder of parquet or csv files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from skllmrec._ids import normalise_ids, shown
from skllmrec._optional import import_optional
from skllmrec._times import codes_of_times, parse_times
from skllmrec._typing import Frame
from skllmrec._typing import Path as PathLike
from skllmrec.datasets._bunch import check_key, complete, make_bunch
from skllmrec.datasets._compressed import COMPRESSED
from skllmrec.datasets._table_file import SUFFIXES, read_table
from skllmrec.exceptions import DatasetNotFoundError

_DUPLICATES = ("keep", "last", "sum")


def find_table(folder: Path, name: str) -> Path | None:
    """Path of a table in the folder, None if it has no file."""
    paths = [folder / f"{name}{suffix}{packed}" for packed in ("", *COMPRESSED) for suffix in SUFFIXES]
    paths.append(folder / f"{name}.zip")
    return next((path for path in paths if path.is_file()), None)


def find_interactions(folder: Path) -> Path:
    """Path of the table of interactions in a folder.

    Raises
    ------
    DatasetNotFoundError
        If there is none; the message says what is there.
    """
    if not folder.is_dir():
        if folder.exists():
            raise DatasetNotFoundError(f"{folder} is a file: name the folder that holds interactions and items.")
        near = folder.parent
        there = sorted(path.name for path in near.iterdir() if path.is_dir()) if near.is_dir() else "nothing"
        raise DatasetNotFoundError(f"There is no folder {folder}; {near} holds the folders {there}.")
    path = find_table(folder, "interactions")
    if path is None:
        there = sorted(path.name for path in folder.iterdir())
        raise DatasetNotFoundError(f"{folder} has no interactions.parquet or interactions.csv; it holds {there}.")
    return path


def _round_trips(column):
    """Whether each text is the one that its whole number is written as: no leading zero, sign or fraction."""
    return bool(column.str.fullmatch(r"0|-?[1-9]\d{0,17}").all())


def _convert_ids(files, key):
    """Convert ids that were read as text to integers, where every file of this key allows it."""
    pandas = import_optional("pandas", extra="demo", purpose="load_interactions")
    files = [file for file in files if file is not None and key in file.table.columns]
    texts = [file for file in files if file.is_text and not pandas.api.types.is_numeric_dtype(file.table[key])]
    others = [file.table[key] for file in files if file not in texts]
    if any(not pandas.api.types.is_integer_dtype(column) for column in others):
        return
    if all(_round_trips(file.table[key].astype("str")) for file in texts):
        for file in texts:
            file.table = file.table.assign(**{key: file.table[key].astype("int64")})


def _check_ids(file, key, *, unique=False):
    check_key(file.table, key, str(file.path), unique=unique)
    normalise_ids(file.table[key].to_numpy(), name=f"{file.path}: column {key!r}")


def _check_match(file, key, ids):
    """Raise an error where a table of items or users describes none of those in the interactions."""
    if file is not None and not ids.isin(file.table[key]).any():
        raise ValueError(
            f"{file.path}: none of its {len(file.table):,} ids in {key!r} occurs in the interactions, e.g. "
            f"{shown(file.table[key].iloc[0])} here and {shown(ids.iloc[0])} there: store the ids alike in both."
        )


def _attributes(file, key, ids):
    """Table of items or users, one row per id; without a file, the table holds the ids only."""
    if file is None:
        return ids.drop_duplicates().to_frame().reset_index(drop=True)
    path, table = file.path, file.table
    _check_ids(file, key, unique=True)
    if table[key].dtype != ids.dtype:
        raise ValueError(
            f"{path}: {key!r} is {table[key].dtype}, in the interactions it is {ids.dtype}; store it alike in both "
            f"(here {shown(table[key].iloc[0])}, there {shown(ids.iloc[0])})."
        )
    return complete(table[[key, *table.columns.drop(key)]], key, ids)


def _exclude(tables, columns, keys):
    """Drop columns from the tables that have them."""
    if isinstance(columns, str):
        raise ValueError(f"exclude_columns takes a list of names, got the str {columns!r}: pass [{columns!r}].")
    available = list(dict.fromkeys(name for table in tables for name in table.columns if name not in keys))
    unknown = [name for name in columns if name not in available]
    if unknown:
        raise ValueError(f"exclude_columns: {unknown} cannot be excluded; the columns that can be are {available}.")
    return [table.drop(columns=[name for name in columns if name in table.columns]) for table in tables]


def _check_target(table, target):
    """Leave out the rows without a target, and convert the target to float64."""
    if target not in table.columns:
        raise ValueError(
            f"The interactions have no target column {target!r}; their columns are {list(table.columns)}. "
            "Name one of them, or pass target=None (on the command line --target none) for interactions without a "
            "rating or weight."
        )
    pandas = import_optional("pandas", extra="demo", purpose="load_interactions")
    n_rows = len(table)
    table = table[table[target].notna()]
    if len(table) == 0:
        raise ValueError(f"The target column {target!r} is empty in all of the {n_rows} rows.")
    if not pandas.api.types.is_numeric_dtype(table[target]):
        numbers = pandas.to_numeric(table[target], errors="coerce")
        bad = numbers.index[numbers.isna()]
        example = f", e.g. {table[target][bad[0]]!r} in row {bad[0]} ({len(bad)} in all)" if len(bad) else ""
        raise ValueError(
            f"The target column {target!r} holds {table[target].dtype} values, which are not numbers{example}: "
            "write numbers, or leave the cells empty."
        )
    table = table.astype({target: "float64"})
    infinite = table.index[table[target].abs() == float("inf")]
    if len(infinite):
        raise ValueError(f"The target column {target!r} is infinite in row {infinite[0]} ({len(infinite)} in all).")
    return table


def _parse_text_times(table, time):
    """Convert a column of times that was read as text; text that is no time stays."""
    if time not in table.columns:
        return table
    try:
        times = parse_times(table[time].to_numpy(), name=f"the column {time!r}")
    except ValueError:
        return table  # who needs the order of the times reports it
    return table if times.dtype.kind == "O" else table.assign(**{time: times})


def _merge_duplicates(table, keys, target, duplicates, time):
    """Keep one row per pair of user and item: the latest one or, without times, the last one of the file."""
    if duplicates not in _DUPLICATES:
        raise ValueError(f"duplicates must be one of {_DUPLICATES}, got {duplicates!r}.")
    if duplicates == "keep":
        return table
    if duplicates == "sum" and target is not None:
        table = table.assign(**{target: table.groupby(list(keys), sort=False)[target].transform("sum")})
    order = np.arange(len(table))
    if time in table.columns and table.duplicated(list(keys)).any():  # else no order of the times is needed
        order = np.argsort(codes_of_times(table[time].to_numpy(), name=f"the column {time!r}"), kind="stable")
    kept = np.ones(len(table), dtype=bool)
    kept[order] = ~table[list(keys)].iloc[order].duplicated(keep="last").to_numpy()
    return table[kept]


def _note_lost(notes, n_rows, left, why):
    """Note how many rows a step has removed."""
    if len(left) < n_rows:
        notes.append(f"{n_rows - len(left):,} of {n_rows:,} interactions {why}")


def load_files(
    paths: Sequence[Path | None],
    *,
    user: str,
    item: str,
    target: str | None,
    time: str = "timestamp",
    exclude_columns: Sequence[str] = (),
    duplicates: str = "keep",
    **options: Any,
) -> tuple[tuple[Frame, Frame, Frame], list[str]]:
    """Read the files of interactions, items and users.

    Parameters
    ----------
    paths : sequence of three paths
        Interactions, items, users; None where there is no file.
    user, item, target, exclude_columns, duplicates
        See `load_interactions`.
    time : str
        Column of the times.
    **options
        ``delimiter``, ``decimal`` and ``encoding`` of `read_table`.

    Returns
    -------
    tables : tuple of three DataFrames
        Each id of the interactions has one row among the items and users.
    notes : list of str
        What was detected in the files.

    Raises
    ------
    ValueError
        See `load_interactions`.
    """
    numbers = () if target is None else (target,)
    keys = ((user, item), (item,), (user,))
    files = [
        None if path is None else read_table(path, key, numbers=numbers, **options)
        for path, key in zip(paths, keys, strict=True)
    ]
    found = files[0]
    if found is None:
        raise ValueError("load_files needs a file of interactions")
    for key in (user, item):
        check_key(found.table, key, str(found.path))
        _convert_ids(files, key)
        _check_ids(found, key)
    interactions = found.table
    items = _attributes(files[1], item, interactions[item])
    users = _attributes(files[2], user, interactions[user])
    interactions, items, users = _exclude((interactions, items, users), exclude_columns, (user, item, target))
    notes = [note for file in files if file is not None for note in file.notes]
    if target is not None:
        n_rows, interactions = len(interactions), _check_target(interactions, target)
        _note_lost(notes, n_rows, interactions, f"without a value in {target!r} were left out")
    _check_match(files[1], item, found.table[item])
    _check_match(files[2], user, found.table[user])
    interactions = _parse_text_times(interactions, time)
    n_rows = len(interactions)
    interactions = _merge_duplicates(interactions, (user, item), target, duplicates, time).reset_index(drop=True)
    kept = "latest" if time in interactions.columns else "last in the file"
    _note_lost(notes, n_rows, interactions, f"repeat a user and an item, of which the {kept} was kept")
    return (interactions, items, users), notes


def load_interactions(
    folder: PathLike,
    *,
    user: str = "user_id",
    item: str = "item_id",
    target: str | None = "rating",
    exclude_columns: Sequence[str] = (),
    duplicates: Literal["keep", "last", "sum"] = "keep",
    delimiter: str | None = None,
    decimal: Literal[".", ","] | None = None,
    encoding: str = "utf-8",
    return_X_y: bool = False,
) -> Any:
    r"""Load a folder of interactions with the attributes of items and users.

    The folder must contain ``interactions.parquet``, and may contain ``items.parquet`` and ``users.parquet``. Each may
    be a ``.csv``, ``.tsv`` or ``.jsonl`` file instead, also a compressed one (``.csv.gz``, ``.csv.zst``, ``.zip``). The
    ids of text files are read as strings; they become integers where every id is written as its whole number is
    (``17``, not ``017`` or ``17.0``). The attributes are joined to the interactions by the ids.
    ``SOURCE.md`` in the folder becomes the description: read it before you rely on a column.

    - An id without a row in its table gets a row with missing attributes, so that `item_table` and `user_table` hold
      every id. `TextTemplate` leaves out missing attributes; encoders reject them.
    - Without a file of items or users, the table holds the ids only.
    - A column name that two tables share gets the prefix ``item_`` or ``user_`` in all of the result.
    - Nullable integers become int64, or float64 with NaN if a value is missing. Times are optional, but splits by time
      need a column ``timestamp``.

    Parameters
    ----------
    folder : str or path-like
        The folder.
    user, item : str, default="user_id", "item_id"
        Columns of the ids, in the interactions and in the table of users or items.
    target : str or None, default="rating"
        Column of the interactions that becomes y. Rows without a value are left out. If None, there is no y.
    exclude_columns : list of str, default=()
        Columns to leave out of every table. Use it for columns that leak the target: tags given by the users of the
        test set themselves (``user_tags`` of MovieLens, ``tags`` and ``own_tags`` of Last.fm) and other measures of
        the interaction (``listen_count``, ``explicit_rating``, ``quantity``).
    duplicates : {"keep", "last", "sum"}, default="keep"
        How to treat several rows of one user and one item, which a random split can put into training and test:
        "keep" keeps all; "last" keeps the latest by ``timestamp`` (text is read as numbers or dates; a missing time is
        the earliest), or the last in the file without this column; "sum" keeps the same row with the sum of the
        targets.
    delimiter : str or None, default=None
        Separates the columns of text files; None detects comma, semicolon, tab or bar.
    decimal : {".", ","} or None, default=None
        Decimal sign of the target in text files; None detects it, and refuses what could be both, such as ``1,234``.
    encoding : str, default="utf-8"
        Of text files, such as ``"cp1252"`` or ``"gb18030"``; a byte order mark wins over the default.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    data : sklearn.utils.Bunch
        With the entries

        frame : pandas.DataFrame of shape (n_interactions, n_columns)
            Interactions, attributes of the item, attributes of the user.
        data : pandas.DataFrame
            The frame without the target: X.
        target : pandas.Series of shape (n_interactions,), float64, or None
            y.
        item_table, user_table : pandas.DataFrame
            One row per item or user, including those without interactions: the arguments of `fit` of these names.
        feature_names, target_names, item_names, user_names : list of str
            Names of the columns of data, target, item_table and user_table.
        DESCR : str
            Text of ``SOURCE.md``, if there is one.
    (data, target) : tuple if `return_X_y`

    Raises
    ------
    DatasetNotFoundError
        If the folder or its interactions do not exist.
    FileFormatError
        If a file cannot be read.
    ValueError
        If a file has no rows, a column does not exist, an id is missing, an id has two rows among the
        items or users, ids are stored as different types, no id of the items or users occurs in the interactions, an
        id was rounded to a float, times are text of unknown form, or the target is not a finite number.
    ImportError
        If pandas or (for parquet) pyarrow is not installed.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from skllmrec.datasets import load_interactions
    >>> with TemporaryDirectory() as folder:
    ...     _ = Path(folder, "interactions.csv").write_text("user_id,item_id,rating\n1,07,4\n2,07,5\n")
    ...     _ = Path(folder, "items.csv").write_text("item_id,title\n07,Heat\n08,Babe\n")
    ...     data = load_interactions(folder)
    >>> data.frame
      user_id item_id  rating title
    0       1      07     4.0  Heat
    1       2      07     5.0  Heat
    >>> data.item_table["title"].tolist()
    ['Heat', 'Babe']
    """
    folder = Path(folder).expanduser()
    paths = find_interactions(folder), find_table(folder, "items"), find_table(folder, "users")
    (interactions, items, users), _ = load_files(
        paths,
        user=user,
        item=item,
        target=target,
        exclude_columns=exclude_columns,
        duplicates=duplicates,
        delimiter=delimiter,
        decimal=decimal,
        encoding=encoding,
    )
    source = folder / "SOURCE.md"
    descr = source.read_text(encoding="utf-8") if source.is_file() else f"Interactions in {folder.name}."
    bunch = make_bunch(interactions, items, users, user=user, item=item, target=target, descr=descr)
    return (bunch.data, bunch.target) if return_X_y else bunch
