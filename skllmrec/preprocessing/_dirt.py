"""Which of many texts can hold a kind of dirt at all: numpy looks at the bytes, far faster than an expression can.

Each function takes the UTF-8 bytes of joined texts and where each text starts, and returns a mask of the texts that
have to be cleaned. It may name a clean text, never pass over one that a step of `_cleaning` would change.
"""

import numpy as np

_PUNCTUATION = np.zeros(256, dtype=bool)
_PUNCTUATION[np.frombuffer(b"!?,;:-=*_#~+|/\\.", dtype=np.uint8)] = True
_CONTROL = np.zeros(256, dtype=bool)
_CONTROL[[*range(0x09), *range(0x0E, 0x20), 0x7F]] = True
_BREAK = np.zeros(256, dtype=bool)  # white space of ASCII that is no plain space
_BREAK[[0x09, 0x0A, 0x0B, 0x0C, 0x0D]] = True
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

    def texts_at(self, positions):
        """Mask of the texts that hold one of the byte positions."""
        mask = np.zeros(len(self.starts), dtype=bool)
        mask[np.searchsorted(self.starts, positions, side="right") - 1] = True
        return mask

    def with_any(self, marked):
        """Mask of the texts in which a byte is marked."""
        return self.texts_at(np.flatnonzero(marked))

    def with_count(self, marked, least):
        """Mask of the texts in which at least so many bytes are marked."""
        return np.add.reduceat(marked, self.starts, dtype=np.int32) >= least

    def with_sequence(self, *sequences):
        """Mask of the texts that hold one of the sequences of bytes."""
        positions = [position for sequence in sequences for position in _find_all(self.blob, sequence)]
        return self.texts_at(np.array(positions, dtype=np.intp))

    def with_pair(self, pairs):
        """Mask of the texts that hold a leading byte followed by one of the bytes named with it."""
        positions = []
        for lead, followers in pairs.items():
            leads = np.flatnonzero(self.codes == lead)
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
    return joined.with_any(joined.codes >= 0x80)


def with_control(joined):
    """Texts with control characters, invisible marks or surrogates."""
    low = _CONTROL[joined.codes] & (joined.codes != joined.separator)
    return joined.with_any(low) | joined.with_pair(_INVISIBLE)


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
    digits = _digits(joined.codes)
    dots = digits[:-2] & (joined.codes[1:-1] == ord(".")) & digits[2:]
    enough = joined.with_count(np.concatenate((dots, [False, False])), 3)
    return enough | joined.with_count(joined.codes == ord(":"), 2)


def with_phones(joined):
    """Texts of seven digits or more."""
    return joined.with_count(_digits(joined.codes), 7)


def with_runs(joined):
    """Texts in which a mark follows itself; marks beyond ASCII take three bytes."""
    codes = joined.codes
    ascii_run = (codes[1:] == codes[:-1]) & _PUNCTUATION[codes[1:]]
    return joined.with_any(ascii_run) | joined.with_any((codes[3:] == codes[:-3]) & (codes[3:] >= 0xE2))


def with_spaces(joined):
    """Texts with white space other than single plain spaces."""
    spaces = joined.codes == ord(" ")
    plain = joined.with_any(spaces[1:] & spaces[:-1]) | joined.with_any(_BREAK[joined.codes])
    return plain | joined.with_pair(_SPACES)


def everywhere(joined):
    """All texts."""
    return np.ones(len(joined.starts), dtype=bool)


def nowhere(joined):
    """No text, as it came: a step for what the steps before it bring to light."""
    return np.zeros(len(joined.starts), dtype=bool)
