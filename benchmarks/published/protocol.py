"""The protocols of published tables: how rows were split, how lists were judged, and a baseline that shows it.

Nothing here is chosen: splits, seeds and metrics are those of the sources, written anew.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.model_selection import train_test_split

from skllmrec._typing import Array, FloatArray, IntArray
from skllmrec.metrics import map_at_k, ndcg_at_k, precision_at_k, recall_at_k

USER, ITEM, TIME, RATING = "user_id", "item_id", "timestamp", "rating"
K = 10
SEED = 42  # of the recommenders repository, everywhere
_TRAINED = 0.75
_HALF_LIFE = 30 * 24 * 3600  # seconds after which a rating counts half


def stratified_split(frame: pd.DataFrame, column: str, seed: int = SEED) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split the rows of each user or item at 75 to 25.

    The splitter that the published figures were made with drew the order of each group from the same seed, and gave the
    first ``round(0.75 n)`` rows (halves to even) to training. Later versions of it draw one number for each row instead
    and round down: other rows, and other figures.

    Parameters
    ----------
    frame : DataFrame
        In the order of the original file: it decides which rows are drawn.
    column : str
        Column whose groups are split.
    seed : int

    Returns
    -------
    train, test : DataFrame
    """
    order: list[IntArray] = []
    sizes = []
    for rows in frame.groupby(column, sort=True).indices.values():
        order.append(rows[np.random.RandomState(seed).permutation(len(rows))])
        sizes.append(round(_TRAINED * len(rows)))
    train = np.concatenate([rows[:size] for rows, size in zip(order, sizes, strict=True)])
    test = np.concatenate([rows[size:] for rows, size in zip(order, sizes, strict=True)])
    return frame.iloc[train].reset_index(drop=True), frame.iloc[test].reset_index(drop=True)


def random_split(frame: pd.DataFrame, seed: int = SEED) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split all rows at 75 to 25, whosever they are."""
    train, test = train_test_split(frame, train_size=_TRAINED, random_state=seed)
    return train.reset_index(drop=True), test.reset_index(drop=True)


SPLITS: dict[str, Callable[[pd.DataFrame], tuple[pd.DataFrame, pd.DataFrame]]] = {
    "item": lambda frame: stratified_split(frame, ITEM),
    "user": lambda frame: stratified_split(frame, USER),
    "random": random_split,
}


def evaluate(lists: Array, users: Array, test: pd.DataFrame) -> dict[str, Any]:
    """Judge lists of ten items as the recommenders repository does; every test row is relevant, whatever its rating.

    Precision, recall and NDCG are the usual ones (the base of the logarithm cancels). MAP divides by all relevant
    items, and not by ten where there are more.

    Parameters
    ----------
    lists : ndarray of shape (n_users, 10)
        Ids; those that are in no test row, such as padding, are misses.
    users : ndarray of shape (n_users,)
        All users of the test rows.
    test : DataFrame

    Returns
    -------
    dict
        The four means, and the NDCG of each user.
    """
    items = pd.Index(np.unique(test[ITEM].to_numpy()))
    # lists must be unique: what is in no test row gets a column of its own
    places = items.get_indexer(lists.ravel()).reshape(lists.shape)
    places = np.where(places < 0, len(items) + np.arange(lists.shape[1]), places)
    shape = (len(users), len(items) + lists.shape[1])
    rows, columns = pd.Index(users).get_indexer(test[USER]), items.get_indexer(test[ITEM])
    relevant = sparse.csr_matrix((np.ones(len(test), dtype=np.float32), (rows, columns)), shape=shape)
    n_relevant = np.diff(relevant.indptr)
    per_user = ndcg_at_k(relevant, places, k=K, average=False)
    precisions = map_at_k(relevant, places, k=K, average=False) * np.minimum(n_relevant, K) / n_relevant
    return {
        "MAP": float(precisions.mean()),
        "NDCG@10": float(per_user.mean()),
        "P@10": precision_at_k(relevant, places, k=K),
        "R@10": recall_at_k(relevant, places, k=K),
        "users": [round(float(value), 6) for value in per_user],
    }


@dataclass
class SimpleAlgorithm:
    """SAR, the "simple algorithm for recommendation", with the parameters of the published row.

    Items are as similar as the Jaccard index of their users. A user's score of an item is the sum of its similarities
    to what they rated, weighted by rating and age: a rating counts half after 30 days, seen from the newest of all.
    """

    def fit(self, train: pd.DataFrame) -> "SimpleAlgorithm":
        """Learn from ratings with times."""
        self.items_, columns = np.unique(train[ITEM].to_numpy(), return_inverse=True)
        self.users_, rows = np.unique(train[USER].to_numpy(), return_inverse=True)
        age = train[TIME].max() - train[TIME].to_numpy()
        weights = train[RATING].to_numpy() * 0.5 ** (age / _HALF_LIFE)
        shape = (len(self.users_), len(self.items_))
        self._affinity = sparse.csr_matrix((weights, (rows, columns)), shape=shape)
        had = sparse.csr_matrix((np.ones(len(train)), (rows, columns)), shape=shape)
        both = (had.T @ had).toarray()
        counts = both.diagonal()
        self.similarity_ = both / (counts[:, np.newaxis] + counts - both)
        return self

    def recommend(self, users: Array, n_items: int = K) -> tuple[Array, FloatArray]:
        """Rank what users have not rated; of equal scores the smaller id comes first."""
        affinity = self._affinity[pd.Index(self.users_).get_indexer(users)]
        scores = np.asarray(affinity @ self.similarity_)
        scores[affinity.nonzero()] = -np.inf
        order = np.argsort(-scores, axis=1, kind="stable")[:, :n_items]
        return self.items_[order], np.take_along_axis(scores, order, axis=1)
