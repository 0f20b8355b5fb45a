"""TwoTowerRecommender: what the network computes, new items and users, tasks, seeds, checkpoints."""

import os
import pickle
import signal
import tracemalloc

import numpy as np
import pandas as pd
import pytest
import torch
from fresh_process import run_python
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import FunctionTransformer

from skllmrec._kernels.neural import feature_product
from skllmrec._kernels.neural.feature_product import FactoredRows
from skllmrec.base import FeatureTable
from skllmrec.model_selection import ColdItemKFold
from skllmrec.recommenders import TwoTowerRecommender
from skllmrec.recommenders.two_tower import _training
from skllmrec.recommenders.two_tower._network import Architecture, TwoTowers
from skllmrec.recommenders.two_tower._training import user_batches

N_USERS, N_ITEMS, N_KINDS = 60, 40, 4
WORDS = np.array(["red apple", "blue ocean", "old castle", "fast rocket"])
CPU = torch.device("cpu")


def make_rows(seed=0, n_likes=8):
    """Users who like items of one kind, nine times out of ten; a text tells the kind of an item."""
    rng = np.random.default_rng(seed)
    kinds = np.arange(N_ITEMS) % N_KINDS
    users, items = [], []
    for user in range(N_USERS):
        taste = np.where(kinds == user % N_KINDS, 0.9, 0.1 / (N_KINDS - 1))
        items += rng.choice(N_ITEMS, n_likes, replace=False, p=taste / taste.sum()).tolist()
        users += [user] * n_likes
    frame = pd.DataFrame({"user": users, "item": items})
    frame["text"] = [f"{WORDS[item % N_KINDS]} {item}" for item in items]
    for name, codes in (("user", frame["user"]), ("item", frame["item"])):  # points on a circle tell the kind, too
        angle = 2 * np.pi * (codes % N_KINDS) / N_KINDS + 0.01 * codes
        frame[f"{name}_x"], frame[f"{name}_y"] = np.cos(angle), np.sin(angle)
    return frame


TEXTS = {"item_features": "text", "item_encoder": TfidfVectorizer()}


def recommender(**params):
    defaults = {"user": "user", "item": "item", "device": "cpu", "random_state": 0}
    return TwoTowerRecommender(8, **{**defaults, **params})


# -- the network ------------------------------------------------------------------------------------------------


def make_network(links, features=(None, None), **params):
    settings = {"hidden_size": 5, "tower": "mlp", "ids": True, "n_layers": 2, "explicit": False}
    settings |= dict.fromkeys(("dropout", "feature_dropout", "feature_noise"), 0.0)
    features = tuple(None if side is None else FactoredRows(side) for side in features)
    return TwoTowers(Architecture(n_components=3, **{**settings, **params}), links, features, CPU, 0)


def tower(parameters, name, rows):
    """A hidden layer with leaky rectifier, by hand."""
    hidden = rows @ parameters[f"{name}.weight0"].T + parameters[f"{name}.bias0"]
    hidden = np.where(hidden > 0, hidden, 0.01 * hidden)
    return hidden @ parameters[f"{name}.weight1"].T + parameters[f"{name}.bias1"]


@pytest.mark.parametrize("ids", [True, False])
@pytest.mark.parametrize("own_features", [True, False])
@pytest.mark.parametrize("without_links", [True, False])
def test_vectors_are_towers_and_ids_smoothed_along_the_graph(ids, own_features, without_links):
    rng = np.random.default_rng(1)
    links = sparse.csr_matrix((rng.random((4, 6)) < 0.5) * (np.arange(4) != 2 * without_links)[:, None].astype(float))
    of_users, of_items = rng.normal(size=(4, 2)).astype(np.float32), rng.normal(size=(6, 4)).astype(np.float32)
    network = make_network(links, (of_users if own_features else None, of_items), ids=ids)
    with torch.no_grad():
        for tensor in network.parameters.values():
            tensor += 0.3 * torch.randn(tensor.shape, generator=torch.manual_seed(len(tensor)))
    parameters = {name: tensor.detach().numpy() for name, tensor in network.parameters.items()}
    dense = links.toarray()
    means = dense / np.maximum(dense.sum(axis=1, keepdims=True), 1) @ of_items
    users, items = tower(parameters, "item_tower", means), tower(parameters, "item_tower", of_items)
    if own_features:
        users = users + tower(parameters, "user_tower", of_users)
    if ids:
        users, items = users + parameters["user_ids"], items + parameters["item_ids"]
    degrees = np.sqrt(np.outer(np.maximum(dense.sum(axis=1), 1), np.maximum(dense.sum(axis=0), 1)))
    sums = [users, items]
    for _ in range(2):
        users, items = dense / degrees @ items, (dense / degrees).T @ users
        sums = [sums[0] + users, sums[1] + items]
    for found, total in zip(network.vectors(), sums, strict=True):
        assert_allclose(found.detach(), total / np.linalg.norm(total, axis=1, keepdims=True), rtol=1e-4, atol=1e-5)


def test_noise_comes_upon_the_mean_features_of_the_items():
    """Its own for each user: with all of them alike, users differ by it alone."""
    features = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    links, settings = sparse.csr_matrix(np.ones((50, 6))), {"ids": False, "n_layers": 0}
    noisy = make_network(links, (None, features), feature_noise=0.5, **settings)
    users = noisy.vectors(training=True)[0].detach()
    assert len(torch.unique(users, dim=0)) == 50
    plain = noisy.vectors()[0].detach()
    assert_allclose(plain, plain[:1].expand(50, 3), rtol=1e-5)
    faint = make_network(links, (None, features), feature_noise=1e-6, **settings)
    assert_allclose(faint.vectors(training=True)[0].detach(), faint.vectors()[0].detach(), atol=1e-4)


def test_sparse_features_and_the_same_ones_in_a_table_teach_the_same(monkeypatch):
    monkeypatch.setattr(feature_product, "_SPARSE_COST", 0)
    frame, rng, found, factored = make_rows(0), np.random.default_rng(0), [], []
    table = rng.random((N_ITEMS, 8)) * (rng.random((N_ITEMS, 8)) < 0.4)
    affine = feature_product.FeatureProduct.affine

    def recording(self, weights, biases):
        factored.append(self._factors is not None)
        return affine(self, weights, biases)

    monkeypatch.setattr(feature_product.FeatureProduct, "affine", recording)
    for features in (table, sparse.csr_matrix(table)):
        encoder = FunctionTransformer(lambda items, features=features: features[np.asarray(items)])
        found.append(recommender(item_features="item", item_encoder=encoder).fit(frame).item_factors_)
    assert factored == sorted(factored) and set(factored) == {False, True}
    assert_allclose(*found, atol=1e-3)


@pytest.mark.parametrize("augmentation", ["dropout", "feature_dropout", "feature_noise"])
def test_augmentation_is_of_training_only(augmentation):
    links = sparse.csr_matrix(np.ones((3, 200)))
    features = np.random.default_rng(0).normal(size=(200, 4)).astype(np.float32)
    plain = make_network(links, (None, features), ids=False, n_layers=0)
    noisy = make_network(links, (None, features), ids=False, n_layers=0, **{augmentation: 0.5})
    assert_array_equal(plain.vectors()[1].detach(), noisy.vectors()[1].detach())
    torch.manual_seed(0)
    items = noisy.vectors(training=True)[1].detach()
    changed = (items != plain.vectors()[1].detach()).any(1)
    if augmentation == "feature_dropout":  # half of the items are without features, the others are as they were
        assert_array_equal(items.norm(dim=1) == 0, changed)
        assert 0.35 < changed.float().mean() < 0.65
    else:
        assert changed.float().mean() > 0.8


@pytest.mark.parametrize("seed", [0, 1])
def test_batches_hold_whole_users_and_every_pair_once(seed):
    rng = np.random.default_rng(seed)
    indptr = np.r_[0, np.cumsum(rng.integers(0, 9, 50))]
    owners = np.repeat(np.arange(50), np.diff(indptr))
    batches = user_batches(indptr, 20)(np.random.default_rng(seed))
    assert_array_equal(np.sort(np.concatenate(batches)), np.arange(indptr[-1]))
    assert len(batches) == round(indptr[-1] / 20)
    members = [set(owners[batch]) for batch in batches]
    assert sum(map(len, members)) == len(set(owners)), "a user is in two batches"
    other = user_batches(indptr, 20)(np.random.default_rng(seed + 1))
    assert not np.array_equal(np.concatenate(batches), np.concatenate(other))


@pytest.mark.parametrize(("loss", "n_negatives"), [("softmax", None), ("infonce", 9), ("infonce", None)])
def test_candidates_masks_and_chances_of_a_batch(loss, n_negatives, monkeypatch):
    frame, calls = make_rows(4), []
    frame["item"] = np.unique(frame["item"], return_inverse=True)[1]
    counts = np.bincount(frame["item"])
    likes = sparse.coo_matrix((np.ones(len(frame)), (frame["user"], frame["item"]))).toarray() > 0

    def recording(users, items, rows, columns, *, inclusion=None, positive=None):
        liked = np.zeros((len(users), len(items)), dtype=bool)
        liked[rows[columns >= 0], columns[columns >= 0]] = True
        calls.append((len(rows), rows, liked, inclusion))
        assert (positive is None) == (n_negatives is None)
        return softmax_loss(users, items, rows, columns, inclusion=inclusion, positive=positive)

    softmax_loss = _training.softmax_loss
    monkeypatch.setattr(_training, "softmax_loss", recording)
    recommender(loss=loss, n_negatives=n_negatives, batch_size=100, max_iter=1).fit(frame)
    assert sum(n_pairs for n_pairs, *_ in calls) == len(frame)
    for n_pairs, rows, liked, inclusion in calls:
        assert_array_equal(np.bincount(rows), 8)  # every pair of a user is in his row
        if loss == "softmax":
            n_candidates = liked.shape[1]
            assert 8 <= n_candidates <= len(counts) and liked.any(0).all(), "candidates are the items of the batch"
            chances = [1 - (1 - n_pairs / len(frame)) ** count for count in counts]
            assert all(np.isclose(chances, chance.item(), rtol=1e-4).any() for chance in inclusion)
        elif n_negatives is None:  # all items: a row of the mask is all that a user likes
            assert inclusion is None
            assert {tuple(row) for row in liked.tolist()} <= {tuple(row) for row in likes.tolist()}
        else:
            assert liked.shape[1] == 9
            assert_allclose(inclusion, 9 / len(counts), rtol=1e-6)


# -- what is learned ----------------------------------------------------------------------------------------------


def share_of_own_kind(model, users, n_items=3, **options):
    ids, _ = model.recommend(users, n_items=n_items, **options)
    return (ids % N_KINDS == np.arange(len(ids))[:, np.newaxis] % N_KINDS).mean()


@pytest.mark.parametrize("params", [
    {}, {"n_layers": 0}, {"loss": "softmax"}, {"loss": "infonce", "n_negatives": 12}, {"loss": "bpr"},
    {"loss": "warp", "temperature": 1.0}, {"ids": False, **TEXTS}, {"tower": "linear", **TEXTS},
    {"dropout": 0.2, "feature_dropout": 0.2, "feature_noise": 0.3, **TEXTS}, {"solver": "rmsprop"},
    {"solver": "adam"}, {"early_stopping": True, **TEXTS}, {"learning_rate": "constant"},
])  # fmt: skip
@pytest.mark.parametrize("seed", [0, 1])
def test_lists_follow_the_taste(params, seed):
    frame = make_rows(seed)
    model = recommender(**params).fit(frame)
    assert (
        share_of_own_kind(model, np.arange(N_USERS)) > 0.5
    )  # of 10 items of the own kind, 2 or so are left; chance .1
    scores = model.predict(frame)
    assert np.isfinite(scores).all() and np.abs(scores).max() <= 1 + 1e-6
    assert model.n_iter_ == model.history_[-1]["epoch"] <= 20
    assert_allclose(np.linalg.norm(model.item_factors_, axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("params", [TEXTS, {"ids": False, **TEXTS}, {"item_features": ["item_x", "item_y"]}])
@pytest.mark.parametrize("seed", [0, 1])
def test_cold_items_are_ranked_by_their_features(params, seed):
    frame = make_rows(seed, n_likes=12)
    train, test = next(ColdItemKFold(4, item="item", random_state=seed).split(frame))
    model = recommender(**params).fit(frame.iloc[train])
    cold = frame.iloc[test].drop_duplicates("item")
    users = np.arange(N_USERS)
    pairs = pd.merge(pd.DataFrame({"user": users}), cold.drop(columns="user"), how="cross")
    scores = model.predict(pairs)
    own = (pairs["user"] % N_KINDS == pairs["item"] % N_KINDS).to_numpy()
    assert np.mean(scores[own][:, np.newaxis] > scores[~own]) > 0.75, "the chance that an item of one's kind is first"
    first = model.recommend(users, n_items=1, candidates=cold)[0][:, 0]
    assert (first % N_KINDS == users % N_KINDS).mean() > 0.6
    table = FeatureTable(frame.drop_duplicates("item")[["item", "text", "item_x", "item_y"]], key="item")
    catalogued = recommender(**params).fit(frame.iloc[train], item_table=table)
    assert_allclose(catalogued.predict(pairs), scores, rtol=1e-4, atol=1e-5)
    like_it = ["red apple"] if "item_encoder" in params else [[1.0, 0.0]]
    ids, _ = catalogued.similar_items(features=like_it, n_items=4)
    assert (ids % N_KINDS == 0).mean() > 0.5


@pytest.mark.parametrize("seed", [0, 1])
def test_new_users_by_history_fold_in_and_features(seed):
    frame = make_rows(seed)
    model = recommender(user_features=["user_x", "user_y"]).fit(frame)
    before = model.predict(frame)
    liked = [np.arange(kind, N_ITEMS, N_KINDS)[:4].tolist() for kind in range(N_KINDS)]
    assert share_of_own_kind(model, None, history=liked) > 0.8
    described = frame.drop_duplicates("user")[:N_KINDS].assign(user=100 + np.arange(N_KINDS))
    assert share_of_own_kind(model, described) > 0.8
    assert_array_equal(model.predict(frame), before)
    liking_others = np.roll(liked, 1, axis=0)  # what people do outweighs what they are
    rows = described.loc[described.index.repeat(4)].assign(item=np.ravel(liking_others))
    model.partial_fit(rows)
    assert share_of_own_kind(model, described["user"]) < 0.3
    assert share_of_own_kind(model, described["user"].iloc[[1, 2, 3, 0]]) > 0.7


FEEDBACKS = ["implicit", "explicit"]


@pytest.mark.parametrize("feedback", FEEDBACKS)
def test_scores_of_one_user_do_not_copy_the_vectors_of_all(feedback):
    rng = np.random.default_rng(0)
    X = np.column_stack([np.tile(np.arange(5000), 2), rng.integers(0, 20, 10_000)])
    model = TwoTowerRecommender(64, feedback=feedback, max_iter=1, device="cpu", random_state=0)
    model.fit(X, rng.integers(1, 3, len(X)))
    for call in (lambda: model.recommend([7], 2), lambda: model.predict(X[:1])):
        call()  # makes the look-up of ids
        tracemalloc.start()
        call()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < model.user_factors_.nbytes / 2


def with_likes(feedback, seed=2):
    """Interactions, and ratings that tell the taste for explicit feedback."""
    frame = make_rows(seed)
    liked = frame["user"] % N_KINDS == frame["item"] % N_KINDS
    return frame, np.where(liked, 5.0, 1.0) if feedback == "explicit" else np.ones(len(frame))


@pytest.mark.parametrize("feedback", FEEDBACKS)
@pytest.mark.parametrize("user", [99, 7])
def test_a_history_says_what_a_fold_in_of_it_says(feedback, user):
    frame, y = with_likes(feedback)
    model = recommender(feedback=feedback, max_iter=5, **TEXTS).fit(frame, y)
    liked, ratings = [0, 4, 5], [5.0, 4.0, 1.0] if feedback == "explicit" else [1.0, 1.0, 1.0]
    others = np.setdiff1d(np.arange(N_ITEMS), [*liked, *frame["item"][frame["user"] == user]])
    asked = {"n_items": 9, "candidates": others}  # the items of a fold-in move, too
    given = model.recommend(None if user == 99 else [user], history=[dict(zip(liked, ratings, strict=True))], **asked)
    before = model.item_factors_[others].copy(), model.user_factors_.copy()
    model.partial_fit(frame.iloc[:3].assign(user=user, item=liked, text="not read: the items are known"), ratings)
    assert_array_equal(model.item_factors_[others], before[0])
    unmoved = np.arange(N_USERS) != user
    assert_array_equal(model.user_factors_[:N_USERS][unmoved], before[1][unmoved])
    ids, scores = model.recommend([user], **asked)
    assert_array_equal(ids, given[0])
    assert_allclose(scores, given[1], rtol=1e-5)


@pytest.mark.parametrize("feedback", FEEDBACKS)
def test_a_trained_user_moves_by_what_was_added(feedback):
    """The map of histories by hand: ridge predictions of the new history minus those of the old one."""
    frame, y = with_likes(feedback)
    model = recommender(feedback=feedback, max_iter=5).fit(frame, y)
    before, fold = model._table("user")[7].copy(), model._history_maps["user"]
    of_items = model._table("item").copy()

    def history_of(rows, ratings):
        parts = np.column_stack([of_items[rows, :-1], np.ones(len(rows))])
        beyond = ratings - model.mean_ - of_items[rows, -1] if feedback == "explicit" else np.ones(len(rows))
        return (beyond[:, np.newaxis] * parts).sum(axis=0) / (len(rows) + 2)

    own = (frame["user"] == 7).to_numpy()
    new = np.setdiff1d(np.arange(N_ITEMS), frame["item"][own])[:2]
    old = history_of(frame["item"][own].to_numpy(), y[own])
    grown = history_of(np.append(frame["item"][own], new), np.append(y[own], [4.0, 2.0]))
    model.partial_fit(frame.iloc[:2].assign(user=7, item=new), [4.0, 2.0] if feedback == "explicit" else None)
    assert_allclose(model._table("user")[7], before + (grown - old) @ fold.coef, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("seed", [0, 1])
def test_ratings_are_learned_in_their_own_units(seed):
    rng = np.random.default_rng(seed)
    frame = make_rows(seed, n_likes=20)
    likes = frame["user"] % N_KINDS == frame["item"] % N_KINDS
    y = 60 + 20 * likes.to_numpy() + 5 * (frame["user"] % 3) + rng.normal(size=len(frame))
    test = rng.random(len(frame)) < 0.2
    model = recommender(feedback="explicit", **TEXTS).fit(frame[~test], y[~test])
    errors = model.predict(frame[test]) - y[test]
    assert np.sqrt((errors**2).mean()) < 0.5 * y.std()
    assert_allclose(model.mean_, y[~test].mean())
    assert model.history_[-1]["loss"] < 0.5 * model.history_[0]["loss"]


# -- tasks --------------------------------------------------------------------------------------------------------


def with_targets(frame, seed=0):
    """A price that depends on item and user, and a device that depends on the kind of the item; some are missing."""
    rng = np.random.default_rng(seed)
    frame = frame.copy()
    frame["price"] = 100 + 30 * (frame["item"] % N_KINDS) + 10 * (frame["user"] % 2) + rng.normal(size=len(frame))
    frame["device"] = np.where(frame["item"] % 2, "phone", "desktop").astype(object)
    frame.loc[rng.random(len(frame)) < 0.3, "price"] = np.nan
    frame.loc[rng.random(len(frame)) < 0.3, "device"] = None
    return frame


@pytest.mark.parametrize("feedback", ["implicit", "explicit"])
@pytest.mark.parametrize("seed", [0, 1])
def test_heads_learn_planted_targets(feedback, seed):
    frame = with_targets(make_rows(seed), seed)
    y = None if feedback == "implicit" else 1.0 + frame["user"] % 3
    tasks = {"price": "regression", "device": "classification"}
    model = recommender(feedback=feedback, tasks=tasks, task_weights={"price": 1.0, "device": 1.0}, max_iter=60)
    model.fit(frame, y)
    truth = with_targets(make_rows(seed + 10), seed)  # other pairs of the same users and items
    assert_array_equal(model.task_classes_["device"], ["desktop", "phone"])
    known = truth["price"].notna()
    price = model.predict_task(truth[known], "price")
    assert np.corrcoef(price, truth["price"][known])[0, 1] > 0.8
    assert np.abs(price - truth["price"][known]).mean() < 20
    labels = np.where(truth["item"] % 2, "phone", "desktop")
    assert (model.predict_task(truth, "device") == labels).mean() > 0.9
    chances = model.predict_task_proba(truth, "device")
    assert_allclose(chances.sum(axis=1), 1)
    assert_array_equal(chances.argmax(axis=1) == 1, model.predict_task(truth, "device") == "phone")
    assert {"price", "device", "loss"} <= set(model.history_[0])
    blind = truth.drop(columns=["price", "device"]).assign(price=np.nan, device=None)
    assert_array_equal(model.predict_task(blind, "price"), model.predict_task(truth, "price"))
    reloaded = pickle.loads(pickle.dumps(model))  # noqa: S301 - own bytes
    assert_array_equal(reloaded.predict_task(truth, "price"), model.predict_task(truth, "price"))
    assert b"torch" not in pickle.dumps(model)


def test_equal_pairs_count_once_in_a_task():
    frame = pd.DataFrame({"user": [0, 0, 0, 1], "item": [5, 5, 5, 6]})
    task = _two_tower_training_task(frame.assign(v=[1.0, 2.0, 6.0, 5.0]), "regression")
    assert_allclose(task.values * task.scale + task.mean, [3.0, 5.0])
    task = _two_tower_training_task(frame.assign(v=["b", "a", "b", "a"]), "classification")
    assert_array_equal(task.classes[task.values], ["b", "a"])
    assert_array_equal(np.stack(task.pairs), [[0, 1], [0, 1]])


def _two_tower_training_task(frame, kind):
    from skllmrec.base import InteractionRows
    from skllmrec.recommenders.two_tower._tasks import read_task

    items = np.unique(frame["item"], return_inverse=True)[1]
    return read_task(InteractionRows(frame, frame["user"].to_numpy(), items, np.ones(len(frame))), "v", kind, 1.0)


@pytest.mark.parametrize(("params", "words"), [
    ({"tasks": {"price": "ranking"}}, ["price", "regression", "classification"]),
    ({"tasks": {"price": "regression"}, "task_weights": {"cost": 1.0}}, ["cost", "price"]),
    ({"tasks": {"price": "regression"}, "task_weights": {"price": 0}}, ["price", "positive"]),
    ({"tasks": {"nowhere": "regression"}}, ["nowhere", "device"]),
    ({"tasks": {"device": "regression"}}, ["device", "classification"]),
    ({"tasks": {"empty": "regression"}}, ["empty", "no value"]),
    ({"loss": "squared_error"}, ["squared_error", "implicit"]),
    ({"feedback": "explicit", "loss": "bpr"}, ["bpr", "explicit"]),
    ({"ids": False}, ["ids=False", "item_features"]),
])  # fmt: skip
def test_what_does_not_go_together_is_named(params, words):
    frame = with_targets(make_rows()).assign(empty=None)
    with pytest.raises(ValueError) as raised:
        recommender(**params).fit(frame, np.full(len(frame), 2.0))
    for word in words:
        assert word in str(raised.value)


def test_only_tasks_of_fit_can_be_predicted():
    model = recommender(tasks={"price": "regression"}, max_iter=1).fit(with_targets(make_rows()))
    with pytest.raises(ValueError, match=r"'device' is not a task.*price"):
        model.predict_task(with_targets(make_rows()), "device")
    with pytest.raises(ValueError, match="regression"):
        model.predict_task_proba(with_targets(make_rows()), "price")


# -- the training -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("params", [{}, {"loss": "warp"}, {"n_negatives": 9, "dropout": 0.3, **TEXTS}])
def test_equal_seeds_give_equal_models(params):
    frame = make_rows()
    models = [recommender(max_iter=3, random_state=seed, **params).fit(frame) for seed in (1, 1, 2)]
    assert_array_equal(models[0].user_factors_, models[1].user_factors_)
    assert not np.allclose(models[0].user_factors_, models[2].user_factors_)
    before = torch.get_rng_state()
    clone(models[0]).fit(frame)
    assert_array_equal(torch.get_rng_state(), before)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_what_the_processor_gives():
    frame = make_rows()
    on_gpu, on_cpu = (recommender(device=device, max_iter=2, **TEXTS).fit(frame) for device in ("cuda", "cpu"))
    assert_allclose(on_gpu.predict(frame), on_cpu.predict(frame), rtol=1e-2, atol=1e-2)


def test_early_stopping_keeps_the_best_epoch_and_tells_the_scores():
    frame = make_rows(3, n_likes=14)
    settings = {"learning_rate": "constant", "learning_rate_init": 0.05, "warmup": 0.0, "max_iter": 60}
    model = recommender(early_stopping=True, n_iter_no_change=3, **settings).fit(frame)
    scores = [record["score"] for record in model.history_]
    assert len(scores) - 1 == model.n_iter_ < 60
    assert np.argmax(scores) == len(scores) - 4
    best = recommender(early_stopping=True, **settings).set_params(max_iter=len(scores) - 4, n_iter_no_change=50)
    assert_allclose(best.fit(frame).predict(frame), model.predict(frame), rtol=1e-4, atol=1e-5)


def test_weights_of_zero_are_no_interactions():
    frame = make_rows()
    y = np.ones(len(frame))
    y[::3] = 0
    settings = {"max_iter": 3, "batch_size": 40}
    model = recommender(**settings).fit(frame, y)
    kept = y > 0
    reference = recommender(**settings).fit(frame[kept])
    assert set(frame["item"][kept]) == set(frame["item"]), "the comparison needs the same items"
    assert_allclose(model.predict(frame), reference.predict(frame), rtol=1e-4, atol=1e-5)
    nothing = recommender(**settings).fit(frame, np.zeros(len(frame)))
    assert np.isfinite(nothing.predict(frame)).all()


def test_parameters_reach_the_training(monkeypatch):
    recipes = []

    def recording(parameters, batches, loss, recipe, **options):
        recipes.append((recipe, len(batches(np.random.default_rng(0))), options))
        return train(parameters, batches, loss, recipe, **options)

    train = _training.train
    monkeypatch.setattr(_training, "train", recording)
    frame = make_rows(n_likes=14)
    own = {"solver": "rmsprop", "learning_rate": "cosine", "learning_rate_init": 0.2, "warmup": 0.3, "max_iter": 4,
           "weight_decay": 0.5, "batch_size": 48}  # fmt: skip
    recommender(**own).fit(frame)
    recipe, n_batches, options = recipes.pop()
    assert (recipe.solver, recipe.learning_rate, recipe.learning_rate_init) == ("rmsprop", "cosine", 0.2)
    assert (recipe.warmup, recipe.max_iter, recipe.weight_decay, recipe.n_iter_no_change) == (0.3, 4, 0.5, None)
    assert n_batches == round(len(frame) / 48) and options["checkpoint"] is None and options["validate"] is None
    recommender(early_stopping=True, n_iter_no_change=2, loss="bpr", max_iter=1).fit(frame)
    recipe, n_batches, options = recipes.pop()
    assert recipe.n_iter_no_change == 2 and options["validate"] is not None and n_batches >= 9
    assert recipe.solver == "adamw"
    defaults = [({}, 3.0), ({"feedback": "explicit"}, 0.1), ({"solver": "rmsprop"}, 0.0), ({"weight_decay": 0.0}, 0.0)]
    for params, weight_decay in defaults:
        recommender(max_iter=1, **params).fit(frame, np.arange(len(frame)) % 3 + 1.0)
        assert recipes.pop()[0].weight_decay == weight_decay


# -- persistence and checkpoints ---------------------------------------------------------------------------------


LOADED = """
import pickle, sys
model = pickle.load(open(sys.argv[1], "rb"))
rows, expected = pickle.load(open(sys.argv[2], "rb"))
assert (model.predict(rows) == expected).all()
model.recommend(history=[[0, 4]], n_items=3)
model.predict_task(rows, "price")
assert "torch" not in sys.modules
"""


def test_a_fitted_model_needs_no_torch_and_loads_without_code(tmp_path):
    import skops.io

    frame = with_targets(make_rows())
    model = recommender(max_iter=2, tasks={"price": "regression", "device": "classification"}, **TEXTS).fit(frame)
    known = frame.drop(columns="device").assign(device="phone")
    (tmp_path / "model").write_bytes(pickle.dumps(model))
    (tmp_path / "rows").write_bytes(pickle.dumps((known, model.predict(known))))
    run_python(LOADED, tmp_path / "model", tmp_path / "rows")
    skops.io.dump(model, tmp_path / "model.skops")
    types = skops.io.get_untrusted_types(file=tmp_path / "model.skops")
    assert [name for name in types if not name.startswith("skllmrec.")] == ["scipy.sparse._csr.csr_matrix"]
    loaded = skops.io.load(tmp_path / "model.skops", trusted=types)
    assert_array_equal(loaded.predict(frame), model.predict(frame))
    assert_array_equal(loaded.predict_task(frame, "device"), model.predict_task(frame, "device"))


KILLED = """
import os, signal, sys
import test_two_tower
from skllmrec.recommenders.two_tower import _training

loss, steps = _training._Descent.loss, iter(range(999))

def killing(descent, pairs):
    if next(steps) == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    return loss(descent, pairs)

_training._Descent.loss = killing
test_two_tower.resumable(sys.argv[1]).fit(test_two_tower.with_targets(test_two_tower.make_rows()))
"""


def resumable(folder, **params):
    settings = {"max_iter": 4, "dropout": 0.2, "early_stopping": True, "tasks": {"price": "regression"}, **TEXTS}
    return recommender(checkpoint_dir=folder, **{**settings, **params})


@pytest.mark.skipif(not hasattr(os, "fork"), reason="SIGKILL is a thing of POSIX")
def test_a_killed_fit_ends_like_one_that_ran_through(tmp_path):
    run_python(KILLED, tmp_path, 25, status=-signal.SIGKILL)  # in the third epoch
    frame = with_targets(make_rows())
    assert [file.name for file in tmp_path.iterdir()] == ["training.safetensors"]
    resumed, whole = resumable(tmp_path).fit(frame), resumable(None).fit(frame)
    assert_allclose(resumed.user_factors_, whole.user_factors_, rtol=1e-5, atol=1e-6)
    assert_allclose(resumed.item_factors_, whole.item_factors_, rtol=1e-5, atol=1e-6)
    assert_allclose(resumed.predict_task(frame, "price"), whole.predict_task(frame, "price"), rtol=1e-4)
    assert [record["epoch"] for record in resumed.history_] == [record["epoch"] for record in whole.history_]


def test_a_checkpoint_of_other_data_or_parameters_is_refused(tmp_path):
    frame = with_targets(make_rows())
    resumable(tmp_path).fit(frame)
    for other, params in (
        (with_targets(make_rows(1)), {}),
        (frame, {"temperature": 0.1}),
        (frame, {"max_iter": 5}),
        (frame, {"batch_size": 7}),
    ):
        with pytest.raises(ValueError, match=r"another configuration.*delete this file"):
            resumable(tmp_path, **params).fit(other)
    resumable(tmp_path).fit(frame)
