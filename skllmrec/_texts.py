"""One column of texts, from whatever container it comes in, as a whole or block by block."""

from collections.abc import Iterator, Mapping, Set

import numpy as np

# A block of texts is encoded at once: the larger it is, the better its texts sort into batches of one length, the more
# memory it takes, and the more is lost when the process is killed. In films' descriptions cut into blocks of this size
# the model sees 0.5 % more padding and batches than in the whole catalogue sorted (1 % at half the size).
BLOCK_TEXTS = 8_192
BLOCK_CHARS = 1 << 22

_SLICE = 1 << 16  # rows of a container that are looked at together
_MISSING_REMEDY = "fill missing texts with '' first (pandas: column.fillna(''), polars: column.fill_null(''))"


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


def _as_it_is_written(text):
    """Return the characters of a str, whatever its class makes of them (np.str_, an Enum of texts)."""
    return text if type(text) is str else str.__str__(text)


def _describe(value):
    return f"{value!r:.60} ({type(value).__name__}): {_remedy(value)}"


def _surrogate(name, position, where, value):
    return ValueError(
        f"{name}: the text at position {position}{where}, {value!r:.60}, is not valid Unicode (a lone surrogate): "
        "repair it, e.g. with text.encode('utf-8', 'replace').decode()"
    )


def _no_texts(name):
    return ValueError(f"Found no texts (shape=(0,)) while a minimum of 1 is required by {name}.")


def _refuse_what_is_no_column(texts, name):
    """Raise for what has no order or no rows.

    Raises
    ------
    ValueError
        If it is a single string, or no array, Series or frame.
    """
    if isinstance(texts, (str, bytes)):
        kind = type(texts).__name__
        raise ValueError(f"{name} takes one text per row, but got a single {kind} {texts[:40]!r}: put it in a list")
    if texts is None or isinstance(texts, (Mapping, Set)) or not hasattr(texts, "__array__"):
        raise ValueError(
            f"{name} takes a list, array, Series, one-column frame or iterator of texts, but got "
            f"{type(texts).__name__}: pass a sequence that has an order, e.g. list(texts)"
        )


def _with_shape(texts):
    """Return a container that knows its number of rows: itself, or an array of it."""
    shape = getattr(texts, "shape", None)
    known = isinstance(shape, tuple) and shape and isinstance(shape[0], int)
    return texts if known else np.asarray(texts, dtype=object)


def _label_of(texts, name):
    """Name of the only column, where it has one.

    Raises
    ------
    ValueError
        If there are several columns, or none.
    """
    if len(texts.shape) == 1:
        return getattr(texts, "name", None)
    labels = list(texts.column_names if hasattr(type(texts), "column_names") else getattr(texts, "columns", ()))
    if len(texts.shape) == 2 and texts.shape[1] == 1:
        return labels[0] if labels else None
    columns = f" with columns {labels}" if labels else ""
    raise ValueError(
        f"{name} takes one column of texts, but got shape {texts.shape}{columns}: select one column, or join several "
        'with TextTemplate, e.g. make_pipeline(TextTemplate("{title}. {genres}"), ...)'
    )


class _Column:
    """A column in any container that can be sliced; values are made Python objects a slice at a time."""

    def __init__(self, texts, name):
        self._name, self._texts, label = name, texts, None
        if isinstance(texts, (list, tuple)):
            self._size = len(texts)
        else:
            _refuse_what_is_no_column(texts, name)
            self._texts = _with_shape(texts)
            label = _label_of(self._texts, name)
            self._size = self._texts.shape[0]
        if self._size == 0:
            raise _no_texts(name)
        self._where = "" if label is None else f" in column {label!r}"

    def __len__(self):
        return self._size

    def _read(self, start, stop):
        """Rows as a 1-D object array; it may share memory with the container."""
        texts = self._texts
        if isinstance(texts, (list, tuple)):
            # np.array would look into nested sequences; fromiter takes every element as it is
            return np.fromiter(texts[start:stop], dtype=object)
        if hasattr(texts, "iloc"):
            part = texts.iloc[start:stop]
        elif hasattr(texts, "slice"):
            part = texts.slice(start, min(stop, self._size) - start)
        else:
            part = texts[start:stop]
        return np.asarray(part, dtype=object).reshape(-1)

    def _slices(self):
        """First position and values of one slice after another."""
        for start in range(0, self._size, _SLICE):
            yield start, self._read(start, start + _SLICE)

    def check(self):
        """Raise for what is not a text.

        Raises
        ------
        ValueError
            If a value is no str or no valid Unicode.
        """
        n_wrong, wrong, broken = 0, None, None  # position and value of the first that is no str, or no Unicode
        for start, values in self._slices():
            places = [place for place, value in enumerate(values) if not isinstance(value, str)]
            n_wrong += len(places)
            if places:
                wrong = wrong or (start + places[0], values[places[0]])
            elif broken is None:
                broken = next(((start + i, value) for i, value in enumerate(values) if not _is_unicode(value)), None)
        if wrong:
            raise ValueError(
                f"{self._name} takes texts only, but {n_wrong} of {self._size} values{self._where} "
                f"{'is not a string' if n_wrong == 1 else 'are not strings'}; the first, at position {wrong[0]}, "
                f"is {_describe(wrong[1])}"
            )
        if broken:
            raise _surrogate(self._name, broken[0], self._where, broken[1])

    def values(self):
        """One text after another; only after `check`."""
        for _, values in self._slices():
            yield from map(_as_it_is_written, values)


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
        The texts, every one a plain str.

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
    column = _Column(list(texts) if isinstance(texts, Iterator) else texts, name)
    column.check()
    return np.fromiter(column.values(), dtype=object, count=len(column))


def _checked(texts, name):
    """One text of an iterator after the other, checked as it comes.

    Raises
    ------
    ValueError
        If a value is no str or no valid Unicode.
    """
    for position, value in enumerate(texts):
        if not isinstance(value, str):
            raise ValueError(
                f"{name} takes texts only, but the value at position {position} of the iterator is {_describe(value)}"
            )
        if not _is_unicode(value):
            raise _surrogate(name, position, " of the iterator", value)
        yield _as_it_is_written(value)


def cut_blocks(texts):
    """Cut texts into blocks of limited size.

    Parameters
    ----------
    texts : iterable of str
        Any number of texts.

    Yields
    ------
    list of str
        At most `BLOCK_TEXTS` texts of together at most `BLOCK_CHARS` characters; a longer text is a block of its
        own. Where blocks end depends on the texts alone.

    Examples
    --------
    >>> from skllmrec._texts import cut_blocks
    >>> [len(block) for block in cut_blocks(["a film"] * 20_000)]
    [8192, 8192, 3616]
    """
    block, n_chars = [], 0
    for text in texts:
        if block and n_chars + len(text) > BLOCK_CHARS:
            yield block
            block, n_chars = [], 0
        block.append(text)
        n_chars += len(text)
        if len(block) == BLOCK_TEXTS:
            yield block
            block, n_chars = [], 0
    if block:
        yield block


def _at_least_one(blocks, name):
    empty = True
    for block in blocks:
        empty = False
        yield block
    if empty:
        raise _no_texts(name)


def text_blocks(texts, *, name):
    """Check a column of texts, as `check_texts` does, and cut it into blocks.

    A container is checked as a whole before the first block is handed out; it is never copied as a whole. The
    texts of an iterator are checked as they come.

    Parameters
    ----------
    texts : list, tuple, iterator, ndarray, Series or one-column frame of str
        One text per row.
    name : str
        Who asks, as the subject of the error messages.

    Returns
    -------
    blocks : iterator of list of str
        See `cut_blocks`.
    n_texts : int or None
        How many texts there are; None for an iterator.

    Raises
    ------
    ValueError
        As `check_texts` does, for an iterator while the blocks are taken; positions count from the first text.

    Examples
    --------
    >>> from skllmrec._texts import text_blocks
    >>> blocks, n_texts = text_blocks((f"film {number}" for number in range(20_000)), name="LLMTextEncoder")
    >>> [len(block) for block in blocks], n_texts
    ([8192, 8192, 3616], None)
    """
    if isinstance(texts, Iterator):
        return _at_least_one(cut_blocks(_checked(texts, name)), name), None
    column = _Column(texts, name)
    column.check()
    return cut_blocks(column.values()), len(column)
