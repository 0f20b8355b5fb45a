"""LLMTextEncoder with dtype="int8": close to float32, text by text, kept apart in the store."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from tiny_models import SENTENCES

from skllmrec import EmbeddingStore, LLMTextEncoder
from skllmrec._backbone import _int8, unload
from skllmrec._backbone.layers.int8_linear import can_quantize

pytestmark = pytest.mark.skipif(not can_quantize(), reason="this processor has no fast products of 8-bit integers")

TEXTS = [*SENTENCES, "stars", "the rain " * 30, ""]


def cosines(a, b):
    return np.einsum("nd,nd->n", a, b) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))


@pytest.mark.parametrize("model", ["tiny_bert", "tiny_llama"])
@pytest.mark.parametrize("layer", [-1, 1])
def test_is_close_to_float32_but_not_equal(request, model, layer):
    texts = [text for text in TEXTS if text]  # tiny_llama adds no special tokens: nothing is the zero vector
    model = request.getfixturevalue(model)
    exact, rounded = (
        LLMTextEncoder(model, layer=layer, dtype=dtype).fit_transform(texts) for dtype in ("float32", "int8")
    )
    assert rounded.dtype == np.float32
    assert cosines(exact, rounded).min() > 0.99
    assert np.abs(exact - rounded).max() > 1e-4 * np.abs(exact).max(), "nothing was rounded"


@pytest.mark.parametrize("model", ["tiny_bert", "tiny_llama"])
def test_a_text_does_not_depend_on_its_batch(request, model):
    encoder = LLMTextEncoder(request.getfixturevalue(model), dtype="int8").fit(TEXTS)
    together = encoder.transform(TEXTS)
    alone = np.concatenate([encoder.transform([text]) for text in TEXTS])
    # a code may tip over where sums differ in their last bit; scales of a batch would differ by far more
    assert_allclose(together, alone, atol=2e-2 * np.abs(together).max())
    assert np.median(np.abs(together - alone)) < 1e-5


def test_real_model_ranks_as_float32_does():
    texts = [f"{sentence} {other}" for sentence in SENTENCES for other in SENTENCES[:4]]
    exact, rounded = (LLMTextEncoder(dtype=dtype, normalize=True).fit_transform(texts) for dtype in ("float32", "int8"))
    assert cosines(exact, rounded).min() > 0.99
    nearest = [np.argsort(-(vectors @ vectors.T), axis=1)[:, 1:6] for vectors in (exact, rounded)]
    shared = np.mean([len(set(a) & set(b)) / 5 for a, b in zip(*nearest, strict=True)])
    assert shared > 0.9


def test_store_keeps_precisions_apart(tiny_bert, tmp_path):
    store = EmbeddingStore(tmp_path)
    for dtype in ("float32", "int8"):
        LLMTextEncoder(tiny_bert, dtype=dtype, memory=store).fit_transform(SENTENCES)
    assert store.stats()["texts"] == 2 * len(SENTENCES)
    recipes = [encoder["identity"].get("recipe") for encoder in store.inspect()["encoders"]]
    assert sum(recipe is not None for recipe in recipes) == 1


def _negate_states(model):
    last = model.encoder.layer[-1].output.LayerNorm
    last.weight.data.neg_()
    last.bias.data.neg_()
    return 1


@pytest.mark.parametrize(
    ("replace", "message"),
    [
        (lambda model: 0, "needs linear layers, and BertModel has none"),
        (_negate_states, "does not suit BertModel: its states keep a cosine of only -1.00"),
        (lambda model: setattr(model, "encoder", None) or 1, "a cosine of only 0.00"),
    ],
    ids=["no linear layers", "other states", "a model that fails"],
)
def test_models_that_it_does_not_suit(tiny_bert, monkeypatch, replace, message):
    monkeypatch.setattr(_int8, "quantize_linear_layers", replace)
    unload()
    with pytest.raises(ValueError, match=message):
        LLMTextEncoder(tiny_bert, dtype="int8").fit_transform(["a text"])
    unload()


def test_machines_that_cannot(tiny_bert, monkeypatch):
    monkeypatch.setattr(_int8, "can_quantize", lambda: False)
    with pytest.raises(ValueError, match=r'needs an x86-64 processor with AVX2 .* choose dtype="float32"'):
        LLMTextEncoder(tiny_bert, dtype="int8").fit(["a text"])
