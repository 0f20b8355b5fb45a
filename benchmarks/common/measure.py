"""What the benchmark scripts share: command line, runs that take turns, tables, the machine in words, memory."""

import argparse
import gc
import os
import platform
import threading
import time
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

import numpy as np


@dataclass
class Timing:
    """Seconds of the repeated runs of one contestant, and what the last run returned."""

    cpu: list = field(default_factory=list)  # of all threads of this process
    wall: list = field(default_factory=list)
    result: object = None

    def add(self, function):
        """Run once more."""
        gc.collect()
        cpu, wall = time.process_time(), time.perf_counter()
        self.result = function()
        self.cpu.append(time.process_time() - cpu)
        self.wall.append(time.perf_counter() - wall)


def take_turns(functions, rounds):
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


def markdown(rows):
    """Make a Markdown table of dicts with the same keys; the first column is text, the others are numbers or text."""
    names = list(rows[0])
    cells = [names, *([str(row.get(name, "")) for name in names] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(names))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in cells
    ]
    rule = [":" + "-" * (widths[0] + 1), *("-" * (width + 1) + ":" for width in widths[1:])]
    return "\n".join([lines[0], "|" + "|".join(rule) + "|", *lines[1:]])


def parser_of_parts(description, parts):
    """Make the command line of a script that consists of parts: `--data` and `--parts`."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("SKLLMREC_DATA"), help="default: SKLLMREC_DATA")
    parser.add_argument("--parts", nargs="+", default=list(parts), choices=list(parts))
    return parser


def print_parts(parts, options):
    """Run the parts that the options name, and print their tables as they come, and seconds.

    Parameters
    ----------
    parts : dict of str to callable
        From the options to pairs of a title and rows for `markdown`.
    options : argparse.Namespace
    """
    for part in options.parts:
        start = time.perf_counter()
        for title, rows in parts[part](options):
            print(f"\n**{part}**: {title}\n\n{markdown(rows)}", flush=True)
        print(f"\n({part}: {time.perf_counter() - start:.0f} s)", flush=True)


def machine():
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


def versions(*packages):
    """Name the installed versions of some packages."""
    return ", ".join(f"{package} {metadata.version(package)}" for package in packages)


def _status_bytes(name):
    """Read a count of bytes from what the kernel says about this process (Linux)."""
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith(name))


def peak_resident_bytes():
    """Most memory that this process ever had resident, pages of files included."""
    return _status_bytes("VmHWM")


class MemoryWatch:
    """Peak of the anonymous memory of this process while a block runs, sampled.

    Pages of a memory-mapped result are the kernel's to keep or drop, and do not count.
    """

    def __init__(self, interval=0.02):
        self._interval, self._over = interval, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.peak = 0

    def _watch(self):
        while not self._over.wait(self._interval):
            self.peak = max(self.peak, _status_bytes("RssAnon"))

    def __enter__(self):
        self.start = self.peak = _status_bytes("RssAnon")
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._over.set()
        self._thread.join()
        self.peak = max(self.peak, _status_bytes("RssAnon"))


def percent(part, whole):
    """Format a share."""
    return f"{part / whole:.0%}"


def median(values):
    """Middle of a list."""
    return float(np.median(values))
