"""File locks that the operating system releases when a process ends, however it ends."""

import os
import sys
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_held: weakref.WeakSet[Any] = weakref.WeakSet()  # open files with a lock, which a forked child must close


class _LockFile:
    """An open file with a lock of the operating system, which a WeakSet can hold."""

    def __init__(self, path, mode):
        self._file = open(path, mode)  # noqa: SIM115 - open for as long as the lock is held

    @property
    def closed(self) -> bool:
        """Whether it has been closed."""
        return self._file.closed

    def lock(self, *, wait: bool) -> bool:
        """Lock it against all processes; False if another holds the lock and `wait` is off."""
        try:
            if sys.platform == "win32":
                msvcrt.locking(self._file.fileno(), msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
            else:
                fcntl.flock(self._file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except (BlockingIOError, PermissionError):
            return False
        _held.add(self)
        return True

    def has_name(self, path: Path) -> bool:
        """Whether it is the file of that name, and not one that was removed since."""
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


def _wait_for(path):
    """Lock the file that has the name `path`, also where another process removes or recreates it meanwhile."""
    while True:
        file = _LockFile(path, "ab")
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
        Remove it in the end; a process that waits creates it anew.
    """
    file = _wait_for(path)
    try:
        yield
    finally:
        if remove and not file.closed:  # a forked child has closed it: the lock is its parent's
            _remove(file, path)
        file.release()


def _remove(file, path):
    """Remove a lock file while it is locked; where open files cannot be removed, after that."""
    if os.name == "nt":
        file.release()
    with suppress(OSError):
        path.unlink()


class Owner:
    """A call that encodes inputs, known to be alive by a locked file.

    Unlike a process number or a heartbeat, the lock can be neither reused nor late: it is gone at the moment the
    process is, and stays while a slow model works.

    Parameters
    ----------
    directory : Path
        Where the files of all owners are.
    """

    def __init__(self, directory: Path) -> None:
        self.id = os.urandom(16)
        self._path = owners_folder(directory) / self.id.hex()
        self._path.parent.mkdir(exist_ok=True)
        self._file = _LockFile(self._path, "xb")
        self._file.lock(wait=False)

    def close(self) -> None:
        """Release the lock and remove the file; in a forked child, which never held the lock, do nothing."""
        if not self._file.closed:
            self._file.release()
            with suppress(OSError):  # the folder may be gone
                self._path.unlink()


def owners_folder(directory: Path) -> Path:
    """Return the folder of the files of all owners."""
    return Path(directory) / "owners"


def is_alive(directory: Path, owner: bytes, *, clear: bool = True) -> bool:
    """Whether an owner still holds its lock.

    Parameters
    ----------
    directory : Path
        Of the store.
    owner : bytes
        Its id.
    clear : bool, default=True
        Delete the file of a dead one.

    Returns
    -------
    bool
    """
    path = owners_folder(directory) / owner.hex()
    try:
        file = _LockFile(path, "rb")
    except OSError:
        return False
    try:
        if not file.lock(wait=False):
            return True
    finally:
        file.release()
    if clear:
        with suppress(OSError):
            path.unlink()
    return False


def _forget_locks():
    for file in list(_held):
        file.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_locks)
