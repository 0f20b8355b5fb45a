"""What a comparison costs beside its models: all that `compare_recommenders` does against fitting and ranking alone.

    python benchmarks/compare.py [--users 3000] [--items 2000] [--folds 3] [--rounds 1] [--quick]

models    for each estimator and fold clone, fit and recommend to every test user, nothing else
compare   the same through `compare_recommenders`: ranking by the protocol, nine metrics, memory, results kept on disk,
          permutation tests, bootstrap, frames
report    the HTML page of the finished comparison

The two take turns in one process on one thread unless OMP_NUM_THREADS says otherwise; seconds are of processor time,
the median of the rounds. The share is (compare - models) / models.
"""

import argparse
import os
import tempfile

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", os.environ["OMP_NUM_THREADS"])

import numpy as np
from _measure import machine, markdown, median, percent, take_turns, versions
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from skllmrec import FeatureMFRecommender, NeighborsRecommender, PopularityRecommender
from skllmrec.base import FeatureTable
from skllmrec.comparison import compare_recommenders
from skllmrec.datasets import make_interactions
from skllmrec.metrics import make_ranking_scorer
from skllmrec.model_selection import PerUserKFold

METRICS = ("ndcg", "recall", "precision", "hit_rate", "mrr", "coverage", "gini", "novelty", "ild")
COLUMNS = {"user": "user_id", "item": "item_id", "feedback": "implicit"}
K = 20


def make_estimators():
    """Make what is compared: two quick ones, and a search of the size that the command line has by default."""
    factors = FeatureMFRecommender(random_state=0, **COLUMNS)
    scorer = make_ranking_scorer("ndcg", k=K)
    candidates = {"n_components": [32, 64], "alpha": [None, 0.01, 0.04]}
    return {
        "popularity": PopularityRecommender(**COLUMNS),
        "neighbours": NeighborsRecommender(by="interactions", **COLUMNS),
        "factors, searched": GridSearchCV(factors, candidates, scoring=scorer, cv=PerUserKFold(3, user="user_id")),
    }


def run_models(estimators, X, folds):
    """Fit and recommend, without a protocol."""
    for train, test in folds:
        users = np.unique(X["user_id"].iloc[test])
        for estimator in estimators.values():
            fitted = clone(estimator).fit(X.iloc[train])
            getattr(fitted, "best_estimator_", fitted).recommend(users, n_items=K)


def run_compare(estimators, X, folds, table):
    """Run the comparison as the command line does, with results kept on disk."""
    with tempfile.TemporaryDirectory() as folder:
        return compare_recommenders(
            estimators, X, cv=folds, metrics=METRICS, k=K, item_vectors=table, checkpoint_dir=folder, random_state=0
        )


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--users", type=int, default=3000)
    parser.add_argument("--items", type=int, default=2000)
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="a small run that shows that it works")
    options = parser.parse_args()
    if options.quick:
        options.users, options.items, options.folds, options.rounds = 200, 150, 2, 1
    bunch = make_interactions(options.users, options.items, density=0.02, random_state=0)
    X, table = bunch.frame[["user_id", "item_id"]], FeatureTable(bunch.items[["item_id", "description"]], key="item_id")
    folds = list(PerUserKFold(options.folds, user="user_id", random_state=0).split(X))
    estimators = make_estimators()
    run_models(estimators, X, folds[:1])  # compiles
    timings = take_turns(
        {
            "models": lambda: run_models(estimators, X, folds),
            "compare": lambda: run_compare(estimators, X, folds, table),
        },
        options.rounds,
    )
    timings |= take_turns({"report": lambda: timings["compare"].result.to_html()}, 1)
    print(f"{machine()}; {versions('scikit-learn', 'numpy', 'numba')}")
    print(f"{len(X):,} interactions of {options.users:,} users and {options.items:,} items, {options.folds} folds\n")
    models = median(timings["models"].cpu)
    print(markdown([{"what": name, "s": f"{median(timing.cpu):.2f}"} for name, timing in timings.items()]))
    print(f"\nadded to the models' own time: {percent(median(timings['compare'].cpu) - models, models)}")


if __name__ == "__main__":
    main()
