"""Results of single folds on disk: written whole as soon as they are there, read again by the same configuration."""

import io
import json
import re
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from skllmrec._files import replacing
from skllmrec._format import FORMATS
from skllmrec._typing import Estimator, IntArray
from skllmrec._typing import Path as PathLike
from skllmrec.comparison._fingerprint import Fingerprint, digest, fingerprint_data, fingerprint_program
from skllmrec.comparison._fold import FoldResult
from skllmrec.exceptions import CheckpointError

_SUFFIX = ".npz"
_SCALARS = (bool, int, float, str, type(None))
# what a configuration consists of, in the words of messages
PARTS = {
    "data": "the data",
    "split": "the split",
    "estimator": "the parameters or the code of the estimator",
    "task": "the metrics",
    "seed": "the seed",
    "program": "the versions or the source of the program",
}


def plain(value: Any) -> Any:
    """Make a value that JSON can hold: numbers, texts, lists and dicts as they are, all else by its repr."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, _SCALARS):
        return value
    if isinstance(value, dict):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    return " ".join(repr(value).split())


@dataclass
class Checkpoint:
    """A folder with a file for each estimator and fold that is done.

    The name of a file ends with a digest of the data, the split, the estimator, the metrics, the seed and the versions,
    so that results of different configurations lie side by side and are never mixed. A file is an ``.npz`` archive of
    arrays, one of which is a text in JSON; nothing in it is executed when it is read.

    Parameters
    ----------
    folder : Path
    keys : dict of (str, int) to dict of str to str
        For each estimator and fold the digests of what decides the result, by the names in `PARTS`.
    unknown : dict of str to list of str
        Estimators that cannot be known again, and the parameters that are the reason: they are computed every time.
    resume : bool, default=True
        Whether results that are there are to be used.
    """

    folder: Path
    keys: dict[tuple[str, int], dict[str, str]]
    unknown: dict[str, list[str]]
    resume: bool = True

    def path(self, name: str, fold: int) -> Path:
        """Where the result of an estimator on a fold belongs."""
        readable = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[:40]
        key = digest(name, *(f"{part} {value}" for part, value in sorted(self.keys[name, fold].items())))
        return self.folder / f"{readable}-fold{fold + 1}-{key[:20]}{_SUFFIX}"

    def check_folder(self) -> None:
        """Raise an error where results cannot be written, before anything is computed.

        Raises
        ------
        CheckpointError
            If the folder cannot be made or written to, or a folder stands where the file of a result belongs.
        """
        lacking = [(name, fold) for name, fold in self.keys if name not in self.unknown]
        lacking = [key for key in lacking if not (self.resume and self.path(*key).is_file())]
        if not lacking:  # nothing is to be written
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder):
                pass
        except OSError as error:
            raise CheckpointError(
                f"no results can be kept in {self.folder} ({error.strerror or error}): name a folder that you may "
                "write to"
            ) from error
        for path in (self.path(*key) for key in lacking):
            if path.is_dir():
                raise CheckpointError(f"{path} is a folder where a file belongs: remove it")

    def save(self, result: FoldResult) -> None:
        """Write a result, unless its estimator cannot be known again.

        Parameters
        ----------
        result : FoldResult

        Raises
        ------
        ValueError
            If the ids of the users are neither texts nor numbers.
        """
        name, fold = result.estimator, result.fold
        if name in self.unknown:
            return
        users = result.users
        if users.dtype.hasobject and not all(isinstance(user, (str, int)) for user in users):
            raise ValueError(f"checkpoint_dir keeps ids of users that are texts or numbers, not {users[0]!r}")
        meta = {
            "format": FORMATS["fold"],
            "estimator": name,
            "fold": fold,
            "parts": self.keys[name, fold],
            "per_fold": plain(result.per_fold),
            "params": plain(result.params),
            "score": plain(result.score),
            "seconds": result.seconds,
            "users": users.tolist() if users.dtype.hasobject else None,
            "per_user": list(result.per_user),
            "by_popularity": list(result.by_popularity),
        }
        arrays: dict[str, Any] = {} if users.dtype.hasobject else {"users": users}
        for group in ("per_user", "by_popularity"):
            arrays |= {f"{group}{place}": values for place, values in enumerate(getattr(result, group).values())}
        with replacing(self.path(name, fold)) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, meta=np.array(json.dumps(meta)), **arrays)

    def load(self, name: str, fold: int) -> FoldResult | None:
        """Read a result; None where there is none of this configuration, or its file is damaged."""
        found = _read(self.path(name, fold), arrays=True) if name not in self.unknown else None
        if found is None or found[0]["parts"] != self.keys[name, fold]:
            return None
        meta, arrays = found
        users = arrays.get("users")
        if users is None:
            users = np.empty(len(meta["users"]), dtype=object)
            users[:] = meta["users"]
        groups = {
            group: {label: arrays[f"{group}{place}"] for place, label in enumerate(meta[group])}
            for group in ("per_user", "by_popularity")
        }
        return FoldResult(
            name,
            fold,
            users,
            per_fold=meta["per_fold"],
            params=meta["params"],
            score=meta["score"],
            seconds=meta["seconds"],
            **groups,
        )

    def notes(self, loaded: dict[tuple[str, int], FoldResult]) -> list[str]:
        """Describe what was found, what was not used and why, and what cannot be kept.

        Parameters
        ----------
        loaded : dict of (str, int) to FoldResult

        Returns
        -------
        notes : list of str
        """
        differing = Counter(self._differences(self.keys.keys() - loaded.keys()))
        notes = [f"{len(loaded)} of {len(self.keys)} results are in {self.folder} already"] if loaded else []
        notes += [
            f"{count} result{'s' * (count > 1)} of another configuration in {self.folder} left alone: "
            f"it differs in {why}"
            for why, count in differing.items()
        ]
        damaged = [
            path.name for path in sorted(self.folder.glob(f"*-fold*{_SUFFIX}")) if _read(path, arrays=True) is None
        ]
        if damaged:
            notes.append(f"damaged or unknown files in {self.folder} not used: {', '.join(damaged)}")
        for name, parts in self.unknown.items():
            notes.append(
                f"{name!r} is computed anew every time: {', '.join(parts)} cannot be recognised by another process "
                "(give its class get_params, or a __dict__ of plain values)"
            )
        return notes

    def _differences(self, lacking):
        """Words for the difference of each result of another configuration from the one that is lacking."""
        for path in sorted(self.folder.glob(f"*-fold*{_SUFFIX}")):
            meta, _ = _read(path) or (None, None)
            if meta is None or (meta["estimator"], meta["fold"]) not in lacking:
                continue
            mine = self.keys[meta["estimator"], meta["fold"]]
            differing = [words for part, words in PARTS.items() if meta["parts"].get(part) != mine[part]]
            if differing:
                yield ", ".join(differing)


_KEYS = {"estimator", "fold", "parts", "per_fold", "params", "score", "seconds", "users", "per_user", "by_popularity"}


def _read(path, *, arrays=False):
    """Return the description and the arrays in a file; None where there is no whole file of a known format."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as archive:
            meta = json.loads(archive["meta"].item())
            if not 1 <= meta["format"] <= FORMATS["fold"] or _KEYS - meta.keys() or not _is_whole(meta, archive):
                return None
            return meta, {name: archive[name] for name in archive.files if name != "meta"} if arrays else None
    except Exception:  # a damaged file fails in any way: the result is computed again, and the file is named
        return None


def _is_whole(meta, archive):
    """Whether an archive has the arrays that its description names, one value for each user or group of items."""
    n_users = len(archive["users"] if meta["users"] is None else meta["users"])
    per_user = [archive[f"per_user{place}"].shape for place in range(len(meta["per_user"]))]
    groups = [archive[f"by_popularity{place}"].shape for place in range(len(meta["by_popularity"]))]
    return all(shape == (n_users,) for shape in per_user) and len(set(groups)) <= 1


def make_checkpoint(
    folder: PathLike | None,
    estimators: dict[str, Estimator],
    data: list[Any],
    folds: list[tuple[IntArray, IntArray]],
    seeds: Sequence[int],
    task: tuple[Any, ...],
    *,
    resume: bool,
) -> Checkpoint | None:
    """Make the checkpoint of a comparison.

    Parameters
    ----------
    folder : path-like or None
    estimators : dict of str to estimator
    data : list
        The interactions, the ratings, the tables, the space of diversity.
    folds : list of (train, test)
    seeds : sequence of int
        One for each fold.
    task : tuple
        Metrics and options that decide the figures.
    resume : bool
        Whether results that are there are to be used.

    Returns
    -------
    checkpoint : Checkpoint or None
        None without a folder.

    Raises
    ------
    CheckpointError
        If results cannot be written there.
    """
    if folder is None:
        return None
    measured = Fingerprint(task)
    shared = {
        "data": digest(*map(fingerprint_data, data)),
        "task": measured.digest,
        "program": fingerprint_program(),
    }
    splits = [digest(*map(fingerprint_data, pair)) for pair in folds]
    prints = {name: Fingerprint(estimator) for name, estimator in estimators.items()}
    keys = {
        (name, fold): {**shared, "estimator": found.digest, "split": splits[fold], "seed": digest(str(seeds[fold]))}
        for name, found in prints.items()
        for fold in range(len(folds))
    }
    unknown = {name: [*found.unknown, *measured.unknown] for name, found in prints.items()}
    unknown = {name: parts for name, parts in unknown.items() if parts}
    checkpoint = Checkpoint(Path(folder), keys, unknown, resume)
    checkpoint.check_folder()
    return checkpoint
