"""Owners: processes that encode texts, known to be alive by a locked file."""

import os
from contextlib import suppress
from pathlib import Path

from skllmrec._files import LockFile


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
        self._file = LockFile(self._path, "xb")
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
