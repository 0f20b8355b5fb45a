"""File locks that the operating system releases when a process ends, however it ends."""

import os
import weakref
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    import msvcrt

_owners = weakref.WeakSet()


def _lock(file, *, wait):
    """Lock an open file for its file object, in every process; False if another one has it and `wait` is off."""
    try:
        if os.name == "nt":
            msvcrt.locking(file.fileno(), msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except (BlockingIOError, PermissionError):
        return False
    return True


@contextmanager
def exclusive(path):
    """Hold the lock file `path`; other threads and processes wait."""
    with open(path, "ab") as file:
        _lock(file, wait=True)
        yield


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
        self._path = _owner_path(directory, self.id)
        self._path.parent.mkdir(exist_ok=True)
        self._file = open(self._path, "xb")  # noqa: SIM115 - open for as long as the owner is
        _lock(self._file, wait=False)
        _owners.add(self)

    def close(self):
        """Stop being an owner."""
        self._file.close()
        self._path.unlink(missing_ok=True)

    def forget(self):
        """Close the file in a forked child, which would otherwise keep a dead parent's lock."""
        self._file.close()


def _owner_path(directory, owner):
    return Path(directory) / "owners" / owner.hex()


def is_alive(directory, owner):
    """Whether the owner with this id still holds its lock; what is left of a dead one is cleared away."""
    path = _owner_path(directory, owner)
    try:
        with open(path, "rb") as file:
            if not _lock(file, wait=False):
                return True
    except OSError:
        return False
    with suppress(OSError):
        path.unlink()
    return False


def _forget_owners():
    for owner in list(_owners):
        owner.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_owners)
