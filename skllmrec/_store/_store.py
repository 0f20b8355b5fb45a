"""EmbeddingStore: look vectors up by fingerprints of their inputs, encode what is missing, keep the vectors."""

import hashlib
import json
import os
import pathlib
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import numpy as np

from skllmrec._store._database import FILE, TROUBLE, Database
from skllmrec._store._fetch import Fetch
from skllmrec._store._inspection import find_encoder, list_encoders
from skllmrec._store._removal import prune
from skllmrec._store._schema import VERSION
from skllmrec._store._units import parse_bytes, parse_seconds
from skllmrec._store._verification import list_set_aside, verify
from skllmrec._typing import FloatArray, IntArray, Path
from skllmrec.exceptions import StoreError

_LEAST_LIMIT = 1_000_000  # bytes; an empty file is a tenth of it

_hits: Counter[str] = Counter()  # directory -> inputs found, in this process


def _as_bytes(fingerprint):
    return fingerprint.encode(errors="surrogatepass") if isinstance(fingerprint, str) else fingerprint


class EmbeddingStore:
    """Vectors of texts and other inputs on disk, shared by threads and processes.

    A vector is stored under the SHA-256 of the input and of all that it depends on, so that a changed model or
    parameter never meets an old vector. An input that several processes want at the same time is encoded by one of
    them; when that one is killed, another takes over. What has been written survives a kill; every vector has a
    checksum, and a damaged one is encoded again. The directory must be on a local disk.

    An object of this class holds a path, no open file: it can be copied, pickled and sent to other processes.

    Parameters
    ----------
    path : str or path-like
        Directory; it is made when it is first used.
    max_bytes : int, str or None, default=None
        Most bytes of the file, or a text such as ``"2GB"``; at least 1 MB. Beyond it, the vectors that have not
        been used for longest are removed, and encoded again when they are wanted. The limit belongs to this
        object, not to the directory: it is kept whenever vectors have been written through it. While calls run,
        the file may be larger, by what they have written. The journal does not count. None: no limit.
    readonly : bool, default=False
        Write nothing at all. Inputs without a stored vector are encoded, and their vectors are not kept. For a
        service that reads a store which another process fills, or which came with a container.

    Attributes
    ----------
    path : str
    max_bytes : int or None
    readonly : bool

    Raises
    ------
    ValueError
        If `max_bytes` is no size.

    See Also
    --------
    skllmrec.LLMTextEncoder : Takes a store, or the path of one, as ``memory``.

    Notes
    -----
    A store that this process must not write (another user's, a read-only file system) is read without being asked to:
    where it holds all inputs of a call, their vectors are returned. Where one is missing, a StoreError says so before
    anything is encoded, and names `readonly`.

    The time of the last use is kept to the hour, so that most look-ups write nothing. The same upkeep is at hand on
    the command line: ``python -m skllmrec store``.

    Examples
    --------
    >>> import tempfile
    >>> from skllmrec import LLMTextEncoder
    >>> from skllmrec.encoders import EmbeddingStore
    >>> folder = tempfile.TemporaryDirectory()
    >>> store = EmbeddingStore(folder.name, max_bytes="2GB")
    >>> encoder = LLMTextEncoder(memory=store)
    >>> first = encoder.fit_transform(["a film", "another film"])
    >>> again = encoder.fit_transform(["a film", "another film"])
    >>> store.stats()["texts"], store.stats()["encoded"], store.stats()["hits"]
    (2, 2, 2)

    What is in it, whether it is sound, and what has not been used for a month:

    >>> [(found["texts"], found["bytes"], found["identity"]["pooling"]) for found in store.inspect()["encoders"]]
    [(2, 3072, 'mean')]
    >>> report = store.verify()
    >>> report["sound"], report["damaged"]
    (2, 0)
    >>> store.prune(older_than="30d")["texts"]
    0
    >>> store.prune(encoder=store.inspect()["encoders"][0]["id"])["texts"]
    2
    >>> folder.cleanup()
    """

    readonly: bool = False  # of objects that were pickled before there was the parameter

    def __init__(self, path: Path, max_bytes: int | str | None = None, *, readonly: bool = False) -> None:
        self.path = os.fspath(path)
        self.readonly = readonly
        self.max_bytes = None if max_bytes is None else parse_bytes(max_bytes, "max_bytes", minimum=_LEAST_LIMIT)

    def __repr__(self) -> str:
        limit = "" if self.max_bytes is None else f", max_bytes={self.max_bytes}"
        readonly = ", readonly=True" if self.readonly else ""
        return f"{type(self).__name__}({self.path!r}{limit}{readonly})"

    @property
    def _directory(self):
        return pathlib.Path(self.path).expanduser()

    def fetch(
        self,
        identity: dict[str, Any],
        n_dims: int,
        fingerprints: Iterable[bytes | str],
        start: Callable[[IntArray], Any],
    ) -> FloatArray:
        """Find the vectors of inputs, encoding those that are not there.

        Parameters
        ----------
        identity : dict
            What, besides the input, a vector depends on: anything that json can write.
        n_dims : int
            Length of a vector.
        fingerprints : iterable of (bytes or str), length n_inputs
            What identifies each input, all distinct: a text itself, or a digest of the content of a larger input. A
            str is taken as its UTF-8.
        start : callable
            ``start(missing)`` is called, if at all, once with the positions (ndarray of int) of the inputs that
            have no vector. It returns an object with ``groups`` (a list of ndarray of int: positions in `missing` to
            encode together) and ``encode(positions)`` -> ndarray of shape (len(positions), n_dims).

        Returns
        -------
        ndarray of shape (n_inputs, n_dims), dtype float32

        Raises
        ------
        StoreError
            If the directory cannot be written and lacks an input, or holds the file of another program.

        Warns
        -----
        StoreWarning
            If the file was damaged and is started anew, or new vectors could not be written (disk full).
        """
        written = json.dumps(identity, sort_keys=True)
        prefix = hashlib.sha256(written.encode()).digest()
        digests = [hashlib.sha256(prefix + _as_bytes(fingerprint)).digest() for fingerprint in fingerprints]
        vectors = np.empty((len(digests), n_dims), dtype=np.float32)
        call = Fetch(self._directory, written, digests, vectors, self.max_bytes, readonly=self.readonly)
        n_encoded = 0

        def counted(missing: IntArray) -> Any:
            nonlocal n_encoded
            n_encoded = len(missing)
            return start(missing)

        try:
            call.run(counted)
        finally:
            call.close()
        _hits[str(self._directory)] += len(digests) - n_encoded
        return vectors

    @contextmanager
    def _opened(self, *, to_write=False):
        """Open the file as it is, for upkeep; damage is an error there."""
        database = Database(self._directory, replace=False, readonly=self.readonly)
        try:
            if database.readonly and to_write:
                raise StoreError(
                    f"nothing can be removed from the embedding store {self._directory}: it can only be read "
                    f"({database.obstacle or 'readonly=True'})"
                )
            if database.readonly and database.version != VERSION:
                raise StoreError(
                    f"the embedding store {self._directory} was made by an older version of skllmrec, which gives "
                    "vectors but no statistics: open it once where it can be written"
                )
            yield database
        except TROUBLE as error:
            raise StoreError(
                f"the embedding store {self._directory} cannot be used ({error}): verify(repair=True) keeps what is "
                "sound; the next encoding would set the file aside and start a new one"
            ) from error
        finally:
            database.close()

    def stats(self) -> dict[str, int]:
        """Count what is in the store and what it has been used for.

        Returns
        -------
        dict
            ``texts`` (vectors stored now, of inputs of any kind), ``encoded`` (vectors ever written: above ``texts``
            where one was removed or encoded again), ``removed`` (vectors evicted or pruned), ``encoders``
            (combinations of model and parameters), ``claims`` (inputs that are being encoded now), ``bytes`` (size of
            the files) and ``hits`` (inputs that this process found in the store).

        Raises
        ------
        StoreError
            If the directory cannot be made, or the file is damaged or of another program.
        """
        with self._opened() as database:
            totals = dict(zip(("texts", "encoded", "removed", "encoders", "claims"), database.totals(), strict=True))
            size = self._size()
        return {**totals, "bytes": size, "hits": _hits[str(self._directory)]}

    def _size(self):
        """Bytes of the file and its journal."""
        return sum(file.stat().st_size for file in self._directory.glob(FILE + "*") if ".damaged-" not in file.name)

    def inspect(self) -> dict[str, Any]:
        """List what is in the store.

        Returns
        -------
        dict
            ``path``; ``texts`` and ``bytes`` (of the files) as in `stats`;
            ``encoders``, the most recently used first, each a dict of ``id`` (a short name for `prune`), ``identity``
            (dict of the checksum of the weights and of all parameters that change a vector), ``texts``, ``bytes``
            (of the vectors), ``first_use`` and ``last_use`` (datetime in UTC; to the hour);
            ``set_aside``, names of damaged files that `verify` may take over.

        Raises
        ------
        StoreError
            If the directory cannot be made, or the file is damaged or of another program.
        """
        with self._opened() as database:
            encoders, n_texts, size = list_encoders(database), database.totals()[0], self._size()
        return {
            "path": str(self._directory),
            "texts": n_texts,
            "bytes": size,
            "encoders": encoders,
            "set_aside": [path.name for path in list_set_aside(self._directory)],
        }

    def prune(
        self,
        *,
        older_than: float | str | timedelta | None = None,
        encoder: str | dict[str, Any] | None = None,
        max_bytes: int | str | None = None,
        dry_run: bool = False,
    ) -> dict[str, int]:
        """Remove vectors that are no longer needed, and give their space back to the disk.

        Only vectors that meet every condition are removed; at least one must be given. A vector that a running call
        may wait for stays. A
        vector that was removed is encoded again when it is wanted.

        Parameters
        ----------
        older_than : float, timedelta, str or None, default=None
            Age of the last use: seconds, a timedelta, or a text such as ``"30d"`` (units s, m, h, d, w).
        encoder : str, dict or None, default=None
            Only vectors of this encoder: its id, or the start of it, as `inspect` shows it; or its identity.
        max_bytes : int, str or None, default=None
            Remove the least recently used until the file is no larger than this; a text such as ``"2GB"`` will do.
        dry_run : bool, default=False
            Only count what would be removed.

        Returns
        -------
        dict
            ``texts`` and ``bytes`` (of their vectors) that were removed, and the size of the files ``before`` and
            ``after``.

        Raises
        ------
        ValueError
            If no condition is given, one of them is invalid, or the store has no such encoder.
        StoreError
            If the directory cannot be written, or the file is damaged or of another program.
        """
        if older_than is None and encoder is None and max_bytes is None:
            raise ValueError(
                "prune() without a condition would remove everything: give older_than=, encoder= or max_bytes= "
                "(max_bytes=0 if everything is meant)"
            )
        conditions: dict[str, Any] = {}
        if older_than is not None:
            conditions["cutoff"] = time.time() - parse_seconds(older_than, "older_than")
        if max_bytes is not None:
            conditions["max_bytes"] = parse_bytes(max_bytes, "max_bytes")
        before = self._size()
        with self._opened(to_write=not dry_run) as database:
            if encoder is not None:
                conditions["space"] = find_encoder(database, encoder)
            texts, size = prune(database, **conditions, dry_run=dry_run)
        return {"texts": texts, "bytes": size, "before": before, "after": self._size()}

    def verify(self, *, repair: bool = False) -> dict[str, Any]:
        """Compare every vector with its checksum, and look for claims and files that killed processes have left.

        All vectors are read, a few seconds for each GB. The store can be used meanwhile.

        Parameters
        ----------
        repair : bool, default=False
            Remove damaged vectors, which are then encoded again when they are wanted, and all that is left over. If
            the structure of the file is damaged, a new one is made of its sound vectors; so are files that were set
            aside earlier.

        Returns
        -------
        dict
            ``sound`` and ``damaged`` (vectors); ``file`` (None, or what is wrong with its structure);
            ``uses`` (vectors whose time of use is lost, and the reverse); ``dead_claims`` and ``dead_owners`` (left by
            killed processes; they block nobody); ``set_aside`` (names of damaged files) and ``salvaged`` (vectors
            taken over from these).

        Raises
        ------
        StoreError
            If the directory cannot be made, or only be read although it should be repaired, or the file is of another
            program.
        """
        try:
            return verify(self._directory, repair=repair, readonly=self.readonly)
        except TROUBLE as error:
            raise StoreError(f"the embedding store {self._directory} cannot be checked ({error})") from error
