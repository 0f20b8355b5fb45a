"""Implicit feedback: the same objective minimised by FeatureMFRecommender, implicit and irspack."""

import argparse
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from benchmarks.common.measure import Table, median, take_turns
from benchmarks.common.synthetic import make_interactions
from skllmrec import FeatureMFRecommender, load_interactions
from skllmrec._kernels.als.feature_als import fit_feature_als
from skllmrec._typing import CsrMatrix, FloatArray

ITERATIONS = 10
CONFIDENCE, REGULARIZATION = 10.0, 1.0  # of Hu, Koren and Volinsky's objective, which all three can minimise
STEPS = (3, 2)  # of conjugate gradients, per row and half sweep
REAL = ("ml_latest_small", "lastfm_hetrec")
_BLOCK = 2**16


def read_pairs(folder: Path, name: str) -> sparse.csr_matrix:
    """Users x items of a data set, ones."""
    frame = load_interactions(folder / name, target=None).frame
    codes = [pd.factorize(frame[column])[0] for column in ("user_id", "item_id")]
    pairs = sparse.csr_matrix((np.ones(len(frame)), codes))
    pairs.data[:] = 1
    return pairs


def objective(pairs: CsrMatrix, user_factors: FloatArray, item_factors: FloatArray) -> float:
    """Value of ``sum_ui c_ui (x_ui - p_u . q_i)^2 + ridge (|P|^2 + |Q|^2)``, c the confidence, 1 where x_ui is 0."""
    P, Q = user_factors.astype(np.float64), item_factors.astype(np.float64)
    rows = np.repeat(np.arange(pairs.shape[0]), np.diff(pairs.indptr))
    value = ((P.T @ P) * (Q.T @ Q)).sum() + REGULARIZATION * ((P**2).sum() + (Q**2).sum())
    for start in range(0, pairs.nnz, _BLOCK):
        block = slice(start, start + _BLOCK)
        scores = np.einsum("ij,ij->i", P[rows[block]], Q[pairs.indices[block]])
        value += (CONFIDENCE * (scores - 1) ** 2 - scores**2).sum()
    return value


def our_parameters(pairs: CsrMatrix) -> dict[str, Any]:
    """Parameters of FeatureMFRecommender with which it minimises `objective`, up to the units of the factors.

    Its scores are k times those of the others, k = 1 - 1 / c, and its ridges of the two sides differ by a factor, which
    is the same as equal ridges of their geometric mean for factors rescaled against each other.
    """
    weight = 1 / (CONFIDENCE - 1)
    sizes = pairs.nnz / np.array(pairs.shape) + weight * np.array(pairs.shape[::-1])
    alpha = REGULARIZATION * weight * (1 - 1 / CONFIDENCE) / np.sqrt(sizes.prod())
    return {"alpha": alpha, "nu": 0.0, "unobserved_weight": weight, "max_iter": ITERATIONS}


def in_units_of_peers(
    pairs: CsrMatrix, user_factors: FloatArray, item_factors: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Convert factors from the units that `our_parameters` describes."""
    sizes = pairs.nnz / np.array(pairs.shape) + np.array(pairs.shape[::-1]) / (CONFIDENCE - 1)
    balance = (sizes[0] / sizes[1]) ** 0.25
    scale = np.sqrt(1 - 1 / CONFIDENCE)
    return user_factors * balance / scale, item_factors / balance / scale


def fit_ours(pairs: CsrMatrix, n_factors: int, n_steps: int | None = None) -> tuple[FloatArray, FloatArray]:
    """Fit from the matrix, as the peers do."""
    extra: dict[str, Any] = {} if n_steps is None else {"n_steps": n_steps}
    model = fit_feature_als(pairs, n_components=n_factors, **our_parameters(pairs), **extra)
    return model.users.vectors, model.items.vectors


def fit_from_ids(pairs: CsrMatrix, n_factors: int) -> Callable[[], tuple[FloatArray, FloatArray]]:
    """Fit the estimator on a table of ids, which it has to read first."""
    coo = pairs.tocoo()
    table = np.column_stack([coo.row, coo.col])

    def fit():
        model = FeatureMFRecommender(n_factors, feedback="implicit", **our_parameters(pairs)).fit(table)
        return model.user_factors_, model.item_factors_

    return fit


def fit_implicit(pairs: CsrMatrix, n_factors: int, n_steps: int, n_threads: int = 1) -> tuple[FloatArray, FloatArray]:
    """Fit implicit."""
    from implicit.cpu.als import AlternatingLeastSquares

    model = AlternatingLeastSquares(
        n_factors,
        regularization=REGULARIZATION,
        alpha=CONFIDENCE,
        iterations=ITERATIONS,
        num_threads=n_threads,
        random_state=0,
    )
    model.cg_steps = n_steps
    model.fit(pairs, show_progress=False)
    return model.user_factors, model.item_factors


def fit_irspack(pairs: CsrMatrix, n_factors: int, n_steps: int, n_threads: int = 1) -> tuple[FloatArray, FloatArray]:
    """Fit irspack; its weights of observed pairs are added to those of all pairs."""
    from irspack import IALSRecommender

    model = IALSRecommender(
        pairs * (CONFIDENCE - 1),
        n_components=n_factors,
        alpha0=1.0,
        reg=REGULARIZATION,
        nu=0.0,
        loss_type="ORIGINAL",
        max_cg_steps=n_steps,
        train_epochs=ITERATIONS,
        n_threads=n_threads,
    )
    trainer = model._create_trainer()  # what `learn` does, without its progress bar
    for _ in range(ITERATIONS):
        trainer.run_epoch()
    return trainer.core_trainer.user, trainer.core_trainer.item


def compile_loops(n_factors: int = 8) -> float:
    """Fit something small, so that compiled code is there; seconds of it."""
    start = time.perf_counter()
    fit_ours(make_interactions(40, 30, 5), n_factors)
    return time.perf_counter() - start


def _contestants(pairs, n_factors):
    peers = {"implicit": fit_implicit, "irspack": fit_irspack}
    functions = {
        (name, n_steps): lambda fit=fit, n_steps=n_steps: fit(pairs, n_factors, n_steps)
        for n_steps in STEPS
        for name, fit in {"skllmrec": fit_ours, **peers}.items()
    }
    functions["skllmrec, from ids", None] = fit_from_ids(pairs, n_factors)
    return functions


def _rows(pairs, timings):
    """Least seconds, and how they compare with ours at the same steps and at our two."""
    least = {key: min(timing.cpu) for key, timing in timings.items()}
    for (name, n_steps), timing in timings.items():
        factors = timing.result
        if name.startswith("skllmrec"):
            factors = in_units_of_peers(pairs, *factors)
        reference = least["skllmrec", n_steps or STEPS[0]]
        yield {
            "": name,
            "steps": n_steps or "default",
            "CPU s, least": f"{min(timing.cpu):.3f}",
            "median": f"{median(timing.cpu):.3f}",
            "x skllmrec": f"{least[name, n_steps] / reference:.2f}",
            "x skllmrec at 2 steps": f"{least[name, n_steps] / least['skllmrec', 2]:.2f}",
            "objective": f"{objective(pairs, *factors):,.0f}",
        }


def ials(options: argparse.Namespace) -> Iterator[Table]:
    """Tables of fits: synthetic data with 64 and 128 factors, real data with 64."""
    size = (5000, 4000) if options.quick else (50_000, 20_000)
    problems = [(f"synthetic {size[0]:,} x {size[1]:,}", make_interactions(*size, 36), d) for d in (64, 128)]
    if options.data is not None:
        problems += [(name, read_pairs(options.data, name), 64) for name in REAL]
    for name, pairs, n_factors in problems:
        rounds = options.rounds if pairs.nnz > 500_000 else 3 * options.rounds
        timings = take_turns(_contestants(pairs, n_factors), rounds)
        yield f"{name}, {pairs.nnz:,} interactions, {n_factors} factors", list(_rows(pairs, timings))


def threads(options: argparse.Namespace) -> Iterator[Table]:
    """One and two threads, wall time."""
    size = (5000, 4000) if options.quick else (50_000, 20_000)
    pairs = make_interactions(*size, 36)

    def fit_with(n_threads):
        os.environ["NUMBA_NUM_THREADS"] = str(n_threads)  # read anew by each fit
        return fit_ours(pairs, 64)

    functions = {
        ("skllmrec", 1): lambda: fit_with(1),
        ("skllmrec", 2): lambda: fit_with(2),
        ("implicit", 1): lambda: fit_implicit(pairs, 64, 3, 1),
        ("implicit", 2): lambda: fit_implicit(pairs, 64, 3, 2),
    }
    timings = take_turns(functions, options.rounds)
    del os.environ["NUMBA_NUM_THREADS"]
    rows = []
    for (name, n_threads), timing in timings.items():
        least = min(timing.wall)
        gain = f"{min(timings[name, 1].wall) / least:.2f}"
        rows.append({"": name, "threads": n_threads, "wall s, least": f"{least:.2f}", "gain": gain})
    yield f"64 factors, {pairs.nnz:,} interactions; load of the machine {os.getloadavg()[0]:.1f}", rows
