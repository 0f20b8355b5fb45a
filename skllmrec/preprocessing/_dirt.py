"""Which of many texts can hold a kind of dirt at all: numpy looks at the bytes, far faster than an expression can.

Each function takes the UTF-8 bytes of joined texts and where each text starts, and returns a mask of the texts that
have to be cleaned. It may name a clean text, never pass over one that a step of `_cleaning` would change.
"""

from functools import cached_property

import numpy as np

_PUNCTUATION = np.frombuffer(b"!?,;:-=*_#~+|/\\.", dtype=np.uint8)
_BREAK = np.array([0x09, 0x0A, 0x0B, 0x0C, 0x0D], dtype=np.uint8)  # white space of ASCII that is no plain space
# leading bytes of the characters beyond ASCII that are invisible, and of those that are white space
_INVISIBLE = {0xC2: range(0x80, 0xAE), 0xD8: (0x9C,), 0xE1: (0xA0,), 0xE2: (0x80, 0x81), 0xED: range(0xA0, 0xC0),
              0xEF: (0xBB,)}  # fmt: skip
_SPACES = {0xC2: (0x85, 0xA0), 0xE1: (0x9A,), 0xE2: (0x80, 0x81), 0xE3: (0x80,)}


class JoinedTexts:
    """The bytes of many texts, one after the other, with the separator between them and a plain space at the end.

    Parameters
    ----------
    joined : str
        The texts with the separator between them.
    separator : str or None
        One character of ASCII that no text holds; None for a single text.
    """

    def __init__(self, joined, separator):
        self.blob = (joined + " ").encode("utf-8", "surrogatepass")
        self.codes = np.frombuffer(self.blob, dtype=np.uint8)
        self.separator = -1 if separator is None else ord(separator)
        self.starts = np.concatenate(([0], np.flatnonzero(self.codes == self.separator) + 1))
        self.is_ascii = len(self.blob) == len(joined) + 1

    @cached_property
    def low(self):
        """Positions of the bytes below the plain space that separate nothing: control characters, breaks."""
        positions = np.flatnonzero(self.codes < 0x20)
        return positions[self.codes[positions] != self.separator]

    @cached_property
    def leads(self):
        """Positions of the bytes that begin a character beyond ASCII."""
        return np.flatnonzero(self.codes >= 0xC2)

    def texts_at(self, positions):
        """Mask of the texts that hold one of the byte positions."""
        mask = np.zeros(len(self.starts), dtype=bool)
        if len(positions):
            mask[np.searchsorted(self.starts, positions, side="right") - 1] = True
        return mask

    def with_any(self, marked):
        """Mask of the texts in which a byte is marked."""
        return self.texts_at(np.flatnonzero(marked))

    def with_count(self, positions, least):
        """Mask of the texts that hold at least so many of the byte positions, which ascend."""
        if len(positions) < least:
            return nowhere(self)
        return np.diff(np.searchsorted(positions, self.starts), append=len(positions)) >= least

    def with_sequence(self, *sequences):
        """Mask of the texts that hold one of the sequences of bytes."""
        positions = [position for sequence in sequences for position in _find_all(self.blob, sequence)]
        return self.texts_at(np.array(positions, dtype=np.intp))

    def with_pair(self, pairs):
        """Mask of the texts that hold a leading byte followed by one of the bytes named with it."""
        if self.is_ascii:
            return nowhere(self)
        positions, begun = [], self.codes[self.leads]
        for lead, followers in pairs.items():
            leads = self.leads[begun == lead]
            positions.append(leads[np.isin(self.codes[leads + 1], list(followers))])
        return self.texts_at(np.concatenate(positions))


def _find_all(blob, sequence):
    position = blob.find(sequence)
    while position >= 0:
        yield position
        position = blob.find(sequence, position + 1)


def with_tags(joined):
    """Texts with a "<"."""
    return joined.with_any(joined.codes == ord("<"))


def with_entities(joined):
    """Texts with a "&"."""
    return joined.with_any(joined.codes == ord("&"))


def beyond_ascii(joined):
    """Texts that Unicode may write in several ways."""
    return nowhere(joined) if joined.is_ascii else joined.texts_at(joined.leads)


def with_control(joined):
    """Texts with control characters, invisible marks or surrogates."""
    control = joined.low[~np.isin(joined.codes[joined.low], _BREAK)]
    return joined.texts_at(control) | joined.with_any(joined.codes == 0x7F) | joined.with_pair(_INVISIBLE)


def with_urls(joined):
    """Texts with "://" or three letters w and a dot."""
    w = (joined.codes | 0x20) == ord("w")
    return joined.with_sequence(b"://") | joined.with_any(w[:-3] & w[1:-2] & w[2:-1] & (joined.codes[3:] == ord(".")))


def with_emails(joined):
    """Texts with an "@"."""
    return joined.with_any(joined.codes == ord("@"))


def _digits(codes):
    return codes - np.uint8(ord("0")) < 10  # below "0" the difference wraps around


def with_ips(joined):
    """Texts in which three dots stand between digits, or two colons."""
    dots = np.flatnonzero(joined.codes[1:-1] == ord(".")) + 1
    dots = dots[_digits(joined.codes[dots - 1]) & _digits(joined.codes[dots + 1])]
    return joined.with_count(dots, 3) | joined.with_count(np.flatnonzero(joined.codes == ord(":")), 2)


def with_phones(joined):
    """Texts of seven digits or more."""
    return joined.with_count(np.flatnonzero(_digits(joined.codes)), 7)


def with_runs(joined):
    """Texts in which a mark follows itself; marks beyond ASCII take three bytes."""
    codes = joined.codes
    twice = np.flatnonzero(codes[1:] == codes[:-1])
    ascii_run = joined.texts_at(twice[np.isin(codes[twice], _PUNCTUATION)])
    return (
        ascii_run if joined.is_ascii else ascii_run | joined.with_any((codes[3:] == codes[:-3]) & (codes[3:] >= 0xE2))
    )


def with_spaces(joined):
    """Texts with white space other than single plain spaces."""
    spaces = joined.codes == ord(" ")
    breaks = joined.low[np.isin(joined.codes[joined.low], _BREAK)]
    return joined.with_any(spaces[1:] & spaces[:-1]) | joined.texts_at(breaks) | joined.with_pair(_SPACES)


def everywhere(joined):
    """All texts."""
    return np.ones(len(joined.starts), dtype=bool)


def nowhere(joined):
    """No text, as it came: a step for what the steps before it bring to light."""
    return np.zeros(len(joined.starts), dtype=bool)
