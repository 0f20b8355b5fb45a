"""The tables of a store, and the migration from an older version."""

import sqlite3
import time

from skllmrec._format import FORMATS

APPLICATION = 0x534B4C4D  # marks our files among all SQLite files
VERSION = FORMATS["store"]

_TABLES_1 = {
    "spaces": "CREATE TABLE spaces (id INTEGER PRIMARY KEY, identity TEXT NOT NULL UNIQUE)",
    "vectors": "CREATE TABLE vectors ( id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, space INTEGER NOT NULL, "
    "vector BLOB NOT NULL, checksum BLOB NOT NULL, encoded INTEGER NOT NULL DEFAULT 1 )",
    "claims": "CREATE TABLE claims (digest BLOB PRIMARY KEY, owner BLOB NOT NULL) WITHOUT ROWID",
}
# `vectors` is read for its vectors only. All that upkeep asks for is in `uses`, which is a hundredth of its size:
# counting, ageing and choosing what goes never reads a vector. Its columns: the id of a row in vectors; of an encoder
# in spaces; bytes of the vector; the counter `encoded` when it was written, an order that no clock can disturb; times
# of writing and of the last use, in seconds since 1970, the latter an hour late at most.
_NEW_IN_2 = {
    "uses": "CREATE TABLE uses (id INTEGER PRIMARY KEY, space INTEGER NOT NULL, bytes INTEGER NOT NULL, "
    "serial INTEGER NOT NULL, written INTEGER NOT NULL, used INTEGER NOT NULL)",
    "running": "CREATE TABLE running (owner BLOB PRIMARY KEY, since INTEGER NOT NULL) WITHOUT ROWID",
    "counters": "CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
}
_VECTORS_2 = _TABLES_1["vectors"].replace(", encoded INTEGER NOT NULL DEFAULT 1", "")
_TABLES = {**_TABLES_1, "vectors": _VECTORS_2, **_NEW_IN_2}
# version 1 counted encodings per row, in a column of vectors that stays there, unread; nobody knows when its vectors
# were written or used, so they count as used now
_FROM_1_TO_2 = """
    BEGIN IMMEDIATE;
    {tables};
    INSERT INTO uses SELECT id, space, length(vector), 0, {now}, {now} FROM vectors;
    INSERT INTO counters SELECT 'encoded', coalesce(sum(encoded), 0) FROM vectors;
    INSERT INTO counters VALUES ('removed', 0);
    PRAGMA user_version = 2;
    COMMIT;
"""
_CREATE = """
    PRAGMA page_size = 8192;
    PRAGMA auto_vacuum = INCREMENTAL;
    PRAGMA journal_mode = WAL;
    BEGIN IMMEDIATE;
    {tables};
    INSERT INTO counters VALUES ('encoded', 0), ('removed', 0);
    PRAGMA application_id = {application};
    PRAGMA user_version = {version};
    COMMIT;
"""


def damage(message: str) -> sqlite3.DatabaseError:
    """Make the error that SQLite raises on damage, for damage that it does not see."""
    error = sqlite3.DatabaseError(message)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


def prepare(connection: sqlite3.Connection, *, readonly: bool = False) -> tuple[int, int] | None:
    """Create the tables in an empty file, or migrate those of an older version, completely or not at all.

    Parameters
    ----------
    connection : sqlite3.Connection
        In autocommit mode, its text as bytes; nobody else prepares the same file meanwhile.
    readonly : bool, default=False
        Check the tables only; an empty file and the tables of an older version stay as they are.

    Returns
    -------
    tuple of int or None
        Application and version of a file of another program or of newer code; None if it can be used.

    Raises
    ------
    sqlite3.DatabaseError
        If the file is damaged.
    """
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    tables = dict(connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'table'").fetchall())
    is_empty = application == 0 and not tables
    if not is_empty and (application != APPLICATION or version not in (1, VERSION)):
        return application, version
    if not is_empty:
        _check(tables, _TABLES_1 if version == 1 else _TABLES)
    if readonly:
        return None
    if is_empty:
        statements = ";\n".join(_TABLES.values())
        connection.executescript(_CREATE.format(tables=statements, application=APPLICATION, version=VERSION))
    elif version == 1:
        statements = ";\n".join(_NEW_IN_2.values())
        connection.executescript(_FROM_1_TO_2.format(tables=statements, now=int(time.time())))
    return None


def _check(tables, expected):
    """Find damage in the definition of a table, under which sound rows would be read as something else."""
    for name, statement in expected.items():
        found = " ".join(str(tables.get(name.encode()) or b"", errors="replace").split())
        if found not in (statement, _TABLES_1.get(name)):
            raise damage(f"the definition of its table {name} is not as it was made")
