"""The SQLite file of an embedding store: rows with checksums, and claims on inputs being encoded."""

import errno
import hashlib
import os
import sqlite3
import time
import uuid
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from skllmrec._files import exclusive
from skllmrec._store._locks import Owner, is_alive
from skllmrec._store._schema import APPLICATION, VERSION, damage, prepare
from skllmrec._typing import FloatArray
from skllmrec.exceptions import StoreError, StoreWarning

FILE = "embeddings.sqlite"
_BUSY_TIMEOUT = 60.0  # seconds; transactions take milliseconds
_CHUNK = 8192  # values in one query
_CHUNK_BYTES = 2**23  # of vectors in one query
_JOURNAL_BYTES = 2**24  # a longer journal is cut when its pages have been copied into the file
_COARSE = 3600  # seconds by which the time of the last use may be late: most look-ups then write nothing
_WRITE = """
    INSERT INTO vectors (digest, space, vector, checksum) VALUES (?, ?, ?, ?)
    ON CONFLICT (digest) DO UPDATE SET space = excluded.space, vector = excluded.vector, checksum = excluded.checksum
"""
_ENTER = """
    INSERT OR REPLACE INTO uses (id, space, bytes, serial, written, used)
    SELECT id, ?, length(vector), (SELECT value FROM counters WHERE name = 'encoded'), ?, ? FROM vectors
    WHERE digest IN {}
"""
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}  # our SQL is right, so the file is not
_REFUSALS = {errno.EACCES, errno.EPERM, errno.EROFS}
_SQLITE_REFUSALS = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH}
# a message of SQLite may quote damaged bytes, which Python then fails to read
TROUBLE = sqlite3.DatabaseError, UnicodeDecodeError


def is_damage(error: BaseException) -> bool:
    """Whether an error of SQLite means that the file is no (sound) database."""
    return isinstance(error, UnicodeDecodeError) or (getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF in _DAMAGE


def is_refusal(error: BaseException) -> bool:
    """Whether an error means that this process must not write in the folder."""
    code = getattr(error, "sqlite_errorcode", None)
    return getattr(error, "errno", None) in _REFUSALS if code is None else code & 0xFF in _SQLITE_REFUSALS


def find_obstacle(path: Path) -> str | None:
    """Return why this process cannot write a database that exists: no permission for its file or its folder."""
    for place in (path, path.parent) if path.is_file() else ():
        if not os.access(place, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
            return f"no permission to write {place}"
    return None


def uris_to_read(path: Path) -> list[str]:
    """Return the URIs under which SQLite may open a file without writing one beside it, the better one first.

    While others have the file open, it has a journal, which SQLite reads too. Without one, SQLite would make it;
    "immutable" makes none. Should a writer come meanwhile, checksums tell whether a value is as it was written.
    """
    modes = ["mode=ro", "mode=ro&immutable=1"] if path.with_name(f"{path.name}-wal").exists() else ["immutable=1"]
    return [f"{path.absolute().as_uri()}?{mode}" for mode in modes]


def is_sound(digest: Any, vector: Any, checksum: Any) -> bool:
    """Whether a row is as it was written; a sound vector under the wrong digest is not."""
    return isinstance(digest, bytes) and isinstance(vector, bytes) and checksum == _checksum(digest, vector)


def _checksum(digest, vector):
    return hashlib.sha256(digest + vector).digest()[:8]


def _place(rows, positions, vectors):
    """Copy the vectors of sound rows to their positions; returns the digests that were found, and their rows."""
    n_dims = vectors.shape[1]
    rows = [row for row in rows if is_sound(*row[1:]) and row[1] in positions and len(row[2]) == 4 * n_dims]
    values = np.frombuffer(b"".join([vector for _, _, vector, _ in rows]), dtype="<f4")
    vectors[[positions[digest] for _, digest, _, _ in rows]] = values.reshape(len(rows), n_dims)
    return {digest: row for row, digest, _, _ in rows}


class Database:
    """One connection to the file of a store, for one thread.

    Parameters
    ----------
    directory : Path
        Directory of the store; created if missing.
    replace : bool, default=True
        Set a damaged file aside and start a new one; without it, damage is an error.
    readonly : bool, default=False
        Write nothing: neither the file nor one beside it. It is also opened to read where it exists and this process
        must not write it.

    Attributes
    ----------
    readonly : bool
        Whether nothing can be written.
    obstacle : str or None
        Why nothing can be written, if `readonly` was not asked for.
    version : int
        Version of the tables; 0 while another process has not made them yet, only where nothing can be written.

    Raises
    ------
    StoreError
        If the directory cannot be made or written and holds no store, or the file belongs to another program or
        version, or does not exist although only reading is wanted.

    Warns
    -----
    StoreWarning
        If the file is damaged: it is set aside, and a new one is started.
    """

    def __init__(self, directory: Path, *, replace: bool = True, readonly: bool = False) -> None:
        self.directory = Path(directory)
        self.path = self.directory / FILE
        self.readonly = readonly
        self.obstacle: str | None = None
        try:
            if not readonly:
                self.obstacle = self._open_to_write(replace)
                self.readonly = self.obstacle is not None
            if self.readonly:
                self._open_to_read()
        except StoreError:  # an OSError that names the remedy already
            raise
        except (OSError, *TROUBLE) as error:
            raise StoreError(
                f"the embedding store memory={str(self.directory)!r} cannot be used ({error}): choose a directory on "
                "a local disk with free space that you may write to, or memory=None to encode without a store"
            ) from error

    def _open_to_write(self, replace):
        """Open the file, made where it is missing; return what prevents writing where it can be read at most."""
        if (obstacle := find_obstacle(self.path)) is not None:
            return obstacle
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            with self._alone():
                try:
                    self._connect()
                except TROUBLE as error:
                    if not (replace and is_damage(error)):
                        raise
                    self._rename(error)
                    self._connect()
        except (OSError, sqlite3.DatabaseError) as error:
            if not (is_refusal(error) and self.path.is_file()):
                raise
            return str(error)
        return None

    def _open_to_read(self):
        """Open the file without writing anything, whether other processes write it or not."""
        if not self.path.is_file():
            raise StoreError(
                f"there is no embedding store to read in {self.directory}: it has no file {FILE}. Check the path, or "
                "leave out readonly=True to start one"
            )
        *others, last = uris_to_read(self.path)
        for uri in others:
            try:
                return self._connect(uri)
            except sqlite3.OperationalError as error:
                if not is_refusal(error):
                    raise
        return self._connect(last)

    def _alone(self):
        """Keep other threads and processes from opening or renaming the file meanwhile."""
        return exclusive(self.directory / "lock")

    def _connect(self, uri=None):
        """Connect to the file, or to a URI of SQLite that names it."""
        self._connection = sqlite3.connect(
            uri or self.path, timeout=_BUSY_TIMEOUT, isolation_level=None, uri=uri is not None
        )
        try:
            self._open()
            self._inode = os.stat(self.path).st_ino
        except BaseException:
            self._connection.close()
            raise

    def _open(self):
        self._connection.text_factory = bytes  # damaged text must not fail to decode: checksums decide
        foreign = prepare(self._connection, readonly=self.readonly)
        if foreign is not None:
            raise StoreError(
                f"{self.path} is a database of another program or version (application {foreign[0]}, version "
                f"{foreign[1]}; expected {APPLICATION}, {VERSION}): give memory= another directory, or delete the file"
            )
        self.version = self.value("PRAGMA user_version")
        if self.readonly:
            return
        # a killed process loses nothing; a power failure at most the last transactions, never the file
        self.execute("PRAGMA synchronous = NORMAL")
        self.execute(f"PRAGMA journal_size_limit = {_JOURNAL_BYTES}").fetchall()

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Run one statement."""
        return self._connection.execute(sql, parameters)

    def execute_whole(self, sql: str) -> None:
        """Run a pragma that works step by step to its end; `execute` would run the first step only."""
        self._connection.executescript(sql)

    def value(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        """Return the first column of the first row of a statement, of which a sound file has at least one.

        Raises
        ------
        sqlite3.DatabaseError
            If there is no row: the file is damaged.
        """
        row = self.execute(sql, parameters).fetchone()
        if row is None:
            raise damage(f"nothing was found by {sql}")
        return row[0]

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def set_aside(self, error: BaseException) -> None:
        """Close the connection and rename the file, in which `error` showed damage, so that a new one is started."""
        self.close()
        with self._alone():
            if (
                self.path.exists() and os.stat(self.path).st_ino == self._inode
            ):  # else another process has done it already
                self._rename(error)

    def _rename(self, error):
        aside = f"{FILE}.damaged-{uuid.uuid4().hex[:8]}"
        for suffix in ("-wal", "-shm", ""):  # the journal first: it must never meet the new file
            if (source := self.path.with_name(FILE + suffix)).exists():
                source.rename(source.with_name(aside + suffix))
        warnings.warn(
            f"the embedding store {self.path} is damaged ({error}): it was renamed to {aside}, a new one is started",
            StoreWarning,
            stacklevel=2,
        )

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Write all changes of the block, or none of them; other writers wait."""
        self.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.execute("COMMIT")
        finally:
            if self._connection.in_transaction:
                self.execute("ROLLBACK")

    def each_block(
        self, sql: str, values: Sequence[Any], parameters: Sequence[Any] = (), *, size: int = _CHUNK
    ) -> Iterator[list[tuple[Any, ...]]]:
        """Run a statement that ends in a condition on some values, in blocks that fit into one query.

        Parameters
        ----------
        sql : str
            With ``{}`` in the place of the values.
        values : list
        parameters : tuple, default=()
            For placeholders before the values.
        size : int, default=8192
            Most values in one query.

        Yields
        ------
        list of tuple
            The rows of a block.
        """
        limit = self._connection.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER) - len(parameters)
        size = min(size, _CHUNK, limit)
        for start in range(0, len(values), size):
            part = values[start : start + size]
            marks = "(" + ",".join("?" * len(part)) + ")"
            yield self.execute(sql.format(marks), (*parameters, *part)).fetchall()

    def run_blocks(self, sql: str, values: Sequence[Any], parameters: Sequence[Any] = ()) -> None:
        """Run a statement without results on some values: see `each_block`."""
        for _ in self.each_block(sql, values, parameters):
            pass

    def read(self, positions: dict[bytes, int], vectors: FloatArray) -> dict[bytes, int]:
        """Read the vectors of some inputs.

        Parameters
        ----------
        positions : dict of bytes to int
            Digest of each input, and its row in `vectors`.
        vectors : ndarray of shape (n, n_dims), dtype float32
            Receives the vectors.

        Returns
        -------
        dict of bytes to int
            Digests that were found, and the rows in the file; damaged rows count as not found.
        """
        if self.version == 0:
            return {}  # the tables are being made
        # places first, from the index alone; then every page of vectors is read once, in the order of the file
        blocks = self.each_block("SELECT id FROM vectors WHERE digest IN {}", list(positions))
        places = sorted(row for rows in blocks for (row,) in rows)
        size = max(1, _CHUNK_BYTES // (4 * vectors.shape[1] or 1))
        found: dict[bytes, int] = {}
        for rows in self.each_block(
            "SELECT id, digest, vector, checksum FROM vectors WHERE id IN {}", places, size=size
        ):
            found |= _place(rows, positions, vectors)
        return found

    def touch(self, rows: list[int]) -> None:
        """Record the time of use of some rows, where it was not recorded within the last hour.

        Parameters
        ----------
        rows : list of int
        """
        now = int(time.time())
        # a time in the future comes from a clock that was wrong, and would keep its row for ever
        known = "SELECT id FROM uses WHERE used NOT BETWEEN ? AND ? AND id IN {}"
        stale = [row for rows in self.each_block(known, sorted(rows), (now - _COARSE, now)) for (row,) in rows]
        if stale:
            with self.transaction():
                self.run_blocks("UPDATE uses SET used = ? WHERE id IN {}", stale, (now,))

    def take(
        self, positions: dict[bytes, int], vectors: FloatArray, owner: Owner
    ) -> tuple[dict[bytes, int], set[bytes]]:
        """Read what is stored and claim what no other call is encoding, in one step.

        Parameters
        ----------
        positions, vectors
            As for `read`.
        owner : Owner
            The call that claims.

        Returns
        -------
        found : dict of bytes to int
            As `read` returns.
        claimed : set of bytes
            Digests that `owner` has to encode now. The others are being encoded by another owner who is alive.
        """
        with self.transaction():
            # whatever is written from now on may be what this owner waits for: `evict` spares it
            self.execute(
                "INSERT OR IGNORE INTO running SELECT ?, value FROM counters WHERE name = 'encoded'", (owner.id,)
            )
            found = self.read(positions, vectors)
            wanted = [digest for digest in positions if digest not in found]
            taken = self._taken(wanted, owner)
            claimed = [digest for digest in wanted if digest not in taken]
            self._connection.executemany(
                "INSERT OR REPLACE INTO claims (digest, owner) VALUES (?, ?)",
                [(digest, owner.id) for digest in claimed],
            )
        return found, set(claimed)

    def _taken(self, digests, owner):
        """Digests that other live owners have claimed; claims of dead ones are deleted."""
        claims: dict[Any, Any] = {}
        for rows in self.each_block("SELECT digest, owner FROM claims WHERE digest IN {}", digests):
            claims.update(rows)
        dead = self.dead(set(claims.values()) - {owner.id})
        self._connection.executemany("DELETE FROM claims WHERE owner IS ?", [(other,) for other in dead])
        return {digest for digest, other in claims.items() if other != owner.id and other not in dead}

    def dead(self, owners: Iterable[Any], *, clear: bool = True) -> set[Any]:
        """Return those of some owners who are not alive; a damaged id counts as dead."""
        return {o for o in owners if not (isinstance(o, bytes) and is_alive(self.directory, o, clear=clear))}

    def write(self, identity: str, digests: Sequence[bytes], blobs: Sequence[bytes]) -> None:
        """Write vectors and release the claims on their inputs, in one transaction.

        Parameters
        ----------
        identity : str
            What, besides the input, the vectors depend on.
        digests : sequence of bytes, length n
            Keys of the inputs.
        blobs : sequence of bytes, length n
            Their vectors, little-endian float32.
        """
        now = int(time.time())
        with self.transaction():
            self.execute("INSERT OR IGNORE INTO spaces (identity) VALUES (?)", (identity,))
            space = self.value("SELECT id FROM spaces WHERE identity = ?", (identity,))
            rows = [(d, space, blob, _checksum(d, blob)) for d, blob in zip(digests, blobs, strict=True)]
            self._connection.executemany(_WRITE, rows)
            self.count("encoded", len(rows))
            self.run_blocks(_ENTER, digests, (space, now, now))
            self.run_blocks("DELETE FROM claims WHERE digest IN {}", digests)

    def release(self, owner: bytes) -> None:
        """Release all claims of `owner`."""
        with self.transaction():
            self.execute("DELETE FROM claims WHERE owner = ?", (owner,))
            self.execute("DELETE FROM running WHERE owner = ?", (owner,))

    def count(self, name: str, number: int) -> None:
        """Add to one of the counters, which never decrease."""
        self.execute("UPDATE counters SET value = CAST(value AS INTEGER) + ? WHERE name = ?", (number, name))

    def totals(self) -> tuple[int, ...]:
        """Count vectors stored, vectors ever written, vectors removed, encoders, and open claims."""
        return self.execute(
            "SELECT (SELECT count(*) FROM uses), "
            "(SELECT coalesce(sum(CAST(value AS INTEGER)), 0) FROM counters WHERE name = 'encoded'), "
            "(SELECT coalesce(sum(CAST(value AS INTEGER)), 0) FROM counters WHERE name = 'removed'), "
            "(SELECT count(*) FROM spaces), (SELECT count(*) FROM claims)"
        ).fetchone()

    def file_bytes(self) -> int:
        """Return the bytes of the file, once its journal has been copied into it."""
        return self.value("PRAGMA page_count") * self.value("PRAGMA page_size")

    def used_bytes(self) -> int:
        """Return the bytes of the file that are in use; the rest is free for new vectors."""
        return self.file_bytes() - self.value("PRAGMA freelist_count") * self.value("PRAGMA page_size")
