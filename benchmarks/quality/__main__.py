"""How good are the recommenders, and are their defaults? Against each other and against tuned peers.

    python -m benchmarks.quality [--data FOLDER_OF_FOLDERS] [--out FOLDER] [--quick]
        [--parts models rmse defaults report] [--sets ml_latest_small ...] [--protocols warm temporal cold]
        [--models "CEASE + LLM" ...] [--trials 12] [--seeds 3] [--max-items 4000] [--max-users 2000] [--seed 0]
        [--jobs 1]

`models`, the main part. Each set is reduced to users with at least five and items with at least three likes; with more
than `--max-items` items, to items with as many likes as it takes to keep to that (models that are cubic in the items
would need hours). Three protocols:

warm       a fifth of each user's likes is held out;
temporal   of sets with times: the last fifth of all likes, where 200 users have likes before and after that moment,
           else the last fifth of each user's likes;
cold       all likes of a fifth of the items are held out, and these items are ranked among themselves. Which items are
           new decides, a few popular ones above all: two such fifths are evaluated, each with models that were not
           trained on it, and trials are evaluated on two of the other three fifths.

Every model, ours or a peer's, gets the same number of trials, evaluated on a split of the training rows of the same
kind: its defaults, then random draws with a fixed seed (`--spaces` prints the distributions). The best trial is fitted
on all training rows, once for each seed where the seed matters, and evaluated on the held-out rows: NDCG@20, Recall@20,
the share of the items that are recommended, the diversity of a list in vectors of words that no model uses, and the
Gini index, for at most `--max-users` users (for validation half as many); a user of several splits is averaged over
them first. A blend takes the parameters found for its parts and has no trials of its own. TF-IDF, vectors and whitening
are learned on the training items of a split, once for all trials.

Each cell (set, protocol, model) is a file in `--out` that is written after every fit; a stopped run is resumed,
and a run with more trials, seeds or models adds to the finished cells. `report` prints the tables of the finished
cells, and writes results.csv and results.json. `--jobs 2` works on two sets or protocols at a time, each in a process
of its own.

`rmse`: explicit ratings, MovieLens 100K. `defaults`: FeatureMFRecommender only, defaults against a grid search, over
several folds. `--quick`: two sets, two trials, one seed; minutes instead of hours, and no figure to quote.

Peers and models use one thread unless OMP_NUM_THREADS is set.
"""

import argparse
import itertools
import warnings
from pathlib import Path

from joblib import Parallel, delayed

from benchmarks.common.measure import add_data_option, make_parser, require_data
from benchmarks.quality.data import N_SAMPLES, PROTOCOLS, SETS, Dataset, make_splits
from benchmarks.quality.defaults import defaults
from benchmarks.quality.models import MODELS
from benchmarks.quality.ratings import rmse
from benchmarks.quality.report import print_report
from benchmarks.quality.run import Cells, Contest

PARTS = ("models", "rmse", "defaults", "report")
_QUICK = {"sets": ["ml_latest_small", "completejourney"], "trials": 2, "seeds": 1, "max_items": 1000, "max_users": 500}


def contest(options: argparse.Namespace, cells: Cells, protocol: str, name: str) -> None:
    """Run the missing cells of one set under one protocol."""
    data = Dataset.read(options.data, name, options.max_items)
    if protocol == "temporal" and not data.has_time:
        return
    n_users, n_items = data.frame["user_id"].nunique(), data.frame["item_id"].nunique()
    test, validation = make_splits(
        data, protocol, seed=options.seed, max_users=options.max_users, store=str(options.out / "store")
    )
    print(
        f"{name}, {protocol}: {len(data.frame):,} likes, {n_users:,} users, {n_items:,} items; "
        f"{len(test[0].users):,} users and {len(test[0].candidates):,} items are evaluated"
        f"{f', {len(test)} times' if len(test) > 1 else ''}",
        flush=True,
    )
    seeds, n_trials = range(options.seed, options.seed + options.seeds), options.trials
    run = Contest(cells, test, validation, n_trials=n_trials, seeds=seeds, seed=options.seed)
    for model in options.models:
        if protocol in MODELS[model].protocols:
            print(f"{name}, {protocol}, {run.run(model)}", flush=True)


def contests(options: argparse.Namespace, cells: Cells) -> None:
    """Run the missing cells, protocol by protocol."""
    parts = itertools.product(options.protocols, options.sets)
    Parallel(n_jobs=options.jobs)(delayed(contest)(options, cells, *part) for part in parts)


def print_spaces() -> None:
    """Print the distributions of the trials of each model."""
    for name, model in MODELS.items():
        print(name if model.space else f"{name}: no parameters")
        for parameter, (default, distribution) in model.space.items():
            print(f"    {parameter}: {distribution}; first trial {default}")


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    add_data_option(parser)
    parser.add_argument("--out", type=Path, default=Path(".quality"), help="folder of cells, store and results")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--spaces", action="store_true", help="print the distributions of trials, and stop")
    parser.add_argument("--parts", nargs="*", default=["rmse", "models", "report"], choices=PARTS)
    parser.add_argument("--sets", nargs="*", default=list(SETS), choices=list(SETS))
    parser.add_argument("--protocols", nargs="*", default=list(PROTOCOLS), choices=PROTOCOLS)
    parser.add_argument("--models", nargs="*", default=list(MODELS), choices=list(MODELS), metavar="MODEL")
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--max-items", type=int, default=4000)
    parser.add_argument("--max-users", type=int, default=2000)
    parser.add_argument("--folds", type=int, default=2, help="folds of the part `defaults`")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="sets and protocols that run at the same time")
    options = parser.parse_args()
    if options.quick:
        vars(options).update(_QUICK)
    if not options.spaces and {"models", "defaults"} & set(options.parts):
        require_data(parser, options)
    return options


def main() -> None:
    """Run the parts."""
    options = parse()
    if options.spaces:
        print_spaces()
        return
    warnings.filterwarnings("ignore", "Bins whose width are too small")  # half of the films are of few years
    store = str(options.out / "store")
    settings = {name: getattr(options, name) for name in ("max_items", "max_users", "seed")}
    settings["samples"] = N_SAMPLES
    cells = Cells(options.out, settings)
    if "rmse" in options.parts:
        rmse(options.seed, store)
    if "defaults" in options.parts:
        defaults(options.data, options.sets, store, n_folds=options.folds, seed=options.seed)
    if "models" in options.parts:
        contests(options, cells)
    if "report" in options.parts:
        print_report(cells)


if __name__ == "__main__":
    main()
