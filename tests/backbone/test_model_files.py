"""Folders of models that are damaged, incomplete or reach outside: refused with model, file and remedy."""

import json
import shutil
import warnings

import pytest
from tiny_models import SENTENCES, save_bert

from skllmrec import LLMTextEncoder, _weights
from skllmrec._backbone import forget, model_info
from skllmrec._weights import find_weights
from skllmrec.exceptions import FileFormatError, ModelNotFoundError

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0123456789abcdef\nsize 90868376\n"


@pytest.fixture
def model(tmp_path):
    return save_bert(tmp_path / "a-model")


def edit(file, **changes):
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def refused(folder, match):
    """Every text encoder refuses the folder with the same message."""
    with pytest.raises(FileFormatError, match=match) as raised:
        LLMTextEncoder(folder, device="cpu").fit(SENTENCES).transform(SENTENCES[:2])
    assert str(folder) in str(raised.value)
    assert "trust_remote_code" not in str(raised.value)


def test_only_the_settings_of_a_tokenizer(model):
    for file in model.iterdir():
        if file.name not in {"config.json", "model.safetensors", "tokenizer_config.json"}:
            file.unlink()
    refused(model, r"knows no words: its vocabulary has \d+ tokens.*Add the file of the vocabulary")


def test_vocabulary_of_unknown_words_only(model):
    from tokenizers import Tokenizer, models

    Tokenizer(models.WordPiece({"[UNK]": 0, "[PAD]": 1}, unk_token="[UNK]")).save(str(model / "tokenizer.json"))  # noqa: S106
    refused(model, "knows no words")


@pytest.mark.parametrize("number", [1, 50])
def test_more_tokens_than_embeddings(model, number):
    from transformers import AutoTokenizer

    n_known = json.loads((model / "config.json").read_text())["vocab_size"]
    tokenizer = AutoTokenizer.from_pretrained(model)
    tokenizer.add_tokens([f"newword{i}" for i in range(number)])
    tokenizer.save_pretrained(model)
    refused(model, rf"has {n_known + number} tokens, but .* embeddings for {n_known}: .* Restore the tokenizer")


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
@pytest.mark.parametrize("content", [POINTER, ""], ids=["pointer", "empty"])
def test_pointers_and_empty_files(model, name, content):
    (model / name).write_text(content)
    refused(model, rf"{name} is (a pointer .*git lfs pull|empty: download)")


@pytest.mark.parametrize("kept", [5, 500, -1])
def test_cut_weights(model, kept):
    file = model / "model.safetensors"
    file.write_bytes(file.read_bytes()[:kept])
    refused(model, r"model.safetensors is (cut|no safetensors).*Download")


def test_weights_of_noise(model):
    (model / "model.safetensors").write_bytes((8).to_bytes(8, "little") + b"not json" + bytes(100))
    refused(model, "model.safetensors is no safetensors file.*Download")


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json", "config.json"])
@pytest.mark.parametrize("content", ['{"a": ', "[1]", "[" * 100_000], ids=["cut", "a list", "nested"])
def test_damaged_json(model, name, content):
    (model / name).write_text(content)
    refused(model, rf"{name} (is no valid JSON|holds a list|is nested too deeply).*download")


@pytest.mark.parametrize("content", ["{}", '{"model": {"type": "Nonsense"}}', '{"version": 7, "model": null}'])
def test_tokenizer_of_another_form(model, content):
    (model / "tokenizer.json").write_text(content)
    refused(model, "tokenizer .*(cannot be read|knows no words)")


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_size": -5},
        {"hidden_size": 10**12},
        {"hidden_size": "many"},
        {"num_hidden_layers": 10**9},
        {"num_hidden_layers": 0},
        {"num_attention_heads": 0},
        {"num_attention_heads": 7},
        {"hidden_act": "nonsense"},
        {"intermediate_size": 10**5},
        {"hidden_size": 32},
        {"model_type": "no-such-architecture"},
    ],
    ids=str,
)
def test_absurd_configuration(model, change):
    edit(model / "config.json", **change)
    refused(model, r"config.json")


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_code_that_comes_with_a_model(model, name):
    changes = {"config.json": {"model_type": "own"}, "tokenizer_config.json": {"tokenizer_class": "OwnTokenizer"}}[name]
    edit(model / name, auto_map={"AutoConfig": "own.Own", "AutoTokenizer": ["own.OwnTokenizer", None]}, **changes)
    (model / "tokenizer.json").unlink()
    refused(model, "needs Python code of its own .* is never run: choose a model")


def write_index(model, shard):
    (model / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": {"a": shard}}))


@pytest.mark.parametrize(
    "shard", ["../x.safetensors", "/x.safetensors", "x.bin", "sub/x.safetensors", "..\\x.safetensors", 3]
)
def test_index_that_leads_elsewhere(model, shard):
    (model.parent / "x.safetensors").write_bytes((model / "model.safetensors").read_bytes())
    write_index(model, shard)
    refused(model, r"index.json names the weights .*only \*.safetensors files in the same folder.*save_pretrained")


def test_missing_shard(model):
    write_index(model, "model-00002-of-00002.safetensors")
    refused(model, "names the weights 'model-00002-of-00002.safetensors', which are missing from the folder: download")


def test_weights_that_the_configuration_names(model):
    edit(model / "config.json", transformers_weights="../x.safetensors")
    refused(model, r"config.json names the weights '../x.safetensors': remove transformers_weights")


def write_adapter(folder, base):
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModel

    config = LoraConfig(r=2, init_lora_weights=False, target_modules=["query", "value"])
    with warnings.catch_warnings(action="ignore", category=FutureWarning):  # peft uses an attribute that was renamed
        adapted = get_peft_model(AutoModel.from_pretrained(base), config)
    adapted.save_pretrained(folder)


def test_adapter_alone(model, tmp_path):
    pytest.importorskip("peft")
    write_adapter(tmp_path / "adapter", model)
    with pytest.raises(ModelNotFoundError, match=r"has no config.json; it holds an adapter .*merge_and_unload"):
        find_weights(tmp_path / "adapter")


def test_adapter_without_peft_is_refused(model, monkeypatch):
    find_spec = _weights.importlib.util.find_spec
    monkeypatch.setattr(_weights.importlib.util, "find_spec", lambda name: None if name == "peft" else find_spec(name))
    (model / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    refused(model, r"adapter_config.json is an adapter, which needs peft: pip install 'skllmrec\[finetune\]', or merge")


def test_adapter_of_a_model_elsewhere_is_refused(model):
    pytest.importorskip("peft")
    (model / "adapter_config.json").write_text('{"base_model_name_or_path": "somebody/a-model"}')
    refused(model, "adapts the model 'somebody/a-model', which is no folder on this machine: merge")


def test_adapter_changes_vectors_and_identity(model, tmp_path):
    pytest.importorskip("peft")
    plain = LLMTextEncoder(model, device="cpu").fit(SENTENCES)
    adapted = shutil.copytree(model, tmp_path / "adapted")
    write_adapter(tmp_path / "adapter", model)
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        shutil.copyfile(tmp_path / "adapter" / name, adapted / name)
    encoder = LLMTextEncoder(adapted, device="cpu").fit(SENTENCES)
    assert abs(encoder.transform(SENTENCES) - plain.transform(SENTENCES)).max() > 1e-3
    assert encoder.weights_sha256_ != plain.weights_sha256_
    before = find_weights(adapted).sha256
    edit(adapted / "adapter_config.json", lora_alpha=32)
    assert find_weights(adapted).sha256 != before
    before = find_weights(adapted).sha256
    edit(model / "config.json", layer_norm_eps=0.1)  # of the model that the adapter belongs to
    assert find_weights(adapted).sha256 != before
    forget(before)


@pytest.mark.parametrize("name", ["chat_template.jinja", "generation_config.json"])
def test_what_only_written_texts_depend_on(model, name):
    """Stored profiles are written again; stored vectors and fitted encoders stay valid."""
    before = find_weights(model)
    vectors, texts = before.sha256, before.generation_sha256
    (model / name).write_text("{}")
    assert find_weights(model).sha256 == vectors
    assert find_weights(model).generation_sha256 != texts


def test_a_repaired_model_is_accepted(model):
    intact = (model / "model.safetensors").read_bytes()
    (model / "model.safetensors").write_bytes(intact[:-3])
    refused(model, "is cut")
    (model / "model.safetensors").write_bytes(intact)
    assert model_info(model).n_dims == 16
