"""One user of a model of many items: a list, a list by a history, similar items.

    env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE OMP_NUM_THREADS=1 python -m benchmarks.one_user [--items 100000]

Milliseconds of processor time, median over many calls, users in turn. `recommend` prepares the items once for each
state of the model; "first call" is the preparation. implicit takes part where it is installed (`make bench-env`).
"""

import argparse
import importlib.util
import os
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", os.environ["OMP_NUM_THREADS"])

import numpy as np

from benchmarks.common.measure import machine, markdown, median, versions
from benchmarks.common.synthetic import make_interactions
from skllmrec import FeatureMFRecommender

K = 10


def fitted(n_users, n_items, n_factors):
    """Fit a few sweeps on made-up interactions; every item has some."""
    pairs = make_interactions(n_users, n_items, 30).tocoo()
    rows = np.column_stack([np.append(pairs.row, np.arange(n_items) % n_users), np.append(pairs.col, range(n_items))])
    model = FeatureMFRecommender(n_factors, feedback="implicit", alpha=0.02, max_iter=3, random_state=0)
    return model.fit(np.unique(rows, axis=0))


def milliseconds(call, n_calls):
    """Median processor time of `call(number)`, after some calls that do not count."""
    for number in range(5):
        call(number)
    spent = []
    for number in range(n_calls):
        start = time.process_time()
        call(number)
        spent.append(1e3 * (time.process_time() - start))
    return median(spent)


def our_calls(model):
    """Make calls of this package by name, each of the number of the call."""
    ranker = model.ranker()
    user = [[one] for one in model.users_[:: max(1, len(model.users_) // 64)]]
    generator = np.random.default_rng(0)
    history = [[generator.choice(model.items_, 20, replace=False).tolist()] for _ in range(64)]
    item = [[one] for one in generator.choice(model.items_, 64)]
    return {
        "list, recommend": lambda n: model.recommend(user[n % 64], K),
        "list, ranker": lambda n: ranker.rank(user[n % 64], K),
        "history, recommend": lambda n: model.recommend(history=history[n % 64], n_items=K),
        "history, ranker": lambda n: ranker.rank(history=history[n % 64], n_items=K),
        "similar items": lambda n: model.similar_items(item[n % 64], K),
    }


def implicit_calls(model):
    """Make calls of implicit with the same factors, by name."""
    from implicit.cpu.als import AlternatingLeastSquares

    peer = AlternatingLeastSquares(model.n_components, num_threads=int(os.environ["OMP_NUM_THREADS"]))
    peer.user_factors, peer.item_factors = model.user_factors_, model.item_factors_
    seen = model.seen_.astype(np.float32)
    some = np.arange(0, seen.shape[0], max(1, seen.shape[0] // 64))
    return {
        "list, implicit": lambda n: peer.recommend(some[n % 64], seen[some[n % 64]], N=K),
        "history, implicit": lambda n: peer.recommend(0, seen[some[n % 64]], N=K, recalculate_user=True),
        "similar items, implicit": lambda n: peer.similar_items(some[n % 64], N=K),
    }


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=20_000)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--factors", type=int, default=64)
    parser.add_argument("--calls", type=int, default=200)
    options = parser.parse_args()
    print(f"Machine: {machine()}\nVersions: {versions('numpy', 'numba')}")
    model = fitted(options.users, options.items, options.factors)
    print(f"{len(model.users_):,} users, {len(model.items_):,} items, {options.factors} factors, top {K}\n")
    start = time.process_time()
    model.recommend(model.users_[:1], K)
    print(f"first call of recommend: {1e3 * (time.process_time() - start):.0f} ms (loops are loaded, items prepared)")
    once = model.users_[:1]
    alone = model.ranker().rank(once, K)[0]
    same = all(
        np.array_equal(alone, ids[:1])
        for ids in (model.recommend(once, K)[0], model.recommend(model.users_[:50], K)[0])
    )
    print(f"ids of the ranker, of recommend and of recommend for 50 users are the same: {same}\n")
    calls = our_calls(model)
    if importlib.util.find_spec("implicit") is None:
        print("implicit is not installed here: left out\n")
    else:
        calls |= implicit_calls(model)
    rows = [{"": name, "CPU ms": f"{milliseconds(call, options.calls):.2f}"} for name, call in calls.items()]
    print(markdown(rows))


if __name__ == "__main__":
    main()
