"""Documents as one array of tokens, with the bounds of sentences and of chunks that fit into a model."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from skllmrec._typing import Array, IntArray


@dataclass(frozen=True)
class Corpus:
    """Tokens of all documents, one after the other.

    Attributes
    ----------
    tokens : ndarray of int32, shape (n_tokens,)
    starts : ndarray of bool, shape (n_tokens,)
        Whether a token begins a word.
    bounds : ndarray of int64, shape (n_sentences + 1,)
        Positions of the first tokens of the sentences, and the end of the last sentence.
    chunks : ndarray of int64, shape (n_chunks, 2)
        First sentence of a chunk, and the sentence after its last one; all are of the same document.
    groups : ndarray of int64, shape (n_chunks, n_kinds)
        Documents of the chunks; chunks with equal numbers in any column never make a negative pair.
    """

    tokens: IntArray
    starts: Array
    bounds: IntArray
    chunks: IntArray
    groups: IntArray

    def examples(self) -> IntArray:
        """Return each chunk as an example without a second segment, see `draw_pairs`."""
        begin, end = self.bounds[self.chunks].T
        return np.column_stack([begin, end, end, end, np.full(len(begin), -1)])


def _pieces(length, most):
    """Divide a sentence into pieces of at most `most` tokens."""
    return [min(most, length - start) for start in range(0, length, most)]


def _group(pieces, most):
    """Group consecutive pieces that fit into `most` tokens; the last group has two pieces if two fit."""
    groups, start, size = [], 0, 0
    for place, piece in enumerate(pieces):
        if place > start and size + piece > most:
            groups.append((start, place))
            start, size = place, 0
        size += piece
    n_pieces = len(pieces)
    if start == n_pieces - 1 and start > 0 and pieces[start - 1] + pieces[start] <= most:
        start -= 1
    groups.append((start, n_pieces))
    return groups


def build_corpus(
    tokenize: Callable[[list[str]], Iterable[tuple[Any, Any]]],
    documents: Sequence[Sequence[str]],
    *,
    n_room: int,
    n_piece: int,
    groups: IntArray | None = None,
) -> Corpus:
    """Tokenise documents and divide them into chunks.

    Parameters
    ----------
    tokenize : callable
        ``tokenize(sentences)`` returns for each sentence its token ids, and whether they begin a word.
    documents : list of list of str
        Sentences of each document.
    n_room : int
        Maximal number of tokens of a chunk.
    n_piece : int
        Maximal number of tokens of a sentence, at most `n_room`; longer ones are divided.
    groups : ndarray of int, shape (n_documents, n_kinds), default=None
        Groups of the documents, see `Corpus`; None: each document is its own group.

    Returns
    -------
    Corpus
        Sentences without a token are left out.

    Examples
    --------
    >>> from skllmrec.language_models.pretraining._corpus import build_corpus
    >>> letters = lambda sentences: [([ord(letter) for letter in s], [True] * len(s)) for s in sentences]
    >>> corpus = build_corpus(letters, [["abc", "de"], ["f"]], n_room=4, n_piece=2)
    >>> corpus.bounds.tolist(), corpus.chunks.tolist(), corpus.groups.tolist()
    ([0, 2, 3, 5, 6], [[0, 2], [1, 3], [3, 4]], [[0], [0], [1]])
    """
    encoded = iter(tokenize([sentence for document in documents for sentence in document]))
    ids, starts, chunks = list[IntArray](), list[Array](), list[tuple[int, int]]()
    lengths, owners = list[int](), list[int]()
    for number, document in enumerate(documents):
        pieces = list[int]()
        for _ in document:
            sentence_ids, sentence_starts = next(encoded)
            ids.append(np.asarray(sentence_ids, dtype=np.int32))
            starts.append(np.asarray(sentence_starts, dtype=bool))
            pieces += _pieces(len(sentence_ids), n_piece)
        found = [(len(lengths) + a, len(lengths) + b) for a, b in _group(pieces, n_room)] if pieces else []
        chunks += found
        owners += [number] * len(found)
        lengths += pieces
    owner = np.array(owners, dtype=np.int64)
    return Corpus(
        tokens=np.concatenate([np.empty(0, np.int32), *ids]),
        starts=np.concatenate([np.empty(0, bool), *starts]),
        bounds=np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]),
        chunks=np.array(chunks, dtype=np.int64).reshape(-1, 2),
        groups=owner[:, None] if groups is None else groups[owner],
    )
