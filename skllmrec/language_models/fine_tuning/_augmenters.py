"""Augmenters of training texts: checked before the training, and described for checkpoints."""

from typing import Any

from sklearn.base import clone

from skllmrec.preprocessing import TextAugmenter


def check_augmenter(augmenter: Any) -> Any:
    """Check an augmenter before the training begins.

    Parameters
    ----------
    augmenter : object or None

    Returns
    -------
    object or None
        The same.

    Raises
    ------
    ValueError
        If a parameter of a `TextAugmenter` is invalid.
    TypeError
        If it is a class.

    Examples
    --------
    >>> from skllmrec import TextAugmenter
    >>> from skllmrec.language_models.fine_tuning._augmenters import check_augmenter
    >>> check_augmenter(TextAugmenter)
    Traceback (most recent call last):
    TypeError: augmenter is the class TextAugmenter: pass an instance of it, TextAugmenter(...)
    """
    if isinstance(augmenter, type):
        name = augmenter.__name__
        raise TypeError(f"augmenter is the class {name}: pass an instance of it, {name}(...)")
    if isinstance(augmenter, TextAugmenter):
        augmenter._validate_params()  # a nested fit skips the validation
        clone(augmenter).fit()
    return augmenter


def describe_augmenter(augmenter: Any) -> str | None:
    """Describe an augmenter for the configuration of a training, independently of the process.

    Parameters
    ----------
    augmenter : object or None

    Returns
    -------
    str or None
        Its ``repr``; class and attributes if it has only the default one, which contains the address in memory.
    """
    if augmenter is None:
        return None
    kind = type(augmenter)
    if kind.__repr__ is not object.__repr__:
        return repr(augmenter)
    return f"{kind.__module__}.{kind.__qualname__} {getattr(augmenter, '__dict__', {})}"
