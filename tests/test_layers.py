"""A file imports only from lower layers, and importing the package loads nothing heavy."""

import ast
import re
from pathlib import Path

import pytest
from fresh_process import run_python

import skllmrec

ROOT = Path(skllmrec.__file__).parent
LAYERS = [
    {
        "_column_names",
        "_device",
        "_foreign",
        "_free_memory",
        "_missing",
        "_optional",
        "_sklearn",
        "_terminal",
        "_typing",
        "exceptions",
    },
    {
        "_drawing",
        "_files",
        "_format",
        "_ids",
        "_inputs",
        "_kernels",
        "_peak_memory",
        "_progress",
        "_remote_api",
        "_times",
        "_weights",
    },
    {"_backbone", "_store", "_texts", "_training", "datasets", "metrics", "retrieval"},
    {"base", "preprocessing"},
    {"encoders", "language_models", "recommenders"},
    {"inspection", "model_selection", "testing"},
    {"comparison"},
    {"_cli"},
    {"__init__", "__main__"},
]
LAYER_OF = {name: level for level, names in enumerate(LAYERS) for name in names}
FILES = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in sorted(ROOT.rglob("*.py"))}


def imported_parts(module, tree):
    """First-level modules of the package that a file imports anywhere, inside functions too."""
    package = ["skllmrec", *module.split(".")[:-1]]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else []
            base = [*base, node.module] if node.module else base
            names = [".".join([*base, alias.name]) for alias in node.names if alias.name != "__version__"]
        else:
            continue
        for name in names:
            parts = name.split(".")
            if parts[0] == "skllmrec":
                known = len(parts) > 1 and ((ROOT / parts[1]).is_dir() or (ROOT / f"{parts[1]}.py").is_file())
                yield parts[1] if known else "__init__"


def test_contributing_shows_the_same_table():
    text = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| ([^|]*) \|", text, re.MULTILINE)
    named = {int(level): set(re.findall(r"`(\w+)`", cell)) for level, cell in rows}
    assert named == dict(enumerate(LAYERS)), "CONTRIBUTING.md and LAYERS above say the same, in backticks"


def test_every_part_has_a_layer():
    assert {module.split(".")[0] for module in FILES} == set(LAYER_OF)


@pytest.mark.parametrize("module", FILES)
def test_imports_only_from_lower_layers(module):
    part = module.split(".")[0]
    for other in set(imported_parts(module, ast.parse(FILES[module].read_bytes()))) - {part}:
        assert LAYER_OF[other] < LAYER_OF[part], (
            f"{module} (layer {LAYER_OF[part]}) imports {other} (layer {LAYER_OF[other]}): "
            "a file imports only from lower layers"
        )


IMPORT_WITHOUT = """
import importlib, sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {heavy!r}:
            raise ModuleNotFoundError("imported while the package is imported: " + name)

sys.meta_path.insert(0, Refuse())
for name in {packages!r}:
    importlib.import_module(name)
"""


def test_importing_every_package_loads_nothing_heavy():
    # refused, not looked up in sys.modules afterwards: scikit-learn loads pandas by itself where it can
    heavy = ("torch", "transformers", "numba", "pandas", "polars", "pyarrow", "matplotlib", "tqdm", "skops")
    packages = ["skllmrec", *(f"skllmrec.{name}" for name in skllmrec._PACKAGES)]
    code = IMPORT_WITHOUT.format(heavy=heavy, packages=packages)
    run_python(code)
