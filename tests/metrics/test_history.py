"""Serendipity, personalization, popularity and calibration against loops over users, lists and pairs."""

import math
from itertools import combinations

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.stats import entropy
from sklearn.metrics.pairwise import cosine_similarity

from skllmrec import metrics
from skllmrec.metrics import _history, miscalibration, personalization, popularity_lift, serendipity

K = 6
N_USERS, N_ITEMS = 25, 40


def make(seed):
    """Return lists, relevant items, history and item vectors with all kinds of empty rows."""
    rng = np.random.default_rng(seed)
    lists = np.argsort(rng.random((N_USERS, N_ITEMS)), axis=1)[:, :8]
    lists[rng.random(lists.shape) < 0.15] = -1
    lists[0] = -1
    relevant, history = rng.random((2, N_USERS, N_ITEMS)) < 0.3
    relevant[1], history[2], history[3] = False, False, False
    vectors = rng.normal(size=(N_ITEMS, 5)) * (rng.random((N_ITEMS, 5)) < 0.6)
    vectors[7] = 0.0
    return lists, relevant, history, vectors


@pytest.mark.parametrize("container", [np.asarray, csr_array], ids=["dense", "sparse"])
@pytest.mark.parametrize("seed", range(3))
def test_serendipity_equals_a_loop(seed, container, monkeypatch):
    lists, relevant, history, vectors = make(seed)
    cosines = np.clip(cosine_similarity(vectors), 0, 1)
    expected = []
    for user, row in enumerate(lists):
        finds = [
            1 - max((cosines[item, known] for known in np.flatnonzero(history[user])), default=0.0)
            for item in row[:K]
            if item >= 0 and relevant[user, item]
        ]
        expected.append(sum(finds) / K if relevant[user].any() else math.nan)
    got = serendipity(container(relevant), lists, container(history), container(vectors), k=K, average=False)
    np.testing.assert_allclose(got, expected, atol=1e-12)
    assert serendipity(relevant, lists, history, vectors, k=K) == pytest.approx(np.nanmean(expected))
    monkeypatch.setattr(_history, "SCRATCH", 30)
    blocks = serendipity(relevant, lists, history, container(vectors), k=K, average=False)
    np.testing.assert_allclose(blocks, expected, atol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_personalization_equals_a_loop_over_pairs(seed):
    lists = make(seed)[0]
    marked = np.zeros((N_USERS, N_ITEMS))
    for user, row in enumerate(lists):
        marked[user, [item for item in row[:K] if item >= 0]] = 1
    cosines = cosine_similarity(marked[marked.any(axis=1)])
    expected = 1 - np.mean([cosines[pair] for pair in combinations(range(len(cosines)), 2)])
    assert personalization(lists, N_ITEMS, k=K) == pytest.approx(expected)


def test_personalization_extremes():
    assert personalization([[0, 1], [1, 0], [0, 1]], 3, k=2) == pytest.approx(0.0)
    assert personalization([[0], [1]], 3) == pytest.approx(1.0)
    assert math.isnan(personalization([[0], [-1]], 3))


@pytest.mark.parametrize("seed", range(3))
def test_popularity_lift_equals_a_loop(seed):
    lists, _, history, _ = make(seed)
    counts = np.random.default_rng(seed).integers(0, 30, N_ITEMS)
    shown = [np.mean(counts[row[:K][row[:K] >= 0]]) if (row[:K] >= 0).any() else math.nan for row in lists]
    known = [np.mean(counts[row]) if row.any() else math.nan for row in history]
    single = [(a - b) / b for a, b in zip(shown, known, strict=True)]
    np.testing.assert_allclose(popularity_lift(lists, csr_array(history), counts, k=K, average=False), single)
    both = [pair for pair in zip(shown, known, strict=True) if not np.isnan(pair).any()]
    q, p = np.mean(both, axis=0)
    assert popularity_lift(lists, history, counts, k=K) == pytest.approx((q - p) / p)


def test_popularity_lift_over_a_history_that_nobody_else_had():
    assert math.isnan(popularity_lift([[1]], [[1, 0]], [0, 6], k=1))
    assert np.isnan(popularity_lift([[1], [1]], [[1, 0], [0, 0]], [0, 6], k=1, average=False)).all()


@pytest.mark.parametrize("seed", range(3))
def test_miscalibration_equals_a_loop(seed):
    lists, _, history, _ = make(seed)
    rng = np.random.default_rng(seed)
    classes = (rng.random((N_ITEMS, 4)) < 0.4).astype(float)
    classes[:3] = 0.0
    expected = []
    for row, known in zip(lists, history, strict=True):
        mixes = []
        for items in (np.flatnonzero(known), [item for item in row[:K] if item >= 0]):
            mix = sum((classes[item] / classes[item].sum() for item in items if classes[item].any()), np.zeros(4))
            mixes.append(mix / mix.sum() if mix.any() else None)
        p, q = mixes
        expected.append(math.nan if p is None or q is None else entropy(p, 0.99 * q + 0.01 * p))
    for container in (np.asarray, csr_array):
        got = miscalibration(lists, container(history), container(classes), k=K, average=False)
        np.testing.assert_allclose(got, expected, atol=1e-12)
    assert miscalibration(lists, history, classes, k=K) == pytest.approx(np.nanmean(expected))


def test_miscalibration_bounds():
    classes = np.eye(2)
    assert miscalibration([[0, 1]], [[1, 1]], classes) == pytest.approx(0.0)
    assert miscalibration([[1]], [[1, 0]], classes, alpha=0.1) == pytest.approx(math.log(10))
    assert math.isnan(miscalibration([[1]], [[0, 0]], classes))


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: serendipity([[1, 0]], [[0]], [[1, 0, 0]], np.eye(2)), r"history has shape \(1, 3\)"),
        (lambda: serendipity([[1, 0, 0]], [[0]], [[1, 0]], np.eye(2)), r"relevant has shape \(1, 3\)"),
        (lambda: serendipity([[1, 0]], [[2]], [[1, 0]], np.eye(2)), "there are 2 items"),
        (lambda: popularity_lift([[0]], [[1, 0]], [1, -1]), r"item_counts\[1\] is -1"),
        (lambda: popularity_lift([[0]], [[1]], [1, 1]), r"history has shape \(1, 1\)"),
        (lambda: miscalibration([[0]], [[1, 0]], np.eye(2), alpha=1), "alpha must be above 0 and below 1"),
        (lambda: miscalibration([[0]], [[1, 0]], [[1, -1], [0, 1]]), "item_classes must be finite and >= 0"),
        (lambda: personalization([[0]], 0), "items"),
    ],
    ids=["history", "relevant", "item", "count", "row", "alpha", "class", "items"],
)
def test_bad_input(call, says):
    with pytest.raises(ValueError, match=says):
        call()


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: metrics.personalization([[0]], 2.5), "n_items must be an integer >= 1, got 2.5"),
        (lambda: metrics.novelty([[0]], [0], 0), "n_users must be an integer >= 1, got 0"),
        (lambda: metrics.novelty([[0]], ["a"], 1), "item_counts must be numbers"),
        (lambda: metrics.popularity_lift([[0]], [[1]], [[1]]), "item_counts must have one dimension"),
        (lambda: metrics.miscalibration([[0]], [[1]], [1]), r"item_classes must have shape \(n_items, n_classes\)"),
        (lambda: metrics.miscalibration([[0]], [[1]], [[1]], alpha="a"), "alpha must be above 0 and below 1"),
        (lambda: metrics.ndcg_at_k([["a"]], [[0]]), "relevant must hold numbers or truth values"),
        (lambda: metrics.ndcg_at_k([[1j]], [[0]]), "relevant must hold numbers or truth values"),
        (lambda: metrics.segment_by_count([float("nan"), 3]), r"counts\[0\] is nan"),
        (lambda: metrics.segment_by_count([[1, 2]]), "counts must have one dimension"),
        (lambda: metrics.segment_by_count([1], bounds=(1.5, 2.5)), "bounds must be whole numbers"),
        (lambda: metrics.segment_by_popularity([[1, 2]]), "item_counts must have one dimension"),
        (lambda: metrics.segment_by_popularity([float("inf")]), r"item_counts\[0\] is inf"),
        (lambda: metrics.segment_by_popularity([1], head="a"), "head must be between 0 and 1"),
    ],
)
def test_senseless_arguments_are_named(call, says):
    with pytest.raises(ValueError, match=says):
        call()
