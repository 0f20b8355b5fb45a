"""Very large and very small ratings, weights and features: finite predictions and full lists, or an error."""

import re

import numpy as np
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.preprocessing import FunctionTransformer

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

COUNTS = {"feedback": "implicit"}
SEEDED = {"random_state": 0, "max_iter": 2}
MAKERS = {
    "mf ratings": lambda **kw: FeatureMFRecommender(3, **SEEDED, **kw),
    "mf counts": lambda **kw: FeatureMFRecommender(3, **SEEDED, **COUNTS, **kw),
    "mf adamw ratings": lambda **kw: FeatureMFRecommender(3, solver="adamw", **SEEDED, **kw),
    "mf adamw counts": lambda **kw: FeatureMFRecommender(3, solver="adamw", **SEEDED, **COUNTS, **kw),
    "autoencoder": lambda **kw: LinearAutoencoderRecommender(**kw),
    "edlae": lambda **kw: LinearAutoencoderRecommender(method="edlae", **kw),
    "cease": lambda **kw: LinearAutoencoderRecommender(method="cease" if kw else "ease", **kw),
    "l3ae": lambda **kw: LinearAutoencoderRecommender(method="l3ae" if kw else "ease", **kw),
    "neighbors ratings": lambda **kw: NeighborsRecommender(**kw),
    "neighbors counts": lambda **kw: NeighborsRecommender(**COUNTS, **kw),
    "markov": lambda **kw: MarkovRecommender(**kw),
    "popularity ratings": lambda **kw: PopularityRecommender(**kw),
    "popularity counts": lambda **kw: PopularityRecommender(**COUNTS, **kw),
    "pairwise": lambda **kw: PairwiseRecommender(Ridge(), **kw),
    "pairwise forest": lambda **kw: PairwiseRecommender(RandomForestRegressor(2, random_state=0), **kw),
    "sequential": lambda **kw: SequentialRecommender(3, **SEEDED, **kw),
    "tower ratings": lambda **kw: TwoTowerRecommender(3, **SEEDED, **kw),
    "tower counts": lambda **kw: TwoTowerRecommender(3, **SEEDED, **COUNTS, **kw),
    "blend": lambda **kw: BlendRecommender(
        [("near", NeighborsRecommender(**COUNTS, **kw)), ("popular", PopularityRecommender(**COUNTS, **kw))],
        random_state=0,
    ),
}
N_USERS, N_ITEMS = 12, 9


def data():
    generator = np.random.default_rng(0)
    pairs = [(user, item) for user in range(N_USERS) for item in generator.choice(N_ITEMS, 4, replace=False)]
    features = generator.normal(size=(N_ITEMS, 3))
    X = np.array([[user, item, *features[item]] for user, item in pairs])
    return X, generator.integers(1, 6, len(X)) / 5  # up to one


def fit(model, X, y, weights, *, in_parts):
    if in_parts:
        usual = np.ones(20)
        return model.fit(X[:20], usual, sample_weight=usual).partial_fit(X, y, sample_weight=weights)
    return model.fit(X, y, sample_weight=weights)


def require_numbers(model, X):
    assert np.isfinite(model.predict(X)).all()
    ids, scores = model.recommend(model.users_, N_ITEMS, exclude_seen=False)
    assert np.isfinite(scores).all()
    assert (np.sort(ids, axis=1) == np.arange(N_ITEMS)).all(), "every list holds every item"
    if hasattr(model, "similar_items"):
        assert not np.isnan(model.similar_items(model.items_, 3)[1]).any()


@pytest.mark.parametrize("in_parts", [False, True])
@pytest.mark.parametrize("what", ["y", "sample_weight"])
@pytest.mark.parametrize("every", [False, True])
@pytest.mark.parametrize("name", MAKERS)
def test_numbers_to_learn_from(name, what, every, in_parts):
    X, y = data()
    if in_parts and not hasattr(MAKERS[name](), "partial_fit"):
        pytest.skip("no partial_fit")
    for value in (1e160, 1e15) if in_parts else (1e300, 1.1e15, 1e15, 1e-30, 1e-300):
        given = {"y": y.copy(), "sample_weight": np.ones(len(X))}
        if every:
            given[what] *= value
        else:
            given[what][7] = value
        model = MAKERS[name](item_features=[2, 3, 4]) if value in (1e160, 1e-30) else MAKERS[name]()
        rows = X if value in (1e160, 1e-30) else X[:, :2]
        if name == "pairwise forest" and what == "sample_weight" and value < 1e-15:
            continue  # the trees of scikit-learn refuse samples without weight by themselves
        if np.abs(given[what]).max() <= 1e15:
            require_numbers(fit(model, rows, given["y"], given["sample_weight"], in_parts=in_parts), rows)
            continue
        position = np.argmax(np.abs(given[what]) > 1e15)
        message = rf"{type(model).__name__}: {what} has {given[what][position]:g} at position {position} "
        with pytest.raises(ValueError, match=message.replace("+", r"\+") + r".*at most 1e\+15"):
            fit(model, rows, given["y"], given["sample_weight"], in_parts=in_parts)


@pytest.mark.parametrize(
    ("kind", "dtype"), [("number", np.float64), ("item", np.float32), ("all", np.float64), ("all", np.float32)]
)
@pytest.mark.parametrize("name", MAKERS)
def test_features(name, kind, dtype):
    X, y = data()
    for value in (1e300, 1e39, 1e14, 1e-30, 1e-160):
        features = np.ones((N_ITEMS, 3))
        features[{"number": (3, 1), "item": 3, "all": ...}[kind]] = value
        rows = X.copy()
        rows[:, 2:] *= features[X[:, 1].astype(int)]
        encoder = FunctionTransformer(_as_type, kw_args={"dtype": dtype})
        model = MAKERS[name](item_features=[2, 3, 4], item_encoder=encoder)
        with np.errstate(over="ignore", under="ignore"):
            encoded = abs(rows[:, 2:].astype(dtype))
        largest = encoded.max()
        if largest <= 1e15 and (largest >= 1e-15 or largest == 0):
            require_numbers(model.fit(rows, y), rows)
            continue
        message = (
            "have NaN or inf, first -?inf" if np.isinf(largest) else "at most 1e.15 in" if largest > 1 else "Scale"
        )
        with pytest.raises(ValueError, match=f"item_features, as encoded, .*{message}"):
            model.fit(rows, y)


def _as_type(rows, *, dtype):
    with np.errstate(over="ignore", under="ignore"):
        return np.asarray(rows).astype(dtype)


@pytest.mark.parametrize("name", MAKERS)
def test_features_of_new_items(name):
    X, y = data()
    model = MAKERS[name](item_features=[2, 3, 4]).fit(X, y)
    new = np.array([[0, 99, 1.0, 1e160, 1.0]])
    message = r"item_features, as encoded, have 1e\+160 for item (99|0) in column 1: at most 1e\+15"
    calls = [lambda: model.predict(new), lambda: model.recommend([0], 1, candidates=new)]
    if hasattr(model, "similar_items"):
        calls.append(lambda: model.similar_items(new, 1))
        calls.append(lambda: model.similar_items(features=new[:, 2:], n_items=1))
    if hasattr(model, "partial_fit"):
        calls.append(lambda: model.partial_fit(new, [1.0]))
    for call in calls:
        with pytest.raises(ValueError, match=message):
            call()
    tiny = np.array([[0, 99, 1e-160, 1e-300, 1e-30]])
    assert np.isfinite(model.predict(tiny)).all()


@pytest.mark.parametrize(
    "name", ["mf ratings", "mf counts", "neighbors counts", "autoencoder", "tower counts", "markov"]
)
def test_values_of_histories(name):
    X, y = data()
    model = MAKERS[name]().fit(X[:, :2], y)
    for value in (1e300, 1e160, 2e15):
        number = re.escape(str(value))
        with pytest.raises(ValueError, match=rf"history of user 0 gives item 3 the value {number}.*at most 1e\+15"):
            model.recommend(history=[{3: value}], n_items=1)
    for value in (1e15, 1e-160, 1e-300):
        scores = model.recommend(history=[{3: value, 4: 1.0}], n_items=N_ITEMS, exclude_seen=False)[1]
        assert np.isfinite(scores).all()


def test_weights_multiply():
    X, _ = data()
    weights = np.full(len(X), 1e8)
    message = r"y times sample_weight has 1e\+16 at position 0 \(48 such values in total\)"
    for name in ("mf counts", "autoencoder", "blend"):
        with pytest.raises(ValueError, match=message):
            MAKERS[name]().fit(X[:, :2], weights, sample_weight=weights)


def test_numbers_of_tasks():
    X, y = data()
    X[3, 2] = 1e160
    message = r"tasks: column 2, where it is known, has 1e\+160 at position 3 .*at most 1e\+15"
    with pytest.raises(ValueError, match=message):
        MAKERS["tower counts"](tasks={2: "regression"}).fit(X, y)


@pytest.mark.parametrize("scale", [1e-8, 1e-30, 1e-100])
def test_the_weights_of_an_autoencoder_do_not_depend_on_the_unit(scale):
    X, y = data()
    usual = LinearAutoencoderRecommender().fit(X[:, :2], y)
    small = LinearAutoencoderRecommender().fit(X[:, :2], y * scale)
    np.testing.assert_allclose(small.item_weights_, usual.item_weights_, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(small.alpha_, usual.alpha_ * scale**2)


def test_vectors_that_are_no_numbers_are_said():
    X, y = data()
    model = FeatureMFRecommender(3, **SEEDED).fit(X[:, :2], y)
    model.item_factors_ = model.item_factors_ * np.nan
    with pytest.raises(ValueError, match=r"FeatureMFRecommender\._item_vectors returned NaN or inf"):
        model.recommend([0], 2)
    with pytest.raises(ValueError, match=r"FeatureMFRecommender\._score_pairs returned NaN or inf"):
        model.predict(X[:, :2])
