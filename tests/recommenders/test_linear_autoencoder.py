"""LinearAutoencoderRecommender: scores, cold items, pruning, and refusals."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.feature_extraction.text import TfidfVectorizer

from skllmrec import LinearAutoencoderRecommender, make_interactions
from skllmrec._kernels.item_item.autoencoder_selection import FEATURE_RIDGES
from skllmrec.base import FeatureTable
from skllmrec.recommenders import _linear_autoencoder

WORDS = ("red apple", "red cherry", "blue river", "blue ocean", "red plum", "blue lake")
TEXT = {"item_features": 2, "item_encoder": TfidfVectorizer()}


def data(seed=0):
    generator = np.random.default_rng(seed)
    pairs = np.unique(generator.integers(0, [15, 6], size=(60, 2)), axis=0)
    pairs = pairs[pairs[:, 0] % 2 == pairs[:, 1] // 2 % 2]
    return np.array([[user, item, WORDS[item]] for user, item in pairs.tolist()], dtype=object)


def test_score_is_the_history_times_b():
    X = data()[:, :2].astype(int)
    model = LinearAutoencoderRecommender(method="ease", alpha=3.0).fit(X)
    H = model.seen_.toarray()
    G = H.T @ H + 3.0 * np.eye(H.shape[1])
    P = np.linalg.inv(G)
    B = -P / np.diagonal(P)
    np.fill_diagonal(B, 0)
    expected = H @ B + 1e-6 * H.sum(axis=0) / H.sum()
    rows = [[user, item] for user in model.users_ for item in model.items_]
    assert_allclose(model.predict(rows), expected.ravel(), atol=1e-5)
    queries, order = model.items_, np.argsort(-B + 9 * np.eye(len(B)), axis=0)
    assert_array_equal(model.similar_items(queries, n_items=1)[0][:, 0], model.items_[order[0]])


def test_defaults_of_little_data_do_not_ask_for_the_scale():
    X = data()[:, :2].astype(int)
    model = LinearAutoencoderRecommender(method="ease").fit(X)
    assert model.alpha_ == pytest.approx(8 * len(X) / len(np.unique(X[:, 0])))
    assert (model.dropout_, model.user_exponent_, model.popularity_exponent_) == (0, 0, 0)
    model = LinearAutoencoderRecommender().fit(X)
    scaled = LinearAutoencoderRecommender().fit(X, np.full(len(X), 3.0))
    assert_allclose(scaled.item_weights_, model.item_weights_, atol=1e-6)


def test_the_default_with_features_is_the_additive_model():
    model = LinearAutoencoderRecommender(**TEXT).fit(data())
    given = {"feature_alpha": 5.0, "feature_weight": 0.25, "dropout": 0.33, "user_exponent": 0.5}
    additive = LinearAutoencoderRecommender(method="additive", **given, **TEXT)
    assert_array_equal(additive.fit(data()).item_weights_, model.item_weights_)


def test_weights_of_users_and_of_popular_items():
    X = data()[:, :2].astype(int)
    model = LinearAutoencoderRecommender(
        method="edlae", alpha=3.0, dropout=0.4, user_exponent=0.7, popularity_exponent=0.2
    ).fit(X)
    H = model.seen_.toarray()
    weights = H.sum(axis=1) ** -0.7
    G = H.T @ np.diag(weights / weights.mean()) @ H
    P = np.linalg.inv(G + np.diag(0.4 / 0.6 * np.diagonal(G) + 3.0))
    B = -P / np.diagonal(P)
    np.fill_diagonal(B, 0)
    counts = H.sum(axis=0)
    assert_allclose(model.item_weights_, B * (counts / counts.mean()) ** -0.2, atol=1e-5)


def clustered(n_users=300, n_items=80, n_groups=4, noise=0.3, seed=0):
    """Each user likes items of one group, and some of any."""
    generator = np.random.default_rng(seed)
    users = np.repeat(np.arange(n_users), 12)
    anywhere = generator.random(len(users)) < noise
    group = np.where(anywhere, generator.integers(n_groups, size=len(users)), users % n_groups)
    items = n_groups * (n_items // n_groups * generator.random(len(users)) ** 2).astype(int) + group
    return np.unique(np.column_stack([users, items]), axis=0)


@pytest.mark.parametrize("method", ["ease", "auto"])
def test_the_chosen_ridge_is_near_the_best_for_other_held_out_rows(method):
    X = clustered(n_users=1000)
    generator = np.random.default_rng(5)
    is_test = generator.random(len(X)) < 0.2
    relevant = {user: set(X[is_test & (X[:, 0] == user), 1]) for user in range(1000)}

    def quality(model):
        lists = model.recommend(np.arange(1000), n_items=10)[0]
        return np.mean([len(relevant[user] & set(lists[user])) for user in range(1000)])

    chosen = LinearAutoencoderRecommender(method=method).fit(X[~is_test])
    grid = chosen.alpha_ * np.array([0.01, 0.1, 1.0, 10.0, 100.0])
    found = [quality(LinearAutoencoderRecommender(method=method, alpha=alpha).fit(X[~is_test])) for alpha in grid]
    assert quality(chosen) >= 0.97 * max(found)
    if method == "ease":  # the dropout of auto makes up for a small ridge
        assert min(found) < 0.97 * max(found)
    again = LinearAutoencoderRecommender(method=method).fit(X[~is_test][::-1])
    assert again.alpha_ == chosen.alpha_


def test_the_ridge_of_features_is_the_one_that_ranks_new_items_best():
    X = clustered()
    generator = np.random.default_rng(0)
    features = np.eye(4)[np.arange(80) % 4] + 1.0 * generator.normal(size=(80, 4))
    table = pd.DataFrame({"item": np.arange(80), **{f"f{k}": features[:, k] for k in range(4)}})
    frame = pd.DataFrame(X, columns=["user", "item"]).merge(table, on="item")
    names = {"user": "user", "item": "item", "item_features": [f"f{k}" for k in range(4)]}
    model = LinearAutoencoderRecommender(**names).fit(frame)
    assert model.feature_alpha_ in FEATURE_RIDGES and 0 < model.feature_weight_ <= 0.5
    fixed = LinearAutoencoderRecommender(feature_alpha=7.0, feature_weight=0.3, **names).fit(frame)
    assert (fixed.feature_alpha_, fixed.feature_weight_) == (7.0, 0.3)


@pytest.mark.parametrize("method", ["auto", "cease", "additive", "l3ae"])
def test_new_items_are_recommended_by_their_text(method):
    model = LinearAutoencoderRecommender(method=method, alpha=2.0, **TEXT).fit(data())
    new = np.array([[0, 90, "red fruit apple"], [0, 91, "blue water river"]], dtype=object)
    ids, scores = model.recommend(history=[[0, 4], [2, 3]], n_items=1, candidates=new)
    assert ids[:, 0].tolist() == [90, 91] and (scores > 0).all()
    by_fold_in = model.partial_fit(np.array([[77, 90, "red fruit apple"]], dtype=object))
    assert_allclose(
        by_fold_in.recommend(history=[[0, 4]], n_items=1, candidates=[90])[1], scores[:1], rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("n_neighbors", [None, 3])
def test_fold_in_of_an_item_that_nothing_is_known_about(n_neighbors):
    rows = pd.DataFrame(data()[:, :2].astype(int), columns=["user", "item"])
    table = FeatureTable(pd.DataFrame({"item": range(6), "text": WORDS}), key="item")
    columns = {"user": "user", "item": "item", "item_features": "text", "item_encoder": TfidfVectorizer()}
    model = LinearAutoencoderRecommender(alpha=2.0, n_neighbors=n_neighbors, **columns).fit(rows, item_table=table)
    before = model.predict(rows)
    model.partial_fit(pd.DataFrame({"user": [77], "item": [90]}))
    assert_allclose(model.predict(rows), before)
    assert_allclose(model.predict(pd.DataFrame({"user": rows["user"], "item": 90})), 1e-6 / len(rows))


def test_pruning_keeps_most_of_the_ranking():
    X = make_interactions(n_users=80, n_items=40, random_state=0).frame[["user_id", "item_id"]].to_numpy()
    dense = LinearAutoencoderRecommender().fit(X)
    sparse = LinearAutoencoderRecommender(n_neighbors=39).fit(X)
    assert_array_equal(dense.recommend(dense.users_)[0], sparse.recommend(dense.users_)[0])
    fewer = LinearAutoencoderRecommender(n_neighbors=5).fit(X)
    assert fewer.item_weights_.nnz <= 5 * len(fewer.items_)
    assert (np.diff(fewer.item_weights_.indptr) <= 5).all()


def test_what_does_not_fit_into_memory_is_refused(monkeypatch):
    monkeypatch.setattr(_linear_autoencoder, "free_memory", lambda: 100)
    with pytest.raises(ValueError, match=r"on 6 items needs 0.0 GiB of memory, and 0.0 GiB are free: keep fewer items"):
        LinearAutoencoderRecommender().fit(data()[:, :2].astype(int))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"method": "l3ae"}, "method='l3ae' reads features of items: name their columns with item_features="),
        ({"method": "additive", "feature_weight": 1.5, **TEXT}, "feature_weight=1.5 is a share"),
    ],
)
def test_what_does_not_fit_together(parameters, message):
    with pytest.raises(ValueError, match=message):
        LinearAutoencoderRecommender(**parameters).fit(data())


@pytest.mark.parametrize("method", ["ease", "edlae", "cease", "additive", "l3ae"])
def test_weights_that_are_all_zero_say_nothing(method):
    X = data()
    model = LinearAutoencoderRecommender(method=method, **TEXT).fit(X, np.zeros(len(X)))
    assert (model.predict(X) == 0).all() and model.alpha_ == 8


def test_columns_stay_sparse_where_b_is_pruned():
    X = data()
    more = pd.DataFrame({"item": [*range(6), 7, 8], "text": [*WORDS, "red lake plum", "blue apple cherry"]})
    rows = pd.DataFrame(X[:, :2].astype(int), columns=["user", "item"]).assign(text="")
    names = {"user": "user", "item": "item", "item_features": "text", "item_encoder": TfidfVectorizer()}
    tables = {"item_table": FeatureTable(more, key="item")}
    dense = LinearAutoencoderRecommender(alpha=2.0, **names).fit(rows, **tables)
    model = LinearAutoencoderRecommender(alpha=2.0, n_neighbors=2, **names).fit(rows, **tables)
    model.set_params(n_neighbors=None)  # says nothing until the next fit
    for each in (dense, model):
        each.partial_fit(pd.DataFrame({"user": [1], "item": [50], "text": ["red river"]}))
    asked = pd.DataFrame({"item": [99, 50, 3, 7, 0], "text": ["blue plum", "", "", "", ""]})
    found = [each._columns(each._read_candidates(asked)) for each in (dense, model)]
    assert found[1].format == "csc" and found[1].dtype == np.float32
    kept = found[1].toarray()
    for column, full in zip(kept.T, found[0].T, strict=True):
        assert_allclose(column[column != 0], full[column != 0], rtol=1e-5)
        assert_allclose(np.sort(np.abs(column)), np.r_[np.zeros(4), np.sort(np.abs(full))[-2:]], rtol=1e-5)


@pytest.mark.parametrize("candidates", [None, [5, 3, 1, 0], [4, 2]])
def test_lists_do_not_depend_on_how_the_columns_are_taken(candidates):
    X = data()[:, :2].astype(int)
    model = LinearAutoencoderRecommender(alpha=2.0).fit(X)
    ids, scores = model.recommend(model.users_, 2, candidates=candidates, deny=[1], exclude_seen=False)
    rows = np.column_stack([np.repeat(model.users_, 2), ids.ravel()])
    assert_allclose(model.predict(rows), scores.ravel(), rtol=1e-6)
    assert 1 not in ids


@pytest.mark.parametrize("rules", [{}, {"deny": [3]}])
@pytest.mark.parametrize("method", ["ease", "cease", "additive", "l3ae"])
def test_a_list_does_not_copy_b(method, rules):
    rng = np.random.default_rng(0)
    users, items = rng.integers(0, 800, (2, 4000))
    model = LinearAutoencoderRecommender(method=method, item_features=[2, 3])
    model.fit(np.column_stack([users, items, np.sin(items), np.cos(items)]))
    model.recommend([1], 2, **rules)  # makes the look-up of ids
    tracemalloc.start()
    model.recommend([1], 2, **rules)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < model.item_weights_.nbytes / 2
