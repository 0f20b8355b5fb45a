"""The language of text templates: what a field owns, how a value is written, how the parts are joined."""

import re
from collections.abc import Set
from string import Formatter
from typing import NamedTuple

import numpy as np

from skllmrec._missing import is_missing

# typographic brackets and quotes are meant as such
_OPENING = '(\\[{«“‘"（【「『《〈'  # noqa: RUF001
_CLOSING = ')\\]}»”’"）】」』》〉'  # noqa: RUF001
# what closes the left field; separator (no letter, no opening bracket); label of the right field
_LITERAL = re.compile(rf"((?:['’]\w+|[{_CLOSING}])*)([^\w{_OPENING}]*)(.*)", re.DOTALL)  # noqa: RUF001


class _Field(NamedTuple):
    """A field and the literal text that stays or goes with it."""

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


def parse_template(template):
    """Parse a template into its fields, each with the literal text it owns, and the text at its end.

    Parameters
    ----------
    template : str

    Returns
    -------
    fields : list of _Field
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
        closing, separator, label = _LITERAL.fullmatch(literal).groups()
        closings.append(closing)
        separators.append(separator)
        labels.append(label)
    ending = separators.pop() + labels.pop()
    fields = [_Field(*field) for field in zip(columns, separators, labels, closings, strict=True)]
    return fields, ending


def _is_list(value):
    if isinstance(value, np.ndarray):
        return value.ndim > 0
    return isinstance(value, (list, tuple, Set)) or hasattr(value, "to_list")


def render_value(value):
    """Render one value as text: missing as "", 1995.0 as "1995", a list as its members joined by ", ".

    Parameters
    ----------
    value : object
        A str, a number, a list-like of values, a missing value, or anything that has a str().

    Returns
    -------
    str
        Without white space at its ends.

    Raises
    ------
    TypeError
        If the value is bytes: they have no text without an encoding.
    """
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bytes):
        raise TypeError(f"{value!r} is bytes, not text: decode the column first, e.g. with .str.decode('utf-8')")
    if _is_list(value):
        texts = [text for text in map(render_value, value) if text]
        # a set has no order of its own, its text must have one
        return ", ".join(sorted(texts) if isinstance(value, Set) else texts)
    if is_missing(value):
        return ""
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value).strip()


def join_fields(texts, fields, ending):
    """Join one row's rendered fields by the rule of `TextTemplate`.

    Parameters
    ----------
    texts : sequence of str
        One text per field, "" where it is missing.
    fields : sequence of _Field
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
