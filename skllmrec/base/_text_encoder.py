"""What every text encoder shares: checked texts in, one vector per text out, each distinct text encoded once."""

import operator
from abc import ABCMeta, abstractmethod
from collections.abc import Iterator

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.metadata_routing import UNUSED
from sklearn.utils.validation import check_is_fitted

from skllmrec._format import VersionedStateMixin
from skllmrec._progress import progress_bar
from skllmrec._sklearn import fit_context, output_container
from skllmrec._store import EmbeddingStore
from skllmrec._texts import check_texts, cut_blocks, text_blocks
from skllmrec.base._output._targets import open_target


def _distinct(texts):
    """Distinct texts in order of appearance, and for each row the position of its text among them."""
    position = {}
    inverse = np.fromiter((position.setdefault(text, len(position)) for text in texts), dtype=np.intp, count=len(texts))
    return list(position), inverse


class _Share:
    """Moves a progress bar over the texts of a block, in step with the work that they are."""

    def __init__(self, advance, n_texts):
        self._advance, self._n_texts, self._moved = advance, n_texts, 0

    def move(self, share):
        """Move to a share of the block between 0 and 1, never back."""
        steps = int(share * self._n_texts) - self._moved
        if steps > 0:
            self._moved += steps
            self._advance(steps)


class _CheckedJob:
    """An encoding job whose vectors are checked before anybody keeps them, and that moves a progress bar."""

    def __init__(self, job, n_dims, name, share):
        self._job, self._n_dims, self._name, self._share = job, n_dims, name, share
        self._done, self._total = 0, max(int(job.costs.sum()), 1)
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
        self._done += int(self._job.costs[positions].sum())
        self._share.move(self._done / self._total)
        return vectors


class BaseTextEncoder(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, VersionedStateMixin, BaseEstimator, metaclass=ABCMeta
):
    """Base class of encoders that turn one column of texts into one vector per text.

    A subclass says what has to be known before texts can be encoded (`_fit_encoder`), and how to encode distinct
    texts (`_start`); a subclass whose vectors may be kept, in a store or in a file, also names what they
    depend on (`_identity`). Checking the input, encoding every distinct text once, blocks that bound memory, files
    that are resumed, the store, the progress bar and the output container are the same for all.

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
    __metadata_request__transform = {"out": UNUSED}  # where one call's vectors go is nothing to route

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

    def fit_transform(self, X, y=None, **fit_params):
        """Fit, then encode the same texts.

        Parameters
        ----------
        X : list, ndarray, Series, one-column frame or iterator of str, length n_texts
            The texts, one per row; those of an iterator are read into a list first.
        y : object, default=None
            Handed to `fit`.
        **fit_params : dict
            Handed to `fit`.

        Returns
        -------
        ndarray of shape (n_texts, embedding_size_), dtype float32
            As `transform` returns it.

        Raises
        ------
        ValueError
            As `fit` and `transform` do.
        """
        return super().fit_transform(list(X) if isinstance(X, Iterator) else X, y, **fit_params)

    def transform(self, X, *, out=None):
        """Encode texts.

        Without `out`, a container of texts is taken as a whole: every distinct text is encoded once. An iterator,
        or any texts with `out`, are taken in blocks of 8,192 texts (fewer if they are long), so that memory does
        not grow with their number; a text is encoded once in each block that it is in, once altogether with a
        store (parameter ``memory``).

        Parameters
        ----------
        X : list, ndarray, Series, one-column frame or iterator of str, length n_texts
            The texts, one per row.
        out : None, ndarray of shape (n_texts, embedding_size_), str or path-like, default=None
            Where the vectors go.

            - None: into a new array.
            - A writeable array of dtype float32, such as a ``numpy.memmap``: it is filled and returned. After an
              error, e.g. of the iterator, the rows of the blocks before it are filled.
            - The path of a ``.npy`` file. The file is written block by block as ``<path>.partial`` and gets its name
              when it is complete. The same call after an interruption, even a kill, goes on where the file ends;
              the texts before are read and compared, not encoded again, and the call with a complete file encodes
              nothing. ``<path>.json`` records what the vectors are of; keep it beside the file. Another process that
              is given the same path waits.

        Returns
        -------
        ndarray of shape (n_texts, embedding_size_), dtype float32
            One finite vector per text; a frame after ``set_output``. With `out`, this array, or the file
            as a read-only memory map.

        Raises
        ------
        ValueError
            If a row is not a string, the model gives NaN or infinity, or `out` does not fit the texts or the
            container of ``set_output``.
        TypeError
            If `out` is of another type.
        VectorFileError
            If the file, complete or not, is of other texts, of another encoder or of another program, or is damaged:
            nothing is overwritten. Also if the disk is full.
        NotImplementedError
            If `out` is a path and the encoder does not name what its vectors depend on.
        sklearn.exceptions.NotFittedError
            Before `fit`.

        Examples
        --------
        >>> import tempfile
        >>> from pathlib import Path
        >>> from skllmrec import LLMTextEncoder
        >>> encoder = LLMTextEncoder().fit(["any text"])
        >>> texts = (f"film number {number}" for number in range(20))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     vectors = encoder.transform(texts, out=Path(folder) / "vectors.npy")
        ...     type(vectors).__name__, vectors.shape, sorted(path.name for path in Path(folder).iterdir())
        ...     del vectors  # closes the file
        ('memmap', (20, 384), ['vectors.npy', 'vectors.npy.json'])
        """
        check_is_fitted(self)
        name = type(self).__name__
        if out is None and not isinstance(X, Iterator):
            texts, inverse = _distinct(check_texts(X, name=name))
            vectors = self._encode_blocks(cut_blocks(texts), None, n_texts=len(texts), n_expected=len(texts))
            return vectors if len(texts) == len(inverse) else vectors[inverse]
        if out is not None and (container := output_container(self)) != "default":
            raise ValueError(
                f"out= gives an array, but {name} is set to return {container}: leave one of them out, e.g. with "
                'set_output(transform="default")'
            )
        blocks, n_texts = text_blocks(X, name=name)
        return self._encode_blocks(blocks, out, n_texts=n_texts, n_expected=n_texts or operator.length_hint(X) or None)

    def _encode_blocks(self, blocks, out, *, n_texts, n_expected):
        """Send blocks of texts through the encoder, and their vectors to `out`."""
        name = type(self).__name__
        target = open_target(
            out, n_texts=n_texts, n_dims=self.embedding_size_, encoder=name, identity=lambda: self._identity()
        )
        with (
            target,
            progress_bar(
                n_expected,
                description=name if n_expected is None else f"{name}, {n_expected} texts",
                unit="texts",
                enabled=getattr(self, "verbose", False),
                initial=target.n_done,
            ) as advance,
        ):
            for block in target.unfinished(blocks):
                share = _Share(advance, len(block))
                texts, inverse = _distinct(block)
                target.append(block, self._encode_distinct(texts, share)[inverse])
                share.move(1.0)
            return target.result()

    def _encode_distinct(self, texts, share):
        """Vectors of distinct texts, out of the store where there is one."""

        def start(missing):
            return _CheckedJob(self._start(missing), self.embedding_size_, type(self).__name__, share)

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
        """All that a vector depends on besides its text, for the store and for files that can be resumed.

        Returns
        -------
        dict
            Anything that json can write.

        Raises
        ------
        NotImplementedError
            If a subclass needs it and does not define it.
        """
        raise NotImplementedError(
            f"{type(self).__name__} does not name what its vectors depend on, and vectors that are kept (memory=, or a "
            "path as out=) must not meet others: define _identity(), or pass an array as out="
        )

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
