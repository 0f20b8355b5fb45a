"""Threads and forks: nothing is set in the process itself, and its children work."""

import os

import numpy as np
import pytest
from fresh_process import run_python
from joblib import Parallel, cpu_count, delayed
from numpy.testing import assert_allclose
from tiny_models import SENTENCES

from skllmrec import LLMTextEncoder

TEXTS = [f"{sentence} Part {part}." for sentence in SENTENCES for part in range(40)]


def threads_after(encoder, texts):
    import torch

    encoder.transform(texts)
    return torch.get_num_threads()


def test_processes_of_joblib_share_the_cores(tiny_bert):
    encoder = LLMTextEncoder(tiny_bert).fit(TEXTS)
    counts = Parallel(n_jobs=2, backend="loky")(delayed(threads_after)(encoder, TEXTS) for _ in range(2))
    assert sum(counts) <= max(cpu_count(), 2)


def test_threads_of_joblib_share_one_model(tiny_bert):
    encoder = LLMTextEncoder(tiny_bert, batch_tokens=128).fit(TEXTS)
    expected = encoder.transform(TEXTS)
    parts = [TEXTS[start::4] for start in range(4)]
    found = Parallel(n_jobs=4, backend="threading")(delayed(encoder.transform)(part) for part in parts)
    for start, vectors in enumerate(found):
        assert_allclose(vectors, expected[start::4], rtol=1e-4, atol=1e-5)


IN_A_FORK = """
import multiprocessing, os, sys
import numpy as np
import torch
from skllmrec import LLMTextEncoder

folder, texts = sys.argv[1], sys.argv[2:]
encoder = LLMTextEncoder(folder).fit(texts)
before = torch.get_num_threads(), os.environ.get("TOKENIZERS_PARALLELISM")
expected = encoder.transform(texts)

def encode(part):
    return encoder.transform(part)

with multiprocessing.get_context("fork").Pool(2) as pool:
    found = pool.map_async(encode, [texts, texts[::-1]]).get(100)
np.testing.assert_allclose(found[0], expected, rtol=1e-4, atol=1e-5)
np.testing.assert_allclose(found[1], expected[::-1], rtol=1e-4, atol=1e-5)
assert (torch.get_num_threads(), os.environ.get("TOKENIZERS_PARALLELISM")) == before
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_forked_processes_encode_without_a_word(tiny_bert, monkeypatch):
    monkeypatch.delenv("TOKENIZERS_PARALLELISM", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")  # more than one, which a child does not inherit
    assert run_python(IN_A_FORK, tiny_bert, *TEXTS, timeout=200) == ("", "")
    assert np.isfinite(LLMTextEncoder(tiny_bert).fit_transform(TEXTS)).all()
