"""Peak memory of the objective "interactions", for catalogues of several sizes; a process for each."""

import json
import subprocess
import sys
import tempfile

N_USERS = 1000
N_LIKES = 8  # of an item
WORDS = ["war", "love", "space", "city", "ghost", "king", "river", "night", "road", "dream", "ship", "winter", "dog"]


def _measure(n_items, n_epochs):
    """Peak of anonymous memory of a fit, in bytes; runs in a process of its own."""
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
        tuner = LLMFineTuner(objective="interactions", max_iter=n_epochs, batch_size=512, device="cpu")
        tuner.set_params(n_iter_no_change=None, random_state=0, checkpoint_dir=folder).fit(texts, liked)
    return watch.peak


def peak_memory(options):
    """Peak memory beside the number of items."""
    peaks = {}
    for n_items in options.sizes:
        # as many steps for each size: the heap of a process frays a little with every step
        command = [sys.executable, "-m", "benchmarks.finetune.memory", str(n_items), str(max(options.sizes) // n_items)]
        peaks[n_items] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)  # noqa: S603 - our own
    first = peaks[options.sizes[0]]
    rows = [
        {"items": f"{n_items:,}", "peak (MB)": f"{peak / 1e6:.0f}", "to the first": f"{peak / first - 1:+.0%}"}
        for n_items, peak in peaks.items()
    ]
    yield 'anonymous memory at its peak in a fit with objective="interactions", batches of 512 items', rows


if __name__ == "__main__":
    print(json.dumps(_measure(*map(int, sys.argv[1:]))))
