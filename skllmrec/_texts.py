"""One column of texts, from whatever container it comes in, as a whole or block by block."""

from collections.abc import Iterable, Iterator

from skllmrec._inputs import Column, as_object_array
from skllmrec._inputs import cut_blocks as cut_input_blocks
from skllmrec._typing import Array, Texts

# A block of texts is encoded at once: the larger it is, the better its texts sort into batches of one length, the more
# memory it takes, and the more is lost when the process is killed. In films' descriptions cut into blocks of this size
# the model sees 0.5 % more padding and batches than in the whole catalogue sorted (1 % at half the size).
BLOCK_TEXTS = 8_192
BLOCK_CHARS = 1 << 22

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


def _as_plain_str(text):
    """Return the characters of a str, whatever its class makes of them (np.str_, an Enum of texts)."""
    return text if type(text) is str else str.__str__(text)


def _describe(value):
    return f"{value!r:.60} ({type(value).__name__}): {_remedy(value)}"


def _surrogate(name, position, where, value):
    return ValueError(
        f"{name}: the text at position {position}{where}, {value!r:.60}, is not valid Unicode (a lone surrogate): "
        "repair it, e.g. with text.encode('utf-8', 'replace').decode()"
    )


class TextColumn(Column):
    """A column of texts, checked as a whole.

    Parameters
    ----------
    texts : list, tuple, ndarray, Series or one-column frame of str
        One text per row.
    name : str
        Of the encoder, as the subject of the error messages.

    Raises
    ------
    ValueError
        If it is no column, or a value is no str or no valid Unicode.
    """

    remedy_for_several = (
        'select one column, or join several with TextTemplate, e.g. make_pipeline(TextTemplate("{title}. {genres}"), '
        "...)"
    )
    takes_stacks = False

    def __init__(self, texts: Texts, name: str) -> None:
        super().__init__(texts, name, "text")
        self._check()

    def __iter__(self) -> Iterator[str]:
        return map(_as_plain_str, super().__iter__())

    def _check(self):
        n_wrong, wrong, broken = 0, None, None  # position and value of the first that is no str, or no Unicode
        for start, values in self.slices():
            places = [place for place, value in enumerate(values) if not isinstance(value, str)]
            n_wrong += len(places)
            if places:
                wrong = wrong or (start + places[0], values[places[0]])
            elif broken is None:
                broken = next(((start + i, value) for i, value in enumerate(values) if not _is_unicode(value)), None)
        if wrong:
            raise ValueError(
                f"{self.name} takes texts only, but {n_wrong} of {len(self)} values{self.where} "
                f"{'is not a string' if n_wrong == 1 else 'are not strings'}; the first, at position {wrong[0]}, "
                f"is {_describe(wrong[1])}"
            )
        if broken:
            raise _surrogate(self.name, broken[0], self.where, broken[1])


def check_texts(texts: Texts, *, name: str) -> Array:
    """Check that the input is one column of texts and return it as an array of str.

    Parameters
    ----------
    texts : list, tuple, iterator, ndarray, Series or one-column frame of str
        One text per row: a NumPy array of shape (n,) or (n, 1), a pandas Series (dtype str, object or
        category), a polars Series, or a frame with one column. ``""`` is a text like any other.
    name : str
        Of the encoder, as the subject of the error messages, e.g. ``"LLMTextEncoder"``.

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
    column = TextColumn(list(texts) if isinstance(texts, Iterator) else texts, name)
    return as_object_array(column, len(column))


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
        yield _as_plain_str(value)


def cut_blocks(texts: Iterable[str]) -> Iterator[list[str]]:
    """Cut texts into blocks of limited size.

    Parameters
    ----------
    texts : iterable of str
        Any number of texts.

    Returns
    -------
    iterator of list of str
        At most `BLOCK_TEXTS` texts of together at most `BLOCK_CHARS` characters; a longer text is a block of its
        own. Where blocks end depends on the texts alone.

    Examples
    --------
    >>> from skllmrec._texts import cut_blocks
    >>> [len(block) for block in cut_blocks(["a film"] * 20_000)]
    [8192, 8192, 3616]
    """
    return cut_input_blocks(texts, most=BLOCK_TEXTS, most_size=BLOCK_CHARS, size_of=len)


def open_texts(texts: Texts, *, name: str) -> TextColumn | Iterator[str]:
    """Check a column of texts, as `check_texts` does, without copying it.

    Parameters
    ----------
    texts : list, tuple, iterator, ndarray, Series or one-column frame of str
        One text per row.
    name : str
        Of the encoder, as the subject of the error messages.

    Returns
    -------
    TextColumn or iterator of str
        A container is checked as a whole, and can be iterated over several times. The texts of an iterator are
        checked as they are taken.

    Raises
    ------
    ValueError
        As `check_texts` does, for an iterator while texts are taken; positions count from the first text.

    Examples
    --------
    >>> from skllmrec._texts import open_texts
    >>> column = open_texts(("a film", ""), name="LLMTextEncoder")
    >>> len(column), list(column)
    (2, ['a film', ''])
    >>> list(open_texts(iter(["a film", ""]), name="LLMTextEncoder"))
    ['a film', '']
    """
    return _checked(texts, name) if isinstance(texts, Iterator) else TextColumn(texts, name)
