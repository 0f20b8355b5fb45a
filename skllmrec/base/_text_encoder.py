"""What every text encoder shares: checked texts in, one vector per text out, each distinct text encoded once."""

from abc import ABCMeta, abstractmethod
from contextlib import ExitStack

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skllmrec._progress import progress_bar
from skllmrec._sklearn import fit_context
from skllmrec._store import EmbeddingStore
from skllmrec._texts import check_texts


def _distinct(texts):
    """Distinct texts in order of appearance, and for each row the position of its text among them."""
    position = {}
    inverse = np.fromiter((position.setdefault(text, len(position)) for text in texts), dtype=np.intp, count=len(texts))
    return list(position), inverse


class _CheckedJob:
    """An encoding job whose vectors are checked before anybody keeps them, and that moves a progress bar."""

    def __init__(self, job, n_dims, name, advance):
        self._job, self._n_dims, self._name, self._advance = job, n_dims, name, advance
        self.groups = job.groups

    def encode(self, positions):
        """Encode the texts at `positions`.

        Raises
        ------
        ValueError
            If the job gives vectors of another shape, NaN or infinity.
        """
        vectors = np.asarray(self._job.encode(positions), dtype=np.float32)
        if vectors.shape != (len(positions), self._n_dims):
            expected = len(positions), self._n_dims
            raise ValueError(f"{self._name} gives vectors of shape {vectors.shape} where {expected} was expected")
        if not np.isfinite(vectors).all():
            raise ValueError(
                f"{self._name} gives NaN or infinity for {np.count_nonzero(~np.isfinite(vectors).all(axis=1))} of "
                f'{len(vectors)} texts: half precision overflows in some models, use dtype="float32"'
            )
        self._advance(int(self._job.costs[positions].sum()))
        return vectors


class BaseTextEncoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator, metaclass=ABCMeta):
    """Base class of encoders that turn one column of texts into one vector per text.

    A subclass says what has to be known before texts can be encoded (`_fit_encoder`), and how to encode distinct
    texts (`_start`); a subclass whose vectors may be kept in a store also names what they depend on
    (`_identity`). Checking the input, encoding every distinct text once, the store, the progress bar and the
    output container are the same for all.

    Attributes
    ----------
    embedding_size_ : int
        Length of a vector.

    See Also
    --------
    skllmrec.LLMTextEncoder : Vectors from a language model.

    Examples
    --------
    A text encoder of one's own, here with the counts of the five vowels as the vector:

    >>> import numpy as np
    >>> from skllmrec.base import BaseTextEncoder
    >>> class VowelEncoder(BaseTextEncoder):
    ...     def _fit_encoder(self, texts):
    ...         return 5
    ...     def _start(self, texts):
    ...         return VowelJob(texts)
    >>> class VowelJob:
    ...     def __init__(self, texts):
    ...         self.texts = texts
    ...         self.costs = np.array([len(text) for text in texts])
    ...         self.groups = [np.arange(len(texts))]
    ...     def encode(self, positions):
    ...         return np.array([[self.texts[i].count(v) for v in "aeiou"] for i in positions], dtype=np.float32)
    >>> VowelEncoder().fit_transform(["a banana", "", "a banana"])
    array([[4., 0., 0., 0., 0.],
           [0., 0., 0., 0., 0.],
           [4., 0., 0., 0., 0.]], dtype=float32)
    """

    _parameter_constraints: dict = {}

    @abstractmethod
    def _fit_encoder(self, texts):
        """Learn or look up what encoding needs, without encoding anything.

        Parameters
        ----------
        texts : ndarray of shape (n_texts,), dtype object
            The checked texts.

        Returns
        -------
        int
            Length of a vector.
        """

    @abstractmethod
    def _start(self, texts):
        """Begin to encode distinct texts.

        Parameters
        ----------
        texts : list of str
            Distinct texts.

        Returns
        -------
        object
            Has ``costs`` (ndarray of int, the work that each text is), ``groups`` (list of ndarray of int,
            positions of texts to encode together, a partition of all) and ``encode(positions)`` -> ndarray of
            shape (len(positions), embedding_size_), float32.
        """

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Check parameters and texts, and get ready to encode; no text is encoded yet.

        Parameters
        ----------
        X : list, ndarray, Series or one-column frame of str, length n_texts
            The texts, one per row.
        y : None
            Ignored, here by convention.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter is invalid or a row is not a string; the message names position, value and remedy.
        """
        self.embedding_size_ = self._fit_encoder(check_texts(X, name=type(self).__name__))
        return self

    def transform(self, X):
        """Encode texts, every distinct one once.

        Parameters
        ----------
        X : list, ndarray, Series or one-column frame of str, length n_texts
            The texts, one per row.

        Returns
        -------
        ndarray of shape (n_texts, embedding_size_), dtype float32
            One finite vector per text; a frame after ``set_output``.

        Raises
        ------
        ValueError
            If a row is not a string, or the model gives NaN or infinity.
        sklearn.exceptions.NotFittedError
            Before `fit`.
        """
        check_is_fitted(self)
        texts, inverse = _distinct(check_texts(X, name=type(self).__name__))
        return self._encode_distinct(texts)[inverse]

    def _encode_distinct(self, texts):
        """Vectors of distinct texts, out of the store where there is one."""
        with ExitStack() as bars:

            def start(missing):
                job = self._start(missing)
                bar = progress_bar(
                    int(job.costs.sum()),
                    description=f"{type(self).__name__}, {len(missing)} texts",
                    unit="tokens",
                    enabled=getattr(self, "verbose", False),
                )
                return _CheckedJob(job, self.embedding_size_, type(self).__name__, bars.enter_context(bar))

            memory = getattr(self, "memory", None)
            if memory is not None:
                store = memory if hasattr(memory, "fetch") else EmbeddingStore(memory)
                return store.fetch(self._identity(), self.embedding_size_, texts, start)
            vectors = np.empty((len(texts), self.embedding_size_), dtype=np.float32)
            job = start(texts)
            for group in job.groups:
                vectors[group] = job.encode(group)
            return vectors

    def _identity(self):
        """All that a vector depends on besides its text, for the store.

        Returns
        -------
        dict
            Anything that json can write.
        """
        raise NotImplementedError(f"{type(self).__name__} has a parameter memory but does not name what it depends on")

    @property
    def _n_features_out(self):
        return self.embedding_size_

    def __sklearn_is_fitted__(self):
        return hasattr(self, "embedding_size_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.transformer_tags.preserves_dtype = []
        return tags
