"""Batches of pre-training laid out token by token, and losses against transformers' own."""

import itertools
import math

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from tiny_models import SENTENCES

from skllmrec.language_models.pretraining._corpus import Corpus
from skllmrec.language_models.pretraining._documents import divide, find_documents, make_corpus
from skllmrec.language_models.pretraining._networks import Heads, make_network
from skllmrec.language_models.pretraining._objectives import Collator, Objectives, make_collator, summarise
from skllmrec.language_models.pretraining._run import _log_shares
from skllmrec.language_models.pretraining._tokenizer import Frame, train_tokenizer

CLS, SEP, MASK, PAD = 1, 2, 3, 0


def make(objectives=("mlm", "nsp"), **options):
    options = {"max_length": 12, "batch_size": 4, "mask_probability": 0.15, "whole_words": False} | options
    return Collator(
        objectives=objectives,
        frame=Frame(([CLS], [SEP]), ([CLS], [SEP], [SEP])),
        mask_id=MASK,
        pad_id=PAD,
        ordinary=torch.arange(4, 99),
        **options,
    )


def test_layout():
    corpus = Corpus(
        tokens=np.array([10, 11, 12, 13, 14, 15], dtype=np.int32),
        starts=np.array([True, False, True, True, False, True]),
        bounds=np.array([0, 3, 4, 6]),
        chunks=np.array([[0, 3]]),
        groups=np.array([[0]]),
    )
    rows = np.array([[0, 3, 3, 5, 1], [1, 2, 2, 2, -1]])
    ids, types, starts, content, mask = make().collate(corpus, rows)
    assert ids.tolist() == [[CLS, 10, 11, 12, SEP, 13, 14, SEP], [CLS, 11, SEP, PAD, PAD, PAD, PAD, PAD]]
    assert types.tolist() == [[0, 0, 0, 0, 0, 1, 1, 1], [0] * 8]
    assert mask.tolist() == [[1] * 8, [1, 1, 1, 0, 0, 0, 0, 0]]
    assert content.astype(int).tolist() == [[0, 1, 1, 1, 0, 1, 1, 0], [0, 1, 0, 0, 0, 0, 0, 0]]
    assert starts.astype(int).tolist() == [[0, 1, 0, 1, 0, 1, 0, 0], [0, 1, 0, 0, 0, 0, 0, 0]], "a cut word is a word"


@pytest.fixture(scope="module")
def trained():
    """A tokenizer and a network with random weights."""
    tokenizer = train_tokenizer(SENTENCES * 2, kind="wordpiece", vocab_size=200, max_length=24)
    return tokenizer, make_network(tokenizer, sizes=(16, 1, 2), max_length=24, seed=0).eval()


@pytest.mark.parametrize("objectives", [("mlm", "nsp"), ("mlm",), ("nsp",)])
def test_losses_are_those_of_transformers(trained, objectives, monkeypatch):
    tokenizer, network = trained
    options = {"max_length": 24, "batch_size": 5, "mask_probability": 0.3, "whole_words": False}
    task = make_collator(tokenizer, objectives=objectives, **options)
    texts = np.array([f"{a} {b}" for a, b in itertools.pairwise(SENTENCES)], dtype=object)
    corpus = make_corpus(find_documents([texts], with_pairs="nsp" in objectives), tokenizer, task)
    batch = task.batches(corpus, np.random.default_rng(0))[0]
    seen = {}
    forward = network.forward

    def watch(**inputs):
        seen.update(inputs)
        return forward(**inputs)

    monkeypatch.setattr(network, "forward", watch)
    unigram = torch.full((len(tokenizer),), -2.0)
    heads = Heads(network)
    torch.manual_seed(0)
    with torch.inference_mode():
        loss, numbers = Objectives(task, corpus, heads, torch.device("cpu"), unigram)(batch)
        heads.close()
        ids, *_ = task.collate(corpus, batch)
        torch.manual_seed(0)
        labels = torch.full(ids.shape, -100)
        if "mlm" in objectives:
            from skllmrec.language_models.pretraining._masking import mask_tokens

            content = torch.from_numpy(task.collate(corpus, batch)[3])
            inputs, hidden = mask_tokens(
                torch.from_numpy(ids), content, probability=0.3, mask_id=task.mask_id, ordinary=task.ordinary
            )
            labels[hidden] = torch.from_numpy(ids)[hidden]
            assert (inputs == seen["input_ids"]).all()
        output = forward(**seen)
    expected = 0.0
    if "mlm" in objectives:
        mlm = torch.nn.functional.cross_entropy(output.prediction_logits.flatten(0, 1), labels.flatten())
        expected += mlm
        assert_allclose(numbers["mlm_sum"] / numbers["mlm_count"], mlm, rtol=1e-5)
        right = (output.prediction_logits.argmax(-1) == labels).sum()
        assert numbers["mlm_right"] == right and numbers["unigram_sum"] == 2.0 * numbers["mlm_count"]
    if "nsp" in objectives:
        # transformers: 0 where the second segment follows, 1 where it is another one
        wanted = torch.tensor([{1: 0, 0: 1, -1: -100}[label] for label in batch[:, 4].tolist()])
        nsp = torch.nn.functional.cross_entropy(output.seq_relationship_logits, wanted)
        expected += nsp
        assert_allclose(numbers["nsp_sum"] / numbers["nsp_count"], nsp, rtol=1e-5)
    assert_allclose(loss, expected, rtol=1e-5)


def test_evaluation_is_the_same_every_time_and_leaves_random_numbers_alone(trained):
    tokenizer, network = trained
    task = make_collator(
        tokenizer, objectives=("mlm",), max_length=24, batch_size=4, mask_probability=0.3, whole_words=True
    )
    corpus = make_corpus(find_documents([np.array(SENTENCES)], with_pairs=False), tokenizer, task)
    heads = Heads(network)
    judged = Objectives(task, corpus, heads, torch.device("cpu"), torch.zeros(len(tokenizer)))
    batches = task.batches(corpus, np.random.default_rng(0))
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    with torch.inference_mode():
        first, second = judged.evaluate(batches, 1), judged.evaluate(batches, 1)
        other = judged.evaluate(batches, 2)
    heads.close()
    assert first == second != other and torch.rand(1) == expected
    assert_allclose(first["score"], -first["held_out_mlm_loss"])


def test_special_tokens_replace_no_others(trained):
    tokenizer, _ = trained
    task = make_collator(
        tokenizer, objectives=("mlm",), max_length=24, batch_size=5, mask_probability=0.3, whole_words=False
    )
    found = set(tokenizer.convert_ids_to_tokens(task.ordinary.tolist()))
    assert found == set(tokenizer.get_vocab()) - {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}


def test_shares_are_of_one_more_of_each_token():
    assert_allclose(_log_shares(np.array([0, 1, 1, 3]), 5), np.log(np.array([2, 3, 1, 2, 1]) / 9))


def test_each_of_two_texts_has_half_of_an_example(trained):
    tokenizer, _ = trained
    options = {"max_length": 24, "batch_size": 5, "mask_probability": 0.3, "whole_words": False}
    task = make_collator(tokenizer, objectives=("mlm", "nsp"), **options)
    columns = [np.array([" ".join(SENTENCES[:3]), "a war"], dtype=object), np.array(SENTENCES[3:5], dtype=object)]
    corpus = make_corpus(find_documents(columns, with_pairs=True), tokenizer, task)
    texts = [text for row in zip(*columns, strict=True) for text in row]
    ids = [tokenizer(text, add_special_tokens=False)["input_ids"][: task.half] for text in texts]
    assert corpus.tokens.tolist() == list(itertools.chain(*ids)) and len(ids[0]) == task.half
    assert corpus.chunks.tolist() == [[0, 2], [2, 4]]


def test_division_holds_out_whole_documents():
    documents = find_documents([np.array([f"text {number}" for number in range(50)])], with_pairs=False)
    trained, held_out = divide(documents, fraction=0.2, least=1, seed=0)
    assert len(held_out) == 10
    assert sorted(trained.sentences + held_out.sentences) == sorted(documents.sentences)
    assert divide(documents, fraction=0.2, least=1, seed=1)[1].sentences != held_out.sentences
    assert len(divide(documents, fraction=0, least=2, seed=0)[1]) == 0
    assert trained.sha256() != documents.sha256() != documents.take(np.arange(50)[::-1]).sha256()


def test_loss_too_large_for_a_perplexity():
    """A training that goes astray shall say so, and not fail in its report."""
    sums = {"mlm_sum": 1_440.0, "mlm_right": 0, "mlm_count": 2, "unigram_sum": 2.0}
    record = summarise(sums, ("mlm",))
    assert record["mlm_loss"] == 720.0 and record["mlm_perplexity"] == math.inf
    assert record["unigram_perplexity"] == pytest.approx(math.e)
