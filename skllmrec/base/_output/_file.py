"""A .npy file of vectors, written block by block, that can be resumed after the process was killed."""

import hashlib
import json
import os
import pathlib
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import Any, Self

import numpy as np

from skllmrec._files import exclusive, replacing
from skllmrec._format import FORMATS, check_format
from skllmrec._typing import FloatArray, Path
from skllmrec.exceptions import StorageError, VectorFileError

_FORMAT = f"skllmrec vectors {FORMATS['vectors']}"
_DTYPE = np.dtype("<f4")
_CHUNK = 1 << 20  # bytes that are read at once
_KEYS = {"encoder", "identity", "size", "texts", "texts_sha256", "vectors_crc32"}


def _add_to_digest(fingerprints, digest):
    """Add fingerprints of inputs to a SHA-256, each with its length, so that other cuts give other sums."""
    for fingerprint in fingerprints:
        data = fingerprint.encode() if isinstance(fingerprint, str) else fingerprint
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)


def _changes(then, now):
    """How two descriptions of an encoder differ, for a message."""
    then, now = ({"encoder": d["encoder"], "size": d["size"], **d["identity"]} for d in (then, now))
    keys = [key for key in (then | now) if then.get(key) != now.get(key)]
    return ", ".join(f"{key}: {then.get(key)!r:.40} then, {now.get(key)!r:.40} now" for key in keys)


class VectorFile:
    """The file `path`, with one row of float32 for each input, in the order of the inputs.

    While it grows it is called ``<path>.partial``; ``<path>.json`` records which encoder and which inputs its rows come
    from, and stays beside the finished file. What is written is on the disk before the json file counts it, and the
    json file is replaced as a whole: whenever the process is killed, the rows that are counted are present and correct.
    While one process has the file open (``<path>.lock``), others wait.

    Parameters
    ----------
    path : str or path-like
        Ends in ``.npy``; its folder exists.
    encoder : str
        Name of the encoder.
    identity : dict
        All that a vector depends on besides its input: anything that json can write.
    n_dims : int
        Length of a vector.
    kinds : str, default="texts"
        What the inputs are called in messages. The json file counts inputs of any kind under the key ``texts``.

    Attributes
    ----------
    n_done : int
        Rows that were there when the file was opened.

    Raises
    ------
    VectorFileError
        If the file has no folder; on entering, if the file, or what is left of it, was made by another encoder or
        another program, or is damaged. Nothing is overwritten.
    FileVersionError
        On entering, if a newer version of the package made the file.
    """

    def __init__(
        self, path: Path, *, encoder: str, identity: dict[str, Any], n_dims: int, kinds: str = "texts"
    ) -> None:
        self.path = pathlib.Path(path).expanduser()
        if self.path.suffix != ".npy":
            raise VectorFileError(f"out={str(path)!r} does not name a .npy file: choose a name that ends in .npy")
        if not self.path.parent.is_dir():
            raise VectorFileError(f"out={str(path)!r}: there is no folder {self.path.parent}: create it first")
        self._partial = self.path.with_name(f"{self.path.name}.partial")
        self._about = self.path.with_name(f"{self.path.name}.json")
        self._lock = self.path.with_name(f"{self.path.name}.lock")
        self._held = ExitStack()
        self._made_by = json.loads(json.dumps({"encoder": encoder, "identity": identity, "size": n_dims}))
        self._n_dims = n_dims
        self._kinds = kinds
        self._digest = hashlib.sha256()  # of the fingerprints of the inputs so far
        self._file: Any = None
        self.n_done = 0
        self._n_rows = 0
        self._expected = None  # digest of the inputs of the rows that are there
        self._checksum = 0  # CRC of these rows

    def __enter__(self) -> Self:
        try:
            self._held.enter_context(exclusive(self._lock, remove=True))
            self._open()
        except StorageError:  # an OSError that names the remedy already
            self._held.close()
            raise
        except OSError as error:
            self._held.close()
            raise VectorFileError(
                f"{self.path} cannot be written ({error}): choose a folder on a disk with free space that you may "
                "write to"
            ) from error
        except BaseException:
            self._held.close()
            raise
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if kind is not None and self._n_rows == 0:  # nothing to keep
            self._file.close()
            self._partial.unlink(missing_ok=True)
            self._about.unlink(missing_ok=True)
        self._held.close()

    def _open(self):
        """Open what is there, or begin."""
        self._finished = self.path.exists()
        about = self._read_about() if self._about.exists() else None
        path = self.path if self._finished else self._partial
        mode = "rb" if self._finished else "r+b" if path.exists() else "w+b"
        self._file = self._held.enter_context(open(path, mode, buffering=0))  # noqa: SIM115 - closed on exit
        has_rows = self._file.seek(0, os.SEEK_END) > 0 and (about is None or about["texts"] > 0)
        if self._finished or has_rows:
            self._resume(about)
        else:
            self._save_about()
            self._write_header()

    def _write_header(self):
        header = {"descr": _DTYPE.str, "fortran_order": False, "shape": (self._n_rows, self._n_dims)}
        self._file.seek(0)
        np.lib.format.write_array_header_1_0(self._file, header)  # padded for any number of rows
        self._start = self._file.tell()

    def _read_about(self):
        """Read the json file.

        Raises
        ------
        VectorFileError
            If another program wrote it.
        FileVersionError
            If a newer version of the package wrote it.
        """
        found = None
        try:
            about = json.loads(self._about.read_text(encoding="utf-8"))
            found = about["format"]
            if found == _FORMAT and about.keys() >= _KEYS:
                return about
        except (OSError, ValueError, KeyError, TypeError):
            pass
        kind, _, number = str(found).rpartition(" ")
        if kind == _FORMAT.rpartition(" ")[0] and number.isdigit():
            check_format("vectors", int(number), self._about)
        raise VectorFileError(
            f"{self._about} was not written by a transform with out={str(self.path)!r}: move it, or choose another name"
        )

    def _save_about(self):
        """Record what the rows are, in a file that is replaced as a whole."""
        about = {"format": _FORMAT, **self._made_by, "texts": self._n_rows, "texts_sha256": self._digest.hexdigest()}
        about["vectors_crc32"] = self._checksum
        with replacing(self._about, single_writer=True, durable=True) as temporary:
            temporary.write_text(json.dumps(about, indent=1), encoding="utf-8")

    def _resume(self, about):
        """Continue with the rows of a file that is there.

        Raises
        ------
        VectorFileError
            If another encoder or program made it, or it is damaged.
        """
        if about is None:
            self._refuse("exists already, and nothing says what its vectors are of")
        changes = _changes(about, self._made_by)
        if changes:
            self._refuse(f"holds vectors of another encoder ({changes})")
        self.n_done = self._n_rows = about["texts"]
        self._expected, self._checksum = about["texts_sha256"], about["vectors_crc32"]
        if not self._is_sound():
            self._refuse(f"is damaged: its {self._n_rows} vectors are not those that were written")

    def _is_sound(self):
        """Whether the rows that were counted are present, bit for bit."""
        self._file.seek(0)
        try:
            np.lib.format.read_magic(self._file)
            shape, _, dtype = np.lib.format.read_array_header_1_0(self._file)
        except ValueError:
            return False
        self._start = self._file.tell()
        rest, checksum = self._n_bytes(), 0
        while rest and (data := self._file.read(min(rest, _CHUNK))):
            rest, checksum = rest - len(data), zlib.crc32(data, checksum)
        right_shape = shape == (self._n_rows, self._n_dims) or not self._finished
        return rest == 0 and checksum == self._checksum and dtype == _DTYPE and right_shape

    def _n_bytes(self):
        return self._n_rows * self._n_dims * _DTYPE.itemsize

    def unfinished(self, blocks: Iterable[Any]) -> Iterator[Any]:
        """Blocks of inputs that have no vectors yet; the inputs that have are compared with those of the rows.

        Parameters
        ----------
        blocks : iterable of Block
            All inputs, from the first.

        Yields
        ------
        Block
            To be encoded and passed to `append` before the next is taken.

        Raises
        ------
        VectorFileError
            If the inputs are not those that the rows come from.
        """
        row, known = 0, self.n_done
        for block in blocks:
            n_known = min(known - row, len(block))
            if n_known > 0:
                _add_to_digest(block[:n_known].fingerprints, self._digest)
                row += n_known
                if row == known:
                    self._compare()
                block = block[n_known:]
            if block and self._finished:
                self._refuse(f"has vectors of {known} {self._kinds}, and here are more")
            if block:
                yield block
        if row < known:
            self._refuse(f"has vectors of {known} {self._kinds}, and here are only {row}")

    def _compare(self):
        if self._digest.hexdigest() != self._expected:
            self._refuse(f"has vectors of other {self._kinds}: the first {self.n_done} differ from those given now")

    def _refuse(self, why):
        """Raise the error that leaves the file as it is.

        Raises
        ------
        VectorFileError
            Always.
        """
        path = self.path if self._finished else self._partial
        raise VectorFileError(f"{path} {why}. Delete it to start anew, or choose another name")

    def append(self, block: Any, vectors: FloatArray) -> None:
        """Write the vectors of the next block.

        Parameters
        ----------
        block : Block
            The inputs, with their fingerprints.
        vectors : ndarray of shape (len(block), n_dims), dtype float32
            One row for each input.

        Raises
        ------
        VectorFileError
            If the disk is full; what was written before is kept.
        """
        try:
            self._file.seek(self._start + self._n_bytes())
            data = np.ascontiguousarray(vectors, dtype=_DTYPE).data.cast("B")
            rest = data
            while rest:
                rest = rest[self._file.write(rest) :]
            os.fsync(self._file.fileno())
            self._checksum = zlib.crc32(data, self._checksum)
            _add_to_digest(block.fingerprints, self._digest)
            self._n_rows += len(block)
            self._save_about()
        except OSError as error:
            raise VectorFileError(
                f"{self._partial} cannot be written ({error}): make room and call again, the vectors written before "
                "are kept"
            ) from error

    def result(self) -> FloatArray:
        """Give the finished file its name and map it into memory.

        Returns
        -------
        memmap of shape (n_inputs, n_dims), dtype float32
            Read-only.

        Raises
        ------
        VectorFileError
            If the file cannot be finished.
        """
        try:
            self._finish()
            return np.load(self.path, mmap_mode="r")
        except OSError as error:
            raise VectorFileError(
                f"{self.path} cannot be finished ({error}): make room and call again, the vectors are kept"
            ) from error

    def _finish(self):
        if not self._finished:
            # rows of a block that was written but not counted when the process was killed
            self._file.truncate(self._start + self._n_bytes())
            self._write_header()
            os.fsync(self._file.fileno())
            self._file.close()  # some systems do not rename open files
            os.replace(self._partial, self.path)
