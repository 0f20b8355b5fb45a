"""Stores and files of vectors that an earlier state of the package wrote are read; nothing in them is encoded again.

`written/` was made by commit f03b831: a LetterEncoder with ``memory=``, and with ``out=`` in blocks of four texts, to
the end (`finished.npy`) and until the iterator failed behind the ninth text (`begun.npy.partial`).
"""

import gzip
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from letter_encoder import LetterEncoder, expected
from numpy.testing import assert_array_equal

from skllmrec import EmbeddingStore
from skllmrec.exceptions import VectorFileError

WRITTEN = Path(__file__).parent / "written"
TEXTS = [
    "a stone",
    "",
    "a tale of two cities",
    "a stone",
    "電影 über кино 🎬",
    "tea\x00",
    "   ",
    "Ein schöner Tag",
    "notes on notes",
    "a tale",
]


@pytest.fixture
def encoder(tmp_path):
    return LetterEncoder(tmp_path / "log").fit(TEXTS)


def n_encoded(encoder):
    return len(encoder.log.read_text(encoding="utf-8").splitlines()) if encoder.log.exists() else 0


def test_store(encoder, tmp_path):
    (tmp_path / "store").mkdir()
    content = gzip.decompress((WRITTEN / "store.sqlite.gz").read_bytes())
    (tmp_path / "store" / "embeddings.sqlite").write_bytes(content)
    encoder.set_params(memory=tmp_path / "store")
    for texts in (TEXTS, iter(TEXTS), TEXTS[::-1]):
        vectors = encoder.transform(texts)
    assert_array_equal(vectors, expected(TEXTS[::-1]))
    assert n_encoded(encoder) == 0
    stats = EmbeddingStore(tmp_path / "store").stats()
    assert (stats["texts"], stats["encoded"], stats["encoders"]) == (9, 9, 1)
    report = EmbeddingStore(tmp_path / "store").verify()
    assert (report["sound"], report["damaged"], report["file"]) == (9, 0, None)


def test_finished_file(encoder, tmp_path):
    for name in ("finished.npy", "finished.npy.json"):
        shutil.copy(WRITTEN / name, tmp_path)
    assert_array_equal(encoder.transform(TEXTS, out=tmp_path / "finished.npy"), expected(TEXTS))
    assert n_encoded(encoder) == 0
    with pytest.raises(VectorFileError, match="has vectors of other texts"):
        encoder.transform([*TEXTS[:-1], "another"], out=tmp_path / "finished.npy")


def test_file_that_was_begun(encoder, tmp_path):
    for name in ("begun.npy.partial", "begun.npy.json"):
        shutil.copy(WRITTEN / name, tmp_path)
    assert_array_equal(encoder.transform(TEXTS, out=tmp_path / "begun.npy"), expected(TEXTS))
    assert n_encoded(encoder) == 2
    assert_array_equal(np.load(tmp_path / "begun.npy"), expected(TEXTS))


def test_files_are_written_as_they_were(encoder, tmp_path):
    encoder.transform(TEXTS, out=tmp_path / "finished.npy")
    for name in ("finished.npy", "finished.npy.json"):
        assert (tmp_path / name).read_bytes() == (WRITTEN / name).read_bytes()
    assert json.loads((tmp_path / "finished.npy.json").read_text())["format"] == "skllmrec vectors 1"
