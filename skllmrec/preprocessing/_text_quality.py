"""What is wrong with a column of texts: missing, repeated, in another language, too short, too long, dirty."""

import re
import unicodedata
from collections import Counter

import numpy as np

from skllmrec._missing import is_missing
from skllmrec.preprocessing._findings import Finding
from skllmrec.preprocessing._text_cleaner import TextCleaner

_WORD = re.compile(r"\w+")
_CODE = re.compile(r"(?=\D*\d)\S+")  # no white space, but a digit: a number, an ISBN, an address
_SENTENCE = re.compile(r"[^.!?\n\u3002\uff01\uff1f]{20,}[.!?\u3002\uff01\uff1f]?")
_DISTINCT = 0.2  # of the values differ in a column of texts; in one of genres or publishers fewer do
_MANY = 20_000  # texts of which language and boilerplate are judged; more would only be slower

_PROSE = 0.4  # of the words of a text are among the column's frequent ones where it is prose, not a list of names
SHORT_WORDS = 2
LONG_WORDS = 180  # about 256 tokens of a WordPiece model, the default of `LLMTextEncoder`


# UTF-8 that was read as Latin-1 or Windows-1252
_MOJIBAKE = re.compile("[\u00c2\u00c3][\u0080-\u00bf]|\u00e2(?:\u20ac|\u0080)|\u00ef\u00bb\u00bf")


def is_blank(value):
    """Whether a value is missing, or a text without a visible character."""
    return not value.strip() if isinstance(value, str) else is_missing(value)


def kind_of(values):
    """Tell texts from categories: "text" where most values differ, "category" where few do, None for other values."""
    known = [value for value in values[:_MANY] if not is_blank(value)]
    if not known or not all(isinstance(value, str) for value in known):
        return None
    if np.mean([_CODE.fullmatch(value) is not None for value in known]) > 0.9:
        return None
    return "text" if len(set(known)) > _DISTINCT * len(known) else "category"


def _script(text):
    """Name of the script of most letters, or None."""
    scripts = Counter(_script_of(char) for char in text[:200] if char.isalpha())
    return scripts.most_common(1)[0][0] if scripts else None


def _script_of(char):
    name = unicodedata.name(char, "").split(" ")[0]
    return "CJK" if name in ("CJK", "HIRAGANA", "KATAKANA") else name


def _words(text):
    """Distinct words, small; in scripts without spaces single signs."""
    words = set(_WORD.findall(text.lower()))
    return {part for word in words for part in (word if _script(word) == "CJK" else (word,))}


def _examples(texts, n=3):
    return [text if len(text) <= 60 else text[:57] + "..." for text in texts[:n]]


def _repeated(column, texts):
    """Texts that describe more than one row, and sentences that many texts share."""
    counts = Counter(texts)
    several = [text for text, count in counts.most_common() if count > 1]
    n_rows = sum(counts[text] for text in several)
    if n_rows > 0.01 * len(texts):
        yield Finding(
            "duplicate texts", column, n_rows, len(texts), _examples(several),
            "rows with the same text cannot be told apart by it: add a column, such as the year",
        )  # fmt: skip
    sentences = Counter(sentence for text in counts for sentence in set(map(str.strip, _SENTENCE.findall(text))))
    common = [sentence for sentence, count in sentences.most_common() if count > max(5, 0.02 * len(counts))]
    if common:
        touched = sum(any(sentence in text for sentence in common[:50]) for text in texts)
        yield Finding(
            "boilerplate", column, touched, len(texts), _examples(common),
            "sentences that stand in many texts make different things alike: take them out",
        )  # fmt: skip


def _foreign(column, texts):
    """Texts in another script than most, and in prose long ones that share no word with the others."""
    scripts = [_script(text) for text in texts]
    usual = Counter(script for script in scripts if script).most_common(1)
    if not usual:
        return
    (script, _) = usual[0]
    other = [text for text, own in zip(texts, scripts, strict=True) if own not in (None, script)]
    if other:
        yield Finding(
            "other script", column, len(other), len(texts), _examples(other),
            f"most texts are written in {script.title()}: a multilingual model reads both, others guess",
        )  # fmt: skip
    strange = _without_common_words([text for text, own in zip(texts, scripts, strict=True) if own == script])
    if strange:
        yield Finding(
            "other language", column, len(strange), len(texts), _examples(strange),
            "these share none of the column's most frequent words: check the language",
        )  # fmt: skip


def _without_common_words(texts):
    """Texts of a dozen words, none of which is among the frequent ones of all; empty where the texts are no prose."""
    bags = [_words(text) for text in texts]
    counts = Counter(word for bag in bags for word in bag)
    frequent = {word for word, count in counts.most_common(150) if count > max(1, 0.02 * len(bags))}
    shares = {text: len(bag & frequent) / len(bag) for text, bag in zip(texts, bags, strict=True) if len(bag) >= 12}
    if not shares or np.median(list(shares.values())) < _PROSE:
        return []
    return [text for text in texts if shares.get(text) == 0]


def _length(column, texts):
    sizes = np.array([len(_WORD.findall(text)) if _script(text) != "CJK" else len(text) for text in texts])
    short, long = np.flatnonzero(sizes < SHORT_WORDS), np.flatnonzero(sizes > LONG_WORDS)
    if len(short) > 0.05 * len(texts):
        yield Finding(
            "very short texts", column, len(short), len(texts), _examples([texts[row] for row in short]),
            "one word says little: join several columns with TextTemplate",
        )  # fmt: skip
    if len(long):
        yield Finding(
            "very long texts", column, len(long), len(texts), _examples([texts[row] for row in long]),
            f"over {LONG_WORDS} words models cut at max_length=256: put what matters first, or use overflow='mean'",
        )  # fmt: skip


def _dirty(column, texts):
    steps = {"html": "markup", "entities": "entities", "emails": "e-mail addresses", "phones": "telephone numbers",
             "control": "control characters"}  # fmt: skip
    off = {step: False for step, on in TextCleaner().get_params().items() if on is True}
    broken = [text for text in texts if _MOJIBAKE.search(text)]
    whole = [text for text in texts if not _MOJIBAKE.search(text)]  # what cleaning takes out, nobody can mend later
    for step, name in steps.items():
        looked_at = whole if step == "control" else texts
        cleaned = TextCleaner(**off | {step: True}, normal_form=None).transform(looked_at)
        dirty = [text for text, clean in zip(looked_at, cleaned, strict=True) if text != clean]
        if dirty:
            advice = "clean the texts with TextCleaner before they are encoded"
            yield Finding(name, column, len(dirty), len(texts), _examples(dirty), advice)
    if broken:
        advice = "the file was read with another encoding than it was written with: read it as UTF-8, or use ftfy"
        yield Finding("broken characters", column, len(broken), len(texts), _examples(broken), advice)


def check_texts(column, values):
    """Find what is wrong with the texts of a column.

    Parameters
    ----------
    column : str
        Its name.
    values : list
        Texts and missing values, one per row.

    Yields
    ------
    finding : Finding
    """
    texts = [value for value in values if not is_blank(value)]
    if len(texts) > _MANY:
        chosen = np.random.default_rng(0).choice(len(texts), _MANY, replace=False)
        texts = [texts[row] for row in np.sort(chosen)]
    for check in (_repeated, _foreign, _length, _dirty):
        yield from check(column, texts)
