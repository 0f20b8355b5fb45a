"""The identity of a WordVectorEncoder: values that its vectors depend on and that are equal in every process."""

import hashlib
import inspect
import json
import sys
from collections.abc import Iterable
from contextlib import suppress
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import numpy as np

from skllmrec._typing import Array


def digest(words: Iterable[str], *arrays: Array) -> str:
    """SHA-256 (hex) of words and of arrays with a row for each, or of arrays alone.

    Parameters
    ----------
    words : iterable of str
        In the order of the rows.
    *arrays : ndarray
        Of numbers.

    Returns
    -------
    str
    """
    sha256 = hashlib.sha256(json.dumps(list(words)).encode())
    for array in arrays:
        written = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
        sha256.update(f"{written.dtype.str} {written.shape}".encode())
        sha256.update(written.reshape(-1).view(np.uint8).data)
    return sha256.hexdigest()


def _as_estimator(analyzer):
    """Class and parameters of an object that has `get_params`, as TextAnalyzer; None if they are not all plain."""
    found = {"class": _path(type(analyzer)), **analyzer.get_params(deep=False)}
    if found.get("cjk", "bigram") != "bigram":  # another version may cut words otherwise
        found["jieba"] = version("jieba") if find_spec("jieba") else None
    with suppress(TypeError):
        return json.loads(json.dumps(found))
    return None


def _path(thing):
    return f"{thing.__module__}.{thing.__qualname__}"


def _as_function(analyzer):
    """Name and checksum of the source of a function of a module; None if it is another's, or has no source."""
    module = sys.modules.get(getattr(analyzer, "__module__", None))
    if not inspect.isfunction(analyzer) or getattr(module, analyzer.__name__, None) is not analyzer:
        return None
    with suppress(OSError):
        source = hashlib.sha256(inspect.getsource(analyzer).encode()).hexdigest()
        return {"function": _path(analyzer), "source": source}
    return None


def describe_analyzer(analyzer: Any) -> dict[str, Any]:
    """Describe a callable analyzer so that another process describes the same one alike, and no other.

    Parameters
    ----------
    analyzer : callable
        An object with ``get_params`` whose parameters json can write, such as TextAnalyzer; or a function that
        is defined at the top of a module.

    Returns
    -------
    dict
        Anything that json can write.

    Raises
    ------
    ValueError
        If the analyzer is something else: a lambda, a function inside a function, a method, a partial.
    """
    found = _as_estimator(analyzer) if hasattr(analyzer, "get_params") else _as_function(analyzer)
    if found is None:
        raise ValueError(
            f"out= is a file, which another process may continue, but analyzer={analyzer!r:.80} cannot be described so "
            "that this process would recognise it: use analyzer=TextAnalyzer(...), a function written with def in a "
            "module, or an array as out="
        )
    return found
