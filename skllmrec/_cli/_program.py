"""What all commands share: the name of the program, and the error of its user."""

import sys
from pathlib import Path


class UsageError(ValueError):
    """An option, the data or the model does not fit; the message is for the user, without a traceback."""


def program() -> str:
    """Name of the program as its user started it: ``skllmrec`` or ``python -m skllmrec``."""
    return "skllmrec" if Path(sys.argv[0]).stem == "skllmrec" else "python -m skllmrec"
