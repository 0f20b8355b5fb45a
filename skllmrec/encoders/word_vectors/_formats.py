"""Readers of word vectors: GloVe, word2vec (text and binary), gensim's KeyedVectors, an array with its words."""

import gzip
import pickle
import warnings
import zlib
from collections import Counter
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from skllmrec._optional import import_optional
from skllmrec._typing import FloatArray
from skllmrec.exceptions import FileFormatError

_HEAD = 1 << 16  # bytes from which the format is recognised
_CHUNK = 1 << 20
_BLOCK = 2048  # lines that are parsed together
_CONTROL = bytes(set(range(32)) - set(b"\t\n\r"))
_AGAIN = "download or write the file again"
_KEYED_VECTORS = ("gensim.models.keyedvectors", "KeyedVectors")
_ARRAY_PARTS = {
    # numpy's own names for the functions that a pickled array calls; they have moved between versions
    "ndarray": np.ndarray,
    "dtype": np.dtype,
    "_reconstruct": np.empty(0).__reduce__()[0],
    "scalar": np.float64(0).__reduce__()[0],
}
_SAVE_FORMAT = "save them with kv.save_word2vec_format(path, binary=True)"


@contextmanager
def _open(path):
    """Open a file for reading in binary, unpacked where it is gzipped."""
    with open(path, "rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if not packed:
            yield file
            return
        try:
            with gzip.open(file) as unpacked:
                yield unpacked
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise FileFormatError(f"{path} is a damaged gzip file ({error}): {_AGAIN}") from error


def _header(line):
    """Words and dimensions that the first line of word2vec's formats states, or None."""
    parts = line.split()
    if len(parts) == 2 and all(part.isdigit() for part in parts):
        return tuple(map(int, parts))
    return None


def _are_numbers(fields):
    try:
        [float(field) for field in fields]
    except ValueError:
        return False
    return True


def _is_binary(head, n_dims):
    """Whether what follows a header is word2vec's binary format, from its beginning."""
    fields = head.partition(b"\n")[0].split()
    if len(fields) > n_dims and _are_numbers(fields[-n_dims:]):
        return False
    if any(byte in head for byte in _CONTROL):
        return True
    try:
        head[:-3].decode()  # the last letter may be cut
    except UnicodeDecodeError:
        return True
    return False


def _decode(word, where):
    try:
        return word.decode()
    except UnicodeDecodeError as error:
        raise FileFormatError(
            f"{where}: the word {word[:40]!r} is not UTF-8: convert the file, e.g. with iconv"
        ) from error


def _bad_line(line, number, n_dims, path):
    """Raise the error of a line that does not hold a word and its numbers."""
    where, fields = f"{path}, line {number}", line.split(b" ")
    if len(fields) <= n_dims:
        raise FileFormatError(
            f"{where} has {len(fields) - 1} numbers after the word, and {n_dims} were expected: the file is cut off "
            f"or damaged there, {_AGAIN}"
        )
    for field in fields[-n_dims:]:
        if not _are_numbers([field]):
            raise FileFormatError(f"{where}: {field[:40]!r} is not a number: {_AGAIN}")
    if len(fields) > n_dims + 1 and _are_numbers(fields[-n_dims - 1 : -n_dims]):
        raise FileFormatError(f"{where} has more than the {n_dims} numbers that were expected after the word: {_AGAIN}")


def _split_line(line, number, n_dims, path):
    """Word and numbers of a line, as bytes; a word may hold spaces."""
    word, _, numbers = line.partition(b" ")
    if numbers.count(b" ") != n_dims - 1:
        _bad_line(line, number, n_dims, path)
        numbers = line.split(b" ", line.count(b" ") - n_dims + 1)[-1]
        word = line[: -len(numbers) - 1]
    return _decode(word, f"{path}, line {number}"), numbers


def _parse_lines(lines, first, n_dims, path):
    """Words and numbers of lines; `first` is the number of the first of them."""
    pairs = [_split_line(line, number, n_dims, path) for number, line in enumerate(lines, start=first)]
    joined = b" ".join(numbers for _, numbers in pairs)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", DeprecationWarning)  # older NumPy only warns of what is no number
            numbers = np.fromstring(joined, dtype=np.float32, sep=" ")
    except (ValueError, DeprecationWarning):
        numbers = np.empty(0, dtype=np.float32)  # the line is looked for below
    if numbers.size != len(lines) * n_dims:
        for number, line in enumerate(lines, start=first):
            _bad_line(line, number, n_dims, path)
        raise FileFormatError(f"{path}, lines {first} to {first + len(lines) - 1} hold something that is not a number")
    numbers = numbers.reshape(len(lines), n_dims)
    finite = np.isfinite(numbers).all(axis=1)
    if not finite.all():
        row = int(finite.argmin())
        raise FileFormatError(f"{path}, line {first + row}: the vector of {pairs[row][0]!r} is not finite: {_AGAIN}")
    return [word for word, _ in pairs], numbers


def _guess_dims(lines, path):
    """Numbers on a line without a header: words may hold spaces, so the most frequent length counts."""
    n_dims = max(Counter(line.count(b" ") for line in lines).items(), key=lambda item: (item[1], item[0]))[0]
    if n_dims == 0:
        raise FileFormatError(
            f"{path} holds no word vectors in a known format: expected lines of a word and its numbers, separated by "
            "spaces"
        )
    return n_dims


def _next_lines(file):
    """Next lines of a text file, without the empty ones at its end."""
    lines = [line.rstrip(b" \r\n") for line in islice(file, _BLOCK)]
    if len(lines) < _BLOCK:
        while lines and not lines[-1]:
            lines.pop()
    return lines


def _read_text(file, path, header):
    """Read lines of a word and its numbers, from the present position of the file."""
    number, n_dims = (1, None) if header is None else (2, header[1])
    words, buffer = [], bytearray()
    while lines := _next_lines(file):
        n_dims = n_dims or _guess_dims(lines, path)
        found, numbers = _parse_lines(lines, number, n_dims, path)
        words += found
        buffer += numbers.data.cast("B")
        number += len(lines)
    return words, np.frombuffer(buffer, dtype=np.float32).reshape(len(words), n_dims or 0)


def _read_binary(file, path, header):
    """Read words, each followed by its numbers in little-endian float32, from the present position of the file."""
    n_words, n_dims = header
    words, buffer, chunk, start = [], bytearray(), b"", 0
    while len(words) < n_words:
        end = chunk.find(b" ", start)
        stop = end + 1 + 4 * n_dims
        if end < 0 or stop > len(chunk):
            more = file.read(_CHUNK)
            if not more:
                break
            chunk, start = chunk[start:] + more, 0
            continue
        words.append(_decode(chunk[start:end].lstrip(b"\n"), f"{path}, word {len(words) + 1}"))
        buffer += chunk[end + 1 : stop]
        start = stop
    if len(words) == n_words and (chunk[start:].strip() or file.read(_CHUNK).strip()):
        raise FileFormatError(
            f"{path}: the header states {n_words} words of {n_dims} dimensions, but the file goes on after them: the "
            f"header is wrong, {_AGAIN}"
        )
    vectors = np.frombuffer(buffer, dtype="<f4").reshape(len(words), n_dims)
    finite = np.isfinite(vectors).all(axis=1)
    if not finite.all():
        number = int(finite.argmin())
        raise FileFormatError(f"{path}, word {number + 1}: the vector of {words[number]!r} is not finite: {_AGAIN}")
    return words, vectors


class _SafeUnpickler(pickle.Unpickler):
    """Unpickles dictionaries, lists, numbers, text, arrays and one class without behaviour; calls nothing else."""

    def __init__(self, file: Any) -> None:
        super().__init__(file)
        self.stand_in = type("StandIn", (), {})

    def find_class(self, module: str, name: str) -> Any:
        """Return the few names that a KeyedVectors file needs.

        Raises
        ------
        pickle.UnpicklingError
            For every other name.
        """
        if (module, name) == _KEYED_VECTORS:
            return self.stand_in
        if module.partition(".")[0] == "numpy" and name in _ARRAY_PARTS:
            return _ARRAY_PARTS[name]
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")


def _load_array(path):
    """Map a .npy file into memory."""
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise
    except (ValueError, EOFError, OSError) as error:
        raise FileFormatError(f"{path} is not a NumPy array that can be read ({error}): {_AGAIN}") from error


def _read_keyed_vectors(file, path):
    """Read what gensim's ``KeyedVectors.save`` wrote, with nothing of it executed and without gensim."""
    try:
        saved = _SafeUnpickler(file).load()
        words, vectors = list(saved.index_to_key), vars(saved).get("vectors")
    except Exception as error:  # a damaged pickle raises anything
        raise FileFormatError(
            f"{path} is no file of gensim's KeyedVectors that can be read without running code ({error}): load it "
            f"with gensim if you trust it, and {_SAVE_FORMAT}"
        ) from error
    if vectors is None:
        aside = Path(f"{path}.vectors.npy")
        if not aside.is_file():
            raise FileFormatError(
                f"{path} keeps its vectors in {aside.name}, which is missing: copy it to the same folder"
            )
        vectors = _load_array(aside)
    return words, vectors


def _one_file(folder, patterns):
    """Find the only file of a folder that matches.

    Raises
    ------
    FileFormatError
        If there is none, or more than one.
    """
    found = sorted(file for pattern in patterns for file in folder.glob(pattern))
    if len(found) != 1:
        raise FileFormatError(
            f"{folder} holds {len(found)} files like {' or '.join(patterns)}, and one was expected: a folder of word "
            "vectors has an array (*.npy, a row for each word) and its words (*.txt, a line for each, or *.parquet)"
        )
    return found[0]


def _read_words(path):
    if path.suffix == ".parquet":
        parquet = import_optional("pyarrow.parquet", extra="wordvectors", purpose=f"the vocabulary {path}")
        try:
            table = parquet.read_table(path)
        except (OSError, ValueError) as error:
            raise FileFormatError(f"{path} is not a Parquet file that can be read ({error}): {_AGAIN}") from error
        if table.num_columns != 1:
            raise FileFormatError(f"{path} has the columns {table.column_names}: write the words as the only column")
        return table.column(0).to_pylist()
    lines = path.read_bytes().split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    return [_decode(line.rstrip(b"\r"), f"{path}, line {number}") for number, line in enumerate(lines, start=1)]


def files_of(path: Path) -> list[Path]:
    """List all files that word vectors at a path consist of.

    Parameters
    ----------
    path : pathlib.Path
        A file, or a folder of an array and its words.

    Returns
    -------
    list of pathlib.Path

    Raises
    ------
    FileFormatError
        If a folder does not hold exactly one array and one list of words.
    """
    if path.is_dir():
        return [_one_file(path, ["*.npy"]), _one_file(path, ["*.txt", "*.parquet"])]
    aside = Path(f"{path}.vectors.npy")
    return [path, aside] if aside.is_file() else [path]


def _refuse_other_formats(head, path):
    """Raise an error for a file that begins like one that cannot be read."""
    if not head.strip():
        raise FileFormatError(f"{path} is empty: {_AGAIN}")
    if head.startswith(b"PK\x03\x04"):
        raise FileFormatError(f"{path} is a zip archive: unpack it and name the file inside")
    if head.startswith(b"\x93NUMPY"):
        raise FileFormatError(f"{path} is an array without its words: name a folder with it and its words, one a line")
    first = head.partition(b"\n")[0]
    if any(byte in first for byte in _CONTROL) and not _is_pickle(head):
        raise FileFormatError(
            f"{path} holds no word vectors in a known format (GloVe or word2vec text, word2vec binary, "
            f"KeyedVectors): load it with the library that wrote it, and {_SAVE_FORMAT}"
        )


def _is_pickle(head):
    return len(head) > 1 and head[0] == 0x80 and head[1] <= pickle.HIGHEST_PROTOCOL


def _read_with_header(file, path, rest, header):
    """Read word2vec's formats, from the end of the header on; `rest` is how the file continues."""
    if 0 in header:
        raise FileFormatError(
            f"{path}, line 1: the header states {header[0]} words of {header[1]} dimensions: {_AGAIN}"
        )
    read = _read_binary if _is_binary(rest, header[1]) else _read_text
    words, vectors = read(file, path, header)
    if len(words) != header[0]:
        raise FileFormatError(
            f"{path}: the header states {header[0]} words of {header[1]} dimensions, but {len(words)} follow: the "
            f"file is cut off or its header is wrong, {_AGAIN}"
        )
    return words, vectors


def _read_file(path):
    """Words and vectors of one file, whose format is recognised by its first bytes."""
    with _open(path) as file:
        head = file.read(_HEAD)
        _refuse_other_formats(head, path)
        file.seek(0)
        if _is_pickle(head):
            return _read_keyed_vectors(file, path)
        line, _, rest = head.partition(b"\n")
        header = _header(line)
        if header is None:
            return _read_text(file, path, None)
        file.readline()
        return _read_with_header(file, path, rest, header)


def read_word_vectors(path: Path) -> tuple[list[str], FloatArray]:
    """Read word vectors in any known format.

    Parameters
    ----------
    path : pathlib.Path
        A text file of GloVe or word2vec (with or without a header; words may hold spaces), word2vec's binary format,
        each of them also gzipped; a file of gensim's ``KeyedVectors.save``; a folder of one ``*.npy`` and its words
        (``*.txt``, one a line, or ``*.parquet`` of one column).

    Returns
    -------
    words : list of str
        Repetitions are possible.
    vectors : ndarray of shape (n_words, n_dims)
        Floating point; mapped into memory where it is a ``.npy``.

    Raises
    ------
    FileFormatError
        If the file is empty, cut off, damaged, not UTF-8, holds what is not finite, or is in no known format; the
        message names file, line and remedy.
    """
    if path.is_dir():
        array, vocabulary = files_of(path)
        words, vectors = _read_words(vocabulary), _load_array(array)
    else:
        words, vectors = _read_file(path)
    if not isinstance(vectors, np.ndarray) or vectors.ndim != 2 or vectors.dtype.kind != "f" or not vectors.shape[1]:
        found = f"{vectors.dtype} of shape {vectors.shape}" if isinstance(vectors, np.ndarray) else type(vectors)
        raise FileFormatError(f"{path} holds an array of {found}: expected floating point numbers, a row for each word")
    if len(words) != len(vectors):
        raise FileFormatError(
            f"{path} holds {len(words)} words and {len(vectors)} vectors: the files do not belong together"
        )
    wrong = next((number for number, word in enumerate(words) if not isinstance(word, str)), None)
    if wrong is not None:
        raise FileFormatError(f"{path}: word {wrong + 1} is {words[wrong]!r}, not text: write the words as text")
    return words, vectors
