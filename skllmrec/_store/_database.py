"""The SQLite file of an embedding store: rows with checksums, and claims on texts being encoded."""

import hashlib
import os
import sqlite3
import uuid
import warnings
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from skllmrec._store._locks import exclusive, is_alive
from skllmrec.exceptions import StoreError, StoreWarning

FILE = "embeddings.sqlite"
_APPLICATION = 0x534B4C4D  # marks our files among all SQLite files
_VERSION = 1
_BUSY_TIMEOUT = 60.0  # seconds; transactions take milliseconds
_CHUNK = 8192  # digests in one query
_SCHEMA = f"""
    PRAGMA journal_mode = WAL;
    BEGIN IMMEDIATE;
    CREATE TABLE IF NOT EXISTS spaces (id INTEGER PRIMARY KEY, identity TEXT NOT NULL UNIQUE);
    CREATE TABLE IF NOT EXISTS vectors (
        id INTEGER PRIMARY KEY,
        digest BLOB NOT NULL UNIQUE,
        space INTEGER NOT NULL,
        vector BLOB NOT NULL,
        checksum BLOB NOT NULL,
        encoded INTEGER NOT NULL DEFAULT 1
    );
    CREATE TABLE IF NOT EXISTS claims (digest BLOB PRIMARY KEY, owner BLOB NOT NULL) WITHOUT ROWID;
    PRAGMA application_id = {_APPLICATION};
    PRAGMA user_version = {_VERSION};
    COMMIT;
"""
_WRITE = """
    INSERT INTO vectors (digest, space, vector, checksum) VALUES (?, ?, ?, ?)
    ON CONFLICT (digest) DO UPDATE
    SET space = excluded.space, vector = excluded.vector, checksum = excluded.checksum, encoded = encoded + 1
"""
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}  # our SQL is right, so the file is not
# a message of SQLite may quote damaged bytes, which Python then fails to read
TROUBLE = sqlite3.DatabaseError, UnicodeDecodeError


def is_damage(error):
    """Whether an error of SQLite means that the file is no (sound) database."""
    return isinstance(error, UnicodeDecodeError) or (getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF in _DAMAGE


def _checksum(digest, vector):
    """Tie a vector to its text: also a sound row under the wrong text is found out."""
    return hashlib.sha256(digest + vector).digest()[:8]


class Database:
    """One connection to the file of a store, for one thread.

    Parameters
    ----------
    directory : Path
        Directory of the store; created if missing.

    Raises
    ------
    StoreError
        If the directory cannot be made or written, or the file belongs to another program or version.

    Warns
    -----
    StoreWarning
        If the file is damaged: it is set aside, and a new one is started.
    """

    def __init__(self, directory):
        self.directory = Path(directory)
        self.path = self.directory / FILE
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            with self._alone():
                try:
                    self._connect()
                except TROUBLE as error:
                    if not is_damage(error):
                        raise
                    self._rename(error)
                    self._connect()
        except (OSError, *TROUBLE) as error:
            raise StoreError(
                f"the embedding store memory={str(self.directory)!r} cannot be used ({error}): choose a directory on "
                "a local disk with free space that you may write to, or memory=None to encode without a store"
            ) from error

    def _alone(self):
        """Nobody else opens or renames the file meanwhile."""
        return exclusive(self.directory / "lock")

    def _connect(self):
        self._connection = sqlite3.connect(self.path, timeout=_BUSY_TIMEOUT, isolation_level=None)
        try:
            self._open()
            self._inode = os.stat(self.path).st_ino
        except BaseException:
            self._connection.close()
            raise

    def _open(self):
        self._connection.text_factory = bytes  # damaged text must not fail to decode: checksums decide
        (application,) = self._execute("PRAGMA application_id").fetchone()
        (version,) = self._execute("PRAGMA user_version").fetchone()
        if application == 0 and not self._execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
            self._execute("PRAGMA page_size = 8192")
            self._connection.executescript(_SCHEMA)
        elif (application, version) != (_APPLICATION, _VERSION):
            raise StoreError(
                f"{self.path} is a database of another program or version (application {application}, version "
                f"{version}; expected {_APPLICATION}, {_VERSION}): give memory= another directory, or delete the file"
            )
        # a killed process loses nothing; a power failure at most the last transactions, never the file
        self._execute("PRAGMA synchronous = NORMAL")

    def _execute(self, sql, parameters=()):
        return self._connection.execute(sql, parameters)

    def close(self):
        """Close the connection."""
        self._connection.close()

    def set_aside(self, error):
        """Close the connection and rename the file, in which `error` showed damage, so that a new one is started."""
        self.close()
        with self._alone():
            if self.path.exists() and os.stat(self.path).st_ino == self._inode:  # else somebody has done it already
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
    def _transaction(self):
        self._execute("BEGIN IMMEDIATE")
        try:
            yield
            self._execute("COMMIT")
        finally:
            if self._connection.in_transaction:
                self._execute("ROLLBACK")

    def _select(self, columns_from, digests):
        """Rows of a table for some digests, in blocks that fit into one query."""
        block = min(_CHUNK, self._connection.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER))
        for start in range(0, len(digests), block):
            part = digests[start : start + block]
            marks = ",".join("?" * len(part))
            yield self._execute(f"SELECT {columns_from} WHERE digest IN ({marks})", part).fetchall()

    def read(self, positions, vectors):
        """Read the vectors of some texts.

        Parameters
        ----------
        positions : dict of bytes to int
            Digest of each text, and the row of `vectors` that is its place.
        vectors : ndarray of shape (n, n_dims), dtype float32
            Receives the vectors.

        Returns
        -------
        set of bytes
            Digests that were found; damaged rows count as not found.
        """
        found = set()
        n_bytes = 4 * vectors.shape[1]
        for rows in self._select("digest, vector, checksum FROM vectors", list(positions)):
            sound = [
                (digest, vector)
                for digest, vector, checksum in rows
                if digest in positions
                and isinstance(vector, bytes)
                and len(vector) == n_bytes
                and checksum == _checksum(digest, vector)
            ]
            places = [positions[digest] for digest, _ in sound]
            values = np.frombuffer(b"".join([vector for _, vector in sound]), dtype="<f4")
            vectors[places] = values.reshape(len(sound), -1) if sound else 0.0
            found.update(digest for digest, _ in sound)
        return found

    def take(self, positions, vectors, owner):
        """Read what is there and claim what nobody is encoding, in one step.

        Parameters
        ----------
        positions, vectors
            As for `read`.
        owner : Owner
            Who claims.

        Returns
        -------
        found : set of bytes
            Digests whose vectors have been read.
        claimed : set of bytes
            Digests that are now `owner`'s to encode. The others are being encoded by somebody who is alive.
        """
        with self._transaction():
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
        """Digests that others who are alive have claimed; claims of the dead are deleted."""
        claims = {}
        for rows in self._select("digest, owner FROM claims", digests):
            claims.update(rows)
        dead = {
            other
            for other in set(claims.values()) - {owner.id}
            if not (isinstance(other, bytes) and is_alive(self.directory, other))
        }
        self._connection.executemany("DELETE FROM claims WHERE owner IS ?", [(other,) for other in dead])
        return {digest for digest, other in claims.items() if other != owner.id and other not in dead}

    def write(self, identity, digests, vectors):
        """Write vectors and give up the claims on their texts, all of it or nothing.

        Parameters
        ----------
        identity : str
            What, besides the text, the vectors depend on.
        digests : sequence of bytes, length n
            The texts.
        vectors : ndarray of shape (n, n_dims), dtype float32
            Their vectors.
        """
        blobs = [vector.tobytes() for vector in np.ascontiguousarray(vectors, dtype="<f4")]
        with self._transaction():
            self._execute("INSERT OR IGNORE INTO spaces (identity) VALUES (?)", (identity,))
            (space,) = self._execute("SELECT id FROM spaces WHERE identity = ?", (identity,)).fetchone()
            rows = [(d, space, blob, _checksum(d, blob)) for d, blob in zip(digests, blobs, strict=True)]
            self._connection.executemany(_WRITE, rows)
            self._connection.executemany("DELETE FROM claims WHERE digest = ?", [(digest,) for digest in digests])

    def release(self, owner):
        """Give up all claims of `owner`."""
        with self._transaction():
            self._execute("DELETE FROM claims WHERE owner = ?", (owner.id,))

    def count(self):
        """Numbers of texts stored, of encodings ever written, of encoders, and of open claims."""
        return self._execute(
            "SELECT count(*), coalesce(sum(encoded), 0), (SELECT count(*) FROM spaces), "
            "(SELECT count(*) FROM claims) FROM vectors"
        ).fetchone()
