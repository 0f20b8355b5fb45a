"""New items: recommenders on frozen and on tuned vectors, alone and beside TF-IDF."""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline, make_union

from benchmarks.common.measure import Table
from benchmarks.finetune.data import split
from benchmarks.finetune.recommenders import make_recommender, ndcg_of_users, ratio
from skllmrec import EmbeddingWhitener, LLMFineTuner, LLMTextEncoder, TextAnalyzer

K = 20
MAX_LENGTH = 48
PAIRS = (("tuned", "frozen"), ("TF-IDF + tuned", "TF-IDF + frozen"))


def _encoders(folder, seed):
    """TF-IDF, the model frozen and tuned, and each beside TF-IDF, on identical text."""
    tfidf = TfidfVectorizer(analyzer=TextAnalyzer(), sublinear_tf=True)
    frozen = LLMTextEncoder(max_length=MAX_LENGTH, memory=folder / "store")
    # with the folder, a second fit on the same rows reuses the training of the first
    tuned = LLMFineTuner(
        max_length=MAX_LENGTH, checkpoint_dir=folder / "tuned", memory=folder / "store", random_state=seed
    )
    vectors = {name: make_pipeline(llm, EmbeddingWhitener()) for name, llm in (("frozen", frozen), ("tuned", tuned))}
    return {
        "TF-IDF": tfidf,
        **vectors,
        **{f"TF-IDF + {name}": make_union(tfidf, own) for name, own in vectors.items()},
    }


def cold_items(options: argparse.Namespace) -> Iterator[Table]:
    """NDCG@20 of items without interactions, ranked among themselves."""
    for name in options.sets:
        train, test = split(options.data, name, options.seed)
        with tempfile.TemporaryDirectory() as temporary:
            folder = (options.work or Path(temporary)) / name
            rows, note = _contest(name, train, test, folder, options)
        n_users, n_items = train["user_id"].nunique(), train["item_id"].nunique()
        yield (
            f"{name}, {len(train):,} likes of {n_users:,} users and {n_items:,} items to learn from, "
            f"{test['item_id'].nunique():,} new items; {note}",
            rows,
        )


def _contest(name, train, test, folder, options):
    """Rows of the table of one set, and a description of the fine-tuning."""
    rows, note = [], ""
    for kind in options.recommenders:
        quality, minutes = {}, {}
        for label, encoder in _encoders(folder, options.seed).items():
            recommender = make_recommender(name, encoder, seed=options.seed, kind=kind)
            wall, cpu = time.perf_counter(), time.process_time()
            quality[label] = ndcg_of_users(recommender, train, test, K)
            minutes[label] = (time.perf_counter() - wall) / 60, (time.process_time() - cpu) / 60
            if label == "tuned":
                note = _note(recommender.item_encoder_[1][0])
            done = f"{name}, {kind}, {label}: {quality[label].mean():.4f}, {minutes[label][1]:.1f} processor minutes"
            print(done, file=sys.stderr, flush=True)
        rng = np.random.default_rng(options.seed)
        gains = {pair[0]: ratio(quality[pair[0]], quality[pair[1]], rng) for pair in PAIRS}
        rows += [
            {
                "vectors": f"{label}, {kind}",
                f"NDCG@{K}": f"{values.mean():.4f}",
                "to frozen (95 % of bootstrap)": gains.get(label, ""),
                "minutes": f"{minutes[label][0]:.1f}",
                "processor": f"{minutes[label][1]:.1f}",
            }
            for label, values in quality.items()
        ]
    return rows, note


def _note(tuner):
    """Describe the result of the fine-tuner."""
    scores = [f"{record['objective']} {record['epoch']}: {record['score']:.4f}" for record in tuner.history_]
    return f"kept: {tuner.objective_}; held-out NDCG@{K} by epoch: {', '.join(scores)}"
