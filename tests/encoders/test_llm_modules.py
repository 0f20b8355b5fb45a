"""Directories that sentence-transformers saved: encoded as sentence-transformers does, unless a parameter differs."""

import json
import shutil
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from tiny_models import HIDDEN, SENTENCES

from skllmrec import EmbeddingStore, LLMTextEncoder

TEXTS = [*SENTENCES, "a", "", " ".join(SENTENCES)]
POOLINGS = [
    "mean",
    "cls",
    "max",
    "lasttoken",
    "weightedmean",
    "mean_sqrt_len_tokens",
    ("max", "mean"),
    ("cls", "lasttoken"),
]


def save_st(
    model, folder, *, pooling="mean", max_length=None, include_prompt=True, lower=False, normalize=False, **options
):
    """Save a model with sentence-transformers, and return its own vectors."""
    st = pytest.importorskip("sentence_transformers")
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

    modules = [
        Transformer(str(model), max_seq_length=max_length, do_lower_case=lower),
        Pooling(HIDDEN, pooling_mode=pooling, include_prompt=include_prompt),
    ]
    if normalize:
        modules.append(Normalize())
    with warnings.catch_warnings(action="ignore"):
        st.SentenceTransformer(modules=modules, device="cpu", **options).save(str(folder), create_model_card=False)
        return st.SentenceTransformer(str(folder), device="cpu").encode(TEXTS, convert_to_numpy=True)


def encode(folder, **options):
    with warnings.catch_warnings(action="error"):
        return LLMTextEncoder(folder, device="cpu", **options).fit(TEXTS).transform(TEXTS)


def check_same(folder, expected, **options):
    assert_allclose(encode(folder, **options), expected, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("normalize", [False, True], ids=["raw", "unit"])
@pytest.mark.parametrize("pooling", POOLINGS, ids=str)
def test_every_pooling(tiny_bert, tmp_path, pooling, normalize):
    check_same(tmp_path, save_st(tiny_bert, tmp_path, pooling=pooling, normalize=normalize))


PROMPTS = {"prompts": {"query": "The stars: ", "document": ""}, "default_prompt_name": "query"}


@pytest.mark.parametrize(
    "options",
    [
        {"max_length": 7},
        {"truncate_dim": 5},
        {"truncate_dim": 5, "normalize": True},
        {"truncate_dim": 100, "normalize": True},
        PROMPTS,
        {**PROMPTS, "include_prompt": False},
        {**PROMPTS, "include_prompt": False, "pooling": "weightedmean"},
        {**PROMPTS, "include_prompt": False, "pooling": ("cls", "max"), "truncate_dim": 20, "max_length": 16},
        {"lower": True},
        {},
    ],
    ids=lambda options: " ".join(options) or "nothing",
)
def test_every_declaration(tiny_bert, tmp_path, options):
    check_same(tmp_path, save_st(tiny_bert, tmp_path, **options))


def test_lower_case(tmp_path_factory, tmp_path):
    """Of a tokenizer that distinguishes the cases."""
    from tiny_models import save_bert

    folder = save_bert(tmp_path_factory.mktemp("cased"))
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["normalizer"]["lowercase"] = False
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings["tokenizer_class"] = "PreTrainedTokenizerFast"
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    plain = encode(folder)
    expected = save_st(folder, tmp_path, lower=True)
    assert np.abs(plain - expected).max() > 0.1
    check_same(tmp_path, expected)


def test_parameters_go_before_declarations(tiny_bert, tmp_path):
    save_st(tiny_bert, tmp_path, pooling="cls", normalize=True, truncate_dim=4, max_length=8, **PROMPTS)
    chosen = {"pooling": "max", "normalize": False, "n_components": None, "max_length": 8, "prompt_name": None}
    assert_array_equal(encode(tmp_path, **chosen), encode(tiny_bert, **chosen))
    fitted = LLMTextEncoder(tmp_path, prompt="a dog ").fit(TEXTS)
    assert (fitted.prompt_, fitted.pooling_, fitted.normalize_, fitted.max_length_) == ("a dog ", "cls", True, 8)
    assert fitted.embedding_size_ == 4


def test_parameters_that_are_set_after_fit(tiny_bert):
    fitted = LLMTextEncoder(tiny_bert, device="cpu").fit(TEXTS)
    for chosen in ({"pooling": "max"}, {"pooling": "cls", "normalize": True}, {"pooling": "auto", "normalize": "auto"}):
        assert_array_equal(fitted.set_params(**chosen).transform(TEXTS), encode(tiny_bert, **chosen))


def test_folders_that_declare_nothing(tiny_bert):
    """They are encoded as before, and share the store with what was stored before."""
    fitted = LLMTextEncoder(tiny_bert).fit(TEXTS)
    assert (fitted.prompt_, fitted.pooling_, fitted.normalize_, fitted.embedding_size_) == ("", "mean", False, HIDDEN)
    explicit = {"pooling": "mean", "max_length": 256, "prompt_name": None, "n_components": None, "normalize": False}
    assert fitted._identity() == LLMTextEncoder(tiny_bert, **explicit).fit(TEXTS)._identity()
    assert set(fitted._identity()) == {
        "weights",
        "pooling",
        "layer",
        "skip_first_token",
        "prompt",
        "max_length",
        "overflow",
        "n_components",
        "normalize",
        "dtype",
    }


def test_declarations_are_part_of_what_is_stored(tiny_bert, tmp_path):
    store = tmp_path / "store"
    for pooling in ("mean", "cls"):
        save_st(tiny_bert, tmp_path / pooling, pooling=pooling)
        encode(tmp_path / pooling, memory=store)
    assert EmbeddingStore(store).stats()["encoded"] == 2 * len(set(TEXTS))


@pytest.fixture
def save(tiny_bert, tmp_path):
    """Save the tiny model as older versions of sentence-transformers do, with other modules behind the pooling."""

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
        (OLD_CLS, "cls"),
        ({"pooling_mode": "cls"}, "cls"),
        ({"pooling_mode": "lasttoken"}, "last"),
        ({"pooling_mode_weightedmean_tokens": True}, "weighted_mean"),
        ({"pooling_mode": ["mean", "max"]}, "mean + max"),
        ({"pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": True}, "max + mean"),
        ({"pooling_mode": "mean_sqrt_len_tokens"}, "mean_sqrt_length"),
        ({}, "mean"),
    ],
)
def test_declared_pooling(save, pooling, name):
    assert LLMTextEncoder(save(pooling)).fit(SENTENCES).pooling_ == name


def test_unknown_pooling_is_refused(save):
    with pytest.raises(ValueError, match="declares the pooling 'attention', which is not known: choose pooling="):
        LLMTextEncoder(save({"pooling_mode": "attention"})).fit(SENTENCES)


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
