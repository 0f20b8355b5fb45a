"""Pre-training from scratch: whether both objectives are learned, and NDCG of new items with the encoder."""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline

from benchmarks.common.measure import Table
from benchmarks.finetune.data import SETS, split
from benchmarks.finetune.recommenders import make_recommender, ndcg_of_users, ratio
from skllmrec import (
    EmbeddingWhitener,
    LLMPretrainer,
    LLMTextEncoder,
    TextTemplate,
    WordVectorEncoder,
    load_interactions,
)

K = 20
CATALOGUE = "ml_latest_small"
MAX_LENGTH = 64
N_TOPICS, N_WORDS, N_DOCUMENTS = 8, 12, 3_000
SHOWN = ("mlm_perplexity", "unigram_perplexity", "mlm_accuracy", "nsp_loss", "nsp_accuracy")
CENTRED = ", centred"  # and of unit length


def documents_of_topics(seed: int) -> list[str]:
    """Documents of three to five sentences about one of eight topics; a third of the words are common to all."""
    rng = np.random.default_rng(seed)
    syllables = [consonant + vowel for consonant in "bcdfghklmnprstvz" for vowel in "aeiou"]
    words = ["".join(rng.choice(syllables, 3)) for _ in range((N_TOPICS + 2) * N_WORDS)]
    topics, common = np.array(words).reshape(N_TOPICS + 2, N_WORDS)[2:], words[: 2 * N_WORDS]

    def sentence(topic):
        n = rng.integers(5, 9)
        chosen = np.where(rng.random(n) < 1 / 3, rng.choice(common, n), rng.choice(topics[topic], n))
        return " ".join(chosen).capitalize() + "."

    return [" ".join(sentence(number % N_TOPICS) for _ in range(rng.integers(3, 6))) for number in range(N_DOCUMENTS)]


def _print_record(record):
    numbers = {name: record.get(f"held_out_{name}") for name in SHOWN}
    shown = ", ".join(f"{name} {value:.3f}" for name, value in numbers.items() if value is not None)
    print(f"epoch {record['epoch']}: {shown}", file=sys.stderr, flush=True)


def _curve(pretrainer, epochs):
    """Rows of a table: held-out metrics of some epochs."""
    return [
        {"epoch": record["epoch"], "steps": record["step"]}
        | {name: f"{record[f'held_out_{name}']:.3f}" for name in SHOWN if f"held_out_{name}" in record}
        for record in pretrainer.history_
        if record["epoch"] in epochs
    ]


def pretraining(options: argparse.Namespace) -> Iterator[Table]:
    """Tables of both corpora, and of new items of the catalogue."""
    yield _on_topics(options.seed)
    yield from _on_catalogue(options)


def _timed(pretrainer, texts):
    """Fit; describe the time it took."""
    wall, cpu = time.perf_counter(), time.process_time()
    pretrainer.fit(texts)
    return f"{(time.perf_counter() - wall) / 60:.1f} minutes, {(time.process_time() - cpu) / 60:.1f} of the processor"


def _on_topics(seed):
    with tempfile.TemporaryDirectory() as folder:
        pretrainer = LLMPretrainer(
            max_length=64,
            max_iter=10,
            learning_rate_init=1e-3,
            checkpoint_dir=folder,
            callbacks=[_print_record],
            random_state=seed,
        )
        took = _timed(pretrainer, documents_of_topics(seed))
    return f"{N_DOCUMENTS:,} documents of one topic each; {took}", _curve(pretrainer, {0, 1, 2, 3, 5, 10})


def _catalogue_texts(folder):
    """Texts of all items, with or without interactions: pre-training needs none; and how many have a description."""
    items = load_interactions(folder / CATALOGUE).item_table
    n_described = int((items["overview"].fillna("").str.strip() != "").sum())
    return TextTemplate(SETS[CATALOGUE].template).fit_transform(items), n_described


def _on_catalogue(options):
    train, test = split(options.data, CATALOGUE, options.seed)
    texts, n_described = _catalogue_texts(options.data)
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.work or Path(temporary)) / "pretrained"
        pretrainer = LLMPretrainer(
            max_length=MAX_LENGTH,
            max_iter=options.epochs,
            learning_rate_init=1e-3,
            checkpoint_dir=folder,
            callbacks=[_print_record],
            random_state=options.seed,
        )
        took = _timed(pretrainer, texts)
        epochs = {0, 1, *range(5, options.epochs, 5), options.epochs}
        yield (
            f"{len(texts):,} texts of {CATALOGUE}, {n_described:,} with a description; {took}",
            _curve(pretrainer, epochs),
        )
        trained = {
            "BERT from scratch": LLMTextEncoder(pretrainer.checkpoint_, max_length=MAX_LENGTH),
            "its token embeddings": LLMTextEncoder(pretrainer.checkpoint_, max_length=MAX_LENGTH, layer=0),
        }
        plain = {"GloVe, mean": WordVectorEncoder(), **trained}
        encoders = {
            **plain,
            **{name + CENTRED: make_pipeline(encoder, EmbeddingWhitener()) for name, encoder in plain.items()},
            "TF-IDF": TfidfVectorizer(sublinear_tf=True),
            "MiniLM (pre-trained on a billion pairs)": make_pipeline(
                LLMTextEncoder(max_length=MAX_LENGTH), EmbeddingWhitener()
            ),
        }
        yield f"{CATALOGUE}, {test['item_id'].nunique():,} new items", _contest(encoders, train, test, options.seed)


def _contest(encoders, train, test, seed):
    """NDCG of new items with each encoder in the same recommender, and its ratio to GloVe's."""
    rows, quality = [], {}
    for name, encoder in encoders.items():
        quality[name] = ndcg_of_users(make_recommender(CATALOGUE, encoder, seed=seed), train, test, K)
        print(f"{name}: {quality[name].mean():.4f}", file=sys.stderr, flush=True)
        reference = quality["GloVe, mean" + CENTRED * name.endswith(CENTRED)]
        rows.append(
            {
                "vectors": name,
                f"NDCG@{K}": f"{quality[name].mean():.4f}",
                "to GloVe, treated alike (95 % of bootstrap)": ratio(
                    quality[name], reference, np.random.default_rng(seed)
                ),
            }
        )
    return rows
