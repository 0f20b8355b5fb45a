"""FeatureMFRecommender with its defaults against tuned, with features and with ids alone, over several folds."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline, make_union

from benchmarks.quality.data import SETS, load
from benchmarks.quality.run import K
from skllmrec import (
    ColdItemKFold,
    EmbeddingWhitener,
    FeatureMFRecommender,
    LLMTextEncoder,
    PerUserKFold,
    PopularityRecommender,
    TextAnalyzer,
    TextTemplate,
    compare_recommenders,
    make_ranking_scorer,
)
from skllmrec._typing import Estimator, IntArray
from skllmrec.model_selection._first_splits import FirstSplits

ALPHAS = (0.005, 0.01, 0.02, 0.04)
DENSITY_FACTORS = (3, 8, 20)


def encoders(template: str, store: str) -> dict[str, Estimator]:
    """TF-IDF, LLM and both on identical text."""
    columns = TextTemplate(template)
    tfidf = TfidfVectorizer(analyzer=TextAnalyzer(), sublinear_tf=True)
    llm = make_pipeline(LLMTextEncoder(max_length=64, memory=store), EmbeddingWhitener())
    return {
        "TF-IDF": make_pipeline(columns, tfidf),
        "LLM": make_pipeline(columns, llm),
        "TF-IDF + LLM": make_pipeline(columns, make_union(tfidf, llm)),
    }


def recommenders(frame: pd.DataFrame, template: str, store: str, seed: int) -> dict[str, Estimator]:
    """One recommender, without features and with each kind."""
    ids = {"user": "user_id", "item": "item_id", "feedback": "implicit", "random_state": seed}
    names = [column for column in frame.columns if f"{{{column}}}" in template]
    with_features = {
        label: FeatureMFRecommender(**ids, item_features=names, item_encoder=encoder)
        for label, encoder in encoders(template, store).items()
    }
    popularity = PopularityRecommender(user="user_id", item="item_id", feedback="implicit")
    return {"popularity": popularity, "ids": FeatureMFRecommender(**ids), **with_features}


def tuned(recommender: Estimator, frame: pd.DataFrame, inner: Estimator, candidates: str) -> GridSearchCV:
    """Wrap the recommender in a search of alpha and the unobserved weight on an inner split."""
    density = len(frame) / (frame["user_id"].nunique() * frame["item_id"].nunique())
    grid = {"alpha": ALPHAS, "unobserved_weight": [factor * density for factor in DENSITY_FACTORS]}
    scorer = make_ranking_scorer("ndcg", k=K, candidates=candidates)
    return GridSearchCV(recommender, grid, scoring=scorer, cv=inner)


def first_splits(splitter: Estimator, frame: pd.DataFrame, n_splits: int) -> list[tuple[IntArray, IntArray]]:
    """Return the first folds of a splitter."""
    return [split for split, _ in zip(splitter.split(frame), range(n_splits), strict=False)]


def run(frame: pd.DataFrame, template: str, store: str, protocol: str, n_folds: int, seed: int) -> pd.DataFrame:
    """Compare defaults and tuned recommenders under one protocol; a frame, one row per recommender."""
    cold = protocol == "cold items"
    splitter = ColdItemKFold if cold else PerUserKFold
    columns = {"item": "item_id"} if cold else {"user": "user_id"}
    candidates = "test" if cold else "all"
    plain = recommenders(frame, template, store, seed)
    inner = FirstSplits(splitter(5, **columns, random_state=seed + 1), 3 if cold else 1)
    searched = {
        f"{name}, tuned": tuned(recommender, frame, inner, candidates)
        for name, recommender in plain.items()
        if name != "popularity"
    }
    return compare_recommenders(
        {**plain, **searched},
        frame,
        cv=first_splits(splitter(5, **columns, random_state=seed), frame, n_folds),
        metrics=("ndcg", "recall", "coverage"),
        k=K,
        candidates=candidates,
        reference="TF-IDF" if cold else "ids",
        random_state=seed,
        verbose=True,
    ).frame


def report(name: str, protocol: str, frame: pd.DataFrame) -> None:
    """Print one protocol's table."""
    ndcg = frame[frame["metric"] == f"ndcg@{K}"].set_index("estimator")
    print(f"\n{name}, {protocol}: NDCG@{K}; reference {'TF-IDF' if protocol == 'cold items' else 'ids'}")
    print(f"{'':14s} {'default':>8s} {'tuned':>8s} {'ratio':>6s} {'gain':>8s} {'p (Holm)':>9s}")
    for label in [label for label in ndcg.index if not label.endswith("tuned")]:
        value = ndcg.loc[label, "mean"]
        best = ndcg["mean"].get(f"{label}, tuned", np.nan)
        gain, p = ndcg.loc[label, "gain"], ndcg.loc[label, "p_holm"]
        print(f"{label:14s} {value:8.4f} {best:8.4f} {value / best:6.3f} {gain:+8.1%} {p:9.4f}")


def defaults(folder: Path, names: Sequence[str], store: str, *, n_folds: int, seed: int) -> None:
    """Print the tables of some sets."""
    for name in names:
        frame = load(folder, name)
        print(f"\n{name}: {len(frame)} likes, {frame['user_id'].nunique()} users, {frame['item_id'].nunique()} items")
        for protocol in ("known items", "cold items"):
            report(name, protocol, run(frame, SETS[name][0], store, protocol, n_folds, seed))
