"""Find the texts that a step of cleaning may change; numpy searches their bytes, far faster than an expression can.

Each function takes the UTF-8 bytes of joined texts and the position at which each text starts, and returns a mask of
the texts to clean. The mask may include clean texts, but must include every text that the step of `_cleaning` would
change.
"""

from collections.abc import Collection, Mapping
from functools import cached_property

import numpy as np

from skllmrec._typing import Array, IntArray

_PUNCTUATION = np.frombuffer(b"!?,;:-=*_#~+|/\\.", dtype=np.uint8)
_BREAK = np.array([0x09, 0x0A, 0x0B, 0x0C, 0x0D], dtype=np.uint8)  # ASCII white space except the space
# first bytes of non-ASCII characters that are invisible or white space -> possible second bytes
_INVISIBLE = {
    0xC2: range(0x80, 0xAE),
    0xD8: (0x9C,),
    0xE1: (0xA0,),
    0xE2: (0x80, 0x81),
    0xED: range(0xA0, 0xC0),
    0xEF: (0xBB,),
}
_SPACES = {0xC2: (0x85, 0xA0), 0xE1: (0x9A,), 0xE2: (0x80, 0x81), 0xE3: (0x80,)}


class JoinedTexts:
    """The bytes of many texts, with the separator between them and a space at the end.

    Parameters
    ----------
    joined : str
        The texts with the separator between them.
    separator : str or None
        An ASCII character that no text contains; None for a single text.
    """

    def __init__(self, joined: str, separator: str | None) -> None:
        self.blob = (joined + " ").encode("utf-8", "surrogatepass")
        self.codes = np.frombuffer(self.blob, dtype=np.uint8)
        self.separator = -1 if separator is None else ord(separator)
        self.starts = np.concatenate(([0], np.flatnonzero(self.codes == self.separator) + 1))
        self.is_ascii = len(self.blob) == len(joined) + 1

    @cached_property
    def low(self) -> IntArray:
        """Positions of the bytes below the space, except the separator: control characters, line breaks."""
        positions = np.flatnonzero(self.codes < 0x20)
        return positions[self.codes[positions] != self.separator]

    @cached_property
    def leads(self) -> IntArray:
        """Positions of the first bytes of non-ASCII characters."""
        return np.flatnonzero(self.codes >= 0xC2)

    def texts_at(self, positions: IntArray) -> Array:
        """Mask of the texts that contain one of the byte positions."""
        mask = np.zeros(len(self.starts), dtype=bool)
        if len(positions):
            mask[np.searchsorted(self.starts, positions, side="right") - 1] = True
        return mask

    def with_any(self, mask: Array) -> Array:
        """Mask of the texts that contain one of the bytes in a mask."""
        return self.texts_at(np.flatnonzero(mask))

    def with_count(self, positions: IntArray, least: int) -> Array:
        """Mask of the texts that contain at least `least` of the byte positions, which are sorted."""
        if len(positions) < least:
            return no_texts(self)
        return np.diff(np.searchsorted(positions, self.starts), append=len(positions)) >= least

    def with_sequence(self, *sequences: bytes) -> Array:
        """Mask of the texts that contain one of the byte sequences."""
        positions = [position for sequence in sequences for position in _find_all(self.blob, sequence)]
        return self.texts_at(np.array(positions, dtype=np.intp))

    def with_pair(self, pairs: Mapping[int, Collection[int]]) -> Array:
        """Mask of the texts that contain a character with one of the given first and second bytes."""
        if self.is_ascii:
            return no_texts(self)
        positions, first_bytes = [], self.codes[self.leads]
        for first_byte, second_bytes in pairs.items():
            leads = self.leads[first_bytes == first_byte]
            positions.append(leads[np.isin(self.codes[leads + 1], list(second_bytes))])
        return self.texts_at(np.concatenate(positions))


def _find_all(blob, sequence):
    position = blob.find(sequence)
    while position >= 0:
        yield position
        position = blob.find(sequence, position + 1)


def with_tags(joined: JoinedTexts) -> Array:
    """Mask of the texts with a "<"."""
    return joined.with_any(joined.codes == ord("<"))


def with_entities(joined: JoinedTexts) -> Array:
    """Mask of the texts with a "&"."""
    return joined.with_any(joined.codes == ord("&"))


def with_non_ascii(joined: JoinedTexts) -> Array:
    """Mask of the texts that may have several Unicode normal forms."""
    return no_texts(joined) if joined.is_ascii else joined.texts_at(joined.leads)


def with_control(joined: JoinedTexts) -> Array:
    """Mask of the texts with control characters, invisible characters or surrogates."""
    control = joined.low[~np.isin(joined.codes[joined.low], _BREAK)]
    return joined.texts_at(control) | joined.with_any(joined.codes == 0x7F) | joined.with_pair(_INVISIBLE)


def with_urls(joined: JoinedTexts) -> Array:
    """Mask of the texts with "://" or "www."."""
    w = (joined.codes | 0x20) == ord("w")
    return joined.with_sequence(b"://") | joined.with_any(w[:-3] & w[1:-2] & w[2:-1] & (joined.codes[3:] == ord(".")))


def with_emails(joined: JoinedTexts) -> Array:
    """Mask of the texts with an "@"."""
    return joined.with_any(joined.codes == ord("@"))


def _are_digits(codes):
    return codes - np.uint8(ord("0")) < 10  # below "0" the difference wraps around


def with_ips(joined: JoinedTexts) -> Array:
    """Mask of the texts with three dots between digits, or two colons."""
    dots = np.flatnonzero(joined.codes[1:-1] == ord(".")) + 1
    dots = dots[_are_digits(joined.codes[dots - 1]) & _are_digits(joined.codes[dots + 1])]
    return joined.with_count(dots, 3) | joined.with_count(np.flatnonzero(joined.codes == ord(":")), 2)


def with_phones(joined: JoinedTexts) -> Array:
    """Mask of the texts with seven digits or more."""
    return joined.with_count(np.flatnonzero(_are_digits(joined.codes)), 7)


def with_runs(joined: JoinedTexts) -> Array:
    """Mask of the texts with a repeated punctuation mark; non-ASCII marks have three bytes."""
    codes = joined.codes
    twice = np.flatnonzero(codes[1:] == codes[:-1])
    ascii_run = joined.texts_at(twice[np.isin(codes[twice], _PUNCTUATION)])
    if joined.is_ascii:
        return ascii_run
    return ascii_run | joined.with_any((codes[3:] == codes[:-3]) & (codes[3:] >= 0xE2))


def with_spaces(joined: JoinedTexts) -> Array:
    """Mask of the texts with white space other than single spaces."""
    spaces = joined.codes == ord(" ")
    breaks = joined.low[np.isin(joined.codes[joined.low], _BREAK)]
    return joined.with_any(spaces[1:] & spaces[:-1]) | joined.texts_at(breaks) | joined.with_pair(_SPACES)


def all_texts(joined: JoinedTexts) -> Array:
    """Mask of all texts."""
    return np.ones(len(joined.starts), dtype=bool)


def no_texts(joined: JoinedTexts) -> Array:
    """Mask of no text: for a step that applies only to texts that an earlier step has changed."""
    return np.zeros(len(joined.starts), dtype=bool)
