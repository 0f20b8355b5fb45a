"""Results of runs as files: a benchmark that was stopped goes on where it was."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any


def write_json(path: Path, content: Any) -> None:
    """Write a file atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.part")
    partial.write_text(json.dumps(content), encoding="utf-8")
    os.replace(partial, path)


def file_name(model: str) -> str:
    """Name of the file of a model."""
    return re.sub(r"[^a-z0-9]+", "-", model.lower()).strip("-") + ".json"


def resumed(path: Path, run: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Read the result of a run, or make it now and keep it."""
    if not path.is_file():
        write_json(path, run())
    result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return result
