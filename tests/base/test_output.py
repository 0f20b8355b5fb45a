"""Files of vectors: complete or absent, taken up where they end, never mixed, never overwritten."""

import json
import os
import signal
import subprocess
import threading

import numpy as np
import pytest
from letter_encoder import LETTERS, LetterEncoder, expected, start_python, texts_like
from numpy.testing import assert_array_equal

from skllmrec import _texts
from skllmrec.base._output._file import VectorFile
from skllmrec.exceptions import VectorFileError

TEXTS = texts_like(100, n_distinct=60)
N_DIMS = len(LETTERS)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(_texts, "BLOCK_TEXTS", 16)


@pytest.fixture
def path(tmp_path):
    (tmp_path / "vectors").mkdir()
    return tmp_path / "vectors" / "vectors.npy"


@pytest.fixture
def encoder(tmp_path):
    return LetterEncoder(tmp_path / "log").fit(TEXTS)


def names(path):
    return sorted(file.name for file in path.parent.iterdir())


def n_encoded(encoder):
    """Texts that were encoded since the last call."""
    if not encoder.log.exists():
        return 0
    lines = encoder.log.read_text(encoding="utf-8").splitlines()
    encoder.log.unlink()
    return len(lines)


def stop_after(texts, n):
    yield from texts[:n]
    raise InterruptedError("stopped")


def begin(encoder, path, n=50, texts=TEXTS):
    """Leave an unfinished file with the vectors of all full blocks before the n-th text."""
    with pytest.raises(InterruptedError):
        encoder.transform(stop_after(texts, n), out=path)
    n_encoded(encoder)


@pytest.mark.parametrize("n", [1, 16, 17, 100])
@pytest.mark.parametrize("make", [list, iter])
def test_complete_file(encoder, path, n, make):
    for out in (path, str(path)):
        vectors = encoder.transform(make(TEXTS[:n]), out=out)
        assert isinstance(vectors, np.memmap)
        assert vectors.dtype == np.float32
        assert not vectors.flags.writeable
        assert_array_equal(vectors, expected(TEXTS[:n]))
        assert_array_equal(np.load(path), expected(TEXTS[:n]))
        assert names(path) == ["vectors.npy", "vectors.npy.json"]
    assert n_encoded(encoder) == sum(len(set(TEXTS[i : min(i + 16, n)])) for i in range(0, n, 16))  # the second time: 0


def test_home_directory(encoder, path, monkeypatch):
    monkeypatch.setenv("HOME", str(path.parent))
    monkeypatch.setenv("USERPROFILE", str(path.parent))
    encoder.transform(TEXTS, out="~/vectors.npy")
    assert path.exists()


@pytest.mark.parametrize("n", [16, 17, 50, 96, 100])
@pytest.mark.parametrize("make", [list, iter])
def test_resumed_where_it_ended(encoder, path, n, make):
    begin(encoder, path, n)
    assert names(path) == ["vectors.npy.json", "vectors.npy.partial"]
    done = n // 16 * 16
    assert json.loads((path.parent / "vectors.npy.json").read_text())["texts"] == done
    assert_array_equal(encoder.transform(make(TEXTS), out=path), expected(TEXTS))
    assert n_encoded(encoder) == sum(len(set(TEXTS[i : i + 16])) for i in range(done, 100, 16))
    assert names(path) == ["vectors.npy", "vectors.npy.json"]


def test_resumed_again_and_again(encoder, path):
    for n in range(0, 100, 9):
        begin(encoder, path, n)
    assert_array_equal(encoder.transform(TEXTS, out=path), expected(TEXTS))


def test_resumed_with_blocks_of_another_size(encoder, path, monkeypatch):
    for size, n in [(16, 50), (7, 60), (100, 70), (5, 80)]:
        monkeypatch.setattr(_texts, "BLOCK_TEXTS", size)
        begin(encoder, path, n)
    assert_array_equal(encoder.transform(TEXTS, out=path), expected(TEXTS))


def assert_refused(encoder, path, texts, message, remedy="Delete it to start anew"):
    """A call is an error that changes no file and encodes nothing."""
    before = {file: file.read_bytes() for file in path.parent.iterdir()}
    for make in (list, iter):
        with pytest.raises(VectorFileError, match=rf"vectors\.npy.* {message}.*{remedy}"):
            encoder.transform(make(texts), out=path)
    after = {file: file.read_bytes() for file in path.parent.iterdir()}
    assert after == before
    assert n_encoded(encoder) == 0


@pytest.mark.parametrize("finished", [False, True])
def test_other_texts_are_refused(encoder, path, finished):
    encoder.transform(TEXTS, out=path) if finished else begin(encoder, path)
    n_encoded(encoder)
    known = 100 if finished else 48
    for position in (0, 20, known - 1):
        for other in ("another text", "", TEXTS[position] + " "):
            texts = [*TEXTS[:position], other, *TEXTS[position + 1 :]]
            assert_refused(encoder, path, texts, f"has vectors of other texts: the first {known} differ")
    moved = [TEXTS[0] + TEXTS[1][:3], TEXTS[1][3:], *TEXTS[2:]]  # the same characters, cut elsewhere
    assert_refused(encoder, path, moved, "has vectors of other texts")
    assert_refused(encoder, path, [TEXTS[1], TEXTS[0], *TEXTS[2:]], "has vectors of other texts")
    assert_refused(encoder, path, TEXTS[: known - 1], f"has vectors of {known} texts, and here are only {known - 1}")
    if finished:
        assert_refused(encoder, path, [*TEXTS, "one more"], "has vectors of 100 texts, and here are more")
    assert_array_equal(encoder.transform(TEXTS, out=path), expected(TEXTS))


@pytest.mark.parametrize("finished", [False, True])
def test_other_encoder_is_refused(encoder, path, finished):
    class Other(LetterEncoder):
        pass

    class Changed(LetterEncoder):
        def _identity(self):
            return {"letters": LETTERS, "lower": True}

    Changed.__name__ = "LetterEncoder"
    encoder.transform(TEXTS, out=path) if finished else begin(encoder, path)
    n_encoded(encoder)
    for other, message in [(Other, "encoder: 'LetterEncoder' then, 'Other' now"), (Changed, "lower: None then, True")]:
        assert_refused(other(encoder.log).fit(TEXTS), path, TEXTS, rf"holds vectors of another encoder \({message}")
    assert_array_equal(encoder.transform(TEXTS, out=path), expected(TEXTS))


@pytest.mark.parametrize("name", ["vectors.npy", "vectors.npy.partial"])
def test_file_of_another_program_is_left_alone(encoder, path, name):
    np.save(path, np.zeros((100, N_DIMS), dtype=np.float32))
    path.rename(path.parent / name)
    assert_refused(encoder, path, TEXTS, "exists already, and nothing says what its vectors are of")


@pytest.mark.parametrize("content", ["", "nonsense", "[]", "5", '{"format": "another"}', '{"texts": 3}', "\ud800"])
def test_json_of_another_program_is_left_alone(encoder, path, content):
    path.with_name("vectors.npy.json").write_bytes(content.encode("utf-8", "surrogatepass"))
    assert_refused(encoder, path, TEXTS, "was not written by a transform with out=", "move it, or choose another name")


@pytest.mark.parametrize("finished", [False, True])
@pytest.mark.parametrize("where", ["magic", "dtype", "first row", "last row", "cut off", "emptied"])
def test_damage_is_noticed(encoder, path, finished, where):
    encoder.transform(TEXTS, out=path) if finished else begin(encoder, path)
    n_encoded(encoder)
    file = path if finished else path.with_name("vectors.npy.partial")
    data = bytearray(file.read_bytes())
    if where == "cut off":
        data = data[:-20]
    elif where == "emptied":
        data = data[:60]
    else:
        data[{"magic": 3, "dtype": data.index(b"f4"), "first row": 130, "last row": len(data) - 2}[where]] ^= 4
    file.write_bytes(data)
    assert_refused(encoder, path, TEXTS, "is damaged: its (48|100) vectors are not those that were written")
    file.unlink()  # as the message says
    assert_array_equal(encoder.transform(TEXTS, out=path), expected(TEXTS))


def test_rows_that_were_written_but_not_counted_are_written_again(encoder, path):
    begin(encoder, path)
    with open(path.with_name("vectors.npy.partial"), "ab") as file:
        file.write(b"\xff" * 5000)  # more than is missing
    assert_array_equal(encoder.transform(TEXTS, out=path), expected(TEXTS))


@pytest.mark.parametrize("content", [b"", b"\x93NUM", b"nonsense " * 40])
def test_killed_before_anything_was_counted(encoder, path, content):
    file = VectorFile(path, encoder="LetterEncoder", identity={}, n_dims=3)
    with file:
        pass  # json and header are there, no rows
    path.with_name("vectors.npy.partial").write_bytes(content)
    assert_array_equal(encoder.transform(TEXTS, out=path), expected(TEXTS))


@pytest.mark.parametrize("step", ["os.replace", "os.fsync", "zlib.crc32", "json.dump"])
@pytest.mark.parametrize("call", range(1, 18, 2))
def test_cut_short_at_every_step(encoder, path, step, call, monkeypatch):
    module, name = step.split(".")
    original, calls = getattr({"os": os, "zlib": __import__("zlib"), "json": json}[module], name), []

    def fail(*args, **kwargs):
        calls.append(1)
        if len(calls) == call:
            raise KeyboardInterrupt
        return original(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(step, fail)
        try:
            encoder.transform(TEXTS, out=path)
        except KeyboardInterrupt:
            assert not path.exists()
    assert_array_equal(encoder.transform(TEXTS, out=path), expected(TEXTS))
    assert n_encoded(encoder) <= sum(len(set(TEXTS[i : i + 16])) for i in range(0, 100, 16)) + 16


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="this system does not limit the size of files")
def test_full_disk_keeps_what_was_written(encoder, path):
    code = """
        import resource, signal
        from skllmrec import _texts
        _texts.BLOCK_TEXTS = 16
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))  # 128 + 66 * 28 bytes
        texts = texts_like(100, n_distinct=60)
        try:
            LetterEncoder().fit(texts).transform(texts, out=sys.argv[1])
        except ValueError as error:
            print(error)
    """
    message = start_python(code, path, stdout=subprocess.PIPE, text=True).communicate()[0]
    assert "vectors.npy.partial cannot be written" in message
    assert "make room and call again" in message
    assert_array_equal(encoder.transform(TEXTS, out=path), expected(TEXTS))
    assert n_encoded(encoder) == 16 + 16 + 4  # behind the 64 texts that fitted


def test_second_writer_waits_and_finds_the_work_done(encoder, path):
    encoder.pause = 0.01
    results = []
    threads = [threading.Thread(target=lambda: results.append(encoder.transform(TEXTS, out=path))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in results:
        assert_array_equal(result, expected(TEXTS))
    assert len(results) == 3
    assert n_encoded(encoder) == sum(len(set(TEXTS[i : i + 16])) for i in range(0, 100, 16))


KILLED = """
import os, random, signal
from skllmrec import _texts
_texts.BLOCK_TEXTS = 16
log, path, seed = sys.argv[1:]
texts, random, n_kills = texts_like(200, n_distinct=150), random.Random(int(seed)), 0
encoder = LetterEncoder(log, pause=0.01).fit(texts)
while not os.path.exists(path):
    child = os.fork()
    if child == 0:
        encoder.transform(iter(texts), out=path)
        os._exit(0)
    time.sleep(random.uniform(0, 0.2))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    n_kills += 1
print(n_kills)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize("seed", range(2))
def test_killed_at_random_moments_until_it_is_done(encoder, path, seed):
    texts = texts_like(200, n_distinct=150)
    process = start_python(KILLED, encoder.log, path, seed, stdout=subprocess.PIPE)
    try:
        n_kills = int(process.communicate(timeout=120)[0])
    finally:
        process.kill()
    assert n_kills >= 2  # or it was never killed in the middle
    assert_array_equal(np.load(path), expected(texts))
    assert_array_equal(LetterEncoder().fit(texts).transform(texts, out=path), expected(texts))  # same texts, it says
    once = sum(len(set(texts[i : i + 16])) for i in range(0, 200, 16))
    assert once <= n_encoded(encoder) <= once + 16 * n_kills
    assert names(path) == ["vectors.npy", "vectors.npy.json"]
