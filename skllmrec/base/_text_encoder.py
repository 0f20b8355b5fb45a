"""What every text encoder shares besides what all encoders do: a column of str, cut into blocks by characters."""

from collections.abc import Iterable, Iterator
from typing import Any

from skllmrec._texts import cut_blocks, open_texts
from skllmrec._typing import Texts
from skllmrec.base._encoder import BaseEncoder


class BaseTextEncoder(BaseEncoder):
    """Base class of encoders that turn one column of texts into one vector per text.

    A subclass defines what has to be known before texts can be encoded (`_fit_encoder`), and how distinct texts are
    encoded (`_start`); a subclass whose vectors may be kept, in a store or in a file, also names what they
    depend on (`_identity`). Checking the input, encoding every distinct text once, blocks that bound memory, files
    that are resumed, the store, the progress bar and the output container are the same for all.

    Attributes
    ----------
    embedding_size_ : int
        Length of a vector.

    See Also
    --------
    BaseEncoder : Base class of encoders of anything else.
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

    _input_kind = "text"

    def _check_inputs(self, X: Texts) -> Iterable[str]:
        return open_texts(X, name=type(self).__name__)

    def _fingerprint(self, value: str) -> str:
        return value

    def _cut_blocks(self, inputs: Iterable[str]) -> Iterator[list[str]]:
        return cut_blocks(inputs)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        return tags
