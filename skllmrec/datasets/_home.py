"""The folder in which data sets are stored."""

import os
from pathlib import Path

from skllmrec._typing import Path as PathLike


def get_data_home(data_home: PathLike | None = None) -> Path:
    """Return the folder in which this package stores downloaded data; it is not created.

    Parameters
    ----------
    data_home : str or path-like, default=None
        The folder. If None, the environment variable ``SKLLMREC_DATA_HOME``, else ``skllmrec`` in
        ``$XDG_CACHE_HOME``, else ``~/.cache/skllmrec``.

    Returns
    -------
    pathlib.Path
        Absolute path, ``~`` expanded.

    Examples
    --------
    >>> from skllmrec.datasets import get_data_home
    >>> get_data_home("~/films").name
    'films'
    """
    if data_home is None:
        cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
        data_home = os.environ.get("SKLLMREC_DATA_HOME") or Path(cache, "skllmrec")
    return Path(data_home).expanduser().absolute()
