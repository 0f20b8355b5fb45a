"""The documents of a pre-training: read from texts or pairs of texts, divided, and converted to corpora of tokens."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from skllmrec._sklearn import is_frame, take_columns
from skllmrec._texts import check_texts
from skllmrec._typing import Array, IntArray, Texts
from skllmrec.language_models._distinct import hold_out_texts, number_equal
from skllmrec.language_models.pretraining._corpus import Corpus, build_corpus
from skllmrec.language_models.pretraining._sentence_pairs import split_sentences
from skllmrec.language_models.pretraining._tokenizer import tokenize

if TYPE_CHECKING:
    import transformers

    from skllmrec.language_models.pretraining._objectives import Collator


def read_texts(X: Texts, *, name: str) -> list[Array]:
    """Check one column of texts, or two of pairs.

    Parameters
    ----------
    X : list, ndarray, Series or frame of str, shape (n_texts,), (n_texts, 1) or (n_texts, 2)
    name : str
        Name of the estimator, for error messages.

    Returns
    -------
    list of ndarray of shape (n_texts,), dtype object
        One column, or two.

    Raises
    ------
    ValueError
        If there are more columns, or values that are not strings.
    """
    if isinstance(X, (list, tuple)) and len(X) and isinstance(X[0], (list, tuple)):
        X = np.array(X, dtype=object)
    if (is_frame(X) or isinstance(X, np.ndarray)) and X.shape[1:] == (2,):
        return [check_texts(take_columns(X, column), name=name) for column in range(2)]
    return [check_texts(X, name=name)]


def join_pairs(X: Texts, *, name: str) -> Any:
    """Join each pair of texts to one text; anything but two columns is returned unchanged.

    Parameters
    ----------
    X : list, ndarray, Series, frame or iterator of str
    name : str
        Name of the estimator, for error messages.

    Returns
    -------
    object
        X, or an ndarray of shape (n_pairs,), dtype object.

    Raises
    ------
    ValueError
        If a text of a pair is not a string.
    """
    if not isinstance(X, Iterator) and len(columns := read_texts(X, name=name)) == 2:
        return np.array([f"{first} {second}".strip() for first, second in zip(*columns, strict=True)], dtype=object)
    return X


@dataclass(frozen=True)
class Documents:
    """Texts as lists of sentences.

    Attributes
    ----------
    sentences : list of list of str
        Sentences of each document; none of them is empty.
    groups : ndarray of int, shape (n_documents, 2), or None
        For pairs of texts: numbers of the first and the second text; equal texts have equal numbers.
    """

    sentences: list[list[str]]
    groups: IntArray | None

    def __len__(self) -> int:
        return len(self.sentences)

    def take(self, rows: Sequence[int] | IntArray) -> "Documents":
        """Return some of the documents."""
        return Documents([self.sentences[row] for row in rows], None if self.groups is None else self.groups[rows])

    def sha256(self) -> str:
        """Compute the SHA-256 (hex) of all sentences."""
        digest = hashlib.sha256()
        for document in self.sentences:
            digest.update("\n".join(document).encode() + b"\0")
        return digest.hexdigest()

    def flat(self) -> Iterator[str]:
        """Iterate over all sentences."""
        return (sentence for document in self.sentences for sentence in document)


def find_documents(columns: list[Array], *, with_pairs: bool) -> Documents:
    """Make documents from texts; blank texts are left out.

    Parameters
    ----------
    columns : list of ndarray of str
        One column, or two.
    with_pairs : bool
        Whether texts of one column are divided into sentences.

    Returns
    -------
    Documents

    Raises
    ------
    ValueError
        If all texts are blank.
    """
    if len(columns) == 2:
        sentences = [[text for text in row if text.strip()] for row in zip(*columns, strict=True)]
        codes = np.column_stack([number_equal(column) for column in columns])
    else:
        sentences, codes = [split_sentences(t) if with_pairs else [t] * bool(t.strip()) for t in columns[0]], None
    kept = [row for row, found in enumerate(sentences) if found]
    if not kept:
        raise ValueError(f"the corpus is empty: none of its {len(columns[0])} texts has a visible character")
    return Documents(sentences, codes).take(kept)


def divide(documents: Documents, *, fraction: float, least: int, seed: int) -> tuple[Documents, Documents]:
    """Hold out some documents; equal documents stay together as far as possible.

    Parameters
    ----------
    documents : Documents
    fraction : float
        Share of the documents that is held out; 0 holds out none.
    least : int
        Minimal number of documents to hold out, and to train on.
    seed : int

    Returns
    -------
    trained, held_out : Documents

    Raises
    ------
    ValueError
        If there are too few documents.
    """
    n = len(documents)
    if fraction == 0:
        return documents, documents.take([])
    n_held = max(round(fraction * n), least)
    if n - n_held < least:
        raise ValueError(
            f"{n} text{'s' * (n != 1)} cannot be divided into at least {least} to learn from and {least} to hold out: "
            "give more texts, or early_stopping=False"
        )
    order = np.random.default_rng([seed, 1]).permutation(n)
    fitted, held_out = hold_out_texts(order, number_equal(map(tuple, documents.sentences)), n_held)
    if len(held_out) < least:
        fitted, held_out = np.sort(order[n_held:]), np.sort(order[:n_held])
    return documents.take(fitted), documents.take(held_out)


def make_corpus(
    documents: Documents, tokenizer: "transformers.PreTrainedTokenizerBase", collator: "Collator"
) -> Corpus:
    """Tokenise documents; each text of a pair is limited to one half of an example.

    Parameters
    ----------
    documents : Documents
    tokenizer : transformers.PreTrainedTokenizerBase
    collator : Collator

    Returns
    -------
    Corpus
    """
    n_room = collator.max_length - collator.frame.n_special
    is_paired, with_pairs = documents.groups is not None, "nsp" in collator.objectives

    def encode(sentences):
        encoded = tokenize(tokenizer, sentences)
        return [(ids[: collator.half], starts[: collator.half]) for ids, starts in encoded] if is_paired else encoded

    return build_corpus(
        encode,
        documents.sentences,
        n_room=n_room,
        n_piece=collator.half if with_pairs else n_room,
        groups=documents.groups,
    )


def check_pairs(corpus: Corpus, *, what: str) -> None:
    """Raise an error for a corpus from which no negative pair can be drawn.

    Parameters
    ----------
    corpus : Corpus
    what : str
        Purpose of the texts for the error message, e.g. ``"learn from"``.

    Raises
    ------
    ValueError
        If fewer than two documents have two sentences.
    """
    is_pair = np.diff(corpus.chunks, axis=1)[:, 0] > 1
    n = min((len(np.unique(kind)) for kind in corpus.groups[is_pair].T), default=0)
    if n < 2:
        raise ValueError(
            f"the objective 'nsp' needs at least two texts of two sentences or more, which do not belong together, and "
            f"found {n} among the texts to {what}: give longer texts, pairs in two columns, or objectives=('mlm',)"
        )
