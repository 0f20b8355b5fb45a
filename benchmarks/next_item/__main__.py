"""What comes next? Published questions of the next item, the whole catalogue ranked, repeats legal answers.

    python -m benchmarks.next_item [--data FOLDER_OF_FOLDERS] [--out FOLDER] [--sets amazon_office]
        [--questions valid test] [--contestants "Markov" ...] [--seeds 1] [--seed 0]

A set is a folder with `interactions.parquet`, `items.parquet`, `next_item_valid.parquet` and `next_item_test.parquet`.
The validation questions are asked of models that learned from the rows of split "train": choose there. The test
questions are asked of models of "train" and of "train + valid". All parameters are defaults.

A run of one recommender is a file in `--out`; a stopped run is resumed. HR@10 and NDCG@10 are means over questions and
seeds; the interval is bootstrapped over users, since questions of one user are alike. The published figures were
reached with about twice as many training rows, of which those of users without a question are missing here; their
models and budgets are not ours, and plain models may reach more on these rows than was published of them.
"""

import argparse
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.common.measure import add_data_option, make_parser, markdown, require_data
from benchmarks.common.next_item import HISTORY, USER, NextItemSet
from benchmarks.common.runs import file_name, resumed
from benchmarks.next_item.contestants import CONTESTANTS, Setup
from skllmrec import rank_test_users

K = 10
_DRAWS = 2000
_ASKED = {"valid": ("train",), "test": ("train", "train + valid")}
# technical report of MiniOneRec, full catalogue ranked, trained on all published rows
PUBLISHED = {
    "amazon_office": {
        "GRU4Rec": (0.1019, 0.0669),
        "Caser": (0.1093, 0.0737),
        "SASRec": (0.1120, 0.0858),
        "TIGER": (0.1408, 0.1002),
        "LC-Rec": (0.1237, 0.0920),
        "HSTU": (0.1400, 0.1126),
        "BIGRec": (0.1434, 0.1091),
        "D3": (0.1634, 0.1213),
        "S-DPO": (0.1587, 0.1255),
        "MiniOneRec": (0.1634, 0.1242),
    }
}


def run(data: NextItemSet, name: str, questions: str, trained_on: str, setup: Setup) -> dict[str, Any]:
    """Fit a contestant and ask it the questions."""
    start = time.process_time()
    fitted = CONTESTANTS[name](setup).fit(data.rows(trained_on), item_table=data.item_table)
    between = time.process_time()
    table = data.valid if questions == "valid" else data.test
    ranked = rank_test_users(fitted, table, history=HISTORY, k=K, exclude_seen=False, random_state=setup.seed)
    end = time.process_time()
    if len(ranked.users) != len(table):
        raise ValueError(f"{len(table) - len(ranked.users)} questions of {len(table)} were not asked")
    values = {metric: ranked.evaluate(metric, average=False) for metric in ("hit_rate", "ndcg", "mrr")}
    return {
        **{metric: [round(float(value), 6) for value in found] for metric, found in values.items()},
        "fit": round(between - start, 2),
        "recommend": round(end - between, 2),
    }


def interval(values: Any, users: Any) -> str:
    """95 % of the means over questions where users are drawn with replacement, with all of their questions."""
    sums = pd.DataFrame({"user": users, "value": values}).groupby("user")["value"].agg(["sum", "size"]).to_numpy()
    drawn = sums[np.random.default_rng(0).integers(len(sums), size=(_DRAWS, len(sums)))].sum(axis=1)
    low, high = np.quantile(drawn[:, 0] / drawn[:, 1], [0.025, 0.975])
    return f"{low:.3f} to {high:.3f}"


def table_of(options: argparse.Namespace, name_of_set: str, questions: str, trained_on: str) -> list[dict[str, Any]]:
    """Make what is missing, and the rows of a table: published ones first."""
    published = PUBLISHED.get(name_of_set, {}) if questions == "test" else {}
    rows = [
        {"recommender": name, "of": "publication", "HR@10": f"{hits:.4f}", "NDCG@10": f"{ndcg:.4f}"}
        | {"MRR@10": "", "95 % of NDCG": "", "CPU min": ""}
        for name, (hits, ndcg) in published.items()
    ]
    data = NextItemSet.read(options.data / name_of_set)
    folder = options.out / name_of_set / f"{questions}-{trained_on.replace(' ', '')}"
    users = (data.valid if questions == "valid" else data.test)[USER]
    for name in options.contestants:
        results = []
        for seed in range(options.seed, options.seed + options.seeds):
            setup = Setup(str(options.out / "store"), seed)
            job = partial(run, data, name, questions, trained_on, setup)
            results.append(resumed(folder / file_name(f"{name} {seed}"), job))
        means = {metric: np.mean([one[metric] for one in results], axis=0) for metric in ("hit_rate", "ndcg", "mrr")}
        minutes = np.mean([one["fit"] + one["recommend"] for one in results]) / 60
        rows.append(
            {"recommender": name, "of": "this run", "HR@10": f"{means['hit_rate'].mean():.4f}"}
            | {"NDCG@10": f"{means['ndcg'].mean():.4f}", "MRR@10": f"{means['mrr'].mean():.4f}"}
            | {"95 % of NDCG": interval(means["ndcg"], users), "CPU min": f"{minutes:.2f}"}
        )
        print(markdown(rows[-1:]), flush=True)
    return rows


def main() -> None:
    """Run what is missing, and print the tables."""
    parser = make_parser(__doc__)
    add_data_option(parser)
    parser.add_argument("--out", type=Path, default=Path(".next_item"), help="folder of results and store")
    parser.add_argument("--sets", nargs="+", default=["amazon_office"], metavar="NAME", help="folders in --data")
    parser.add_argument("--questions", nargs="+", default=["valid", "test"], choices=list(_ASKED))
    names = list(CONTESTANTS)
    parser.add_argument("--contestants", nargs="*", default=names, choices=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    require_data(parser, options)
    tables = {}
    for name in options.sets:
        for questions in options.questions:
            for trained_on in _ASKED[questions]:
                title = f"{name}: {questions} questions, learned from {trained_on}"
                print(f"\n{title}\n", flush=True)
                tables[title] = table_of(options, name, questions, trained_on)
    for title, rows in tables.items():
        print(f"\n{title}\n\n{markdown(rows)}")


if __name__ == "__main__":
    main()
