"""Cells of the claim benchmark: one coding of the items on one split, each in its own file, so that runs resume."""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer

from benchmarks.common.runs import write_json
from benchmarks.quality.data import ITEM, MAX_WORDS, Dataset, Split
from benchmarks.quality.models import MODELS, Model
from benchmarks.quality.space import trials
from skllmrec._typing import CsrMatrix, IntArray
from skllmrec.metrics import (
    catalog_coverage,
    intra_list_diversity,
    ndcg_at_k,
    precision_at_k,
    recall_at_k,
)

# coding of the items -> model of the quality benchmark whose recommender and space of parameters it has
TRADITIONAL = ("one-hot words", "TF-IDF")
CODINGS = {
    "ids only": "FeatureMF ids",
    "one-hot words": "FeatureMF + TF-IDF",
    "TF-IDF": "FeatureMF + TF-IDF",
    "LLM": "FeatureMF + LLM",
    "TF-IDF + LLM": "FeatureMF + TF-IDF + LLM",
    "TF-IDF + tuned LLM": "FeatureMF + TF-IDF + tuned LLM",
}
# the column by which the diversity of a list is measured (tags: of the whole set, for evaluation only)
KINDS = {
    "ml_latest_small": "genres",
    "lastfm_hetrec": "tags",
    "book_crossing": "author",
    "completejourney": "product_category",
}
METRICS = ("precision@10", "recall@20", "ndcg@20", "ild@20")
_K = 20


def model_of(coding: str) -> Model:
    """Return the model of a coding: the same recommender and the same space of parameters for all of them."""
    model = MODELS[CODINGS[coding]]
    return replace(model, kind="words") if coding == "one-hot words" else model


def kind_vectors(split: Split) -> CsrMatrix:
    """Which genres, tags, authors or categories each candidate has, csr_matrix of ones."""
    table = split.dataset.frame.drop_duplicates(ITEM).set_index(ITEM)
    values = table.loc[split.catalogue[split.candidates], KINDS[split.dataset.name]].fillna("").astype(str)
    parts = CountVectorizer(
        tokenizer=lambda text: [part.strip() for part in text.split(",") if part.strip()],
        token_pattern=None,
        binary=True,
    )
    return parts.fit_transform(values)


def evaluate_lists(lists: IntArray, split: Split) -> dict[str, Any]:
    """Evaluate lists: METRICS of each user, and coverage."""
    values = {
        "precision@10": precision_at_k(split.relevant, lists, k=10, average=False),
        "recall@20": recall_at_k(split.relevant, lists, k=_K, average=False),
        "ndcg@20": ndcg_at_k(split.relevant, lists, k=_K, average=False),
        "ild@20": intra_list_diversity(lists, kind_vectors(split), k=_K, average=False),
    }
    rounded = {name: [round(float(value), 5) for value in column] for name, column in values.items()}
    return {"coverage@20": catalog_coverage(lists, len(split.candidates), k=_K), "per_user": rounded}


def run_cell(path: Path, coding: str, split: Split, inner: Split, *, n_trials: int, seed: int) -> dict[str, Any]:
    """Tune a coding on the validation split, fit the best on all training rows, evaluate; a finished cell is read."""
    wanted = {"coding": coding, "n_trials": n_trials, "max_words": MAX_WORDS}
    if path.is_file():
        cell = json.loads(path.read_text(encoding="utf-8"))
        if all(cell[name] == value for name, value in wanted.items()):
            return cell
    model, start = model_of(coding), time.process_time()
    scores = []
    drawn = trials(CODINGS[coding], model.space, n_trials, seed)
    for params in drawn:
        lists = model.recommend(params, inner, seed, _K, {})
        scores.append(ndcg_at_k(inner.relevant, lists, k=_K))
    best = drawn[int(np.argmax(scores))]
    cell = wanted | {
        "params": best,
        "validation": float(max(scores)),
        "users": split.users.tolist(),
        **evaluate_lists(model.recommend(best, split, seed, _K, {}), split),
        "seconds": round(time.process_time() - start, 1),
    }
    write_json(path, cell)
    return cell


def run(options: argparse.Namespace, dataset: str, protocol: str, seed: int) -> None:
    """Run the codings on one split."""
    data = Dataset.read(options.data, dataset, options.max_items)
    if protocol == "temporal" and not data.has_time:
        return
    split = Split(data, protocol, data.frame, seed, options.max_users, str(options.out / "store"))
    inner = split.inner()
    for coding in options.codings:
        is_tuned = "tuned" in coding
        if protocol not in MODELS[CODINGS[coding]].protocols:
            continue
        if is_tuned and (protocol != "cold" or seed >= options.seed + options.tuned_seeds):
            continue
        path = options.out / "claim" / dataset / protocol / f"{coding.replace(' ', '-')}-{seed}.json"
        cell = run_cell(path, coding, split, inner, n_trials=options.trials, seed=seed)
        ndcg = np.nanmean(cell["per_user"]["ndcg@20"])
        print(
            f"  {dataset}, {protocol}, seed {seed}, {coding}: NDCG@20 {ndcg:.4f}, {cell['seconds']:.0f} s", flush=True
        )
