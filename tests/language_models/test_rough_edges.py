"""What users bring that no example has: numbers of numpy, odd folders, augmenters, texts twice, Ctrl-C at any time."""

import tracemalloc

import numpy as np
import pytest
from tuning_data import make_catalogue

from skllmrec import LLMFineTuner
from skllmrec.language_models._pretraining_data import divide, find_documents

FAST = {"learning_rate": 3e-3, "max_epochs": 1, "random_state": 0, "device": "cpu", "precision": "float32"}


# -- trainings ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("epoch", [1, 2])
def test_interrupt_while_an_epoch_is_judged(epoch, teachable_bert, tmp_path):
    """All steps of the epoch are done and saved: what is resumed is judged by these weights, not by those before."""

    def interrupt(record):
        if record["epoch"] == epoch:
            raise KeyboardInterrupt

    texts, liked, _ = make_catalogue(200)
    params = FAST | {"max_epochs": 3, "patience": None, "trainable": "all", "objective": "contrastive"}
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
