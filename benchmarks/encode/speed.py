"""Speed of encoding: many texts against sentence-transformers and the core's own arithmetic, one text at a time."""

import argparse
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.common.measure import Table, median, percent, take_turns
from benchmarks.encode.onnx import PEER as ONNX
from benchmarks.encode.onnx import onnx_encoder
from benchmarks.encode.texts import (
    catalogue_texts,
    cosine_distances,
    described_texts,
    flops,
    our_encoder,
    sentence_transformer,
    token_counts,
)

PEER = "sentence-transformers 6.2"
SQUARES = 1024, 2048, 3072


def _products(shapes):
    """Functions that multiply float32 matrices, with torch's own routine (MKL) and with oneDNN, and their FLOPs."""
    import torch

    functions, work = {}, {}
    for m, k, n in shapes:
        a, b = torch.randn(m, k), torch.randn(k, n)
        repeats = max(1, int(2e9 / (2 * m * k * n)))

        def mkl(a=a, b=b, repeats=repeats):
            for _ in range(repeats):
                a @ b

        functions["MKL", m, k, n] = mkl
        if torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise"):
            packed = torch.ops.mkldnn._reorder_linear_weight(b.T.contiguous(), m)

            def onednn(a=a, packed=packed, repeats=repeats):
                for _ in range(repeats):
                    torch.ops.mkldnn._linear_pointwise(a, packed, None, "none", [], "")

            functions["oneDNN", m, k, n] = onednn
        for library in ("MKL", "oneDNN"):
            work[library, m, k, n] = 2.0 * m * k * n * repeats
    return functions, work


class Gemm:
    """The rates of float32 matrix products of this core, measured between the runs of the encoders."""

    def __init__(self, rounds: int = 3) -> None:
        squares = [(size, size, size) for size in SQUARES]
        shapes = [(1024, 384, 384), (1024, 384, 1536), (1024, 1536, 384)]  # a batch of 1,024 tokens of MiniLM
        self._functions, self._work = _products(squares + shapes)
        self._rounds = rounds
        self.rates: dict[Any, float] = {}

    def measure(self) -> None:
        """Measure again; the best rate of each product counts."""
        for key, timing in take_turns(self._functions, self._rounds).items():
            self.rates[key] = max(self.rates.get(key, 0), self._work[key] / min(timing.cpu) / 1e9)

    @property
    def peak(self) -> tuple[float, str]:
        """Best rate of a large square product, and which that is."""
        key = max((key for key in self.rates if key[1] == key[2] == key[3]), key=self.rates.__getitem__)
        return self.rates[key], f"{key[0]}, {key[1]:,} x {key[2]:,} x {key[3]:,}"

    def rows(self) -> list[dict[str, str]]:
        """One row per shape."""
        shapes = sorted({key[1:] for key in self.rates})
        return [
            {
                "product (m x k x n)": " x ".join(f"{size:,}" for size in shape),
                **{
                    f"{name}, GFLOP/s": f"{self.rates[name, *shape]:.0f}" if (name, *shape) in self.rates else "-"
                    for name in ("MKL", "oneDNN")
                },
            }
            for shape in shapes
        ]


def _contestants(texts, batch_tokens):
    functions = {}
    peer = sentence_transformer()
    if peer is not None:
        functions[PEER] = lambda: peer.encode(texts, show_progress_bar=False)
    for dtype in ("float32", "int8"):
        for size in batch_tokens:
            encoder = our_encoder(dtype, batch_tokens=size)
            name = f"LLMTextEncoder, {dtype}" + (f", {size:,} tokens" if len(batch_tokens) > 1 else "")
            if encoder is not None:
                functions[name] = lambda encoder=encoder: encoder.transform(texts)
    onnx = onnx_encoder(normalize=True)
    if onnx is not None:
        functions[ONNX] = lambda: onnx.transform(texts)
    return functions


def _rows(timings, tokens, peak):
    first = next(iter(timings))
    rows = []
    for name, timing in timings.items():
        rate = flops(tokens) / min(timing.cpu) / 1e9
        distances = cosine_distances(timing.result, timings[first].result)
        rows.append(
            {
                "encoder": name,
                "CPU s, median": f"{median(timing.cpu):.2f}",
                "CPU s, fastest": f"{min(timing.cpu):.2f}",
                "ratio of medians": f"{median(timings[first].cpu) / median(timing.cpu):.2f} x",
                "ratio of fastest": f"{min(timings[first].cpu) / min(timing.cpu):.2f} x",
                "wall": f"{median(timings[first].wall) / median(timing.wall):.2f} x",
                "GFLOP/s": f"{rate:.0f}",
                "of GEMM peak": percent(rate, peak),
                "cosine distance, max": "" if name == first else f"{distances.max():.1e}",
                "mean": "" if name == first else f"{distances.mean():.1e}",
            }
        )
    return rows


def throughput(options: argparse.Namespace) -> Iterator[Table]:
    """Encode the same texts with all encoders in turn; tables for both kinds of texts, and the core's GEMM rates."""
    gemm = Gemm()
    gemm.measure()
    found = []
    for title, read in (("titles + descriptions", described_texts), ("whole catalogues", catalogue_texts)):
        texts = read(options.data, options.texts)
        tokens = token_counts(texts)
        timings = take_turns(_contestants(texts, options.batch_tokens), options.rounds)
        gemm.measure()
        about = f"{len(texts):,} {title}, {tokens.min()} to {tokens.max()} tokens, {tokens.mean():.0f} on average"
        found.append((about, timings, tokens))
    rate, which = gemm.peak
    for about, timings, tokens in found:
        yield f"{about}; GEMM peak {rate:.0f} GFLOP/s ({which})", _rows(timings, tokens, rate)
    yield "float32 matrix products of the same core, in the same run (best of all measurements)", gemm.rows()


def latency(options: argparse.Namespace) -> Iterator[Table]:
    """One text at a time, the models loaded: median and 99th percentile of 200 calls that take turns."""
    texts = catalogue_texts(options.data, 200) + described_texts(options.data, 200)
    texts = texts[:: max(1, len(texts) // options.calls)][: options.calls]
    functions = {}
    peer = sentence_transformer()
    if peer is not None:
        functions[PEER] = lambda text: peer.encode([text], show_progress_bar=False)
    for dtype in ("float32", "int8"):
        encoder = our_encoder(dtype)
        if encoder is not None:
            functions[f"LLMTextEncoder, {dtype}"] = lambda text, encoder=encoder: encoder.transform([text])
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for function in functions.values():
        function(texts[0])
    for text in texts:
        for name, function in functions.items():
            start = time.process_time()
            function(text)
            seconds[name].append(time.process_time() - start)
    first = next(iter(seconds))
    yield (
        f"one text at a time, {len(texts)} texts of {token_counts(texts).mean():.0f} tokens on average",
        [
            {
                "encoder": name,
                "CPU ms, median": f"{1e3 * median(taken):.2f}",
                "CPU ms, 99 %": f"{1e3 * float(np.quantile(taken, 0.99)):.2f}",
                "ratio of medians": f"{median(seconds[first]) / median(taken):.2f} x",
            }
            for name, taken in seconds.items()
        ],
    )
