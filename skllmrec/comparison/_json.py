"""A comparison as JSON and back: strict JSON, NaN as null, infinity as text."""

import json
import math
from typing import TYPE_CHECKING, Any

from skllmrec._files import replacing
from skllmrec._format import FORMATS, check_format
from skllmrec._optional import import_optional
from skllmrec._typing import Path
from skllmrec.comparison._checkpoint import plain
from skllmrec.exceptions import FileFormatError

if TYPE_CHECKING:
    from skllmrec.comparison._result import Comparison


SCHEMA = f"skllmrec.comparison/{FORMATS['comparison']}"
_FRAMES = ("frame", "per_fold", "by_popularity", "chosen")
_EMPTY = {"by_popularity": ["estimator", "fold"], "chosen": ["estimator", "fold", "params", "score"]}


def _strict(value):
    """Replace what JSON does not know: NaN by null, infinities by ``"inf"`` and ``"-inf"``."""
    if isinstance(value, dict):
        return {key: _strict(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_strict(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value


def to_document(comparison: "Comparison", job: dict[str, Any] | None = None) -> dict[str, Any]:
    """Make a dict that JSON can hold.

    Parameters
    ----------
    comparison : Comparison
    job : dict or None, default=None
        What else is to be kept, under the key ``"job"``.

    Returns
    -------
    document : dict
        ``schema, settings`` and the frames ``frame, per_fold, by_popularity, chosen`` as lists of rows; ``job`` last.
    """
    document = {"schema": SCHEMA, "settings": comparison.settings}
    document |= {name: getattr(comparison, name).to_dict("records") for name in _FRAMES}
    return _strict(plain(document | ({} if job is None else {"job": job})))


def write_document(document: dict[str, Any], path: Path) -> None:
    """Write a document, whole or not at all."""
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        json.dump(document, file, indent=1, allow_nan=False, ensure_ascii=False)
        file.write("\n")


def read_document(path: Path) -> dict[str, Any]:
    """Read a document and turn its rows into frames.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    parts : dict
        ``frame, per_fold, by_popularity, chosen`` (pandas.DataFrame), ``settings`` and ``job`` (dict).

    Raises
    ------
    FileFormatError
        If the file is not JSON, or not of this schema.
    FileVersionError
        If a newer version of the package wrote it.
    """
    with open(path, encoding="utf-8") as file:
        try:
            document = json.load(file)
        except ValueError as error:
            raise FileFormatError(f"{path} is not JSON: {error}") from error
    _check_schema(document, path)
    pd = import_optional("pandas", extra="demo", purpose="Comparison.from_json")
    parts = {
        name: pd.DataFrame(document[name] or None, columns=None if document[name] else _EMPTY[name]) for name in _FRAMES
    }
    for frame in parts.values():
        for label in frame.columns.difference(["estimator", "metric", "params"]) if len(frame) else ():
            frame[label] = pd.to_numeric(frame[label])
    return parts | {"settings": document["settings"], "job": document.get("job", {})}


def _check_schema(document, path):
    """Raise an error for a document that this version of the package did not write and cannot read."""
    schema = document.get("schema") if isinstance(document, dict) else None
    kind, _, number = str(schema).rpartition("/")
    if kind == SCHEMA.rpartition("/")[0] and number.isdigit():
        check_format("comparison", int(number), path, document.get("settings", {}).get("versions", {}).get("skllmrec"))
    elif schema != SCHEMA:
        raise FileFormatError(
            f"{path} has schema {schema!r}, not {SCHEMA!r}: it was not written by this version's to_json"
        )
