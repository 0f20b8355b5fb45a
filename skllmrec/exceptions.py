"""Errors and warnings of the package; every error is a ValueError that says what, where and what to do."""


class UnknownIdError(ValueError):
    """A user or an item was not seen by `fit` and `handle_unknown="error"`."""


class ModelNotFoundError(ValueError):
    """A language model could not be found under the given name; the message lists every place tried."""


class StoreError(ValueError):
    """An embedding store cannot be used: not writable, of another format, or damaged beyond its checksums."""


class VectorFileError(ValueError):
    """A file of vectors (`out=`) cannot be written or taken up again: made of other texts or by another encoder."""


class FileVersionError(ValueError):
    """A saved estimator, checkpoint or table of results has a format that this version of the package cannot read."""


class RemoteAPIError(ValueError):
    """A server cannot be reached or does not answer as it should; the message names address, tries and remedy.

    Parameters
    ----------
    message : str
        What happened and what to do.
    status : int or None, default=None
        Status code of the last answer; None if there was none.
    detail : str, default=""
        What the server said, shortened.
    """

    def __init__(self, message, status=None, detail=""):
        super().__init__(message)  # the message alone, as a pickle needs it
        self.status, self.detail = status, detail


class DatasetNotFoundError(OSError, ValueError):
    """A data set is not where it was said to be, or none of its sources can be reached."""


class RatingScaleWarning(UserWarning):
    """Implicit weights look like star ratings, so that dislikes would count as positives."""


class StoreWarning(UserWarning):
    """An embedding store was damaged and started anew, or could not keep vectors that were computed."""
