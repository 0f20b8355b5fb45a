"""The peers of the quality benchmark: each ranks the candidates of a split."""

from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO

import numpy as np
from scipy import sparse
from sklearn.decomposition import TruncatedSVD

from benchmarks.quality.data import USER, Split
from benchmarks.quality.space import Log, Params, among
from skllmrec._typing import FloatArray, IntArray

_BLOCK = 1024
_LIGHTFM_VECTORS = 32  # directions of the language model's vectors: lightfm's time is linear in them
SPACES = {
    "implicit": {
        "factors": (64, among(32, 64, 128)),
        "regularization": (0.01, Log(0.01, 50)),
        "alpha": (1.0, Log(1, 60)),
    },
    # irspack's own default of alpha0, 0, ignores unobserved pairs: the first trial takes the recommended value
    "irspack": {
        "n_components": (64, among(32, 64, 128)),
        "unobserved_factor": (6.0, Log(2, 30)),  # alpha0, over the density of the interactions
        "strength": (0.14, Log(0.05, 0.4)),  # reg times 1 + unobserved_factor, as FeatureMFRecommender's
    },
    "lightfm": {
        "no_components": (32, among(32, 64)),
        "learning_rate": (0.05, Log(0.01, 0.2)),
        "item_alpha": (0.0, Log(1e-7, 1e-4)),
        "user_alpha": (0.0, Log(1e-7, 1e-4)),
        "epochs": (10, among(5, 10, 20)),
    },
}
SPACES["lightfm + features"] = {**SPACES["lightfm"], "ids_too": (True, among(False, True))}


class _Known:
    """The training matrix of a split, with the rows of the evaluated users and the columns of the candidates."""

    def __init__(self, split):
        self.items = np.flatnonzero(split.is_trained)
        self.all_users = np.unique(split.train[USER].to_numpy())
        self.matrix = split.matrix(split.train, self.all_users, split.catalogue[self.items])
        self.users = np.searchsorted(self.all_users, split.users)
        self.split = split

    def rank(self, score, k):
        """Rank candidates by ``score(users, items of training or -1)``; items that the peer does not know come last."""
        place = np.full(len(self.split.catalogue), -1)
        place[self.items] = np.arange(len(self.items))
        columns = place[self.split.candidates]
        return rank_by(lambda rows: np.where(columns < 0, -np.inf, score(self.users[rows])[:, columns]), self.split, k)


def rank_by(score: Callable[[IntArray], FloatArray], split: Split, k: int) -> IntArray:
    """Positions of the k best candidates of each evaluated user that they have not seen."""
    lists = np.full((len(split.users), k), -1)
    for start in range(0, len(split.users), _BLOCK):
        rows = np.arange(start, min(start + _BLOCK, len(split.users)))
        scores = np.asarray(score(rows), dtype=np.float64)
        scores[split.seen[rows].nonzero()] = -np.inf
        best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        kept = np.isfinite(np.take_along_axis(scores, best, axis=1))
        lists[rows, : best.shape[1]] = np.where(kept, best, -1)
    return lists


def als_implicit(params: Params, split: Split, seed: int, k: int) -> IntArray:
    """Rank with AlternatingLeastSquares of implicit."""
    from implicit.als import AlternatingLeastSquares

    known = _Known(split)
    model = AlternatingLeastSquares(**params, iterations=15, num_threads=1, random_state=seed)
    model.fit(known.matrix, show_progress=False)
    return known.rank(lambda users: model.user_factors[users] @ model.item_factors.T, k)


def als_irspack(params: Params, split: Split, seed: int, k: int) -> IntArray:
    """Rank with IALSRecommender of irspack."""
    from irspack import IALSRecommender

    known, params = _Known(split), dict(params)
    factor, strength = params.pop("unobserved_factor"), params.pop("strength")
    params |= {"alpha0": factor * split.density, "reg": strength / (1 + factor)}
    model = IALSRecommender(known.matrix, **params, train_epochs=16, random_seed=seed, n_threads=1)
    with redirect_stdout(StringIO()):  # its progress bar
        model.learn()
    users, items = model.get_user_embedding(), model.get_item_embedding()
    return known.rank(lambda rows: users[rows] @ items.T, k)


def warp_lightfm(kind: str) -> Callable[[Params, Split, int, int], IntArray]:
    """Make a function that ranks with LightFM's WARP loss."""

    def rank(params, split, seed, k):
        from lightfm import LightFM

        known, params = _Known(split), dict(params)
        epochs, ids_too = params.pop("epochs"), params.pop("ids_too", True)
        features = _lightfm_features(kind, split, known.items, ids_too)
        model = LightFM(**params, loss="warp", random_state=seed)
        model.fit(known.matrix.tocoo(), item_features=features[known.items], epochs=epochs, num_threads=1)
        _, users = model.get_user_representations()
        item_biases, items = model.get_item_representations(features[split.candidates])
        scores = lambda rows: users[known.users[rows]] @ items.T + item_biases  # noqa: E731 - a name would say the same
        return rank_by(scores, split, k)

    return rank


def _lightfm_features(kind, split, trained, ids_too):
    """Rows of the catalogue: text features, and a column for each item of training, which new items do without."""
    blocks = []
    if kind in ("tfidf", "both"):
        blocks.append(split.features("tfidf"))
    if kind in ("llm", "both"):
        vectors = split.features("llm")
        reduced = TruncatedSVD(_LIGHTFM_VECTORS, random_state=0).fit(vectors[trained]).transform(vectors)
        blocks.append(sparse.csr_matrix(reduced.astype(np.float32)))
    if ids_too or not blocks:
        n_items, ones = len(split.catalogue), np.ones(len(trained), dtype=np.float32)
        blocks.append(sparse.csr_matrix((ones, (trained, np.arange(len(trained)))), shape=(n_items, len(trained))))
    return sparse.hstack(blocks, format="csr", dtype=np.float32)
