"""Tables that others have published, rebuilt, with the defaults of this package beside them.

    python -m benchmarks.published [--out FOLDER] [--splits item user random] [--contestants "FeatureMF" ...]

The comparison in the README of recommenders-team/recommenders on MovieLens 100K: three quarters of the ratings of each
item (or of each user, or of all) to learn from, lists of ten of what a user has not rated there. Their SAR is rebuilt
first: if it comes out to the digit, splits and metrics are theirs. (Published questions of the next item are asked by
`benchmarks.next_item`.)

All parameters are defaults; nothing is chosen on test rows. A run of one recommender is a file in `--out`; a stopped
run is resumed. Intervals are bootstrapped over users.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from functools import partial
from operator import methodcaller
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.measure import Table, make_parser, markdown
from benchmarks.common.runs import file_name, resumed
from benchmarks.published import contestants, sources
from benchmarks.published.protocol import ITEM, SPLITS, TIME, USER, K, SimpleAlgorithm, evaluate
from skllmrec import fetch_movielens_100k
from skllmrec._typing import Array

_DRAWS = 2000


def interval(values: list[float]) -> str:
    """95 % of the means of samples drawn with replacement."""
    array, generator = np.asarray(values), np.random.default_rng(0)
    means = array[generator.integers(len(array), size=(_DRAWS, len(array)))].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return f"{low:.3f} to {high:.3f}"


def rows_of(
    published: dict[str, Any], ours: dict[str, dict[str, Any]], metrics: tuple[str, ...]
) -> list[dict[str, Any]]:
    """Rows of a table: published ones first, then ours."""
    rows = [
        {
            "recommender": name,
            "figures of": "publication",
            **{metric: f"{value:.4f}" for metric, value in zip(metrics, figures, strict=True)},
            "95 % of NDCG": "",
            "CPU s": "",
        }
        for name, figures in published.items()
    ]
    for name, result in ours.items():
        figures = {metric: f"{result[metric]:.4f}" for metric in metrics}
        seconds = f"{result['fit'] + result['recommend']:.0f}"
        row = {"recommender": name, "figures of": "this run", **figures}
        rows.append({**row, "95 % of NDCG": interval(result["users"]), "CPU s": seconds})
    return rows


def run(
    fit: Callable[[], Any], recommend: Callable[[Any], tuple[Array, Any]], judge: Callable[[Array], dict[str, Any]]
) -> dict[str, Any]:
    """Fit, recommend and judge; with the CPU seconds of the first two."""
    start = time.process_time()
    fitted = fit()
    between = time.process_time()
    lists, _ = recommend(fitted)
    end = time.process_time()
    return {**judge(lists), "fit": round(between - start, 2), "recommend": round(end - between, 2)}


def movielens_tables(options: argparse.Namespace) -> Iterator[Table]:
    """Compare on MovieLens 100K, one table for each split."""
    frame = fetch_movielens_100k().frame
    setup = contestants.Setup("{title}. {genres}", ("title", "genres"), TIME, str(options.out / "store"))
    for split in options.splits:
        train, test = SPLITS[split](frame)
        users, folder = np.unique(test[USER].to_numpy()), options.out / "movielens" / split
        ask, judge = methodcaller("recommend", users, K), partial(evaluate, users=users, test=test)
        rebuilt = resumed(folder / file_name("SAR"), partial(run, partial(SimpleAlgorithm().fit, train), ask, judge))
        ours = {"SAR, rebuilt": rebuilt}
        unrated = train[[USER, ITEM, TIME, *setup.columns]]  # ours learn from what was rated, not from how
        for name, make in chosen(contestants.MOVIELENS, options).items():
            fit = partial(make(setup).fit, unrated)
            ours[name] = resumed(folder / file_name(name), partial(run, fit, ask, judge))
        rows = rows_of(sources.MOVIELENS[split], ours, sources.MOVIELENS_METRICS)
        yield f"MovieLens 100K, split by {split}: {len(train):,} ratings to learn from, {len(test):,} tested", rows


def chosen(table: contestants.Contestants, options: argparse.Namespace) -> contestants.Contestants:
    """Contestants that the command line names; all if it names none."""
    return {name: make for name, make in table.items() if not options.contestants or name in options.contestants}


def main() -> None:
    """Run what is missing, and print the tables."""
    parser = make_parser(__doc__)
    parser.add_argument("--out", type=Path, default=Path(".published"), help="folder of results and store")
    parser.add_argument("--splits", nargs="+", default=list(SPLITS), choices=list(SPLITS))
    names = list(contestants.MOVIELENS)
    parser.add_argument("--contestants", nargs="*", choices=names, metavar="NAME", help=f"of {', '.join(names)}")
    options = parser.parse_args()
    for title, rows in movielens_tables(options):
        print(f"\n{title}\n\n{markdown(rows)}", flush=True)


if __name__ == "__main__":
    main()
