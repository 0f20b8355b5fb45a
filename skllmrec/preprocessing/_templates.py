"""Parse text templates into fields, render values as text, and join the fields of a row."""

import re
from collections.abc import Sequence, Set
from string import Formatter
from typing import Any, NamedTuple

import numpy as np

from skllmrec._missing import is_missing

# the typographic brackets and quotes are intended, hence the noqa
_OPENING = '(\\[{«“‘"（【「『《〈'  # noqa: RUF001
_CLOSING = ')\\]}»”’"）】」』》〉'  # noqa: RUF001
# groups: closing of the left field; separator (without letters and opening brackets); label of the right field
_LITERAL = re.compile(rf"((?:['’]\w+|[{_CLOSING}])*)([^\w{_OPENING}]*)(.*)", re.DOTALL)  # noqa: RUF001


class TemplateField(NamedTuple):
    """A field of a template and the literal text that is rendered together with it."""

    column: str | int
    separator: str
    label: str
    closing: str


def _bad_template(template, why):
    return ValueError(
        f"The template {template!r} is not valid: {why}. A field is a column name or position in braces, as in "
        '"{title}. {genres}" or "{0}. {1}"; a literal brace is written twice.'
    )


def _split(template):
    """Split a template into its columns and the n + 1 literals around them.

    Parameters
    ----------
    template : str

    Returns
    -------
    columns : list of str or int
    literals : list of str

    Raises
    ------
    ValueError
        If the braces do not match or a field is not a plain column name or position.
    """
    columns, literals = [], [""]
    if not isinstance(template, str):
        raise _bad_template(template, f"it is a {type(template).__name__}, not a str")
    try:
        parts = list(Formatter().parse(template))
    except ValueError as error:
        raise _bad_template(template, str(error).lower()) from None
    for literal, name, spec, conversion in parts:
        literals[-1] += literal
        if name is None:
            continue
        if spec or conversion:
            raise _bad_template(template, f"the field {name!r} has a format or a conversion")
        if not name.strip():
            raise _bad_template(template, "a field has no name")
        columns.append(int(name) if name.isdecimal() else name)
        literals.append("")
    if not columns:
        raise _bad_template(template, "it has no field")
    return columns, literals


def parse_template(template: str) -> tuple[list[TemplateField], str]:
    """Parse a template into its fields, each with the literal text that belongs to it, and the text at its end.

    Parameters
    ----------
    template : str

    Returns
    -------
    fields : list of TemplateField
    ending : str
        Follows the last field that is present.

    Raises
    ------
    ValueError
        If the template is not valid.
    """
    columns, literals = _split(template)
    labels, separators, closings = [literals[0]], [""], []
    for literal in literals[1:]:
        match = _LITERAL.fullmatch(literal)
        assert match is not None  # noqa: S101 - the expression matches every text
        closing, separator, label = match.groups()
        closings.append(closing)
        separators.append(separator)
        labels.append(label)
    ending = separators.pop() + labels.pop()
    fields = [TemplateField(*field) for field in zip(columns, separators, labels, closings, strict=True)]
    return fields, ending


def _is_list(value):
    if isinstance(value, np.ndarray):
        return value.ndim > 0
    return isinstance(value, (list, tuple, Set)) or hasattr(value, "to_list")


def render_value(value: Any) -> str:
    """Render one value as text: a missing one as "", 1995.0 as "1995", a list as its elements joined by ", ".

    Parameters
    ----------
    value : object
        A str, a number, a list-like of values, a missing value, or any object that ``str`` converts.

    Returns
    -------
    str
        The text without leading and trailing white space.

    Raises
    ------
    TypeError
        If the value is bytes, whose encoding is unknown.
    """
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bytes):
        raise TypeError(f"{value!r} is bytes, not text: decode the column first, e.g. with .str.decode('utf-8')")
    if _is_list(value):
        texts = [text for text in map(render_value, value) if text]
        # the elements of a set have no order, so they are sorted
        return ", ".join(sorted(texts) if isinstance(value, Set) else texts)
    if is_missing(value):
        return ""
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value).strip()


def join_fields(texts: Sequence[str], fields: Sequence[TemplateField], ending: str) -> str:
    """Join the rendered fields of one row by the rules of `TextTemplate`.

    Parameters
    ----------
    texts : sequence of str
        One text per field, "" where it is missing.
    fields : sequence of TemplateField
    ending : str

    Returns
    -------
    str
        "" where every field is missing.
    """
    text = ""
    for value, field in zip(texts, fields, strict=True):
        if value:
            text += (field.separator if text else "") + field.label + value + field.closing
    return text + ending if text else ""
