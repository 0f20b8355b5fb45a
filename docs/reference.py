"""Write the API reference from the catalogue of the package: a section per package, a row per name."""

import inspect
from importlib import import_module

import skllmrec

# in the order in which a newcomer meets them
ORDER = ("recommenders", "encoders", "preprocessing", "datasets", "metrics", "model_selection", "comparison",
         "base", "testing", "exceptions")  # fmt: skip


def public_names(package):
    """Names of the catalogue that live in `package`; the exceptions are all classes of their file."""
    names = [name for name, home in skllmrec._PUBLIC.items() if home == package]
    if package == "exceptions":
        names = [
            name for name, _ in inspect.getmembers(import_module("skllmrec.exceptions"), inspect.isclass)
        ]
    return sorted(names)


def section(package):
    """The reStructuredText of one package: its title, its purpose and a table of its names."""
    title = f"skllmrec.{package}"
    purpose = import_module(title).__doc__.strip()
    rows = "\n".join(f"   {name}" for name in public_names(package))
    table = f".. autosummary::\n   :toctree: generated\n   :nosignatures:\n\n{rows}\n"
    return f"{title}\n{'-' * len(title)}\n\n{purpose}\n\n.. currentmodule:: {title}\n\n{table}"


def write(folder):
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
    sections = [section(package) for package in ORDER if public_names(package)]
    text = "API reference\n=============\n\n" + "\n".join(sections)
    path = folder / "index.rst"
    folder.mkdir(exist_ok=True)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
