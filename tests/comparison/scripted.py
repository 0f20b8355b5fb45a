"""A recommender with a known skill, for tests of the comparison."""

import numpy as np
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator

from skllmrec._ids import IdIndex, column


def integer_data(n_users=60, n_items=40, seed=0):
    """Rows (user, item), eight per user; user u likes the items with u + item even."""
    rng = np.random.default_rng(seed)
    liked = [np.arange(user % 2, n_items, 2) for user in range(n_users)]
    return np.array([[user, item] for user in range(n_users) for item in rng.choice(liked[user], 8, replace=False)])


class Scripted(BaseEstimator):
    """Ranks items by ``skill * (user + item is even) + noise``: the more skill, the better on `integer_data`."""

    def __init__(self, skill=1.0, *, user=0, item=1, noise_seed=0, fails=None, log=None):
        self.skill, self.user, self.item, self.noise_seed, self.fails, self.log = (
            skill, user, item, noise_seed, fails, log,
        )  # fmt: skip

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
