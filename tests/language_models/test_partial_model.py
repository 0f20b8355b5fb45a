"""CorpusEncoder: the same vectors and gradients as the whole model, whatever is cached, cut or computed twice."""

import itertools
import shutil

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from tiny_models import SENTENCES
from transformers import AutoModel, AutoTokenizer

from skllmrec._backbone import model_info
from skllmrec._backbone.pooling import POOLINGS
from skllmrec._weights import PROMPTS, find_weights
from skllmrec.language_models.fine_tuning import _partial_model
from skllmrec.language_models.fine_tuning._partial_model import CorpusEncoder

TEXTS = [*SENTENCES, "", "a", *(f"{a} {b}" for a, b in itertools.pairwise(SENTENCES))]
ROWS = np.array([3, 8, 0, 14, 9, 3])


def make(model, trainable, pooling="mean", dtype="float32", token_dropout=0.0):
    encoder = CorpusEncoder(
        find_weights(model),
        TEXTS,
        trainable=trainable,
        lora_rank=2,
        pooling=pooling,
        max_length=24,
        dtype=dtype,
        token_dropout=token_dropout,
        augmenter=None,
        device=torch.device("cpu"),
    )
    encoder.backbone.eval()
    return encoder


def naive(model, text, pooling):
    """Pooled states of one text from transformers alone."""
    tokens = AutoTokenizer.from_pretrained(model)(text, return_tensors="pt", truncation=True, max_length=24)
    states = AutoModel.from_pretrained(model)(input_ids=tokens["input_ids"]).last_hidden_state[0]
    n = len(states)
    weights = {
        "mean": torch.ones(n),
        "cls": torch.eye(n)[0],
        "last": torch.eye(n)[-1],
        "weighted_mean": torch.arange(n) + 1.0,
    }
    return states.amax(0) if pooling == "max" else weights[pooling] @ states / weights[pooling].sum()


@pytest.mark.parametrize("trainable", [1, 2, "all"])
@pytest.mark.parametrize(
    ("kind", "pooling"), [*(("tiny_bert", pooling) for pooling in POOLINGS), ("tiny_llama", "last")]
)
def test_vectors_are_those_of_the_whole_model(kind, pooling, trainable, request, monkeypatch):
    monkeypatch.setattr(_partial_model, "_BATCH_TOKENS", 40)  # several chunks
    model = request.getfixturevalue(kind)
    rows = ROWS if kind == "tiny_bert" else ROWS[ROWS != 8]  # "" has no tokens there
    vectors = make(model, trainable, pooling).encode(rows).detach()
    expected = torch.stack([naive(model, TEXTS[row], pooling) for row in rows]).detach()
    assert_allclose(vectors, expected, rtol=1e-3, atol=1e-5)


def gradients(encoder, rows=ROWS, **options):
    encoder.backbone.zero_grad()
    (encoder.encode(rows, **options) * torch.arange(1.0, 17.0)).square().sum().backward()
    return {name: p.grad.clone() for name, p in encoder.backbone.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("model", ["tiny_bert", "tiny_llama"])
def test_gradients_do_not_depend_on_what_is_cached(model, request):
    model = request.getfixturevalue(model)
    rows = ROWS[ROWS != 8]
    partly, wholly = gradients(make(model, 1), rows), gradients(make(model, "all"), rows)
    assert len(partly) > 5 and set(partly) < set(wholly)
    assert all("layer.1." in name or "layers.1." in name for name in partly)
    for name, gradient in partly.items():
        assert_allclose(gradient, wholly[name], rtol=1e-3, atol=1e-3 * wholly[name].abs().max().item())


@pytest.mark.parametrize("trainable", [1, "all"])
def test_activations_computed_twice_give_the_same_gradient(trainable, tiny_bert, monkeypatch):
    monkeypatch.setattr(_partial_model, "_CHUNK_TOKENS", 40)
    encoder = make(tiny_bert, trainable)
    encoder.backbone.train()  # dropout must be the same both times
    kept = []
    for checkpointed in (False, True):
        monkeypatch.setattr(_partial_model, "_BATCH_TOKENS", 40)
        torch.manual_seed(0)
        kept.append(gradients(encoder, checkpointed=checkpointed))
    for name, gradient in kept[0].items():
        assert_allclose(kept[1][name], gradient, rtol=1e-4, atol=1e-5 * gradient.abs().max().item())


def test_adapters_change_nothing_at_first_and_are_merged_at_the_end(tiny_bert, tmp_path):
    pytest.importorskip("peft")
    encoder = make(tiny_bert, "lora")
    assert_allclose(encoder.encode(ROWS).detach(), make(tiny_bert, "all").encode(ROWS).detach(), rtol=1e-4, atol=1e-5)
    trained = [p for p in encoder.backbone.parameters() if p.requires_grad]
    assert all(2 in p.shape for p in trained) and len(trained) == 2 * 2 * 6  # two layers of six matrices
    with torch.no_grad():
        for parameter in trained:
            parameter.add_(0.1)
    vectors = encoder.encode(ROWS).detach()
    encoder.trained.save(tmp_path)
    assert_allclose(make(tmp_path, "all").encode(ROWS).detach(), vectors, rtol=1e-3, atol=1e-4)


def test_a_saved_model_keeps_its_tokenizer_and_prompts(tiny_bert, tmp_path):
    origin, saved = shutil.copytree(tiny_bert, tmp_path / "origin"), tmp_path / "saved"
    (origin / PROMPTS).write_text('{"prompts": {"query": "find: "}}')
    saved.mkdir()
    make(origin, 1).trained.save(saved)
    assert model_info(saved).declared.prompts == {"query": "find: "}
    assert (saved / "tokenizer.json").read_bytes() == (origin / "tokenizer.json").read_bytes()


def test_states_are_kept_in_a_file_without_padding(tiny_bert):
    encoder = make(tiny_bert, 1)
    states = encoder._lower._states
    assert isinstance(states, np.memmap) and states.shape == (sum(map(len, encoder._tokens)), 16)
    assert make(tiny_bert, 2)._lower is None


@pytest.mark.parametrize("trainable", [1, "all"])
def test_half_precision_is_for_the_products_only(trainable, tiny_bert):
    encoder = make(tiny_bert, trainable, dtype="bfloat16")
    vectors, expected = encoder.encode(ROWS), make(tiny_bert, trainable).encode(ROWS).detach()
    assert vectors.dtype == torch.float32 and {p.dtype for p in encoder.backbone.parameters()} == {torch.float32}
    assert not torch.equal(vectors, expected)
    assert torch.cosine_similarity(vectors, expected).min() > 0.99
    for gradient in gradients(encoder).values():
        assert gradient.dtype == torch.float32 and torch.isfinite(gradient).all()


def test_automatic_precision(tiny_bert, monkeypatch):
    for half in (False, True):
        monkeypatch.setattr(_partial_model, "has_bfloat16", lambda device, half=half: half)
        assert torch.equal(
            make(tiny_bert, 1, dtype="auto").encode(ROWS),
            make(tiny_bert, 1, dtype="bfloat16" if half else "float32").encode(ROWS),
        )


@pytest.mark.parametrize("trainable", [1, "all"])
def test_dropped_tokens_are_those_of_training_only(trainable, tiny_bert):
    encoder, plain = make(tiny_bert, trainable, token_dropout=0.5), make(tiny_bert, trainable)
    assert torch.equal(encoder.encode(ROWS), plain.encode(ROWS))
    for module in encoder.backbone.modules():
        module.p = 0.0  # no dropout but that of tokens
    encoder.backbone.train()
    torch.manual_seed(0)
    first, second = encoder.encode(ROWS), encoder.encode(ROWS)
    torch.manual_seed(0)
    assert torch.equal(encoder.encode(ROWS), first) and not torch.equal(first, second)
    same = (ROWS == 8) | (ROWS == 9)  # "", and a text of a single word between the special tokens
    assert_allclose(first[ROWS == 8].detach(), plain.encode(ROWS)[ROWS == 8].detach(), rtol=1e-4, atol=1e-5)
    assert (first != plain.encode(ROWS)).any(dim=1)[~same].all()


def test_places_keep_the_ends_and_the_share(tiny_bert):
    encoder = make(tiny_bert, 1, token_dropout=0.3)
    encoder.backbone.train()
    tokens = [list(range(12))] * 4000
    places = encoder._places(tokens)
    assert all(own[0] == 0 and own[-1] == 11 and (np.diff(own) > 0).all() for own in places)
    share = (np.mean([len(own) for own in places]) - 2) / 10
    assert abs(share - 0.7) < 4 * np.sqrt(0.21 / 40000)
