"""The tables of a store, and the way from an older version to the present one."""

import time

APPLICATION = 0x534B4C4D  # marks our files among all SQLite files
VERSION = 2
_PAGE_SIZE = 8192

# `vectors` is read for its vectors only. All that upkeep asks for is in `uses`, which is a hundredth of its size:
# counting, ageing and choosing what goes never reads a vector.
_ADDED_IN_2 = """
    CREATE TABLE uses (
        id INTEGER PRIMARY KEY,    -- of the row in vectors
        space INTEGER NOT NULL,
        bytes INTEGER NOT NULL,    -- of the vector
        serial INTEGER NOT NULL,   -- counter `encoded` when it was written: an order that no clock can disturb
        written INTEGER NOT NULL,  -- seconds since 1970
        used INTEGER NOT NULL      -- the same, an hour late at most
    );
    CREATE TABLE running (owner BLOB PRIMARY KEY, since INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
"""
_CREATE = f"""
    PRAGMA page_size = {_PAGE_SIZE};
    PRAGMA auto_vacuum = INCREMENTAL;
    PRAGMA journal_mode = WAL;
    BEGIN IMMEDIATE;
    CREATE TABLE spaces (id INTEGER PRIMARY KEY, identity TEXT NOT NULL UNIQUE);
    CREATE TABLE vectors (
        id INTEGER PRIMARY KEY,
        digest BLOB NOT NULL UNIQUE,
        space INTEGER NOT NULL,
        vector BLOB NOT NULL,
        checksum BLOB NOT NULL
    );
    CREATE TABLE claims (digest BLOB PRIMARY KEY, owner BLOB NOT NULL) WITHOUT ROWID;
    {_ADDED_IN_2}
    INSERT INTO counters VALUES ('encoded', 0), ('removed', 0);
    PRAGMA application_id = {APPLICATION};
    PRAGMA user_version = {VERSION};
    COMMIT;
"""  # noqa: S608 - put together from constants
# version 1 counted encodings per row, in a column of vectors that stays there, unread; nobody knows when its vectors
# were written or used, so they count as used now
_FROM_1_TO_2 = """
    BEGIN IMMEDIATE;
    {added}
    INSERT INTO uses SELECT id, space, length(vector), 0, {now}, {now} FROM vectors;
    INSERT INTO counters SELECT 'encoded', coalesce(sum(encoded), 0) FROM vectors;
    INSERT INTO counters VALUES ('removed', 0);
    PRAGMA user_version = 2;
    COMMIT;
"""


def prepare(connection):
    """Make the tables in an empty file, or bring those of an older version up to date, all of it or nothing.

    Parameters
    ----------
    connection : sqlite3.Connection
        In autocommit mode; nobody else prepares the same file meanwhile.

    Returns
    -------
    tuple of int or None
        Application and version of a file that is not ours, or newer than this code; None if it can be used.
    """
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application == 0 and not connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
        connection.executescript(_CREATE)
    elif (application, version) == (APPLICATION, 1):
        connection.executescript(_FROM_1_TO_2.format(added=_ADDED_IN_2, now=int(time.time())))
    elif (application, version) != (APPLICATION, VERSION):
        return application, version
    return None
