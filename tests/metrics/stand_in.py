"""A stand-in for the contract of recommenders, and rows to try it on."""

import numpy as np
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator

from skllmrec._ids import IdIndex, column, missing_id


class StandIn(BaseEstimator):
    """Scores an item by its count, an unknown one by -1, or every item by 0; ties by position."""

    def __init__(self, *, user=0, item=1, constant=False):
        self.user, self.item, self.constant = user, item, constant

    def fit(self, X, y=None):
        self.n_columns_ = X.shape[1]
        users, user_codes = IdIndex.from_values(column(X, self.user))
        items, item_codes = IdIndex.from_values(column(X, self.item))
        self.users_, self.items_, self._users, self._items = users.ids, items.ids, users, items
        ones = np.ones(len(user_codes))
        self.seen_ = csr_array((ones, (user_codes, item_codes)), shape=(len(users), len(items)))
        self.counts_ = self.seen_.sum(axis=0)
        return self

    def _ids(self, given, key):
        if isinstance(given, tuple):
            assert (self._items.encode(given[0]) >= 0).all(), "the ids of a tuple are known"
            assert (self._items.encode(self._ids(given[1], key)) < 0).all(), "its rows are new"
            return np.concatenate([given[0], self._ids(given[1], key)])
        return column(given, key) if len(given.shape) == 2 else given

    def recommend(self, users, n_items=10, *, candidates=None, exclude_seen=True):
        assert users.shape[1] == self.n_columns_
        self.asked_ = candidates
        candidates = self._ids(candidates, self.item)
        codes = self._items.encode(candidates)
        base = np.where(codes >= 0, self.counts_[codes], -1.0) * (not self.constant)
        user_codes = self._users.encode(self._ids(users, self.user))
        ids = np.full((len(users), n_items), missing_id(candidates), dtype=candidates.dtype)
        scores = np.full(ids.shape, -np.inf)
        for row, user in enumerate(user_codes):
            seen = self.seen_[[user]].indices if user >= 0 and exclude_seen else []
            free = np.flatnonzero(~(np.isin(codes, seen) & (codes >= 0)))
            best = free[np.argsort(-base[free], kind="stable")][:n_items]
            ids[row, : len(best)], scores[row, : len(best)] = candidates[best], base[best]
        return ids, scores


def make_rows(seed=0, n_users=12, n_items=15, n=90):
    """Training and test rows (user, item); the test rows have users and items that training lacks."""
    rng = np.random.default_rng(seed)
    pairs = rng.permutation(n_users * n_items)[:n]
    rows = np.column_stack([pairs // n_items, pairs % n_items])
    train = rows[: 2 * n // 3]
    train = train[(train[:, 1] < n_items - 2) & (train[:, 0] < n_users - 1)]
    return train, np.vstack([rows[2 * n // 3 :], [[n_users - 1, n_items - 1], [0, n_items - 2]]])
