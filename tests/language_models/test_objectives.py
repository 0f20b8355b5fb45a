"""Objectives: their losses before the first step, against loops over the rows of a batch."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.sparse import csr_matrix
from tuning_data import make_catalogue

from skllmrec.language_models.fine_tuning._evaluators import item_factors, ridge
from skllmrec.language_models.fine_tuning._objectives import Multitask, Setting, make_objective
from skllmrec.language_models.fine_tuning._targets import Targets

N = 40


@pytest.fixture(params=[0, 1])
def case(request):
    """Vectors, interactions, labels, rows to learn from, and a batch of them."""
    rng = np.random.default_rng(request.param)
    _, liked, kinds = make_catalogue(N, seed=request.param)
    vectors = rng.normal(size=(N, 5)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    fitted = np.sort(rng.permutation(N)[:30])
    return vectors, csr_matrix(liked, dtype=bool), kinds, fitted, rng.permutation(fitted)[:8]


def loss_of(name, targets, case):
    """Loss of the batch, and the objective."""
    vectors, _, _, fitted, rows = case
    objective = make_objective(name, targets, setting_of(vectors, fitted))
    return objective.loss(torch.from_numpy(vectors[rows]), rows), objective


def setting_of(vectors, fitted):
    return Setting(vectors, fitted, temperature=0.1, seed=0, device=torch.device("cpu"))


def squared_error(numbers, weights, case):
    """Weighted mean over the rows of a batch of how far a ridge regression is off; `numbers` of the fitted rows."""
    vectors, _, _, fitted, rows = case
    model, weights = ridge(vectors[fitted], numbers, weights, 0), np.ones(len(fitted)) if weights is None else weights
    losses = []
    for row in rows:
        place = fitted.tolist().index(row)
        error = model.predict(vectors[[row]])[0] - numbers[place]
        losses.append(weights[place] / weights.mean() * np.mean(error**2))
    return np.mean(losses)


def test_factors_of_interactions_count_by_how_much_is_known(case):
    _, liked, _, fitted, _ = case
    factors, _ = item_factors(liked[fitted], 0)
    expected = squared_error(factors / np.sqrt(np.mean(factors**2)), np.log1p(liked[fitted].sum(axis=1).A1), case)
    assert_allclose(loss_of("factors", Targets("interactions", liked), case)[0].item(), expected, rtol=1e-4)


def test_given_factors_are_centred_and_scaled_as_a_whole(case):
    vectors, _, _, fitted, _ = case
    numbers = vectors.astype(float) @ [[1.0, 2.0], [0.5, 0.0], [0.0, 9.0], [1.0, 1.0], [3.0, 2.0]] + 4
    own = numbers[fitted] - numbers[fitted].mean(axis=0)
    expected = squared_error(own / np.sqrt(np.mean(own**2)), None, case)
    assert_allclose(loss_of("factors", Targets("numbers", numbers), case)[0].item(), expected, rtol=1e-4, atol=1e-8)


def test_numbers_are_scaled_one_by_one(case):
    vectors, _, kinds, fitted, _ = case
    numbers = kinds[:, None] * [1.0, 30.0] + vectors[:, :2]
    own = (numbers[fitted] - numbers[fitted].mean(axis=0)) / numbers[fitted].std(axis=0)
    expected = squared_error(own, None, case)
    assert_allclose(loss_of("regression", Targets("numbers", numbers), case)[0].item(), expected, rtol=1e-4)


def test_labels_are_those_of_the_rows(case):
    vectors, _, kinds, fitted, rows = case
    model = ridge(vectors[fitted], 8.0 * np.eye(2)[kinds[fitted]], None, 0)
    losses = []
    for row in rows:
        share = np.exp(model.predict(vectors[[row]])[0])
        losses.append(-np.log(share[kinds[row]] / share.sum()))
    assert_allclose(loss_of("classification", Targets("labels", kinds), case)[0].item(), np.mean(losses), rtol=1e-4)


def test_uncertainty_weighs_all_alike_at_first_and_learns(case):
    vectors, liked, kinds, _, rows = case
    parts = {"factors": Targets("interactions", liked), "classification": Targets("labels", kinds)}
    alone = {name: loss_of(name, targets, case) for name, targets in parts.items()}
    objective = Multitask({name: own for name, (_, own) in alone.items()}, None, torch.device("cpu"))
    total, losses = objective.loss(torch.from_numpy(vectors[rows]), rows)
    assert_allclose(total.item(), 0.5 * sum(loss.item() for loss, _ in alone.values()), rtol=1e-5)
    total.backward()
    for name, loss in losses.items():  # of the logarithm s of a variance: (1 - L exp(-s)) / 2, at s = 0
        assert_allclose(
            objective.heads["log_variances"][name].grad.item(), 0.5 * (1 - loss.item()), rtol=1e-4, atol=1e-6
        )
