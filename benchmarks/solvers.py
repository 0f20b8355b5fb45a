"""The solvers of FeatureMFRecommender with their defaults: quality and processor seconds of a fit.

    OMP_NUM_THREADS=1 python -m benchmarks.solvers [--data FOLDER_OF_FOLDERS] [--sets ml_latest_small ...] [--seed 0]

Ids only. NDCG@20 of known items on the first of five per-user folds of each set, prepared as in `benchmarks.quality`,
and RMSE of five random folds of MovieLens 100K. Nothing is tuned here.
"""

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.model_selection import KFold, cross_validate

from benchmarks.common.measure import add_data_option, make_parser, require_data
from benchmarks.quality.data import SETS, load
from benchmarks.quality.run import K
from skllmrec import FeatureMFRecommender, PerUserKFold, fetch_movielens_100k, make_ranking_scorer
from skllmrec._typing import Frame

SOLVERS = ("als", "adamw", "rmsprop", "sgd")


def recommender(solver: str, seed: int, **parameters: Any) -> FeatureMFRecommender:
    """Make a recommender with a solver and otherwise default parameters."""
    return FeatureMFRecommender(user="user_id", item="item_id", solver=solver, random_state=seed, **parameters)


def rankings(frame: Frame, seed: int) -> Iterator[tuple[str, float, float]]:
    """NDCG@20 and seconds of each solver on one fold."""
    train, test = next(iter(PerUserKFold(5, user="user_id", random_state=seed).split(frame)))
    score = make_ranking_scorer("ndcg", k=K)
    for solver in SOLVERS:
        start = time.process_time()
        fitted = recommender(solver, seed, feedback="implicit").fit(frame.iloc[train])
        seconds = time.process_time() - start
        yield solver, score(fitted, frame.iloc[test]), seconds


def ratings(seed: int) -> Iterator[tuple[str, float, float]]:
    """RMSE and mean seconds of each solver on five folds of MovieLens 100K."""
    data = fetch_movielens_100k()
    folds = KFold(5, shuffle=True, random_state=seed)
    for solver in SOLVERS:
        start = time.process_time()
        found = cross_validate(
            recommender(solver, seed, feedback="explicit"),
            data.data,
            data.target,
            cv=folds,
            scoring="neg_root_mean_squared_error",
        )
        yield solver, -np.mean(found["test_score"]), (time.process_time() - start) / 5


def main() -> None:
    """Print a row for each set."""
    parser = make_parser(__doc__)
    add_data_option(parser)
    parser.add_argument("--sets", nargs="*", default=list(SETS), choices=list(SETS))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.sets:
        require_data(parser, options)
    FeatureMFRecommender(feedback="implicit", max_iter=1).fit([["a", "b"]])  # compile before anything is timed
    print(f"{'':24s}" + "".join(f"{solver:>18s}" for solver in SOLVERS))
    print("RMSE, ml-100k".ljust(24), *(f"{value:9.4f} {seconds:6.1f} s" for _, value, seconds in ratings(options.seed)))
    for name in options.sets:
        cells = (
            f"{value:9.4f} {seconds:6.1f} s" for _, value, seconds in rankings(load(options.data, name), options.seed)
        )
        print(f"NDCG@{K}, {name}".ljust(24), *cells, flush=True)


if __name__ == "__main__":
    main()
