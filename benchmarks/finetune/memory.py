"""Peak memory of the objective "interactions", for catalogues of several sizes; a process for each."""

import argparse
import json
import tempfile
from collections.abc import Iterator

from benchmarks.common.measure import Table, run_in_child

N_USERS = 1000
N_LIKES = 8  # of an item
WORDS = ["war", "love", "space", "city", "ghost", "king", "river", "night", "road", "dream", "ship", "winter", "dog"]


def _measure(n_items, n_epochs):
    """Peak of anonymous memory of a fit, in bytes."""
    import numpy as np
    from scipy.sparse import csr_matrix

    from benchmarks.common.measure import MemoryWatch
    from skllmrec import LLMFineTuner

    rng = np.random.default_rng(0)
    words = np.array(WORDS)
    texts = [" ".join(line) for line in words[rng.integers(len(words), size=(n_items, 8))]]
    users = rng.integers(N_USERS, size=n_items * N_LIKES)
    liked = csr_matrix((np.ones(len(users)), (np.repeat(np.arange(n_items), N_LIKES), users)), (n_items, N_USERS))
    with tempfile.TemporaryDirectory() as folder, MemoryWatch() as watch:
        tuner = LLMFineTuner(objective="interactions", max_epochs=n_epochs, batch_size=512, device="cpu")
        tuner.set_params(patience=None, random_state=0, checkpoint_dir=folder).fit(texts, liked)
    return watch.peak


def peak_memory(options: argparse.Namespace) -> Iterator[Table]:
    """Peak memory beside the number of items."""
    peaks = {}
    for n_items in options.sizes:
        # as many steps for each size: the heap of a process is fragmented a little more by every step
        peaks[n_items] = run_in_child("benchmarks.finetune.memory", n_items, max(options.sizes) // n_items)
    first = peaks[options.sizes[0]]
    rows = [
        {"items": f"{n_items:,}", "peak (MB)": f"{peak / 1e6:.0f}", "to the first": f"{peak / first - 1:+.0%}"}
        for n_items, peak in peaks.items()
    ]
    yield 'anonymous memory at its peak in a fit with objective="interactions", batches of 512 items', rows


def main() -> None:
    """Run in the child process: print the peak as JSON."""
    parser = argparse.ArgumentParser(description="Peak of the memory of a fit in bytes, as JSON.")
    parser.add_argument("n_items", type=int)
    parser.add_argument("n_epochs", type=int)
    options = parser.parse_args()
    print(json.dumps(_measure(options.n_items, options.n_epochs)))


if __name__ == "__main__":
    main()
