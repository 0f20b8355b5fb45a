"""What the benchmarks share: command line, runs that take turns, tables, a description of the machine, memory."""

import argparse
import gc
import json
import os
import platform
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from skllmrec._typing import ArrayLike

Table: TypeAlias = tuple[str, Sequence[Mapping[str, Any]]]  # a title, and rows for `markdown`
ROOT = Path(__file__).parents[2]  # where `python -m benchmarks...` finds this package


@dataclass
class Timing:
    """Seconds of the repeated runs of one contestant, and the result of the last run."""

    cpu: list[float] = field(default_factory=list)  # of all threads of this process
    wall: list[float] = field(default_factory=list)
    result: Any = None

    def add(self, function: Callable[[], Any]) -> None:
        """Run once more."""
        gc.collect()
        cpu, wall = time.process_time(), time.perf_counter()
        self.result = function()
        self.cpu.append(time.process_time() - cpu)
        self.wall.append(time.perf_counter() - wall)


def take_turns(functions: Mapping[Any, Callable[[], Any]], rounds: int) -> dict[Any, Timing]:
    """Run functions without arguments in turn, so that a slow minute of the machine hits all of them.

    Parameters
    ----------
    functions : dict of str to callable
    rounds : int

    Returns
    -------
    dict of str to Timing
    """
    timings = {name: Timing() for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            timings[name].add(function)
    return timings


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """Make a Markdown table of dicts with the same keys; the first column is text, the others are numbers or text."""
    names = list(rows[0])
    cells = [names, *([str(row.get(name, "")) for name in names] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(names))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in cells
    ]
    rule = [":" + "-" * (widths[0] + 1), *("-" * (width + 1) + ":" for width in widths[1:])]
    return "\n".join([lines[0], "|" + "|".join(rule) + "|", *lines[1:]])


def make_parser(description: str | None) -> argparse.ArgumentParser:
    """Make a command line whose help shows the description as it is."""
    return argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)


def add_data_option(parser: argparse.ArgumentParser) -> None:
    """Add `--data`, the folder of the data sets."""
    parser.add_argument("--data", type=Path, default=os.environ.get("SKLLMREC_DATA"), help="default: SKLLMREC_DATA")


def require_data(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """End with an error message if no folder of data sets is known."""
    if options.data is None:
        parser.error("name the folder of the data sets: --data, or SKLLMREC_DATA")


def require_packages(*packages: str) -> None:
    """End with a sentence that names the packages that are missing and how to get them."""
    missing = [package for package in packages if not _is_installed(package)]
    if missing:
        raise SystemExit(
            f"this benchmark compares with packages that are not installed here: {', '.join(missing)}. Run "
            "`make bench-env`, then the same command with .venv-bench/bin/python"
        )


def _is_installed(package):
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True


def parser_of_parts(description: str | None, parts: Iterable[str]) -> argparse.ArgumentParser:
    """Make the command line of a benchmark that consists of parts: `--data` and `--parts`."""
    parser = make_parser(description)
    add_data_option(parser)
    parser.add_argument("--parts", nargs="+", default=list(parts), choices=list(parts))
    return parser


def print_parts(
    parts: Mapping[str, Callable[[argparse.Namespace], Iterable[Table]]], options: argparse.Namespace
) -> None:
    """Run the parts that the options name, and print their tables, each as soon as it is complete, and seconds.

    Parameters
    ----------
    parts : dict of str to callable
        From the options to pairs of a title and rows for `markdown`.
    options : argparse.Namespace
    """
    print(f"Machine: {machine()}", flush=True)
    for part in options.parts:
        start = time.perf_counter()
        for title, rows in parts[part](options):
            print(f"\n**{part}**: {title}\n\n{markdown(rows)}", flush=True)
        print(f"\n({part}: {time.perf_counter() - start:.0f} s)", flush=True)


def machine() -> str:
    """Describe processor and thread settings, without names of hosts."""
    import threadpoolctl
    import torch

    pools = threadpoolctl.threadpool_info()
    kernels = sorted({pool["architecture"] for pool in pools if pool.get("internal_api") == "openblas"})
    pinned = " (pinned by OPENBLAS_CORETYPE)" if "OPENBLAS_CORETYPE" in os.environ else ""
    return (
        f"{os.cpu_count()} cores, {platform.machine()} with {torch.backends.cpu.get_cpu_capability()}; "
        f"{torch.get_num_threads()} thread(s); torch {torch.__version__}, OpenBLAS kernels {', '.join(kernels)}{pinned}"
    )


def versions(*packages: str) -> str:
    """Name the installed versions of some packages; those that are missing are left out."""
    return ", ".join(f"{package} {metadata.version(package)}" for package in packages if _is_installed(package))


def run_in_child(module: str, *arguments: object) -> Any:
    """Run a module of this package in a process of its own.

    Parameters
    ----------
    module : str
        Name of the module; run as a program, it prints JSON on its last line.
    *arguments : object
        Of its command line.

    Returns
    -------
    object
        What it printed.
    """
    command = [sys.executable, "-m", module, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own module
    return json.loads(done.stdout.splitlines()[-1])


def _status_bytes(name):
    """Read a number of bytes from the status of this process (Linux)."""
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith(name))


def peak_resident_bytes() -> int:
    """Peak of the resident memory of this process so far, pages of files included."""
    return _status_bytes("VmHWM")


class MemoryWatch:
    """Peak of the anonymous memory of this process while a block runs, sampled.

    Pages of a memory-mapped file do not count: the kernel drops them when memory is short.
    """

    def __init__(self, interval: float = 0.02) -> None:
        self._interval = interval
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.peak = 0

    def _watch(self):
        while not self._over.wait(self._interval):
            self.peak = max(self.peak, _status_bytes("RssAnon"))

    def __enter__(self) -> "MemoryWatch":
        self.start = self.peak = _status_bytes("RssAnon")
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()
        self.peak = max(self.peak, _status_bytes("RssAnon"))


def percent(part: float, whole: float) -> str:
    """Format a share."""
    return f"{part / whole:.0%}"


def median(values: ArrayLike) -> float:
    """Middle of a list."""
    return float(np.median(values))
