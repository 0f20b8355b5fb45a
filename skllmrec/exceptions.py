"""Errors and warnings of the package; every error is a ValueError that says what, where and what to do."""


class UnknownIdError(ValueError):
    """A user or an item was not seen by `fit` and `handle_unknown="error"`."""


class ModelNotFoundError(ValueError):
    """A language model could not be found under the given name; the message lists every place tried."""


class StoreError(ValueError):
    """An embedding store cannot be used: not writable, of another format, or damaged beyond its checksums."""


class VectorFileError(ValueError):
    """A file of vectors (`out=`) cannot be written or taken up again: made of other texts or by another encoder."""


class DatasetNotFoundError(OSError, ValueError):
    """A data set is not where it was said to be, or none of its sources can be reached."""


class RatingScaleWarning(UserWarning):
    """Implicit weights look like star ratings, so that dislikes would count as positives."""


class StoreWarning(UserWarning):
    """An embedding store was damaged and started anew, or could not keep vectors that were computed."""
