"""Columns of numbers as people write them: decimal points or commas, thousands set apart."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from skllmrec._optional import import_optional
from skllmrec._typing import Frame
from skllmrec.exceptions import FileFormatError

_PLAIN = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]?(?:[iI]nf(?:inity)?|INF)"
_GROUPED = r"[+-]?(?:[1-9]\d{{0,2}}(?:{mark}\d{{3}})+|\d+)(?:{point}\d*)?"
_FORMS = {  # by the decimal sign
    ".": _GROUPED.format(mark=",", point=r"\."),
    ",": _GROUPED.format(mark=r"\.", point=","),
}
_SPACES = r"(?<=\d)[\s'\u2019](?=\d{3}(?!\d))"  # between thousands; white space includes the narrow and the hard space


def read_numbers(
    path: Path, table: Frame, names: Sequence[str], notes: list[str], *, decimal: str | None = None
) -> Frame:
    """Convert columns of texts that are all numbers; other columns stay.

    Parameters
    ----------
    path : Path
        For messages.
    table : pandas.DataFrame
    names : sequence of str
        Columns; those that do not exist are left out.
    notes : list of str
        Gets a line where commas were read.
    decimal : {".", ","}, default=None
        None detects it.

    Returns
    -------
    table : pandas.DataFrame

    Raises
    ------
    FileFormatError
        If commas may separate decimals or thousands.
    """
    pandas = import_optional("pandas", extra="demo", purpose="load_interactions")
    for name in names:
        if name not in table.columns or pandas.api.types.is_numeric_dtype(table[name]):
            continue
        values = table[name].dropna()
        if not all(isinstance(value, str) for value in values):
            continue
        texts = values.str.strip().str.replace(_SPACES, "", regex=True)
        sign = decimal or _decimal_of(path, name, texts)
        if sign is None or not _fits(texts, sign).all():
            continue  # texts, which who needs numbers reports
        if texts.str.contains(",", regex=False).any():
            meaning = "decimal commas" if sign == "," else "separators of thousands"
            notes.append(f"{path.name}: the commas in {name!r} were read as {meaning} (change it with --decimal)")
        texts = texts.str.replace("." if sign == "," else ",", "", regex=False).str.replace(",", ".", regex=False)
        table = table.assign(**{name: texts.astype("float64").reindex(table.index)})
    return table


def _fits(texts: Any, sign: str) -> Any:
    fits = texts.str.fullmatch(_FORMS[sign])
    return fits | texts.str.fullmatch(_PLAIN) if sign == "." else fits


def _decimal_of(path, name, texts):
    """Return the decimal sign of a column; None where its texts are no numbers."""
    fitting = [sign for sign in _FORMS if _fits(texts, sign).all()]
    with_comma = texts[texts.str.contains(",", regex=False)]
    if len(fitting) == 2 and len(with_comma):
        raise FileFormatError(
            f"{path}: the column {name!r} holds {with_comma.iloc[0]!r} and the like, whose commas may separate "
            "decimals or thousands: say which with --decimal , or --decimal . (decimal= in Python)."
        )
    return fitting[0] if fitting else None
