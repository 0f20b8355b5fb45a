"""Import an optional dependency, or report how to install it."""

from importlib import import_module
from typing import Any


def import_optional(module: str, *, extra: str, purpose: str) -> Any:
    """Import `module`; where it is missing, name the purpose and the extra that brings it.

    Parameters
    ----------
    module : str
        Name of the module, e.g. ``"matplotlib.pyplot"``.
    extra : str
        The extra of this package that installs it.
    purpose : str
        What needs it, as the subject of a sentence, e.g. ``"Comparison.plot"``.

    Returns
    -------
    module

    Raises
    ------
    ImportError
        If the module is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise ImportError(
            f"{purpose} needs {module.partition('.')[0]!r}, which is not installed here: "
            f'pip install "skllmrec[{extra}]"'
        ) from error
