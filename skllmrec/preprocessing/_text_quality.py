"""Checks of a column of texts: repeated texts, other languages, very short and very long texts, markup."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from skllmrec._missing import is_missing
from skllmrec.preprocessing._findings import Finding
from skllmrec.preprocessing._text_cleaner import TextCleaner

_WORD = re.compile(r"\w+")
_CODE = re.compile(r"(?=\D*\d)\S+")  # a digit and no white space: a number, an ISBN, a URL
_SENTENCE = re.compile(r"[^.!?\n\u3002\uff01\uff1f]{20,}[.!?\u3002\uff01\uff1f]?")
_MIN_DISTINCT = 0.2  # share of distinct values in a column of texts; genres and publishers have fewer
_MAX_TEXTS = 20_000  # size of the sample that is examined; more texts would only take longer
_MIN_FREQUENT = 0.4  # median share of frequent words in the texts of a column of prose; names have fewer
_SHORT = 2  # words
_LONG = 180  # words, about 256 tokens of a WordPiece model, the default of `LLMTextEncoder`

# steps of `TextCleaner` -> what they remove
_CLEANING_STEPS = {
    "html": "markup",
    "entities": "entities",
    "emails": "e-mail addresses",
    "phones": "telephone numbers",
    "control": "control characters",
}

# UTF-8 that was decoded as Latin-1 or Windows-1252
_MOJIBAKE = re.compile("[\u00c2\u00c3][\u0080-\u00bf]|\u00e2(?:\u20ac|\u0080)|\u00ef\u00bb\u00bf")


def is_blank(value: Any) -> bool:
    """Whether a value is missing, or a text without a visible character."""
    return not value.strip() if isinstance(value, str) else is_missing(value)


def column_kind(values: Sequence[Any]) -> str | None:
    """Classify a column of strings as "text" or, if few values are distinct, "category"; None for other columns."""
    known = [value for value in values[:_MAX_TEXTS] if not is_blank(value)]
    if not known or not all(isinstance(value, str) for value in known):
        return None
    if np.mean([_CODE.fullmatch(value) is not None for value in known]) > 0.9:
        return None
    return "text" if len(set(known)) > _MIN_DISTINCT * len(known) else "category"


def _script(text):
    """Name of the script of most of the first letters, None for a text without letters."""
    scripts = Counter(_script_of(char) for char in text[:200] if char.isalpha())
    return scripts.most_common(1)[0][0] if scripts else None


def _script_of(char):
    name = unicodedata.name(char, "").split(" ")[0]
    return "CJK" if name in ("CJK", "HIRAGANA", "KATAKANA") else name


def _words(text):
    """Distinct words in lower case; Chinese and Japanese words are split into single characters."""
    words = set(_WORD.findall(text.lower()))
    return {part for word in words for part in (word if _script(word) == "CJK" else (word,))}


def _examples(texts, n=3):
    return [text if len(text) <= 60 else text[:57] + "..." for text in texts[:n]]


def _finding(what, column, affected, texts, advice):
    """Make the finding that concerns the affected texts among all texts of a column."""
    return Finding(what, column, len(affected), len(texts), _examples(affected), advice)


def _repeated(column, texts):
    """Find texts of more than one row, and sentences that many texts share."""
    counts = Counter(texts)
    repeated = [text for text, count in counts.most_common() if count > 1]
    n_rows = sum(counts[text] for text in repeated)
    if n_rows > 0.01 * len(texts):
        yield Finding(
            what="duplicate texts",
            where=column,
            count=n_rows,
            of=len(texts),
            examples=_examples(repeated),
            advice="a text cannot distinguish the rows that share it: add a column, such as the year",
        )
    sentences = Counter(sentence for text in counts for sentence in set(map(str.strip, _SENTENCE.findall(text))))
    common = [sentence for sentence, count in sentences.most_common() if count > max(5, 0.02 * len(counts))]
    if common:
        n_with = sum(any(sentence in text for sentence in common[:50]) for text in texts)
        yield Finding(
            what="boilerplate",
            where=column,
            count=n_with,
            of=len(texts),
            examples=_examples(common),
            advice="sentences that occur in many texts make the vectors of different items similar: remove them",
        )


def _foreign(column, texts):
    """Find texts in another script than most and, in prose, texts without any of the frequent words."""
    scripts = [_script(text) for text in texts]
    usual = Counter(script for script in scripts if script).most_common(1)
    if not usual:
        return
    (script, _) = usual[0]
    other = [text for text, own in zip(texts, scripts, strict=True) if own not in (None, script)]
    if other:
        advice = f"most texts are written in {script.title()}: use a multilingual model, others may not know both"
        yield _finding("other script", column, other, texts, advice)
    unusual = _without_frequent_words([text for text, own in zip(texts, scripts, strict=True) if own == script])
    if unusual:
        advice = "these share none of the column's most frequent words: check the language"
        yield _finding("other language", column, unusual, texts, advice)


def _without_frequent_words(texts):
    """Find texts of at least 12 distinct words, none of them frequent in the column; none if it is not prose."""
    bags = [_words(text) for text in texts]
    counts = Counter(word for bag in bags for word in bag)
    frequent = {word for word, count in counts.most_common(150) if count > max(1, 0.02 * len(bags))}
    shares = {text: len(bag & frequent) / len(bag) for text, bag in zip(texts, bags, strict=True) if len(bag) >= 12}
    if not shares or np.median(list(shares.values())) < _MIN_FREQUENT:
        return []
    return [text for text in texts if shares.get(text) == 0]


def _length(column, texts):
    """Find very short and very long texts."""
    sizes = np.array([len(_WORD.findall(text)) if _script(text) != "CJK" else len(text) for text in texts])
    short = [texts[row] for row in np.flatnonzero(sizes < _SHORT)]
    long = [texts[row] for row in np.flatnonzero(sizes > _LONG)]
    if len(short) > 0.05 * len(texts):
        advice = "one word carries little information: join several columns with TextTemplate"
        yield _finding("very short texts", column, short, texts, advice)
    if long:
        advice = (
            f"with max_length=256, texts of over {_LONG} words are truncated: put the most important words "
            "first, or use overflow='mean'"
        )
        yield _finding("very long texts", column, long, texts, advice)


def _needs_cleaning(column, texts):
    """Find texts that a step of `TextCleaner` would change, and texts decoded with a wrong encoding."""
    off = {step: False for step, on in TextCleaner().get_params().items() if on is True}
    broken = [text for text in texts if _MOJIBAKE.search(text)]
    # a wrong encoding can be repaired only as long as the control characters that it produced are not removed
    intact = [text for text in texts if not _MOJIBAKE.search(text)]
    for step, name in _CLEANING_STEPS.items():
        examined = intact if step == "control" else texts
        cleaned = TextCleaner(**off | {step: True}, normal_form=None).transform(examined)
        changed = [text for text, clean in zip(examined, cleaned, strict=True) if text != clean]
        if changed:
            advice = "clean the texts with TextCleaner before they are encoded"
            yield _finding(name, column, changed, texts, advice)
    if broken:
        advice = "the file was read with another encoding than it was written with: read it as UTF-8, or use ftfy"
        yield _finding("broken characters", column, broken, texts, advice)


def check_texts(column: str, values: Sequence[Any]) -> Iterator[Finding]:
    """Find possible problems of the texts of a column.

    Parameters
    ----------
    column : str
        Name of the column.
    values : list
        Texts and missing values, one per row.

    Yields
    ------
    finding : Finding
    """
    texts = [value for value in values if not is_blank(value)]
    if len(texts) > _MAX_TEXTS:
        chosen = np.random.default_rng(0).choice(len(texts), _MAX_TEXTS, replace=False)
        texts = [texts[row] for row in np.sort(chosen)]
    for check in (_repeated, _foreign, _length, _needs_cleaning):
        yield from check(column, texts)
