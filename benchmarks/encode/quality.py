"""Recommenders on int8 vectors against the same recommenders on float32 vectors."""

import argparse
import tempfile
from collections.abc import Iterator

from sklearn.pipeline import make_pipeline

from benchmarks.common.measure import Table
from benchmarks.encode.onnx import PEER as ONNX
from benchmarks.encode.onnx import OnnxEncoder, onnx_encoder
from benchmarks.encode.texts import MODEL, our_encoder
from benchmarks.quality.data import load
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


def _recommender(name, store):
    if name == ONNX:
        encoder = OnnxEncoder(max_length=64, memory=store)
    else:
        encoder = LLMTextEncoder(MODEL, dtype=name, max_length=64, device="cpu", memory=store)
    encoder = make_pipeline(
        TextTemplate(". ".join(f"{{{column}}}" for column in COLUMNS)), encoder, EmbeddingWhitener()
    )
    return FeatureMFRecommender(
        user="user_id", item="item_id", feedback="implicit", item_features=COLUMNS, item_encoder=encoder, random_state=0
    )


def int8_quality(options: argparse.Namespace) -> Iterator[Table]:
    """NDCG@20 on float32 and on int8 vectors, ours and those of onnxruntime, the same folds and settings."""
    frame = load(options.data, "ml_latest_small")
    names = [dtype for dtype in ("float32", "int8") if our_encoder(dtype) is not None]
    names += [ONNX] if onnx_encoder() is not None else []
    rows = []
    with tempfile.TemporaryDirectory() as store:
        for protocol, n_folds in FOLDS.items():
            cold = protocol == "new items"
            splitter = ColdItemKFold(5, item="item_id", random_state=0) if cold else None
            splitter = splitter or PerUserKFold(5, user="user_id", random_state=0)
            table = compare_recommenders(
                {name: _recommender(name, store) for name in names},
                frame,
                cv=list(splitter.split(frame))[:n_folds],
                metrics=("ndcg",),
                k=K,
                candidates="test" if cold else "all",
                reference="float32",
                random_state=0,
            ).frame
            table = table[table["metric"] == f"ndcg@{K}"].set_index("estimator")
            for name in names:
                ndcg = table.loc[name, "mean"]
                rows.append(
                    {
                        "vectors": f"{name}, {protocol}",
                        f"NDCG@{K}": f"{ndcg:.4f}",
                        "to float32": f"{ndcg / table.loc['float32', 'mean'] - 1:+.2%}",
                        "folds": n_folds,
                    }
                )
    n_users, n_items = frame["user_id"].nunique(), frame["item_id"].nunique()
    yield f"ml_latest_small, {len(frame):,} likes of {n_users:,} users and {n_items:,} items", rows
