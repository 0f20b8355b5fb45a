"""Equal scores are ordered by position, and the list of a user does not depend on the others of a call."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.linear_model import Ridge

from skllmrec import (
    BlendRecommender,
    FeatureMFRecommender,
    LinearAutoencoderRecommender,
    MarkovRecommender,
    NeighborsRecommender,
    PairwiseRecommender,
    PopularityRecommender,
    SequentialRecommender,
    TwoTowerRecommender,
)
from skllmrec._kernels.topk.exact import ItemVectors, ProductTiles, topk_factors

COUNTS = {"feedback": "implicit"}
SEEDED = {"random_state": 0, "max_iter": 2}
FEATURES = {"item_features": slice(2, 12)}
N_USERS, N_TWINS = 30, 200


RANDOM = {"random_state": 0}


def mf(**kw):
    return FeatureMFRecommender(16, **{**SEEDED, **COUNTS, **FEATURES, **kw})


MAKERS = {
    "mf counts": mf,
    "mf ratings": lambda: mf(feedback="explicit"),
    "mf adamw": lambda: mf(solver="adamw"),
    "autoencoder": lambda: LinearAutoencoderRecommender(**FEATURES),
    "cease": lambda: LinearAutoencoderRecommender(method="cease", **FEATURES),
    "neighbors": lambda: NeighborsRecommender(**COUNTS, **FEATURES),
    "markov": lambda: MarkovRecommender(**FEATURES),
    "popularity": lambda: PopularityRecommender(**COUNTS, **FEATURES),
    "pairwise": lambda: PairwiseRecommender(Ridge(), user_features=[12, 13], **FEATURES),
    "sequential": lambda: SequentialRecommender(8, **SEEDED, **FEATURES),
    "attention": lambda: SequentialRecommender(8, encoder="attention", **SEEDED, **FEATURES),
    "tower": lambda: TwoTowerRecommender(8, **SEEDED, **COUNTS, **FEATURES),
    "blend": lambda: BlendRecommender([("mf", mf()), ("near", NeighborsRecommender(**COUNTS, **FEATURES))], **RANDOM),
    "blend of mf": lambda: BlendRecommender([("one", mf()), ("two", mf(alpha=1.0, unobserved_weight=0.1))], **RANDOM),
}


@pytest.fixture(scope="module")
def rows():
    """Rows of 60 users and 100 items, with features of both."""
    generator = np.random.default_rng(0)
    features, people = generator.normal(size=(100, 10)), generator.normal(size=(N_USERS, 2))
    pairs = [(user, item) for user in range(N_USERS) for item in generator.choice(100, 8, replace=False)]
    return np.array([[user, item, *features[item], *people[user]] for user, item in pairs])


@pytest.fixture(scope="module")
def twins():
    """Rows of 400 new items: 200, and then 200 with the same features."""
    features = np.random.default_rng(1).normal(size=(N_TWINS, 10))
    ids = 1000 + np.arange(2 * N_TWINS)
    return np.column_stack([np.zeros(2 * N_TWINS), ids, np.tile(features, (2, 1)), np.zeros((2 * N_TWINS, 2))])


@pytest.mark.parametrize(
    ("name", "n_threads"), [*((name, "1") for name in MAKERS), ("mf counts", "2"), ("blend of mf", "2")]
)
def test_twins_come_in_the_order_of_the_candidates(name, rows, twins, n_threads, monkeypatch):
    monkeypatch.setenv("NUMBA_NUM_THREADS", n_threads)
    model = MAKERS[name]().fit(rows, np.full(len(rows), 2.0))
    users, n_items = model.users_, 2 * N_TWINS
    ranker = model.ranker(twins)
    ids, scores = ranker.rank(users, n_items)
    scored = ranker.scores(users)
    assert_array_equal(scored[:, :N_TWINS], scored[:, N_TWINS:])
    for found, numbers in zip(ids, scores, strict=True):
        order = np.lexsort((found, -numbers))
        assert_array_equal(order, np.arange(n_items))
        place = np.argsort(found)
        assert_array_equal(numbers[place][:N_TWINS], numbers[place][N_TWINS:])
    for k, size in ((1, 9), (7, 1), (33, 5), (n_items, 3)):
        parts = [ranker.rank(users[start : start + size], k)[0] for start in range(0, len(users), size)]
        assert_array_equal(np.concatenate(parts), ids[:, :k])
    predicted = model.predict(np.column_stack([np.full(n_items, 3), twins[:, 1:]]))
    assert_allclose(predicted[:N_TWINS], predicted[N_TWINS:], rtol=1e-4, atol=1e-6)  # rows are scored in blocks
    some = np.r_[5:50, N_TWINS + 5 : N_TWINS + 50]
    chosen = model.recommend(users[:9], 20, candidates=twins[some])[0]
    for row, found in enumerate(chosen):
        assert_array_equal(found, ids[row][np.isin(ids[row], twins[some, 1])][:20])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("d", [1, 3, 7, 64, 66])
def test_scores_and_lists_of_equal_vectors(d, dtype):
    generator = np.random.default_rng(d)
    distinct = generator.normal(size=(173, d)).astype(dtype)
    items = np.concatenate([distinct, distinct[::-1], np.zeros((5, d), dtype)])
    users = generator.normal(size=(41, d)).astype(dtype)
    seen = sparse.csr_matrix((41, len(items)))
    exact = users.astype(np.longdouble) @ items.T.astype(np.longdouble)
    tiles = ProductTiles(items)
    scores = tiles.scores(users)
    np.testing.assert_allclose(scores, exact.astype(float), atol=100 * d * np.finfo(dtype).eps)
    assert_array_equal(scores[:, :173], scores[:, 345:172:-1])
    assert_array_equal(np.concatenate([tiles.scores(users[row : row + 1]) for row in range(41)]), scores)
    prepared = ItemVectors(items)
    for k in (1, 2, 9, 10, 351):
        positions, best = topk_factors(users, prepared, k, seen)
        again = [topk_factors(users[row : row + 1], ItemVectors(items), k, seen[row]) for row in range(41)]
        assert_array_equal(np.concatenate([part[0] for part in again]), positions)
        assert_array_equal(np.concatenate([part[1] for part in again]), best)
        for row in range(41):
            assert_array_equal(np.lexsort((positions[row], -best[row])), np.arange(k))
