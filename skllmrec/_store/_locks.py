"""Owners: processes that encode texts, known to be alive by a locked file."""

import os
from contextlib import suppress
from pathlib import Path

from skllmrec._files import LockFile


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
        self._file = LockFile(self._path, "xb")
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
        file = LockFile(path, "rb")
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
