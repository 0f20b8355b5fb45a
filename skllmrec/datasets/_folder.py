"""Load interactions, items and users from a folder of parquet or csv files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from skllmrec._optional import import_optional
from skllmrec._typing import Path as PathLike
from skllmrec.datasets._bunch import check_key, complete, make_bunch
from skllmrec.exceptions import DatasetNotFoundError, FileFormatError

_SUFFIXES = (".parquet", ".csv")
_DUPLICATES = ("keep", "last", "sum")


def _find(folder, name):
    """Path of a table in the folder, None if it has no file."""
    paths = [folder / f"{name}{suffix}" for suffix in _SUFFIXES]
    return next((path for path in paths if path.is_file()), None)


def _read(path, keys):
    """Read a table with at least one row; an error names the file."""
    try:
        table = _read_file(path, keys)
    except (ValueError, OSError) as error:  # errors of pandas and pyarrow are among these
        advice = "save it as UTF-8" if isinstance(error, UnicodeDecodeError) else "check the file"
        raise FileFormatError(f"{path} cannot be read ({str(error).strip()}): {advice}.") from error
    if len(table) == 0:
        raise ValueError(f"{path} has no rows.")
    return table


def _read_file(path, keys):
    """Read a file; the ids of a csv file are read as strings, so that leading zeros are kept."""
    pandas = import_optional("pandas", extra="demo", purpose="load_interactions")
    if path.suffix == ".csv":
        return pandas.read_csv(path, dtype=dict.fromkeys(keys, str))
    import_optional("pyarrow", extra="demo", purpose=f"load_interactions({path.name})")
    return _plain_numbers(pandas.read_parquet(path))


def _plain_numbers(table):
    """Convert nullable numbers to numpy's dtypes: float64 with NaN if a value is missing."""
    pandas = import_optional("pandas", extra="demo", purpose="load_interactions")
    numbers = {}
    for name, dtype in table.dtypes.items():
        if pandas.api.types.is_extension_array_dtype(dtype) and pandas.api.types.is_numeric_dtype(dtype):
            missing = table[name].isna().any()
            numbers[name] = "float64" if missing else getattr(dtype, "numpy_dtype", dtype)
    return table.astype(numbers)


def _read_interactions(folder, user, item):
    if not folder.is_dir():
        if folder.exists():
            raise DatasetNotFoundError(f"{folder} is a file: name the folder that holds interactions and items.")
        near = folder.parent
        there = sorted(path.name for path in near.iterdir() if path.is_dir()) if near.is_dir() else "nothing"
        raise DatasetNotFoundError(f"There is no folder {folder}; {near} holds the folders {there}.")
    path = _find(folder, "interactions")
    if path is None:
        there = sorted(path.name for path in folder.iterdir())
        raise DatasetNotFoundError(f"{folder} has no interactions.parquet or interactions.csv; it holds {there}.")
    table = _read(path, (user, item))
    for key in (user, item):
        check_key(table, key, str(path))
    return table


def _read_attributes(folder, name, key, ids):
    """Read items or users, one row per id; without a file, the table holds the ids only."""
    path = _find(folder, name)
    if path is None:
        return ids.drop_duplicates().to_frame().reset_index(drop=True)
    table = _read(path, (key,))
    check_key(table, key, str(path), unique=True)
    if table[key].dtype != ids.dtype:
        raise ValueError(
            f"{path}: {key!r} is {table[key].dtype}, in the interactions it is {ids.dtype}; store it alike in both."
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
        raise ValueError(f"The target column {target!r} holds {table[target].dtype} values, which are not numbers.")
    table = table.astype({target: "float64"})
    infinite = table.index[table[target].abs() == float("inf")]
    if len(infinite):
        raise ValueError(f"The target column {target!r} is infinite in row {infinite[0]} ({len(infinite)} in all).")
    return table


def _merge_duplicates(table, keys, target, duplicates):
    """Keep one row per pair of user and item: the latest one or, without times, the last one of the file."""
    if duplicates not in _DUPLICATES:
        raise ValueError(f"duplicates must be one of {_DUPLICATES}, got {duplicates!r}.")
    if duplicates == "keep":
        return table
    if duplicates == "sum" and target is not None:
        table = table.assign(**{target: table.groupby(list(keys), sort=False)[target].transform("sum")})
    in_time = table.sort_values("timestamp", kind="stable") if "timestamp" in table.columns else table
    return table.loc[~in_time.duplicated(list(keys), keep="last").reindex(table.index)]


def load_interactions(
    folder: PathLike,
    *,
    user: str = "user_id",
    item: str = "item_id",
    target: str | None = "rating",
    exclude_columns: Sequence[str] = (),
    duplicates: Literal["keep", "last", "sum"] = "keep",
    return_X_y: bool = False,
) -> Any:
    r"""Load a folder of interactions with the attributes of items and users.

    The folder must contain ``interactions.parquet``, and may contain ``items.parquet`` and ``users.parquet``. Each may
    be a ``.csv`` file instead, whose ids are read as strings. The attributes are joined to the interactions by the ids.
    ``SOURCE.md`` in the folder becomes the description: read it before you rely on a column.

    - An id without a row in `items` (or `users`) gets a row with missing attributes, so that `items` and `users` hold
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
        "keep" keeps all; "last" keeps the latest by ``timestamp``, or the last in the file without this column; "sum"
        keeps the same row with the sum of the targets.
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
        items, users : pandas.DataFrame
            One row per item or user, including those without interactions: for ``FeatureTable``.
        feature_names, target_names, item_names, user_names : list of str
            Names of the columns of data, target, items and users.
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
        items or users, ids are stored as different types, or the target is not a finite number.
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
    >>> data.items["title"].tolist()
    ['Heat', 'Babe']
    """
    folder = Path(folder).expanduser()
    interactions = _read_interactions(folder, user, item)
    items = _read_attributes(folder, "items", item, interactions[item])
    users = _read_attributes(folder, "users", user, interactions[user])
    interactions, items, users = _exclude((interactions, items, users), exclude_columns, (user, item, target))
    if target is not None:
        interactions = _check_target(interactions, target)
    interactions = _merge_duplicates(interactions, (user, item), target, duplicates).reset_index(drop=True)
    source = folder / "SOURCE.md"
    descr = source.read_text(encoding="utf-8") if source.is_file() else f"Interactions in {folder.name}."
    bunch = make_bunch(interactions, items, users, user=user, item=item, target=target, descr=descr)
    return (bunch.data, bunch.target) if return_X_y else bunch
