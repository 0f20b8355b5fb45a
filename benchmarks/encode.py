"""LLMTextEncoder against sentence-transformers: seconds to encode the same texts with the same weights.

Usage: OMP_NUM_THREADS=1 python benchmarks/encode.py FOLDER [--texts 2000] [--repeats 5]

FOLDER holds items.parquet with titles and descriptions, like the folders that SKLLMREC_DATA names. Encoders take turns,
so that a slow minute of the machine hits all of them; the fastest run of each counts, in seconds of processor time (the
time of a quiet machine, at one thread). fp32, the same maximum length.
"""

import argparse
import os
import time
from pathlib import Path

# one thread for tokenizers too; has to be said before they are imported
os.environ.setdefault("RAYON_NUM_THREADS", os.environ.get("OMP_NUM_THREADS", "1"))

import numpy as np
import pandas as pd
import torch

from skllmrec import LLMTextEncoder
from skllmrec._weights import find_weights

MODEL = "sentence-transformers/all-MiniLM-L6-v2"


def read_texts(folder, n_texts):
    """Titles with descriptions, where there are any, of items drawn at random."""
    items = pd.read_parquet(Path(folder) / "items.parquet")
    columns = [name for name in ("title", "overview", "description") if name in items]
    texts = items[columns].fillna("").agg(". ".join, axis=1).drop_duplicates()
    return texts.sample(min(n_texts, len(texts)), random_state=0).tolist()


def encoders(batch_sizes):
    """Functions from texts to vectors, by name."""
    found = {}
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError:
        print("sentence-transformers is not installed: nothing to compare with")
    else:
        model = SentenceTransformer(str(find_weights(MODEL).path), device="cpu")
        found["sentence-transformers, batch 32"] = lambda texts: model.encode(texts, show_progress_bar=False)
    for size in batch_sizes:
        encoder = LLMTextEncoder(MODEL, normalize=True, batch_tokens=size, device="cpu").fit(["a text"])
        found[f"LLMTextEncoder, {size:,} tokens"] = encoder.transform
    return found


def main():
    """Print the ratio table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    folder = os.environ.get("SKLLMREC_DATA")
    default = None if folder is None else Path(folder) / "ml_latest_small"
    parser.add_argument("folder", nargs="?", default=default, help="default: SKLLMREC_DATA/ml_latest_small")
    parser.add_argument("--texts", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--batch-tokens", type=int, nargs="*", default=[1024])
    arguments = parser.parse_args()
    if arguments.folder is None:
        parser.error("give the folder of a data set, or set SKLLMREC_DATA")
    texts = read_texts(arguments.folder, arguments.texts)
    run, seconds, vectors = encoders(arguments.batch_tokens), {}, {}
    for encode in run.values():
        encode(texts[:32])  # load weights, warm up
    for _ in range(arguments.repeats):
        for name, encode in run.items():
            start = time.process_time()
            vectors[name] = encode(texts)
            seconds.setdefault(name, []).append(time.process_time() - start)
    first = next(iter(run))
    words = np.array([len(text.split()) for text in texts])
    print(f"{len(texts):,} texts of {words.min()} to {words.max()} words, {words.mean():.0f} on average; ", end="")
    print(f"{torch.get_num_threads()} thread(s), torch {torch.__version__}")
    print(f"{'encoder':<36}{'fastest s':>10}{'median s':>10}{'speed':>8}{'cosine distance':>18}")
    for name, runs in seconds.items():
        distance = 1 - np.einsum("nd,nd->n", vectors[name], vectors[first]).min()
        ratio = min(seconds[first]) / min(runs)
        print(f"{name:<36}{min(runs):>10.2f}{np.median(runs):>10.2f}{ratio:>7.2f}x{distance:>18.1e}")


if __name__ == "__main__":
    main()
