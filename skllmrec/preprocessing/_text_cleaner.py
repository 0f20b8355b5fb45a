"""TextCleaner: removes markup, control characters and addresses from texts."""

import unicodedata
from collections.abc import Iterator
from functools import partial
from typing import Any, Literal, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from skllmrec._format import VersionedStateMixin
from skllmrec._sklearn import StrOptions, all_or_nothing, fit_context, is_frame
from skllmrec.preprocessing import _cleaning, _dirt
from skllmrec.preprocessing._columns import OwnContainerMixin, check_columns, checked_table, to_list, with_column

_BLOCK_CHARS = 1 << 20  # characters that are joined and cleaned together; more would need memory and save no time


def _blocks(texts):
    """Split a list of texts into blocks of about `_BLOCK_CHARS` characters."""
    ends = np.cumsum(np.fromiter(map(len, texts), dtype=np.int64, count=len(texts)))
    start = 0
    while start < len(texts):
        n_before = ends[start - 1] if start else 0
        stop = int(np.searchsorted(ends, n_before + _BLOCK_CHARS, side="right")) + 1
        yield texts[start:stop]
        start = stop


def _join(texts, replacement):
    """Join texts by a character that is in none of them nor in the replacement; return it too, or None."""
    for separator in _cleaning.SEPARATORS:
        joined = separator.join(texts)
        if joined.count(separator) == len(texts) - 1 and separator not in replacement:
            return joined, separator
    return "".join(texts), None


def _check_column(X):
    """Raise an error for a single column of numbers: it holds no text."""
    if getattr(X.dtype, "kind", "O") in "biuf":
        raise ValueError(
            f"TextCleaner takes texts, or a table, but got one dimension of numbers ({X.dtype}): convert them with "
            "astype(str). Reshape your data if it is a table: X.reshape(-1, 1) if it is one column, X.reshape(1, -1) "
            "if it is one row"
        )


def _check_strings(texts):
    """Raise an error for the first text that is not a str."""
    for position, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(
                f"TextCleaner: the text at position {position} is {text!r:.60} ({type(text).__name__}): fill "
                "missing texts with '' first, convert other values with astype(str), or pass a table with columns"
            )


class TextCleaner(OwnContainerMixin, TransformerMixin, VersionedStateMixin, BaseEstimator):
    r"""Remove markup, control characters, addresses, repeated punctuation and white space from texts.

    It is a transformer of single texts: each row is cleaned on its own, and `transform` needs no `fit`. It takes a
    column of texts, as ``TfidfVectorizer`` does, or a table, in which columns without texts are not changed.

    Every step works on characters, in any language, and can be switched off. The steps are, in this order:

    ===============  =========================================================================================
    `html`           removes comments, scripts, styles and the tags of HTML; "a<b and c>d" is kept
    `entities`       resolves ``&amp;``, ``&#39;``; tags that were written with entities are removed as well
    `normal_form`    brings equivalent characters to one Unicode normal form
    `control`        removes control characters, directional marks, zero-width space, soft hyphen, byte order mark,
                     lone surrogates; the zero-width joiner is kept, since emoji, Persian and Hindi need it
    `urls`           replaces ``https://...``, ``www. ...``
    `emails`         replaces e-mail addresses
    `ips`            replaces IP addresses, version 4 and 6; off by default, since names and versions look alike
                     (the band "1.2.3.4", "macOS 10.4.1.2")
    `phones`         replaces telephone numbers with a country code, brackets around an area code, or 3-3-4 digits,
                     and Chinese mobile numbers; plain numbers, years, counts and ISBN are kept
    `punctuation`    shortens "!!!" to "!", "-----" to "-", "......" to "..."
    `lowercase`      converts all letters to lower case
    `spaces`         replaces runs of white space by one space, and strips the text
    ===============  =========================================================================================

    Parameters
    ----------
    html, entities : bool, default=True
        Whether to apply these steps.
    normal_form : {"NFC", "NFKC", "NFD", "NFKD"} or None, default="NFC"
        Unicode normal form. "NFKC" also replaces full-width letters, ligatures and superscripts by plain characters.
    control, urls, emails : bool, default=True
        Whether to apply these steps.
    ips : bool, default=False
        Whether to apply this step.
    phones, punctuation : bool, default=True
        Whether to apply these steps.
    lowercase : bool, default=False
        Whether to convert to lower case; this loses information for models of cased text.
    spaces : bool, default=True
        Whether to apply this step.
    replacement : str, default=" "
        Text that replaces an address or a number, e.g. ``"[private]"``.

    Attributes
    ----------
    n_features_in_ : int
        Number of columns seen by `fit`, if X was a table.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns seen by `fit`, if X was a frame and all of them are strings.

    See Also
    --------
    skllmrec.preprocessing.TextTemplate : Joins several columns into one text.

    Notes
    -----
    Texts are joined to blocks. For each step, a search of the bytes finds the texts that the step may change, and a
    regular expression is applied to these only.

    Names and postal addresses are not found: only what has a fixed format is removed. This is not an anonymisation.

    A text that is nothing but a URL, an IP address, a telephone number without a country code, or punctuation is kept
    as it is, since it is then the name of something (the band "!!!", the song "1-800-273-8255"). A `replacement` that
    can be seen is put in its place nevertheless.

    Examples
    --------
    >>> from skllmrec.preprocessing import TextCleaner
    >>> TextCleaner().transform(["<p>Tom &amp; Jerry</p>", "Wow!!!  Ask bob@mail.example\n now", "a < b"])
    array(['Tom & Jerry', 'Wow! Ask now', 'a < b'], dtype=object)
    >>> TextCleaner(replacement="[private]").transform(["call +49 30 1234567"])
    array(['call [private]'], dtype=object)
    >>> TextCleaner().transform(["1.2.3.4", "(500) Days of Summer", "!!!", "will.i.am", "Blink-182"])
    array(['1.2.3.4', '(500) Days of Summer', '!!!', 'will.i.am', 'Blink-182'],
          dtype=object)
    """

    _parameter_constraints = {
        **{step: ["boolean"] for step in ("html", "entities", "control", "urls", "emails", "ips", "phones")},
        **{step: ["boolean"] for step in ("punctuation", "lowercase", "spaces")},
        "normal_form": [StrOptions({"NFC", "NFKC", "NFD", "NFKD"}), None],
        "replacement": [str],
    }

    def __init__(
        self,
        *,
        html: bool = True,
        entities: bool = True,
        normal_form: Literal["NFC", "NFKC", "NFD", "NFKD"] | None = "NFC",
        control: bool = True,
        urls: bool = True,
        emails: bool = True,
        ips: bool = False,
        phones: bool = True,
        punctuation: bool = True,
        lowercase: bool = False,
        spaces: bool = True,
        replacement: str = " ",
    ) -> None:
        self.html = html
        self.entities = entities
        self.normal_form = normal_form
        self.control = control
        self.urls = urls
        self.emails = emails
        self.ips = ips
        self.phones = phones
        self.punctuation = punctuation
        self.lowercase = lowercase
        self.spaces = spaces
        self.replacement = replacement

    @all_or_nothing
    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: object = None) -> Self:
        """Check the parameters and X; nothing is learned.

        Parameters
        ----------
        X : array-like of shape (n_texts,), or frame or array of shape (n_rows, n_columns)
            Texts, or a table; see `transform`.
        y : object, default=None
            Ignored.

        Returns
        -------
        self : TextCleaner

        Raises
        ------
        ValueError
            If a parameter is not valid, X is a single column of numbers, or a table without rows or columns, with
            complex numbers or with more than two dimensions.
        TypeError
            If X is sparse or a single str.
        """
        for name in ("n_features_in_", "feature_names_in_"):
            self.__dict__.pop(name, None)  # an earlier fit may have seen a table
        if isinstance(X, Iterator):
            return self  # it can be read only once, by `transform`
        X = checked_table(X, "TextCleaner")
        if len(X.shape) == 1:
            _check_column(X)
        else:
            check_columns(self, X, reset=True)
        return self

    @fit_context(prefer_skip_nested_validation=True)
    def _check_parameters(self):
        """Raise an error for invalid parameters, since `transform` does not require `fit`."""

    def transform(self, X: Any) -> Any:
        """Clean each text.

        Parameters
        ----------
        X : array-like of shape (n_texts,), or frame or array of shape (n_rows, n_columns)
            Texts, or a table, of which the texts are cleaned and all other values (numbers, None, NaN) are kept.

        Returns
        -------
        ndarray of shape (n_texts,), dtype object, or a table like X
            A frame keeps its library, index and names; columns without texts are not changed. An array of numbers is
            copied.

        Raises
        ------
        ValueError
            If a parameter is not valid, or X is a single column of numbers, an array with another number of columns
            than the one seen by `fit`, or has more than two dimensions.
        TypeError
            If X is sparse, a single str, or a text is missing or not a str.
        """
        self._check_parameters()
        X = checked_table(X, "TextCleaner")
        if len(X.shape) == 1:
            _check_column(X)
            return self._clean_texts(to_list(X))
        check_columns(self, X, reset=False)
        if is_frame(X):
            return self._clean_frame(X)
        if X.dtype.kind not in "OUST":
            return np.array(X)
        return np.column_stack([self._clean_column(to_list(column)) for column in np.asarray(X, dtype=object).T])

    def _clean_frame(self, X):
        """Clean the columns of a frame that hold texts."""
        for name in list(X.columns):
            values = to_list(X[name])
            if any(isinstance(value, str) for value in values):
                X = with_column(X, name, self._clean_column(values))
        return X

    def _clean_column(self, values):
        """Clean the texts of a column of mixed values."""
        column = np.empty(len(values), dtype=object)
        column[:] = values
        texts = np.array([isinstance(value, str) for value in values], dtype=bool)
        column[texts] = self._clean_texts([value for value in values if isinstance(value, str)])
        return column

    def _clean_texts(self, texts):
        """Clean a list of str, block by block."""
        if not set(map(type, texts)) <= {str, np.str_}:
            _check_strings(texts)
        cleaned = np.empty(len(texts), dtype=object)
        cleaned[:] = [text for block in _blocks(texts) for text in self._clean_block(block)]
        return cleaned

    def _clean_block(self, texts):
        """Clean the texts of one block; one by one if no separator is free."""
        joined, separator = _join(texts, self.replacement)
        if separator is None and len(texts) > 1:
            return [text for one in texts for text in self._clean_block([one])]
        return self._apply_steps(texts, _dirt.JoinedTexts(joined, separator), separator)

    def _apply_steps(self, texts, joined, separator):
        """Apply all steps, each to the texts that it may change; a single text needs no separator.

        `joined` holds the original texts. Texts that an earlier step has changed are therefore included in every step.
        """
        texts = np.array([*texts, None], dtype=object)[:-1]  # None keeps numpy from choosing another dtype
        changed = np.zeros(len(texts), dtype=bool)
        for clean, may_change in self._steps(separator):
            rows = np.flatnonzero(changed | may_change(joined))
            if len(rows):
                before = texts[rows]
                cleaned = clean((separator or "").join(before))
                texts[rows] = cleaned.split(separator) if separator else [cleaned]
                changed[rows] |= texts[rows] != before
        return list(map(str.strip, texts)) if self.spaces else texts.tolist()

    def _steps(self, separator):
        """Return a pair for each step that is switched on: the function, and the mask of texts it may change."""
        steps = [
            (self.html, _cleaning.remove_html, _dirt.with_tags),
            (self.entities, _cleaning.resolve_entities, _dirt.with_entities),
            (self.html and self.entities, _cleaning.remove_html, _dirt.no_texts),
            (self.normal_form, partial(unicodedata.normalize, self.normal_form), _dirt.with_non_ascii),
            (self.control, partial(_cleaning.remove_control, separator=separator), _dirt.with_control),
            (self.urls, self._replaced(_cleaning.URL, separator), _dirt.with_urls),
            (self.emails, self._replaced(_cleaning.EMAIL, separator), _dirt.with_emails),
            (self.ips, self._replaced(_cleaning.IP, separator), _dirt.with_ips),
            (self.phones, self._replaced(_cleaning.PHONE, separator), _dirt.with_phones),
            (self.punctuation, partial(_cleaning.shorten_punctuation, separator=separator), _dirt.with_runs),
            (self.lowercase, str.lower, _dirt.all_texts),
            (self.spaces, partial(_cleaning.SPACES.sub, " "), _dirt.with_spaces),
        ]
        return [(clean, may_change) for wanted, clean, may_change in steps if wanted]

    def _replaced(self, pattern, separator):
        return partial(_cleaning.replace, pattern, self.replacement, separator=separator)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.allow_nan = True
        tags.requires_fit = False
        return tags
