"""A recommender with a known skill, for tests of the comparison."""

import sys
import time
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator

from skllmrec._ids import IdIndex, column
from skllmrec.comparison._formatting import COSTS


def integer_data(n_users=60, n_items=40, seed=0):
    """Rows (user, item), eight per user; user u likes the items with u + item even."""
    rng = np.random.default_rng(seed)
    liked = [np.arange(user % 2, n_items, 2) for user in range(n_users)]
    return np.array([[user, item] for user in range(n_users) for item in rng.choice(liked[user], 8, replace=False)])


class Scripted(BaseEstimator):
    """Ranks items by ``skill * (user + item is even) + noise``: the more skill, the better on `integer_data`."""

    def __init__(self, skill=1.0, *, user=0, item=1, noise_seed=0, fails=None, log=None):
        self.skill, self.user, self.item, self.noise_seed, self.fails, self.log = (
            skill,
            user,
            item,
            noise_seed,
            fails,
            log,
        )

    def fit(self, X, y=None, *, item_table=None):
        if self.fails == "fit":
            raise RuntimeError("out of luck")
        users, user_codes = IdIndex.from_values(column(X, self.user))
        items, item_codes = IdIndex.from_values(column(X, self.item))
        self._users, self._items = users, items
        self.users_, self.items_ = users.ids, items.ids
        shape = len(users), len(items)
        self.seen_ = csr_array((np.ones(len(user_codes)), (user_codes, item_codes)), shape=shape)
        self.rows_, self.table_ = {tuple(row) for row in np.asarray(X)[:, :2].tolist()}, item_table
        return self

    def _scores(self, users, items):
        noise = np.random.default_rng(self.noise_seed).random((1000, 1000))[np.ix_(users, items)]
        return self.skill * ((users[:, None] + items) % 2 == 0) + noise

    def predict(self, X):
        X = np.asarray(X)
        return self._scores(X[:, 0], X[:, 1]).diagonal()

    def recommend(self, users, n_items=10, *, candidates=None, exclude_seen=True):
        if self.fails == "recommend":
            raise RuntimeError("out of luck")
        if isinstance(candidates, tuple):
            candidates = np.concatenate([candidates[0], column(candidates[1], self.item)])
        candidates = column(candidates, self.item) if candidates.ndim == 2 else candidates
        users = column(users, self.user)
        scores = self._scores(users, candidates)
        for row, user in enumerate(users):
            scores[row, [(user, item) in self.rows_ for item in candidates]] = -np.inf
        order = np.argsort(-scores, axis=1, kind="stable")[:, :n_items]
        return candidates[order], np.take_along_axis(scores, order, axis=1)

    def __sklearn_is_fitted__(self):
        return hasattr(self, "items_")


class Logged(Scripted):
    """Writes a line for each fit; waits for ever in the one after `wait_after` lines, while a file says so."""

    def __init__(self, skill=1.0, *, user=0, item=1, noise_seed=0, fails=None, log=None, wait_after=3):
        super().__init__(skill, user=user, item=item, noise_seed=noise_seed, fails=fails, log=log)
        self.wait_after = wait_after

    def fit(self, X, y=None, *, item_table=None):
        log = Path(self.log)
        if log.with_suffix(".wait").exists() and len(lines(log)) >= self.wait_after:
            log.with_suffix(".waits").touch()
            time.sleep(600)
        with log.open("a") as file:
            file.write(f"{self.skill}\n")
        return super().fit(X, y, item_table=item_table)


def lines(path):
    """Lines of a file, none where it is missing."""
    return Path(path).read_text().splitlines() if Path(path).exists() else []


def compare_logged(log, folder, *, n_jobs=1, **changes):
    """Compare two logged estimators on three folds, and keep what is done in a folder."""
    from skllmrec import compare_recommenders

    options = {
        "cv": 3,
        "k": 5,
        "metrics": ("ndcg", "novelty", "coverage"),
        "n_permutations": 99,
        "n_resamples": 99,
        "random_state": 0,
        "verbose": True,
        **changes,
    }
    X, y = options.pop("X", integer_data()), options.pop("y", None)
    estimators = options.pop("estimators", {"weak": Logged(0.1, log=log), "strong": Logged(2.0, log=log)})
    return compare_recommenders(estimators, X, y, checkpoint_dir=folder, n_jobs=n_jobs, **options)


def quality(comparison):
    """The frame without what the clock says."""
    return comparison.frame[~comparison.frame["metric"].isin(COSTS)].reset_index(drop=True)


if __name__ == "__main__":
    from scripted import compare_logged as run  # so that the classes have the name that importers know them by

    run(*sys.argv[1:])
