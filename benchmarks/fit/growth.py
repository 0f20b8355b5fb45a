"""How time and memory grow with the number of interactions."""

import argparse
from collections.abc import Iterator
from multiprocessing import get_context

import numpy as np

from benchmarks.common.measure import MemoryWatch, Table, Timing
from benchmarks.common.synthetic import make_interactions
from skllmrec._kernels.als.feature_als import fit_feature_als
from skllmrec._typing import FloatArray

SIZES = (200_000, 630_000, 2_000_000, 6_300_000, 20_000_000)
LENGTH = 36  # of a history; users and items grow along
SWEEPS = 5
_ROWS, _COLUMNS = 12, 61


def text_plot(x: FloatArray, y: FloatArray, unit: str) -> str:
    """Draw points with logarithmic axes, and a line of exponent 1 through the first of them."""
    x, y = np.log10(x), np.log10(y)
    low, high = y.min(), max(y.max(), y[0] + x[-1] - x[0])
    grid = [[" "] * _COLUMNS for _ in range(_ROWS)]

    def put(at, value, mark):
        column = round((at - x[0]) / (x[-1] - x[0]) * (_COLUMNS - 1))
        row = round((value - low) / (high - low) * (_ROWS - 1))
        if 0 <= row < _ROWS:
            grid[_ROWS - 1 - row][column] = mark

    for at in np.linspace(x[0], x[-1], _COLUMNS):
        put(at, y[0] + at - x[0], ".")
    for at, value in zip(x, y, strict=True):
        put(at, value, "o")
    labels = [f"{10**high:9.3g} {unit}", *[""] * (_ROWS - 2), f"{10**low:9.3g} {unit}"]
    lines = [f"{label:>13} |{''.join(line)}" for label, line in zip(labels, grid, strict=True)]
    ends = f"{10 ** x[0]:.2g}".ljust(_COLUMNS - 8) + f"{10 ** x[-1]:.2g} interactions"
    return "\n".join([*lines, " " * 14 + "+" + "-" * _COLUMNS, " " * 15 + ends])


def exponent(x: FloatArray, y: FloatArray) -> float:
    """Slope of a line through the points, in logarithms."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def _draw(path, interactions, seconds, memory):
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(9, 3.5))
    for axis, values, label in zip(axes, (seconds, memory), ("CPU seconds", "MiB above the input"), strict=True):
        axis.loglog(interactions, values, "o", label="measured")
        axis.loglog(interactions, values[0] * interactions / interactions[0], ":", label="linear")
        axis.set(xlabel="interactions", ylabel=label)
        axis.legend()
    figure.tight_layout()
    figure.savefig(path)


def measure(size: int) -> tuple[tuple[int, int], int, float, float]:
    """Fit once, in a process of its own: shape, interactions, seconds, MiB above the input."""
    pairs = make_interactions(size // LENGTH, size // LENGTH * 2 // 5, LENGTH)
    fit_feature_als(pairs[:50], alpha=0.02, max_iter=1)  # compile
    timing = Timing()
    with MemoryWatch() as watch:
        timing.add(lambda: fit_feature_als(pairs, alpha=0.02, max_iter=SWEEPS))
    return pairs.shape, pairs.nnz, timing.cpu[0], (watch.peak - watch.start) / 2**20


def growth(options: argparse.Namespace) -> Iterator[Table]:
    """One table, and pictures under it."""
    rows, found = [], []
    for size in SIZES[: 2 if options.quick else None]:
        with get_context("spawn").Pool(1) as pool:
            shape, nnz, seconds, memory = pool.apply(measure, (size,))
        found.append((nnz, seconds, memory))
        rows.append(
            {
                "interactions": f"{nnz:,}",
                "users x items": f"{shape[0]:,} x {shape[1]:,}",
                "CPU s": f"{seconds:.2f}",
                "ns per interaction and sweep": f"{1e9 * seconds / nnz / SWEEPS:.0f}",
                "MiB above the input": f"{memory:.0f}",
                "bytes per interaction": f"{memory * 2**20 / nnz:.0f}",
            }
        )
    interactions, seconds, memory = np.array(found).T
    exponents = exponent(interactions, seconds), exponent(interactions, memory)
    yield f"{SWEEPS} sweeps of 64 factors; exponents: time {exponents[0]:.2f}, memory {exponents[1]:.2f}", rows
    print(f"\n{text_plot(interactions, seconds, 's')}\n\n{text_plot(interactions, memory, 'MiB')}", flush=True)
    if options.plot:
        _draw(options.plot, interactions, seconds, memory)
