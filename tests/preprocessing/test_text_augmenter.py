"""TextAugmenter: each kind of change, what stays, and what decides."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline

from skllmrec import TextAugmenter

TEXT = "Blade Runner. science fiction, noir. a hunter looks for four who ran away"
NOTHING = {"token_dropout": 0.0}


def variants(text=TEXT, n=300, seed=0, **params):
    return TextAugmenter(**{**NOTHING, **params}).augment([text] * n, np.random.default_rng(seed))


def test_without_rates_texts_stay():
    assert set(variants()) == {TEXT}


@pytest.mark.parametrize("seed", [0, 1])
def test_fields_are_left_out_as_often_as_said(seed):
    found = variants(field_dropout=0.3, n=4000, seed=seed)
    fields = TEXT.split(". ")
    kept = np.array([[field in text.split(". ") for field in fields] for text in found])
    assert {part for text in found for part in text.split(". ")} == set(fields)
    # a text that would lose all three fields keeps one of them, drawn at random
    assert np.abs(kept.mean(axis=0) - (0.7 + 0.3**3 / 3)).max() < 4 * np.sqrt(0.21 / 4000)
    assert kept.any(axis=1).all()


def test_words_are_left_out_and_keep_their_order():
    found = variants(token_dropout=0.5)
    assert len(set(found)) > 100
    for text in found:
        for mine, field in zip(text.split(". "), TEXT.split(". "), strict=True):
            rest = iter(field.split())
            assert mine and all(word in rest for word in mine.split())
    assert set(variants(token_dropout=1.0, n=50)) <= {
        f"{a}. {b}. {c}"
        for a in ("Blade", "Runner")
        for b in ("science", "fiction,", "noir")
        for c in TEXT.split(". ")[2].split()
    }


def test_neighbours_swap_within_their_field():
    found = variants(word_swap=0.2)
    assert len(set(found)) > 20
    for text in found:
        assert [sorted(field.split()) for field in text.split(". ")] == [
            sorted(field.split()) for field in TEXT.split(". ")
        ]
    assert set(variants("one two", word_swap=1.0)) == {"two one"}


def test_windows_are_consecutive_words_from_everywhere():
    words = [f"w{i}" for i in range(10)]
    found = set(variants(" ".join(words), window=4))
    assert found == {" ".join(words[start : start + 4]) for start in range(7)}
    assert set(variants("short text", window=4)) == {"short text"}


@pytest.mark.parametrize("text", ["", "  ", ". ", "word", "one. two"])
def test_texts_of_little_are_safe(text):
    found = variants(text, field_dropout=1.0, token_dropout=1.0, word_swap=1.0, window=1, n=20)
    assert all(isinstance(result, str) for result in found)
    assert all(result in ("one", "two") if text == "one. two" else result == text.strip(" .") for result in found)


def test_transform_depends_on_seed_and_text_alone():
    texts = [TEXT, "another film. drama. nothing happens in it at all", TEXT]
    augmenter = TextAugmenter(token_dropout=0.3, random_state=3)
    changed = augmenter.fit_transform(texts)
    assert changed.dtype == object and changed.shape == (3,) and changed[0] == changed[2] != TEXT
    assert_array_equal(augmenter.transform(texts[::-1]), changed[::-1])
    assert_array_equal(clone(augmenter).fit(texts).transform(iter(texts)), changed)
    assert clone(augmenter).set_params(random_state=4).fit_transform(texts)[0] != changed[0]


def test_in_a_pipeline_with_frames():
    pipeline = make_pipeline(TextAugmenter(token_dropout=0.3), TfidfVectorizer())
    pipeline.set_params(textaugmenter__window=5)
    assert TextAugmenter().set_output(transform="pandas").fit_transform([TEXT]).shape == (1,)
    assert pipeline.fit_transform([TEXT, "other words. of another film"]).shape[0] == 2


def test_bad_input():
    with pytest.raises(ValueError, match="token_dropout"):
        TextAugmenter(token_dropout=1.5).fit([TEXT])
    with pytest.raises(ValueError, match="separator=''"):
        TextAugmenter(separator="").fit([TEXT])
    with pytest.raises(ValueError, match="position 1"):
        TextAugmenter().fit([TEXT]).transform([TEXT, None])
    with pytest.raises(NotFittedError):
        TextAugmenter().transform([TEXT])
