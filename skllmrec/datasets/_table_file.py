"""Read a table as people have it: csv, tsv, JSON lines or parquet, of any usual delimiter and encoding."""

import codecs
import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path

from skllmrec._optional import import_optional
from skllmrec._typing import Frame
from skllmrec.datasets._compressed import COMPRESSED, FAULTS, format_of, read_content
from skllmrec.datasets._numbers import read_numbers
from skllmrec.exceptions import FileFormatError

TEXT_SUFFIXES = (".csv", ".tsv", ".txt")
JSON_SUFFIXES = (".jsonl", ".ndjson", ".json")
PARQUET_SUFFIXES = (".parquet", ".pq")
SUFFIXES = (*PARQUET_SUFFIXES, *TEXT_SUFFIXES, *JSON_SUFFIXES)

_DELIMITERS = ",;\t|"
_MARKS = (  # the mark of UTF-32 begins with that of UTF-16
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NAMES = {"\t": "tabs", ";": "semicolons", "|": "bars", ",": "commas"}


class TableFile:
    """A table read from a file.

    Attributes
    ----------
    path : Path
    table : pandas.DataFrame
        With at least one row.
    is_text : bool
        Whether the ids were read as text, so that they may be converted to integers.
    notes : list of str
        What was detected, each with the option that changes it.
    """

    def __init__(self, path: Path, table: Frame, *, is_text: bool, notes: list[str]) -> None:
        self.path = path
        self.table = table
        self.is_text = is_text
        self.notes = notes


def read_table(
    path: Path,
    keys: Sequence[str],
    *,
    numbers: Sequence[str] = (),
    delimiter: str | None = None,
    decimal: str | None = None,
    encoding: str | None = None,
    purpose: str = "load_interactions",
) -> TableFile:
    """Read a table; the ids of a text file are read as text.

    Parameters
    ----------
    path : Path
        Its suffix decides the format: parquet, pq; csv, tsv, txt; jsonl, ndjson, json; each of them may be compressed
        (gz, bz2, xz, zst, or a zip archive of one file).
    keys : sequence of str
        Columns of ids.
    numbers : sequence of str
        Columns of numbers that may have decimal commas, or thousands that are set apart.
    delimiter : str, optional
        Of the columns of a text file; None detects comma, semicolon, tab or bar.
    decimal : {".", ","}, optional
        The decimal sign of `numbers`; None detects it.
    encoding : str, optional
        Of a text file. None detects it: a byte order mark, UTF-8, UTF-16, else Windows-1252.
    purpose : str
        What needs pandas, for the error message.

    Returns
    -------
    file : TableFile

    Raises
    ------
    FileFormatError
        If the file cannot be read; the message names it.
    ValueError
        If the file has no rows, or its suffix is unknown.
    ImportError
        If pandas or, for parquet and zst, pyarrow is not installed.
    """
    suffix = format_of(path)
    if path.suffix.lower() != ".zip":
        _check_suffix(path, suffix)
    import_optional("pandas", extra="demo", purpose=purpose)
    notes: list[str] = []
    try:
        content, suffix = read_content(path)
        _check_suffix(path, suffix)
        table = _read(path, content, suffix, (keys, numbers), (delimiter, encoding), notes, purpose)
    except (ValueError, OSError, LookupError, *FAULTS) as error:  # errors of pandas and pyarrow are among these
        raise FileFormatError(f"{path} cannot be read ({str(error).strip()}): {_advice(error)}.") from error
    if len(table) == 0:
        raise ValueError(f"{path} has no rows.")
    table = read_numbers(path, table, numbers, notes, decimal=decimal)
    return TableFile(path, table, is_text=suffix not in PARQUET_SUFFIXES, notes=notes)


def _check_suffix(path, suffix):
    if suffix not in SUFFIXES:
        hint = " Save the sheet as CSV." if suffix in (".xlsx", ".xls", ".ods") else ""
        packed = ", ".join(COMPRESSED)
        raise ValueError(
            f"{path}: the suffix {suffix!r} is unknown; it must be one of {', '.join(SUFFIXES)}, or one of these "
            f"followed by {packed}.{hint}"
        )


def _advice(error):
    """Say what to do about a file that cannot be read."""
    if isinstance(error, LookupError):
        return "name an encoding that Python knows"
    if isinstance(error, UnicodeError):
        return "save it as UTF-8, or name its encoding"
    if "fields in line" in str(error):
        return "look at that line: a text that holds the delimiter or a quotation mark must be in quotation marks"
    if "sheet" in str(error):
        return "save the sheet as CSV"
    return "it is damaged or incomplete, make it again" if isinstance(error, FAULTS) else "check the file"


def _read(path, content, suffix, columns, form, notes, purpose):
    """Make a table of the content of a file."""
    if suffix in PARQUET_SUFFIXES:
        import_optional("pyarrow", extra="demo", purpose=f"{purpose} ({path.name})")
        return _read_parquet(content)
    if content.startswith(b"PK\x03\x04"):
        raise ValueError("it is no text but a zip archive or a sheet of Excel")
    (keys, numbers), (delimiter, encoding) = columns, form
    text, encoding = _decode(content, encoding)
    if form[1] is None and encoding not in ("utf-8", "utf-8-sig"):
        notes.append(f"{path.name} was read as {encoding} (change it with --encoding)")
    if suffix in JSON_SUFFIXES:
        return _read_json(text, keys)
    return _read_text(path, text, suffix, [*keys, *numbers], delimiter, notes)


def _decode(content, encoding):
    """Return the text, without a byte order mark, and its encoding."""
    text, encoding = _decode_marked(content, encoding)
    return text.removeprefix("\ufeff"), encoding


def _decode_marked(content, encoding):
    marked = next((name for mark, name in _MARKS if content.startswith(mark)), None)
    if marked is not None and (
        encoding is None or encoding.lower().replace("_", "-") in ("utf-8", "utf8", "utf-8-sig")
    ):
        return content.decode(marked), marked
    if encoding is not None:
        return content.decode(encoding), encoding
    if b"\0" in content[:2000]:  # UTF-16 without a mark: every other byte of ASCII is zero
        half = "utf-16-le" if content[1:2] == b"\0" else "utf-16-be"
        return content.decode(half), half
    try:
        return content.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        if b"\0" in content:
            raise
    try:
        return content.decode("cp1252"), "Windows-1252"
    except UnicodeDecodeError:
        return content.decode("latin-1"), "latin-1"


def _find_delimiter(text):
    """Return the delimiter that gives the first lines as many columns as the first one, more than one."""
    head = text[: 1 << 16].splitlines(keepends=True)[:30]
    best, most = ",", 1
    for delimiter in _DELIMITERS:
        try:
            rows = [row for row in csv.reader(head, delimiter=delimiter) if row]
        except csv.Error:
            continue
        rows = rows[:-1] if len(rows) > 2 else rows  # the last one may be cut
        if rows and len(rows[0]) > most and all(len(row) == len(rows[0]) for row in rows):
            best, most = delimiter, len(rows[0])
    if most == 1 and head:
        best = max(_DELIMITERS, key=head[0].count)
    return best


def _read_text(path, text, suffix, as_text, delimiter, notes):
    """Read columns that a delimiter separates; `as_text` are not converted to numbers."""
    pandas = import_optional("pandas", extra="demo", purpose="load_interactions")
    first, _, rest = text.partition("\n")
    if first.strip().lower().startswith("sep=") and len(first.strip()) == 5:  # a line for Excel
        text, delimiter = rest, delimiter or first.strip()[-1]
    if delimiter is None:
        delimiter = _find_delimiter(text)
        expected = "\t" if suffix == ".tsv" else ","
        if delimiter != expected:
            notes.append(
                f"the columns of {path.name} are separated by {_NAMES[delimiter]} (change it with --delimiter)"
            )
    elif text.partition("\n")[0].count(delimiter) == 0:
        found = _find_delimiter(text)
        if text.partition("\n")[0].count(found):
            notes.append(f"the columns of {path.name} are separated by {_NAMES[found]}, and not by {delimiter!r}")
            delimiter = found
    several = {"engine": "python", "sep": re.escape(delimiter)} if len(delimiter) > 1 else {"sep": delimiter}
    form = {"skipinitialspace": True, **several}
    names = pandas.read_csv(io.StringIO(text), nrows=0, **form).columns  # some with spaces around them
    dtypes = {name: str for name in names if str(name).strip() in as_text}
    table = pandas.read_csv(io.StringIO(text), dtype=dtypes, **form)
    if not isinstance(table.index, pandas.RangeIndex):  # pandas would shift the names of the columns
        raise ValueError("the rows have more columns than the first line names")
    table.columns = [str(name).strip() for name in table.columns]
    return table


def _read_json(text, keys):
    """Read one object per line, or one list of objects; ids keep their text or their whole number."""
    import json

    pandas = import_optional("pandas", extra="demo", purpose="load_interactions")
    stripped = text.lstrip()
    rows = json.loads(stripped) if stripped.startswith("[") else [json.loads(x) for x in text.splitlines() if x.strip()]
    if not all(isinstance(row, dict) for row in rows):
        raise ValueError('each line must be one object, such as {"user_id": 1, "item_id": 2}')
    table = pandas.DataFrame(rows)
    for key in keys:
        if key in table.columns:
            table[key] = pandas.Series([_text_of_id(row.get(key)) for row in rows])
    return table


def _text_of_id(value):
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _read_parquet(content):
    """Read a parquet file; nullable numbers become numpy's dtypes: float64 with NaN if a value is missing."""
    pandas = import_optional("pandas", extra="demo", purpose="load_interactions")
    table = pandas.read_parquet(io.BytesIO(content))
    numbers = {}
    for name, dtype in table.dtypes.items():
        if pandas.api.types.is_extension_array_dtype(dtype) and pandas.api.types.is_numeric_dtype(dtype):
            missing = table[name].isna().any()
            numbers[name] = "float64" if missing else getattr(dtype, "numpy_dtype", dtype)
    return table.astype(numbers)
