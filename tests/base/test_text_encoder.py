"""BaseTextEncoder: texts from iterators, vectors into arrays and files, faults of models and of callers."""

import sys

import numpy as np
import pytest
import sklearn
from letter_encoder import LETTERS, LetterEncoder, LetterJob, expected, texts_like
from numpy.testing import assert_array_equal
from sklearn.pipeline import make_pipeline, make_union

from skllmrec import EmbeddingStore, _texts
from skllmrec.base import BaseTextEncoder
from skllmrec.preprocessing import TextTemplate

TEXTS = texts_like(100, n_distinct=60)
N_DIMS = len(LETTERS)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(_texts, "BLOCK_TEXTS", 16)


@pytest.fixture
def encoder():
    return LetterEncoder().fit(TEXTS)


@pytest.fixture
def log(tmp_path):
    return tmp_path / "log"


def encoded(log):
    return log.read_text(encoding="utf-8").splitlines()


def until_it_breaks(texts, n):
    yield from texts[:n]
    raise ConnectionError("the source of texts is gone")


@pytest.mark.parametrize("n", [1, 15, 16, 17, 32, 100])
def test_iterator_gives_what_a_list_gives(encoder, n):
    assert_array_equal(encoder.transform(TEXTS[:n]), expected(TEXTS[:n]))
    for iterator in (iter(TEXTS[:n]), (text for text in TEXTS[:n]), map(str, TEXTS[:n])):
        vectors = encoder.transform(iterator)
        assert_array_equal(vectors, expected(TEXTS[:n]))
        assert vectors.dtype == np.float32


def test_fit_and_fit_transform_take_an_iterator():
    assert_array_equal(LetterEncoder().fit_transform(iter(TEXTS)), expected(TEXTS))
    assert_array_equal(LetterEncoder().fit(iter(TEXTS)).transform(iter(TEXTS)), expected(TEXTS))


def test_each_text_once_in_a_container_once_a_block_in_an_iterator_once_with_a_store(log, tmp_path):
    LetterEncoder(log).fit(TEXTS).transform(TEXTS)
    assert sorted(encoded(log)) == sorted(set(TEXTS))
    log.unlink()
    LetterEncoder(log).fit(TEXTS).transform(iter(TEXTS))
    blocks = [TEXTS[start : start + 16] for start in range(0, 100, 16)]
    assert sorted(encoded(log)) == sorted(text for block in blocks for text in set(block))
    log.unlink()
    LetterEncoder(log, memory=tmp_path / "store").fit(TEXTS).transform(iter(TEXTS))
    assert sorted(encoded(log)) == sorted(set(TEXTS))


def test_blocks_are_limited_in_characters(monkeypatch):
    monkeypatch.setattr(_texts, "BLOCK_CHARS", 100)
    texts = ["x" * 60, "y" * 40, "z" * 250, "", "a", "b" * 99, "c"]
    assert [[len(text) for text in block] for block in _texts.cut_blocks(texts)] == [[60, 40], [250], [0, 1, 99], [1]]


def test_iterator_is_read_no_further_than_the_block():
    taken = []

    def texts():
        for text in TEXTS:
            taken.append(text)
            yield text

    class Watching(LetterEncoder):
        def _start(self, texts):
            seen.append(len(taken))
            return super()._start(texts)

    seen = []
    Watching().fit(TEXTS).transform(texts())
    assert seen == [16, 32, 48, 64, 80, 96, 100]


@pytest.mark.parametrize("value", [None, 5, b"bytes", float("nan"), "bad \ud800"])
@pytest.mark.parametrize("position", [0, 15, 16, 77])
def test_bad_value_has_its_position_in_the_whole_input(encoder, value, position, tmp_path):
    texts = [*TEXTS[:position], value, *TEXTS[position:]]
    for make in (list, iter):
        for out in (None, tmp_path / "vectors.npy"):
            with pytest.raises(ValueError, match=rf"position {position}\b"):
                encoder.transform(make(texts), out=out)


def test_bad_value_of_a_container_is_found_before_anything_is_encoded(log, tmp_path):
    encoder = LetterEncoder(log).fit(TEXTS)
    for out in (None, tmp_path / "vectors.npy", np.zeros((101, N_DIMS), dtype=np.float32)):
        with pytest.raises(ValueError, match="1 of 101 values is not a string; the first, at position 100"):
            encoder.transform([*TEXTS, None], out=out)
    assert not log.exists()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("out", [None, "vectors.npy"])
def test_no_texts(encoder, out, tmp_path):
    out = out and tmp_path / out
    for texts in ([], iter([])):
        with pytest.raises(ValueError, match=r"Found no texts .* minimum of 1 is required by LetterEncoder"):
            encoder.transform(texts, out=out)
    assert not list(tmp_path.iterdir())


def arrays(n, tmp_path):
    yield np.full((n, N_DIMS), np.nan, dtype=np.float32)
    yield np.full((n, N_DIMS), np.nan, dtype=np.float32, order="F")
    yield np.full((2 * n, 2 * N_DIMS), np.nan, dtype=np.float32)[::2, ::2]
    yield np.memmap(tmp_path / "raw", dtype=np.float32, mode="w+", shape=(n, N_DIMS))
    yield np.lib.format.open_memmap(tmp_path / "raw.npy", dtype=np.float32, mode="w+", shape=(n, N_DIMS))


def test_out_array_is_filled_and_returned(encoder, tmp_path):
    for make in (list, iter):
        for out in arrays(len(TEXTS), tmp_path):
            assert encoder.transform(make(TEXTS), out=out) is out
            assert_array_equal(out, expected(TEXTS))
    assert_array_equal(np.load(tmp_path / "raw.npy"), expected(TEXTS))


@pytest.mark.parametrize(
    ("out", "message"),
    [
        (np.empty((99, N_DIMS), np.float32), r"out has shape \(99, 7\), but 100 texts of 7 dimensions need \(100, 7\)"),
        (np.empty((100, 6), np.float32), r"out has shape \(100, 6\)"),
        (np.empty(100 * N_DIMS, np.float32), r"out has shape \(700,\)"),
        (np.float32(0)[...], r"out has shape \(\)"),
        (np.empty((100, N_DIMS)), "out has dtype float64, but vectors are float32"),
        (np.empty((100, N_DIMS), ">f4"), "out has dtype >f4"),
        (np.broadcast_to(np.float32(0), (100, N_DIMS)), "out is read-only"),
        ("vectors.txt", r"out='vectors\.txt' does not name a \.npy file"),
        ("no/such/folder/vectors.npy", "there is no folder"),
    ],
)
def test_out_that_does_not_fit(encoder, out, message, log):
    encoder.log = log
    for make in (list, iter)[: 1 if "99" in message else 2]:  # an iterator may well have 99 texts
        with pytest.raises(ValueError, match=message):
            encoder.transform(make(TEXTS), out=out)
    assert not log.exists()


@pytest.mark.parametrize("out", [5, True, [1.0]])
def test_out_of_another_type(encoder, out):
    with pytest.raises(TypeError, match=r"out is None, a NumPy array or the path of a \.npy file, but got"):
        encoder.transform(TEXTS, out=out)


def test_iterator_with_more_or_fewer_texts_than_rows(encoder):
    out = np.full((50, N_DIMS), -1, dtype=np.float32)
    with pytest.raises(ValueError, match="out has 50 rows, and the iterator gives more texts: the first 48 rows are"):
        encoder.transform(iter(TEXTS), out=out)
    assert_array_equal(out[:48], expected(TEXTS[:48]))
    assert (out[48:] == -1).all()
    out[:] = -1
    with pytest.raises(ValueError, match="out has 50 rows, but the iterator gave only 20 texts"):
        encoder.transform(iter(TEXTS[:20]), out=out)
    assert (out[20:] == -1).all()


def test_iterator_that_raises(encoder, tmp_path):
    out = np.full((100, N_DIMS), -1, dtype=np.float32)
    for target in (None, out, tmp_path / "vectors.npy"):
        with pytest.raises(ConnectionError, match="is gone"):
            encoder.transform(until_it_breaks(TEXTS, 40), out=target)
    assert_array_equal(out[:32], expected(TEXTS[:32]))
    assert (out[32:] == -1).all()


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames_and_out_exclude_each_other(library, tmp_path):
    pytest.importorskip(library)
    encoder = LetterEncoder().set_output(transform=library).fit(TEXTS)
    frame = encoder.transform(iter(TEXTS))
    assert list(frame.columns) == list(encoder.get_feature_names_out())
    assert_array_equal(frame.to_numpy(), expected(TEXTS))
    for out in (np.empty((100, N_DIMS), np.float32), tmp_path / "vectors.npy"):
        with pytest.raises(ValueError, match=rf'set to return {library}: .*set_output\(transform="default"\)'):
            encoder.transform(TEXTS, out=out)
    with sklearn.config_context(transform_output=library), pytest.raises(ValueError, match="set to return"):
        LetterEncoder().fit(TEXTS).transform(TEXTS, out=tmp_path / "vectors.npy")
    assert list(tmp_path.iterdir()) == []


def test_out_is_no_metadata_to_route(encoder):
    with sklearn.config_context(enable_metadata_routing=True):
        assert not hasattr(encoder, "set_transform_request")
        assert_array_equal(make_pipeline(LetterEncoder()).fit(TEXTS).transform(TEXTS), expected(TEXTS))
        assert make_union(LetterEncoder(), LetterEncoder()).fit_transform(TEXTS).shape == (100, 2 * N_DIMS)


def test_pipeline_after_a_template():
    rows = np.array([[text, "film"] for text in TEXTS], dtype=object)
    vectors = make_pipeline(TextTemplate("{0}; {1}"), LetterEncoder()).fit_transform(rows)
    assert_array_equal(vectors, expected([f"{text.strip()}; film" for text in TEXTS]))


class Nameless(BaseTextEncoder):
    """An encoder of somebody's own with the two methods that are needed, and no more."""

    def __init__(self, memory=None):
        self.memory = memory

    def _fit_encoder(self, texts):
        return N_DIMS

    def _start(self, texts):
        return LetterJob(texts, LetterEncoder())


def test_encoder_without_identity_keeps_nothing(tmp_path):
    encoder = Nameless().fit(TEXTS)
    assert_array_equal(encoder.transform(iter(TEXTS)), expected(TEXTS))
    message = "Nameless does not name what its vectors depend on.*define _identity"
    with pytest.raises(NotImplementedError, match=message):
        encoder.transform(TEXTS, out=tmp_path / "vectors.npy")
    with pytest.raises(NotImplementedError, match=message):
        encoder.set_params(memory=tmp_path / "store").transform(TEXTS)
    assert not (tmp_path / "vectors.npy.partial").exists()


BROKEN = {
    "NaN in one": (lambda v: np.where(np.arange(len(v))[:, None] == 2, np.nan, v), "gives NaN or infinity for 1 of 5"),
    "infinity": (lambda v: v / np.zeros_like(v[:, :1]) if len(v) else v, "gives NaN or infinity for 5 of 5"),
    "too wide": (lambda v: np.hstack([v, v]), r"vectors of shape \(5, 14\) where \(5, 7\) was expected"),
    "too few": (lambda v: v[:-1], r"vectors of shape \(4, 7\) where \(5, 7\) was expected"),
    "one dimension": (lambda v: v[:, 0], r"vectors of shape \(5,\) where \(5, 7\) was expected"),
    "one vector for all": (lambda v: v[0], r"vectors of shape \(7,\)"),
}


@pytest.mark.filterwarnings("ignore:.* encountered in divide:RuntimeWarning")
@pytest.mark.parametrize("fault", BROKEN)
def test_model_that_is_broken(fault, tmp_path):
    change, message = BROKEN[fault]

    class Broken(LetterEncoder):
        def _start(self, texts):
            job = super()._start(texts)
            encode, job.encode = job.encode, None
            job.encode = lambda positions: change(encode(positions))
            return job

    encoder = Broken(memory=tmp_path / "store").fit(TEXTS)
    for out in (None, tmp_path / "vectors.npy"):
        with pytest.raises(ValueError, match=f"Broken gives .*{message.removeprefix('gives ')}"):
            encoder.transform(TEXTS, out=out)
    assert not (tmp_path / "vectors.npy.partial").exists()
    assert EmbeddingStore(tmp_path / "store").stats()["texts"] == 0


@pytest.mark.parametrize("memory", [False, True])
@pytest.mark.parametrize("kind", [list, iter])
def test_position_of_a_broken_vector_is_that_of_the_user(tmp_path, monkeypatch, memory, kind):
    """Not its position among distinct texts, among those that are not stored, or in its block."""
    monkeypatch.setattr("skllmrec._texts.BLOCK_TEXTS", 20)

    class Broken(LetterEncoder):
        def _start(self, texts):
            job = super()._start(texts)
            encode = job.encode
            job.encode = lambda positions: [
                [np.nan] * N_DIMS if texts[i] == "broken" else vector
                for i, vector in zip(positions, encode(positions), strict=True)
            ]
            return job

    X = [*TEXTS[:30], *TEXTS[:30], "broken", *TEXTS[30:60], "broken"]
    encoder = Broken(memory=tmp_path if memory else None).fit(TEXTS)
    encoder.transform(TEXTS[:10])
    with pytest.raises(ValueError, match=r"Broken gives NaN or infinity for 1 of .* texts, the first at position 60: "):
        encoder.transform(kind(X))


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int64, ">f4"])
def test_model_of_another_dtype(dtype):
    class Other(LetterEncoder):
        def _start(self, texts):
            job = super()._start(texts)
            encode = job.encode
            job.encode = lambda positions: encode(positions).astype(dtype)
            return job

    for texts in (TEXTS, iter(TEXTS)):
        vectors = Other().fit(TEXTS).transform(texts)
        assert vectors.dtype == np.float32
        assert_array_equal(vectors, expected(TEXTS))


def test_bar_counts_texts_over_blocks(capfd, tmp_path):
    pytest.importorskip("tqdm")
    encoder = LetterEncoder(verbose=True).fit(TEXTS)
    encoder.transform(TEXTS, out=np.empty((100, N_DIMS), np.float32))
    bar = capfd.readouterr().err
    assert "LetterEncoder, 100 texts: 100%" in bar
    assert "100/100 [" in bar
    assert "texts/s" in bar
    encoder.transform(text for text in TEXTS)  # nobody knows how many there will be
    bar = capfd.readouterr().err
    assert "LetterEncoder: 100 texts [" in bar
    assert "%" not in bar
    encoder.transform(iter(TEXTS))  # the iterator of a list does
    assert "100/100 [" in capfd.readouterr().err
    with pytest.raises(ConnectionError):
        encoder.transform(until_it_breaks(TEXTS, 40), out=tmp_path / "vectors.npy")
    assert "LetterEncoder: 32 texts [" in capfd.readouterr().err
    encoder.transform(TEXTS, out=tmp_path / "vectors.npy")
    bar = capfd.readouterr().err
    assert "LetterEncoder, 100 texts:  32%" in bar.split("\r")[1]  # begins where the file ended
    assert "100/100 [" in bar


@pytest.mark.parametrize("n_known", [0, 7, 60])
def test_bar_reaches_the_end_with_a_store(n_known, capfd, tmp_path):
    pytest.importorskip("tqdm")
    encoder = LetterEncoder(verbose=True, memory=tmp_path).fit(TEXTS)
    if n_known:
        encoder.transform(TEXTS[:n_known])
        capfd.readouterr()
    encoder.transform(iter(TEXTS))
    assert "100/100 [" in capfd.readouterr().err


def test_silent_by_default(encoder, capfd, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    encoder.transform(iter(TEXTS), out=tmp_path / "vectors.npy")
    encoder.set_params(verbose=True).transform(iter(TEXTS))
    assert capfd.readouterr() == ("", "")
