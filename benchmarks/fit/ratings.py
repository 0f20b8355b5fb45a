"""Ratings: ALS with biases against Surprise's SVD and cmfrec, seconds and RMSE."""

import argparse
from collections.abc import Iterator

import numpy as np
import pandas as pd

from benchmarks.common.measure import Table, median, take_turns
from benchmarks.common.synthetic import make_ratings
from skllmrec import FeatureMFRecommender, fetch_movielens_100k

FACTORS = (16, 32, 64)
ITERATIONS = 10
# of cmfrec, for which the best one on the test ratings with 16 factors is used
RIDGES = (5.0, 10.0, 20.0, 40.0)
_COLUMNS = ["user_id", "item_id", "rating"]


def _split(table, seed=0):
    """Hold out a tenth of the ratings."""
    test = np.random.default_rng(seed).random(len(table)) < 0.1
    return table[~test].reset_index(drop=True), table[test].reset_index(drop=True)


def _ours(n_factors):
    def fit(train):
        model = FeatureMFRecommender(
            n_factors, user="user_id", item="item_id", max_iter=ITERATIONS, random_state=0, feedback="explicit"
        )
        return model.fit(train[_COLUMNS[:2]], train["rating"])

    return fit, lambda model, test: model.predict(test[_COLUMNS[:2]])


def _surprise(n_factors):
    import surprise

    def fit(train):
        reader = surprise.Reader(rating_scale=(train["rating"].min(), train["rating"].max()))
        data = surprise.Dataset.load_from_df(train, reader).build_full_trainset()
        return surprise.SVD(n_factors, random_state=0).fit(data)

    def predict(model, test):
        pairs = zip(test["user_id"], test["item_id"], strict=True)
        return np.array([model.predict(user, item, clip=False).est for user, item in pairs])

    return fit, predict


def _cmfrec(n_factors, ridge):
    import cmfrec

    def fit(train):
        table = train.set_axis(["UserId", "ItemId", "Rating"], axis=1)
        model = cmfrec.CMF(n_factors, lambda_=ridge, niter=ITERATIONS, nthreads=1, verbose=False, random_state=0)
        return model.fit(table)

    return fit, lambda model, test: model.predict(test["user_id"], test["item_id"])


def _rmse(contestant, model, test):
    known = test[test["user_id"].isin(contestant["users"]) & test["item_id"].isin(contestant["items"])]
    predicted = np.clip(contestant["predict"](model, known), *contestant["range"])
    return float(np.sqrt(np.mean((predicted - known["rating"]) ** 2)))


def _contestants(train, test):
    """Functions that fit and predict; ridges of cmfrec are tried here, outside of any timing."""
    common = {"users": train["user_id"].unique(), "items": train["item_id"].unique()}
    common["range"] = train["rating"].min(), train["rating"].max()
    found = {}

    def enter(name, n_factors, pair):
        found[name, n_factors] = {"fit": pair[0], "predict": pair[1], **common}
        return found[name, n_factors]

    errors = {}
    for ridge in RIDGES:
        tried = enter("cmfrec", FACTORS[0], _cmfrec(FACTORS[0], ridge))
        errors[ridge] = _rmse(tried, tried["fit"](train), test)
    ridge = min(errors, key=errors.get)
    for n_factors in FACTORS:
        enter("skllmrec", n_factors, _ours(n_factors))
        enter("cmfrec", n_factors, _cmfrec(n_factors, ridge))
    for n_factors in (FACTORS[-1], 100):
        enter("surprise SVD", n_factors, _surprise(n_factors))
    return found


def _compare(table, rounds):
    train, test = _split(table)
    contestants = _contestants(train, test)
    timings = take_turns(
        {key: lambda fit=contestant["fit"]: fit(train) for key, contestant in contestants.items()}, rounds
    )
    least = {key: min(timing.cpu) for key, timing in timings.items()}
    errors = {key: _rmse(contestants[key], timing.result, test) for key, timing in timings.items()}
    for (name, n_factors), timing in timings.items():
        key = name, n_factors
        as_good = [least[other] for other in least if other[0] == "skllmrec" and errors[other] <= errors[key]]
        yield {
            "": name,
            "factors": n_factors,
            "CPU s, least": f"{least[key]:.3f}",
            "median": f"{median(timing.cpu):.3f}",
            "x skllmrec": f"{least[key] / least['skllmrec', min(n_factors, FACTORS[-1])]:.1f}",
            "x the fastest skllmrec as good": f"{least[key] / min(as_good):.1f}" if as_good else "none",
            "RMSE": f"{errors[key]:.4f}",
        }


def ratings(options: argparse.Namespace) -> Iterator[Table]:
    """Tables of MovieLens 100K and of synthetic ratings."""
    films = fetch_movielens_100k().frame[_COLUMNS].astype({"rating": float})
    size = (2000, 1000, 50_000) if options.quick else (20_000, 6000, 1_000_000)
    synthetic = pd.DataFrame(dict(zip(_COLUMNS, make_ratings(*size), strict=True)))
    _ours(8)[0](films[:200])  # compile
    for name, table in (("MovieLens 100K", films), ("synthetic", synthetic)):
        yield f"{name}, {len(table):,} ratings, a tenth of them for the RMSE", list(_compare(table, options.rounds))
