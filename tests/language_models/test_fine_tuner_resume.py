"""LLMFineTuner(checkpoint_dir=...): a killed training goes on; other configurations are refused, nothing is lost."""

import signal
from pathlib import Path

import numpy as np
import pytest
from fresh_process import run_python
from numpy.testing import assert_allclose
from safetensors.numpy import load_file
from tuning_data import make_catalogue

from skllmrec import LLMFineTuner
from skllmrec._training import _loop

FAST = {
    "learning_rate_init": 3e-3,
    "max_iter": 3,
    "random_state": 0,
    "device": "cpu",
    "dtype": "float32",
    "n_iter_no_change": None,
}

# nothing is held out, so that the tuned weights are kept whatever they are worth
ALL_KEPT = {"trainable": "all", "objective": "contrastive", "early_stopping": False}

KILLED = """
import os, signal
from test_fine_tuner_resume import fit
from skllmrec._training import _loop

update, left = _loop._Run.update, {n_steps}

def step(self, *args):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return update(self, *args)

_loop._Run.update = step
fit({model!r}, {folder!r}, **{params!r})
"""


def fit(model, folder, n_texts=200, **params):
    texts, liked, _ = make_catalogue(n_texts)
    return LLMFineTuner(model, checkpoint_dir=folder, **FAST | params).fit(texts, liked)


@pytest.fixture
def steps(monkeypatch):
    """Steps of the optimiser that this process has taken."""
    taken, update = [], _loop._Run.update

    def step(self, *args):
        taken.append(self)
        return update(self, *args)

    monkeypatch.setattr(_loop._Run, "update", step)
    return taken


def weights(tuner):
    return load_file(f"{tuner.checkpoint_}/model.safetensors")


def contents(folder):
    return {path: path.read_bytes() for path in sorted(Path(folder).rglob("*")) if path.is_file()}


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
@pytest.mark.parametrize(("n_steps", "params"), [(8, ALL_KEPT), (29, {"n_components": 4})])
def test_a_killed_training_goes_on_to_the_same_weights(n_steps, params, teachable_bert, tmp_path, steps):
    """8 steps: in the second epoch of the first objective; 29: in the second objective.

    Whether tuning helps on held-out texts is another question: all losses and scores are compared.
    """
    whole = fit(teachable_bert, tmp_path / "whole", **params)
    n_whole = len(steps)
    killed = {"n_steps": n_steps, "model": str(teachable_bert), "folder": str(tmp_path / "killed")}
    run_python(KILLED.format(**killed, params=params), status=-signal.SIGKILL)
    assert not (tmp_path / "killed" / "models").exists()
    steps.clear()
    resumed = fit(teachable_bert, tmp_path / "killed", **params)
    assert 0 < len(steps) < n_whole, "epochs that were done are not repeated"
    assert (resumed.objective_, resumed.improved_) == (whole.objective_, whole.improved_)
    for name, tensor in weights(whole).items():
        assert_allclose(weights(resumed)[name], tensor, rtol=1e-3, atol=1e-4)
    for key in ("objective", "epoch", "step"):
        assert [record[key] for record in resumed.history_] == [record[key] for record in whole.history_]
    for key in ("loss", "score"):
        values = [[record.get(key, 0.0) for record in tuner.history_] for tuner in (resumed, whole)]
        assert_allclose(*values, rtol=1e-3, atol=1e-4)


def test_a_finished_training_is_taken_over(teachable_bert, tmp_path, steps):
    first = fit(teachable_bert, tmp_path, **ALL_KEPT)
    assert steps
    steps.clear()
    second = fit(teachable_bert, tmp_path, **ALL_KEPT)
    assert not steps and second.checkpoint_ == first.checkpoint_ and second.history_ == first.history_


def test_other_data_are_another_training(teachable_bert, tmp_path):
    first = fit(teachable_bert, tmp_path, **ALL_KEPT)
    vectors = first.transform(["a film"])
    second = fit(teachable_bert, tmp_path, n_texts=120, **ALL_KEPT)
    assert second.checkpoint_ != first.checkpoint_
    assert_allclose(first.transform(["a film"]), vectors)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"learning_rate_init": 1e-3}, "recipe.learning_rate_init was 0.003 and is 0.001"),
        ({"temperature": 0.2}, "identity.parameters.temperature was 0.1 and is 0.2"),
        ({"trainable": 1}, "identity.parameters.trainable was 2 and is 1"),
        ({"max_length": 20}, "identity.max_length was 48 and is 20"),
        ({"random_state": 1}, "recipe.seed was"),
    ],
)
def test_another_configuration_is_refused(params, message, teachable_bert, tmp_path):
    fit(teachable_bert, tmp_path, objective="factors")
    before = contents(tmp_path)
    with pytest.raises(ValueError, match=rf"(?s)another configuration.*{message}.*Nothing was overwritten"):
        fit(teachable_bert, tmp_path, objective="factors", **params)
    assert contents(tmp_path) == before


def test_another_model_is_refused(teachable_bert, tiny_bert, tmp_path):
    fit(teachable_bert, tmp_path, objective="factors")
    before = contents(tmp_path)
    with pytest.raises(ValueError, match=r"(?s)identity.model was .* and is .*Nothing was overwritten"):
        fit(tiny_bert, tmp_path, objective="factors")
    assert contents(tmp_path) == before


def test_without_a_seed_a_training_can_be_resumed(teachable_bert, tmp_path, steps):
    first = fit(teachable_bert, tmp_path, random_state=None)
    steps.clear()
    second = fit(teachable_bert, tmp_path, random_state=None)
    assert not steps and first.checkpoint_ == second.checkpoint_


def test_a_damaged_checkpoint_is_named(teachable_bert, tmp_path):
    fit(teachable_bert, tmp_path, objective="factors")
    (file,) = tmp_path.glob("trainings/*/factors/training.safetensors")
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(ValueError, match=r"training.safetensors is not a checkpoint of a training, or is damaged"):
        fit(teachable_bert, tmp_path, objective="factors")
    assert np.isfinite(fit(teachable_bert, tmp_path / "new", objective="factors").transform(["a film"])).all()
