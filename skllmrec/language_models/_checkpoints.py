"""Folders of trained models, named by their content: in a folder of the user, or in a cache of limited size."""

import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from skllmrec import _typing
from skllmrec._store._units import parse_bytes
from skllmrec._weights import Weights, file_sha256
from skllmrec.datasets import get_data_home
from skllmrec.exceptions import CheckpointError, ModelNotFoundError

SIZE_VARIABLE = "SKLLMREC_MODEL_CACHE_SIZE"
_DEFAULT_SIZE = "10GB"
_LEAST_SIZE = 1_000_000  # bytes
_HIDDEN = "."  # first character of the names of folders that are being written or removed
_STALE = 86_400.0  # seconds; an older hidden folder is a remnant of a process that was killed
_DIGITS = 16  # of the checksum, in the name of a folder


def cache_folder() -> Path:
    """Return the folder of trained models for which no `checkpoint_dir` is given.

    Returns
    -------
    pathlib.Path
        ``models`` in `skllmrec.datasets.get_data_home`; it need not exist yet.
    """
    return get_data_home() / "models"


def _files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _content_sha256(folder):
    """SHA-256 (hex) of the names and contents of all files in a folder."""
    lines = (f"{file_sha256(file)} {file.relative_to(folder).as_posix()}\n" for file in _files(folder))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def save_checkpoint(save: Callable[[Path], Any], directory: _typing.Path | None = None, *, name: str) -> Path:
    """Save a model in a folder that is named by its content.

    The folder appears as a whole or not at all; a model that exists already is not written again.

    Parameters
    ----------
    save : callable
        ``save(folder)`` writes all files of the model into an empty folder.
    directory : str, path-like or None, default=None
        The parent folder; None: the cache, from which the least recently used models are removed while it is larger
        than the environment variable SKLLMREC_MODEL_CACHE_SIZE (default 10 GB).
    name : str
        Beginning of the folder's name, e.g. ``"pretrained"``; the first 16 digits of the checksum follow.

    Returns
    -------
    pathlib.Path
        The folder of the model.

    Raises
    ------
    ValueError
        If the environment variable is not a size.
    CheckpointError
        If the folder cannot be made.
    OSError
        If a file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from skllmrec.language_models._checkpoints import save_checkpoint
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     saved = save_checkpoint(lambda path: (path / "config.json").write_text("{}"), folder, name="model")
    ...     saved.name, [file.name for file in saved.iterdir()]
    ('model-618e78a54d1cd921', ['config.json'])
    """
    parent = cache_folder() if directory is None else Path(directory).expanduser().absolute()
    max_bytes = parse_bytes(os.environ.get(SIZE_VARIABLE, _DEFAULT_SIZE), SIZE_VARIABLE, minimum=_LEAST_SIZE)
    unfinished = parent / f"{_HIDDEN}unfinished-{secrets.token_hex(8)}"
    try:
        unfinished.mkdir(parents=True)
    except OSError as error:
        raise CheckpointError(
            f"no model can be saved in {parent} ({error}): name a folder that you may write to with checkpoint_dir="
        ) from error
    try:
        save(unfinished)
        target = parent / f"{name}-{_content_sha256(unfinished)[:_DIGITS]}"
        if not target.exists():
            _move(unfinished, target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    os.utime(target)
    if directory is None:
        _shrink(parent, max_bytes, keep=target)
    return target


def _move(source, target):
    try:
        source.rename(target)
    except OSError:
        if not target.exists():  # else another process has just written the same model
            raise


def _shrink(parent, max_bytes, *, keep):
    """Remove the least recently used models, and the remnants of killed processes."""
    folders = []
    for folder in parent.iterdir():
        age = time.time() - folder.stat().st_mtime
        if folder.name.startswith(_HIDDEN):
            if age > _STALE:
                shutil.rmtree(folder, ignore_errors=True)
        elif folder.is_dir():
            folders.append((age, sum(file.stat().st_size for file in _files(folder)), folder))
    total = sum(size for _, size, _ in folders)
    for _, size, folder in sorted(folders, reverse=True):
        if total <= max_bytes:
            return
        if folder != keep:
            _remove(folder)
            total -= size


def _remove(folder):
    """Remove a model; other processes never see a part of it."""
    doomed = folder.with_name(f"{_HIDDEN}removed-{folder.name}-{os.getpid()}")
    try:
        folder.rename(doomed)
    except OSError:
        return  # another process removed it first, or the system cannot move open files
    shutil.rmtree(doomed, ignore_errors=True)


def open_checkpoint(path: _typing.Path, sha256: str, *, name: str) -> Weights:
    """Open a model that an estimator has trained.

    Parameters
    ----------
    path : path-like
        Its folder.
    sha256 : str
        Checksum of its files (`Weights.sha256`) when it was saved.
    name : str
        Name of the estimator, for error messages.

    Returns
    -------
    Weights

    Raises
    ------
    ModelNotFoundError
        If the folder is gone.
    CheckpointError
        If its files have changed.
    """
    weights = Weights(Path(path), "checkpoint")
    if not (weights.path / "config.json").is_file():
        size = os.environ.get(SIZE_VARIABLE, _DEFAULT_SIZE)
        raise ModelNotFoundError(
            f"the weights that {name} has trained are gone from {weights.path}: moved, or removed from the cache, "
            f"which keeps {size} (environment variable {SIZE_VARIABLE}). Fit again; "
            "checkpoint_dir= keeps them in a folder of your own"
        )
    if weights.sha256 != sha256:
        raise CheckpointError(
            f"the files in {weights.path} have changed since {name} was fitted (SHA-256 {weights.sha256[:12]}..., then "
            f"{sha256[:12]}...): new vectors would not match the old ones. Restore them, or fit again"
        )
    with suppress(OSError):  # the folder may belong to another user
        os.utime(weights.path)  # mark it as recently used
    return weights
