"""Raw counts as weights of implicit feedback against weights by CountWeighter: NDCG@20.

    OMP_NUM_THREADS=1 python -m benchmarks.counts [--data FOLDER_OF_FOLDERS] [--max-users 1000] [--seed 0]

Plays of Last.fm (lastfm_hetrec, listen_count): known items of the first of five per-user folds. Every held-out pair is
relevant, however often it was played. Ids only, default parameters, nothing is tuned. The column "sd" is the standard
deviation of the difference to "none" over bootstrapped users.
"""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.common.measure import add_data_option, make_parser, require_data
from skllmrec import (
    CountWeighter,
    FeatureMFRecommender,
    LinearAutoencoderRecommender,
    NeighborsRecommender,
    PerUserKFold,
    rank_test_users,
)
from skllmrec.exceptions import HeavyTailWarning

K = 20
WEIGHTERS = {
    "none": None,  # every pair weighs the same
    "raw": None,
    "log": CountWeighter("log"),
    "bm25": CountWeighter("bm25"),
    "quantile": CountWeighter("quantile"),
    "quantile of all": CountWeighter("quantile", by="all"),
}


def recommenders(seed: int) -> dict[str, object]:
    """Make the recommenders with default parameters."""
    columns = {"user": "user_id", "item": "item_id"}
    return {
        "FeatureMF": FeatureMFRecommender(**columns, feedback="implicit", random_state=seed),
        "Neighbors": NeighborsRecommender(**columns, feedback="implicit"),
        "LinearAutoencoder": LinearAutoencoderRecommender(**columns),
    }


def load(folder: Path, max_users: int, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Read the plays of some users, and of items that at least five of them played."""
    frame = pd.read_parquet(folder / "lastfm_hetrec" / "interactions.parquet")
    users = np.random.default_rng(seed).permutation(frame["user_id"].unique())[:max_users]
    frame = frame[frame["user_id"].isin(users)]
    frame = frame[frame.groupby("item_id")["user_id"].transform("size") >= 5].reset_index(drop=True)
    return frame[["user_id", "item_id"]], frame["listen_count"].to_numpy(float)


def main() -> None:
    """Print a row for each recommender and weighting."""
    parser = make_parser(__doc__)
    add_data_option(parser)
    parser.add_argument("--max-users", type=int, default=1000, help="a random part of the users (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    require_data(parser, options)
    warnings.simplefilter("ignore", HeavyTailWarning)  # raw counts are what is measured
    X, y = load(Path(options.data), options.max_users, options.seed)
    train, test = next(iter(PerUserKFold(5, user="user_id", random_state=options.seed).split(X)))
    print(f"{X['user_id'].nunique():,} users, {X['item_id'].nunique():,} items, {len(X):,} pairs")
    print(f"{'recommender':<18} {'weights':<16} {'NDCG@20':>8} {'to none':>8} {'sd':>6}")
    draws = np.random.default_rng(options.seed)
    for name, recommender in recommenders(options.seed).items():
        base = None
        for label, weighter in WEIGHTERS.items():
            recommender.set_params(weighter=weighter)
            fitted = recommender.fit(X.iloc[train], None if label == "none" else y[train])
            values = rank_test_users(fitted, X.iloc[test], k=K).evaluate("ndcg", k=K, average=False)
            base = values if base is None else base
            difference = values - base
            sample = draws.integers(len(difference), size=(500, len(difference)))
            spread = difference[sample].mean(axis=1).std()
            change = values.mean() / base.mean() - 1
            print(f"{name:<18} {label:<16} {values.mean():8.4f} {change:+8.1%} {spread:6.4f}", flush=True)


if __name__ == "__main__":
    main()
