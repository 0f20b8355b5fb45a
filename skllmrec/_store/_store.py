"""EmbeddingStore: look texts up, encode what nobody has encoded yet, keep the vectors."""

import hashlib
import json
import os
import sqlite3
import time
import warnings
from collections import Counter
from contextlib import suppress
from pathlib import Path

import numpy as np

from skllmrec._store._database import TROUBLE, Database, is_damage
from skllmrec._store._locks import Owner
from skllmrec.exceptions import StoreError, StoreWarning

_PAUSES = 0.01, 0.25  # seconds between two looks at what others are encoding: first, longest
_ATTEMPTS = 3

_hits = Counter()  # directory -> texts found, in this process


class _Fetch:
    """The way of one call through the store; without a usable file it goes on as if there were none."""

    def __init__(self, directory, identity, digests, vectors):
        self._directory, self._identity, self._vectors = directory, identity, vectors
        self._missing = {digest: row for row, digest in enumerate(digests)}
        self._database = Database(directory)
        self._owner = None

    def run(self, texts, start):
        """Fill all rows of `vectors`."""
        found = self._try(lambda database: database.read(self._missing, self._vectors), instead=set())
        self._drop(found)
        if not self._missing:
            return
        digests = list(self._missing)
        job = start([texts[row] for row in self._missing.values()])
        place = {digest: position for position, digest in enumerate(digests)}
        for group in job.groups:
            self._encode_free(job, place, [digests[position] for position in group])
        pause, longest = _PAUSES
        while self._missing:  # somebody else is encoding these, or died while doing so
            if not self._encode_free(job, place, list(self._missing)):
                time.sleep(pause)
                pause = min(2 * pause, longest)

    def _encode_free(self, job, place, digests):
        """Encode those of some texts that nobody else is encoding; True if any was read or encoded."""
        wanted = {digest: self._missing[digest] for digest in digests if digest in self._missing}
        found, claimed = self._try(
            lambda database: database.take(wanted, self._vectors, self._own()), instead=(set(), set(wanted))
        )
        self._drop(found)
        claimed = [digest for digest in wanted if digest in claimed]
        if claimed:
            vectors = job.encode(np.array([place[digest] for digest in claimed], dtype=np.intp))
            self._vectors[[wanted[digest] for digest in claimed]] = vectors
            self._try(lambda database: database.write(self._identity, claimed, vectors), instead=None)
            self._drop(claimed)
        return bool(found or claimed)

    def _drop(self, digests):
        for digest in digests:
            del self._missing[digest]

    def _own(self):
        if self._owner is None:
            self._owner = Owner(self._directory)
        return self._owner

    def _try(self, operation, instead):
        """Run an operation; a damaged file is replaced, any other trouble ends the use of the store."""
        for attempt in range(_ATTEMPTS):
            if self._database is None:
                break
            try:
                return operation(self._database)
            except (*TROUBLE, OSError) as error:
                self._recover(error, last=attempt == _ATTEMPTS - 1)
        return instead

    def _recover(self, error, last):
        moved = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_READONLY_DBMOVED
        if not last and (moved or is_damage(error)):
            try:
                if moved:
                    self._database.close()
                else:
                    self._database.set_aside(error)
                self._database = Database(self._directory)
                return
            except (StoreError, OSError) as second:
                error = second
        self._database.close()
        self._database = None
        warnings.warn(
            f"the embedding store {self._directory} failed ({error}): texts of this call are encoded and returned, but "
            "not kept. Free some disk space, or give memory= another directory",
            StoreWarning,
            stacklevel=2,
        )

    def close(self):
        """Give up what is claimed but not encoded, and close the file."""
        if self._database is not None:
            if self._owner is not None:
                with suppress(*TROUBLE):  # claims of a closed owner are void anyway
                    self._database.release(self._owner)
            self._database.close()
        if self._owner is not None:
            self._owner.close()


class EmbeddingStore:
    """Vectors of texts on disk, shared by threads and processes.

    A vector is filed under the SHA-256 of the text and of all that it depends on, so that a changed model or
    parameter never meets an old vector. A text that several processes want at the same time is encoded by one of
    them; when that one is killed, another takes over. What has been written survives a kill; every vector has a
    checksum, and a damaged one is encoded again. The directory must be on a local disk.

    An object of this class holds a path, no open file: it can be copied, pickled and sent to other processes.

    Parameters
    ----------
    path : str or path-like
        Directory; it is made when it is first used.

    Examples
    --------
    >>> import tempfile
    >>> from skllmrec import LLMTextEncoder
    >>> from skllmrec.encoders import EmbeddingStore
    >>> with tempfile.TemporaryDirectory() as path:
    ...     store = EmbeddingStore(path)
    ...     encoder = LLMTextEncoder(memory=store)
    ...     first = encoder.fit_transform(["a film", "another film"])
    ...     again = encoder.fit_transform(["a film", "another film"])
    ...     store.stats()["texts"], store.stats()["encoded"], store.stats()["hits"]
    (2, 2, 2)
    """

    def __init__(self, path):
        self.path = os.fspath(path)

    def __repr__(self):
        return f"{type(self).__name__}({self.path!r})"

    @property
    def _directory(self):
        return Path(self.path).expanduser()

    def fetch(self, identity, n_dims, texts, start):
        """Find the vectors of texts, encoding those that are not there.

        Parameters
        ----------
        identity : dict
            What, besides the text, a vector depends on: anything that json can write.
        n_dims : int
            Length of a vector.
        texts : list of str
            Distinct texts.
        start : callable
            ``start(missing)`` is called, if at all, once with the list of texts that have no vector. It returns
            an object with ``groups`` (a list of ndarray of int: positions in `missing` to encode together) and
            ``encode(positions)`` -> ndarray of shape (len(positions), n_dims).

        Returns
        -------
        ndarray of shape (len(texts), n_dims), dtype float32

        Raises
        ------
        StoreError
            If the directory cannot be written, or holds the file of another program.

        Warns
        -----
        StoreWarning
            If the file was damaged and is started anew, or new vectors could not be written (disk full).
        """
        identity = json.dumps(identity, sort_keys=True)
        prefix = hashlib.sha256(identity.encode()).digest()
        digests = [hashlib.sha256(prefix + text.encode()).digest() for text in texts]
        vectors = np.empty((len(texts), n_dims), dtype=np.float32)
        call = _Fetch(self._directory, identity, digests, vectors)
        n_encoded = 0

        def counted(missing):
            nonlocal n_encoded
            n_encoded = len(missing)
            return start(missing)

        try:
            call.run(texts, counted)
        finally:
            call.close()
        _hits[str(self._directory)] += len(texts) - n_encoded
        return vectors

    def stats(self):
        """Count what is in the store and what it has been used for.

        Returns
        -------
        dict
            ``texts`` (vectors stored now), ``encoded`` (vectors ever written: above ``texts`` only where one was
            encoded again), ``encoders`` (combinations of model and parameters), ``claims`` (texts that are being
            encoded now), ``bytes`` (size of the files) and ``hits`` (texts that this process found in the store).

        Raises
        ------
        StoreError
            If the directory cannot be written, or the file is damaged or of another program.
        """
        database = Database(self._directory)
        try:
            counts = dict(zip(("texts", "encoded", "encoders", "claims"), database.count(), strict=True))
        except TROUBLE as error:
            raise StoreError(
                f"the embedding store {self._directory} cannot be counted ({error}): if it is damaged, the next "
                "encoding sets the file aside and starts a new one"
            ) from error
        finally:
            database.close()
        size = sum(file.stat().st_size for file in self._directory.glob(f"{database.path.name}*"))
        return {**counts, "bytes": size, "hits": _hits[str(self._directory)]}
