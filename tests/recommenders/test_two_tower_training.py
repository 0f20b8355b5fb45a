"""Training of TwoTowerRecommender: which interactions are in the graph, how many candidates, what weights are."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skllmrec._kernels.selection.held_out import hold_out_entries
from skllmrec.recommenders import TwoTowerRecommender
from skllmrec.recommenders.two_tower import _training


def rows(seed=0):
    return np.unique(np.random.default_rng(seed).integers(0, [40, 30], size=(1000, 2)), axis=0)


def towers(**params):
    return TwoTowerRecommender(4, **{"device": "cpu", "random_state": 0, "max_iter": 2, **params})


def test_held_out_interactions_are_in_the_graph_after_the_training_only(monkeypatch):
    connected, connect = [], _training.TwoTowers.connect

    def recording(self, links):
        connected.append(links.nnz)
        connect(self, links)

    monkeypatch.setattr(_training.TwoTowers, "connect", recording)
    model = towers(early_stopping=True).fit(rows())
    n_kept = len(hold_out_entries(model.seen_, 0)[0])
    assert len(connected) == 3 and connected[0] == connected[2] == model.seen_.nnz
    assert abs(connected[1] - n_kept) < 0.1 * model.seen_.nnz and connected[1] < model.seen_.nnz


def test_a_large_catalogue_is_sampled(monkeypatch):
    widths, softmax_loss = set(), _training.softmax_loss

    def recording(users, items, *pairs, **known):
        widths.add(len(items))
        return softmax_loss(users, items, *pairs, **known)

    monkeypatch.setattr(_training, "softmax_loss", recording)
    towers().fit(rows())
    monkeypatch.setattr(_training, "MOST_CANDIDATES", 7)
    towers().fit(rows())
    assert widths == {len(np.unique(rows()[:, 1])), 7}


@pytest.mark.parametrize("loss", ["infonce", "softmax", "bpr", "warp", "squared_error"])
def test_weights_count_relative_to_their_mean(loss):
    X, feedback = rows(), "explicit" if loss == "squared_error" else "implicit"
    generator = np.random.default_rng(1)
    weights, ratings = generator.uniform(0.1, 4.0, len(X)), generator.uniform(1, 5, len(X))

    def predicted(weights):
        model = towers(loss=loss, feedback=feedback, n_layers=0)
        if feedback == "explicit":
            return model.fit(X, ratings, sample_weight=weights).predict(X)
        return model.fit(X, weights).predict(X)

    weighted = predicted(weights)
    assert_allclose(predicted(3 * weights), weighted, rtol=1e-3, atol=1e-4)
    assert abs(predicted(np.ones(len(X))) - weighted).max() > 0.01


def test_how_often_is_not_how_much_in_a_history():
    X = rows()
    tables = []
    for weights in ([1.0, 1.0], [6.0, 2.0]):
        model = towers().fit(X)
        tables.append(model.partial_fit([[77, X[0, 1]], [77, X[1, 1]]], weights).user_factors_)
    assert_allclose(*tables)
