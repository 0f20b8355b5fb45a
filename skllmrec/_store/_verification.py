"""Checks of a store and their repair."""

import json
import sqlite3
import warnings
from contextlib import closing, suppress
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import Any

from skllmrec._store._database import FILE, TROUBLE, Database, is_damage, is_sound
from skllmrec._store._locks import owners_folder
from skllmrec._store._schema import VERSION
from skllmrec.exceptions import StoreError, StoreWarning

_BATCH = 1000  # rows checked in one query
_FURTHEST = 2**40  # largest number of rows that are skipped


def check_file(database: Database) -> str | None:
    """Return what SQLite finds wrong with the structure of the file; None if nothing."""
    try:
        message = database.value("PRAGMA integrity_check(1)")
    except TROUBLE as error:
        return str(error)
    message = message.decode(errors="replace") if isinstance(message, bytes) else str(message)
    return None if message == "ok" else message


def _unsound(rows):
    return [row for row, *content in rows if not is_sound(*content)]


def check_rows(database: Database, *, repair: bool) -> tuple[int, int]:
    """Compare every vector with its checksum.

    Parameters
    ----------
    database : Database
        Its file is sound.
    repair : bool
        Delete damaged rows, which are then encoded again when they are wanted.

    Returns
    -------
    sound, damaged : int
        Numbers of rows.
    """
    start, sound, damaged = -(2**63), 0, 0
    query = "SELECT id, digest, vector, checksum FROM vectors WHERE id >= ? ORDER BY id LIMIT ?"
    while rows := database.execute(query, (start, _BATCH)).fetchall():
        bad = _unsound(rows)
        damaged += len(bad)
        sound += len(rows) - len(bad)
        if repair and bad:
            with database.transaction():  # another process may have written them anew meanwhile
                again = "SELECT id, digest, vector, checksum FROM vectors WHERE id IN {}"
                bad = [row for rows in database.each_block(again, bad) for row in _unsound(rows)]
                database.run_blocks("DELETE FROM vectors WHERE id IN {}", bad)
                database.run_blocks("DELETE FROM uses WHERE id IN {}", bad)
        if rows[-1][0] == 2**63 - 1:
            break
        start = rows[-1][0] + 1
    return sound, damaged


def check_uses(database: Database, *, repair: bool) -> int:
    """Count vectors without a record of their use, and records without a vector; with `repair`, correct them."""
    missing = "FROM vectors WHERE id NOT IN (SELECT id FROM uses)"
    surplus = "FROM uses WHERE id NOT IN (SELECT id FROM vectors)"
    n_wrong = sum(database.value(f"SELECT count(*) {rows}") for rows in (missing, surplus))
    if repair and n_wrong:
        with database.transaction():
            database.execute(f"DELETE {surplus}")
            database.execute(f"INSERT INTO uses SELECT id, space, length(vector), 0, 0, 0 {missing}")
    return n_wrong


def check_owners(database: Database, *, repair: bool) -> tuple[int, int]:
    """Count claims and files of processes that have died.

    Parameters
    ----------
    database : Database
    repair : bool
        Delete them. They block no other process.

    Returns
    -------
    claims, owners : int
        Numbers of claims, and of files.
    """
    claims = dict(database.execute("SELECT owner, count(*) FROM claims GROUP BY owner").fetchall())
    running = [owner for (owner,) in database.execute("SELECT owner FROM running").fetchall()]
    files = set()
    with suppress(FileNotFoundError):
        for path in owners_folder(database.directory).iterdir():
            with suppress(ValueError):  # not a file of an owner
                files.add(bytes.fromhex(path.name))
    dead = database.dead({*claims, *running, *files}, clear=repair)
    if repair and dead:
        with database.transaction():
            for table in ("claims", "running"):
                database.run_blocks(f"DELETE FROM {table} WHERE owner IN {{}}", list(dead))  # noqa: S608 - ours
    return sum(claims.get(owner, 0) for owner in dead), len(files & dead)


def list_set_aside(directory: Path) -> list[Path]:
    """List damaged files that have been set aside, without their journals."""
    return sorted(path for path in directory.glob(f"{FILE}.damaged-????????") if path.is_file())


def _readable(connection):
    """Rows of a damaged file that can be read, before and behind its damaged parts."""
    start, skip = 0, 1
    # rowid, not id: the definition of the table may be what is damaged
    query = "SELECT rowid, digest, vector, checksum, space FROM vectors WHERE rowid >= ? ORDER BY rowid"
    while start < _FURTHEST and skip < _FURTHEST:
        try:
            for row in connection.execute(query, (start,)):
                if row[0] >= start:  # where pages are mixed up, rows may come in any order
                    yield row
                    start, skip = row[0] + 1, 1
            return
        except TROUBLE:
            start, skip = start + skip, 2 * skip


def _identities(connection):
    """Identity of every encoder of a damaged file that can be read."""
    identities = {}
    with suppress(*TROUBLE):
        for space, identity in connection.execute("SELECT id, identity FROM spaces"):
            with suppress(ValueError, AttributeError, TypeError):  # damaged
                json.loads(identity)
                identities[space] = identity.decode()
    return identities


def salvage(path: Path, database: Database) -> int:
    """Copy the sound vectors of a damaged file into a store, and delete the file.

    A row is copied if its checksum is correct, so that no wrong vector is among them.

    Parameters
    ----------
    path : Path
        A file that was set aside.
    database : Database

    Returns
    -------
    int
        Number of vectors copied.
    """
    n_rows = 0
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.text_factory = bytes
        identities = _identities(connection)
        sound = (row for row in _readable(connection) if row[-1] in identities and is_sound(*row[1:-1]))
        for space, rows in groupby(sound, key=itemgetter(-1)):
            while block := [(digest, vector) for _, digest, vector, *_ in islice(rows, _BATCH)]:
                database.write(identities[space], *zip(*block, strict=True))
                n_rows += len(block)
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()
    return n_rows


def _open(directory, *, repair, readonly):
    """Open a file and check its structure; with `repair`, a damaged one is set aside and a new one is made.

    Returns
    -------
    database : Database or None
        None if the file is damaged and stays so.
    trouble : str or None
        What is wrong with the structure.
    """
    try:
        database = Database(directory, replace=False, readonly=readonly)
    except StoreError as error:
        if error.__cause__ is None or not is_damage(error.__cause__):
            raise
        database, trouble = None, error.__cause__
    else:
        if database.readonly:
            _check_can_verify(database, repair=repair)
        trouble = check_file(database)
    if not trouble:
        return database, None
    if database is not None:
        if repair:
            database.set_aside(trouble)
        database.close()
    return Database(directory) if repair else None, str(trouble)


def _check_can_verify(database, *, repair):
    """Close a file that can only be read, and raise an error, if it should be repaired or is of an older version."""
    if not repair and database.version == VERSION:
        return
    database.close()
    reason = database.obstacle or "readonly=True"
    problem = f"can only be read ({reason})" if repair else "was made by an older version of skllmrec"
    raise StoreError(
        f"the embedding store {database.directory} {problem}: open it where it can be written, without readonly=True"
    )


def verify(directory: Path, *, repair: bool, readonly: bool = False) -> dict[str, Any]:
    """Check a store: the structure of its file, its vectors, and what processes that died have left.

    Parameters
    ----------
    directory : Path
    repair : bool
    readonly : bool, default=False
        Write nothing.

    Returns
    -------
    dict
        See `EmbeddingStore.verify`.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StoreWarning)  # that a file is set aside is in the report
        database, trouble = _open(directory, repair=repair, readonly=readonly)
    report: dict[str, Any] = {"sound": 0, "damaged": 0, "file": trouble, "uses": 0, "dead_claims": 0, "dead_owners": 0}
    aside = list_set_aside(directory)
    report |= {"set_aside": [path.name for path in aside], "salvaged": 0}
    if database is None:
        return report
    with closing(database):
        if repair:
            report["salvaged"] = sum(salvage(path, database) for path in aside)
        report["sound"], report["damaged"] = check_rows(database, repair=repair)
        report["uses"] = check_uses(database, repair=repair)
        report["dead_claims"], report["dead_owners"] = check_owners(database, repair=repair)
    return report
