"""The most memory that a piece of work needed, native memory included, as the operating system counts it."""

import ctypes
import threading
from contextlib import suppress

_STATUS, _RESET = "/proc/self/status", "/proc/self/clear_refs"
_SAMPLE_SECONDS = 0.01


def _status_bytes(name):
    """Read a count of bytes of this process, e.g. ``"VmRSS"``; None where the system does not report it."""
    try:
        with open(_STATUS, encoding="ascii") as status:
            return next((int(line.split()[1]) * 1024 for line in status if line.startswith(name)), None)
    except OSError:
        return None


def _reset_peak():
    """Reset the peak that the kernel counts to what is resident now; False where it cannot (only Linux can)."""
    try:
        with open(_RESET, "w", encoding="ascii") as file:
            file.write("5")
    except OSError:
        return False
    return True


def _release_freed():
    """Return freed memory to the system: what an earlier fit has freed must not hide what this one takes."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


class PeakMemory:
    """How much the resident memory of this process grew at most while a block ran.

    Linux keeps a high-water mark that can be reset; where it cannot, a thread samples the size every 10 ms. Memory
    of child processes does not count, that of other threads of this process does. What was in memory already, such
    as the data and the weights of a language model, is not in the figure.

    Attributes
    ----------
    megabytes : float
        After the block, in units of 1,000,000 bytes; NaN on systems without ``/proc``.

    Examples
    --------
    >>> from skllmrec._peak_memory import PeakMemory
    >>> with PeakMemory() as memory:
    ...     block = bytearray(50_000_000)
    >>> bool(memory.megabytes != memory.megabytes or memory.megabytes > 45)
    True
    """

    megabytes = float("nan")

    def __enter__(self) -> "PeakMemory":
        _release_freed()
        self._exact = _reset_peak()
        self._start = self._peak = _status_bytes("VmRSS")
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        if not self._exact and self._start is not None:
            self._thread.start()
        return self

    def _sample(self):
        while not self._over.wait(_SAMPLE_SECONDS):
            self._peak = max(self._peak, _status_bytes("VmRSS"))

    def __exit__(self, *error: object) -> None:
        if self._start is None:
            return
        if self._exact:
            self._peak = _status_bytes("VmHWM")
        else:
            self._over.set()
            self._thread.join()
            self._peak = max(self._peak, _status_bytes("VmRSS"))
        self.megabytes = max(0, self._peak - self._start) / 1e6
