"""Tables that others have published, rebuilt, with the defaults of this package beside them.

    python -m benchmarks.published [--parts movielens office] [--data FOLDER_OF_FOLDERS] [--out FOLDER]
        [--splits item user random] [--contestants "FeatureMF" ...]

movielens: the comparison in the README of recommenders-team/recommenders on MovieLens 100K: three quarters of the
ratings of each item (or of each user, or of all) to learn from, lists of ten of what a user has not rated there. Their
SAR is rebuilt first: if it comes out to the digit, splits and metrics are theirs.

office: the next item of the published split of Amazon Office Products (`--data` has the folder `amazon_office`). The
whole catalogue is ranked from the last ten items of a user; what they already have may be recommended again. The
published training rows of users without a question are missing: about half of them.

All parameters are defaults; nothing is chosen on test rows. A run of one recommender is a file in `--out`; a stopped
run is resumed. Intervals are bootstrapped over users or questions.
"""

import argparse
import json
import re
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from operator import methodcaller
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.common.measure import Table, parser_of_parts, print_parts, require_data
from benchmarks.published import contestants, sources
from benchmarks.published.protocol import ITEM, SPLITS, TIME, USER, K, SimpleAlgorithm, evaluate, evaluate_next
from benchmarks.quality.run import write_json
from skllmrec import FeatureTable, fetch_movielens_100k
from skllmrec._typing import Array

_DRAWS = 2000
_OFFICE_ROWS = {"train": ("train",), "train + valid": ("train", "valid")}


def resumed(path: Path, run: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Read the result of a run, or make it now and keep it."""
    if not path.is_file():
        write_json(path, run())
    result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return result


def path_of(folder: Path, name: str) -> Path:
    """File of a contestant."""
    return folder / (re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") + ".json")


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
        rebuilt = resumed(path_of(folder, "SAR"), partial(run, partial(SimpleAlgorithm().fit, train), ask, judge))
        ours = {"SAR, rebuilt": rebuilt}
        unrated = train[[USER, ITEM, TIME, *setup.columns]]  # ours learn from what was rated, not from how
        for name, make in chosen(contestants.MOVIELENS, options).items():
            fit = partial(make(setup).fit, unrated)
            ours[name] = resumed(path_of(folder, name), partial(run, fit, ask, judge))
        rows = rows_of(sources.MOVIELENS[split], ours, sources.MOVIELENS_METRICS)
        yield f"MovieLens 100K, split by {split}: {len(train):,} ratings to learn from, {len(test):,} tested", rows


def office_tables(options: argparse.Namespace) -> Iterator[Table]:
    """Compare on Amazon Office Products, one table for each set of training rows."""
    source = Path(options.data) / "amazon_office"
    frame, items, test = (
        pd.read_parquet(source / f"{name}.parquet") for name in ("interactions", "items", "next_item_test")
    )
    text = "{title}. {brand}. {description}", ("title", "brand", "description")
    setup, table = contestants.Setup(*text, "position", str(options.out / "store")), FeatureTable(items, key=ITEM)
    histories = [list(history) for history in test["history"]]
    ask = methodcaller("recommend", None, K, history=histories, exclude_seen=False)
    judge = partial(evaluate_next, answers=test[ITEM])
    for name_of_rows, splits in _OFFICE_ROWS.items():
        train = frame.loc[frame["split"].isin(splits), [USER, ITEM, "position"]].reset_index(drop=True)
        folder, ours = options.out / "office" / "-".join(splits), {}
        for name, make in chosen(contestants.OFFICE, options).items():
            fit = partial(make(setup).fit, train, item_table=table)
            ours[name] = resumed(path_of(folder, name), partial(run, fit, ask, judge))
        title = (
            f"learned from {name_of_rows}, {len(train):,} rows (about half of the published ones), {len(test):,} tested"
        )
        yield f"Amazon Office, {title}", rows_of(sources.OFFICE, ours, sources.OFFICE_METRICS)


def chosen(table: contestants.Contestants, options: argparse.Namespace) -> contestants.Contestants:
    """Contestants that the command line names; all if it names none."""
    return {name: make for name, make in table.items() if not options.contestants or name in options.contestants}


PARTS: dict[str, Callable[[argparse.Namespace], Iterable[Table]]] = {
    "movielens": movielens_tables,
    "office": office_tables,
}


def main() -> None:
    """Run what is missing, and print the tables."""
    parser = parser_of_parts(__doc__, PARTS)
    parser.add_argument("--out", type=Path, default=Path(".published"), help="folder of results and store")
    parser.add_argument("--splits", nargs="+", default=list(SPLITS), choices=list(SPLITS), help="of movielens")
    names = sorted({*contestants.MOVIELENS, *contestants.OFFICE})
    parser.add_argument("--contestants", nargs="*", choices=names, metavar="NAME", help=f"of {', '.join(names)}")
    options = parser.parse_args()
    if "office" in options.parts:
        require_data(parser, options)
    print_parts(PARTS, options)


if __name__ == "__main__":
    main()
