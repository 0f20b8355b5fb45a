"""Top-k without the items a user has seen: the kernel of `recommend` against implicit's `recommend`.

    make bench-env
    .venv-bench/bin/python -m benchmarks.topk [--users 50000] [--items 20000] [--factors 64] [--parts ...] [--quick]

equal     normal factors: all items have about the same norm
tailed    norms of the items log-normal
fitted    factors of a fit to synthetic interactions

Contestants take turns in one run, on one thread unless OMP_NUM_THREADS is set; seconds are of processor time.
Lists are compared with a stable sort of all scores of some users, ties by position; the share of equal
lists is printed.
"""

import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.common.measure import machine, make_parser, markdown, median, require_packages, take_turns, versions
from benchmarks.common.synthetic import make_interactions
from skllmrec import FeatureMFRecommender
from skllmrec._kernels.als.feature_als import fit_feature_als
from skllmrec._kernels.topk.exact import topk_factors
from skllmrec._typing import CsrMatrix, FloatArray, IntArray

K = 10
_CHECKED = 500  # users whose lists are compared with a sort


def equal_norms(seen: CsrMatrix, n_factors: int, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Draw normal factors: all norms about equal."""
    users, items = (rng.normal(size=(n, n_factors)).astype(np.float32) for n in seen.shape)
    return users, items


def tailed_norms(seen: CsrMatrix, n_factors: int, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Draw normal directions and log-normal norms of the items."""
    users, items = equal_norms(seen, n_factors, rng)
    return users, items * rng.lognormal(sigma=1.0, size=(len(items), 1)).astype(np.float32)


def fitted_factors(seen: CsrMatrix, n_factors: int, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Five sweeps on the interactions."""
    model = fit_feature_als(seen, n_components=n_factors, alpha=0.02, max_iter=5)
    return model.users.vectors, model.items.vectors


PARTS = {"equal": equal_norms, "tailed": tailed_norms, "fitted": fitted_factors}


def implicit_recommend(users: FloatArray, items: FloatArray, seen: CsrMatrix) -> Callable[[], Any]:
    """Prepare implicit with given factors."""
    from implicit.cpu.als import AlternatingLeastSquares

    model = AlternatingLeastSquares(users.shape[1], num_threads=int(os.environ["OMP_NUM_THREADS"]))
    model.user_factors, model.item_factors = users, items
    all_users = np.arange(len(users))
    return lambda: model.recommend(all_users, seen, N=K)


def our_recommend(users: FloatArray, items: FloatArray, seen: CsrMatrix) -> Callable[[], Any]:
    """Prepare the estimator with given factors: a fit of one sweep, its factors replaced."""
    coo = seen.tocoo()
    table = np.column_stack([coo.row, coo.col])
    model = FeatureMFRecommender(users.shape[1], feedback="implicit", alpha=0.02, max_iter=1).fit(table)
    model.user_factors_, model.item_factors_ = users[model.users_], items[model.items_]
    return lambda: model.recommend(model.users_, K)


def products(users: FloatArray, items: FloatArray, block: int = 256) -> None:
    """Compute all scores and discard them."""
    scores = np.empty((block, len(items)), np.result_type(users, items))
    for start in range(0, len(users) - block + 1, block):
        np.matmul(users[start : start + block], items.T, out=scores)


def agreement(positions: IntArray, users: FloatArray, items: FloatArray, seen: CsrMatrix) -> float:
    """Share of some users whose list equals a stable sort of their float32 scores."""
    some = np.linspace(0, len(users) - 1, _CHECKED).astype(int)
    scores = users[some] @ items.T
    rows = np.repeat(np.arange(len(some)), np.diff(seen.indptr)[some])
    scores[rows, seen[some].indices] = -np.inf
    expected = np.argsort(-scores, axis=1, kind="stable")[:, :K]
    return float((positions[some] == expected).all(axis=1).mean())


def compare(users: FloatArray, items: FloatArray, seen: CsrMatrix, rounds: int) -> Iterator[dict[str, str]]:
    """Rows of one table."""
    functions = {
        "skllmrec, kernel": lambda: topk_factors(users, items, K, seen),
        "skllmrec, recommend": our_recommend(users, items, seen),
        "implicit, recommend": implicit_recommend(users, items, seen),
        "matrix products alone": lambda: products(users, items),
    }
    timings = take_turns(functions, rounds)
    ours = min(timings["skllmrec, kernel"].cpu)
    for name, timing in timings.items():
        listed = timing.result is not None
        yield {
            "": name,
            "CPU s, least": f"{min(timing.cpu):.2f}",
            "median": f"{median(timing.cpu):.2f}",
            "x kernel": f"{min(timing.cpu) / ours:.2f}",
            "lists as sorted": f"{agreement(timing.result[0], users, items, seen):.1%}" if listed else "",
        }


def main() -> None:
    """Print the tables."""
    parser = make_parser(__doc__)
    parser.add_argument("--users", type=int, default=50_000)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--factors", type=int, default=64)
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=list(PARTS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a tenth of the users and items")
    options = parser.parse_args()
    require_packages("implicit")
    shrink = 10 if options.quick else 1
    seen = make_interactions(options.users // shrink, options.items // shrink, 36)
    print(f"Machine: {machine()}\nVersions: {versions('implicit', 'numba')}")
    print(f"{seen.shape[0]:,} users x {seen.shape[1]:,} items, {seen.nnz:,} seen, {options.factors} factors, top {K}")
    for part in options.parts:
        users, items = PARTS[part](seen, options.factors, np.random.default_rng(0))
        topk_factors(users[:300], items, K, seen[:300])  # compile
        rows = list(compare(users, items, seen, options.rounds))
        print(f"\n**{part}**: {PARTS[part].__doc__}\n\n{markdown(rows)}", flush=True)


if __name__ == "__main__":
    main()
