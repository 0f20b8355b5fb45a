"""EASE against the machine's own rate of matrix products."""

import argparse
from collections.abc import Iterator

import numpy as np
from scipy import linalg

from benchmarks.common.measure import Table, take_turns
from benchmarks.common.synthetic import make_interactions
from skllmrec import LinearAutoencoderRecommender
from skllmrec._kernels.item_item.autoencoder import fit_autoencoder, gram, invert

ALPHA = 100.0


def _matrix_product(n):
    """Prepare a product of two matrices of n x n in float32, by the library that the inverse uses."""
    A, B = (np.asfortranarray(np.random.default_rng(seed).random((n, n), dtype=np.float32)) for seed in range(2))
    return lambda: linalg.blas.sgemm(1.0, A, B)


def _inverse(G):
    """Prepare an in-place inverse of a copy, whose memory is allocated before the time is measured."""
    buffer = G.copy(order="F")

    def run():
        np.copyto(buffer, G)
        return invert(buffer)

    return run


def ease(options: argparse.Namespace) -> Iterator[Table]:
    """Make one table: seconds of each step, and of n^3 operations at the rate of a product measured in between."""
    rows = []
    for n_items in (1000, 2000) if options.quick else (8000, 10_000):
        pairs = make_interactions(3 * n_items, n_items, 40)
        coo = pairs.tocoo()
        table = np.column_stack([coo.row, coo.col])
        G = gram(pairs.astype(np.float32))
        G[np.diag_indices(n_items)] += ALPHA
        size = min(n_items, 4000)
        timings = take_turns(
            {
                "product": _matrix_product(size),
                "inverse": _inverse(G),
                "fit": lambda pairs=pairs: fit_autoencoder(pairs, method="ease", alpha=ALPHA),
                "estimator": lambda table=table: LinearAutoencoderRecommender(method="ease", alpha=ALPHA).fit(table),
            },
            options.rounds,
        )
        rate = 2 * size**3 / min(timings["product"].cpu)
        ideal = n_items**3 / rate  # Cholesky factor 1/3 n^3, its inverse and their product 2/3 n^3
        least = {name: min(timing.cpu) for name, timing in timings.items()}
        rows.append(
            {
                "items": f"{n_items:,}",
                "GFLOP/s of products": f"{rate / 1e9:.0f}",
                "s at that rate": f"{ideal:.2f}",
                "inverse, s": f"{least['inverse']:.2f}",
                "ratio": f"{least['inverse'] / ideal:.2f}",
                "whole fit, s": f"{least['fit']:.2f}",
                "whole ratio": f"{least['fit'] / ideal:.2f}",
                "from ids, s": f"{least['estimator']:.2f}",
            }
        )
    yield "EASE: inverse of the Gram matrix beside n^3 operations at the rate of matrix products", rows
