"""Processor seconds of each metric: 100,000 users with a list of 100 of 20,000 items each.

    python -m benchmarks.metrics [--users 100000] [--items 20000] [--length 100] [--quick]

Each user knows 40 items on average, drawn by a popularity that falls as 1 / rank, and has 20 relevant ones, half of
them in the list. Where a metric measures distances, items are vectors of 18 genres, or 68 dense numbers. Least of three
runs, on one thread unless OMP_NUM_THREADS is set.
"""

import argparse
from collections.abc import Callable

import numpy as np
from scipy.sparse import csr_array

from benchmarks.common.measure import machine, markdown, take_turns, versions
from skllmrec import metrics as m
from skllmrec._typing import IntArray

GENRES, DENSE = 18, 68


def draw_items(rng: np.random.Generator, n_users: int, n_items: int, mean: int) -> csr_array:
    """Draw the items of each user: csr_array of shape (n_users, n_items), popular items more often."""
    popularity = 1.0 / np.arange(1, n_items + 1)
    cumulated = np.cumsum(popularity / popularity.sum())
    users = np.repeat(np.arange(n_users), rng.integers(1, 2 * mean, n_users))
    items = np.minimum(np.searchsorted(cumulated, rng.random(len(users))), n_items - 1)
    drawn = csr_array((np.ones(len(users), dtype=bool), (users, items)), shape=(n_users, n_items))
    drawn.sum_duplicates()
    return drawn


def draw_hits(rng: np.random.Generator, lists: IntArray, n_items: int, mean: int) -> csr_array:
    """Draw relevant items from the lists."""
    rows = np.repeat(np.arange(len(lists)), rng.integers(1, 2 * mean, len(lists)))
    items = lists[rows, rng.integers(0, lists.shape[1], len(rows))]
    return csr_array((np.ones(len(rows), dtype=bool), (rows, items)), shape=(len(lists), n_items))


def draw_lists(rng: np.random.Generator, n_users: int, n_items: int, length: int) -> IntArray:
    """Draw lists of distinct items: from anywhere, in steps that no two of a list share."""
    strides = rng.integers(1, n_items // length, size=(n_users, 1))
    return ((rng.integers(0, n_items, size=(n_users, 1)) + strides * np.arange(length)) % n_items).astype(np.int32)


def make_calls(options: argparse.Namespace) -> dict[str, Callable[[], float]]:
    """Return the metrics as functions without arguments."""
    rng = np.random.default_rng(0)
    n_users, n_items, k = options.users, options.items, options.length
    lists = draw_lists(rng, n_users, n_items, k)
    relevant = csr_array(draw_items(rng, n_users, n_items, 10) + draw_hits(rng, lists, n_items, 10))
    history = draw_items(rng, n_users, n_items, 40)
    counts = np.asarray(history.sum(axis=0)).ravel()
    genres = (rng.random((n_items, GENRES)) < 0.12).astype(np.float32)
    dense = rng.standard_normal((n_items, DENSE), dtype=np.float32)
    accuracy = (m.precision_at_k, m.recall_at_k, m.hit_rate_at_k, m.ndcg_at_k, m.map_at_k, m.mrr_at_k)
    return {
        **{metric.__name__: lambda metric=metric: metric(relevant, lists, k=k) for metric in accuracy},
        "catalog_coverage": lambda: m.catalog_coverage(lists, n_items, k=k),
        "gini_index": lambda: m.gini_index(lists, n_items, k=k),
        "novelty": lambda: m.novelty(lists, counts, n_users, k=k),
        "popularity_lift": lambda: m.popularity_lift(lists, history, counts, k=k),
        "personalization": lambda: m.personalization(lists, n_items, k=k),
        "intra_list_diversity, genres": lambda: m.intra_list_diversity(lists, genres, k=k),
        "intra_list_diversity, sparse genres": lambda: m.intra_list_diversity(lists, csr_array(genres), k=k),
        "intra_list_diversity, dense": lambda: m.intra_list_diversity(lists, dense, k=k),
        "miscalibration, genres": lambda: m.miscalibration(lists, history, genres, k=k),
        "serendipity, genres": lambda: m.serendipity(relevant, lists, history, genres, k=k),
        "serendipity, dense": lambda: m.serendipity(relevant, lists, history, dense, k=k),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--length", type=int, default=100, help="of the lists")
    parser.add_argument("--quick", action="store_true", help="a small run that shows that it works")
    options = parser.parse_args()
    if options.quick:
        options.users, options.items, options.length = 2000, 1000, 20
    timings = take_turns(make_calls(options), 3)
    print(f"{machine()}; {versions('numpy', 'scipy')}")
    print(f"{options.users:,} users, lists of {options.length} of {options.items:,} items\n")
    rows = [{"metric": name, "CPU s": f"{min(t.cpu):.2f}", "value": f"{t.result:.4f}"} for name, t in timings.items()]
    print(markdown(rows))


if __name__ == "__main__":
    main()
