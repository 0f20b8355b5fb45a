"""Trained checkpoints declare how their vectors are made: other encoders make the same by default."""

import json
import warnings
from pathlib import Path

import pytest
from numpy.testing import assert_allclose
from tiny_models import SENTENCES

from skllmrec import LLMTextEncoder
from skllmrec._backbone import write_declared
from skllmrec._backbone._declared import read_declared
from skllmrec.language_models import LLMPretrainer


@pytest.mark.parametrize("pooling", ["cls", "weighted_mean"])
def test_pretrained(tiny_bert, tmp_path, pooling):
    st = pytest.importorskip("sentence_transformers")
    pretrainer = LLMPretrainer(
        model=tiny_bert,
        max_iter=1,
        max_length=16,
        pooling=pooling,
        checkpoint_dir=tmp_path,
        random_state=0,
        device="cpu",
    )
    with warnings.catch_warnings(action="ignore"):
        expected = pretrainer.fit(SENTENCES * 4).transform(SENTENCES)
        same = st.SentenceTransformer(pretrainer.checkpoint_, device="cpu").encode(SENTENCES)
    assert {"modules.json", "1_Pooling", "sentence_bert_config.json"} <= {
        file.name for file in Path(pretrainer.checkpoint_).iterdir()
    }
    encoder = LLMTextEncoder(pretrainer.checkpoint_, device="cpu").fit(SENTENCES)
    assert (encoder.pooling_, encoder.max_length_) == (pooling, pretrainer.max_length_)
    assert_allclose(encoder.transform(SENTENCES), expected, rtol=1e-4, atol=2e-5)
    assert_allclose(same, expected, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("pooling", ["mean", "cls", "max", "last", "weighted_mean"])
def test_what_is_written_is_read(tmp_path, pooling, normalize):
    """What the model that was trained on declares, and the training did not use, is left out."""
    old = {"prompts": {"query": "q: "}, "default_prompt_name": "query", "truncate_dim": 4}
    (tmp_path / "config_sentence_transformers.json").write_text(json.dumps(old))
    write_declared(tmp_path, pooling=pooling, n_dims=16, max_length=12, normalize=normalize)
    found = read_declared(tmp_path)
    assert (found.pooling, found.normalize, found.max_length, found.others) == (pooling, normalize, 12, ())
    assert (found.prompts, found.default_prompt, found.n_components) == ({"query": "q: "}, "", None)
