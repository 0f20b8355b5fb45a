"""Tokenizers that are trained: the same every time, words of their own, frames of special tokens."""

import numpy as np
import pytest
from tiny_models import SENTENCES

from skllmrec.language_models.pretraining._tokenizer import (
    TOKENIZERS,
    find_frame,
    tokenize,
    train_tokenizer,
    vocabulary_sha256,
)

TEXTS = [*SENTENCES, "他走了。沒人知道。", "Дом реки", "naïve café"] * 2


def make(kind, texts=TEXTS, vocab_size=400):
    return train_tokenizer(texts, kind=kind, vocab_size=vocab_size, max_length=32)


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_equal_texts_give_equal_tokenizers(kind):
    assert len({vocabulary_sha256(make(kind)) for _ in range(4)}) == 1
    assert vocabulary_sha256(make(kind, TEXTS[1:])) != vocabulary_sha256(make(kind))


def test_size_is_kept_and_frequent_words_are_tokens():
    texts = ["river stone river stone"] * 9
    tokenizer = make("wordpiece", texts)
    assert {"river", "stone"} <= set(tokenizer.get_vocab())
    assert len(make("wordpiece", vocab_size=120)) <= 120 < len(make("wordpiece", vocab_size=200)) <= 200


def test_chinese_characters_are_words_and_take_no_tokens_of_word_insides():
    vocabulary = make("wordpiece").get_vocab()
    assert "走" in vocabulary and "##走" not in vocabulary and "##." not in vocabulary


def test_bytes_lose_nothing():
    tokenizer = make("bpe")
    for text in (*TEXTS, "🎬 ünseen"):
        assert tokenizer.decode(tokenizer(text, add_special_tokens=False)["input_ids"]).strip() == text


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_words_begin_where_they_begin(kind):
    tokenizer = make(kind)
    ((ids, starts),) = tokenize(tokenizer, ["a detective, unknown"])
    pieces = tokenizer.convert_ids_to_tokens(ids)
    words, expected = [], ["a", "detective", ",", "unknown"]
    for piece, start in zip(pieces, starts, strict=True):
        piece = piece.removeprefix("##").replace("Ġ", "")
        words = [*words, piece] if start else [*words[:-1], words[-1] + piece]
    assert words == expected and len(pieces) > len(words)
    assert tokenize(tokenizer, []) == []


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_frames(kind):
    tokenizer = make(kind)
    cls, sep = tokenizer.cls_token_id, tokenizer.sep_token_id
    frame = find_frame(tokenizer)
    assert frame.single == ([cls], [sep]) and frame.pair == ([cls], [sep], [sep]) and frame.n_special == 3


def test_saved_tokenizer_is_the_same(tmp_path):
    from transformers import AutoTokenizer

    for kind in TOKENIZERS:
        tokenizer = make(kind)
        tokenizer.save_pretrained(tmp_path / kind)
        again = AutoTokenizer.from_pretrained(tmp_path / kind)
        for text in TEXTS:
            assert dict(again(text, "a dog")) == dict(tokenizer(text, "a dog"))
        assert np.unique(again("a", "b")["token_type_ids"]).tolist() == [0, 1]
