"""Long texts by windows, against windows cut by hand."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from tiny_models import SENTENCES

from skllmrec._backbone import Encoding, EncodingJob, load_model, load_tokenizer
from skllmrec._weights import find_weights

LONG = " ".join(SENTENCES)


def encode(folder, texts, *, batch_tokens=64, n_dims=16, **encoding):
    options = {"n_dims": n_dims, "batch_tokens": batch_tokens, "device": "cpu"}
    job = EncodingJob(find_weights(folder), texts, encoding=Encoding(**encoding), **options)
    return job.encode(np.arange(len(texts)))


def by_hand(folder, text, max_length, prompt):
    """Mean of the windows' mean states, weighted by tokens of the text, one window at a time."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer, network = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder)
    before, after = ([2], [3]) if tokenizer.cls_token else ([], [])  # [CLS] and [SEP] of the tiny BERT
    tokens = tokenizer(prompt + text, add_special_tokens=False)["input_ids"]
    opening = tokenizer(prompt.strip(), add_special_tokens=False)["input_ids"] if prompt else []
    tokens = tokens[len(opening) :]
    room = max_length - len(before) - len(after) - len(opening)
    total = np.zeros(16)
    for start in range(0, len(tokens), room):
        part = tokens[start : start + room]
        with torch.inference_mode():
            window = torch.tensor([before + opening + part + after])
            total += len(part) * network(input_ids=window).last_hidden_state[0].double().mean(dim=0).numpy()
    return total / len(tokens)


@pytest.mark.parametrize("prompt", ["", "the crew: "])
@pytest.mark.parametrize("max_length", [16, 21, 60])
@pytest.mark.parametrize("model", ["tiny_bert", "tiny_llama"])
def test_windows_are_averaged_by_their_tokens(model, max_length, prompt, request):
    folder = request.getfixturevalue(model)
    texts = [LONG, *SENTENCES]
    expected = [by_hand(folder, text, max_length, prompt) for text in texts]
    got = encode(folder, texts, max_length=max_length, prompt=prompt, overflow="mean")
    assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("model", ["tiny_bert", "tiny_llama"])
def test_text_that_fits_is_encoded_as_ever(model, request):
    folder = request.getfixturevalue(model)
    texts = ["", "a", *SENTENCES]
    assert_array_equal(encode(folder, texts, max_length=60, overflow="mean"), encode(folder, texts, max_length=60))
    short = encode(folder, SENTENCES, max_length=12, overflow="mean")
    assert np.abs(short - encode(folder, SENTENCES, max_length=12)).max() > 0.01


def test_vectors_do_not_depend_on_the_batch(tiny_bert):
    texts = [LONG, "", *SENTENCES, LONG[100:]]
    one_by_one = np.concatenate([encode(tiny_bert, [text], max_length=10, overflow="mean") for text in texts])
    for batch_tokens in (1, 64, 10_000):
        got = encode(tiny_bert, texts, max_length=10, overflow="mean", batch_tokens=batch_tokens)
        assert_allclose(got, one_by_one, rtol=1e-4, atol=1e-5)


def test_windows_hold_the_whole_text_once(tiny_bert):
    tokenizer = load_tokenizer(find_weights(tiny_bert))
    (windows,) = tokenizer.windows([LONG], 17)
    whole = tokenizer([LONG], None)[0]
    assert all(window[0] == whole[0] and window[-1] == whole[-1] for window in windows)
    assert [len(window) for window in windows[:-1]] == [17] * (len(windows) - 1)
    assert [token for window in windows for token in window[1:-1]] == whole[1:-1]


def test_windows_of_a_text_stay_in_its_group_and_count(tiny_bert):
    texts = [*SENTENCES, LONG, LONG[1:]] * 3
    texts = [f"{text} {number}" for number, text in enumerate(texts)]
    options = {"n_dims": 16, "batch_tokens": 16, "device": "cpu"}
    weights = find_weights(tiny_bert)
    job = EncodingJob(weights, texts, encoding=Encoding(max_length=12, overflow="mean"), **options)
    assert sorted(np.concatenate(job.groups)) == list(range(len(texts)))
    windows = load_tokenizer(weights).windows(texts, 12)
    assert_array_equal(job.costs, [sum(map(len, parts)) for parts in windows])


def test_length_of_unit_is_that_of_the_mean(tiny_bert):
    plain = encode(tiny_bert, [LONG, "a"], max_length=16, overflow="mean")
    unit = encode(tiny_bert, [LONG, "a"], max_length=16, overflow="mean", normalize=True)
    assert_allclose(unit, plain / np.linalg.norm(plain, axis=1, keepdims=True), rtol=1e-5)


def test_first_dimensions_before_the_unit_length(tiny_bert):
    plain = encode(tiny_bert, SENTENCES)[:, :5]
    assert_array_equal(encode(tiny_bert, SENTENCES, n_dims=5), plain)
    unit = encode(tiny_bert, SENTENCES, n_dims=5, normalize=True)
    assert_allclose(unit, plain / np.linalg.norm(plain, axis=1, keepdims=True), rtol=1e-5)


def test_a_megabyte_goes_through_in_batches(tiny_bert, monkeypatch):
    text = (LONG + " ") * (1_000_000 // len(LONG))
    model, sizes = load_model(find_weights(tiny_bert), dtype="float32", device="cpu"), []
    compute = model.hidden_states
    monkeypatch.setattr(model, "hidden_states", lambda ids, *rest: sizes.append(ids.numel()) or compute(ids, *rest))
    got = encode(tiny_bert, [text, "a"], max_length=64, overflow="mean", batch_tokens=4096)
    assert np.isfinite(got).all()
    assert max(sizes) <= 4096
    assert sum(sizes) > 200_000
    # the text repeats itself, so that its windows average out to what one of its rounds says
    assert_allclose(got[0], encode(tiny_bert, [LONG * 10], max_length=64, overflow="mean")[0], atol=0.2)
    assert np.isfinite(encode(tiny_bert, [text], max_length=64)).all()
