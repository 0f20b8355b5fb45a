"""Declarations of a model saved by sentence-transformers: how it turns hidden states into vectors; read and written."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from skllmrec._backbone.pooling import JOINT
from skllmrec._weights import MODULES, PROMPTS, TRANSFORMER

_OURS = {
    "mean": "mean",
    "cls": "cls",
    "max": "max",
    "lasttoken": "last",
    "weightedmean": "weighted_mean",
    "mean_sqrt_len_tokens": "mean_sqrt_length",
}
_FLAGS = {  # older files have a flag for each pooling; several are joined in this order
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
_TRAINING_ONLY = {"Dropout"}
_LENGTH = "max_seq_length"
_LOWER = "do_lower_case"


@dataclass(frozen=True)
class Declared:
    """How a saved sentence-transformers model makes vectors; all defaults where a folder declares nothing.

    Attributes
    ----------
    is_saved : bool
        Whether the folder was saved by sentence-transformers.
    pooling : str or None
        Name that `pool` takes; an unknown one keeps the model's name. None if no pooling is declared.
    skip_prompt : bool
        Whether the tokens of a prompt are left out of the pooling.
    normalize : bool
        Whether vectors are scaled to unit length.
    lower_case : bool
        Whether texts are changed to lower case before they are tokenised.
    max_length : int or None
        Tokens that are read; None: as many as the model can.
    n_components : int or None
        First dimensions that are kept, after the normalisation; None: all.
    prompts : dict of str to str
        Prompts by name, without those that are not set.
    default_prompt : str
        Put before every text where the call names no prompt.
    others : tuple of str
        Modules that change a vector and cannot be applied, e.g. ``"Dense"``.
    """

    is_saved: bool = False
    pooling: str | None = None
    skip_prompt: bool = False
    normalize: bool = False
    lower_case: bool = False
    max_length: int | None = None
    n_components: int | None = None
    prompts: dict[str, str] = field(default_factory=dict)
    default_prompt: str = ""
    others: tuple[str, ...] = ()


def _read(path, default):
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):  # not a sentence-transformers model
        return default
    return found if isinstance(found, type(default)) else default


def _read_list(path):
    return [entry for entry in _read(path, []) if isinstance(entry, dict)]


def _size(value):
    """Return a declared number, None where it is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def read_declared(path: Path) -> Declared:
    """Return how a model was saved to make vectors.

    Parameters
    ----------
    path : Path
        Directory of the model.

    Returns
    -------
    Declared
    """
    settings = _read(path / PROMPTS, {})
    declared = settings.get("prompts")
    prompts = {name: text for name, text in declared.items() if isinstance(text, str)} if declared else {}
    modules = _read_list(path / MODULES)
    if not modules:
        return Declared(prompts=prompts)
    found = _read_modules(path, modules)
    transformer = _read_transformer(path)
    default_name = settings.get("default_prompt_name")
    return Declared(
        is_saved=True,
        lower_case=transformer.get(_LOWER) is True,
        max_length=_size(transformer.get(_LENGTH)),
        n_components=_size(settings.get("truncate_dim")),
        prompts=prompts,
        default_prompt=prompts.get(default_name, "") if isinstance(default_name, str) else "",
        **found,
    )


def _read_transformer(path):
    """Read the settings of the transformer; older files are named after its architecture."""
    for file in [path / TRANSFORMER, *sorted(path.glob("sentence_*_config.json"))]:
        settings = _read(file, {})
        if settings:
            return settings
    return {}


def _read_modules(path, modules):
    pooling: str | None = None
    skip_prompt = normalize = False
    others: list[str] = []
    for module in modules:
        kind = str(module.get("type")).rpartition(".")[2]
        config = _read(path / str(module.get("path")) / "config.json", {})
        if kind == "Pooling":
            pooling, skip_prompt = _pooling(config), config.get("include_prompt") is False
        elif kind == "Normalize":
            ends = {config.get(name) or "sentence_embedding" for name in ("module_input_name", "module_output_name")}
            normalize |= pooling is not None and ends == {"sentence_embedding"}
        elif kind != "Transformer" and kind not in _TRAINING_ONLY:
            others.append(kind)
    return {"pooling": pooling, "skip_prompt": skip_prompt, "normalize": normalize, "others": tuple(others)}


def _pooling(config):
    modes = config.get("pooling_mode") or [mode for flag, mode in _FLAGS.items() if config.get(flag)] or ["mean"]
    modes = [modes] if isinstance(modes, str) else modes
    return JOINT.join(_OURS.get(mode, str(mode)) for mode in modes)


def write_declared(folder: Path, *, pooling: str, n_dims: int, max_length: int | None, normalize: bool) -> None:
    """Write how a model makes vectors, in the files from which sentence-transformers reads it.

    Parameters
    ----------
    folder : Path
        A folder that holds the model.
    pooling : str
        A name that `pool` takes.
    n_dims : int
        Length of a hidden state.
    max_length : int or None
        Tokens that are read; None: as many as the model can.
    normalize : bool
        Whether vectors are scaled to unit length.
    """
    kinds = ["Transformer", "Pooling", *(["Normalize"] if normalize else [])]
    modules = [
        {"idx": i, "name": str(i), "path": f"{i}_{kind}" if i else "", "type": f"sentence_transformers.models.{kind}"}
        for i, kind in enumerate(kinds)
    ]
    config: dict[str, Any] = {"word_embedding_dimension": n_dims}
    config |= {flag: _OURS[mode] == pooling for flag, mode in _FLAGS.items()}
    settings = _read(folder / PROMPTS, {})
    files: dict[str, Any] = {
        MODULES: modules,
        "1_Pooling/config.json": config,
        TRANSFORMER: {_LENGTH: max_length, _LOWER: False},
    }
    if settings:  # of the model that was trained on, without what the training did not use
        settings.pop("truncate_dim", None)
        files[PROMPTS] = settings | {"default_prompt_name": None}
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(json.dumps(content, indent=2), encoding="utf-8")
    if normalize:
        (folder / "2_Normalize").mkdir(exist_ok=True)
        (folder / "2_Normalize" / "config.json").write_text("{}", encoding="utf-8")
