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

    def has_name(self, path):
        """Whether it is the file of that name, and not one that was removed since."""
        with suppress(OSError):
            return os.path.samestat(os.fstat(self._file.fileno()), os.stat(path))
        return False

    def release(self):
        """Unlock and close it."""
        _held.discard(self)
        if os.name != "nt" and not self._file.closed:
            fcntl.flock(self._file, fcntl.LOCK_UN)  # closing is not enough while a forked child has it open
        self._file.close()

    def forget(self):
        """Close it in a forked child, which would otherwise keep a dead parent's lock."""
        self._file.close()


def _wait_for(path):
    """Lock the file that has the name `path`: who removed it, and who made it anew, is waited for too."""
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
def exclusive(path, *, remove=False):
    """Hold the lock file `path`; other threads and processes wait.

    Parameters
    ----------
    path : Path
        Created where it is missing.
    remove : bool, default=False
        Remove it in the end; whoever waits makes it anew.
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
