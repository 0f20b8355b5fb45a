"""Is numba worth a dependency? An implicit half sweep and a top-k, compiled, against numpy, scipy and torch.

The half sweep solves every user of a random matrix with long-tailed item counts:

- ``numba``: `skllmrec._kernels.als.row_solver.solve_rows`, three conjugate gradient steps;
- ``numpy rows``: the same three steps in a plain loop over rows;
- ``numpy exact``: normal equations and ``numpy.linalg.solve`` for each row;
- ``scipy batch``: the same three steps for all rows at once, on sparse products;
- ``torch batch``: rows sorted by length and padded to equal buckets, Gram matrices by ``bmm``, Cholesky.

The top-k is `skllmrec._kernels.topk.exact.topk_dense` against ``argpartition`` (which does not rank ties by position)
and a stable sort. Times are the least of some repeats, compilation excluded; ratios are relative to numba.

Usage: python -m benchmarks.als_kernels [--users 5000] [--items 4000] [--length 36] [--factors 64] [--repeats 3]
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from benchmarks.common.measure import make_parser
from benchmarks.common.synthetic import make_interactions
from skllmrec._kernels.als.row_solver import SWEEP_STEPS, solve_rows
from skllmrec._kernels.threads import count_threads
from skllmrec._kernels.topk.exact import topk_dense
from skllmrec._typing import CsrMatrix, FloatArray, IntArray

UNOBSERVED, BUCKET = 0.01, 512


def numba_rows(pairs: CsrMatrix, Q: FloatArray, ridge: FloatArray) -> FloatArray:
    """Solve with the kernel of the package."""
    zeros = np.zeros((pairs.shape[0], Q.shape[1]), Q.dtype)
    terms: dict[str, Any] = {
        "start": zeros,
        "prior": zeros,
        "ridge": ridge,
        "unobserved_weight": UNOBSERVED,
        "tol": 0.0,
    }
    return solve_rows(pairs, np.ones(pairs.nnz), Q, **terms)


def conjugate_gradients(
    apply: Callable[[FloatArray], FloatArray], b: FloatArray, inverse: FloatArray, n_steps: int
) -> FloatArray:
    """Take the steps for one row, or for all rows at once."""
    x = np.zeros_like(b)
    residual, direction = b.copy(), inverse * b
    gain = (residual * direction).sum(axis=-1, keepdims=True)
    for _ in range(n_steps):
        image = apply(direction)
        length = gain / np.maximum((direction * image).sum(axis=-1, keepdims=True), 1e-30)
        x += length * direction
        residual -= length * image
        scaled = inverse * residual
        previous, gain = gain, (residual * scaled).sum(axis=-1, keepdims=True)
        direction = scaled + gain / np.maximum(previous, 1e-30) * direction
    return x


def rotated(Q: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Eigenvectors of the unobserved term, which make it diagonal: the same trick as in the compiled kernel."""
    values, vectors = np.linalg.eigh(UNOBSERVED * (Q.T @ Q))
    return vectors, values, Q @ vectors


def numpy_rows(pairs: CsrMatrix, Q: FloatArray, ridge: FloatArray) -> FloatArray:
    """Loop over rows in Python, three conjugate gradient steps each."""
    vectors, values, Q = rotated(Q)
    result = np.zeros((pairs.shape[0], Q.shape[1]), Q.dtype)
    for u in range(len(result)):
        q = Q[pairs.indices[pairs.indptr[u] : pairs.indptr[u + 1]]]
        diagonal = values + ridge[u]
        inverse = 1 / (diagonal + (q**2).sum(axis=0))
        result[u] = conjugate_gradients(
            lambda p, q=q, diagonal=diagonal: q.T @ (q @ p) + diagonal * p, q.sum(axis=0), inverse, SWEEP_STEPS
        )
    return result @ vectors.T


def numpy_exact(pairs: CsrMatrix, Q: FloatArray, ridge: FloatArray) -> FloatArray:
    """Loop over rows in Python, one dense solve each."""
    result, gram, identity = np.zeros((pairs.shape[0], Q.shape[1]), Q.dtype), UNOBSERVED * (Q.T @ Q), np.eye(Q.shape[1])
    for u in range(len(result)):
        q = Q[pairs.indices[pairs.indptr[u] : pairs.indptr[u + 1]]]
        result[u] = np.linalg.solve(q.T @ q + gram + ridge[u] * identity, q.sum(axis=0))
    return result


def scipy_batch(pairs: CsrMatrix, Q: FloatArray, ridge: FloatArray) -> FloatArray:
    """Take the conjugate gradient steps of all rows at once."""
    vectors, values, Q = rotated(Q)
    rows = np.repeat(np.arange(pairs.shape[0]), np.diff(pairs.indptr))
    diagonal = values + ridge[:, None].astype(Q.dtype)
    scored = pairs.astype(Q.dtype)

    def apply(P):
        scored.data = np.einsum("ij,ij->i", P[rows], Q[pairs.indices])
        return scored @ Q + diagonal * P

    scored.data = np.ones(pairs.nnz, Q.dtype)
    inverse = 1 / (diagonal + scored @ Q**2)
    return conjugate_gradients(apply, scored @ Q, inverse, SWEEP_STEPS) @ vectors.T


def torch_batch(pairs: CsrMatrix, Q: FloatArray, ridge: FloatArray) -> FloatArray:
    """Solve padded buckets of rows exactly."""
    lengths = np.diff(pairs.indptr)
    order = np.argsort(lengths, kind="stable")
    padded = torch.from_numpy(np.vstack([Q, np.zeros((1, Q.shape[1]), Q.dtype)]))
    gram = UNOBSERVED * padded.T @ padded
    result = torch.empty((len(lengths), Q.shape[1]))
    for first in range(0, len(order), BUCKET):
        users = order[first : first + BUCKET]
        columns = np.full((len(users), lengths[users].max()), len(Q))
        filled = np.arange(columns.shape[1]) < lengths[users][:, None]
        columns[filled] = np.concatenate([pairs.indices[pairs.indptr[u] : pairs.indptr[u + 1]] for u in users])
        q = padded[torch.from_numpy(columns)]
        shift = torch.from_numpy(ridge[users].astype(Q.dtype))[:, None, None] * torch.eye(Q.shape[1])
        factor = torch.linalg.cholesky(torch.bmm(q.transpose(1, 2), q) + gram + shift)
        result[torch.from_numpy(users)] = torch.cholesky_solve(q.sum(1)[..., None], factor)[..., 0]
    return result.numpy()


def objective(pairs: CsrMatrix, P: FloatArray, Q: FloatArray, ridge: FloatArray) -> float:
    """Value of the objective that all of them minimise: shows that none is fast by doing less."""
    rows = np.repeat(np.arange(pairs.shape[0]), np.diff(pairs.indptr))
    P, Q = P.astype(float), Q.astype(float)
    observed = ((np.einsum("ij,ij->i", P[rows], Q[pairs.indices]) - 1) ** 2).sum()
    return observed + UNOBSERVED * ((P.T @ P) * (Q.T @ Q)).sum() + ridge @ (P**2).sum(axis=1)


def least_time(
    function: Callable[..., Any], arguments: Callable[[], tuple[Any, ...]], repeats: int
) -> tuple[float, Any]:
    """Time a function on fresh arguments; also return its last result."""
    function(*arguments())  # compile, warm caches
    times = []
    for _ in range(repeats):
        fresh = arguments()
        start = time.perf_counter()
        result = function(*fresh)
        times.append(time.perf_counter() - start)
    return min(times), result


def compare_half_sweeps(args: argparse.Namespace, rng: np.random.Generator) -> None:
    """Print the table of half sweeps."""
    pairs = make_interactions(args.users, args.items, args.length, rng)
    Q = (rng.normal(size=(args.items, args.factors)) / np.sqrt(args.factors)).astype(np.float32)
    ridge = 0.02 * (np.diff(pairs.indptr) + UNOBSERVED * args.items)
    print(f"half sweep: {args.users} users, {args.items} items, {pairs.nnz} pairs, {args.factors} factors")
    print(f"{'':14}{'seconds':>9}{'ratio':>8}{'objective':>14}")
    fastest = None
    for function in (numba_rows, numpy_rows, numpy_exact, scipy_batch, torch_batch):
        seconds, P = least_time(function, lambda: (pairs, Q, ridge), args.repeats)
        fastest = fastest or seconds
        name, value = function.__name__.replace("_", " "), objective(pairs, P, Q, ridge)
        print(f"{name:14}{seconds:9.3f}{seconds / fastest:8.1f}{value:14.1f}")


def by_partition(scores: FloatArray, k: int, seen: CsrMatrix) -> IntArray:
    """Partition, then sort what is left; ties are cut at random."""
    rows = np.repeat(np.arange(len(scores)), np.diff(seen.indptr))
    scores[rows, seen.indices] = -np.inf
    best = np.argpartition(-scores, k, axis=1)[:, :k]
    order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1, kind="stable")
    return np.take_along_axis(best, order, axis=1)


def by_sorting(scores: FloatArray, k: int, seen: CsrMatrix) -> IntArray:
    """Sort whole rows."""
    rows = np.repeat(np.arange(len(scores)), np.diff(seen.indptr))
    scores[rows, seen.indices] = -np.inf
    return np.argsort(-scores, axis=1, kind="stable")[:, :k]


def compare_topk(args: argparse.Namespace, rng: np.random.Generator) -> None:
    """Print the table of top-k selections."""
    n_users = min(args.users, 1000)
    seen = make_interactions(n_users, args.items, args.length, rng)
    scores = rng.normal(size=seen.shape).astype(np.float32)
    print(f"\ntop 10 of {args.items} scores for {n_users} users\n{'':14}{'seconds':>9}{'ratio':>8}")
    fastest = None
    for function in (topk_dense, by_partition, by_sorting):
        seconds, _ = least_time(function, lambda: (scores.copy(), 10, seen), args.repeats)
        fastest = fastest or seconds
        name = "numba" if function is topk_dense else function.__name__.replace("_", " ")
        print(f"{name:14}{seconds:9.3f}{seconds / fastest:8.1f}")


def main() -> None:
    """Read the sizes and print both tables."""
    parser = make_parser(__doc__)
    defaults = {"users": 5000, "items": 4000, "length": 36, "factors": 64, "repeats": 3}
    for name, value in defaults.items():
        parser.add_argument(f"--{name}", type=int, default=value, help=f"default: {value}")
    args = parser.parse_args()
    torch.set_num_threads(count_threads())
    rng = np.random.default_rng(0)
    print(f"threads: {count_threads()}")
    compare_half_sweeps(args, rng)
    compare_topk(args, rng)


if __name__ == "__main__":
    main()
