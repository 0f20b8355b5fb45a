"""Many texts in little memory: the peak of a fresh process does not grow with their number."""

import subprocess
import sys
import weakref

import numpy as np
import pytest
from letter_encoder import LETTERS, LetterEncoder, expected, start_python, texts_like
from numpy.testing import assert_array_equal

from skllmrec import LLMTextEncoder, _texts

needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process is read from /proc")
# A process with texts of 2 kB: 4 MB of them, or 80 MB. To have all of them, or their vectors, at once would show.
PEAK = """
from skllmrec import _inputs, _texts
_texts.BLOCK_TEXTS = _inputs._SLICE = 500

def peak():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])

n, kind, path = int(sys.argv[1]), sys.argv[2], sys.argv[3]
encoder = LetterEncoder(group=500).fit(["a"])

def texts(stop):
    for i in range(n):
        if i == stop:
            raise KeyError
        yield f"the story number {i} " + "of a stone " * 185

if kind == "broken":
    try:
        encoder.transform(texts(n - 1), out=path)
    except KeyError:
        pass  # and once more, with a file to take up
if kind == "array":
    encoder.transform(texts(None), out=np.empty((n, len(LETTERS)), dtype=np.float32))
else:
    assert len(encoder.transform(texts(None), out=path)) == n
print(peak())
"""


def peak_of(n, kind, path):
    output = start_python(PEAK, n, kind, path, stdout=subprocess.PIPE, text=True).communicate()[0]
    return int(output)


@needs_proc
@pytest.mark.parametrize("kind", ["file", "broken", "array"])
def test_memory_does_not_grow_with_the_number_of_texts(kind, tmp_path):
    few, many = (peak_of(n, kind, tmp_path / f"{n}.npy") for n in (2_000, 40_000))
    assert many <= 1.1 * few


@pytest.mark.parametrize("out", [False, True])
def test_blocks_leave_nothing_behind(out, monkeypatch, tmp_path):
    monkeypatch.setattr(_texts, "BLOCK_TEXTS", 16)
    jobs, most = weakref.WeakSet(), 0

    class Watching(LetterEncoder):
        def _start(self, texts):
            nonlocal most
            job = super()._start(texts)
            jobs.add(job)
            most = max(most, len(jobs))
            return job

    encoder, texts = Watching().fit(["a"]), texts_like(200)
    vectors = encoder.transform(iter(texts), out=tmp_path / "vectors.npy" if out else None)
    assert_array_equal(vectors, expected(texts))
    assert most <= 2  # a block's job goes when the next one's comes
    assert len(jobs) <= 1


@pytest.mark.parametrize("memory", [False, True])
def test_language_model_in_blocks(tiny_bert, memory, monkeypatch, tmp_path):
    texts = texts_like(300, n_distinct=130)
    encoder = LLMTextEncoder(tiny_bert, memory=tmp_path / "store" if memory else None).fit(texts)
    whole = LLMTextEncoder(tiny_bert).fit(texts).transform(texts)
    monkeypatch.setattr(_texts, "BLOCK_TEXTS", 64)
    for vectors in (
        encoder.transform(texts),
        encoder.transform(iter(texts)),
        encoder.transform(texts, out=np.empty_like(whole)),
        encoder.transform(iter(texts), out=tmp_path / "vectors.npy"),
    ):
        np.testing.assert_allclose(vectors, whole, rtol=1e-4, atol=1e-5)


def test_new_array_of_unknown_length():
    from skllmrec.base._output._targets import NewArray

    vectors, rng = NewArray(None, len(LETTERS)), np.random.default_rng(0)
    blocks = [rng.random((n, len(LETTERS)), dtype=np.float32) for n in (1, 2, 100, 3, 500, 1)]
    for block in blocks:
        vectors.append(list(block), block)
    assert_array_equal(vectors.result(), np.concatenate(blocks))
