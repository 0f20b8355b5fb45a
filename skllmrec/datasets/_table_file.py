"""Read a table as people have it: csv, tsv, JSON lines or parquet, of any usual delimiter and encoding."""

import codecs
import csv
import io
from collections.abc import Sequence
from pathlib import Path

from skllmrec._optional import import_optional
from skllmrec._typing import Frame
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
_DECIMAL_COMMA = r"\s*[+-]?(?:\d{1,3}(?:\.\d{3})+|\d+)(?:,\d+)?\s*"


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
    encoding: str | None = None,
    purpose: str = "load_interactions",
) -> TableFile:
    """Read a table; the ids of a text file are read as text.

    Parameters
    ----------
    path : Path
        Its suffix decides the format: parquet, pq; csv, tsv, txt; jsonl, ndjson, json.
    keys : sequence of str
        Columns of ids.
    numbers : sequence of str
        Columns of numbers that may have decimal commas.
    delimiter : str, optional
        Of the columns of a text file; None detects comma, semicolon, tab or bar.
    encoding : str, optional
        Of a text file. None detects it: a byte order mark, UTF-8, else Windows-1252.
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
        If pandas or, for parquet, pyarrow is not installed.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(f"{path}: the suffix {path.suffix!r} is unknown; it must be one of {', '.join(SUFFIXES)}.")
    import_optional("pandas", extra="demo", purpose=purpose)
    notes: list[str] = []
    try:
        if suffix in PARQUET_SUFFIXES:
            import_optional("pyarrow", extra="demo", purpose=f"{purpose} ({path.name})")
            table = _read_parquet(path)
        else:
            text, encoding = _decode(path.read_bytes(), encoding)
            if encoding not in ("utf-8", "utf-8-sig", "ascii"):
                notes.append(f"{path.name} was read as {encoding} (change it with --encoding)")
            if suffix in JSON_SUFFIXES:
                table = _read_json(text, keys)
            else:
                table = _read_text(path, text, keys, delimiter, notes)
    except (ValueError, OSError, LookupError) as error:  # errors of pandas and pyarrow are among these
        if isinstance(error, LookupError):
            advice = "name an encoding that Python knows"
        else:
            advice = "save it as UTF-8, or name its encoding" if isinstance(error, UnicodeError) else "check the file"
        raise FileFormatError(f"{path} cannot be read ({str(error).strip()}): {advice}.") from error
    if len(table) == 0:
        raise ValueError(f"{path} has no rows.")
    table = _read_decimal_commas(path, table, numbers, notes)
    return TableFile(path, table, is_text=suffix not in PARQUET_SUFFIXES, notes=notes)


def _decode(content, encoding):
    """Return the text and its encoding."""
    marked = next((name for mark, name in _MARKS if content.startswith(mark)), None)
    if marked is not None and (
        encoding is None or encoding.lower().replace("_", "-") in ("utf-8", "utf8", "utf-8-sig")
    ):
        return content.decode(marked), marked
    if encoding is not None:
        return content.decode(encoding), encoding
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


def _read_text(path, text, keys, delimiter, notes):
    pandas = import_optional("pandas", extra="demo", purpose="load_interactions")
    if delimiter is None:
        delimiter = _find_delimiter(text)
        expected = "\t" if path.suffix.lower() == ".tsv" else ","
        if delimiter != expected:
            notes.append(
                f"the columns of {path.name} are separated by {_NAMES[delimiter]} (change it with --delimiter)"
            )
    table = pandas.read_csv(io.StringIO(text), sep=delimiter, dtype=dict.fromkeys(keys, str))
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


def _read_parquet(path):
    """Read a parquet file; nullable numbers become numpy's dtypes: float64 with NaN if a value is missing."""
    pandas = import_optional("pandas", extra="demo", purpose="load_interactions")
    table = pandas.read_parquet(path)
    numbers = {}
    for name, dtype in table.dtypes.items():
        if pandas.api.types.is_extension_array_dtype(dtype) and pandas.api.types.is_numeric_dtype(dtype):
            missing = table[name].isna().any()
            numbers[name] = "float64" if missing else getattr(dtype, "numpy_dtype", dtype)
    return table.astype(numbers)


def _read_decimal_commas(path, table, names, notes):
    """Convert columns of text such as "1.234,5" to numbers; the other columns stay."""
    pandas = import_optional("pandas", extra="demo", purpose="load_interactions")
    for name in names:
        if name not in table.columns or pandas.api.types.is_numeric_dtype(table[name]):
            continue
        values = table[name].dropna()
        if not all(isinstance(value, str) for value in values):
            continue
        if values.str.fullmatch(_DECIMAL_COMMA).all() and values.str.contains(",", regex=False).any():
            if values[values.str.contains(",", regex=False)].str.fullmatch(r".*,\d{3}\s*").all():
                raise FileFormatError(
                    f"{path}: the column {name!r} holds {values.iloc[0]!r} and the like, whose commas may separate "
                    "decimals or thousands: write the numbers with a decimal point."
                )
            plain = values.str.strip().str.replace(".", "", regex=False).str.replace(",", ".", regex=False)
            table = table.assign(**{name: plain.astype("float64").reindex(table.index)})
            notes.append(f"{path.name}: the commas in {name!r} were read as decimal commas (write points to change it)")
    return table
