"""The benchmarks are no part of the package, but every one can be imported and prints its help."""

import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).parents[1]
BENCHMARKS = ROOT / "benchmarks"
in_repository = pytest.mark.skipif(
    not BENCHMARKS.is_dir(), reason="benchmarks/ is in the repository only, not in the package"
)

# one process for all: its environment and its imports stay out of the other tests
PRINT_ALL_HELPS = """
import contextlib, importlib, io, sys

for name in sys.argv[1:]:
    module = importlib.import_module(name)
    if not hasattr(module, "main"):
        continue
    sys.argv = [name, "--help"]
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        try:
            module.main()
        except SystemExit as end:
            assert end.code == 0, name
        else:
            raise AssertionError(f"{name} runs when asked for help")
    assert printed.getvalue().startswith("usage:"), name
    print(name)
"""


def module_names():
    files = sorted(path.relative_to(ROOT).with_suffix("") for path in BENCHMARKS.rglob("*.py"))
    return [".".join(path.parts) for path in files if path.name != "__init__"]


@in_repository
def test_every_benchmark_is_imported_and_prints_its_help():
    environment = {key: value for key, value in os.environ.items() if key != "SKLLMREC_DATA"}
    done = subprocess.run(
        [sys.executable, "-c", PRINT_ALL_HELPS, *module_names()],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    programs = {path.name for path in BENCHMARKS.glob("[a-z]*.py")} | {
        path.parent.name for path in BENCHMARKS.glob("*/__main__.py")
    }
    helped = {name.removeprefix("benchmarks.").removesuffix(".__main__") for name in done.stdout.split()}
    assert {name.removesuffix(".py") for name in programs} <= helped


def ratings(n_rows=60, seed=0):
    """Rows of eight users and nine items in no order, no pair twice."""
    generator = np.random.default_rng(seed)
    pairs = generator.permutation(72)[:n_rows]
    return pd.DataFrame(
        {
            "user_id": pairs // 9 + 100,
            "item_id": pairs % 9 + 500,
            "rating": generator.integers(1, 6, n_rows).astype(float),
            "timestamp": generator.integers(8 * 10**8, 8 * 10**8 + 10**7, n_rows),
        }
    )


@in_repository
@pytest.mark.parametrize("column", ["user_id", "item_id"])
def test_published_split_is_that_of_shuffled_groups(column):
    from benchmarks.published.protocol import stratified_split

    frame = ratings()
    train, test = stratified_split(frame, column, seed=42)
    expected_train, expected_test = [], []
    for _, group in frame.groupby(column):  # as pandas shuffles a group, each from the same seed
        shuffled = group.sample(frac=1, random_state=42)
        cut = round(0.75 * len(group))  # of 2.5 and 4.5: the even neighbour
        expected_train.append(shuffled[:cut])
        expected_test.append(shuffled[cut:])
    pd.testing.assert_frame_equal(train, pd.concat(expected_train).reset_index(drop=True))
    pd.testing.assert_frame_equal(test, pd.concat(expected_test).reset_index(drop=True))
    assert not stratified_split(frame, column, seed=1)[0].equals(train)


def judged_by_hand(lists, users, test):
    """MAP, NDCG, precision and recall by their definitions, with natural logarithms as in the source."""
    sums = np.zeros(4)
    for user, ranked in zip(users, lists, strict=True):
        relevant = set(test.loc[test["user_id"] == user, "item_id"])
        hits = [item in relevant for item in ranked]
        precisions = [sum(hits[:place]) / place for place in range(1, 11) if hits[place - 1]]
        gain = sum(1 / math.log(1 + place) for place in range(1, 11) if hits[place - 1])
        ideal = sum(1 / math.log(1 + place) for place in range(1, min(len(relevant), 10) + 1))
        sums += [sum(precisions) / len(relevant), gain / ideal, sum(hits) / 10, sum(hits) / len(relevant)]
    return sums / len(users)


@in_repository
def test_published_metrics_are_those_of_their_definitions():
    from benchmarks.published.protocol import evaluate

    generator = np.random.default_rng(1)
    # some with more than ten relevant items, for which MAP and recall differ from what divides by ten
    relevant = [generator.permutation(30)[:size] for size in (1, 4, 15, 20)]
    test = pd.DataFrame(
        {"user_id": np.repeat([7, 3, 9, 5], [len(items) for items in relevant]), "item_id": np.concatenate(relevant)}
    )
    lists = np.array([generator.permutation(40)[:10] for _ in range(4)])  # 30 to 39 are in no test row
    lists[0, 3] = relevant[2][0]
    users = np.array([9, 3, 5, 7])
    found = evaluate(lists, users, test)
    expected = judged_by_hand(lists, users, test)
    np.testing.assert_allclose([found[name] for name in ("MAP", "NDCG@10", "P@10", "R@10")], expected, atol=1e-6)
    assert np.mean(found["users"]) == pytest.approx(found["NDCG@10"], abs=1e-6)


@in_repository
def test_published_baseline_is_that_of_its_formula():
    from benchmarks.published.protocol import SimpleAlgorithm

    frame = ratings(50, seed=3)
    users = frame["user_id"].unique()[:4]
    ids, scores = SimpleAlgorithm().fit(frame).recommend(users, 3)
    raters = {item: set(rows["user_id"]) for item, rows in frame.groupby("item_id")}
    newest = frame["timestamp"].max()
    for user, ranked, found in zip(users, ids, scores, strict=True):
        had = frame[frame["user_id"] == user]
        weights = had["rating"] * 2.0 ** (-(newest - had["timestamp"]) / (30 * 86400))
        expected = {}
        for item in sorted(raters.keys() - set(had["item_id"])):
            jaccard = [len(raters[item] & raters[j]) / len(raters[item] | raters[j]) for j in had["item_id"]]
            expected[item] = float(np.dot(weights, jaccard))
        best = sorted(expected, key=lambda item: (-expected[item], item))[:3]
        found, ranked = found[: len(best)], ranked[: len(best)]  # the others are what the user had
        assert ranked.tolist() == best
        np.testing.assert_allclose(found, [expected[item] for item in best])


@in_repository
@pytest.mark.realdata
@pytest.mark.parametrize("split", ["item", "user"])
def test_published_baseline_comes_out_to_the_digit(data_folder, split):
    from benchmarks.published.protocol import SPLITS, SimpleAlgorithm, evaluate
    from benchmarks.published.sources import MOVIELENS, MOVIELENS_METRICS

    frame = pd.read_parquet(data_folder / "ml_100k_posters" / "interactions.parquet")
    train, test = SPLITS[split](frame)
    users = np.unique(test["user_id"])
    found = evaluate(SimpleAlgorithm().fit(train).recommend(users)[0], users, test)
    assert tuple(round(found[name], 6) for name in MOVIELENS_METRICS) == MOVIELENS[split]["SAR"]
