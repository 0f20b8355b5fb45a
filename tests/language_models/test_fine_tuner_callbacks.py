"""LLMFineTuner(callbacks=...): loggers hear every epoch, may end a training, and change nothing else."""

import pickle

import pytest
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from tuning_data import make_catalogue

from skllmrec import LLMFineTuner, LLMPretrainer

FAST = {"learning_rate_init": 3e-3, "max_iter": 2, "random_state": 0, "device": "cpu", "dtype": "float32"}
HEARD = []


def hear(record):
    HEARD.append(record)


def test_callbacks_hear_every_record(tiny_bert):
    texts, liked, _ = make_catalogue()
    heard, also = [], []
    tuner = LLMFineTuner(tiny_bert, callbacks=(lambda record: heard.append(record), lambda r: also.append(r)), **FAST)
    silent = LLMFineTuner(tiny_bert, **FAST).fit(texts, liked)
    tuner.fit(texts, liked)
    assert heard == also == tuner.history_
    assert [(r["objective"], r["epoch"]) for r in heard] == [(r["objective"], r["epoch"]) for r in silent.history_]
    for record, other in zip(heard, silent.history_, strict=True):
        assert {**record, "seconds": 0} == {**other, "seconds": 0}, "listening changes nothing"


def test_callback_ends_an_objective(tiny_bert):
    texts, liked, _ = make_catalogue()
    params = FAST | {"max_iter": 5, "n_iter_no_change": None}
    ends = {"contrastive": 1, "factors": 2}
    tuner = LLMFineTuner(tiny_bert, callbacks=[lambda r: r["epoch"] == ends[r["objective"]]], **params)
    tuner.fit(texts, liked)
    assert [(r["objective"], r["epoch"]) for r in tuner.history_] == [
        *(("contrastive", epoch) for epoch in range(2)),
        *(("factors", epoch) for epoch in range(3)),
    ]


def test_callbacks_are_heard_inside_a_recommender_and_survive_copies(tiny_bert):
    texts, liked, _ = make_catalogue()
    tuner = LLMFineTuner(tiny_bert, callbacks=[hear], objective="contrastive", **FAST)
    HEARD.clear()
    for copy in (clone(tuner), pickle.loads(pickle.dumps(tuner)), clone(make_pipeline(tuner))[0]):  # noqa: S301 - our own
        assert copy.callbacks == [hear]
        copy.fit(texts, liked)
        assert copy.history_ == HEARD
        HEARD.clear()


def test_error_in_a_callback_ends_fit_and_writes_no_model(tiny_bert, tmp_path, model_cache):
    def fail(record):
        if (record["objective"], record["epoch"]) == ("factors", 1):
            raise OSError("the disk of the logger is full")

    texts, liked, _ = make_catalogue()
    failing = LLMFineTuner(tiny_bert, callbacks=[fail], **FAST)
    with pytest.raises(OSError, match="logger is full"):
        failing.fit(texts, liked)
    assert not any(name.endswith("_") for name in vars(failing)) and not model_cache.exists()

    failing.set_params(checkpoint_dir=tmp_path)
    with pytest.raises(OSError, match="logger is full"):
        failing.fit(texts, liked)
    assert [path.name for path in tmp_path.iterdir()] == ["trainings"], "no model"
    whole = LLMFineTuner(tiny_bert, **FAST).fit(texts, liked)
    heard = []
    resumed = failing.set_params(callbacks=[lambda record: heard.append(record["objective"])]).fit(texts, liked)
    assert heard and set(heard) == {"factors"}, "the first objective was done"
    assert resumed.objective_ == whole.objective_
    assert_allclose(resumed.transform(texts), whole.transform(texts), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("callbacks", ["log.txt", ["log.txt"], [print, None]])
def test_callbacks_that_cannot_be_called(callbacks, tiny_bert):
    texts, liked, _ = make_catalogue()
    with pytest.raises((TypeError, ValueError), match="callbacks"):
        LLMFineTuner(tiny_bert, callbacks=callbacks, **FAST).fit(texts, liked)
    with pytest.raises((TypeError, ValueError), match="callbacks"):
        LLMPretrainer(hidden_size=32, callbacks=callbacks).fit(texts)
