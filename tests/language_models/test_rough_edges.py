"""What users bring that no example has: numbers of numpy, odd folders, augmenters, texts twice, Ctrl-C at any time."""

import tracemalloc

import numpy as np
import pytest
from tiny_models import SENTENCES
from tuning_data import make_catalogue

from skllmrec import LLMFineTuner, LLMPretrainer, TextAugmenter
from skllmrec.language_models.pretraining._documents import divide, find_documents

FAST = {"learning_rate_init": 3e-3, "max_iter": 1, "random_state": 0, "device": "cpu", "dtype": "float32"}
SMALL = {"hidden_size": 16, "n_layers": 1, "n_heads": 2, "max_length": 32, "random_state": 0, "device": "cpu"}
TEXTS, LIKED, KINDS = make_catalogue(40)
DOCUMENTS = [f"{first} {second}" for first in SENTENCES for second in SENTENCES if first != second]


# -- parameters ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("augmenter", "error", "message"),
    [
        (TextAugmenter(field_dropout=5.0), ValueError, "'field_dropout' parameter of TextAugmenter"),
        (TextAugmenter(separator=""), ValueError, "separator='' separates nothing"),
        (TextAugmenter, TypeError, r"augmenter is the class TextAugmenter: pass an instance"),
    ],
)
def test_augmenter_that_cannot_work(augmenter, error, message, tiny_bert):
    with pytest.raises(error, match=message):
        LLMFineTuner(tiny_bert, augmenter=augmenter, **FAST).fit(TEXTS, LIKED)


class Shout:
    """An augmenter of one's own that does not describe itself."""

    def __init__(self, mark="!"):
        self.mark = mark

    def augment(self, texts, rng):
        return [text.upper() + self.mark for text in texts]


def test_augmenter_of_ones_own_is_the_same_in_another_process(tiny_bert, tmp_path):
    params = FAST | {"checkpoint_dir": tmp_path, "objective": "factors", "early_stopping": False}
    first = LLMFineTuner(tiny_bert, augmenter=Shout(), **params).fit(TEXTS, LIKED)
    second = LLMFineTuner(tiny_bert, augmenter=Shout(), **params).fit(TEXTS, LIKED)
    assert first.history_ == second.history_, "taken over"
    with pytest.raises(ValueError, match=r"(?s)another configuration.*identity.augmenter was .*Shout"):
        LLMFineTuner(tiny_bert, augmenter=Shout("?"), **params).fit(TEXTS, LIKED)


def test_numbers_of_numpy(tiny_bert, tmp_path):
    params = {"batch_size": np.int64(16), "n_components": np.int64(4), "max_iter": np.int64(1)}
    params |= {"temperature": np.float32(0.1), "trainable": np.int64(1), "early_stopping": False}
    tuner = LLMFineTuner(tiny_bert, **FAST | params, checkpoint_dir=tmp_path / "tuned").fit(TEXTS, LIKED)
    assert tuner.transform(TEXTS).shape == (40, 4)
    params = {name: np.int64(value) for name, value in SMALL.items() if type(value) is int}
    params |= {"max_iter": np.int64(1), "vocab_size": np.int64(200), "device": "cpu"}
    assert LLMPretrainer(**params, checkpoint_dir=tmp_path / "new").fit(DOCUMENTS).embedding_size_ == 16


@pytest.mark.parametrize("inside", [False, True])
def test_file_in_the_place_of_the_folder(tiny_bert, tmp_path, inside):
    file = tmp_path / "notes.txt"
    file.write_text("mine")
    folder = file / "models" if inside else file
    for estimator in (LLMFineTuner(tiny_bert, **FAST), LLMPretrainer(**SMALL)):
        with pytest.raises(ValueError, match=r"checkpoint_dir=.*notes.txt.* is a file: name another folder"):
            estimator.set_params(checkpoint_dir=folder).fit(DOCUMENTS[:40], LIKED)
    assert file.read_text() == "mine"


def test_home_of_the_user(tiny_bert, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    params = FAST | {"checkpoint_dir": "~/models", "objective": "factors", "early_stopping": False}
    LLMFineTuner(tiny_bert, **params).fit(TEXTS, LIKED)
    LLMPretrainer(**SMALL, max_steps=1, checkpoint_dir="~/models").fit(DOCUMENTS)
    assert not (tmp_path / "~").exists()
    found = {path.name.partition("-")[0] for path in (tmp_path / "home" / "models").iterdir()}
    assert found == {"trainings", "tuned", "training.safetensors", "pretrained"}


# -- trainings ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("epoch", [1, 2])
def test_interrupt_while_an_epoch_is_judged(epoch, teachable_bert, tmp_path):
    """All steps of the epoch are done and saved: what is resumed is judged by these weights, not by those before."""

    def interrupt(record):
        if record["epoch"] == epoch:
            raise KeyboardInterrupt

    texts, liked, _ = make_catalogue(200)
    params = FAST | {"max_iter": 3, "n_iter_no_change": None, "trainable": "all", "objective": "contrastive"}
    whole = LLMFineTuner(teachable_bert, **params).fit(texts, liked)
    tuner = LLMFineTuner(teachable_bert, checkpoint_dir=tmp_path, callbacks=[interrupt], **params)
    with pytest.raises(KeyboardInterrupt):
        tuner.fit(texts, liked)
    resumed = tuner.set_params(callbacks=()).fit(texts, liked)
    scores = [[record["score"] for record in own.history_] for own in (resumed, whole)]
    np.testing.assert_allclose(*scores, rtol=1e-4)
    assert abs(scores[1][epoch] - scores[1][0]) > 1e-3, "a score of other weights would be another one"


def test_documents_that_occur_twice_are_not_judged_by_what_was_learned():
    texts = np.array([f"film {row // 2}" for row in range(40)] + ["the same"] * 20, dtype=object)
    documents = find_documents([texts], with_pairs=False)
    trained, held_out = divide(documents, fraction=0.2, least=1, seed=0)
    assert len(held_out) == 12
    assert not {tuple(document) for document in trained.sentences} & {tuple(own) for own in held_out.sentences}
    same = find_documents([texts[-20:]], with_pairs=False)
    assert [len(part) for part in divide(same, fraction=0.2, least=2, seed=0)] == [16, 4]


def test_one_long_text_does_not_make_all_others_long():
    column = np.array(["a short text"] * 2_000 + ["x" * 100_000], dtype=object)
    tracemalloc.start()
    documents = find_documents([column, column], with_pairs=True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10e6 and documents.groups[:3].tolist() == [[0, 0]] * 3
