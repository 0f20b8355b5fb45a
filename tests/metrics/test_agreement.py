"""Metrics against RecTools, an independent implementation, on random lists.

RecTools works on tables of (user, item, rank), this package on matrices. Where the definitions differ, the test says
how one is turned into the other. Serendipity is left out: RecTools measures the surprise of a hit by the popularity of
the item, `serendipity` by its distance to what the user knows. RecTools has neither Gini index nor calibration.
"""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array

from skllmrec.metrics import (
    catalog_coverage,
    hit_rate_at_k,
    intra_list_diversity,
    map_at_k,
    mrr_at_k,
    ndcg_at_k,
    novelty,
    personalization,
    popularity_lift,
    precision_at_k,
    recall_at_k,
)

# RecTools inverts a bool by ~, which Python deprecates from 3.12 on
pytestmark = pytest.mark.filterwarnings("ignore:Bitwise inversion:DeprecationWarning")

peer = pytest.importorskip("rectools.metrics", reason="RecTools is missing: pip install --no-deps RecTools")

N_USERS, N_ITEMS, LENGTH = 60, 50, 12
CUTS = (1, 5, 12)


def make_lists(seed):
    """Relevant items, of 1 to 20 per user, and lists; some are short, one is empty."""
    rng = np.random.default_rng(seed)
    order = np.argsort(rng.random((N_USERS, N_ITEMS)), axis=1)
    relevant = np.zeros((N_USERS, N_ITEMS), dtype=bool)
    for user, n in enumerate(rng.integers(1, 21, N_USERS)):
        relevant[user, order[user, :n]] = True
    lists = np.argsort(rng.random((N_USERS, N_ITEMS)), axis=1)[:, :LENGTH]
    lists[np.arange(LENGTH) >= rng.integers(2, 2 * LENGTH, (N_USERS, 1))] = -1
    lists[0] = -1
    return relevant, lists


def make_history(seed):
    """What users had before: every user something, the last three items nobody."""
    history = np.random.default_rng(seed + 100).random((N_USERS, N_ITEMS)) < np.linspace(0.4, 0.02, N_ITEMS)
    history[np.arange(N_USERS), np.arange(N_USERS) % (N_ITEMS - 3)] = True
    history[:, -3:] = False
    return history


def as_interactions(matrix):
    """Table of the marked (user, item) pairs."""
    users, items = np.nonzero(matrix)
    return pd.DataFrame({"user_id": users, "item_id": items})


def as_reco(lists):
    """Table of the listed (user, item, rank); padding is left out."""
    users, places = np.nonzero(lists >= 0)
    return pd.DataFrame({"user_id": users, "item_id": lists[users, places], "rank": places + 1})


def by_user(values, missing):
    """One value per user from a Series; RecTools leaves out users without a list."""
    return values.reindex(np.arange(N_USERS)).fillna(missing).to_numpy()


ACCURACY = {
    "precision": (precision_at_k, lambda k: peer.Precision(k=k)),
    "recall": (recall_at_k, lambda k: peer.Recall(k=k)),
    "hit_rate": (hit_rate_at_k, lambda k: peer.HitRate(k=k)),
    "mrr": (mrr_at_k, lambda k: peer.MRR(k=k)),
    # its default divides by the gain of k hits, even where fewer items are relevant
    "ndcg": (ndcg_at_k, lambda k: peer.NDCG(k=k, divide_by_achievable=True)),
    "map": (map_at_k, lambda k: peer.MAP(k=k)),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("k", CUTS)
@pytest.mark.parametrize("name", ACCURACY)
def test_accuracy(name, k, seed):
    relevant, lists = make_lists(seed)
    metric, make_peer = ACCURACY[name]
    expected = by_user(make_peer(k).calc_per_user(as_reco(lists), as_interactions(relevant)), missing=0.0)
    if name == "map":  # it divides by the relevant items, of which no more than k can be found
        n_relevant = relevant.sum(axis=1)
        expected = expected * n_relevant / np.minimum(n_relevant, k)
    assert 0 < expected.mean() < 1
    np.testing.assert_allclose(metric(csr_array(relevant), lists, k=k, average=False), expected, rtol=1e-12)
    assert metric(csr_array(relevant), lists, k=k) == pytest.approx(expected.mean(), rel=1e-12)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("k", CUTS)
def test_coverage(k, seed):
    _, lists = make_lists(seed)
    expected = peer.CatalogCoverage(k=k, normalize=True).calc(as_reco(lists), range(N_ITEMS))
    assert catalog_coverage(lists, N_ITEMS, k=k) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("k", CUTS)
def test_novelty_is_the_mean_inverse_user_frequency(k, seed):
    (_, lists), history = make_lists(seed), make_history(seed)
    expected = peer.MeanInvUserFreq(k=k).calc_per_user(as_reco(lists), as_interactions(history))
    values = novelty(lists, history.sum(axis=0), N_USERS, k=k, average=False)
    np.testing.assert_allclose(values, by_user(expected, missing=np.nan), rtol=1e-12)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("k", CUTS)
def test_popularity_lift(k, seed):
    """RecTools gives the mean popularity of lists; those of the history are lists of all that it holds."""
    (_, lists), history = make_lists(seed), make_history(seed)
    known = as_interactions(history)
    shown = peer.AvgRecPopularity(k=k).calc_per_user(as_reco(lists), known)
    own = peer.AvgRecPopularity(k=1).calc_per_user(known.assign(rank=1), known)
    values = popularity_lift(lists, csr_array(history), history.sum(axis=0), k=k, average=False)
    np.testing.assert_allclose(values, by_user(shown / own - 1, missing=np.nan), rtol=1e-12)
    both = own[shown.index]
    expected = shown.mean() / both.mean() - 1
    assert popularity_lift(lists, history, history.sum(axis=0), k=k) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("k", [2, 5, 12])
def test_diversity(k, seed):
    """Of items with 3 tags each, d differing columns mean a cosine of 1 - d / 6."""
    _, lists = make_lists(seed)
    tags = np.zeros((N_ITEMS, 8))
    np.put_along_axis(
        tags, np.argsort(np.random.default_rng(seed + 200).random(tags.shape), axis=1)[:, :3], 1.0, axis=1
    )
    distances = peer.PairwiseHammingDistanceCalculator(pd.DataFrame(tags))
    expected = peer.IntraListDiversity(k=k, distance_calculator=distances).calc_per_user(as_reco(lists)) / 6
    values = intra_list_diversity(lists, 2.0 * tags, k=k, average=False)
    np.testing.assert_allclose(values, by_user(expected, missing=np.nan), rtol=1e-9)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("k", CUTS)
def test_personalization_is_one_minus_the_mean_intersection_of_pairs(k, seed):
    """Of lists of the same length k, the share in common is the cosine."""
    lists = np.argsort(np.random.default_rng(seed).random((20, N_ITEMS)), axis=1)[:, :LENGTH]
    left, right = np.array(list(combinations(range(len(lists)), 2))).T  # each pair stands for a user
    expected = 1 - peer.Intersection(k=k).calc(as_reco(lists[left]), as_reco(lists[right]))
    assert personalization(lists, N_ITEMS, k=k) == pytest.approx(expected, rel=1e-12)
