"""A stand-in for a model, and what the tests of the store do with it, in this and in other processes."""

import os
import time
from functools import partial
from pathlib import Path  # noqa: F401 - for start_python

import fresh_process
import numpy as np

from skllmrec._store import EmbeddingStore
from skllmrec.exceptions import StoreError  # noqa: F401 - for start_python

N_DIMS = 4
IDENTITY = {"model": "length", "layer": -1}


def vector_of(text):
    """What the stand-in for a model makes of a text."""
    return np.array([len(text), sum(map(ord, text)) % 1009, ord((text + " ")[0]), 1], dtype=np.float32)


class Job:
    """A slow stand-in for a model that writes down what it encodes."""

    def __init__(self, texts, log=None, pause=0.0, group=5):
        self.texts, self.log, self.pause = texts, log, pause
        self.groups = np.split(np.arange(len(texts)), np.arange(group, len(texts), group))

    def encode(self, positions):
        if self.log is not None:
            with open(self.log, "a") as file:
                file.writelines(f"{os.getpid()} {self.texts[position]}\n" for position in positions)
        time.sleep(self.pause)
        return np.stack([vector_of(self.texts[position]) for position in positions])


def texts_like(n):
    return [f"text {i} {'x' * (i % 7)}" for i in range(n)]


def starting(texts, job=Job, **options):
    """What the store calls to have the missing ones of some texts encoded."""
    return lambda missing: job([texts[position] for position in missing], **options)


def fetch(path, texts, identity=IDENTITY, max_bytes=None, n_dims=N_DIMS, job=Job, **options):
    return EmbeddingStore(path, max_bytes).fetch(identity, n_dims, texts, starting(texts, job, **options))


def look_up(path, texts, identity=IDENTITY, n_dims=N_DIMS):
    """Vectors of texts, none of which may be encoded."""
    return EmbeddingStore(path).fetch(identity, n_dims, texts, must_not_encode)


def expected(texts):
    return np.stack([vector_of(text) for text in texts])


def counts(path):
    stats = EmbeddingStore(path).stats()
    return stats["texts"], stats["encoded"]


def must_not_encode(missing):
    raise AssertionError(f"the inputs at {missing} should have been found")


start_python = partial(fresh_process.start_python, helpers="store_helpers")


def wait_for(condition, seconds=30):
    stop = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < stop, "nothing happened"
        time.sleep(0.01)


def scribble(path, start, data):
    with open(path, "r+b") as file:
        file.seek(start)
        file.write(data)


WIDE = 256  # floats of a vector that makes a file grow: 1 kB


def wide_vector(text):
    return np.full(WIDE, sum(map(ord, text)) % 9973, dtype=np.float32) + np.arange(WIDE, dtype=np.float32)


class WideJob(Job):
    """The stand-in with vectors of 1 kB."""

    def encode(self, positions):
        super().encode(positions)
        return np.stack([wide_vector(self.texts[position]) for position in positions])


def wide_fetch(path, texts, max_bytes=None, identity=IDENTITY, **job):
    vectors = fetch(path, texts, identity, max_bytes, WIDE, WideJob, **{"group": 50, **job})
    np.testing.assert_array_equal(vectors, np.stack([wide_vector(text) for text in texts]))


def encoded(log):
    """Texts that a job wrote down, with repetitions."""
    return [line.partition(" ")[2] for line in log.read_text().splitlines()] if log.exists() else []
