"""Directories that sentence-transformers saved: a pooling or a module that is not applied is never silent."""

import json
import shutil
import warnings

import pytest
from tiny_models import SENTENCES

from skllmrec import LLMTextEncoder


@pytest.fixture
def save(tiny_bert, tmp_path):
    """Save the tiny model as sentence-transformers does, with a pooling and other modules behind it."""

    def save(pooling, *others):
        folder = shutil.copytree(tiny_bert, tmp_path / "saved")
        names = ["models.Transformer", "models.Pooling", *others]
        modules = [
            {"idx": i, "name": str(i), "path": f"{i}_{name.rpartition('.')[2]}" if i else "", "type": f"st.{name}"}
            for i, name in enumerate(names)
        ]
        (folder / "modules.json").write_text(json.dumps(modules))
        (folder / "1_Pooling").mkdir()
        (folder / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": 16, **pooling}))
        return folder

    return save


OLD_CLS = {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}


@pytest.mark.parametrize(
    ("pooling", "name"),
    [
        (OLD_CLS, "'cls'"),
        ({"pooling_mode": "cls"}, "'cls'"),
        ({"pooling_mode": "lasttoken"}, "'last'"),
        ({"pooling_mode_weightedmean_tokens": True}, "'weighted_mean'"),
        ({"pooling_mode": ["mean", "max"]}, "'mean . max'"),
        ({"pooling_mode": "mean_sqrt_len_tokens"}, "'mean_sqrt_len_tokens'"),
    ],
)
def test_default_pooling_of_a_model_trained_with_another(save, pooling, name):
    with pytest.warns(UserWarning, match=rf"trained with pooling={name}.*and pooling='mean' is used"):
        LLMTextEncoder(save(pooling)).fit(SENTENCES)


@pytest.mark.parametrize(
    "options", [{"pooling": "cls"}, {"pooling": "max"}, {"layer": 1}], ids=["as trained", "chosen", "another layer"]
)
def test_what_was_chosen_is_not_questioned(save, options):
    with warnings.catch_warnings(action="error"):
        LLMTextEncoder(save(OLD_CLS, "models.Normalize"), **options).fit(SENTENCES)


def test_modules_that_are_not_applied(save):
    folder = save({"pooling_mode": "mean"}, "sentence_transformer.modules.dense.Dense", "models.Normalize")
    with pytest.warns(UserWarning, match=r"trained with Dense behind the pooling, which is not applied"):
        LLMTextEncoder(folder).fit(SENTENCES)


@pytest.mark.parametrize("content", ["", "{}", "[1]", '[{"type": null}]', '[{"type": "Pooling"}]'])
def test_damaged_declarations(save, content):
    folder = save(OLD_CLS)
    (folder / "modules.json").write_text(content)
    with warnings.catch_warnings(action="ignore"):
        LLMTextEncoder(folder).fit(SENTENCES)
