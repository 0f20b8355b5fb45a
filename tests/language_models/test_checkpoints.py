"""Folders of trained models: filed by content, whole or not at all, the cache within its limit, clear errors."""

import os
import time
from pathlib import Path

import pytest
from tiny_models import change_weights, save_bert

from skllmrec._weights import Weights
from skllmrec.exceptions import ModelNotFoundError
from skllmrec.language_models import _checkpoints
from skllmrec.language_models._checkpoints import SIZE_VARIABLE, cache_folder, open_checkpoint, save_checkpoint


def writes(content, size=0):
    """A function that writes a model of some bytes."""

    def save(folder):
        (folder / "config.json").write_text(content)
        (folder / "deeper").mkdir()
        (folder / "deeper" / "model.safetensors").write_bytes(b"0" * size)

    return save


def test_equal_contents_are_one_folder(tmp_path):
    first, again, other = (save_checkpoint(writes(content), tmp_path, name="model") for content in ("a", "a", "b"))
    assert first == again != other
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([first.name, other.name])
    assert first.name.startswith("model-") and (first / "config.json").read_text() == "a"


def test_failure_leaves_nothing(tmp_path):
    def fail(folder):
        (folder / "config.json").write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        save_checkpoint(fail, tmp_path, name="model")
    assert not list(tmp_path.iterdir())


def test_two_processes_write_the_same_model(tmp_path, monkeypatch):
    """The second finds the folder of the first when it wants to give its own that name."""
    digest = _checkpoints._content_sha256

    def meanwhile(folder):
        monkeypatch.setattr(_checkpoints, "_content_sha256", digest)
        save_checkpoint(writes("a"), tmp_path, name="model")
        return digest(folder)

    monkeypatch.setattr(_checkpoints, "_content_sha256", meanwhile)
    saved = save_checkpoint(writes("a"), tmp_path, name="model")
    assert [path.name for path in tmp_path.iterdir()] == [saved.name]


def make_old(folder, seconds):
    os.utime(folder, (time.time() - seconds,) * 2)


def test_cache_keeps_what_was_used_last(monkeypatch, model_cache):
    monkeypatch.setenv(SIZE_VARIABLE, "3MB")
    assert cache_folder() == model_cache
    saved = []
    for age, content in ((300, "a"), (200, "b")):
        saved.append(save_checkpoint(writes(content, 1_200_000), name="model"))
        make_old(saved[-1], age)
    (saved[0] / "config.json").touch()
    open_checkpoint(saved[0], Weights(saved[0], "").sha256, name="X")  # used just now
    saved.append(save_checkpoint(writes("c", 1_200_000), name="model"))
    assert [path.exists() for path in saved] == [True, False, True]


def test_a_model_that_is_saved_again_counts_as_used(monkeypatch, model_cache):
    monkeypatch.setenv(SIZE_VARIABLE, "3MB")
    saved = []
    for age, content in ((300, "a"), (200, "b")):
        saved.append(save_checkpoint(writes(content, 1_200_000), name="model"))
        make_old(saved[-1], age)
    assert save_checkpoint(writes("a", 1_200_000), name="model") == saved[0]
    save_checkpoint(writes("c", 1_200_000), name="model")
    assert [path.exists() for path in saved] == [True, False]


def test_newest_model_stays_even_if_it_is_too_large(monkeypatch, model_cache):
    monkeypatch.setenv(SIZE_VARIABLE, "1MB")
    saved = save_checkpoint(writes("a", 2_000_000), name="model")
    assert saved.exists()


def test_folders_of_the_users_are_never_cleared(monkeypatch, tmp_path):
    monkeypatch.setenv(SIZE_VARIABLE, "1MB")
    saved = [save_checkpoint(writes(content, 1_000_000), tmp_path, name="model") for content in "abc"]
    assert all(path.exists() for path in saved)


def test_what_killed_processes_left_behind_is_removed(model_cache):
    model_cache.mkdir(parents=True)
    stale, fresh = model_cache / ".unfinished-a", model_cache / ".unfinished-b"
    for folder, age in ((stale, 90_000), (fresh, 10)):
        folder.mkdir()
        make_old(folder, age)
    save_checkpoint(writes("a"), name="model")
    assert not stale.exists() and fresh.exists()


def test_bad_limit(monkeypatch):
    monkeypatch.setenv(SIZE_VARIABLE, "much")
    with pytest.raises(ValueError, match=SIZE_VARIABLE):
        save_checkpoint(writes("a"), name="model")


def test_models_that_are_gone_or_changed(tmp_path):
    saved = save_checkpoint(save_bert, tmp_path, name="model")
    sha256 = Weights(saved, "").sha256
    assert open_checkpoint(saved, sha256, name="X").path == saved
    change_weights(saved)
    with pytest.raises(ValueError, match=r"files in .* have changed since X was fitted \(SHA-256"):
        open_checkpoint(saved, sha256, name="X")
    with pytest.raises(ModelNotFoundError, match=rf"X has trained are gone from .*{SIZE_VARIABLE}.*checkpoint_dir="):
        open_checkpoint(Path(tmp_path / "nowhere"), sha256, name="X")
