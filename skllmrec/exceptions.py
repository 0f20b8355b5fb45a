"""Errors and warnings of the package.

All errors derive from `SkllmrecError`; their messages name the cause, the value and the remedy. Which built-in class an
error derives from shows who can help::

    SkllmrecError (Exception)
    |-- DivergenceError (ValueError)
    |-- NetworkError (ConnectionError, ValueError)
    |   `-- RemoteAPIError
    |-- StorageError (OSError, ValueError)
    |   |-- CheckpointError
    |   |-- DatasetNotFoundError
    |   |-- FileFormatError
    |   |   `-- FileVersionError
    |   |-- ModelNotFoundError
    |   |-- StoreError
    |   `-- VectorFileError
    `-- UnknownIdError (ValueError)

In parentheses: the built-in bases that a class adds to those of its parent. All are ValueErrors as well, so that
``except ValueError`` handles every error of the package. A service therefore asks for OSError first; ConnectionError
is one:

======================================  ==================================================  ===========
Class                                   Who can help                                        HTTP status
======================================  ==================================================  ===========
OSError (network, storage, any other)   the operator; the same request may succeed later    503
MemoryError                             the operator                                        503
``sklearn.exceptions.NotFittedError``   the developer, who serves a model without `fit`     500
ValueError, TypeError                   the caller: the request is wrong and fails again    422
any other class                         the developer: an error in the program              500
======================================  ==================================================  ===========

Parameters and tables of a wrong kind raise plain ValueErrors and TypeErrors, as everywhere in scikit-learn; a missing
extra raises ImportError. Private subclasses are not part of this tree: `compare_recommenders` raises one of
`SkllmrecError` and ValueError that names the estimator and the fold; those of the HTTP client and of the command line
never reach a caller.
"""


class SkllmrecError(Exception):
    """Base class of all errors that only this package raises."""


class DivergenceError(SkllmrecError, ValueError):
    """A training by gradients ran to infinite values; the message names the step and the learning rate."""


class NetworkError(SkllmrecError, ConnectionError, ValueError):
    """Another server cannot be reached, refuses, or answers what cannot be used."""


class RemoteAPIError(NetworkError):
    """A server cannot be reached or does not answer as it should; the message names address, tries and remedy.

    Parameters
    ----------
    message : str
        What happened and what to do.
    status : int or None, default=None
        Status code of the last answer; None if there was none.
    detail : str, default=""
        The message of the server, shortened.
    """

    # what the client has read out of the whole answer, for callers within the package
    _refusal: tuple[str, int | None] | None = None

    def __init__(self, message: str, status: int | None = None, detail: str = "") -> None:
        super().__init__(message)  # the message alone, as a pickle needs it
        self.status, self.detail = status, detail


class StorageError(SkllmrecError, OSError, ValueError):
    """A file or a folder is missing, damaged, of another origin, or cannot be written.

    `errno` is None; where the operating system raised the first error, that error is the cause and has it.
    """


class CheckpointError(StorageError):
    """A saved training or model is damaged, has changed, or belongs to another configuration."""


class DatasetNotFoundError(StorageError):
    """A data set is not in the given place, or none of its sources can be reached."""


class FileFormatError(StorageError):
    """A file cannot be read: it is damaged, cut off, incomplete, or of another format."""


class FileVersionError(FileFormatError):
    """A saved estimator, checkpoint or table of results has a format that this version of the package cannot read."""


class ModelNotFoundError(StorageError):
    """A language model could not be found under the given name; the message lists every place tried."""


class StoreError(StorageError):
    """An embedding store cannot be used: not writable, of another format, or damaged beyond its checksums."""


class VectorFileError(StorageError):
    """A file of vectors (`out=`) cannot be written or continued: it holds other texts or vectors of another encoder."""


class UnknownIdError(SkllmrecError, ValueError):
    """A user or an item was not seen by `fit` and `handle_unknown="error"`."""


class HeavyTailWarning(UserWarning):
    """y looks like raw counts of which a few hold much of the sum, so that a few rows would decide what is learned."""


class RatingScaleWarning(UserWarning):
    """Implicit weights look like ratings, so that dislikes would count as likes; or ratings look like events."""


class RepeatedRowsWarning(UserWarning):
    """Test rows repeat a user and an item of the training rows, so that they can never be hits."""


class StoreWarning(UserWarning):
    """An embedding store was damaged and started anew, or could not keep vectors that were computed."""
