"""What does a second stage gain over a blend of the same parts, and over the best of them? All with their defaults.

    python -m benchmarks.second_stage [--data FOLDER_OF_FOLDERS] [--out FOLDER] [--sets ml_latest_small ...]
        [--protocols warm cold] [--kinds ids both] [--seeds 1] [--max-items 4000] [--max-users 2000] [--seed 0]

The sets, the splits and the features of items are those of `benchmarks.quality`: a fifth of each user's likes is held
out ("warm"), or all likes of a fifth of the items, which are ranked among themselves ("cold", with features only; two
such fifths). `StackedRecommender` without `estimators` makes its parts: of ids alone (`ids`), or of ids and of
words and vectors of the titles (`both`), with the times where the set has them. `BlendRecommender` gets the same parts.
The best part is the one that is best on the held-out rows, which nobody could have known.

A run of a set, protocol, kind, split and seed is a file in `--out`; a stopped run is resumed. The table has NDCG@20 and
the share of the items that are recommended, means over the seeds; intervals are bootstrapped over users, whose values
are averaged over seeds and splits first.
"""

import argparse
import itertools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone

from benchmarks.common.measure import add_data_option, make_parser, markdown, require_data
from benchmarks.common.runs import write_json
from benchmarks.quality.data import ITEM, N_SAMPLES, SETS, USER, Dataset, Split, make_splits
from benchmarks.quality.models import Lookup, Shared, features_of
from benchmarks.quality.run import K, evaluate_lists
from skllmrec import BlendRecommender, StackedRecommender
from skllmrec._typing import Estimator, FloatArray

_COLUMNS = {"user": USER, "item": ITEM}
_DRAWS = 2000


def make_stack(split: Split, kind: str, seed: int) -> StackedRecommender:
    """Make a stack with its defaults on the features of a kind."""
    time_column = "timestamp" if split.dataset.has_time else None
    stack = StackedRecommender(**_COLUMNS, time=time_column, random_state=seed)
    features = features_of(kind, {"whiten": False, "llm_weight": 1.0}, split)
    if features is None:
        return stack
    return stack.set_params(item_features=ITEM, item_encoder=Lookup(Shared(split.catalogue, features)))


def evaluate(recommender: Estimator, split: Split) -> dict[str, Any]:
    """Evaluate the lists of a fitted recommender."""
    candidates = split.catalogue[split.candidates]
    given = None if split.protocol == "warm" else pd.DataFrame({ITEM: candidates})
    ids, _ = recommender.recommend(split.users, K, candidates=given)
    return evaluate_lists(pd.Index(candidates).get_indexer(ids.ravel()).reshape(ids.shape), split)


def timed(function: Callable[[], Any]) -> tuple[Any, float]:
    """Return the result and the CPU seconds of a call."""
    start = time.process_time()
    result = function()
    return result, round(time.process_time() - start, 1)


def run(split: Split, kind: str, seed: int) -> dict[str, Any]:
    """Fit and evaluate stack, blend and parts."""
    rows = split.train[[USER, ITEM, *(["timestamp"] if split.dataset.has_time else [])]]
    stack, seconds = timed(lambda: make_stack(split, kind, seed).fit(rows))
    lists, serving = timed(lambda: evaluate(stack, split))
    results = {"stack": {**lists, "fit": seconds, "recommend": serving, "held_out": stack.validation_scores_}}
    for name, part in zip(stack.names_, stack.estimators_, strict=True):
        results[f"part {name}"] = evaluate(part, split)
    parts = [(name, clone(part)) for name, part in zip(stack.names_, stack.estimators_, strict=True)]
    blend, seconds = timed(lambda: BlendRecommender(parts, **_COLUMNS, random_state=seed).fit(rows))
    results["blend"] = {**evaluate(blend, split), "fit": seconds}
    return results


def by_user(runs: list[dict[str, Any]], name: str) -> FloatArray:
    """NDCG of each user, mean over the seeds."""
    return pd.DataFrame([one[name]["users"] for one in runs]).mean().sort_index().to_numpy(dtype=float)


def gain(ours: FloatArray, theirs: FloatArray) -> str:
    """Relative gain of the mean, with an interval over users."""
    generator = np.random.default_rng(0)
    drawn = generator.integers(len(ours), size=(_DRAWS, len(ours)))
    ratios = ours[drawn].mean(axis=1) / theirs[drawn].mean(axis=1) - 1
    low, high = np.quantile(ratios, [0.025, 0.975])
    return f"{ours.mean() / theirs.mean() - 1:+.1%} ({low:+.1%} to {high:+.1%})"


def row_of(name: str, protocol: str, kind: str, runs: list[dict[str, Any]]) -> dict[str, Any]:
    """One row of the table."""
    means = {key: np.nanmean(by_user(runs, key)) for key in runs[0]}
    covered = {key: float(np.mean([one[key]["coverage"] for one in runs])) for key in runs[0]}
    best = max((key for key in means if key.startswith("part ")), key=lambda key: means[key])
    stack = by_user(runs, "stack")
    seconds = {key: np.mean([one[key]["fit"] for one in runs]) for key in ("stack", "blend")}
    return {
        "set": name,
        "split": protocol,
        "features": kind,
        "best part": f"{best[5:]} {means[best]:.4f} / {covered[best]:.2f}",
        "blend": f"{means['blend']:.4f} / {covered['blend']:.2f}",
        "stack": f"{means['stack']:.4f} / {covered['stack']:.2f}",
        "over the best part": gain(stack, by_user(runs, best)),
        "over the blend": gain(stack, by_user(runs, "blend")),
        "coverage": f"{covered['stack'] / covered['blend'] - 1:+.0%}",
        "fit, CPU s": f"{seconds['stack']:.0f} ({seconds['blend']:.0f})",
    }


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    add_data_option(parser)
    parser.add_argument("--out", type=Path, default=Path(".second_stage"), help="folder of results and store")
    parser.add_argument("--sets", nargs="*", default=list(SETS), choices=list(SETS))
    parser.add_argument("--protocols", nargs="*", default=["warm", "cold"], choices=["warm", "cold"])
    parser.add_argument("--kinds", nargs="*", default=["ids", "both"], choices=["ids", "tfidf", "llm", "both"])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--max-items", type=int, default=4000)
    parser.add_argument("--max-users", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    require_data(parser, options)
    return options


def runs_of(options: argparse.Namespace, name: str, protocol: str, kind: str) -> list[dict[str, Any]]:
    """Read the runs of all seeds and splits; those that are missing are made now."""
    seeds = range(options.seed, options.seed + options.seeds)
    jobs = [(number, seed) for number in range(N_SAMPLES[protocol]) for seed in seeds]
    folder = options.out / name / protocol
    paths = [folder / f"{kind}-{options.max_items}-{options.max_users}-{number}-{seed}.json" for number, seed in jobs]
    if not all(path.is_file() for path in paths):
        data, store = Dataset.read(options.data, name, options.max_items), str(options.out / "store")
        splits, _ = make_splits(data, protocol, seed=options.seed, max_users=options.max_users, store=store)
        for path, (number, seed) in zip(paths, jobs, strict=True):
            if not path.is_file():
                write_json(path, run(splits[number], kind, seed))
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths]


def main() -> None:
    """Run what is missing, and print the table."""
    options, table = parse(), []
    for name, protocol, kind in itertools.product(options.sets, options.protocols, options.kinds):
        if protocol == "warm" or kind != "ids":
            table.append(row_of(name, protocol, kind, runs_of(options, name, protocol, kind)))
            print(markdown(table[-1:]), flush=True)
    print("\nNDCG@20 / coverage@20; of the blend, the seconds in brackets\n")
    print(markdown(table))


if __name__ == "__main__":
    main()
