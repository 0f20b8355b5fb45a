"""Accuracy metrics against loops over users, scikit-learn and hand-worked values."""

import math

import numpy as np
import pytest
from scipy.sparse import coo_array, csr_array, csr_matrix
from sklearn.metrics import average_precision_score, label_ranking_average_precision_score, ndcg_score

from skllmrec._kernels.topk import quality
from skllmrec.metrics import (
    hit_rate_at_k,
    map_at_k,
    mrr_at_k,
    ndcg_at_k,
    precision_at_k,
    recall_at_k,
)

METRICS = {
    "precision": precision_at_k,
    "recall": recall_at_k,
    "hit_rate": hit_rate_at_k,
    "ndcg": ndcg_at_k,
    "map": map_at_k,
    "mrr": mrr_at_k,
}


def naive(name, relevant, recommended, k):
    """One user, by the definitions; `relevant` is a set, `recommended` a list."""
    if not relevant:
        return math.nan
    hits = [item in relevant for item in recommended[:k]]
    if name == "precision":
        return sum(hits) / k
    if name == "recall":
        return sum(hits) / len(relevant)
    if name == "hit_rate":
        return float(any(hits))
    if name == "ndcg":
        ideal = sum(1 / math.log2(place + 2) for place in range(min(k, len(relevant))))
        return sum(hit / math.log2(place + 2) for place, hit in enumerate(hits)) / ideal
    if name == "map":
        total = sum(sum(hits[: place + 1]) / (place + 1) for place, hit in enumerate(hits) if hit)
        return total / min(k, len(relevant))
    return next((1 / (place + 1) for place, hit in enumerate(hits) if hit), 0.0)


def make_lists(seed, n_users=40, n_items=30, n=12, density=0.2, padding=True):
    rng = np.random.default_rng(seed)
    relevant = rng.random((n_users, n_items)) < density
    relevant[0] = False  # a user without a relevant item
    recommended = np.argsort(rng.random((n_users, n_items)), axis=1)[:, :n]
    if padding:
        recommended[rng.random(recommended.shape) < 0.1] = -1
        recommended[1] = -1
    return relevant, recommended


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("k", [1, 5, 12, 20])
@pytest.mark.parametrize("name", METRICS)
def test_equals_a_loop_over_users(name, k, seed):
    relevant, recommended = make_lists(seed)
    expected = [
        naive(name, set(np.flatnonzero(row)), list(items), k) for row, items in zip(relevant, recommended, strict=True)
    ]
    values = METRICS[name](csr_array(relevant), recommended, k=k, average=False)
    np.testing.assert_allclose(values, expected, rtol=1e-12)
    assert values.dtype == np.float64
    mean = METRICS[name](csr_array(relevant), recommended, k=k)
    assert isinstance(mean, float)
    assert mean == pytest.approx(np.nanmean(expected), rel=1e-12)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("k", [1, 4, 30])
def test_ndcg_equals_scikit_learn(k, seed):
    relevant, recommended = make_lists(seed, n=30, padding=False)
    relevant, recommended = relevant[1:], recommended[1:]
    scores = np.zeros(relevant.shape)
    np.put_along_axis(scores, recommended, np.arange(30.0, 0.0, -1.0)[None, :], axis=1)
    assert ndcg_at_k(csr_array(relevant), recommended, k=k) == pytest.approx(
        ndcg_score(relevant.astype(float), scores, k=k)
    )


def test_full_ranking_map_equals_scikit_learn():
    relevant, recommended = make_lists(7, n=30, padding=False)
    relevant, recommended = relevant[1:], recommended[1:]
    scores = np.zeros(relevant.shape)
    np.put_along_axis(scores, recommended, np.arange(30.0, 0.0, -1.0)[None, :], axis=1)
    value = map_at_k(csr_array(relevant), recommended, k=30)
    assert value == pytest.approx(label_ranking_average_precision_score(relevant, scores))
    by_user = [average_precision_score(row, score) for row, score in zip(relevant, scores, strict=True)]
    np.testing.assert_allclose(map_at_k(relevant, recommended, k=30, average=False), by_user)


@pytest.mark.parametrize("name", METRICS)
def test_perfect_and_worst_lists(name):
    relevant = csr_array([[1, 1, 1, 0, 0, 0]])
    assert METRICS[name](relevant, [[2, 0, 1]], k=3) == pytest.approx(1.0)
    assert METRICS[name](relevant, [[2, 0, 1]], k=3) <= 1.0
    assert METRICS[name](relevant, [[3, 4, 5]], k=3) == 0.0


def test_recall_and_map_treat_long_relevant_lists_differently():
    relevant = csr_array(np.ones((1, 10)))
    assert recall_at_k(relevant, [[0, 1]], k=2) == pytest.approx(0.2)
    assert map_at_k(relevant, [[0, 1]], k=2) == pytest.approx(1.0)


@pytest.mark.parametrize("convert", [csr_array, csr_matrix, coo_array, np.asarray, lambda a: a.tolist()])
def test_every_container_of_relevant_items(convert):
    relevant, recommended = make_lists(3)
    expected = ndcg_at_k(csr_array(relevant), recommended)
    assert ndcg_at_k(convert(relevant.astype(int)), recommended.tolist()) == expected


def test_only_positive_entries_are_relevant_and_the_matrix_is_left_alone():
    data = np.array([2.0, 0.0, -1.0, 3.0, -3.0, 5.0])
    relevant = csr_array((data, [0, 1, 2, 4, 4, 3], [0, 3, 6]), shape=(2, 5))  # item 4: 3 - 3 = 0
    before = relevant.copy()
    np.testing.assert_array_equal(recall_at_k(relevant, [[0, 1, 2], [4, 3, 0]], k=3, average=False), [1.0, 1.0])
    np.testing.assert_array_equal(precision_at_k(relevant, [[1, 2, 0], [4, 0, 3]], k=2, average=False), [0, 0])
    np.testing.assert_array_equal(relevant.indices, before.indices)
    np.testing.assert_array_equal(relevant.data, before.data)


@pytest.mark.parametrize("name", METRICS)
def test_no_user_left_is_nan_without_a_warning(name):
    assert math.isnan(METRICS[name](csr_array((2, 3)), [[0], [1]]))
    assert math.isnan(METRICS[name](csr_array((0, 3)), np.empty((0, 2), dtype=int)))


def test_blocks_do_not_change_hits(monkeypatch):
    relevant, recommended = make_lists(5)
    whole = ndcg_at_k(relevant, recommended, average=False)
    for size in (1, 31, 100, 200):
        monkeypatch.setattr(quality, "SCRATCH", size)
        np.testing.assert_array_equal(ndcg_at_k(relevant, recommended, average=False), whole)


@pytest.mark.parametrize(
    ("relevant", "recommended", "k", "message"),
    [
        (np.ones((2, 3)), [[0], [1], [2]], 1, "relevant has 2 rows and recommended has 3"),
        (np.ones((2, 3)), [[0, 1], [1, 3]], 2, r"recommended\[1, 1\] is 3, but there are 3 items"),
        (np.ones((2, 3)), [[0, -2], [1, 2]], 2, r"recommended\[0, 1\] is -2"),
        (np.ones((2, 3)), [[0, 1], [2, 2]], 2, "lists item 2 twice in row 1"),
        (np.ones((2, 3)), [[0.0], [1.0]], 1, "integers"),
        (np.ones((2, 3)), [0, 1], 1, r"shape \(2,\)"),
        (np.ones((2, 3)), np.empty((2, 0), dtype=int), 1, r"n >= 1"),
        (np.ones(3), [[0]], 1, "relevant must have shape"),
        ([[1.0, np.nan], [1.0, 0.0]], [[0], [1]], 1, "NaN in row 0"),
        (np.ones((2, 3)), [[0], [1]], 0, "k must be an integer >= 1, got 0"),
        (np.ones((2, 3)), [[0], [1]], 1.5, "got 1.5"),
        (np.ones((2, 3)), [[0], [1]], True, "got True"),
    ],
)
@pytest.mark.parametrize("name", METRICS)
def test_bad_input_is_named(name, relevant, recommended, k, message):
    with pytest.raises(ValueError, match=message):
        METRICS[name](relevant, recommended, k=k)


def test_padding_may_repeat_and_what_stands_behind_k_is_not_read():
    assert recall_at_k([[1, 0]], [[-1, -1, 0, 0, 99]], k=3) == 1.0
