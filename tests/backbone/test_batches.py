"""Batches of windows: padding, devices, memory that runs out."""

import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from tiny_models import SENTENCES

from skllmrec import _device
from skllmrec._backbone import Encoding, EncodingJob, _batches, load_model
from skllmrec._backbone._batches import encode_windows
from skllmrec._backbone.pooling import POOLINGS, pool
from skllmrec._weights import find_weights

torch = pytest.importorskip("torch")


class SmallDevice:
    """A model whose hidden states are its token ids and their squares, with memory for so many tokens at once."""

    device = torch.device("cpu")

    def __init__(self, n_tokens, error):
        self.n_tokens, self.error, self.sizes = n_tokens, error, []

    def hidden_states(self, input_ids, mask, layer):
        self.sizes.append(input_ids.numel())
        if input_ids.numel() > self.n_tokens:
            raise self.error
        return torch.stack([input_ids, input_ids**2], dim=2).float()


ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    RuntimeError("MPS backend out of memory (MPS allocated: 8.00 GB, other allocations: 1.00 GB)"),
    RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried to allocate"),
]


def run(model, windows, batch_tokens):
    return encode_windows(model, windows, encoding=Encoding(), batch_tokens=batch_tokens, pad_id=99)


def windows_of(lengths, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.integers(1, 50, size=length).tolist() for length in sorted(lengths, reverse=True)]


@pytest.mark.parametrize("error", ERRORS, ids=["cuda", "mps", "cpu"])
def test_batches_are_halved_until_they_fit_and_stay_small(error, monkeypatch):
    freed = []
    monkeypatch.setattr(_batches, "free_memory", freed.append)
    windows = windows_of([*range(1, 20), *[7] * 30])
    expected = [[np.mean(window), np.mean(np.square(window))] for window in windows]
    model = SmallDevice(40, error)
    assert_allclose(run(model, windows, 512), expected, rtol=1e-6)
    failed = [size for size in model.sizes if size > 40]
    assert len(failed) == len(freed) > 2  # 512, 256, 128, ... are tried once each
    for before, after in itertools.pairwise(failed):
        assert after <= before / 2 + 19
    model.sizes.clear()
    assert_allclose(run(model, windows, 512), expected, rtol=1e-6)  # another call: nothing is tried again
    assert max(model.sizes) <= 40
    assert run(SmallDevice(512, error), windows, 512).shape == (49, 2)  # the limit is that of one model


def test_no_room_for_one_text_is_an_error_with_a_remedy():
    model = SmallDevice(10, ERRORS[0])
    with pytest.raises(MemoryError, match=r"no room on the device 'cpu' for a single text of 11 tokens: .*max_length"):
        run(model, windows_of([11, 10, 10]), 100)
    assert run(model, windows_of([10, 10]), 100).shape == (2, 2)


def test_other_errors_are_not_taken_for_lack_of_memory():
    model = SmallDevice(10, RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        run(model, windows_of([10, 10]), 100)
    assert model.sizes == [20]


def test_real_model_gives_the_same_vectors_on_a_small_device(tiny_bert, monkeypatch):
    weights = find_weights(tiny_bert)
    job = EncodingJob(weights, SENTENCES, encoding=Encoding(), n_dims=16, batch_tokens=1024, device="cpu")
    expected = job.encode(np.arange(len(SENTENCES)))
    model = load_model(weights, dtype="float32", device="cpu")
    compute = model.hidden_states

    def too_large(input_ids, mask, layer):
        if input_ids.numel() > 50:
            raise ERRORS[0]
        return compute(input_ids, mask, layer)

    monkeypatch.setattr(model, "hidden_states", too_large)
    monkeypatch.setattr(_batches, "_affordable", type(_batches._affordable)())
    assert_allclose(job.encode(np.arange(len(SENTENCES))), expected, rtol=1e-4, atol=1e-5)
    assert _batches._affordable[model] <= 50


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("skip_first_token", [False, True])
def test_left_padding_says_the_same(tiny_llama, pooling, skip_first_token):
    from transformers import AutoModel, AutoTokenizer

    tokenizer, network = AutoTokenizer.from_pretrained(tiny_llama), AutoModel.from_pretrained(tiny_llama)
    tokenizer.pad_token, tokenizer.padding_side = tokenizer.eos_token, "left"
    inputs = tokenizer(SENTENCES, padding=True, return_tensors="pt")
    mask = inputs["attention_mask"]
    assert not mask[:, 0].all()
    with torch.inference_mode():
        position_ids = (mask.cumsum(dim=1) - 1).clamp(min=0)
        hidden = network(inputs["input_ids"], attention_mask=mask, position_ids=position_ids).last_hidden_state
    expected = pool(hidden, mask, pooling=pooling, skip_first_token=skip_first_token)
    encoding = Encoding(pooling=pooling, skip_first_token=skip_first_token)
    job = EncodingJob(
        find_weights(tiny_llama), SENTENCES, encoding=encoding, n_dims=16, batch_tokens=1024, device="cpu"
    )
    assert_allclose(job.encode(np.arange(len(SENTENCES))), expected, rtol=1e-4, atol=1e-5)


def test_arrays_reach_a_gpu_through_pinned_memory(monkeypatch):
    calls = []

    class Recorder:
        def pin_memory(self):
            calls.append("pinned")
            return self

        def to(self, device, **options):
            calls.append((device.type, options))

    monkeypatch.setattr(torch, "from_numpy", lambda array: Recorder())
    for name in ("cuda", "mps", "cpu"):
        _device.to_device(np.zeros(3), torch.device(name))
    assert calls == ["pinned", ("cuda", {"non_blocking": True}), ("mps", {}), ("cpu", {})]


def test_memory_is_given_back_to_accelerators_only(monkeypatch):
    freed = []
    for name in ("cuda", "mps"):
        monkeypatch.setattr(getattr(torch, name), "empty_cache", lambda name=name: freed.append(name))
    for name in ("cuda", "mps", "cpu", "meta"):
        _device.free_memory(torch.device(name))
    assert freed == ["cuda", "mps"]


def test_to_device_keeps_values():
    assert_array_equal(_device.to_device(np.arange(4), torch.device("cpu")), np.arange(4))
