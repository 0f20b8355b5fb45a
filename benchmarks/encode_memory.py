"""Peak memory of encoding by number of texts: from an iterator into a file, block by block.

Usage: OMP_NUM_THREADS=1 python benchmarks/encode_memory.py [--texts 10000 100000 1000000] [--model MODEL]

Every count runs in a fresh process; its peak is the most memory that it ever had resident. Flat is what is wanted: the
last column is the peak relative to that of the first count. The texts are short and all different, so that a million
of them take minutes, not hours: MiniLM on one core encodes about 1,500 a second.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MODEL = "sentence-transformers/all-MiniLM-L6-v2"


def peak_megabytes():
    """Most memory that this process has had resident."""
    status = Path("/proc/self/status")
    if status.exists():  # the counter of getrusage begins with what the parent process had
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1024)


def encode(model, n_texts):
    """Encode texts in this process and print rows, peak and processor seconds."""
    from skllmrec import LLMTextEncoder

    encoder = LLMTextEncoder(model, max_length=16, device="cpu").fit(["a text"])
    start = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        texts = (f"film number {number} by the sea" for number in range(n_texts))
        rows = len(encoder.transform(texts, out=Path(folder) / "vectors.npy"))
    print(rows, peak_megabytes(), time.process_time() - start)


def measure(model, n_texts):
    """Peak in megabytes and processor seconds of a fresh process that encodes `n_texts` texts."""
    command = [sys.executable, __file__, "--inside", "--model", model, "--texts", str(n_texts)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - this file
    rows, peak, seconds = map(float, done.stdout.split())
    if rows != n_texts:
        raise RuntimeError(f"{rows:.0f} vectors for {n_texts} texts")
    return peak, seconds


def memory_table(counts, model=MODEL):
    """Print a row for each count of texts."""
    print(f"{'texts':>12}{'peak MB':>10}{'seconds':>10}{'relative':>10}", flush=True)
    first = None
    for n_texts in counts:
        peak, seconds = measure(model, n_texts)
        first = first or peak
        print(f"{n_texts:>12,}{peak:>10.0f}{seconds:>10.1f}{peak / first:>9.3f}x", flush=True)


def main():
    """Measure every count, or, inside a process of its own, one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--model", default=MODEL, help="directory or name of a language model")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    os.environ.setdefault("RAYON_NUM_THREADS", os.environ.get("OMP_NUM_THREADS", "1"))
    if arguments.inside:
        encode(arguments.model, *arguments.texts)
    else:
        memory_table(arguments.texts, arguments.model)


if __name__ == "__main__":
    main()
