"""The training loop against loops by hand, and against itself after interrupts and kills."""

import itertools
import math
import os

import numpy as np
import pytest
import torch
from fresh_process import run_python
from numpy.testing import assert_allclose, assert_array_equal
from safetensors import safe_open
from safetensors.torch import save_file

from skllmrec._training import Checkpoint, DivergenceError, Recipe, index_batches, train, training_constraints
from skllmrec._training._recipe import SOLVERS
from skllmrec.exceptions import CheckpointError
from skllmrec.language_models import LLMFineTuner, LLMPretrainer
from skllmrec.recommenders import FeatureMFRecommender, SequentialRecommender, TwoTowerRecommender

N_ROWS = 48


def make_data(seed=0):
    rng = np.random.default_rng(seed)
    x = torch.tensor(rng.normal(size=(N_ROWS, 3)), dtype=torch.float32)
    return x, torch.tensor(np.tanh(x.numpy() @ [1.0, -2.0, 0.5]) + 0.1 * rng.normal(size=N_ROWS), dtype=torch.float32)


def make_network(seed=0, dropout=0.2):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.Dropout(dropout), torch.nn.Linear(8, 1))


def make_loss(network, seed=0):
    x, y = make_data(seed)
    return lambda rows: (network(x[rows])[:, 0] - y[rows]).square().mean()


def fit(recipe, *, dropout=0.2, batch_size=8, loss=None, **options):
    """Train a small network; returns it and the training."""
    network = make_network(dropout=dropout)
    training = train(network, index_batches(N_ROWS, batch_size), loss or make_loss(network), recipe, **options)
    return network, training


def weights_of(network):
    return [tensor.detach().numpy().copy() for tensor in network.parameters()]


def assert_same_weights(network, other):
    for mine, its in zip(weights_of(network), weights_of(other), strict=True):
        assert_array_equal(mine, its)


# -- against loops by hand ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1])
def test_plain_gradient_descent_is_that_of_a_naive_loop(seed):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(20, 3)), rng.normal(size=20)
    params = {"w": torch.zeros(3, dtype=torch.float64, requires_grad=True)}
    tensors = torch.tensor(x), torch.tensor(y)
    recipe = Recipe(3, 0.1, solver="sgd", momentum=0.0, learning_rate="linear", seed=seed)
    train(params, index_batches(20, 6), lambda r: (tensors[0][r] @ params["w"] - tensors[1][r]).square().mean(), recipe)
    w, n_steps = np.zeros(3), 0
    for epoch in range(3):
        order = np.random.default_rng([seed, epoch]).permutation(20)
        for start in range(0, 20, 6):
            rows = order[start : start + 6]
            n_steps += 1
            rate = 0.1 * (1 - (n_steps - 0.5) / 12)
            w -= rate * 2 * x[rows].T @ (x[rows] @ w - y[rows]) / len(rows)
    assert_allclose(params["w"].detach().numpy(), w, rtol=1e-12)


@pytest.mark.parametrize("name", SOLVERS)
def test_optimizers_are_those_of_torch(name):
    network, training = fit(Recipe(2, 0.02, solver=name, learning_rate="constant"), dropout=0.0)
    other = make_network(dropout=0.0)
    makers = {
        "adamw": lambda p: torch.optim.AdamW(p, lr=0.02, weight_decay=0.0),
        "adam": lambda p: torch.optim.Adam(p, lr=0.02),
        "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.02),
        "sgd": lambda p: torch.optim.SGD(p, lr=0.02, momentum=0.9, nesterov=True),
    }
    optimizer, loss, losses = makers[name](other.parameters()), make_loss(other), []
    for epoch in range(2):
        for rows in index_batches(N_ROWS, 8)(np.random.default_rng([0, epoch])):
            optimizer.zero_grad()
            value = loss(rows)
            value.backward()
            optimizer.step()
            losses.append(value.item())
    for mine, its in zip(weights_of(network), weights_of(other), strict=True):
        assert_allclose(mine, its, rtol=1e-4, atol=1e-6)
    assert_allclose([record["loss"] for record in training.history], np.reshape(losses, (2, 6)).mean(axis=1), rtol=1e-4)
    assert [record["epoch"] for record in training.history] == [1, 2]
    assert [record["step"] for record in training.history] == [6, 12]


def test_accumulated_batches_are_one_large_batch():
    large, _ = fit(Recipe(2, 0.05), dropout=0.0, batch_size=24)
    small, training = fit(Recipe(2, 0.05, gradient_accumulation=4), dropout=0.0, batch_size=6)
    assert training.step == 4
    for mine, its in zip(weights_of(small), weights_of(large), strict=True):
        assert_allclose(mine, its, rtol=1e-4, atol=1e-6)


def test_last_step_of_an_epoch_is_the_mean_of_the_batches_that_are_left():
    params = {"w": torch.zeros((), dtype=torch.float64, requires_grad=True)}
    recipe = Recipe(1, 1.0, solver="sgd", momentum=0.0, learning_rate="constant", gradient_accumulation=2)
    train(params, lambda rng: [1.0, 2.0, 5.0], lambda batch: batch * params["w"], recipe)
    assert params["w"].item() == -((1 + 2) / 2 + 5)


def test_weight_decay_spares_vectors_and_rate_factors_go_by_name():
    params = {name: torch.ones(shape, requires_grad=True) for name, shape in (("matrix", (2, 2)), ("bias", (2,)))}
    recipe = Recipe(1, 0.1, weight_decay=0.5, learning_rate="constant")
    train(params, lambda rng: [0], lambda batch: 0.0 * sum(p.sum() for p in params.values()), recipe)
    assert_allclose(params["matrix"].detach(), np.full((2, 2), 0.95), rtol=1e-6)
    assert_array_equal(params["bias"].detach(), [1, 1])
    params = {name: torch.zeros((), requires_grad=True) for name in ("head.w", "body.w")}
    recipe = Recipe(1, 0.1, solver="sgd", momentum=0.0, learning_rate="constant", rate_factors={"head": 5.0})
    train(params, lambda rng: [0], lambda batch: sum(params.values()), recipe)
    assert_allclose([p.item() for p in params.values()], [-0.5, -0.1], rtol=1e-6)


def test_clipping_shortens_the_gradient_over_all_parameters():
    params = {name: torch.zeros((), requires_grad=True) for name in "ab"}
    recipe = Recipe(1, 1.0, solver="sgd", momentum=0.0, learning_rate="constant", clip_norm=1.0)
    train(params, lambda rng: [0], lambda batch: 30 * params["a"] + 40 * params["b"], recipe)
    assert_allclose([p.item() for p in params.values()], [-0.6, -0.8], rtol=1e-5)


@pytest.mark.parametrize(("schedule", "half", "end"), [("linear", 0.5, 0.0), ("cosine", 0.5, 0.0), ("constant", 1, 1)])
def test_learning_rate_rises_and_falls(schedule, half, end):
    recipe = Recipe(1, 2.0, warmup=0.2, learning_rate=schedule)
    rates = [recipe.rate_at(progress) for progress in (0.05, 0.1, 0.2, 0.6, 1.0)]
    assert_allclose(rates, [0.5, 1.0, 2.0, 2 * half, 2 * end], atol=1e-12)
    below = recipe.rate_at(0.4) / 2
    assert_allclose(below, {"linear": 0.75, "cosine": (1 + math.sqrt(0.5)) / 2, "constant": 1}[schedule])


# -- validation ---------------------------------------------------------------------------------------------------


def test_best_epoch_is_kept_and_patience_ends_the_training():
    scores = iter([0.1, 0.5, 0.4, 0.45, 0.3])
    network, training = fit(Recipe(50, 0.05, n_iter_no_change=2), validate=lambda: next(scores))
    assert [record.get("score") for record in training.history] == [0.1, 0.5, 0.4, 0.45]
    assert (training.best_epoch, training.best_score, training.epoch) == (1, 0.5, 3)
    seen = []
    scores = iter([0.1, 0.5, 0.4, 0.45, 0.3])
    other = make_network()

    def validate():
        seen.append(weights_of(other))
        return next(scores)

    train(other, index_batches(N_ROWS, 8), make_loss(other), Recipe(50, 0.05, n_iter_no_change=2), validate=validate)
    for mine, best, last in zip(weights_of(network), seen[1], seen[-1], strict=True):
        assert_array_equal(mine, best)
        assert (best != last).any()


def test_weights_before_training_are_a_candidate():
    network, training = fit(Recipe(2, 0.5), validate=iter([3.0, 2.0, 1.0]).__next__)
    assert training.best_epoch == 0 and training.history[0]["step"] == 0 and "loss" not in training.history[0]
    assert_same_weights(network, make_network())
    network, _ = fit(Recipe(2, 0.5, keep_best=False), validate=iter([3.0, 2.0, 1.0]).__next__)
    assert (weights_of(network)[0] != weights_of(make_network())[0]).any()


def test_gain_below_the_least_one_does_not_count():
    _, training = fit(Recipe(9, 0.05, n_iter_no_change=2, tol=0.2), validate=iter([0.1, 0.4, 0.5, 0.55, 1]).__next__)
    assert (training.best_epoch, training.epoch) == (1, 3)


def test_validation_runs_in_evaluation_mode_without_gradients_and_modes_come_back():
    network, modes = make_network(), []
    network[1].eval()

    def validate():
        modes.append((network.training, torch.is_grad_enabled()))
        return {"score": np.float32(1.0), "accuracy": torch.tensor(0.25)}

    def loss(rows):
        modes.append(network[1].training)
        return make_loss(network)(rows)

    training = train(network, index_batches(N_ROWS, N_ROWS), loss, Recipe(1, 0.1), validate=validate)
    assert modes == [(False, False), True, (False, False)]
    assert network.training and not network[1].training, "the modes of the caller are back"
    assert training.history[1]["accuracy"] == 0.25
    assert all(parameter.grad is None for parameter in network.parameters())


def test_numbers_beside_the_loss_are_averaged():
    network = make_network()
    loss = make_loss(network)
    batches = [slice(0, 8), slice(8, 16)]
    numbers = {0: 1.0, 8: torch.tensor(3.0)}
    training = train(
        network, lambda rng: batches, lambda rows: (loss(rows), {"accuracy": numbers[rows.start]}), Recipe(1, 0.1)
    )
    assert training.history[0]["accuracy"] == 2.0


def test_callback_gets_the_records_and_can_stop():
    records = []
    _, training = fit(Recipe(9, 0.05), callbacks=[records.append, lambda record: record["epoch"] == 3])
    assert records == training.history and len(records) == 3 and training.finished
    assert set(records[0]) == {"epoch", "step", "loss", "learning_rate", "seconds"}


# -- randomness and precision -------------------------------------------------------------------------------------


def test_same_seed_same_weights_and_the_caller_keeps_the_generators():
    torch.manual_seed(7)
    np.random.seed(7)  # noqa: NPY002 - the global generator is what must stay as it is
    states = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    networks = [fit(Recipe(2, 0.05, seed=3))[0] for _ in range(2)]
    assert_array_equal(torch.get_rng_state(), states[0])
    assert_array_equal(np.random.get_state()[1], states[1])  # noqa: NPY002
    torch.manual_seed(8)
    networks.append(fit(Recipe(2, 0.05, seed=3))[0])
    assert_same_weights(networks[0], networks[1])
    assert_same_weights(networks[0], networks[2])
    other, _ = fit(Recipe(2, 0.05, seed=4))
    assert (weights_of(other)[0] != weights_of(networks[0])[0]).any()


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_mixed_precision_computes_low_and_keeps_high(precision):
    network, dtypes = make_network(), set()
    network[0].register_forward_hook(lambda module, inputs, output: dtypes.add(output.dtype))
    training = train(
        network, index_batches(N_ROWS, 8), make_loss(network), Recipe(20, 0.02, dtype=precision, clip_norm=1.0)
    )
    assert dtypes == {getattr(torch, precision)}
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}
    assert training.history[-1]["loss"] < 0.5 * training.history[0]["loss"]


def test_frozen_parameters_stay():
    network = make_network()
    network[0].weight.requires_grad_(False)
    train(network, index_batches(N_ROWS, 8), make_loss(network), Recipe(2, 0.1, weight_decay=0.1))
    before = make_network()
    weights = weights_of(network), weights_of(before)
    assert_array_equal(weights[0][0], weights[1][0])
    assert (weights[0][2] != weights[1][2]).any()


@pytest.mark.parametrize(("max_steps", "max_iter"), [(4, 9), (8, 9), (9, 9), (99, 2)])
def test_steps_end_a_training_and_the_rate_is_planned_for_them(max_steps, max_iter):
    rates, position = [], []
    recipe = Recipe(max_iter, 0.1, solver="sgd", max_steps=max_steps)
    n_batches, n_steps = 6, min(max_steps, 6 * max_iter)
    network = {"w": torch.zeros((), requires_grad=True)}

    def batches(rng):
        return list(range(n_batches))

    def loss(batch):
        position.append(batch)
        return network["w"] * 1.0

    training = train(network, batches, loss, recipe, callbacks=[lambda record: rates.append(record["learning_rate"])])
    assert training.step == len(position) == n_steps and training.finished
    assert position == [step % n_batches for step in range(n_steps)]
    assert [record["step"] for record in training.history] == [*range(6, n_steps, 6), n_steps]
    assert_allclose(rates, [0.1 * (1 - (record["step"] - 0.5) / n_steps) for record in training.history])


# -- batches ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_rows", [1, 7, 8, 9])
def test_index_batches_hold_every_row_once(n_rows):
    for lengths in (None, np.arange(n_rows)[::-1] % 3):
        batches = index_batches(n_rows, 4, lengths=lengths)
        first, second = (batches(np.random.default_rng(seed)) for seed in (0, 1))
        assert_array_equal(np.sort(np.concatenate(first)), np.arange(n_rows))
        assert [len(batch) for batch in index_batches(n_rows, 4)(np.random.default_rng(0))][:-1] == [4] * (
            (n_rows - 1) // 4
        )
        if n_rows > 4:
            assert np.concatenate(first).tolist() != np.concatenate(second).tolist()


def test_rows_of_like_length_share_a_batch():
    lengths = np.random.default_rng(0).integers(1, 100, 64)
    parts = index_batches(64, 8, lengths=lengths)(np.random.default_rng(1))
    spans = sorted((lengths[part].min(), lengths[part].max()) for part in parts)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))
    means = [lengths[part].mean() for part in parts]
    assert means != sorted(means), "the batches themselves come in random order"


# -- what goes wrong ----------------------------------------------------------------------------------------------


def test_errors_name_the_place_and_the_remedy():
    network = make_network()
    loss, count = make_loss(network), iter(range(99))
    bad = lambda rows: loss(rows) * (math.inf if next(count) == 7 else 1)  # noqa: E731
    with pytest.raises(DivergenceError, match=r"loss is inf at step 8, in epoch 2, at a learning rate of 0\.01: lower"):
        train(network, index_batches(N_ROWS, 8), bad, Recipe(3, 0.01, learning_rate="constant"))
    huge = {"w": torch.zeros((), requires_grad=True)}
    with pytest.raises(DivergenceError, match="parameter 'w' is not finite after epoch 1"):
        train(huge, lambda rng: [0], lambda _: torch.sqrt(huge["w"]), Recipe(1, 0.1))
    with pytest.raises(ValueError, match="validation score is nan after epoch 0"):
        fit(Recipe(1, 0.1), validate=lambda: math.nan)
    with pytest.raises(ValueError, match="epoch 1 has no batches"):
        train(network, lambda rng: [], loss, Recipe(1, 0.1))
    with pytest.raises(ValueError, match="nothing to train"):
        train({"w": torch.zeros(2)}, lambda rng: [0], loss, Recipe(1, 0.1))


@pytest.mark.parametrize(
    "wrong",
    [
        {"solver": "lion"},
        {"learning_rate": "step"},
        {"dtype": "int8"},
        {"learning_rate_init": 0.0},
        {"warmup": 1.0},
        {"gradient_accumulation": 0},
        {"n_iter_no_change": 0},
        {"max_steps": 0},
        {"clip_norm": 0.0},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_recipe_refuses(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Recipe(**{"max_iter": 1, "learning_rate_init": 0.1, **wrong})


# -- checkpoints --------------------------------------------------------------------------------------------------


class Stop(Exception):  # noqa: N818 - stands for a crash
    pass


def crashing(network, at, error):
    """Loss that fails at a batch."""
    loss, count = make_loss(network), iter(range(10_000))

    def crash(rows):
        value = loss(rows)  # uses up random numbers before it fails
        if next(count) == at:
            raise error
        return value

    return crash


RESUMABLE = {
    "adamw": {"solver": "adamw", "warmup": 0.2, "weight_decay": 0.1},
    "rmsprop": {"solver": "rmsprop", "gradient_accumulation": 2},
    "sgd": {"solver": "sgd", "clip_norm": 0.1},
    "float16": {"dtype": "float16"},
    "steps": {"max_steps": 15},
}


@pytest.mark.parametrize("name", RESUMABLE)
@pytest.mark.parametrize("error", [KeyboardInterrupt, Stop])
@pytest.mark.parametrize("at", [0, 3, 6, 13])
def test_interrupted_training_ends_like_one_that_ran_through(tmp_path, name, error, at):
    recipe, options = Recipe(3, 0.02, **RESUMABLE[name]), {"batches": index_batches(N_ROWS, 8)}
    whole = make_network()
    scored = make_loss(make_network())  # the same score at the same time, whatever happened before
    whole_run = train(whole, loss=make_loss(whole), recipe=recipe, validate=lambda: -scored(slice(None)), **options)
    first = make_network()
    with pytest.raises(error):
        train(
            first,
            loss=crashing(first, at, error),
            recipe=recipe,
            validate=lambda: -scored(slice(None)),
            checkpoint=Checkpoint(tmp_path, every=2),
            **options,
        )
    second, n_calls = make_network(), []
    loss = make_loss(second)

    def counted(rows):
        n_calls.append(len(rows))
        return loss(rows)

    resumed = train(
        second,
        loss=counted,
        recipe=recipe,
        validate=lambda: -scored(slice(None)),
        checkpoint=Checkpoint(tmp_path),
        **options,
    )
    assert_same_weights(second, whole)
    assert len(n_calls) <= 18 - at + (0 if error is KeyboardInterrupt else 4) + (recipe.gradient_accumulation - 1)
    for mine, its in zip(resumed.history, whole_run.history, strict=True):
        assert {**mine, "seconds": 0} == {**its, "seconds": 0}


def test_best_weights_survive_the_interrupt(tmp_path):
    scores = {0: 0.1, 1: 0.9, 2: 0.5, 3: 0.4}
    networks = []
    for error_at in (None, 14):
        network = make_network()
        networks.append(network)
        for loss in ([crashing(network, error_at, KeyboardInterrupt)] if error_at else []) + [make_loss(network)]:
            epochs = iter(scores) if error_at is None or loss.__name__ == "crash" else iter([3])
            try:
                training = train(
                    network,
                    index_batches(N_ROWS, 8),
                    loss,
                    Recipe(3, 0.05),
                    validate=lambda epochs=epochs: scores[next(epochs)],
                    checkpoint=Checkpoint(tmp_path / str(error_at)),
                )
            except KeyboardInterrupt:
                network.load_state_dict(make_network().state_dict())
        assert training.best_epoch == 1
    assert_same_weights(*networks)


def test_finished_training_is_not_repeated(tmp_path):
    network, training = fit(Recipe(2, 0.05), checkpoint=Checkpoint(tmp_path))
    called = []
    again, other = fit(Recipe(2, 0.05), checkpoint=Checkpoint(tmp_path), loss=called.append)
    assert not called and other == training and other.finished
    assert_same_weights(network, again)


def test_other_configuration_is_refused_and_nothing_overwritten(tmp_path):
    fit(Recipe(2, 0.05), checkpoint=Checkpoint(tmp_path, identity={"model": "a"}))
    (file,) = tmp_path.iterdir()
    before = file.read_bytes()
    with pytest.raises(ValueError, match=r"another configuration \(recipe.learning_rate_init was 0.05 and is 0.1\)"):
        fit(Recipe(2, 0.1), checkpoint=Checkpoint(tmp_path, identity={"model": "a"}))
    with pytest.raises(ValueError, match=r"identity.model was 'a' and is 'b'.*Nothing was overwritten"):
        fit(Recipe(2, 0.05), checkpoint=Checkpoint(tmp_path, identity={"model": "b"}))
    with pytest.raises(ValueError, match=r"parameters\.w was 'absent'"):
        params = {"w": torch.zeros(1, requires_grad=True)}
        train(params, lambda rng: [0], None, Recipe(2, 0.05), checkpoint=Checkpoint(tmp_path, identity={"model": "a"}))
    assert file.read_bytes() == before and list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", None], ids=["empty", "text", "cut"])
def test_damaged_checkpoint_is_named(tmp_path, content):
    fit(Recipe(1, 0.05), checkpoint=Checkpoint(tmp_path))
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-10] if content is None else content)
    with pytest.raises(ValueError, match=r"training\.safetensors is not a checkpoint.*damaged.*delete it"):
        fit(Recipe(1, 0.05), checkpoint=Checkpoint(tmp_path))


@pytest.mark.parametrize("part", ["model", "random"])
def test_a_checkpoint_without_an_array_is_named(tmp_path, part):
    fit(Recipe(2, 0.05, max_steps=1), checkpoint=Checkpoint(tmp_path))
    (path,) = tmp_path.iterdir()
    with safe_open(path, framework="pt") as file:
        header = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    header["state"] = header["state"].replace('"finished": true', '"finished": false')
    lost = next(name for name in tensors if name.startswith(f"{part}/"))
    del tensors[lost]
    save_file(tensors, path, header)
    with pytest.raises(CheckpointError, match=rf"training\.safetensors lacks 1 of its arrays, e.g. '{lost}'.*delete"):
        fit(Recipe(2, 0.05, max_steps=1), checkpoint=Checkpoint(tmp_path))


def test_parameters_that_share_memory_are_saved(tmp_path):
    whole = torch.zeros(4)
    params = {"a": whole[:2].requires_grad_(), "b": whole[2:].requires_grad_()}
    training = train(
        params,
        lambda rng: [0],
        lambda _: params["a"].sum() - params["b"].sum(),
        Recipe(1, 0.1, solver="sgd"),
        checkpoint=Checkpoint(tmp_path),
    )
    assert training.finished and whole[0] < 0 < whole[2]


KILLED = """
import os, signal, sys
import safetensors.torch
from test_training import make_loss, make_network, N_ROWS, index_batches
from skllmrec._training import Checkpoint, Recipe, train

folder, kill_step, kill_write = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
network, writes, steps, save_file = make_network(), iter(range(999)), iter(range(999)), safetensors.torch.save_file
loss = make_loss(network)

def killing_loss(rows):
    if next(steps) == kill_step:
        os.kill(os.getpid(), signal.SIGKILL)
    return loss(rows)

def killing_save(tensors, path, metadata):
    save_file(tensors, path, metadata)
    if next(writes) == kill_write:
        os.truncate(path, os.path.getsize(path) // 2)
        os.kill(os.getpid(), signal.SIGKILL)

safetensors.torch.save_file = killing_save
train(network, index_batches(N_ROWS, 8), killing_loss, Recipe(3, 0.02), checkpoint=Checkpoint(folder, every=1))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="SIGKILL is a thing of POSIX")
@pytest.mark.parametrize(("kill_step", "kill_write"), [(7, -1), (-1, 9), (-1, 0)], ids=["step", "write", "first"])
def test_killed_training_ends_like_one_that_ran_through(tmp_path, kill_step, kill_write):
    run_python(KILLED, tmp_path, kill_step, kill_write, status=-9)
    resumed, training = fit(Recipe(3, 0.02), checkpoint=Checkpoint(tmp_path))
    whole, _ = fit(Recipe(3, 0.02))
    assert_same_weights(resumed, whole)
    assert training.finished and [file.name for file in tmp_path.iterdir()] == ["training.safetensors"]


# -- the vocabulary -----------------------------------------------------------------------------------------------

ESTIMATORS = [FeatureMFRecommender, SequentialRecommender, TwoTowerRecommender, LLMFineTuner, LLMPretrainer]
OTHER_WORDS = {"max_epochs", "n_epochs", "epochs", "patience", "precision", "lr", "optimizer", "schedule", "min_gain"}


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_estimators_share_one_vocabulary_of_training_parameters(estimator):
    names, constraints = set(estimator().get_params(deep=False)), estimator._parameter_constraints
    shared = {"max_iter", "batch_size", "learning_rate", "learning_rate_init", "random_state", "verbose"}
    assert shared | {"early_stopping", "validation_fraction", "n_iter_no_change"} <= names
    assert not names & OTHER_WORDS and names == set(constraints) & names
    for name in ("learning_rate", "early_stopping", "validation_fraction", "n_iter_no_change"):
        assert constraints[name] == training_constraints(name)[name], f"{name} means the same everywhere"
