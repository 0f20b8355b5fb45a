"""Next-sentence prediction: division of texts into sentences, and positive and negative pairs of segments."""

import re

import numpy as np

from skllmrec._typing import Array, IntArray
from skllmrec.language_models.pretraining._corpus import Corpus

NEXT, OTHER, SINGLE = 1, 0, -1  # label: the second segment follows, is from another document, is missing

_ROUNDS = 20  # of drawing other documents of similar length
_REACH = 8  # maximal distance in the order of lengths in the first round; doubled in each round

# A sentence ends after its mark and the closing quotes and brackets that follow it. Full-width marks (Chinese, Japanese
# and others) always end it, ambiguous marks end it before white space. A line break ends it as well.
_CLOSING = "[\\\"'”’»)\\]」』）】]*"  # noqa: RUF001 - quotes and brackets of several scripts
_FULL, _AMBIGUOUS = "[。！？｡।॥]+", "[.!?…؟۔]+"  # noqa: RUF001 - and their marks
_END = re.compile(f"({_FULL}{_CLOSING})|({_AMBIGUOUS}{_CLOSING})(?=\\s)|[\\r\\n]+")


def split_sentences(text: str) -> list[str]:
    """Divide a text into sentences, in any language that ends them with a mark.

    A mark before white space and a lower-case letter does not end a sentence ("approx. five"), nor does a dot after a
    single upper-case letter ("J. Smith").

    Parameters
    ----------
    text : str

    Returns
    -------
    list of str
        Sentences without surrounding white space; none is empty.

    Examples
    --------
    >>> from skllmrec.language_models.pretraining._sentence_pairs import split_sentences
    >>> split_sentences('He left. "Why?" J. Smith paid 3.50 for it!')
    ['He left.', '"Why?"', 'J. Smith paid 3.50 for it!']
    >>> split_sentences("他走了。为什么？没人知道。")
    ['他走了。', '为什么？', '没人知道。']
    """
    sentences, start = [], 0
    for end in _END.finditer(text):
        if end[2] and _goes_on(text, end):
            continue
        sentences.append(text[start : end.end()].strip())
        start = end.end()
    sentences.append(text[start:].strip())
    return [sentence for sentence in sentences if sentence]


def _goes_on(text, end):
    """Whether an ambiguous mark is inside a sentence: an initial, or an abbreviation before a small letter."""
    before = text[max(end.start() - 2, 0) : end.start()]
    is_initial = end[2] == "." and before[-1:].isupper() and not before[:-1].strip()
    return is_initial or text[end.end() :].lstrip()[:1].islower()


def draw_others(lengths: Array, groups: IntArray, rows: IntArray, rng: np.random.Generator) -> IntArray:
    """Draw for each of some rows another row of similar length and of other groups.

    If negative segments had other lengths than positive ones, a model could classify pairs by length.

    Parameters
    ----------
    lengths : ndarray of int, shape (n,)
        Lengths of the segments.
    groups : ndarray of int, shape (n, n_kinds)
        Groups of the rows; a row with an equal number in any column is not drawn.
    rows : ndarray of int, shape (n_rows,)
        Rows for which another row is drawn.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of int, shape (n_rows,)
        Another row for each; the row itself if none was found.

    Examples
    --------
    >>> import numpy as np
    >>> from skllmrec.language_models.pretraining._sentence_pairs import draw_others
    >>> documents = np.array([[0], [0], [1], [1]])
    >>> bool((draw_others(np.ones(4), documents, np.array([0, 1]), np.random.default_rng(0)) >= 2).all())
    True
    """
    n = len(lengths)
    order = np.lexsort((rng.random(n), lengths))  # equal lengths in random order
    rank = np.empty(n, dtype=np.intp)
    rank[order] = np.arange(n)
    others, still, reach = rows.copy(), np.arange(len(rows)), _REACH
    for _ in range(_ROUNDS):
        place = rank[rows[still]] + rng.integers(-reach, reach + 1, len(still))
        place = np.abs(place)
        place = np.where(place < n, place, np.abs(2 * (n - 1) - place) % n)  # reflected at the ends
        found = order[place]
        differs = (groups[found] != groups[rows[still]]).all(axis=1)
        others[still[differs]] = found[differs]
        still, reach = still[~differs], min(2 * reach, n - 1)
        if not len(still):
            break
    return others


def draw_pairs(corpus: Corpus, half: int, rng: np.random.Generator) -> IntArray:
    """Divide each chunk of a corpus into two segments, and replace half of the second segments by other documents'.

    Parameters
    ----------
    corpus : Corpus
        Corpus whose chunks fit into the model.
    half : int
        Maximal number of tokens of a segment: the last ones before the cut, the first ones after it.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of int64, shape (n_chunks, 5)
        Begin and end of the first segment and of the second among the tokens of the corpus, and the label; a chunk of
        a single sentence has no second segment.
    """
    first, last = corpus.chunks.T
    is_pair = last - first > 1
    cut = np.where(is_pair, first + 1 + (rng.random(len(first)) * (last - first - 1)).astype(np.int64), last)
    begin, middle, end = corpus.bounds[first], corpus.bounds[cut], corpus.bounds[last]
    begin = np.where(is_pair, np.maximum(begin, middle - half), begin)
    end = np.minimum(end, middle + half)
    label = np.where(is_pair, NEXT, SINGLE)
    examples = np.column_stack([begin, middle, middle, end, label])
    pairs = np.flatnonzero(is_pair)
    wrong = rng.permutation(len(pairs))[: len(pairs) // 2]
    others = draw_others((end - middle)[pairs], corpus.groups[pairs], wrong, rng)
    found = others != wrong
    examples[pairs[wrong[found]], 2:4] = examples[pairs[others[found]], 2:4]
    examples[pairs[wrong[found]], 4] = OTHER
    return examples
