"""The steps of text cleaning: each is a function from one long text to the cleaned text.

Thousands of short texts are joined by a separator and cleaned together, which saves the cost of thousands of calls of
a regular expression. No step removes the separator or matches across it.
"""

import html
import re

# possible separators of texts: no step changes them, and \s (which includes \x1c to \x1f) does not match them
SEPARATORS = "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18"

# elements of HTML (https://html.spec.whatwg.org/multipage/indices.html) and of older pages; a "<" before any other
# word belongs to the text: "a<b and c>d"
_INLINE = (
    "a abbr acronym b bdi bdo big cite code data del dfn em font i ins kbd mark q s samp small span strike strong "
    "sub sup time tt u var wbr"
)
_BLOCKS = (
    "address area article aside audio base blockquote body br button canvas caption center col colgroup datalist "
    "dd details dialog dir div dl dt embed fieldset figcaption figure footer form frame frameset h1 h2 h3 h4 h5 "
    "h6 head header hgroup hr html iframe img input label legend li link main map menu meta meter nav noframes "
    "noscript object ol optgroup option output p picture pre progress rp rt ruby script search section select "
    "slot source style summary svg table tbody td template textarea tfoot th thead title tr track ul video"
)


def _tags(elements):
    """Expression for the tags of elements; after a one-letter name only attributes with a value: "a<b and c>d"."""
    names = "|".join(sorted(elements.split(), key=lambda name: (-len(name), name)))
    inside = r"[^<>\x00-\x08\x0e-\x18]*"
    return re.compile(rf"</?(?:{names})(?:\s*/?|\s(?={inside}>){inside}={inside}|(?<=\w\w)\s{inside})>", re.IGNORECASE)


# a match must not contain another opening, else a text of a million openings would be searched a million times
_HIDDEN = re.compile(
    r"<!--(?:(?!<!--)[^\x00-\x08\x0e-\x18])*?-->|<!doctype[^<>\x00-\x08\x0e-\x18]*>"
    r"|<(script|style)\b[^<>\x00-\x08\x0e-\x18]*>(?:(?!<\1)[^\x00-\x08\x0e-\x18])*?</\1\s*>",
    re.IGNORECASE,
)
_INLINE_TAG = _tags(_INLINE)
_BLOCK_TAG = _tags(_BLOCKS)

# Cc except tab and line breaks; from Cf: soft hyphen, directional marks, zero-width space, word joiner, byte order
# mark. The zero-width joiner and non-joiner are kept: emoji, Persian and the scripts of India need them.
_INVISIBLE = (
    "[\x19-\x1f\x7f-\x84\x86-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff]"
)
_CONTROL = re.compile(_INVISIBLE)
_LOW_CONTROL = re.compile(f"[{SEPARATORS}]")
_SURROGATE = re.compile("[\ud800-\udfff]")

# the scheme and the host of a URL are ASCII; it ends at the first character that must be escaped in a URL
URL = re.compile(r"(?:\b(?:https?|ftp)://|\bwww\.)[\w\-.~:/?#\[\]@!$&'()*+,;=%]*[\w/#=&%\-]", re.IGNORECASE | re.ASCII)
EMAIL = re.compile(r"(?<![\w.+\-])[\w.+\-]{1,64}@(?:[\w\-]{1,63}\.){1,8}[a-z]{2,24}\b", re.IGNORECASE | re.ASCII)
_OCTET = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"
IP = re.compile(
    rf"(?<![\w.])(?:{_OCTET}\.){{3}}{_OCTET}(?![\w.]\w)(?!\w)"
    r"|(?<![\w:])(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}(?![\w:])"
    r"|(?<![\w:])(?=[a-f:]*\d)(?:[0-9a-f]{1,4}:){1,6}(?::[0-9a-f]{1,4}){1,6}(?![\w:])",
    re.IGNORECASE | re.ASCII,
)
# Only formats of telephone numbers, with seven digits or more; numbers without separators may be counts ("+1000000
# plays", a budget of 13000000000) and years may stand in brackets ("(1995) 1996-2001").
_YEARS = r"(?!(?:1[5-9]|20)\d\d[ .\-]?(?:1[5-9]|20)\d\d(?!\d))"
_MOBILE_WORDS = (
    *("\u7535\u8bdd", "\u96fb\u8a71", "\u624b\u673a", "\u624b\u6a5f", "\u81f4\u7535", "\u5fae\u4fe1"),
    *("Tel", "tel", "TEL"),
)
_MOBILE_WORD = "|".join(f"(?<={word}{between})" for word in _MOBILE_WORDS for between in ("", " ", ":", ": ", "\uff1a"))
PHONE = re.compile(
    r"(?<![\w+])\+(?:"
    r"(?=(?:[ .\-()]*\d){7})(?!\d{7})\d{1,3}[ .\-]?\(?\d{1,4}\)?(?:[ .\-]?\(?\d{2,4}\)?){1,4}"  # with separators
    r"|(?!\d*00000)[1-9]\d{8,14})(?!\w)"  # without
    rf"|(?<![\w+])\((?:0\d{{1,4}}|\d\d|[2-9]\d\d)\)[ ]?{_YEARS}\d{{3,4}}[ .\-]?\d{{3,4}}(?![\w\-])"
    r"|(?<![\w+.\-])(?:1[ .\-])?[2-9]\d{2}[.\-]\d{3}[.\-]\d{4}(?![\w\-])"
    r"|(?<![\w+])1[3-9]\d([ \-])\d{4}\1\d{4}(?!\w)"
    rf"|(?:{_MOBILE_WORD})1[3-9]\d{{9}}(?!\w)",
    re.ASCII,
)
_TWICE = re.compile(r"([!?,;\uff01\uff1f\uff0c\u3002\u3001\uff1b\uff1a\u2026])\1+")
_THRICE = re.compile(r"([:\-=*_#~+|/\\\u2014\u2013\u30fb])\1{2,}")
_DOTS = re.compile(r"\.{4,}")
_WORD = re.compile(r"\w")
SPACES = re.compile(r"[^\S\x1c-\x1f]{2,}|[^\S \x1c-\x1f]")

# the semicolon is required: "AT&T", "?a=1&copy=2" and "R&D" contain no entities
_ENTITY = re.compile(r"&(?:#\d{1,7}|#x[0-9a-f]{1,6}|[a-z][a-z0-9]{1,31});", re.IGNORECASE | re.ASCII)


def _resolved(match):
    text = html.unescape(match[0])
    return " " if len(text) == 1 and text in SEPARATORS else text


def remove_html(text: str) -> str:
    """Remove comments, scripts and tags; tags of block elements become a space."""
    return _BLOCK_TAG.sub(" ", _INLINE_TAG.sub("", _HIDDEN.sub(" ", text)))


def resolve_entities(text: str) -> str:
    """Replace entities such as ``&amp;`` by their characters, and entities of possible separators by a space."""
    return _ENTITY.sub(_resolved, text)


def remove_control(text: str, separator: str | None) -> str:
    """Remove control characters, invisible characters and lone surrogates, except the separator."""
    text = _LOW_CONTROL.sub(lambda match: match[0] if match[0] == separator else " ", text)
    return _SURROGATE.sub("", _CONTROL.sub("", text))


def replace(pattern: re.Pattern[str], replacement: str, text: str, *, separator: str | None) -> str:
    """Replace addresses or numbers; a text that is nothing else keeps them, unless the replacement can be seen.

    Parameters
    ----------
    pattern : re.Pattern
        Expression of the addresses.
    replacement : str
        Text that replaces them, literally.
    text : str
        Texts joined by the separator, or a single text.
    separator : str or None
        The separator; None for a single text.

    Returns
    -------
    text : str
    """
    cleaned = pattern.sub(lambda match: replacement, text)
    if replacement.strip() or cleaned == text:
        return cleaned
    return _choose(text, cleaned, separator, lambda before, after: before if _is_name(before, after) else after)


def _is_name(before, after):
    """Whether a text that would become blank is a name; e-mail addresses and "+" with a number are private data."""
    return not after.strip() and "@" not in before and "+" not in before


def _choose(text, cleaned, separator, choose):
    """Choose between the text before and after a step, for each of the joined texts."""
    if separator is None:
        return choose(text, cleaned)
    pairs = zip(text.split(separator), cleaned.split(separator), strict=True)
    return separator.join(choose(before, after) for before, after in pairs)


def shorten_punctuation(text: str, separator: str | None = None) -> str:
    """Replace runs of one punctuation mark by a single one, and runs of dots by three dots.

    A text without letters and digits is kept: it is the name of something ("!!!", "***").
    """
    cleaned = _DOTS.sub("...", _THRICE.sub(r"\1", _TWICE.sub(r"\1", text)))
    return _choose(text, cleaned, separator, lambda before, after: after if _WORD.search(before) else before)
