"""File locks that the operating system releases when a process ends, however it ends."""

import os
import weakref
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    import msvcrt

_held = weakref.WeakSet()  # open files with a lock, which a forked child must let go


class _LockFile:
    """An open file whose lock is its holder's, and that a WeakSet can hold."""

    def __init__(self, path, mode):
        self._file = open(path, mode)  # noqa: SIM115 - open for as long as the lock is held

    @property
    def closed(self):
        """Whether it has been closed."""
        return self._file.closed

    def lock(self, *, wait):
        """Lock it, in every process; False if somebody else has done so and `wait` is off."""
        try:
            if os.name == "nt":
                msvcrt.locking(self._file.fileno(), msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
            else:
                fcntl.flock(self._file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except (BlockingIOError, PermissionError):
            return False
        _held.add(self)
        return True

    def release(self):
        """Unlock and close it."""
        _held.discard(self)
        if os.name != "nt" and not self._file.closed:
            fcntl.flock(self._file, fcntl.LOCK_UN)  # closing is not enough while a forked child has it open
        self._file.close()

    def forget(self):
        """Close it in a forked child, which would otherwise keep a dead parent's lock."""
        self._file.close()


@contextmanager
def exclusive(path):
    """Hold the lock file `path`; other threads and processes wait."""
    file = _LockFile(path, "ab")
    try:
        file.lock(wait=True)
        yield
    finally:
        file.release()


class Owner:
    """Somebody who encodes texts and is known to be alive by a locked file.

    Unlike a process number or a heartbeat, the lock can be neither reused nor late: it is gone at the moment the
    process is, and stays while a slow model works.

    Parameters
    ----------
    directory : Path
        Where the files of all owners are.
    """

    def __init__(self, directory):
        self.id = os.urandom(16)
        self._path = owners_folder(directory) / self.id.hex()
        self._path.parent.mkdir(exist_ok=True)
        self._file = _LockFile(self._path, "xb")
        self._file.lock(wait=False)

    def close(self):
        """Stop being an owner; in a forked child, to which it never belonged, do nothing."""
        if not self._file.closed:
            self._file.release()
            with suppress(OSError):  # the folder may be gone
                self._path.unlink()


def owners_folder(directory):
    """Folder of the files of all owners."""
    return Path(directory) / "owners"


def is_alive(directory, owner, *, clear=True):
    """Whether an owner still holds its lock.

    Parameters
    ----------
    directory : Path
        Of the store.
    owner : bytes
        Its id.
    clear : bool, default=True
        Delete what is left of a dead one.

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
