"""Cleaning of generated answers: reasoning, markup, preambles, incomplete sentences and refusals are removed."""

import html
import re

from skllmrec.language_models.pretraining._sentence_pairs import split_sentences

_THOUGHT = re.compile(r"<(think|thinking|reasoning)>.*?(</\1>|\Z)|\[THINK\].*?(\[/THINK\]|\Z)", re.S | re.I)
# the beginning of the thought is a part of the prompt in some chat templates
_END_OF_THOUGHT = re.compile(r"\A.*(</(?:think|thinking|reasoning)>|\[/THINK\])", re.S | re.I)
# channels of gpt-oss: "analysis", "commentary" and "final"; without special tokens only their names are left
_CHANNEL = re.compile(r"<\|channel\|>\s*(\w+)[^<]*(?:<\|constrain\|>[^<]*)?<\|message\|>(.*?)(?=<\|\w+\|>|\Z)", re.S)
_PLAIN_ANALYSIS = re.compile(r"\Aanalysis(?=[A-Z]).*?(assistantfinal|\Z)", re.S)
_FENCE = re.compile(r"^\s*(```|~~~).*$", re.M)
_TAG = re.compile(r"<\|[^|>]{1,40}\|>|</?[a-zA-Z][^<>]{0,200}>|\[/?INST\]")
_IMAGE_OR_LINK = re.compile(r"!?\[([^\]\n]*)\]\([^)\n]*\)")
_RULE = re.compile(r"^\s*([-*_=|:]\s*){3,}$", re.M)
_LINE_START = re.compile(r"^\s*(?:#{1,6}\s+|>\s?|[-*+•]\s+|\d{1,2}[.)]\s+)+", re.M)
_EMPHASIS = re.compile(r"(\*{1,3}|_{2,3}|~~|`+)(?=\S)(.+?)(?<=\S)\1")
_UNDERSCORED = re.compile(r"(?<!\w)_(?=\S)(.+?)(?<=\S)_(?!\w)")
_ROW = re.compile(r"^[ \t]*\|(.*)\|[ \t]*$", re.M)  # of a table
# introductions before the profile: a line or a clause that ends in a colon
_PREAMBLE = re.compile(
    r"\A(?:(?:sure(?: thing)?|certainly|of course|absolutely|okay|ok)[.!:,]\s*)?"
    r"(?:(?:here(?:['\u2019]s| is| are)|below is|the following is)\b[^:\n]{0,120}:\s*)?",
    re.I,
)
_LABEL = re.compile(r"\A(?:(?:item |user |short )?(?:profile|description|summary|answer))\s*:\s*", re.I)
_REFUSAL = re.compile(
    r"\A\W*(?:(?:i['\u2019]m|i am|we are|we['\u2019]re) (?:very |really |so )?(?:sorry|afraid|unable|not able)\b"
    r"|sorry,? (?:but )?(?:i|as)\b|(?:unfortunately|regrettably),? i\b|i apologi[sz]e\b"
    r"|i (?:can(?:not|['\u2019]t| not)|don['\u2019]t|do not|could(?: not|n['\u2019]t)|won['\u2019]t) "
    r"(?:assist|help|provide|write|create|generate|fulfil|answer|describe|comply|have|find|see)\b"
    r"|as an? (?:ai\b|artificial intelligence|(?:large )?language model)"
    r"|(?:很?抱歉|对不起|對不起|作为一[个個]|作為一個|我(?:无法|無法|不能)))",
    re.I,
)
_QUOTES = {'"': '"', "“": "”", "'": "'", "\u2018": "\u2019", "「": "」", "«": "»"}
_LEAST_LETTERS = 3
_MANY_WORDS, _LEAST_DISTINCT = 12, 1 / 3


def remove_thoughts(answer: str) -> str:
    """Remove the reasoning of a model from its answer.

    Parameters
    ----------
    answer : str

    Returns
    -------
    str
        The answer without tagged thoughts and without channels other than the final one; blank if there is nothing
        else.

    Examples
    --------
    >>> from skllmrec.language_models.profiles._profile_text import remove_thoughts
    >>> remove_thoughts("They want a profile.</think>A thriller.")
    'A thriller.'
    >>> remove_thoughts("<|channel|>analysis<|message|>A film<|end|><|channel|>final<|message|>A thriller.<|return|>")
    'A thriller.'
    """
    channels = _CHANNEL.findall(answer)
    if channels:
        answer = " ".join(text for name, text in channels if name == "final")
    return _END_OF_THOUGHT.sub("", _THOUGHT.sub("", _PLAIN_ANALYSIS.sub("", answer)))


def is_refusal(text: str) -> bool:
    """Whether a text is the refusal of a model to write a profile.

    Parameters
    ----------
    text : str

    Returns
    -------
    bool

    Examples
    --------
    >>> from skllmrec.language_models.profiles._profile_text import is_refusal
    >>> is_refusal("I'm sorry, but I cannot help with that."), is_refusal("Sorry to Bother You is a satire.")
    (True, False)
    """
    return _REFUSAL.match(text) is not None


def clean_profile(answer: str, *, is_cut: bool = False) -> str:
    r"""Convert an answer to plain text.

    Parameters
    ----------
    answer : str
        The answer of a model.
    is_cut : bool, default=False
        Whether it was cut off at the maximal number of tokens: an incomplete last sentence is then left out.

    Returns
    -------
    str
        One line; empty if nothing is left, the model refused, or the answer repeats the same few words.

    Examples
    --------
    >>> from skllmrec.language_models.profiles._profile_text import clean_profile
    >>> clean_profile("Sure! Here is it:\n\n**Heat** is a *tense* thriller.\n- For adults. It", is_cut=True)
    'Heat is a tense thriller. For adults.'
    """
    answer = answer.encode(
        "utf-8", "replace"
    ).decode()  # JSON may hold half a character, for which encoders raise errors
    text = _FENCE.sub("", remove_thoughts(answer))
    text = html.unescape(_TAG.sub(" ", text))
    text = _RULE.sub("", _IMAGE_OR_LINK.sub(r"\1", text))
    text = _LINE_START.sub("", text)
    for _ in range(3):  # nested emphasis
        text = _UNDERSCORED.sub(r"\1", _EMPHASIS.sub(r"\2", text))
    text = _ROW.sub(lambda row: ", ".join(cell.strip() for cell in row[1].split("|")), text).strip()
    begun = _unquoted(_LABEL.sub("", _PREAMBLE.sub("", text, count=1), count=1).strip())
    if is_refusal(text) or is_refusal(begun):
        return ""
    text = begun
    if is_cut:
        text = _whole_sentences(text)
    text = " ".join(_without_repeats(text).split())
    return text if sum(letter.isalnum() for letter in text) >= _LEAST_LETTERS and not _is_repetitive(text) else ""


def _without_repeats(text):
    """Leave out repeated sentences."""
    sentences = split_sentences(text)
    distinct = dict.fromkeys(sentences)
    return text if len(distinct) == len(sentences) else " ".join(distinct)


def _is_repetitive(text):
    """Whether a text repeats a few words, as small models do."""
    words = text.lower().split()
    return len(words) >= _MANY_WORDS and len(set(words)) < _LEAST_DISTINCT * len(words)


def _unquoted(text):
    """Remove quotes around the whole text."""
    closing = _QUOTES.get(text[:1])
    return text[1:-1].strip() if closing and text[-1:] == closing and closing not in text[1:-1] else text


def _whole_sentences(text):
    """Leave out the last sentence if it has no end, unless it is the only one."""
    sentences = split_sentences(text)
    has_end = bool(sentences) and not sentences[-1].rstrip("\"'”’»)]」』")[-1:].isalnum()  # noqa: RUF001
    return text if has_end or len(sentences) < 2 else " ".join(sentences[:-1])
