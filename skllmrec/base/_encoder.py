"""What encoders of every modality share: checked inputs, one vector per input out, each distinct input encoded once."""

import operator
from abc import ABCMeta, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.metadata_routing import UNUSED
from sklearn.utils.validation import check_is_fitted

from skllmrec._format import VersionedStateMixin
from skllmrec._inputs import Column, FaultyInputsError, as_object_array, cut_blocks, no_inputs
from skllmrec._missing import is_missing
from skllmrec._progress import progress_bar
from skllmrec._sklearn import fit_context, output_container
from skllmrec._store import EmbeddingStore
from skllmrec._typing import Array, FloatArray, IntArray, Path
from skllmrec.base._output._targets import open_target

BLOCK_INPUTS = 8_192  # of any kind, encoded at once
BLOCK_BYTES = 1 << 26


class Block:
    """Consecutive inputs and what identifies each.

    Parameters
    ----------
    inputs : list
        Checked inputs.
    fingerprints : list of (bytes or str)
        Of each input.
    rows : ndarray of int
        Row of each input in the input of the user; the first one of an input that is there several times.
    """

    def __init__(self, inputs: list[Any], fingerprints: list[Any], rows: IntArray) -> None:
        self.inputs = inputs
        self.fingerprints = fingerprints
        self.rows = rows

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, part: slice) -> "Block":
        return Block(self.inputs[part], self.fingerprints[part], self.rows[part])


def _distinct(pairs, rows):
    """Distinct inputs in order of appearance, and for each row the position of its input among them.

    Parameters
    ----------
    pairs : iterable of (input, fingerprint), length n_inputs
    rows : ndarray of int, shape (n_inputs,)
        Row of each input in the input of the user.

    Returns
    -------
    block : Block
    inverse : ndarray of int, shape (n_inputs,)
    """
    position: dict[Any, int] = {}
    kept, firsts = [], []

    def numbers():
        for place, (value, fingerprint) in enumerate(pairs):
            number = position.setdefault(fingerprint, len(kept))
            if number == len(kept):
                kept.append(value)
                firsts.append(place)
            yield number

    inverse = np.fromiter(numbers(), dtype=np.intp, count=len(rows))
    return Block(kept, list(position), rows[firsts]), inverse


class _Share:
    """Moves a progress bar over the inputs of a block, in step with the work that they are."""

    def __init__(self, advance, n_inputs):
        self._advance = advance
        self._n_inputs = n_inputs
        self._moved = 0

    def move(self, share):
        """Move to a share of the block between 0 and 1, never back."""
        steps = int(share * self._n_inputs) - self._moved
        if steps > 0:
            self._moved += steps
            self._advance(steps)


class _CheckedJob:
    """An encoding job whose vectors are checked before they are stored, and that moves a progress bar."""

    def __init__(self, job, n_dims, name, kind, share, rows):
        self._job = job
        self._rows = rows
        self._n_dims = n_dims
        self._name = name
        self._kind = kind
        self._share = share
        self._done = 0
        self._total = max(int(job.costs.sum()), 1)
        self.groups = job.groups

    def encode(self, positions):
        """Encode the inputs at `positions`.

        Raises
        ------
        ValueError
            If the job gives vectors of another shape, NaN or infinity.
        FaultyInputsError
            If the job cannot encode some inputs; it names their rows.
        """
        try:
            vectors = np.asarray(self._job.encode(positions), dtype=np.float32)
        except FaultyInputsError as fault:
            fault.name_rows(self._rows[positions])
            raise
        if vectors.shape != (len(positions), self._n_dims):
            expected = len(positions), self._n_dims
            raise ValueError(f"{self._name} gives vectors of shape {vectors.shape} where {expected} was expected")
        wrong = ~np.isfinite(vectors).all(axis=1)
        if wrong.any():
            raise ValueError(
                f"{self._name} gives NaN or infinity for {np.count_nonzero(wrong)} of {len(vectors)} {self._kind}s, "
                f"the first at position {self._rows[positions[wrong]].min()}: half precision overflows in some "
                'models, use dtype="float32"'
            )
        self._done += int(self._job.costs[positions].sum())
        self._share.move(self._done / self._total)
        return vectors


class BaseEncoder(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, VersionedStateMixin, BaseEstimator, metaclass=ABCMeta
):
    """Base class of encoders that turn one column of inputs (images, sounds, texts) into one vector per input.

    A subclass defines three methods: what has to be known before inputs can be encoded (`_fit_encoder`), how
    distinct inputs are encoded (`_start`), and what identifies an input (`_fingerprint`). It may define how an
    input is checked (`_check_input`) and how large it is (`_size_of`), and names what an input is called
    (`_input_kind`, singular). A subclass whose vectors may be kept, in a store or in a file, also names what they
    depend on (`_identity`). Reading containers and iterators, encoding every distinct input once, blocks that bound
    memory, files that can be resumed, the store (a parameter ``memory``, where the subclass has one), the progress bar
    (a parameter ``verbose``) and the output container are the same for all.

    Attributes
    ----------
    embedding_size_ : int
        Length of a vector.

    See Also
    --------
    BaseTextEncoder : Base class of encoders of texts.

    Examples
    --------
    An encoder of grey images, whose vectors are the mean and the largest brightness:

    >>> import hashlib
    >>> import numpy as np
    >>> from skllmrec.base import BaseEncoder
    >>> class BrightnessEncoder(BaseEncoder):
    ...     _input_kind = "image"
    ...     def _check_input(self, image):
    ...         if np.ndim(image) != 2:
    ...             raise ValueError(f"a grey image has 2 dimensions, this one has {np.ndim(image)}")
    ...         return np.asarray(image, dtype=np.uint8)
    ...     def _fingerprint(self, image):
    ...         return hashlib.sha256(str(image.shape).encode() + image.tobytes()).digest()
    ...     def _fit_encoder(self, images):
    ...         return 2
    ...     def _start(self, images):
    ...         return BrightnessJob(images)
    >>> class BrightnessJob:
    ...     def __init__(self, images):
    ...         self.images = images
    ...         self.costs = np.array([image.size for image in images])
    ...         self.groups = [np.arange(len(images))]
    ...     def encode(self, positions):
    ...         return np.array([[self.images[i].mean(), self.images[i].max()] for i in positions], dtype=np.float32)
    >>> images = [np.zeros((2, 3)), np.array([[0, 100]]), np.zeros((2, 3))]
    >>> BrightnessEncoder().fit_transform(images)
    array([[  0.,   0.],
           [ 50., 100.],
           [  0.,   0.]], dtype=float32)
    >>> BrightnessEncoder().fit_transform([*images, np.zeros(3)])
    Traceback (most recent call last):
    ...
    ValueError: BrightnessEncoder: the image at position 3: a grey image has 2 dimensions, this one has 1
    """

    _parameter_constraints: dict = {}
    _input_kind: ClassVar[str] = "input"  # what one input is called in messages and progress bars; plural: add an s
    __metadata_request__transform: ClassVar[dict[str, Any]] = {"out": UNUSED}  # nothing to route: it is of one call

    @abstractmethod
    def _fit_encoder(self, inputs: Array) -> int:
        """Learn or look up what encoding needs, without encoding anything.

        Parameters
        ----------
        inputs : ndarray of shape (n_inputs,), dtype object
            The checked inputs.

        Returns
        -------
        int
            Length of a vector.
        """

    @abstractmethod
    def _start(self, inputs: list[Any]) -> Any:
        """Begin to encode distinct inputs.

        Parameters
        ----------
        inputs : list
            Distinct checked inputs.

        Returns
        -------
        object
            Has ``costs`` (ndarray of int, the work that each input is), ``groups`` (list of ndarray of int,
            positions of inputs to encode together, a partition of all) and ``encode(positions)`` -> ndarray of
            shape (len(positions), embedding_size_), float32.
        """

    @abstractmethod
    def _fingerprint(self, value: Any) -> bytes | str:
        """Return what identifies an input: equal for equal inputs only, in every process.

        Parameters
        ----------
        value : object
            A checked input.

        Returns
        -------
        bytes or str
            The input itself where it is short, such as a text; otherwise a digest of its content, such as the SHA-256
            of an image's shape and pixels, or of the file that a path names. A str is taken as its UTF-8.
        """

    def _check_input(self, value: Any) -> Any:
        """Return one input, which is not missing, in the form in which `_fingerprint` and `_start` take it.

        Parameters
        ----------
        value : object
            One row of the input.

        Returns
        -------
        object
            The input itself, unless a subclass converts it.

        Raises
        ------
        ValueError or TypeError
            If it is no valid input; the name of the encoder and the position are put before the message.
        """
        return value

    def _check_inputs(self, X: Any) -> Iterable[Any]:
        """Check a column of inputs.

        Parameters
        ----------
        X : list, ndarray, Series, one-column frame or iterator
            One input per row.

        Returns
        -------
        iterable
            Has a length for a container, which is checked as a whole; an iterator for an iterator, whose inputs are
            checked as they are taken.

        Raises
        ------
        ValueError
            If X is no column, has no rows, or a row is missing or is no valid input.
        """
        if isinstance(X, Iterator):
            return self._checked(X, " of the iterator")
        column = Column(X, type(self).__name__, self._input_kind)
        return list(self._checked(column, column.where))

    def _checked(self, values, where):
        """One checked input after the other.

        Raises
        ------
        ValueError
            If one is missing or no valid input.
        """
        for position, value in enumerate(values):
            subject = f"{type(self).__name__}: the {self._input_kind} at position {position}{where}"
            if is_missing(value):
                raise ValueError(f"{subject} is missing ({value!r}): drop its row or fill it first")
            try:
                checked = self._check_input(value)
            except (ValueError, TypeError) as error:
                raise ValueError(f"{subject}: {error}") from error
            yield checked

    def _size_of(self, value: Any) -> int:
        """Bytes of an input, by which inputs are cut into blocks; a path is small, whatever it names.

        Parameters
        ----------
        value : object
            A checked input.

        Returns
        -------
        int
        """
        if isinstance(value, (str, bytes)):
            return len(value)
        return int(getattr(value, "nbytes", 0))

    def _cut_blocks(self, inputs: Iterable[Any]) -> Iterator[list[Any]]:
        """Cut inputs into blocks that are encoded one after the other.

        Parameters
        ----------
        inputs : iterable
            Checked inputs.

        Returns
        -------
        iterator of list
        """
        return cut_blocks(inputs, most=BLOCK_INPUTS, most_size=BLOCK_BYTES, size_of=self._size_of)

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Check parameters and inputs, and get ready to encode; no input is encoded yet.

        Parameters
        ----------
        X : list, ndarray, Series or one-column frame, length n_inputs
            The inputs, one per row: str for an encoder of texts.
        y : None
            Ignored, here by convention.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter is invalid or a row is no valid input; the message names position, value and remedy.
        """
        inputs: Any = self._check_inputs(list(X) if isinstance(X, Iterator) else X)
        self.embedding_size_ = self._fit_encoder(as_object_array(inputs, len(inputs)))
        return self

    def fit_transform(self, X: Any, y: Any = None, **fit_params: Any) -> FloatArray:
        """Fit, then encode the same inputs.

        Parameters
        ----------
        X : list, ndarray, Series, one-column frame or iterator, length n_inputs
            The inputs, one per row; those of an iterator are read into a list first.
        y : object, default=None
            Handed to `fit`.
        **fit_params : dict
            Handed to `fit`.

        Returns
        -------
        ndarray of shape (n_inputs, embedding_size_), dtype float32
            As `transform` returns it.

        Raises
        ------
        ValueError
            As `fit` and `transform` do.
        """
        return super().fit_transform(list(X) if isinstance(X, Iterator) else X, y, **fit_params)

    def transform(self, X: Any, *, out: Array | Path | None = None) -> FloatArray:
        """Encode inputs, such as texts.

        Without `out`, a container of inputs is taken as a whole: every distinct input is encoded once. An iterator,
        or any inputs with `out`, are taken in blocks of 8,192 inputs (fewer if they are large), so that memory does
        not grow with their number; an input is encoded once in each block that it is in, once altogether with a
        store (parameter ``memory``).

        Parameters
        ----------
        X : list, ndarray, Series, one-column frame or iterator, length n_inputs
            The inputs, one per row: str for an encoder of texts.
        out : None, ndarray of shape (n_inputs, embedding_size_), str or path-like, default=None
            Where the vectors go.

            - None: into a new array.
            - A writeable array of dtype float32, such as a ``numpy.memmap``: it is filled and returned. After an
              error, e.g. of the iterator, the rows of the blocks before it are filled.
            - The path of a ``.npy`` file. The file is written block by block as ``<path>.partial`` and gets its name
              when it is complete. The same call after an interruption, even a kill, goes on where the file ends;
              the inputs before are read and compared, not encoded again, and the call with a complete file encodes
              nothing. ``<path>.json`` records what the vectors are of; keep it beside the file. Another process that
              is given the same path waits.

        Returns
        -------
        ndarray of shape (n_inputs, embedding_size_), dtype float32
            One finite vector per input; a frame after ``set_output``. With `out`, this array, or the file
            as a read-only memory map.

        Raises
        ------
        ValueError
            If a row is no valid input, the model gives NaN or infinity, or `out` does not fit the inputs or the
            container of ``set_output``.
        TypeError
            If `out` is of another type.
        VectorFileError
            If the file, complete or not, is of other inputs, of another encoder or of another program, or is damaged:
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
        if out is not None and (container := output_container(self)) != "default":
            raise ValueError(
                f"out= gives an array, but {name} is set to return {container}: leave one of them out, e.g. with "
                'set_output(transform="default")'
            )
        inputs: Any = self._check_inputs(X)
        if isinstance(inputs, Iterator):
            blocks = self._at_least_one(self._blocks(inputs))
            return self._encode_blocks(blocks, out, n_inputs=None, n_expected=operator.length_hint(X) or None)
        if out is not None:
            return self._encode_blocks(self._blocks(inputs), out, n_inputs=len(inputs), n_expected=len(inputs))
        return self._encode_container(inputs)

    def _encode_container(self, inputs):
        """Vectors of a container of inputs, of which every distinct one is encoded once."""
        pairs = ((value, self._fingerprint(value)) for value in inputs)
        distinct, inverse = _distinct(pairs, np.arange(len(inputs)))
        blocks = self._cut_block(distinct)
        vectors = self._encode_blocks(blocks, None, n_inputs=len(distinct), n_expected=len(distinct))
        return vectors if len(distinct) == len(inverse) else vectors[inverse]

    def _blocks(self, inputs):
        """Cut checked inputs into blocks with fingerprints."""
        start = 0
        for block in self._cut_blocks(inputs):
            rows = np.arange(start, start + len(block))
            yield Block(block, [self._fingerprint(value) for value in block], rows)
            start += len(block)

    def _cut_block(self, whole):
        """Cut a large block, whose fingerprints are known, into blocks that are encoded one after the other."""
        start = 0
        for inputs in self._cut_blocks(whole.inputs):
            stop = start + len(inputs)
            yield Block(inputs, whole.fingerprints[start:stop], whole.rows[start:stop])
            start = stop

    def _at_least_one(self, blocks):
        empty = True
        for block in blocks:
            empty = False
            yield block
        if empty:
            raise no_inputs(type(self).__name__, self._input_kind)

    def _encode_blocks(self, blocks, out, *, n_inputs, n_expected):
        """Send blocks of inputs through the encoder, and their vectors to `out`."""
        name, kinds = type(self).__name__, f"{self._input_kind}s"
        target = open_target(
            out,
            kinds=kinds,
            n_inputs=n_inputs,
            n_dims=self.embedding_size_,
            encoder=name,
            identity=lambda: self._identity(),
        )
        with (
            target,
            progress_bar(
                n_expected,
                description=name if n_expected is None else f"{name}, {n_expected} {kinds}",
                unit=kinds,
                enabled=getattr(self, "verbose", False),
                initial=target.n_done,
            ) as advance,
        ):
            for block in target.unfinished(blocks):
                share = _Share(advance, len(block))
                distinct, inverse = _distinct(zip(block.inputs, block.fingerprints, strict=True), block.rows)
                target.append(block, self._encode_distinct(distinct, share)[inverse])
                share.move(1.0)
            return target.result()

    def _encode_distinct(self, block, share):
        """Vectors of distinct inputs, out of the store where there is one."""

        def start(positions: IntArray) -> _CheckedJob:
            job = self._start([block.inputs[position] for position in positions])
            rows = block.rows[positions]
            return _CheckedJob(job, self.embedding_size_, type(self).__name__, self._input_kind, share, rows)

        try:
            return self._encode_missing(block, start)
        except FaultyInputsError as fault:
            error = fault.as_error()
        raise error

    def _encode_missing(self, block, start):
        memory = getattr(self, "memory", None)
        if memory is not None:
            store = memory if hasattr(memory, "fetch") else EmbeddingStore(memory)
            return store.fetch(self._identity(), self.embedding_size_, block.fingerprints, start)
        vectors = np.empty((len(block), self.embedding_size_), dtype=np.float32)
        job = start(np.arange(len(block)))
        for group in job.groups:
            vectors[group] = job.encode(group)
        return vectors

    def _identity(self) -> dict[str, Any]:
        """All that a vector depends on besides its input, for the store and for files that can be resumed.

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

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "embedding_size_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.transformer_tags.preserves_dtype = []
        return tags
