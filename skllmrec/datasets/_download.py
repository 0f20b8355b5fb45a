"""Fetch files within bounds: of time, and of what they may contain."""

import hashlib
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.request import urlopen

from skllmrec.exceptions import FileFormatError

_CHUNK = 1 << 18  # bytes
_SLOWEST = 20  # a download may take this many times its time-out in all
_PIP_SECONDS = 90


def _within(seconds, function):
    """Call a function in a thread and give up on it after some seconds; a name look-up knows no time-out."""
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


def download(url, path, *, timeout):
    """Download a file.

    Parameters
    ----------
    url : str
    path : pathlib.Path
        Where to write it.
    timeout : float
        Seconds to wait for the connection and for every piece; 20 times as long in all.

    Raises
    ------
    OSError
        If it cannot be reached or takes too long.
    """
    deadline = time.monotonic() + _SLOWEST * timeout
    # the caller's addresses are constants
    with _within(timeout, lambda: urlopen(url, timeout=timeout)) as answer, open(path, "wb") as file:  # noqa: S310
        while chunk := answer.read(_CHUNK):
            file.write(chunk)
            if time.monotonic() > deadline:
                raise TimeoutError(f"not complete after {_SLOWEST * timeout:g} s")


def download_wheel(requirement, folder):
    """Download the wheel of a package, without its dependencies and without installing it, by pip.

    Parameters
    ----------
    requirement : str
        Name and version, e.g. ``"recbole==1.2.1"``.
    folder : path-like
        Where to put it.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    OSError
        If pip is not there, fails or takes too long; with the last thing that it said.
    """
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input"]
    command += ["--disable-pip-version-check", "--quiet", "--retries=1", "--dest", str(folder), requirement]
    try:
        done = subprocess.run(  # noqa: S603 - our own words only
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_PIP_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise TimeoutError(f"pip did not finish within {_PIP_SECONDS} s") from None
    wheels = list(Path(folder).glob("*.whl"))
    if done.returncode or not wheels:
        said = [line for line in done.stderr.splitlines() if line.strip()] or [f"exit code {done.returncode}"]
        raise OSError(said[-1])
    return wheels[0]


def check_digest(content, expected, name, algorithm="sha256"):
    """Check the digest of what was read.

    Parameters
    ----------
    content : bytes
    expected : str
        Hexadecimal digest.
    name : str
        What the content is, for the error.
    algorithm : str, default="sha256"

    Raises
    ------
    FileFormatError
        If it is another one: the content is damaged, incomplete, or not what its name says.
    """
    found = hashlib.new(algorithm, content, usedforsecurity=False).hexdigest()
    if found != expected:
        raise FileFormatError(f"{name} is damaged or another file: its {algorithm} is {found}, expected {expected}")
