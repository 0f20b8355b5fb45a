"""Errors of transformers about a model whose files cannot be used: they name file and remedy."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from skllmrec._device import is_out_of_memory
from skllmrec.exceptions import FileFormatError

_REMEDIES = {
    "config.json": "restore the file, or upgrade transformers if the model is newer than it",
    "the tokenizer": "download its files again",
    "the weights": "download config.json and the weights again, so that they belong together",
}


def _needs_code(path):
    """Whether configuration or tokenizer name classes that come with the model."""
    for name in ("config.json", "tokenizer_config.json"):
        try:
            if "auto_map" in json.loads((path / name).read_text(encoding="utf-8")):
                return True
        except (OSError, ValueError, RecursionError, TypeError):
            continue
    return False


@contextmanager
def explain(path: Path, part: str) -> Iterator[None]:
    """Replace errors of transformers by one that names the model, the part that cannot be read, and a remedy.

    Parameters
    ----------
    path : Path
        Directory of the model.
    part : {"config.json", "the tokenizer", "the weights"}
        What is being loaded.

    Raises
    ------
    FileFormatError
        Instead of any error but missing packages and memory.
    """
    try:
        yield
    except (ImportError, MemoryError, FileFormatError):
        raise
    except Exception as error:  # damaged files make transformers and tokenizers raise errors of any kind
        if is_out_of_memory(error):
            raise
        if "trust_remote_code" in str(error) or (part != "the weights" and _needs_code(path)):
            raise FileFormatError(
                f"the model in {path} needs Python code of its own (auto_map in its configuration), and code that "
                "comes with a model is never run: choose a model of an architecture that transformers has"
            ) from error
        reason = " ".join(str(error).split())[:300]
        raise FileFormatError(
            f"{part} of the model in {path} cannot be read ({type(error).__name__}: {reason}): {_REMEDIES[part]}"
        ) from error
