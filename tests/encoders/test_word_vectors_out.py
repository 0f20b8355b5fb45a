"""WordVectorEncoder into a file: resumed by another process, refused where anything differs that changes a vector."""

import functools
import pickle
import signal
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from tiny_models import SENTENCES

from skllmrec import TextAnalyzer, WordVectorEncoder, _texts
from skllmrec.encoders.word_vectors import _identity
from skllmrec.encoders.word_vectors._identity import describe_analyzer, digest
from skllmrec.exceptions import VectorFileError
from skllmrec.testing._encoder_checks import TEXTS as CHECKED
from skllmrec.testing._encoder_checks import check_out_file

BLOCK = 16
TEXTS = [f"{SENTENCES[i % len(SENTENCES)]} {SENTENCES[i % 5]} {i}" for i in range(3 * BLOCK + 5)]
TRAINED = {"vectors": None, "n_components": 8, "min_count": 1, "epochs": 2, "random_state": 0}
needs_gensim = pytest.mark.skipif(find_spec("gensim") is None, reason="gensim is not installed")
# A process that fits, and is killed when it has written two blocks.
KILLED = """
import os, pickle, signal, sys
from skllmrec import WordVectorEncoder, _texts
_texts.BLOCK_TEXTS, path = int(sys.argv[2]), sys.argv[1]
texts, training, options = pickle.load(sys.stdin.buffer)

def broken_off():
    yield from texts[: 2 * _texts.BLOCK_TEXTS + 1]
    os.kill(os.getpid(), signal.SIGKILL)

WordVectorEncoder(**options).fit(training).transform(broken_off(), out=path)
"""


def split(text):
    """An analyzer that stands in a module."""
    return text.lower().split()


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(_texts, "BLOCK_TEXTS", BLOCK)


def write_vectors(path, texts=SENTENCES, seed=0):
    rng, words = np.random.default_rng(seed), sorted({word for text in texts for word in TextAnalyzer()(text)})
    path.write_text("".join(f"{word} {' '.join(map(str, rng.standard_normal(6)))}\n" for word in words))
    return path


@pytest.fixture
def vectors(tmp_path):
    return write_vectors(tmp_path / "vectors.txt")


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system knows no SIGKILL")
@pytest.mark.parametrize("kind", ["sif", pytest.param("trained", marks=needs_gensim)])
def test_resumed_after_a_kill_by_a_process_that_fits_again(kind, vectors, tmp_path):
    if kind == "trained":
        options = {**TRAINED, "pooling": "tfidf", "normalize": True}
    else:
        options = {"vectors": str(vectors), "pooling": "sif", "analyzer": TextAnalyzer(stop_words=["the"])}
    out = tmp_path / "out.npy"
    command = [sys.executable, "-c", KILLED, str(out), str(BLOCK)]
    killed = subprocess.run(command, input=pickle.dumps((TEXTS, SENTENCES, options)), timeout=300)
    assert killed.returncode == -signal.SIGKILL
    encoder = WordVectorEncoder(**options).fit(SENTENCES)
    plain, started, start = encoder.transform(TEXTS), [], encoder._start
    encoder._start = lambda texts: started.extend(texts) or start(texts)
    assert_allclose(encoder.transform(iter(TEXTS), out=out), plain, rtol=1e-5, atol=1e-6)
    assert started == TEXTS[2 * BLOCK :]


@pytest.mark.parametrize("pooling", ["mean", "tfidf", "sif"])
def test_the_check_of_files_runs(vectors, pooling):
    check_out_file(WordVectorEncoder(write_vectors(vectors, SENTENCES + list(CHECKED)), pooling=pooling), list(CHECKED))


CHANGES = {
    "pooling": ({"pooling": "mean"}, {"pooling": "sif"}, SENTENCES, "pooling"),
    "weights": ({"pooling": "tfidf"}, {"pooling": "tfidf"}, SENTENCES[1:], "weights"),
    "sif_weight": ({"pooling": "sif"}, {"pooling": "sif", "sif_weight": 0.1}, SENTENCES, "weights"),
    "components": ({"pooling": "sif"}, {"pooling": "sif", "remove_components": 2}, SENTENCES, "components"),
    "normalize": ({}, {"normalize": True}, SENTENCES, "normalize"),
    "lowercase": ({}, {"lowercase": False}, SENTENCES, "analyzer"),
    "analyzer": ({}, {"analyzer": split}, SENTENCES, "analyzer"),
    "options": ({"analyzer": TextAnalyzer()}, {"analyzer": TextAnalyzer(ngram_range=(1, 2))}, SENTENCES, "analyzer"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_another_encoder_is_refused(change, vectors, tmp_path):
    before, after, training, named = CHANGES[change]
    out = tmp_path / "out.npy"
    first = WordVectorEncoder(vectors, **before).fit(SENTENCES)
    written = np.array(first.transform(TEXTS, out=out))
    with pytest.raises(VectorFileError, match=rf"another encoder \({named}: "):
        WordVectorEncoder(vectors, **after).fit(training).transform(TEXTS, out=out)
    for same in (pickle.loads(pickle.dumps(first)), WordVectorEncoder(vectors, **before).fit(SENTENCES)):  # noqa: S301 - our own bytes
        assert_array_equal(same.transform(TEXTS, out=out), written)


def test_other_vectors_are_refused(vectors, tmp_path):
    WordVectorEncoder(vectors).fit(SENTENCES).transform(TEXTS, out=tmp_path / "out.npy")
    other = WordVectorEncoder(write_vectors(tmp_path / "other.txt", seed=1)).fit(SENTENCES)
    with pytest.raises(VectorFileError, match=r"another encoder \(vectors: "):
        other.transform(TEXTS, out=tmp_path / "out.npy")


@needs_gensim
def test_vectors_of_another_seed_are_refused(tmp_path):
    WordVectorEncoder(**TRAINED).fit(SENTENCES).transform(TEXTS, out=tmp_path / "out.npy")
    other = WordVectorEncoder(**{**TRAINED, "random_state": 1}).fit(SENTENCES)
    with pytest.raises(VectorFileError, match=r"another encoder \(vectors: "):
        other.transform(TEXTS, out=tmp_path / "out.npy")


def test_what_changes_no_vector_is_not_asked_for(vectors, tmp_path):
    first = WordVectorEncoder(vectors).fit(SENTENCES).transform(TEXTS, out=tmp_path / "out.npy")
    same = {"verbose": False, "sif_weight": 0.5, "window": 9, "analyzer": TextAnalyzer()}
    moved = vectors.rename(vectors.with_name("moved.txt"))
    assert_array_equal(
        WordVectorEncoder(moved, **same).fit(SENTENCES[1:]).transform(TEXTS, out=tmp_path / "out.npy"), first
    )


def test_analyzers_without_a_stable_name_are_refused_for_files_only(vectors, tmp_path):
    def inside(text):
        return text.split()

    for analyzer in (inside, lambda text: text.split(), functools.partial(str.split, sep=" "), str.split):
        encoder = WordVectorEncoder(vectors, analyzer=analyzer).fit(SENTENCES)
        expected = encoder.transform(TEXTS)
        assert_array_equal(encoder.transform(iter(TEXTS), out=np.empty_like(expected)), expected)
        with pytest.raises(ValueError, match=r"analyzer=.* cannot be described .*use analyzer=TextAnalyzer"):
            encoder.transform(TEXTS, out=tmp_path / "out.npy")
        assert not list(tmp_path.glob("out*"))


def test_words_count_and_not_numbers_alone():
    numbers = np.eye(2)
    assert digest(["a", "b"], numbers) == digest(["a", "b"], numbers.copy())
    assert len({digest(["a", "b"], numbers), digest(["b", "a"], numbers), digest(["a", "b"], 2 * numbers)}) == 3


def test_source_of_a_function_and_version_of_jieba_count(monkeypatch):
    before = [describe_analyzer(analyzer) for analyzer in (split, TextAnalyzer("jieba"), TextAnalyzer())]
    monkeypatch.setattr(_identity.inspect, "getsource", lambda function: "def split(text): return []")
    monkeypatch.setattr(_identity, "find_spec", lambda name: name)
    monkeypatch.setattr(_identity, "version", lambda name: "9.9")
    after = [describe_analyzer(analyzer) for analyzer in (split, TextAnalyzer("jieba"), TextAnalyzer())]
    assert [one == other for one, other in zip(before, after, strict=True)] == [False, False, True]
