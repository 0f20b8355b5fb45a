"""Declarations of a model saved by sentence-transformers: prompts, pooling, modules behind the pooling."""

import json
from pathlib import Path

from skllmrec._weights import MODULES, PROMPTS

_OURS = {"mean": "mean", "cls": "cls", "max": "max", "lasttoken": "last", "weightedmean": "weighted_mean"}
_FLAGS = {  # older files have a flag for each pooling
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_lasttoken": "lasttoken",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
}
_KNOWN = {"Transformer", "Pooling", "Normalize"}


def _read(path, default):
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # not a sentence-transformers model
        return default
    return found if isinstance(found, type(default)) else default


def _read_list(path):
    return [entry for entry in _read(path, []) if isinstance(entry, dict)]


def read_prompts(path: Path) -> dict[str, str]:
    """Return the prompts that a model declares by name, without those that are not set.

    Parameters
    ----------
    path : Path
        Directory of the model.

    Returns
    -------
    dict of str to str
    """
    declared = _read(path / PROMPTS, {}).get("prompts")
    return {name: text for name, text in (declared or {}).items() if isinstance(text, str)}


def read_modules(path: Path) -> tuple[str | None, tuple[str, ...]]:
    """Return how a model was trained to pool its hidden states into a vector.

    Parameters
    ----------
    path : Path
        Directory of the model.

    Returns
    -------
    pooling : str or None
        The name of `pool` where it has one, else the model's own. None if the model declares none.
    others : tuple of str
        Modules behind the pooling that change more than the length of a vector, e.g. ``"Dense"``.
    """
    pooling: str | None = None
    others: list[str] = []
    for module in _read_list(path / MODULES):
        kind = str(module.get("type")).rpartition(".")[2]
        if kind == "Pooling":
            pooling = _pooling(_read(path / str(module.get("path")) / "config.json", {}))
        elif kind not in _KNOWN:
            others.append(kind)
    return pooling, tuple(others)


def _pooling(config):
    modes = config.get("pooling_mode") or [mode for flag, mode in _FLAGS.items() if config.get(flag)]
    modes = [modes] if isinstance(modes, str) else modes
    return " + ".join(_OURS.get(mode, mode) for mode in modes) or None
