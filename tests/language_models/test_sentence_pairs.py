"""Sentences of several scripts, and pairs of which half belong together and nothing but content tells which."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skllmrec.language_models.pretraining._corpus import build_corpus
from skllmrec.language_models.pretraining._sentence_pairs import (
    NEXT,
    OTHER,
    SINGLE,
    draw_others,
    draw_pairs,
    split_sentences,
)


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("It cost 3.50 at example.org, approx. five.", ["It cost 3.50 at example.org, approx. five."]),
        ('She said "No." Then she left (at last). Really…', ['She said "No."', "Then she left (at last).", "Really…"]),
        ("By J. R. R. Tolkien. A ring.", ["By J. R. R. Tolkien.", "A ring."]),
        ("“他走了。”她说。然后呢？！没有。", ["“他走了。”", "她说。", "然后呢？！", "没有。"]),  # noqa: RUF001
        ("終わり。「はい。」", ["終わり。", "「はい。」"]),
        ("وداعا؟ نعم۔ ", ["وداعا؟", "نعم۔"]),  # noqa: RUF001
        ("यह है। वह है॥", ["यह है।", "वह है॥"]),
        ("a line\n\nanother line\r\n", ["a line", "another line"]),
        ("no end", ["no end"]),
        (" . ", ["."]),
        ("", []),
    ],
)
def test_sentences(text, sentences):
    assert split_sentences(text) == sentences


def letters(sentences):
    return [([ord(letter) for letter in sentence], [True] * len(sentence)) for sentence in sentences]


def make_corpus(n_documents=200, *, half=12, seed=0):
    """Every document is written in one letter of its own."""
    rng = np.random.default_rng(seed)
    documents = [
        [chr(1000 + number) * rng.integers(1, 9) for _ in range(rng.integers(1, 6))] for number in range(n_documents)
    ]
    return build_corpus(letters, documents, n_room=2 * half, n_piece=half), documents


def test_corpus_holds_every_token_of_every_sentence():
    corpus, documents = make_corpus()
    assert "".join(map(chr, corpus.tokens)) == "".join(sentence for document in documents for sentence in document)
    lengths = np.diff(corpus.bounds)
    sizes = [corpus.bounds[last] - corpus.bounds[first] for first, last in corpus.chunks]
    assert lengths.max() <= 12 and max(sizes) <= 24
    covered = np.zeros(len(lengths), dtype=int)
    for first, last in corpus.chunks:
        covered[first:last] += 1
        assert len(set(corpus.tokens[corpus.bounds[first] : corpus.bounds[last]])) == 1, "one document in a chunk"
    assert covered.min() >= 1
    several = [number for number, document in enumerate(documents) if len(document) > 1]
    paired = {
        group for group, (first, last) in zip(corpus.groups[:, 0], corpus.chunks, strict=True) if last - first > 1
    }
    assert paired == set(several), "documents of several sentences have pairs"


def test_long_sentences_are_cut_and_empty_ones_left_out():
    corpus = build_corpus(letters, [["a" * 25, ""], [""], ["b"]], n_room=20, n_piece=10)
    assert np.diff(corpus.bounds).tolist() == [10, 10, 5, 1]
    assert corpus.chunks.tolist() == [[0, 2], [1, 3], [3, 4]] and corpus.groups[:, 0].tolist() == [0, 0, 2]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_pairs(seed):
    corpus, _ = make_corpus(seed=seed)
    examples = draw_pairs(corpus, 12, np.random.default_rng(seed))
    labels = examples[:, 4]
    n_pairs = np.count_nonzero(labels != SINGLE)
    assert np.count_nonzero(labels == OTHER) == n_pairs // 2
    lengths = {NEXT: [], OTHER: []}
    for a0, a1, b0, b1, label in examples.tolist():
        assert 0 < a1 - a0 <= 24
        if label == SINGLE:
            assert b0 == b1
            continue
        assert a1 - a0 <= 12 and 0 < b1 - b0 <= 12
        assert (corpus.tokens[a0] == corpus.tokens[b0]) == (label == NEXT), "letters are documents"
        assert (a1 == b0) == (label == NEXT)
        lengths[label].append((a1 - a0, b1 - b0))
    means = {label: np.mean(found, axis=0) for label, found in lengths.items()}
    spread = np.std(lengths[NEXT], axis=0) * np.sqrt(4 / n_pairs)
    assert (np.abs(means[NEXT] - means[OTHER]) < 3 * spread).all(), "lengths tell nothing"
    sums = {label: np.corrcoef(np.transpose(found))[0, 1] for label, found in lengths.items()}
    assert abs(sums[NEXT] - sums[OTHER]) < 0.45, "nor does the sum of the two"


def test_every_epoch_draws_others():
    corpus, _ = make_corpus()
    first, second = (draw_pairs(corpus, 12, np.random.default_rng(seed)) for seed in (0, 1))
    assert (first != second).any()
    assert_array_equal(first, draw_pairs(corpus, 12, np.random.default_rng(0)))


def test_others_have_nothing_in_common():
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 5, (300, 2))
    rows = np.arange(300)
    others = draw_others(rng.integers(1, 50, 300), groups, rows, rng)
    assert (groups[others] != groups[rows]).all()


@pytest.mark.parametrize("n", [1, 2, 3])
def test_without_others_rows_stay_as_they_are(n):
    rows = np.arange(n)
    others = draw_others(np.ones(n), np.zeros((n, 1)), rows, np.random.default_rng(0))
    assert_array_equal(others, rows)


def test_one_other_is_found_among_many_that_are_not():
    groups = np.zeros((1000, 1))
    groups[700] = 1
    others = draw_others(np.arange(1000), groups, np.array([700, 3]), np.random.default_rng(0))
    assert groups[others[0]] == 0 and others[1] in (3, 700)
