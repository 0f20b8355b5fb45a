"""The content of a file that may be compressed: gz, bz2, xz, zst, or a zip archive of one file."""

import io
import zipfile
import zlib
from importlib import import_module
from lzma import LZMAError
from pathlib import Path

from skllmrec._optional import import_optional

COMPRESSED = (".gz", ".bz2", ".xz", ".zst", ".zip")
_MODULES = {".gz": "gzip", ".bz2": "bz2", ".xz": "lzma"}
FAULTS = (EOFError, RuntimeError, zipfile.BadZipFile, zlib.error, LZMAError)  # of damaged and of encrypted archives


def format_of(path: Path) -> str:
    """Suffix of what a file holds: ``.csv`` of ``plays.csv`` and ``plays.csv.gz``, ``""`` of ``plays.zip``."""
    suffix = path.suffix.lower()
    return Path(path.stem).suffix.lower() if suffix in COMPRESSED else suffix


def read_content(path: Path) -> tuple[bytes, str]:
    """Read a file, and undo its compression.

    Parameters
    ----------
    path : Path

    Returns
    -------
    content : bytes
    suffix : str
        Of what was compressed, in lower case.

    Raises
    ------
    ValueError
        If a zip archive does not hold one file.
    ImportError
        If zst is to be read without pyarrow.
    """
    suffix = path.suffix.lower()
    if suffix == ".zip":
        return _only_member(path)
    if suffix == ".zst":
        pyarrow = import_optional("pyarrow", extra="demo", purpose=f"reading {path.name}")
        with pyarrow.input_stream(str(path), compression="zstd") as stream:
            return stream.read(), format_of(path)
    content = path.read_bytes()
    if suffix in COMPRESSED:
        content = import_module(_MODULES[suffix]).decompress(content)
    return content, format_of(path)


def _only_member(path):
    with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as archive:
        names = [name for name in archive.namelist() if _is_data(name)]
        if len(names) != 1:
            raise ValueError(f"the archive holds {len(names)} files, {names[:5]}: pack one table alone")
        return archive.read(names[0]), Path(names[0]).suffix.lower()


def _is_data(name):
    """Whether a name in an archive is a file and not a folder or what macOS adds."""
    return not name.endswith("/") and not name.startswith("__MACOSX/") and not Path(name).name.startswith(".")
