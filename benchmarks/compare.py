"""The overhead of a comparison: the time of `compare_recommenders` outside of fitting and recommending.

    python -m benchmarks.compare [--users 3000] [--items 2000] [--folds 3] [--quick]

models    fitting the estimators (searches of the size of the command line) and recommending to every test user
the rest  what the comparison adds: candidates, nine metrics, recall by popularity, memory, results kept on disk,
          permutation tests, bootstrap, frames
report    the HTML page of the finished comparison

Both are measured in one run, on one thread unless OMP_NUM_THREADS is set: two runs differ by more than the quantity
measured. Seconds are of processor time.
"""

import argparse
import functools
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import GridSearchCV

from benchmarks.common.measure import machine, markdown, versions
from skllmrec import FeatureMFRecommender, PopularityRecommender
from skllmrec._typing import Estimator, Frame, IntArray
from skllmrec.base import BaseRecommender, FeatureTable
from skllmrec.comparison import Comparison, compare_recommenders
from skllmrec.datasets import make_interactions
from skllmrec.metrics import make_ranking_scorer
from skllmrec.model_selection import PerUserKFold

METRICS = ("ndcg", "recall", "precision", "hit_rate", "mrr", "coverage", "gini", "novelty", "ild")
COLUMNS = {"user": "user_id", "item": "item_id", "feedback": "implicit"}
K = 20


def make_estimators() -> dict[str, Estimator]:
    """Make what is compared: popularity, and searches of the size that the command line has by default."""
    ids = FeatureMFRecommender(random_state=0, **COLUMNS)
    text = clone(ids).set_params(item_features="description", item_encoder=TfidfVectorizer(sublinear_tf=True))
    scorer = make_ranking_scorer("ndcg", k=K)
    candidates = {"n_components": [32, 64], "alpha": [None, 0.01, 0.04]}
    return {
        "popularity": PopularityRecommender(**COLUMNS),
        **{
            name: GridSearchCV(model, candidates, scoring=scorer, cv=PerUserKFold(3, user="user_id"))
            for name, model in {"ids": ids, "ids + TF-IDF": text}.items()
        },
    }


class Stopwatch:
    """Processor seconds inside some methods; a call inside another one counts once."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._depth = 0

    def _measured(self, method):
        def call(*args, **kwargs):
            start, self._depth = time.process_time(), self._depth + 1
            try:
                return method(*args, **kwargs)
            finally:
                self._depth -= 1
                if self._depth == 0:
                    self.seconds += time.process_time() - start

        # scikit-learn reads the parameters of `fit`
        return functools.wraps(method)(call)

    @contextmanager
    def on(self, *methods: tuple[type, str]) -> Iterator["Stopwatch"]:
        """Measure methods, given as (class, name), while the block runs."""
        kept = [(kind, name, getattr(kind, name)) for kind, name in methods]
        for kind, name, method in kept:
            setattr(kind, name, self._measured(method))
        try:
            yield self
        finally:
            for kind, name, method in kept:
                setattr(kind, name, method)


def run_compare(
    estimators: dict[str, Estimator], X: Frame, folds: list[tuple[IntArray, IntArray]], table: FeatureTable
) -> Comparison:
    """Run the comparison as the command line does, with results kept on disk."""
    with tempfile.TemporaryDirectory() as folder:
        return compare_recommenders(
            estimators, X, cv=folds, metrics=METRICS, k=K, item_table=table, checkpoint_dir=folder, random_state=0
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--users", type=int, default=3000)
    parser.add_argument("--items", type=int, default=2000)
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a small run that shows that it works")
    options = parser.parse_args()
    if options.quick:
        options.users, options.items, options.folds = 200, 150, 2
    bunch = make_interactions(options.users, options.items, density=0.02, random_state=0)
    X = bunch.frame[["user_id", "item_id"]]
    table = FeatureTable(bunch.item_table[["item_id", "description"]], key="item_id")
    folds = list(PerUserKFold(options.folds, user="user_id", random_state=0).split(X))
    estimators = make_estimators()
    run_compare(estimators, X, folds[:1], table)  # compiles
    start = time.process_time()
    with Stopwatch().on((GridSearchCV, "fit"), (BaseRecommender, "fit"), (BaseRecommender, "recommend")) as models:
        comparison = run_compare(estimators, X, folds, table)
    rest = time.process_time() - start - models.seconds
    start = time.process_time()
    comparison.to_html()
    seconds = {"models": models.seconds, "the rest": rest, "report": time.process_time() - start}
    print(f"{machine()}; {versions('scikit-learn', 'numpy', 'numba')}")
    print(f"{len(X):,} interactions of {options.users:,} users and {options.items:,} items, {options.folds} folds\n")
    print(markdown([{"what": name, "s": f"{value:.2f}"} for name, value in seconds.items()]))
    print(f"\nadded to the models' own time: {100 * rest / models.seconds:.1f} %")


if __name__ == "__main__":
    main()
