"""Write a file whole or not at all, and lock files between processes."""

import os
import secrets
import sys
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from skllmrec._typing import Path as PathLike

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


@contextmanager
def replacing(path: PathLike, *, single_writer: bool = False, durable: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside `path`, and rename it to `path` when the block ends without an error.

    A reader sees the old file or the new one, never a part of it; after an error the old one stays. The new file has
    the mode that the umask of the process leaves.

    Parameters
    ----------
    path : str or Path
        The file to write; its folder is made where it is missing.
    single_writer : bool, default=False
        Whether no other process writes this file at the same time. The temporary file then has a fixed name, so that
        the next call replaces what a killed process left.
    durable : bool, default=False
        Whether the new file has to survive a power failure from the end of the block on.

    Yields
    ------
    temporary : Path
        An empty file with the suffix of `path`.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    middle = "unfinished" if single_writer else secrets.token_hex(8)
    temporary = path.with_name(f".{path.name}.{middle}{path.suffix}")
    # the system applies the umask; tempfile would make a private file
    os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if single_writer else os.O_EXCL), 0o666))
    try:
        yield temporary
        if durable:
            _to_disk(temporary)
        os.replace(temporary, path)
        if durable:
            _to_disk(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _to_disk(path):
    """Wait until a file, or the names in a folder, survive a power failure."""
    if os.name == "nt" and path.is_dir():
        return  # folders cannot be opened there, and renames are written through
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# -- locks that the operating system releases when a process ends, however it ends ------------------------------------

_held: weakref.WeakSet["LockFile"] = weakref.WeakSet()  # open files with a lock, which a forked child must close


class LockFile:
    """An open file that can be locked.

    Parameters
    ----------
    path : path-like
        The file.
    mode : str
        As of `open`, in binary.
    """

    def __init__(self, path: PathLike, mode: str) -> None:
        self._file = open(path, mode)  # noqa: SIM115 - open for as long as the lock is held

    @property
    def closed(self) -> bool:
        """Whether it has been closed."""
        return self._file.closed

    def lock(self, *, wait: bool) -> bool:
        """Lock it for all processes; False if another one holds the lock and `wait` is off."""
        try:
            if sys.platform == "win32":
                msvcrt.locking(self._file.fileno(), msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
            else:
                fcntl.flock(self._file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except (BlockingIOError, PermissionError):
            return False
        _held.add(self)
        return True

    def has_name(self, path: PathLike) -> bool:
        """Whether the path still names this file; False if the file was removed or replaced."""
        with suppress(OSError):
            return os.path.samestat(os.fstat(self._file.fileno()), os.stat(path))
        return False

    def release(self) -> None:
        """Unlock and close it."""
        _held.discard(self)
        if sys.platform != "win32" and not self._file.closed:
            fcntl.flock(self._file, fcntl.LOCK_UN)  # closing is not enough while a forked child has it open
        self._file.close()

    def forget(self) -> None:
        """Close it in a forked child, which would otherwise keep a dead parent's lock."""
        self._file.close()


def _lock(path):
    """Lock the file at `path`; where it was removed or replaced while this process waited, try again."""
    while True:
        file = LockFile(path, "ab")
        try:
            file.lock(wait=True)
            if file.has_name(path):
                return file
        except BaseException:
            file.release()
            raise
        file.release()


@contextmanager
def exclusive(path: Path, *, remove: bool = False) -> Iterator[None]:
    """Hold the lock file `path`; other threads and processes wait.

    Parameters
    ----------
    path : Path
        Created where it is missing.
    remove : bool, default=False
        Remove it in the end; the next process that waits creates it again.
    """
    file = _lock(path)
    try:
        yield
    finally:
        if remove and not file.closed:  # a forked child has closed it: the lock is its parent's
            _remove(file, path)
        file.release()


def _remove(file, path):
    """Remove a lock file while it is locked; on systems that cannot remove open files, after its release."""
    if os.name == "nt":
        file.release()
    with suppress(OSError):
        path.unlink()


def _forget_locks():
    for file in list(_held):
        file.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_locks)
