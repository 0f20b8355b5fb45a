"""One column of texts, from whatever container it comes in."""

from collections.abc import Iterator, Mapping, Set

import numpy as np

_MISSING_REMEDY = "fill missing texts with '' first (pandas: column.fillna(''), polars: column.fill_null(''))"


def _as_column(texts, name):
    """Values as a 1-D object array, and the label of the column where the container has one."""
    if isinstance(texts, (list, tuple, Iterator)):
        # np.array would look into nested sequences; fromiter takes every element as it is
        return np.fromiter(texts, dtype=object), None
    if texts is None or isinstance(texts, (Mapping, Set)) or not hasattr(texts, "__array__"):
        raise ValueError(
            f"{name} takes a list, array, Series or one-column frame of texts, but got {type(texts).__name__}: "
            "pass a sequence that has an order, e.g. list(texts)"
        )
    values = np.asarray(texts, dtype=object)
    if values.ndim == 1:
        return values, getattr(texts, "name", None)
    labels = list(getattr(texts, "columns", ()))
    if values.ndim == 2 and values.shape[1] == 1:
        return values[:, 0], *(labels or [None])
    columns = f" with columns {labels}" if labels else ""
    raise ValueError(
        f"{name} takes one column of texts, but got shape {values.shape}{columns}: select one column, or join several "
        'with TextTemplate, e.g. make_pipeline(TextTemplate("{title}. {genres}"), ...)'
    )


def _remedy(value):
    if isinstance(value, bytes):
        return "decode bytes first, e.g. value.decode('utf-8')"
    if value is None or isinstance(value, float) or type(value).__name__ in ("NAType", "NaTType"):
        return _MISSING_REMEDY
    return "convert the column to text first, e.g. with astype(str)"


def _is_unicode(text):
    """Whether the text can be written as UTF-8; a lone surrogate cannot."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_texts(texts, *, name):
    """Check that the input is one column of texts and return it as an array of str.

    Parameters
    ----------
    texts : list, tuple, iterator, ndarray, Series or one-column frame of str
        One text per row: a NumPy array of shape (n,) or (n, 1), a pandas Series (dtype str, object or
        category), a polars Series, or a frame with one column. ``""`` is a text like any other.
    name : str
        Who asks, as the subject of the error messages, e.g. ``"LLMTextEncoder"``.

    Returns
    -------
    ndarray of shape (n,), dtype object
        The texts, every one a str; it may share memory with the input.

    Raises
    ------
    ValueError
        If the input is a single string or no sequence at all, has no rows, has more than one column, or holds
        anything that is not a valid string (None, NaN, pd.NA, bytes, numbers, lone surrogates); the message
        names column, position, value and remedy.

    Examples
    --------
    >>> from skllmrec._texts import check_texts
    >>> check_texts(("a film", ""), name="LLMTextEncoder")
    array(['a film', ''], dtype=object)
    >>> check_texts(["a film", None], name="LLMTextEncoder")
    Traceback (most recent call last):
    ...
    ValueError: LLMTextEncoder takes texts only, but 1 of 2 values is not a string; the first, at position 1,
    is None (NoneType): fill missing texts with '' first (pandas: ...
    """
    if isinstance(texts, (str, bytes)):
        raise ValueError(
            f"{name} takes one text per row, but got a single {type(texts).__name__} {texts[:40]!r}: put it in a list"
        )
    values, column = _as_column(texts, name)
    if len(values) == 0:
        raise ValueError(f"Found no texts (shape=(0,)) while a minimum of 1 is required by {name}.")
    where = "" if column is None else f" in column {column!r}"
    wrong = [position for position, value in enumerate(values) if not isinstance(value, str)]
    if wrong:
        value = values[wrong[0]]
        raise ValueError(
            f"{name} takes texts only, but {len(wrong)} of {len(values)} values{where} "
            f"{'is not a string' if len(wrong) == 1 else 'are not strings'}; the first, at position {wrong[0]}, "
            f"is {value!r:.60} ({type(value).__name__}): {_remedy(value)}"
        )
    for position, value in enumerate(values):
        if not _is_unicode(value):
            raise ValueError(
                f"{name}: the text at position {position}{where}, {value!r:.60}, is not valid Unicode (a lone "
                "surrogate): repair it, e.g. with text.encode('utf-8', 'replace').decode()"
            )
    return values
