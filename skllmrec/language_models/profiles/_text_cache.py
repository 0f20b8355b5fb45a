"""A cache on disk of the answers of a model."""

import hashlib
import json
import sqlite3
import warnings
from collections.abc import Iterable
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from skllmrec import _typing
from skllmrec._format import FORMATS, check_format
from skllmrec._store._database import find_obstacle, is_damage, is_refusal, uris_to_read
from skllmrec.exceptions import StorageError, StoreError, StoreWarning

_FILE = "profiles.sqlite"
_APPLICATION = 0x736B7077  # "skpw": marks the database as one of this class
_TIMEOUT = 60.0  # seconds to wait for another process
_SCHEMA = "CREATE TABLE IF NOT EXISTS texts (digest BLOB PRIMARY KEY, value TEXT NOT NULL, checksum BLOB NOT NULL)"


class TextCache:
    """Values of texts in a directory, shared by processes.

    The key of a value is the SHA-256 of the text and of all that the value depends on. Each value has a checksum; a
    damaged value counts as absent. Written values survive the end of the process at any moment.

    Parameters
    ----------
    directory : path-like
        Created on first use.
    identity : dict
        JSON values that the cached values depend on.
    readonly : bool, default=False
        Write nothing: `write` does nothing, and the file is opened to read only.

    Examples
    --------
    >>> import tempfile
    >>> from skllmrec.language_models.profiles._text_cache import TextCache
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     TextCache(folder, {"model": "a"}).write({"Heat": {"answer": "A thriller."}})
    ...     TextCache(folder, {"model": "a"}).read(["Heat", "Alien"]), TextCache(folder, {"model": "b"}).read(["Heat"])
    ({'Heat': {'answer': 'A thriller.'}}, {})
    """

    def __init__(self, directory: _typing.Path, identity: dict[str, Any], *, readonly: bool = False) -> None:
        self._path = Path(directory).expanduser() / _FILE
        self._readonly = readonly
        self._prefix = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).digest()

    def read(self, texts: Iterable[str]) -> dict[str, Any]:
        """Find the values of texts.

        Parameters
        ----------
        texts : iterable of str

        Returns
        -------
        dict of str to object
            Values of the texts that have one.

        Raises
        ------
        StoreError
            If the directory cannot be used, or is to be read only and has no cache.
        FileVersionError
            If a newer version of the package wrote the file.
        """
        found = {}
        with self._open_to_read() if self._readonly or find_obstacle(self._path) else self._open() as connection:
            for text in texts:
                digest = self._digest(text)
                row = connection.execute("SELECT value, checksum FROM texts WHERE digest = ?", (digest,)).fetchone()
                if row is not None and row[1] == _checksum(digest, row[0]):
                    found[text] = json.loads(row[0])
        return found

    def check_can_write(self) -> None:
        """Raise a StoreError if values could not be stored, to be called before anything is paid for."""
        obstacle = None if self._readonly else find_obstacle(self._path)
        if obstacle is not None:
            raise StoreError(
                f"the texts in memory={str(self._path.parent)!r} can only be read ({obstacle}), and some are missing: "
                "make the folder writable, give memory= another one, or pass "
                f"memory=EmbeddingStore({str(self._path.parent)!r}, readonly=True), which keeps no new ones"
            )

    def write(self, values: dict[str, Any]) -> None:
        """Store values, all of them or none.

        Parameters
        ----------
        values : dict of str to object
            Text -> anything that json can write.

        Raises
        ------
        StoreError
            If the directory cannot be used.
        """
        if self._readonly:
            return
        rows = []
        for text, value in values.items():
            digest, written = self._digest(text), json.dumps(value).encode()
            rows.append((digest, written, _checksum(digest, written)))
        with self._open() as connection, connection:
            connection.executemany("INSERT OR REPLACE INTO texts VALUES (?, ?, ?)", rows)

    def _digest(self, text):
        return hashlib.sha256(self._prefix + text.encode()).digest()

    @contextmanager
    def _open(self):
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            try:
                connection = self._connect()
            except sqlite3.DatabaseError as error:
                if not is_damage(error):
                    raise
                self._set_aside(error)
                connection = self._connect()
            with closing(connection):
                yield connection
        except StorageError:  # an OSError that names the remedy already
            raise
        except (OSError, sqlite3.Error) as error:
            raise StoreError(
                f"the texts in memory={str(self._path.parent)!r} cannot be read or written ({error}): choose a "
                "directory on a local disk that you may write to, or memory=None"
            ) from error

    @contextmanager
    def _open_to_read(self):
        """Open the file without writing anything."""
        if not self._path.is_file():
            raise StoreError(f"there are no texts to read in {self._path.parent}: it has no file {_FILE}")
        try:
            with closing(self._connect_to_read()) as connection:
                yield connection
        except sqlite3.Error as error:
            raise StoreError(f"the texts in {self._path.parent} cannot be read ({error})") from error

    def _connect_to_read(self):
        *others, last = uris_to_read(self._path)
        for uri in others:
            try:
                return self._connect(uri)
            except sqlite3.OperationalError as error:
                if not is_refusal(error):
                    raise
        return self._connect(last)

    def _connect(self, uri=None):
        """Connect to the file, or to a URI of SQLite that names it, under which no tables are made."""
        connection = sqlite3.connect(uri or self._path, timeout=_TIMEOUT, uri=uri is not None)
        try:
            connection.text_factory = bytes
            (application,) = connection.execute("PRAGMA application_id").fetchone()
            (n_tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            if n_tables and application != _APPLICATION:
                raise StoreError(f"{self._path} is a database of another program: give memory= another directory")
            if n_tables:
                (version,) = connection.execute("PRAGMA user_version").fetchone()
                check_format("profiles", version or 1, self._path)  # files of format 1 name none
            elif uri is None:  # readers never wait for a writer
                connection.execute("PRAGMA journal_mode = WAL").fetchone()
                connection.execute(f"PRAGMA application_id = {_APPLICATION}")
                connection.execute(f"PRAGMA user_version = {FORMATS['profiles']}")
                connection.execute(_SCHEMA)
        except BaseException:
            connection.close()
            raise
        return connection

    def _set_aside(self, error):
        aside = self._path.with_suffix(".damaged")
        self._path.replace(aside)
        for ending in ("-wal", "-shm"):
            self._path.with_name(self._path.name + ending).unlink(missing_ok=True)
        warnings.warn(
            f"{self._path} is damaged ({error}): it was renamed to {aside.name}, and its texts are written anew",
            StoreWarning,
            stacklevel=2,
        )


def _checksum(digest, value):
    return hashlib.sha256(digest + value).digest()[:8]
