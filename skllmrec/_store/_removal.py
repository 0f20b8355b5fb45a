"""What goes from a store: the least recently used when it is too large, and what its owner prunes."""

import math
import shutil
import time
from contextlib import suppress

from skllmrec._store._inspection import MODELS, list_models

_BATCH = 2000  # rows deleted in one transaction: others who write wait no longer
_OVERHEAD = 120  # bytes of a row besides its vector, roughly
_SLACK = 0.9  # evict down to this part of the limit, so that not every call evicts
_LOOK = 200_000  # candidates in memory
_STEP = 1000  # pages given back in one transaction
_SPARED = "serial <= coalesce((SELECT min(since) FROM running), serial)"


def _delete(database, rows, newest):
    """Delete rows that are still what they were when they were chosen; returns their number."""
    n_deleted = 0
    for start in range(0, len(rows), _BATCH):
        part = rows[start : start + _BATCH]
        with database.transaction():
            # a number may have gone to a new vector meanwhile: its serial tells
            same = "SELECT id FROM uses WHERE serial <= ? AND id IN {}"
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
    n_bytes : int
        Stop when they are as many bytes as this.
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
    rows, newest, size, room = [], 0, 0, 0
    cursor = database.execute(  # a time in the future is no sign of use; of equals, neighbours in the file go together
        f"SELECT id, bytes, serial FROM uses WHERE {condition} ORDER BY min(used, ?), id LIMIT ?",  # noqa: S608 - ours
        (*parameters, int(time.time()), look),
    )
    for row, length, serial in cursor.fetchall():
        if room >= n_bytes:
            break
        rows.append(row)
        newest = max(newest, serial)
        size += length
        room += length + _OVERHEAD
    return rows, newest, size


def _running(database):
    """Forget the calls of dead owners, so that the rest are those that run."""
    owners = [owner for (owner,) in database.execute("SELECT owner FROM running").fetchall()]
    dead = database.dead(owners)
    if dead:
        with database.transaction():
            database.run_blocks("DELETE FROM running WHERE owner IN {}", list(dead))


def evict(database, max_bytes, *, slack=_SLACK):
    """Delete the least recently used vectors of a file that has grown beyond a limit.

    What has been written since the start of a call that still runs, in any process, stays: it may be waited for.

    Parameters
    ----------
    database : Database
    max_bytes : int
    slack : float, default=0.9
        Part of the limit to go down to.

    Returns
    -------
    removed : int
        Number of vectors.
    size : int
        Their bytes.
    """
    removed = total = 0
    if database.used_bytes() > max_bytes:
        _running(database)
        while (excess := database.used_bytes() - int(slack * max_bytes)) > 0:
            rows, newest, size = _oldest(database, excess, _SPARED)
            if not rows:
                break
            removed += _delete(database, rows, newest)
            total += size
    shrink(database, max_bytes)
    return removed, total


def shrink(database, max_bytes):
    """Give empty pages beyond a limit back to the disk; below it they are room for new vectors."""
    over = database.value("PRAGMA page_count") - max_bytes // database.value("PRAGMA page_size")
    over = min(over, database.value("PRAGMA freelist_count"))
    if over <= 0:
        return
    if database.value("PRAGMA auto_vacuum") == 2:  # incremental
        for start in range(0, over, _STEP):
            database.execute(f"PRAGMA incremental_vacuum({min(_STEP, over - start)})").fetchall()
    else:  # a file of version 1 has to be written anew for that, once
        database.execute("PRAGMA auto_vacuum = 2")
        database.execute("VACUUM")
    database.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


def prune(database, *, cutoff=None, space=None, max_bytes=None, dry_run=False):
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
    _running(database)
    conditions, parameters = [_SPARED], ()
    if cutoff is not None:
        conditions.append("used < ?")
        parameters += (cutoff,)
    if space is not None:
        conditions.append("space = ?")
        parameters += (space,)
    condition, removed, total = " AND ".join(conditions), 0, 0
    while (excess := math.inf if max_bytes is None else database.used_bytes() - max_bytes) > 0:
        rows, newest, size = _oldest(database, excess, condition, parameters, look=-1 if dry_run else _LOOK)
        removed += len(rows) if dry_run else _delete(database, rows, newest)
        total += size
        if dry_run or not rows:
            break
    if not dry_run:
        with database.transaction():
            database.execute("DELETE FROM spaces WHERE id NOT IN (SELECT space FROM uses)")
        shrink(database, 0)
    return removed, total


def prune_models(directory, cutoff, *, dry_run=False):
    """Delete derived models that nobody has used since a time.

    Parameters
    ----------
    directory : Path
        Of the store.
    cutoff : float
        Seconds since 1970.
    dry_run : bool, default=False
        Only list them.

    Returns
    -------
    list of str
        Their names.
    """
    old = [model["name"] for model in list_models(directory) if model["last_use"].timestamp() < cutoff]
    for name in () if dry_run else old:
        path = directory / MODELS / name
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):
                path.unlink()
    return old
