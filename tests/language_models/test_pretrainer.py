"""LLMPretrainer: what it learns, what it saves, resuming after a kill, pairs, continued models, bad input."""

import math
import os
import pickle
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
from fresh_process import run_python
from numpy.testing import assert_allclose, assert_array_equal
from safetensors.numpy import load_file, save_file
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from tiny_models import SENTENCES, change_weights, save_bert

from skllmrec import EmbeddingWhitener, LLMFineTuner, LLMPretrainer, LLMTextEncoder
from skllmrec.exceptions import FileFormatError, ModelNotFoundError
from skllmrec.testing import check_encoder

SMALL = {"hidden_size": 16, "n_layers": 1, "n_heads": 2, "max_length": 32, "vocab_size": 300, "random_state": 0}
DOCUMENTS = [f"{first} {second}" for first in SENTENCES for second in SENTENCES if first != second]


def small(tmp_path, **options):
    return LLMPretrainer(**{**SMALL, "max_iter": 1, "checkpoint_dir": tmp_path, **options})


def weights_of(pretrainer):
    return load_file(Path(pretrainer.checkpoint_) / "model.safetensors")


def assert_same_weights(one, other):
    one, other = weights_of(one), weights_of(other)
    assert set(one) == set(other)
    for name in one:
        assert_allclose(one[name], other[name], rtol=1e-5, atol=1e-7)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """A small pre-trained model of both objectives."""
    return small(tmp_path_factory.mktemp("fitted"), max_iter=3).fit(DOCUMENTS)


# -- learning -----------------------------------------------------------------------------------------------------


def test_masked_tokens_are_learned(tmp_path):
    texts = [
        f"the {a} {b} {a} {b} went" for a in ("red", "blue", "green", "black") for b in ("cat", "dog", "fox", "hen")
    ]
    pretrainer = small(
        tmp_path, objectives=["mlm"], max_iter=30, learning_rate_init=5e-3, batch_size=8, validation_fraction=0.2
    ).fit(texts * 8)
    scores = pretrainer.scores_
    assert scores["mlm_accuracy"] > 0.8
    assert scores["mlm_perplexity"] < 2 < 4 < scores["unigram_perplexity"]
    assert_allclose(scores["mlm_perplexity"], math.exp(scores["mlm_loss"]))
    assert not any("nsp" in name for name in scores)


def test_next_sentences_are_learned(tmp_path):
    """A small model learns to compare what two segments are about; of wrong pairs, a sixth are about the same."""
    rng = np.random.default_rng(0)
    words = np.array([first + second for first in "bdfgkl" for second in ("ona", "iru", "etu", "uma")]).reshape(6, 4)
    texts = [". ".join(" ".join(rng.choice(words[i % 6], 4)).capitalize() for _ in range(2)) for i in range(900)]
    pretrainer = small(
        tmp_path, max_iter=8, learning_rate_init=4e-3, batch_size=32, hidden_size=48, n_layers=2, n_heads=4
    ).fit(texts)
    assert pretrainer.scores_["nsp_accuracy"] > 0.8
    assert pretrainer.scores_["mlm_perplexity"] < 6 < 15 < pretrainer.scores_["unigram_perplexity"]


def test_history_tells_each_objective(fitted):
    assert [record["epoch"] for record in fitted.history_] == [0, 1, 2, 3]
    assert fitted.n_iter_ == 3 and fitted.n_steps_ == fitted.history_[-1]["step"]
    for record in fitted.history_[1:]:
        assert {"loss", "mlm_loss", "mlm_accuracy", "nsp_loss", "nsp_accuracy", "learning_rate"} <= set(record)
        assert 0 <= record["nsp_accuracy"] <= 1
    for record in fitted.history_:
        assert_allclose(record["score"], -record["held_out_mlm_loss"] - record["held_out_nsp_loss"])
    best = max(fitted.history_, key=lambda record: record["score"])
    assert fitted.best_epoch_ == best["epoch"]
    assert fitted.scores_ == {
        name.removeprefix("held_out_"): value for name, value in best.items() if name.startswith("held_out_")
    }


def test_callbacks_hear_every_epoch_and_can_end_it(tmp_path):
    heard = []

    def listen(record):
        heard.append(record)
        return record["epoch"] == 2

    pretrainer = small(tmp_path, max_iter=9, callbacks=[listen]).fit(DOCUMENTS)
    assert heard == pretrainer.history_ and pretrainer.n_iter_ == 2


def test_same_seed_same_weights(tmp_path, fitted):
    again = small(tmp_path / "again", max_iter=3).fit(DOCUMENTS)
    assert_same_weights(again, fitted)
    assert Path(again.checkpoint_).name == Path(fitted.checkpoint_).name, "filed by content"
    other = small(tmp_path / "other", max_iter=3, random_state=1).fit(DOCUMENTS)
    assert Path(other.checkpoint_).name != Path(fitted.checkpoint_).name


def test_accumulated_batches_make_one_step(tmp_path):
    whole = small(tmp_path / "a", batch_size=8).fit(DOCUMENTS)
    halves = small(tmp_path / "b", batch_size=4, gradient_accumulation=2).fit(DOCUMENTS)
    assert halves.n_steps_ in (whole.n_steps_, whole.n_steps_ + 1)


def test_gradient_checkpointing_changes_nothing(tmp_path, fitted):
    other = small(tmp_path, max_iter=3, gradient_checkpointing=True).fit(DOCUMENTS)
    assert_same_weights(other, fitted)


@pytest.mark.parametrize(
    "options",
    [
        {"tokenizer": "bpe"},
        {"whole_word_masking": True},
        {"dtype": "bfloat16"},
        {"max_steps": 2, "max_iter": 9},
        {"early_stopping": False},
        {"objectives": ("mlm",)},
    ],
    ids=lambda options: next(iter(options)),
)
def test_options(tmp_path, options):
    pretrainer = small(tmp_path, **options).fit(DOCUMENTS)
    assert np.isfinite(pretrainer.transform(SENTENCES)).all()
    assert pretrainer.n_steps_ == options["max_steps"] if "max_steps" in options else pretrainer.n_steps_ > 1
    assert bool(pretrainer.scores_) == ("early_stopping" not in options)


def test_sizes(tmp_path):
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(
        LLMPretrainer(size="mini", n_layers=1, max_steps=1, checkpoint_dir=tmp_path).fit(DOCUMENTS).checkpoint_
    )
    sizes = config.hidden_size, config.num_hidden_layers, config.num_attention_heads, config.intermediate_size
    assert sizes == (256, 1, 4, 1024)


# -- pairs --------------------------------------------------------------------------------------------------------


def as_columns(container):
    columns = [sentence for sentence in SENTENCES for _ in SENTENCES], SENTENCES * len(SENTENCES)
    if container == "list":
        return list(zip(*columns, strict=True))
    if container == "array":
        return np.array(columns, dtype=object).T
    library = pytest.importorskip(container)
    return library.DataFrame({"first": columns[0], "second": columns[1]})


@pytest.mark.parametrize("container", ["list", "array", "pandas", "polars"])
def test_two_columns_are_pairs(tmp_path, container):
    X = as_columns(container)
    pretrainer = small(tmp_path)
    vectors = pretrainer.fit_transform(X)
    rows = np.array(as_columns("list"), dtype=object)
    assert_array_equal(vectors, pretrainer.transform([f"{a} {b}" for a, b in rows]))
    assert {"mlm_loss", "nsp_loss"} <= set(pretrainer.scores_)


def test_wrong_pairs_share_no_text():
    from skllmrec.language_models.pretraining._documents import find_documents
    from skllmrec.language_models.pretraining._sentence_pairs import OTHER, draw_pairs

    columns = [np.array(column, dtype=object) for column in zip(*as_columns("list"), strict=True)]
    documents = find_documents(columns, with_pairs=True)
    from skllmrec.language_models.pretraining._corpus import build_corpus

    encode = lambda sentences: [([SENTENCES.index(sentence)], [True]) for sentence in sentences]  # noqa: E731
    corpus = build_corpus(encode, documents.sentences, n_room=2, n_piece=1, groups=documents.groups)
    examples = draw_pairs(corpus, 1, np.random.default_rng(0))
    wrong = np.flatnonzero(examples[:, 4] == OTHER)
    assert len(wrong) == len(examples) // 2
    for row in wrong:
        assert corpus.tokens[examples[row, 2]] != corpus.tokens[2 * row + 1], "the second text is not the right one"


# -- what is saved ------------------------------------------------------------------------------------------------


def test_encoder_opens_the_checkpoint(fitted):
    vectors = fitted.transform(SENTENCES)
    assert vectors.shape == (len(SENTENCES), 16) and vectors.dtype == np.float32
    assert_array_equal(vectors, LLMTextEncoder(fitted.checkpoint_, max_length=32).fit_transform(SENTENCES))
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= set(os.listdir(fitted.checkpoint_))


def test_type_ids_tell_segments_apart(fitted, tmp_path):
    from transformers import AutoTokenizer

    for pretrainer in (fitted, small(tmp_path, tokenizer="bpe", max_steps=1).fit(DOCUMENTS)):
        encoded = AutoTokenizer.from_pretrained(pretrainer.checkpoint_)("a dog", "a wedding")
        assert set(encoded["token_type_ids"]) == {0, 1}


def test_fine_tuner_goes_on_from_the_checkpoint(fitted, tmp_path):
    labels = [text[0] for text in DOCUMENTS]
    tuner = LLMFineTuner(
        fitted.checkpoint_,
        objective="classification",
        trainable=1,
        max_iter=1,
        max_length=16,
        checkpoint_dir=tmp_path,
        random_state=0,
    )
    assert tuner.fit_transform(DOCUMENTS, labels).shape == (len(DOCUMENTS), 16)


def test_pickle_holds_no_weights(fitted):
    content = pickle.dumps(fitted)
    assert len(content) < 20_000
    assert_array_equal(pickle.loads(content).transform(SENTENCES), fitted.transform(SENTENCES))  # noqa: S301


def test_without_a_directory_the_model_is_in_the_cache(model_cache):
    pretrainer = LLMPretrainer(**SMALL, max_steps=1).fit(DOCUMENTS)
    assert Path(pretrainer.checkpoint_).parent == model_cache
    shutil.rmtree(pretrainer.checkpoint_)
    with pytest.raises(ModelNotFoundError, match=r"gone from .*SKLLMREC_MODEL_CACHE_SIZE.*Fit again"):
        pretrainer.transform(SENTENCES)


def test_changed_weights_are_refused(tmp_path):
    pretrainer = small(tmp_path).fit(DOCUMENTS)
    change_weights(Path(pretrainer.checkpoint_))
    with pytest.raises(ValueError, match="have changed since LLMPretrainer was fitted"):
        pretrainer.transform(SENTENCES)


def test_contract():
    encoder = LLMPretrainer(**SMALL, objectives=["mlm"], max_steps=1, early_stopping=False)
    with pytest.raises(AssertionError, match=r"breaks 1 rules[\s\S]*\(1, 2\)") as caught:  # two columns are pairs here
        check_encoder(encoder)
    assert str(caught.value).count("- check_") == 1 and "- check_bad_texts" in str(caught.value)


def test_in_a_pipeline(tmp_path):
    pipeline = clone(make_pipeline(small(tmp_path), EmbeddingWhitener(4)))
    assert pipeline.fit_transform(DOCUMENTS).shape == (len(DOCUMENTS), 4)


# -- continuing a model -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("objectives", [("mlm", "nsp"), ("mlm",), ("nsp",)])
def test_continues_a_model(tmp_path, tiny_bert, objectives):
    before = load_file(Path(tiny_bert) / "model.safetensors")
    pretrainer = LLMPretrainer(
        tiny_bert,
        objectives=objectives,
        max_steps=2,
        learning_rate_init=1e-6,
        max_length=32,
        checkpoint_dir=tmp_path,
        random_state=0,
        early_stopping=False,
    ).fit(DOCUMENTS)
    after = weights_of(pretrainer)
    name = "encoder.layer.1.output.dense.weight"
    assert_allclose(after[f"bert.{name}"], before[name], atol=1e-4)
    assert (after[f"bert.{name}"] != before[name]).any()


def test_a_continued_model_learns_slower_unless_told_otherwise(tiny_bert):
    rates = [
        LLMPretrainer(model, learning_rate_init=rate)._recipe(0).learning_rate_init
        for model, rate in ((None, None), (tiny_bert, None), (tiny_bert, 1e-3))
    ]
    assert rates == [5e-4, 5e-5, 1e-3]


@pytest.mark.parametrize("kind", ["DistilBert", "Roberta"])
def test_continues_models_of_other_kinds(tmp_path, tiny_bert, kind):
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny_bert)
    names = ("dim", "n_layers", "n_heads", "hidden_dim")
    if kind == "Roberta":
        names = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
    sizes = dict(zip(names, (16, 2, 2, 32), strict=True))
    config = getattr(transformers, f"{kind}Config")(**sizes, vocab_size=len(tokenizer), max_position_embeddings=66)
    tokenizer.save_pretrained(tmp_path / "model")
    getattr(transformers, f"{kind}ForMaskedLM")(config).save_pretrained(tmp_path / "model")
    options = {"model": tmp_path / "model", "objectives": ["mlm"], "max_iter": 4, "learning_rate_init": 1e-2}
    history = small(tmp_path / "out", **options).fit(DOCUMENTS).history_
    assert history[-1]["held_out_mlm_loss"] < history[0]["held_out_mlm_loss"] - 0.5


def test_only_hidden_tokens_reach_the_output_layer(fitted):
    """The logits of the hidden tokens are those that the whole forward pass gives."""
    import torch
    from transformers import BertForPreTraining

    from skllmrec.language_models.pretraining._networks import Heads

    network = BertForPreTraining.from_pretrained(fitted.checkpoint_).eval()
    ids, hidden = torch.arange(5, 17).reshape(2, 6), torch.tensor([[1, 0, 0, 1, 0, 0], [0, 1, 0, 0, 0, 0]]).bool()
    mask, types = torch.ones_like(ids), torch.zeros_like(ids)
    types[:, 3:] = 1
    with torch.inference_mode():
        whole = network(input_ids=ids, attention_mask=mask, token_type_ids=types)
        heads = Heads(network)
        tokens, pairs = heads(ids, mask, types, hidden)
        heads.close()
        again = network(input_ids=ids, attention_mask=mask, token_type_ids=types)
        same_types = network(input_ids=ids, attention_mask=mask, token_type_ids=torch.zeros_like(types))
    assert_allclose(tokens, whole.prediction_logits[hidden], atol=1e-6)
    assert_allclose(pairs, whole.seq_relationship_logits, atol=1e-6)
    assert again.prediction_logits.shape == whole.prediction_logits.shape
    assert (same_types.seq_relationship_logits != pairs).any(), "segments are told apart"


def test_pairs_without_held_out_rows(tmp_path):
    pretrainer = small(tmp_path, early_stopping=False).fit(as_columns("list"))
    assert pretrainer.scores_ == {} and pretrainer.best_epoch_ == 1


def test_continues_its_own_checkpoint_with_all_heads(tmp_path, fitted):
    again = LLMPretrainer(
        fitted.checkpoint_, max_steps=1, learning_rate_init=1e-9, max_length=32, checkpoint_dir=tmp_path, random_state=0
    ).fit(DOCUMENTS)
    first, last = weights_of(fitted), weights_of(again)
    assert set(first) == set(last)
    for name in first:
        assert_allclose(last[name], first[name], atol=1e-6)


# -- resuming -----------------------------------------------------------------------------------------------------

KILLED = """
import os, signal, sys
from test_pretrainer import DOCUMENTS, small
from skllmrec.language_models.pretraining import _run as run

folder, kill_at, steps = sys.argv[1], int(sys.argv[2]), iter(range(999))
run._STEPS_BETWEEN = 1
call = run.Objectives.__call__

def killing(self, examples):
    if next(steps) == kill_at:
        os.kill(os.getpid(), signal.SIGKILL)
    return call(self, examples)

run.Objectives.__call__ = killing
small(folder, max_iter=3, batch_size=8).fit(DOCUMENTS)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="SIGKILL is a thing of POSIX")
def test_killed_training_ends_like_one_that_ran_through(tmp_path):
    run_python(KILLED, tmp_path / "killed", 12, status=-signal.SIGKILL)
    assert os.listdir(tmp_path / "killed") == ["training.safetensors"]
    records = []
    resumed = small(tmp_path / "killed", max_iter=3, batch_size=8, callbacks=[records.append]).fit(DOCUMENTS)
    whole = small(tmp_path / "whole", max_iter=3, batch_size=8).fit(DOCUMENTS)
    assert_same_weights(resumed, whole)
    assert Path(resumed.checkpoint_).name == Path(whole.checkpoint_).name
    assert [record["epoch"] for record in records] == [2, 3], "the first epoch was not repeated"
    for one, other in zip(resumed.history_, whole.history_, strict=True):
        assert {**one, "seconds": 0} == pytest.approx({**other, "seconds": 0})


def test_without_a_seed_a_training_is_found_again(tmp_path):
    first = small(tmp_path, random_state=None).fit(DOCUMENTS)
    records = []
    again = small(tmp_path, random_state=None, callbacks=[records.append]).fit(DOCUMENTS)
    assert not records and again.history_ == first.history_ and again.checkpoint_ == first.checkpoint_


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"mask_probability": 0.3}, "identity.mask_probability was 0.15 and is 0.3"),
        ({"hidden_size": 32}, r"parameters\."),
        ({"objectives": ["mlm"]}, r"identity\.objectives"),
        ({"max_iter": 7}, r"recipe\.max_iter was 1 and is 7"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_directory_of_another_configuration(tmp_path, options, what):
    small(tmp_path).fit(DOCUMENTS)
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    with pytest.raises(ValueError, match=rf"another configuration.*{what}"):
        small(tmp_path, **options).fit(DOCUMENTS)
    with pytest.raises(ValueError, match=r"another configuration.*identity\."):
        small(tmp_path).fit(DOCUMENTS[1:])
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before


# -- bad input ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "X", "match"),
    [
        ({}, [], "Found no texts"),
        ({}, ["", "  "], "the corpus is empty: none of its 2 texts"),
        ({}, ["One sentence."], "1 text cannot be divided into at least 2"),
        ({"early_stopping": False}, ["One sentence."], r"'nsp' needs at least two texts .* found 0"),
        ({"early_stopping": False}, ["One. Two."], r"'nsp' needs at least two texts .* found 1"),
        (
            {},
            ["A dog.", "A cat"] * 9,
            r"'nsp' needs at least two texts .* found 0 among the texts to learn from.*\('mlm',\)",
        ),
        ({}, [("a b", "the same"), ("c d", "the same")] * 4, r"'nsp' needs at least two texts"),
        ({}, ["a text", None], "position 1, is None"),
        ({}, [["a", "b", "c"]], r"shape \(1, 3\)"),
        ({"objectives": ()}, DOCUMENTS, r"objectives=\(\) is empty: choose from 'mlm', 'nsp'"),
        ({"objectives": ["mlm", "sop"]}, DOCUMENTS, "'sop', which is unknown"),
        ({"hidden_size": 15}, DOCUMENTS, "hidden_size=15 cannot be divided among n_heads=2"),
        ({"size": "huge"}, DOCUMENTS, "size"),
        ({"model": "no such folder"}, DOCUMENTS, "was not found"),
    ],
)
def test_bad_input(tmp_path, options, X, match):
    with pytest.raises(ValueError, match=match):
        small(tmp_path / "new", **options).fit(X)
    assert not (tmp_path / "new").exists(), "nothing was written"


def test_model_that_cannot_be_trained(tmp_path, tiny_llama, tiny_bert):
    with pytest.raises(ValueError, match="type 'llama', which cannot predict masked tokens"):
        small(tmp_path / "a", model=tiny_llama).fit(DOCUMENTS)
    with pytest.raises(ValueError, match="max_length=65 is more than the 64 tokens"):
        small(tmp_path / "a", model=tiny_bert, max_length=65).fit(DOCUMENTS)
    folder = save_bert(tmp_path / "bert", vocab_size=100)
    with pytest.raises(
        ValueError, match=r"the tokenizer in .* has 258 tokens, .* for 100: they do not belong together"
    ):
        small(tmp_path / "a", model=folder).fit(DOCUMENTS)
    folder = save_bert(tmp_path / "one-type", type_vocab_size=1)
    with pytest.raises(ValueError, match="'nsp' needs a model that tells segments apart"):
        small(tmp_path / "a", model=folder).fit(DOCUMENTS)
    small(tmp_path / "b", model=folder, objectives=["mlm"], max_steps=1).fit(DOCUMENTS)
    assert not (tmp_path / "a").exists()


def test_a_model_without_some_of_its_arrays_is_refused_and_not_trained_from_random_ones(tmp_path, tiny_bert):
    shutil.copytree(tiny_bert, tmp_path / "model")
    file = tmp_path / "model" / "model.safetensors"
    arrays = load_file(file)
    del arrays["encoder.layer.1.output.dense.weight"]
    save_file(arrays, file, {"format": "pt"})
    with pytest.raises(FileFormatError, match=r"lack 1 tensors of Bert.*encoder\.layer\.1\.output\.dense\.weight"):
        small(tmp_path / "out", model=tmp_path / "model").fit(DOCUMENTS)
