"""A warm store with many vectors, and the memory of encoding many texts; also the child process that is measured."""

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.common.measure import MemoryWatch, Table, median, peak_resident_bytes, run_in_child, take_turns
from benchmarks.encode.texts import MODEL
from skllmrec import LLMTextEncoder
from skllmrec.base import BaseTextEncoder

N_DIMS = 384
LOOK_UPS = 5


class _RandomJob:
    """Random vectors, which cost almost nothing to make."""

    def __init__(self, texts):
        self._texts = texts
        self.costs = np.ones(len(texts), dtype=np.intp)
        self.groups = np.array_split(np.arange(len(texts)), max(1, len(texts) // 1000))

    def encode(self, positions):
        return np.random.default_rng(len(positions)).normal(size=(len(positions), N_DIMS)).astype(np.float32)


class _RandomEncoder(BaseTextEncoder):
    """An encoder that goes through checks, de-duplication and store as every text encoder, but has no model."""

    def __init__(self, memory=None):
        self.memory = memory

    def _fit_encoder(self, texts):
        return N_DIMS

    def _identity(self):
        return {"encoder": "random"}

    def _start(self, texts):
        return _RandomJob(texts)


def warm_store(options: argparse.Namespace) -> Iterator[Table]:
    """Fill a store, look everything up again in new connections."""
    texts = [
        f"Item {number}: a title and a sentence or two that describe it. " * 3 for number in range(options.vectors)
    ]
    with tempfile.TemporaryDirectory() as folder:
        encoder = _RandomEncoder(memory=folder).fit(texts[:1])
        written = take_turns({"write": lambda: encoder.transform(texts)}, 1)["write"]
        found = take_turns({"look up": lambda: encoder.transform(texts)}, LOOK_UPS)["look up"]
        if not np.array_equal(found.result, written.result):
            raise RuntimeError("the store gives other vectors than were written")
        size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
    yield (
        f"{len(texts):,} vectors of {N_DIMS} numbers, {np.mean([len(text) for text in texts]):.0f} characters a text; "
        f"{size / len(texts):,.0f} bytes each on disk",
        [
            {"what": what, "wall s": f"{median(t.wall):.2f}", "CPU s": f"{median(t.cpu):.2f}", "runs": len(t.cpu)}
            for what, t in (("write (vectors that cost nothing)", written), ("look up, warm", found))
        ],
    )


def memory(options: argparse.Namespace) -> Iterator[Table]:
    """Encode few and many texts, each in a process of its own, into a file."""
    rows = [{"n": size, **run_in_child("benchmarks.encode.store", size)} for size in options.sizes]
    yield (
        "an iterator of texts into a .npy file; token embeddings of MiniLM (layer=0): tokenizer, batches, pooling and "
        "file as always, but no layers of the transformer, so that a million texts take minutes",
        [
            {
                "texts": f"{row['n']:,}",
                "peak of own memory, MB": f"{row['peak'] / 1e6:.0f} ({row['peak'] / rows[0]['peak'] - 1:+.1%})",
                "of it before encoding": f"{row['start'] / 1e6:.0f}",
                "peak resident, with files, MB": f"{row['resident'] / 1e6:.0f} "
                f"({row['resident'] / rows[0]['resident'] - 1:+.1%})",
                "texts/CPU s": f"{row['n'] / row['seconds']:,.0f}",
            }
            for row in rows
        ],
    )


def _encode(n_texts):
    """Encode texts into a file; memory and seconds."""
    encoder = LLMTextEncoder(MODEL, layer=0, device="cpu").fit(["a text"])
    encoder.transform(["a text", "another one"])
    texts = (f"Item {number}, one of {number % 977} things in aisle {number % 89}" for number in range(n_texts))
    start = time.process_time()
    with tempfile.TemporaryDirectory() as folder, MemoryWatch() as watch:
        vectors = encoder.transform(texts, out=Path(folder) / "vectors.npy")
        shape = vectors.shape
        del vectors
    if shape != (n_texts, encoder.embedding_size_):
        raise RuntimeError(f"{n_texts} texts gave vectors of shape {shape}")
    found = {"start": watch.start, "peak": watch.peak, "resident": peak_resident_bytes()}
    return {**found, "seconds": time.process_time() - start}


def main() -> None:
    """Run in the child process: print memory and seconds as JSON."""
    parser = argparse.ArgumentParser(description="Memory and seconds of encoding texts, as JSON.")
    parser.add_argument("n_texts", type=int)
    print(json.dumps(_encode(parser.parse_args().n_texts)))


if __name__ == "__main__":
    main()
