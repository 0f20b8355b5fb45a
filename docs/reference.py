"""Write the API reference from the catalogue of the package: a section per package, a row per name."""

from importlib import import_module
from pathlib import Path

import skllmrec

# in the order in which a newcomer meets them
ORDER = (
    "recommenders",
    "encoders",
    "language_models",
    "preprocessing",
    "datasets",
    "metrics",
    "model_selection",
    "inspection",
    "comparison",
    "base",
    "retrieval",
    "testing",
    "exceptions",
)


def names_of(package: str) -> list[str]:
    """List the public names of one package, in the order of its page."""
    module = import_module(f"skllmrec.{package}")
    return list(getattr(module, "__all__", None) or sorted(name for name in vars(module) if name[0] != "_"))


def section(package: str) -> str:
    """Make the reStructuredText of one package: its title, its purpose and a table of its names."""
    title = f"skllmrec.{package}"
    module = import_module(title)
    rows = "\n".join(f"   {name}" for name in names_of(package))
    table = f".. autosummary::\n   :toctree: generated\n   :nosignatures:\n\n{rows}\n"
    return f"{title}\n{'-' * len(title)}\n\n{module.__doc__.strip()}\n\n.. currentmodule:: {title}\n\n{table}"


def write(folder: Path) -> None:
    """Write ``index.rst`` into `folder`, only if it changed, so that a second build is quick.

    Parameters
    ----------
    folder : pathlib.Path

    Raises
    ------
    ValueError
        If a package of the catalogue has no place in the reference.
    """
    missing = set(skllmrec._PACKAGES) - set(ORDER)
    if missing:
        raise ValueError(f"docs/reference.py: add {sorted(missing)} to ORDER")
    text = "API reference\n=============\n\n" + "\n".join(section(package) for package in ORDER)
    path = folder / "index.rst"
    folder.mkdir(exist_ok=True)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
