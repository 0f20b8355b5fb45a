"""A text encoder without a model: counts of letters; slow, forgetful or broken on demand. Fresh processes import it."""

import time
from functools import partial
from pathlib import Path  # noqa: F401 - for start_python

import fresh_process
import numpy as np

from skllmrec.base import BaseTextEncoder

LETTERS = "aeionst"


def expected(texts):
    """The vectors, computed in the plainest way."""
    return np.array([[text.count(letter) for letter in LETTERS] for text in texts], dtype=np.float32)


def texts_like(n, *, n_distinct=None):
    """Texts of different lengths; every `n_distinct`-th is the same."""
    n_distinct = n_distinct or n
    return [f"the story number {i % n_distinct} " + "of a stone " * (i % n_distinct % 7) for i in range(n)]


class LetterEncoder(BaseTextEncoder):
    """Counts of some letters; writes every text that it encodes into the file `log`, and sleeps after each group."""

    def __init__(self, log=None, pause=0.0, group=5, memory=None, verbose=False):
        self.log = log
        self.pause = pause
        self.group = group
        self.memory = memory
        self.verbose = verbose

    def _fit_encoder(self, texts):
        return len(LETTERS)

    def _start(self, texts):
        return LetterJob(texts, self)

    def _identity(self):
        return {"letters": LETTERS}


class LetterJob:
    def __init__(self, texts, encoder):
        self.texts, self.encoder = texts, encoder
        self.costs = np.array([len(text) for text in texts])
        order = np.argsort(-self.costs, kind="stable")
        self.groups = np.split(order, np.arange(encoder.group, len(texts), encoder.group))

    def encode(self, positions):
        texts = [self.texts[position] for position in positions]
        if self.encoder.log is not None:
            with open(self.encoder.log, "a", encoding="utf-8") as file:
                file.writelines(f"{text}\n" for text in texts)
        time.sleep(self.encoder.pause)
        return expected(texts)


start_python = partial(fresh_process.start_python, helpers="letter_encoder")
