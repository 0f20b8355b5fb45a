"""The benchmarks are no part of the package, but every one can be imported and prints its help."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BENCHMARKS = ROOT / "benchmarks"

# one process for all: its environment and its imports stay out of the other tests
PRINT_ALL_HELPS = """
import contextlib, importlib, io, sys

for name in sys.argv[1:]:
    module = importlib.import_module(name)
    if not hasattr(module, "main"):
        continue
    sys.argv = [name, "--help"]
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        try:
            module.main()
        except SystemExit as end:
            assert end.code == 0, name
        else:
            raise AssertionError(f"{name} runs when asked for help")
    assert printed.getvalue().startswith("usage:"), name
    print(name)
"""


def module_names():
    files = sorted(path.relative_to(ROOT).with_suffix("") for path in BENCHMARKS.rglob("*.py"))
    return [".".join(path.parts) for path in files if path.name != "__init__"]


@pytest.mark.skipif(not BENCHMARKS.is_dir(), reason="benchmarks/ is in the repository only, not in the package")
def test_every_benchmark_is_imported_and_prints_its_help():
    environment = {key: value for key, value in os.environ.items() if key != "SKLLMREC_DATA"}
    done = subprocess.run(
        [sys.executable, "-c", PRINT_ALL_HELPS, *module_names()],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    programs = {path.name for path in BENCHMARKS.glob("[a-z]*.py")} | {
        path.parent.name for path in BENCHMARKS.glob("*/__main__.py")
    }
    helped = {name.removeprefix("benchmarks.").removesuffix(".__main__") for name in done.stdout.split()}
    assert {name.removesuffix(".py") for name in programs} <= helped
