"""Tokenizers for pre-training: their training on a corpus, and the special tokens that they add."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from skllmrec._backbone._quiet import loading, quiet
from skllmrec._typing import Array

if TYPE_CHECKING:
    import transformers

TOKENIZERS = ("wordpiece", "bpe")
_LETTERS = 1000  # maximal number of letters that are tokens, a usual value
_CONTINUES = "##"  # prefix of tokens inside words
_SPECIAL = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}


def train_tokenizer(
    texts: Sequence[str], *, kind: str, vocab_size: int, max_length: int
) -> "transformers.PreTrainedTokenizerBase":
    """Train a tokenizer.

    Parameters
    ----------
    texts : list of str
        The corpus.
    kind : {"wordpiece", "bpe"}
        Word pieces as in BERT (lower case, no accents, every Chinese character a word), or byte pairs (lossless).
    vocab_size : int
        Maximal number of tokens; there are fewer if no more occur twice in the corpus.
    max_length : int
        Maximal number of tokens of an input of its model.

    Returns
    -------
    transformers.PreTrainedTokenizerBase
        With type ids that distinguish two segments; equal texts give an equal tokenizer.
    """
    train = _train_wordpiece if kind == "wordpiece" else _train_bpe
    with loading, quiet():
        return train(texts, {"vocab_size": vocab_size, "special_tokens": list(_SPECIAL.values())}, max_length)


def _train_wordpiece(texts, options, max_length):
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
    from transformers import BertTokenizer

    trained = Tokenizer(models.WordPiece(unk_token=_SPECIAL["unk"]))
    trained.normalizer = normalizers.BertNormalizer()
    trained.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    alphabet, inner = _alphabet(texts, trained)
    special = [*options["special_tokens"], *(_CONTINUES + letter for letter in inner)]
    options = {**options, "special_tokens": special, "initial_alphabet": alphabet, "limit_alphabet": len(alphabet)}
    trained.train_from_iterator(texts, trainers.WordPieceTrainer(min_frequency=2, show_progress=False, **options))
    return BertTokenizer(vocab=trained.get_vocab(), model_max_length=max_length)


def _alphabet(texts, tokenizer):
    """Return the letters that are tokens, and those of them that occur inside words, both in a fixed order.

    The trainer numbers letters inside words in an order that changes from run to run, and chooses between equally
    frequent pairs by these numbers. With the letters passed in a fixed order, the result is the same in each run.
    """
    chunks = Counter()
    for text in texts:
        chunks.update(tokenizer.normalizer.normalize_str(text).split())
    letters, inner = Counter(), Counter()
    for chunk, count in chunks.items():
        for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(chunk):
            for place, letter in enumerate(word):
                letters[letter] += count
                if place:
                    inner[letter] += count
    kept = sorted(letters, key=lambda letter: (-letters[letter], letter))[:_LETTERS]
    return sorted(kept), sorted(set(kept) & set(inner))


def _train_bpe(texts, options, max_length):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    trained.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(min_frequency=2, show_progress=False, initial_alphabet=alphabet, **options)
    trained.train_from_iterator(texts, trainer)
    begin, end = _SPECIAL["cls"], _SPECIAL["sep"]
    trained.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A {end}",
        pair=f"{begin} $A {end} $B:1 {end}:1",
        special_tokens=[(token, trained.token_to_id(token)) for token in (begin, end)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=trained,
        model_max_length=max_length,
        # without them, transformers leaves out the type ids
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        **{f"{name}_token": token for name, token in _SPECIAL.items()},
    )


def vocabulary_sha256(tokenizer: "transformers.PreTrainedTokenizerBase") -> str:
    """Compute the SHA-256 (hex) of the tokens and their ids."""
    lines = (f"{number} {token}\n" for token, number in sorted(tokenizer.get_vocab().items()))
    return hashlib.sha256("".join(lines).encode(errors="surrogatepass")).hexdigest()


def tokenize(tokenizer: "transformers.PreTrainedTokenizerBase", texts: Sequence[str]) -> list[tuple[list[int], Array]]:
    """Compute the token ids of texts without special tokens, and whether each token begins a word.

    Parameters
    ----------
    tokenizer : transformers.PreTrainedTokenizerBase
    texts : list of str

    Returns
    -------
    list of (list of int, ndarray of bool)
    """
    if not texts:
        return []
    encoded = tokenizer(texts, add_special_tokens=False, return_attention_mask=False, verbose=False)
    if encoded.encodings is None:  # a tokenizer that does not report the words of its tokens
        return [(ids, np.ones(len(ids), dtype=bool)) for ids in encoded["input_ids"]]
    words = (np.array([-1 if word is None else word for word in encoding.word_ids]) for encoding in encoded.encodings)
    return [(ids, np.diff(word, prepend=-2) != 0) for ids, word in zip(encoded["input_ids"], words, strict=True)]


@dataclass(frozen=True)
class Frame:
    """The special tokens around one segment or two.

    Attributes
    ----------
    single, pair : tuple of list of int
        Special tokens before, between (pairs) and after the segments.
    """

    single: tuple[list[int], ...]
    pair: tuple[list[int], ...]

    @property
    def n_special(self) -> int:
        """Number of special tokens of a pair."""
        return sum(map(len, self.pair))


def find_frame(tokenizer: "transformers.PreTrainedTokenizerBase") -> Frame:
    """Find the special tokens that a tokenizer adds.

    Parameters
    ----------
    tokenizer : transformers.PreTrainedTokenizerBase

    Returns
    -------
    Frame
    """
    content = tokenize(tokenizer, ["a"])[0][0]
    single, pair = tokenizer("a")["input_ids"], tokenizer("a", "a")["input_ids"]
    return Frame(tuple(_around(single, content, 1)), tuple(_around(pair, content, 2)))


def _around(ids, content, n_segments):
    """Split a list of tokens at each occurrence of `content`."""
    parts, start = [], 0
    for _ in range(n_segments):
        place = next(at for at in range(start, len(ids)) if ids[at : at + len(content)] == content)
        parts.append(ids[start:place])
        start = place + len(content)
    return [*parts, ids[start:]]
