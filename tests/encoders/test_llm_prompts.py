"""LLMTextEncoder: prompts that a model declares, by name."""

import json
import shutil

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from tiny_models import SENTENCES

from skllmrec import EmbeddingStore, LLMTextEncoder


@pytest.fixture
def with_prompts(tiny_bert, tmp_path):
    """A model that declares prompts as sentence-transformers models do."""
    folder = shutil.copytree(tiny_bert, tmp_path / "declares-prompts")
    declared = {"prompts": {"query": "the stars: ", "document": ""}, "default_prompt_name": "query"}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(declared))
    return folder


def test_prompt_by_name(with_prompts, tiny_bert):
    named = LLMTextEncoder(with_prompts, prompt_name="query").fit(SENTENCES)
    assert named.prompt_ == "the stars: "
    literal = LLMTextEncoder(tiny_bert, prompt="the stars: ").fit_transform(SENTENCES)
    assert_array_equal(named.transform(SENTENCES), literal)
    plain = LLMTextEncoder(tiny_bert).fit_transform(SENTENCES)
    assert np.abs(literal - plain).max() > 0.1
    # declared and empty; declared as the default, which is for the user to say
    for same in (LLMTextEncoder(with_prompts, prompt_name="document"), LLMTextEncoder(with_prompts)):
        assert_array_equal(same.fit_transform(SENTENCES), plain)


def test_prompt_by_name_shares_the_store_with_the_same_words(with_prompts, tiny_bert, tmp_path):
    LLMTextEncoder(tiny_bert, prompt="the stars: ", memory=tmp_path / "store").fit_transform(SENTENCES)
    LLMTextEncoder(with_prompts, prompt_name="query", memory=tmp_path / "store").fit_transform(SENTENCES)
    assert EmbeddingStore(tmp_path / "store").stats()["encoded"] == len(
        SENTENCES
    )  # the declaration is no part of the model


def test_unknown_prompt_names_those_that_exist(with_prompts, tiny_bert):
    with pytest.raises(
        ValueError, match=r"no prompt named 'passage': choose one of 'query' \('the stars: '\), 'document'"
    ):
        LLMTextEncoder(with_prompts, prompt_name="passage").fit(SENTENCES)
    with pytest.raises(ValueError, match="no prompt named 'query': it declares none; give the text itself as prompt="):
        LLMTextEncoder(tiny_bert, prompt_name="query").fit(SENTENCES)
    with pytest.raises(ValueError, match="prompt='x' and prompt_name='query' are given: leave one of them out"):
        LLMTextEncoder(with_prompts, prompt="x", prompt_name="query").fit(SENTENCES)


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"prompts": null}', '{"prompts": {"query": null}}'])
def test_a_model_without_usable_prompts_works(with_prompts, content):
    (with_prompts / "config_sentence_transformers.json").write_text(content)
    assert LLMTextEncoder(with_prompts).fit(SENTENCES).prompt_ == ""
    with pytest.raises(ValueError, match="it declares none"):
        LLMTextEncoder(with_prompts, prompt_name="query").fit(SENTENCES)
