"""The steps of one call of the store: read, claim, encode, write."""

import sqlite3
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from skllmrec._inputs import FaultyInputsError
from skllmrec._store._database import TROUBLE, Database, is_damage
from skllmrec._store._locks import Owner
from skllmrec._store._removal import evict
from skllmrec._typing import FloatArray, IntArray
from skllmrec.exceptions import StoreError, StoreWarning

_PAUSES = 0.01, 0.25  # seconds between two checks of what others are encoding: first, longest
_ATTEMPTS = 3
_MOST_FAULTS = 10  # inputs that cannot be encoded; with more, the reason is hardly the inputs
_GROWTH = 1.1  # by which a file that cannot shrink yet may grow before the next attempt


class Fetch:
    """One call; without a usable file it goes on as if there were none.

    Parameters
    ----------
    directory : Path
        Of the store.
    identity : str
        What, besides the input, the vectors depend on.
    digests : list of bytes, length n
        Keys of the inputs, distinct.
    vectors : ndarray of shape (n, n_dims), dtype float32
        Receives the vectors.
    max_bytes : int or None
        Limit of the file.
    readonly : bool, default=False
        Write nothing; what is missing is encoded and not kept.

    Raises
    ------
    StoreError
        If the store cannot be used.
    """

    def __init__(
        self,
        directory: Path,
        identity: str,
        digests: list[bytes],
        vectors: FloatArray,
        max_bytes: int | None,
        *,
        readonly: bool = False,
    ) -> None:
        self._directory = directory
        self._identity = identity
        self._vectors = vectors
        self._missing = {digest: row for row, digest in enumerate(digests)}
        self._used: list[int] = []  # rows of the file whose vectors were read
        self._max_bytes = max_bytes
        self._evict_above = max_bytes
        self._readonly = readonly
        self._database: Any = Database(directory, readonly=readonly)
        self._obstacle = self._database.obstacle
        self._owner: Owner | None = None
        self._fault: Any = None  # FaultyInputsError
        self._is_hopeless = False

    def run(self, start: Callable[[IntArray], Any]) -> None:
        """Fill all rows of `vectors`.

        Parameters
        ----------
        start : callable
            See `EmbeddingStore.fetch`.

        Raises
        ------
        FaultyInputsError
            If some inputs cannot be encoded; the others are in the file.
        StoreError
            If inputs are missing in a store that can only be read, although that was not asked for.
        """
        found = self._try(lambda database: database.read(self._missing, self._vectors), instead={})
        self._note(found)
        if not self._missing:
            return
        self._check_can_keep()
        digests = list(self._missing)
        job = start(np.fromiter(self._missing.values(), dtype=np.intp, count=len(self._missing)))
        place = {digest: position for position, digest in enumerate(digests)}
        for group in job.groups:
            self._encode_free(job, place, [digests[position] for position in group])
        pause, longest = _PAUSES
        while self._missing:  # another call is encoding these, or its process died while doing so
            if not self._encode_free(job, place, list(self._missing)):
                time.sleep(pause)
                pause = min(2 * pause, longest)
        if self._fault is not None:
            raise self._fault

    def _check_can_keep(self):
        """Raise an error, before anything is encoded, if the user expects vectors to be kept and they cannot be."""
        if self._obstacle is not None:
            raise StoreError(
                f"the embedding store {self._directory} can only be read ({self._obstacle}), and it lacks the vectors "
                f"of {len(self._missing)} of {len(self._vectors)} inputs: make it writable, give memory= another "
                f"directory, or pass memory=EmbeddingStore({str(self._directory)!r}, readonly=True), which encodes "
                "what is missing without keeping it"
            )
        if self._readonly and self._database is not None:
            self._database.close()
            self._database = None

    def _encode_free(self, job, place, digests):
        """Encode those of some inputs that no other call is encoding; True if any was read or encoded."""
        wanted = {digest: self._missing[digest] for digest in digests if digest in self._missing}
        found, claimed = self._try(
            lambda database: database.take(wanted, self._vectors, self._own()), instead=({}, set(wanted))
        )
        self._note(found)
        claimed = [digest for digest in wanted if digest in claimed]
        if claimed:
            vectors, is_encoded = self._encode(job, np.array([place[digest] for digest in claimed], dtype=np.intp))
            self._vectors[[wanted[digest] for digest in claimed]] = vectors
            self._drop(claimed)
            encoded = [digest for digest, has_vector in zip(claimed, is_encoded, strict=True) if has_vector]
            blobs = [vector.tobytes() for vector in np.ascontiguousarray(vectors[is_encoded], dtype="<f4")]
            self._try(lambda database: database.write(self._identity, encoded, blobs), instead=None)
            self._tidy(self._evict)
            if self._is_hopeless:
                raise self._fault
        return bool(found or claimed)

    def _encode(self, job, positions):
        """Encode inputs; where some have a fault, it is kept, and the others have vectors."""
        try:
            return job.encode(positions), np.ones(len(positions), dtype=bool)
        except FaultyInputsError as fault:
            is_encoded = fault.is_encoded
            # none was encoded, or some were not even tried: to go on would be in vain
            self._is_hopeless = not is_encoded.any() or np.count_nonzero(~is_encoded) > len(fault.faults)
            if self._fault is not None:
                fault.join(self._fault)
            self._is_hopeless |= len(fault.faults) >= _MOST_FAULTS
            self._fault = fault
            return fault.vectors, is_encoded

    def _note(self, found):
        self._used.extend(found.values())
        self._drop(found)

    def _drop(self, digests):
        for digest in digests:
            del self._missing[digest]

    def _own(self):
        if self._owner is None:
            self._owner = Owner(self._directory)
        return self._owner

    def _evict(self, database):
        """Make room where the file has grown too large; not at every write while running calls need all of it."""
        if self._max_bytes is not None and database.file_bytes() > self._evict_above:
            evict(database, self._max_bytes)
            size = database.file_bytes()
            self._evict_above = self._max_bytes if size <= self._max_bytes else int(_GROWTH * size)

    def _try(self, operation, instead):
        """Run an operation; a damaged file is replaced, any other failure ends the use of the store."""
        for attempt in range(_ATTEMPTS):
            if self._database is None:
                break
            try:
                return operation(self._database)
            except (*TROUBLE, OSError) as error:
                self._recover(error, last=attempt == _ATTEMPTS - 1)
        return instead

    def _tidy(self, operation):
        """Run an operation that no vector depends on: only damage causes a warning, and a new file."""
        if self._database is not None:
            try:
                operation(self._database)
            except (*TROUBLE, OSError) as error:
                if is_damage(error):
                    self._recover(error, last=False)

    def _recover(self, error, last):
        moved = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_READONLY_DBMOVED
        if not last and (moved or is_damage(error)):
            try:
                if moved or self._database.readonly:  # while others write, a second look may find all of it sound
                    self._database.close()
                else:
                    self._database.set_aside(error)
                self._database = Database(self._directory, readonly=self._readonly)
                self._used.clear()  # rows of the other file
                return
            except OSError as second:
                error = second
        self._database.close()
        self._database = None
        warnings.warn(
            f"the embedding store {self._directory} failed ({error}): vectors of this call are computed and returned, "
            "but not kept. Free some disk space, or give memory= another directory",
            StoreWarning,
            stacklevel=2,
        )

    def close(self) -> None:
        """Record what was used, release claims that were not encoded, keep to the limit, and close the file."""
        try:
            if self._database is not None and not self._database.readonly:
                self._finish()
        finally:
            if self._database is not None:
                self._database.close()
            if self._owner is not None:
                self._owner.close()

    def _finish(self):
        if self._used:
            self._tidy(lambda database: database.touch(self._used))
        if self._owner is not None:  # claims of a closed owner are void anyway
            self._tidy(lambda database: database.release(self._owner.id))
        self._evict_above = self._max_bytes
        self._tidy(self._evict)
