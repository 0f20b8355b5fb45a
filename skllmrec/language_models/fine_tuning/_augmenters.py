"""What changes texts in a training: checked beforehand, and told apart by what it does."""

from sklearn.base import clone

from skllmrec.preprocessing import TextAugmenter


def check_augmenter(augmenter):
    """Refuse an augmenter that cannot work, before anything is trained.

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
        augmenter._validate_params()  # which a fit inside of another one leaves out
        clone(augmenter).fit()
    return augmenter


def describe_augmenter(augmenter):
    """Describe an augmenter for the configuration of a training, in the same way in every process.

    Parameters
    ----------
    augmenter : object or None

    Returns
    -------
    str or None
        Its own description; class and attributes where that is the address in memory.
    """
    if augmenter is None:
        return None
    kind = type(augmenter)
    if kind.__repr__ is not object.__repr__:
        return repr(augmenter)
    return f"{kind.__module__}.{kind.__qualname__} {getattr(augmenter, '__dict__', {})}"
