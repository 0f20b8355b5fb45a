"""What re-ranking costs and gains: NDCG@20, coverage@20 and intra-list diversity of tags, with and without.

    python -m benchmarks.diversity DATA_FOLDER [SET ...]

One fifth of each set's interactions is the test; the strength is chosen on held-out training interactions alone.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.preprocessing import normalize

from skllmrec import DiversifiedRecommender, LinearAutoencoderRecommender, load_interactions
from skllmrec.recommenders.diversified._columns import _Tags

TAGS = {"ml_latest_small": ("genres", 3.5), "completejourney": ("product_category", None)}
COLUMNS = {"user": "user_id", "item": "item_id"}
K, MAX_LOSS = 20, 0.01


def load(folder: Path, name: str) -> pd.DataFrame:
    """Likes of users with at least five and items with at least five of them."""
    _, threshold = TAGS[name]
    frame = load_interactions(folder / name).frame
    if threshold is not None:
        frame = frame[frame["rating"] >= threshold].drop(columns="rating")
    frame = frame.drop_duplicates([*COLUMNS.values()])
    for _ in range(5):
        counts = [frame[column].map(frame[column].value_counts()) for column in COLUMNS.values()]
        frame = frame[(counts[0] >= 5) & (counts[1] >= 5)]
    return frame.reset_index(drop=True)


def measure(model: object, train: pd.DataFrame, test: pd.DataFrame, tags: np.ndarray) -> dict[str, float]:
    """NDCG, share of the items that are in a list, and mean distance within lists."""
    users = np.intersect1d(test["user_id"].unique(), train["user_id"].unique())
    ids, _ = model.recommend(users, K)  # type: ignore[attr-defined]
    wanted = test.groupby("user_id")["item_id"].agg(set)
    gains = 1 / np.log2(np.arange(2, K + 2))
    ndcg = [
        gains[[item in wanted[user] for item in row]].sum() / gains[: min(K, len(wanted[user]))].sum()
        for user, row in zip(users, ids, strict=True)
    ]
    places = pd.Index(train["item_id"].unique())
    vectors = tags[places.get_indexer(ids.ravel())].reshape(*ids.shape, -1)
    cosines = np.einsum("uid,ujd->uij", vectors, vectors)
    same = np.trace(cosines, axis1=1, axis2=2)
    diversity = 1 - (cosines.sum(axis=(1, 2)) - same) / (K * (K - 1))
    return {"ndcg": float(np.mean(ndcg)), "coverage": len(np.unique(ids)) / len(places), "ild": float(diversity.mean())}


def main() -> None:
    """Print a row for each set and method."""
    parser = argparse.ArgumentParser(description="NDCG, coverage and diversity with and without re-ranking")
    parser.add_argument("folder", type=Path, help="folder of the data sets")
    parser.add_argument("sets", nargs="*", default=list(TAGS), help="which of them")
    given = parser.parse_args()
    folder = given.folder
    for name in given.sets:
        column = TAGS[name][0]
        frame = load(folder, name)
        held_out = np.random.default_rng(0).random(len(frame)) < 0.2
        train, test = frame[~held_out], frame[held_out]
        first = train.drop_duplicates("item_id")
        tags = normalize(_Tags().fit_transform(first[column])).toarray()
        inner = LinearAutoencoderRecommender(**COLUMNS)
        print(f"{name:18s} {'inner':10s}", measure(inner.fit(train), train, test, tags), flush=True)
        for method in ("exposure", "mmr"):
            features = None if method == "exposure" else column
            model = DiversifiedRecommender(inner, method=method, features=features, max_loss=MAX_LOSS).fit(train)
            found = measure(model, train, test, tags)
            print(f"{name:18s} {method:10s}", found, f"strength {model.strength_:.3g}", flush=True)


if __name__ == "__main__":
    main()
