"""The versions of what the package writes to disk, and the error for a file that this version cannot read."""

from typing import Any

from skllmrec import __version__
from skllmrec.exceptions import FileVersionError

__all__ = ["FORMATS", "VersionedStateMixin", "check_format"]

# The format of each kind of file that outlives a process. A number is raised when what is written can no longer be read
# by the releases before; the code that reads then converts the formats before, which tests/formats holds files of.
FORMATS = {
    "estimator": 1,  # attributes of a fitted estimator: joblib, pickle, skops
    "store": 2,  # tables of an embedding store; 1 was never released and is converted
    "comparison": 1,  # Comparison.to_json
    "fold": 1,  # files of compare_recommenders(checkpoint_dir=...)
    "training": 1,  # files of checkpoint_dir= of the estimators
    "vectors": 1,  # the .json file beside out=
    "profiles": 1,  # memory= of LLMProfileWriter; a file that names none is of format 1
}
_KEY = "_skllmrec_format"  # in the state of an estimator: {"format": int, "version": str}


def check_format(kind: str, found: Any, where: object, version: str | None = None) -> None:
    """Refuse a file whose format this version of the package does not know.

    Parameters
    ----------
    kind : str
        A key of `FORMATS`.
    found : object
        The format that the file names; anything but a whole number from 1 on is no format.
    where : object
        The file, or the class of a saved estimator, for the message.
    version : str or None, default=None
        The version of the package that wrote the file, if it is known.

    Raises
    ------
    FileVersionError
        If `found` is not a format, or is higher than that of this version.
    """
    known = FORMATS[kind]
    if isinstance(found, int) and not isinstance(found, bool) and 1 <= found <= known:
        return
    if isinstance(found, int) and found > known:
        writer = f"skllmrec {version}" if version else "a newer skllmrec"
        raise FileVersionError(
            f"{where} was saved by {writer} in {kind} format {found}, but this is skllmrec {__version__}, which reads "
            f"formats up to {known}: install {f'{writer} or newer' if version else writer}, or make the file again "
            "with this version"
        )
    raise FileVersionError(
        f"{where} names no {kind} format that skllmrec {__version__} knows ({found!r}; it reads formats up to "
        f"{known}): it was saved by a version before 0.1.0 or is damaged; make it again with this version"
    )


class VersionedStateMixin:
    """Saved files of an estimator name the format of its attributes, and are refused where that is not known.

    Stands before scikit-learn's BaseEstimator in the list of bases. pickle, joblib, skops and copy go through the two
    methods; a class with a `__getstate__` of its own calls this one and keeps the keys that it does not know.
    """

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        return {**state, _KEY: {"format": FORMATS["estimator"], "version": __version__}}  # type: ignore[dict-item]

    def __setstate__(self, state: dict[str, Any]) -> None:
        saved = state.get(_KEY, {})
        check_format("estimator", saved.get("format"), type(self).__name__, saved.get("version"))
        state = {name: value for name, value in state.items() if name != _KEY}
        super().__setstate__(state)  # type: ignore[misc]
