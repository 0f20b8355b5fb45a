"""TextAugmenter: changes texts at random, so that a model does not depend on single words or fields."""

import hashlib
import re
from collections.abc import Iterable
from numbers import Integral, Real
from typing import Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skllmrec._format import VersionedStateMixin
from skllmrec._sklearn import Interval, fit_context
from skllmrec._texts import check_texts
from skllmrec._typing import Array, RandomState, Texts
from skllmrec.preprocessing._columns import OwnContainerMixin

_WORD = re.compile(r"\S+")


def _drop(parts, rate, rng):
    """Leave out each part with probability `rate`, but keep at least one."""
    kept = rng.random(len(parts)) >= rate
    if len(parts) and not kept.any():
        kept[rng.integers(len(parts))] = True
    return [part for part, keep in zip(parts, kept, strict=True) if keep]


def _swap(words, rate, rng):
    """Swap each word with the next one with probability `rate`."""
    words = list(words)
    for position in np.flatnonzero(rng.random(max(len(words) - 1, 0)) < rate):
        words[position], words[position + 1] = words[position + 1], words[position]
    return words


def _window(words, size, rng):
    """Cut out `size` consecutive words at a random position."""
    if len(words) <= size:
        return words
    start = int(rng.integers(len(words) - size + 1))
    return words[start : start + size]


class TextAugmenter(OwnContainerMixin, TransformerMixin, VersionedStateMixin, BaseEstimator):
    """Change texts at random: leave out fields and words, swap adjacent words, cut out a window.

    It is made for ``LLMFineTuner(augmenter=...)``, which calls `augment` for every training batch and encodes unchanged
    texts after training. In a Pipeline, `transform` changes a text in the same way in every call: the changes depend on
    `random_state` and the text only.

    The changes are made in the order of the parameters. A text of a single field or word keeps it, and an empty text is
    not changed.

    Parameters
    ----------
    field_dropout : float, default=0.0
        Probability that a field is left out; at least one field is kept.
    token_dropout : float, default=0.1
        Probability that a word is left out; at least one word of each field is kept. Words are separated by white
        space.
    word_swap : float, default=0.0
        Probability that a word is swapped with the next one of its field.
    window : int, default=None
        Longer texts are cut to this number of consecutive words, at a random position. If None, no text is cut.
    separator : str, default=". "
        Text between two fields, as in the template of :class:`TextTemplate`.
    random_state : int, RandomState instance or None, default=0
        Seed of `transform`; `augment` takes a generator.

    Attributes
    ----------
    seed_ : int
        Seed of `transform`.

    See Also
    --------
    LLMFineTuner : Trains a text encoder on texts that are changed in every epoch.

    References
    ----------
    .. [1] J. Wei and K. Zou, "EDA: easy data augmentation techniques for boosting performance on text classification
       tasks", EMNLP 2019: random deletion and random swap.

    Examples
    --------
    >>> import numpy as np
    >>> from skllmrec import TextAugmenter
    >>> augmenter = TextAugmenter(field_dropout=0.5, token_dropout=0.0)
    >>> augmenter.augment(["Alien. horror, space. 1979"] * 2, np.random.default_rng(1))
    ['Alien. horror, space', 'Alien']
    """

    _parameter_constraints: dict = {
        "field_dropout": [Interval(Real, 0, 1, closed="both")],
        "token_dropout": [Interval(Real, 0, 1, closed="both")],
        "word_swap": [Interval(Real, 0, 1, closed="both")],
        "window": [Interval(Integral, 1, None, closed="left"), None],
        "separator": [str],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        *,
        field_dropout: float = 0.0,
        token_dropout: float = 0.1,
        word_swap: float = 0.0,
        window: int | None = None,
        separator: str = ". ",
        random_state: RandomState = 0,
    ) -> None:
        self.field_dropout = field_dropout
        self.token_dropout = token_dropout
        self.word_swap = word_swap
        self.window = window
        self.separator = separator
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: object = None, y: object = None) -> Self:
        """Check the parameters and draw the seed of `transform`.

        Parameters
        ----------
        X : object, default=None
            Ignored, here by convention.
        y : None
            Ignored, here by convention.

        Returns
        -------
        self : TextAugmenter

        Raises
        ------
        ValueError
            If a parameter is invalid.
        """
        if not self.separator:
            raise ValueError("separator='' separates nothing: pass the text between two fields, or set field_dropout=0")
        self.seed_ = int(check_random_state(self.random_state).randint(2**31 - 1))
        return self

    def transform(self, X: Texts) -> Array:
        """Change texts; a text is changed in the same way in every call.

        Parameters
        ----------
        X : list, ndarray, Series, one-column frame or iterator of str, length n_texts
            The texts, one per row.

        Returns
        -------
        ndarray of shape (n_texts,), dtype object

        Raises
        ------
        ValueError
            If a row is not a string.
        sklearn.exceptions.NotFittedError
            Before `fit`.
        """
        check_is_fitted(self)
        texts = check_texts(X, name=type(self).__name__)
        changed = np.empty(len(texts), dtype=object)
        for row, text in enumerate(texts):
            text_seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])
            changed[row] = self._augment(text, np.random.default_rng([self.seed_, text_seed]))
        return changed

    def augment(self, texts: Iterable[str], rng: np.random.Generator) -> list[str]:
        """Change texts at random, differently in each call.

        Parameters
        ----------
        texts : sequence of str
            The texts, which are not checked.
        rng : numpy.random.Generator
            Source of all random numbers.

        Returns
        -------
        list of str
        """
        return [self._augment(text, rng) for text in texts]

    def _augment(self, text, rng):
        fields = [field for field in text.split(self.separator) if field.strip()]
        fields = _drop(fields, self.field_dropout, rng) if self.field_dropout else fields
        changed = []
        for field in fields:
            words = _WORD.findall(field)
            words = _drop(words, self.token_dropout, rng) if self.token_dropout else words
            words = _swap(words, self.word_swap, rng) if self.word_swap else words
            changed.append(" ".join(words))
        joined = self.separator.join(changed)
        if self.window is None:
            return joined
        return " ".join(_window(_WORD.findall(joined), self.window, rng))

    def __sklearn_is_fitted__(self):
        return hasattr(self, "seed_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.requires_fit = True
        return tags
