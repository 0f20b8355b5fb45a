"""Recommenders on int8 vectors against the same recommenders on float32 vectors."""

import tempfile

from _encode_texts import MODEL, our_encoder
from quality import load
from sklearn.pipeline import make_pipeline

from skllmrec import (
    ColdItemKFold,
    EmbeddingWhitener,
    FeatureMFRecommender,
    LLMTextEncoder,
    PerUserKFold,
    TextTemplate,
    compare_recommenders,
)

K = 20
COLUMNS = ["title", "genres", "overview"]
FOLDS = {"known items": 2, "new items": 5}  # folds of new items differ a lot


def _recommender(dtype, store):
    encoder = make_pipeline(
        TextTemplate(". ".join(f"{{{name}}}" for name in COLUMNS)),
        LLMTextEncoder(MODEL, dtype=dtype, max_length=64, device="cpu", memory=store),
        EmbeddingWhitener(),
    )
    return FeatureMFRecommender(
        user="user_id", item="item_id", feedback="implicit", item_features=COLUMNS, item_encoder=encoder, random_state=0
    )


def int8_quality(options):
    """NDCG@20 on float32 and on int8 vectors, the same folds and settings."""
    frame = load(options.data, "ml_latest_small")
    dtypes = [dtype for dtype in ("float32", "int8") if our_encoder(dtype) is not None]
    rows = []
    with tempfile.TemporaryDirectory() as store:
        for protocol, n_folds in FOLDS.items():
            cold = protocol == "new items"
            splitter = ColdItemKFold(5, item="item_id", random_state=0) if cold else None
            splitter = splitter or PerUserKFold(5, user="user_id", random_state=0)
            table = compare_recommenders(
                {dtype: _recommender(dtype, store) for dtype in dtypes},
                frame,
                cv=list(splitter.split(frame))[:n_folds],
                metrics=("ndcg",),
                k=K,
                candidates="test" if cold else "all",
                reference="float32",
                random_state=0,
            ).frame
            table = table[table["metric"] == f"ndcg@{K}"].set_index("estimator")
            for dtype in dtypes:
                ndcg = table.loc[dtype, "mean"]
                rows.append(
                    {
                        "vectors": f"{dtype}, {protocol}",
                        f"NDCG@{K}": f"{ndcg:.4f}",
                        "to float32": f"{ndcg / table.loc['float32', 'mean'] - 1:+.2%}",
                        "folds": n_folds,
                    }
                )
    n_users, n_items = frame["user_id"].nunique(), frame["item_id"].nunique()
    yield f"ml_latest_small, {len(frame):,} likes of {n_users:,} users and {n_items:,} items", rows
