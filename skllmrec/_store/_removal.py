"""Removal from a store: the least recently used vectors when it is too large, and what its owner prunes."""

import math
import sqlite3
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skllmrec._store._database import Database

_BATCH = 2000  # rows deleted in one transaction: others who write wait no longer
_SLACK = 0.9  # evict down to this part of the limit, so that not every call evicts
_LEAST_SHARE = 0.1  # of vectors in a file; less means damaged numbers
_LOOK = 200_000  # candidates in memory
_STEP = 1000  # pages given back in one transaction
_SPARED = "serial <= coalesce((SELECT min(since) FROM running), serial)"


def _delete(database, rows, newest):
    """Delete rows that are still what they were when they were chosen; returns their number."""
    n_deleted = 0
    for start in range(0, len(rows), _BATCH):
        part = rows[start : start + _BATCH]
        with database.transaction():
            # a new vector may have the id meanwhile: its serial is then larger
            same = "SELECT id FROM uses WHERE CAST(serial AS INTEGER) <= ? AND id IN {}"
            part = [row for found in database.each_block(same, part, (newest,)) for (row,) in found]
            database.run_blocks("DELETE FROM vectors WHERE id IN {}", part)
            database.run_blocks("DELETE FROM uses WHERE id IN {}", part)
            database.count("removed", len(part))
        n_deleted += len(part)
    return n_deleted


def _oldest(database, n_bytes, condition, parameters=(), *, look=_LOOK):
    """Choose the least recently used rows.

    Parameters
    ----------
    database : Database
    n_bytes : float
        Stop when their vectors are as many bytes as this.
    condition : str
        SQL, which rows may be chosen.
    parameters : tuple, default=()
        For it.
    look : int, default=200_000
        Most to choose; -1 for any number.

    Returns
    -------
    rows : list of int
    newest : int
        Highest serial among them.
    size : int
        Bytes of their vectors.
    """
    rows, newest, size = [], 0, 0
    # a time in the future is no sign of use; of equals, neighbours in the file go together
    cursor = database.execute(
        f"SELECT id, CAST(bytes AS INTEGER), CAST(serial AS INTEGER) FROM uses WHERE {condition} "  # noqa: S608 - ours
        "ORDER BY min(used, ?), id LIMIT ?",
        (*parameters, int(time.time()), look),
    )
    for row, length, serial in cursor.fetchall():
        if size >= n_bytes:
            break
        rows.append(row)
        newest = max(newest, serial)
        size += length
    return rows, newest, size


def _excess(database, max_bytes):
    """Bytes of vectors that have to go until the file holds no more than some bytes, at their share of it."""
    used = database.used_bytes()
    vectors = database.value("SELECT total(CAST(bytes AS INTEGER)) FROM uses")
    return (used - max_bytes) * max(min(vectors / used, 1.0), _LEAST_SHARE)


def _running(database):
    """Forget the calls of dead owners, so that the rest are those that run."""
    owners = [owner for (owner,) in database.execute("SELECT owner FROM running").fetchall()]
    dead = database.dead(owners)
    if dead:
        with database.transaction():
            database.run_blocks("DELETE FROM running WHERE owner IN {}", list(dead))


def _remove(database, condition, parameters, *, goal=None, dry_run=False):
    """Delete rows, least recently used first, until the file holds no more than `goal`: their number and bytes."""
    _running(database)
    condition = f"{_SPARED} AND {condition}"
    removed = total = 0
    while (excess := math.inf if goal is None else _excess(database, goal)) > 0:
        rows, newest, size = _oldest(database, excess, condition, parameters, look=-1 if dry_run else _LOOK)
        number = len(rows) if dry_run else _delete(database, rows, newest)
        removed, total = removed + number, total + size
        if dry_run or not number:
            break
    return removed, total


def evict(database: "Database", max_bytes: int) -> None:
    """Delete the least recently used vectors of a file that has grown beyond a limit, and shrink it.

    What has been written since the start of a call that still runs, in any process, stays: it may be waited for.

    Parameters
    ----------
    database : Database
    max_bytes : int
    """
    if database.used_bytes() > max_bytes:
        _remove(database, "1", (), goal=int(_SLACK * max_bytes))
    shrink(database, max_bytes)


def shrink(database: "Database", max_bytes: int) -> None:
    """Return empty pages beyond a limit to the disk; below it they are used for new vectors."""
    over = database.value("PRAGMA page_count") - max_bytes // database.value("PRAGMA page_size")
    over = min(over, database.value("PRAGMA freelist_count"))
    if over <= 0:
        return
    if database.value("PRAGMA auto_vacuum") == 2:  # incremental
        for start in range(0, over, _STEP):
            database.execute_whole(f"PRAGMA incremental_vacuum({min(_STEP, over - start)})")
    else:  # a file of version 1 has to be written anew for that, once
        database.execute("PRAGMA auto_vacuum = 2")
        with suppress(sqlite3.OperationalError):  # no room for the copy: the empty pages stay room for new vectors
            database.execute("VACUUM")
    database.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


def prune(
    database: "Database",
    *,
    cutoff: float | None = None,
    space: int | None = None,
    max_bytes: int | None = None,
    dry_run: bool = False,
) -> tuple[int, int]:
    """Delete the vectors that meet all conditions, least recently used first.

    Parameters
    ----------
    database : Database
    cutoff : int or None
        Only what was last used before this time.
    space : int or None
        Only those of one encoder, by its number in the file.
    max_bytes : int or None
        Only as many as it takes until the file holds no more than this.
    dry_run : bool
        Only count.

    Returns
    -------
    removed : int
        Number of vectors.
    size : int
        Their bytes.
    """
    limits: dict[str, Any] = {"used < ?": cutoff, "space = ?": space}
    conditions = {condition: value for condition, value in limits.items() if value is not None}
    condition = " AND ".join(["1", *conditions])
    removed, size = _remove(database, condition, tuple(conditions.values()), goal=max_bytes, dry_run=dry_run)
    if not dry_run:
        with database.transaction():
            database.execute("DELETE FROM spaces WHERE id NOT IN (SELECT space FROM uses)")
        shrink(database, 0)
    return removed, size
