"""The one way to the terminal: what data, files and servers say is shown, never obeyed."""

import re
import sys
import traceback
from types import TracebackType
from typing import Any

# C0 but tab and newline, DEL, C1, marks and overrides of direction, separators of lines, lone surrogates
_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ufeff\ud800-\udfff]")


def printable(text: str, *, one_line: bool = False) -> str:
    r"""Write characters that a terminal obeys as escapes; tabs, newlines and all letters stay.

    Parameters
    ----------
    text : str
    one_line : bool, default=False
        Whether to write each run of white space, newlines included, as one space.

    Returns
    -------
    text : str

    Examples
    --------
    >>> from skllmrec._terminal import printable
    >>> print(printable("\x1b]0;owned\x07 \u202eevil \u9b3c"))
    \x1b]0;owned\x07 \u202eevil 鬼
    """
    text = " ".join(text.split()) if one_line else text
    return _OBEYED.sub(lambda found: _escape(found.group()), text)


def _escape(character):
    code = ord(character)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


def say(message: str = "", *, file: Any = None) -> None:
    """Write a line at once, also where it goes to a file or a pipe.

    Parameters
    ----------
    message : str, default=""
        What a terminal would obey, and what its encoding lacks, is written as escapes.
    file : text stream, default=None
        None: the standard output.
    """
    stream = sys.stdout if file is None else file
    if stream is None:  # a program without a terminal
        return
    encoding = getattr(stream, "encoding", None) or "utf-8"
    stream.write(f"{printable(message).encode(encoding, 'backslashreplace').decode(encoding)}\n")
    stream.flush()


def complain(message: str) -> None:
    """Write a line to the standard error stream, as `say` does."""
    say(message, file=sys.stderr)


def show_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, file: Any = None, line: Any = None
) -> None:
    """Write a warning as a line; a stand-in for `warnings.showwarning`."""
    say(f"warning: {message}", file=sys.stderr if file is None else file)


def show_error(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Write an error that nobody handled, with its traceback; a stand-in for `sys.excepthook`."""
    complain("".join(traceback.format_exception(kind, error, trace)).rstrip("\n"))
