"""Download files with time limits and check their digests."""

import hashlib
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.request import urlopen

from skllmrec._typing import Path as PathLike
from skllmrec.exceptions import FileFormatError

_CHUNK = 1 << 18  # bytes
_MAX_TIMEOUTS = 20  # limit of the whole download, as a multiple of its time-out
_PIP_SECONDS = 90


def _within(seconds, function):
    """Call a function in a thread and wait for it at most some seconds, since a name look-up has no time-out."""
    outcome = {}

    def call():
        try:
            outcome["value"] = function()
        except Exception as error:
            outcome["error"] = error

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(seconds)
    if not outcome:
        raise TimeoutError(f"no answer within {seconds:g} s")
    if "error" in outcome:
        raise outcome["error"]
    return outcome["value"]


def download(url: str, path: Path, *, timeout: float) -> None:
    """Download a file.

    Parameters
    ----------
    url : str
    path : pathlib.Path
        File to write.
    timeout : float
        Seconds to wait for the connection and for every chunk. The whole download may take 20 times as long.

    Raises
    ------
    OSError
        If the URL cannot be reached or the download takes too long.
    """
    deadline = time.monotonic() + _MAX_TIMEOUTS * timeout
    # callers pass constant URLs
    with _within(timeout, lambda: urlopen(url, timeout=timeout)) as answer, open(path, "wb") as file:  # noqa: S310
        while chunk := answer.read(_CHUNK):
            file.write(chunk)
            if time.monotonic() > deadline:
                raise TimeoutError(f"not complete after {_MAX_TIMEOUTS * timeout:g} s")


def download_wheel(requirement: str, folder: PathLike) -> Path:
    """Download the wheel of a package with pip, without its dependencies and without installing it.

    Parameters
    ----------
    requirement : str
        Name and version, e.g. ``"recbole==1.2.1"``.
    folder : path-like
        Folder of the wheel.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    OSError
        If pip is not installed, fails or takes too long. The message is the last line that pip printed.
    """
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input"]
    command += ["--disable-pip-version-check", "--quiet", "--retries=1", "--dest", str(folder), requirement]
    try:
        done = subprocess.run(  # noqa: S603 - the arguments are constants
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_PIP_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise TimeoutError(f"pip did not finish within {_PIP_SECONDS} s") from None
    wheels = list(Path(folder).glob("*.whl"))
    if done.returncode or not wheels:
        errors = [line for line in done.stderr.splitlines() if line.strip()]
        raise OSError(errors[-1] if errors else f"exit code {done.returncode}")
    return wheels[0]


def check_digest(content: bytes, expected: str, name: str, algorithm: str = "sha256") -> None:
    """Check the digest of a content.

    Parameters
    ----------
    content : bytes
    expected : str
        Hexadecimal digest.
    name : str
        Name of the content in the error.
    algorithm : str, default="sha256"

    Raises
    ------
    FileFormatError
        If it is another one: the content is damaged, incomplete, or not what its name says.
    """
    found = hashlib.new(algorithm, content, usedforsecurity=False).hexdigest()
    if found != expected:
        raise FileFormatError(f"{name} is damaged or another file: its {algorithm} is {found}, expected {expected}")
