"""Text without what is no text: markup, control characters, addresses of web pages and of people."""

import unicodedata
from functools import partial

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, TransformerMixin

from skllmrec._format import VersionedStateMixin
from skllmrec._sklearn import StrOptions, fit_context, is_frame
from skllmrec.preprocessing import _cleaning, _dirt
from skllmrec.preprocessing._columns import OwnContainerMixin, listed, with_column

_BLOCK_CHARS = 1 << 20  # so many characters are joined and cleaned at once; more would take more memory, not less time


def _blocks(texts):
    """Cut a list of texts where enough characters have come together."""
    ends = np.cumsum(np.fromiter(map(len, texts), dtype=np.int64, count=len(texts)))
    start = 0
    while start < len(texts):
        done = ends[start - 1] if start else 0
        stop = int(np.searchsorted(ends, done + _BLOCK_CHARS, side="right")) + 1
        yield texts[start:stop]
        start = stop


def _join(texts, replacement):
    """Join texts by a character that neither they nor the replacement hold; None in its place where there is none."""
    for separator in _cleaning.SEPARATORS:
        joined = separator.join(texts)
        if joined.count(separator) == len(texts) - 1 and separator not in replacement:
            return joined, separator
    return "".join(texts), None


def _check_strings(texts):
    """Raise for the first text that is no str."""
    for position, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(
                f"TextCleaner: the text at position {position} is {text!r:.60} ({type(text).__name__}): fill "
                "missing texts with '' first, convert other values with astype(str), or pass a table with columns"
            )


class TextCleaner(OwnContainerMixin, TransformerMixin, VersionedStateMixin, BaseEstimator, auto_wrap_output_keys=None):
    r"""Clean texts: markup, control characters, addresses, repeated punctuation, white space.

    Every step knows signs and characters only, no language, and can be switched off. Nothing is learned from the
    data: `fit` only checks the parameters. The steps in their order:

    ===============  =========================================================================================
    `html`           comments, scripts, styles and the tags of HTML; "a<b and c>d" stays
    `entities`       ``&amp;``, ``&#39;``; tags that only now come to light are removed as well
    `normal_form`    one way to write each character
    `control`        control characters, marks of direction, zero-width space, soft hyphen, byte order mark, lone
                     surrogates; the zero-width joiner stays, since emoji, Persian and Hindi need it
    `urls`           ``https://...``, ``www. ...``
    `emails`         e-mail addresses
    `ips`            addresses of computers, version 4 and 6
    `phones`         numbers with a country code, brackets around an area code, 3-3-4 digits, Chinese mobile
                     numbers; plain numbers, years and ISBN stay
    `punctuation`    "!!!" becomes "!", "-----" becomes "-", "......" becomes "..."
    `lowercase`      all letters small
    `spaces`         runs of white space become one space, none at the ends
    ===============  =========================================================================================

    Parameters
    ----------
    html, entities : bool, default=True
        Whether to take these steps.
    normal_form : {"NFC", "NFKC", "NFD", "NFKD"} or None, default="NFC"
        Unicode normal form. "NFKC" also makes full-width letters, ligatures and superscripts plain.
    control, urls, emails, ips, phones, punctuation : bool, default=True
        Whether to take these steps.
    lowercase : bool, default=False
        Whether to make letters small; models of cased text lose by it.
    spaces : bool, default=True
        Whether to take this step.
    replacement : str, default=" "
        What stands for an address or a number taken out, e.g. ``"[private]"``.

    See Also
    --------
    skllmrec.preprocessing.TextTemplate : Joins several columns into one text.

    Notes
    -----
    Text is cleaned in blocks: the bytes tell which texts can hold a kind of dirt at all, and only those are searched
    for it, joined, so that short texts cost what their characters cost.

    Names and addresses of streets are not found: scrubbing here takes away what has a form of its own, and is no
    anonymisation.

    Examples
    --------
    >>> from skllmrec.preprocessing import TextCleaner
    >>> TextCleaner().transform(["<p>Tom &amp; Jerry</p>", "Wow!!!  Ask bob@mail.example\n now", "a < b"])
    array(['Tom & Jerry', 'Wow! Ask now', 'a < b'], dtype=object)
    >>> TextCleaner(replacement="[private]").transform(["call +49 30 1234567"])
    array(['call [private]'], dtype=object)
    """

    _parameter_constraints = {
        **{step: ["boolean"] for step in ("html", "entities", "control", "urls", "emails", "ips", "phones")},
        **{step: ["boolean"] for step in ("punctuation", "lowercase", "spaces")},
        "normal_form": [StrOptions({"NFC", "NFKC", "NFD", "NFKD"}), None],
        "replacement": [str],
    }

    def __init__(
        self, *, html=True, entities=True, normal_form="NFC", control=True, urls=True, emails=True, ips=True,
        phones=True, punctuation=True, lowercase=False, spaces=True, replacement=" ",
    ):  # fmt: skip
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

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Check the parameters.

        Parameters
        ----------
        X : object
            Ignored.
        y : object, default=None
            Ignored.

        Returns
        -------
        self : TextCleaner

        Raises
        ------
        ValueError
            If a parameter is not valid.
        """
        return self

    @fit_context(prefer_skip_nested_validation=True)
    def _check_parameters(self):
        """Raise for parameters that are not valid: `transform` may come without `fit`."""

    def transform(self, X):
        """Clean each text.

        Parameters
        ----------
        X : array-like of shape (n_texts,), or frame or array of shape (n_rows, n_columns)
            Texts, or a table: its texts are cleaned, all other values (numbers, None, NaN) stay as they are.

        Returns
        -------
        ndarray of shape (n_texts,), dtype object, or the kind of table that X is
            A frame keeps its library, index and names; columns without texts are handed on as they are.

        Raises
        ------
        ValueError
            If a parameter is not valid, or X has more than two dimensions.
        TypeError
            If X is sparse, a single str, or a text is missing or no str.
        """
        self._check_parameters()
        if issparse(X) or isinstance(X, (str, bytes)):
            raise TypeError(f"TextCleaner takes one text per row or a table, but got {type(X).__name__}")
        if is_frame(X):
            return self._clean_frame(X)
        values = X if hasattr(X, "shape") else np.array(list(X), dtype=object)
        if len(values.shape) > 2:
            raise ValueError(f"TextCleaner takes one text per row or a table, but got shape {values.shape}")
        if len(values.shape) == 1:
            return self._clean_texts(listed(values))
        return np.column_stack([self._clean_column(listed(column)) for column in np.asarray(values, dtype=object).T])

    def _clean_frame(self, X):
        """Return the frame with the columns that hold texts cleaned."""
        for name in list(X.columns):
            values = listed(X[name])
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
        """Take all steps on texts that fit into memory together."""
        joined, separator = _join(texts, self.replacement)
        if separator is None and len(texts) > 1:
            return [text for one in texts for text in self._clean_block([one])]
        return self._take_steps(texts, joined, separator)

    def _take_steps(self, texts, joined, separator):
        """Take all steps, each on the texts that may need it; a single text needs no separator.

        A text that one step changed may need any of the later ones; for the others the bytes they came with tell.
        """
        texts = np.array([*texts, None], dtype=object)[:-1]  # None keeps numpy from choosing another type
        joined = _dirt.JoinedTexts(joined, separator)
        changed = np.zeros(len(texts), dtype=bool)
        for clean, may_need_it in self._steps(separator):
            rows = np.flatnonzero(changed | may_need_it(joined))
            if len(rows):
                before = texts[rows]
                cleaned = clean((separator or "").join(before))
                texts[rows] = cleaned.split(separator) if separator else [cleaned]
                changed[rows] |= texts[rows] != before
        return list(map(str.strip, texts)) if self.spaces else texts.tolist()

    def _steps(self, separator):
        """Return (function, which texts may need it) of each step that is switched on."""
        put = self.replacement.replace("\\", r"\\")
        steps = [
            (self.html, _cleaning.remove_html, _dirt.with_tags),
            (self.entities, _cleaning.resolve_entities, _dirt.with_entities),
            (self.html and self.entities, _cleaning.remove_html, _dirt.nowhere),
            (self.normal_form, partial(unicodedata.normalize, self.normal_form), _dirt.beyond_ascii),
            (self.control, partial(_cleaning.remove_control, separator=separator), _dirt.with_control),
            (self.urls, partial(_cleaning.URL.sub, put), _dirt.with_urls),
            (self.emails, partial(_cleaning.EMAIL.sub, put), _dirt.with_emails),
            (self.ips, partial(_cleaning.IP.sub, put), _dirt.with_ips),
            (self.phones, partial(_cleaning.PHONE.sub, put), _dirt.with_phones),
            (self.punctuation, _cleaning.shorten_punctuation, _dirt.with_runs),
            (self.lowercase, str.lower, _dirt.everywhere),
            (self.spaces, partial(_cleaning.SPACES.sub, " "), _dirt.with_spaces),
        ]
        return [(clean, may_need_it) for wanted, clean, may_need_it in steps if wanted]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.allow_nan = True
        tags.requires_fit = False
        return tags
