"""TextAnalyzer: splits texts in every script into tokens for TF-IDF."""

import logging
import re
import unicodedata
import warnings
from contextlib import suppress
from functools import lru_cache
from importlib.util import find_spec
from itertools import pairwise
from typing import Any, Literal, NamedTuple

from sklearn.base import BaseEstimator
from sklearn.feature_extraction.text import CountVectorizer

from skllmrec._format import VersionedStateMixin
from skllmrec._optional import import_optional
from skllmrec.datasets import get_data_home

# code points of the scripts that are written without spaces between words, and of Hangul
_HAN_KANA = [
    (0x3005, 0x3007),
    (0x3021, 0x3029),
    (0x3031, 0x3035),
    (0x3041, 0x309F),
    (0x30A1, 0x30FA),
    (0x30FC, 0x312F),
    (0x31A0, 0x31BF),
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0xFF66, 0xFF9F),
    (0x1AFF0, 0x1B16F),
    (0x20000, 0x323AF),
]
_HANGUL = [(0x1100, 0x11FF), (0x3131, 0x318E), (0xA960, 0xA97F), (0xAC00, 0xD7FF), (0xFFA0, 0xFFDC)]
_SOUTH_EAST_ASIAN = [
    (0x0E00, 0x0EFF),
    (0x0F00, 0x0FFF),
    (0x1000, 0x109F),
    (0x1780, 0x17FF),
    (0x1950, 0x19FF),
    (0x1A20, 0x1AAF),
    (0x1B00, 0x1B7F),
    (0xA980, 0xA9FF),
    (0xAA60, 0xAADF),
]
_FULL_WIDTH = "\uff01-\uff5e"
_VARIATION_SELECTORS = "\ufe00-\ufe0f\U000e0100-\U000e01ef"
_LAST_MARK = 0x1E94F  # the last of Unicode's combining marks except variation selectors

# all characters but Latin, Greek, Cyrillic, Armenian, punctuation and common symbols: a fast first test
_UNCOMMON = re.compile("[^\x00-\u02ff\u0370-\u0482\u048a-\u0588\u1e00-\u1eff\u2000-\u20cf\u2100-\u2bff]")


class _Patterns(NamedTuple):
    """Compiled patterns over the Unicode tables of this Python."""

    special: re.Pattern[str]  # characters that the default token pattern of scikit-learn does not handle
    token: re.Pattern[str]  # a run of characters of a script without spaces, or a word
    unit: re.Pattern[str]  # a letter with its combining marks
    kana: re.Pattern[str]


def _ranges(codes):
    """Write sorted code points as the content of a character class, consecutive ones as a range."""
    ranges = []
    for code in codes:
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in ranges)


def _letters(blocks):
    """Content of the character class of the letters among the code points of the blocks."""
    codes = (code for first, last in blocks for code in range(first, last + 1))
    return _ranges(code for code in codes if unicodedata.category(chr(code))[0] == "L")


def _marks():
    """Content of the character class of all combining marks except variation selectors."""
    codes = (code for code in range(0x300, _LAST_MARK + 1) if not 0xFE00 <= code <= 0xFE0F)
    return _ranges(code for code in codes if unicodedata.category(chr(code))[0] == "M")


@lru_cache(maxsize=1)
def _patterns():
    han_kana, hangul, south_east = map(_letters, (_HAN_KANA, _HANGUL, _SOUTH_EAST_ASIAN))
    han_kana += "\u3007\u3021-\u3029"  # ideographic numerals, which Unicode classifies as numbers
    unspaced, marks = han_kana + hangul + south_east, _marks()
    runs = "|".join(
        f"(?P<{name}>(?:[{letters}][{marks}]*)+)"
        for name, letters in (("han_kana", han_kana), ("hangul", hangul), ("south_east", south_east))
    )
    word = f"(?P<word>(?:(?![{unspaced}])\\w)(?:(?![{unspaced}])[\\w{marks}])+)"
    return _Patterns(
        special=re.compile(f"[{unspaced}{marks}{_FULL_WIDTH}]"),
        token=re.compile(f"{runs}|{word}"),
        unit=re.compile(f"[^{marks}][{marks}]*"),
        kana=re.compile("[\u3041-\u309f\u30a1-\u30fa\u30fc-\u30ff]"),
    )


def _is_plain(text):
    """Whether scikit-learn's token pattern suits the text: it has no unspaced script and no combining marks."""
    if text.isascii():
        return True
    others = set(_UNCOMMON.findall(text))
    return not others or not _patterns().special.search("".join(others))


def bigrams(run: str) -> list[str]:
    """Split a run into overlapping pairs of letters with their combining marks; a single letter is kept.

    Parameters
    ----------
    run : str
        Letters of one script with their combining marks.

    Returns
    -------
    list of str

    Examples
    --------
    >>> bigrams("战争片"), bigrams("爱")
    (['战争', '争片'], ['爱'])
    """
    units = _patterns().unit.findall(run)
    return units if len(units) == 1 else [a + b for a, b in pairwise(units)]


@lru_cache(maxsize=1)
def _jieba():
    """Load jieba's segmenter with its dictionary, without log messages.

    Its cache is kept in the data home of this package: by default jieba unmarshals its cache from a temporary folder
    to which every user of the machine can write.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # invalid escapes, pkg_resources
        jieba = import_optional("jieba", extra="cjk", purpose='TextAnalyzer(cjk="jieba")')
    log = logging.getLogger("jieba")
    was_disabled, log.disabled = log.disabled, True
    try:
        segmenter = jieba.Tokenizer()
        folder = get_data_home() / f"jieba-{jieba.__version__}"
        with suppress(OSError):  # in a read-only home jieba builds its dictionary again and only logs that
            folder.mkdir(parents=True, exist_ok=True)
        segmenter.tmp_dir = str(folder)
        segmenter.initialize()
    finally:
        log.disabled = was_disabled
    return segmenter


class TextAnalyzer(VersionedStateMixin, BaseEstimator):
    """TF-IDF tokens of text in every script: ``TfidfVectorizer(analyzer=TextAnalyzer())``.

    scikit-learn's default analyzer splits texts at spaces and punctuation. Chinese and Japanese sentences then become
    single tokens, and a combining mark (the vowel signs of Hindi and Thai, decomposed accents) ends a word. This
    analyzer

    - passes a text without such characters to scikit-learn's own analyzer, so that the tokens are the same;
    - normalises any other text to Unicode's form NFKC. Runs of Han and kana, of Hangul, and of scripts such as Thai,
      Lao, Khmer and Burmese are split into overlapping pairs of letters (a single letter is kept), where combining
      marks belong to their letter. All other words are sequences of two or more letters, digits and marks.

    It is a function from one text to its tokens with the parameters of an estimator, neither a transformer nor a
    classifier: it has no `fit`. It can be pickled, compared and cloned, and used in a grid search
    (``tfidfvectorizer__analyzer__cjk=["bigram", "jieba"]``).

    Parameters
    ----------
    cjk : {"bigram", "jieba", "auto"}, default="bigram"
        How runs of Han characters are split: into pairs of characters, or into the words that jieba finds
        (``pip install "skllmrec[cjk]"``); runs with kana are Japanese and always split into pairs. "auto" means
        "jieba" if that is installed; the pickle of an analyzer that has been used keeps this choice.
    lowercase : bool, default=True
        As in ``TfidfVectorizer``.
    strip_accents : {"ascii", "unicode"} or callable, default=None
        As in ``TfidfVectorizer``. "ascii" removes all text in other scripts, "unicode" their combining marks.
    stop_words : {"english"} or list of str, default=None
        As in ``TfidfVectorizer``. They are compared with tokens, so that pairs of characters can be listed.
    ngram_range : tuple (min_n, max_n), default=(1, 1)
        As in ``TfidfVectorizer``, for n-grams of tokens.

    See Also
    --------
    skllmrec.preprocessing.TextTemplate : Joins several columns into one text, the step before.

    References
    ----------
    .. [1] Unicode Standard Annex 15, Unicode Normalization Forms.
    .. [2] J.-Y. Nie, J. Gao, J. Zhang, M. Zhou (2000), "On the use of words and n-grams for Chinese
       information retrieval", IRAL: pairs of characters retrieve as well as words.

    Examples
    --------
    >>> from skllmrec.preprocessing import TextAnalyzer
    >>> analyzer = TextAnalyzer()
    >>> analyzer("The Wandering Earth: 流浪地球2 (2019)")
    ['the', 'wandering', 'earth', '流浪', '浪地', '地球', '2019']
    >>> from sklearn.feature_extraction.text import TfidfVectorizer
    >>> TfidfVectorizer(analyzer=analyzer).fit(["战争片", "a war film"]).get_feature_names_out()
    array(['film', 'war', '争片', '战争'], dtype=object)
    """

    def __init__(
        self,
        cjk: Literal["bigram", "jieba", "auto"] = "bigram",
        *,
        lowercase: bool = True,
        strip_accents: Any = None,
        stop_words: Any = None,
        ngram_range: tuple[int, int] = (1, 1),
    ) -> None:
        self.cjk = cjk
        self.lowercase = lowercase
        self.strip_accents = strip_accents
        self.stop_words = stop_words
        self.ngram_range = ngram_range

    def __call__(self, text: str) -> list[str]:
        """Split a text into tokens.

        Parameters
        ----------
        text : str

        Returns
        -------
        list of str
            The tokens, or n-grams of tokens joined by a space.

        Raises
        ------
        ValueError
            If a parameter is not valid.
        TypeError
            If `text` is not a str.
        ImportError
            If `cjk` is "jieba" and jieba is not installed.
        """
        plain, wide = self._analyzers()
        if not isinstance(text, str):
            raise TypeError(f"TextAnalyzer takes a str, got {text!r} of type {type(text).__name__}.")
        if _is_plain(text):
            return plain(text)
        return wide(re.sub(f"[{_VARIATION_SELECTORS}]", "", unicodedata.normalize("NFKC", text)))

    def _analyzers(self):
        """Return the analyzers of plain and of all other texts, built once per set of parameters."""
        params = (self.cjk, self.lowercase, self.strip_accents, self.stop_words, self.ngram_range)
        if getattr(self, "_built_for", None) != params:
            if self.cjk not in ("bigram", "jieba", "auto"):
                raise ValueError(f'cjk must be "bigram", "jieba" or "auto", got {self.cjk!r}.')
            if self.cjk == "auto" and not hasattr(self, "_auto"):
                self._auto = "jieba" if find_spec("jieba") else "bigram"
            options = self.get_params(deep=False)
            options.pop("cjk")
            self._plain = CountVectorizer(**options).build_analyzer()
            self._wide = CountVectorizer(**options, tokenizer=self._tokenize, token_pattern=None).build_analyzer()
            self._built_for = params
        return self._plain, self._wide

    def _tokenize(self, text):
        method = self._auto if self.cjk == "auto" else self.cjk
        tokens = []
        for match in _patterns().token.finditer(unicodedata.normalize("NFC", text)):
            run = match.group()
            if match.lastgroup == "word":
                tokens.append(run)
            elif match.lastgroup == "han_kana" and method == "jieba" and not _patterns().kana.search(run):
                tokens.extend(_jieba().lcut(run))
            else:
                tokens.extend(bigrams(run))
        return tokens

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self.get_params() == other.get_params()

    def __hash__(self) -> int:
        return hash((type(self), self.cjk, self.lowercase, tuple(self.ngram_range)))

    def __getstate__(self):
        state = dict(super().__getstate__())
        return {name: value for name, value in state.items() if name not in ("_plain", "_wide", "_built_for")}

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.requires_fit = False
        return tags
