"""Word2Vec trained on given texts by gensim."""

import numpy as np

from skllmrec._optional import import_optional
from skllmrec._typing import FloatArray

_MAX_SENTENCE = 10_000  # gensim drops what is beyond, silently


def train_word2vec(
    sentences: list[list[str]], *, n_components: int, window: int, min_count: int, epochs: int, seed: int
) -> tuple[list[str], FloatArray]:
    """Train skip-gram Word2Vec with five negative samples; the same sentences and seed give the same vectors.

    Parameters
    ----------
    sentences : list of list of str
        The words of each text.
    n_components : int
        Length of a vector.
    window : int
        Largest distance of two words that predict each other.
    min_count : int
        Words that occur less often get no vector.
    epochs : int
        Passes over the sentences.
    seed : int
        Of initial values, sampling and windows.

    Returns
    -------
    words : list of str
        By falling frequency.
    vectors : ndarray of shape (n_words, n_components), dtype float32

    Raises
    ------
    ImportError
        If gensim is not installed.
    """
    word2vec = import_optional("gensim.models.word2vec", extra="wordvectors", purpose="WordVectorEncoder(vectors=None)")
    pieces = [words[i : i + _MAX_SENTENCE] for words in sentences for i in range(0, len(words), _MAX_SENTENCE)]
    # one worker: several would take turns in an order of their own
    model = word2vec.Word2Vec(
        vector_size=n_components, window=window, min_count=min_count, sg=1, negative=5, seed=seed, workers=1
    )
    model.build_vocab(pieces)
    if len(model.wv):
        model.train(pieces, total_examples=len(pieces), epochs=epochs)
    return list(model.wv.index_to_key), np.array(model.wv.vectors, dtype=np.float32).reshape(-1, n_components)
