"""A name for a configuration that is the same in every process: what decides a result, and nothing else."""

import hashlib
import importlib.metadata
import inspect
import platform
import sys
from functools import cache, partial
from numbers import Number
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any, cast

import numpy as np
from scipy.sparse import csr_array, issparse

from skllmrec import __version__
from skllmrec._optional import import_optional
from skllmrec._sklearn import is_frame, take_columns
from skllmrec.base import FeatureTable

_PACKAGES = ("numpy", "scipy", "scikit-learn", "numba", "torch", "transformers", "pandas")
_WITHOUT_EFFECT = frozenset({"verbose", "n_jobs"})  # parameters that change how something is computed, not what
_DEEPEST = 30
_IN_PYTHON = 1 << 9  # flag of a class that was made while the program ran


def versions() -> dict[str, str]:
    """Versions of what computes the figures, a dict of str; packages that are not installed are left out."""
    found = {"skllmrec": __version__, "Python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def digest(*parts: str | bytes) -> str:
    """SHA-256, in hex, of strings and bytes; where one ends and the next begins matters."""
    total = hashlib.sha256()
    for part in parts:
        part = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else bytes(part)
        total.update(len(part).to_bytes(8, "little"))
        total.update(part)
    return total.hexdigest()


def _hashable(values):
    """Replace lists and arrays among objects, as the histories of questions are, by tuples."""
    found = values.copy()
    for place, value in enumerate(values):
        if isinstance(value, list | np.ndarray):
            found[place] = tuple(np.asarray(value).tolist())
    return found


def _array(values):
    """Digest of an array; objects are distinguished by type and repr, those that are equal count once."""
    values = np.asarray(values)
    if values.dtype.kind in "biufcmMSU":
        return digest(values.dtype.str, repr(values.shape), np.ascontiguousarray(values).tobytes())
    pd = import_optional("pandas", extra="demo", purpose="compare_recommenders")
    codes, unique = pd.factorize(_hashable(values.ravel()))
    named = digest(*(f"{type(value).__name__} {value!r}" for value in unique))
    return digest("objects", repr(values.shape), codes.astype("<i8").tobytes(), named)


def fingerprint_data(data: Any) -> str:
    """Digest of a frame, a FeatureTable, an array, a sparse matrix or None: names of columns, types and values.

    Parameters
    ----------
    data : dataframe, FeatureTable, array-like, sparse matrix or None

    Returns
    -------
    digest : str
        Missing values of any kind count as equal.
    """
    if data is None:
        return digest("nothing")
    if isinstance(data, FeatureTable):
        return digest("table", repr(data.key), fingerprint_data(data.frame))
    if issparse(data):
        matrix = csr_array(cast(Any, data))
        parts = (matrix.data, matrix.indices, matrix.indptr)
        return digest("sparse", repr(matrix.shape), *(_array(part) for part in parts))
    if is_frame(data):
        columns = [(repr(name), _array(take_columns(data, name))) for name in data.columns]
        return digest("frame", *(part for column in columns for part in column))
    return _array(data)


@cache
def _content(path, size, changed):
    """Digest of a file of some size and time of change."""
    return digest(Path(path).read_bytes())


def _source(path):
    """Digest of a source file, or of all those in a folder."""
    path = Path(path)
    stats = [(file, file.stat()) for file in (sorted(path.rglob("*.py")) if path.is_dir() else [path])]
    return digest(*(_content(str(file), stat.st_size, stat.st_mtime_ns) for file, stat in stats))


@cache
def fingerprint_program() -> str:
    """Digest of the versions of all that computes, and of the source of this package when it is first asked for."""
    return digest(repr(versions()), _source(str(Path(__file__).parents[1])))


def _code_of(kind):
    """Digest of the files that define a class and what it inherits from; classes in C count by the versions.

    Of a class without a file, as in a notebook, the methods count.
    """
    found = []
    for part in (part for part in kind.__mro__ if part.__flags__ & _IN_PYTHON):
        path = getattr(sys.modules.get(part.__module__), "__file__", None) or ""
        if path.endswith(".py"):
            found.append(_source(path))
        elif not path:
            methods = [value for value in vars(part).values() if isinstance(value, FunctionType)]
            found += [_code(method.__code__) for method in methods]
    return digest(*found)


def _code(code):
    """Digest of compiled code, that of functions inside it too."""
    constants = [
        _code(part) if inspect.iscode(part) else repr(sorted(map(repr, part)) if isinstance(part, frozenset) else part)
        for part in code.co_consts
    ]
    return digest(code.co_code, repr(code.co_names), *constants)


def _is_plain(kind):
    """Whether all that objects of a class hold is in their ``__dict__``: no base class is written in C."""
    return all(part.__flags__ & _IN_PYTHON for part in kind.__mro__ if part is not object)


class Fingerprint:
    """Describe an object in text that is the same in every process.

    Scalars, texts, containers and arrays count by value; estimators, splitters and scorers by their class, the source
    of that class, and their parameters or attributes; functions by their compiled code and defaults. ``n_jobs`` and
    ``verbose`` are left out. What a name refers to is not read: the weights behind the name of a model, the
    content of a file, the global variables that a function reads.

    Parameters
    ----------
    value : object

    Attributes
    ----------
    digest : str
        SHA-256 of the description.
    unknown : list of str
        Where something lies that can only be told by its address in memory: another process cannot know it again.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from skllmrec.comparison._fingerprint import Fingerprint
    >>> Fingerprint(Ridge(alpha=2)).digest == Fingerprint(Ridge(alpha=2)).digest
    True
    >>> Fingerprint(Ridge(alpha=object())).unknown
    ['alpha (object)']
    """

    def __init__(self, value: Any) -> None:
        self.unknown: list[str] = []
        self.digest = digest(self._text(value, ()))

    def _text(self, value, where):
        if len(where) > _DEEPEST:
            return self._give_up(value, where)
        for kinds, describe in (
            ((type(None), bool, Number, str, bytes, np.generic, Path), lambda: f"{type(value).__name__} {value!r}"),
            ((type,), lambda: f"class {value.__module__}.{value.__qualname__} {_code_of(value)}"),
            ((ModuleType,), lambda: f"module {value.__name__}"),
            ((np.ndarray, FeatureTable), lambda: fingerprint_data(value)),
            ((list, tuple), lambda: self._sequence(value, where)),
            ((set, frozenset), lambda: digest("set", *sorted(self._text(part, (*where, "")) for part in value))),
            ((dict,), lambda: self._mapping(value, where)),
            ((FunctionType,), lambda: self._function(value, where)),
            ((MethodType,), lambda: f"method {value.__name__} {self._text(value.__self__, (*where, 'self'))}"),
            ((BuiltinFunctionType,), lambda: f"function {value.__module__}.{value.__name__}"),
            ((np.ufunc, np.dtype), lambda: repr(value)),
            ((partial,), lambda: f"partial {self._text([value.func, value.args, value.keywords], where)}"),
        ):
            if isinstance(value, kinds):
                return describe()
        return fingerprint_data(value) if issparse(value) or is_frame(value) else self._object(value, where)

    def _sequence(self, values, where):
        parts = [self._text(value, (*where, str(place))) for place, value in enumerate(values)]
        return digest(type(values).__name__, *parts)  # and not the parts, which would grow with every level

    def _mapping(self, values, where):
        parts = [(self._text(key, where), self._text(part, (*where, str(key)))) for key, part in values.items()]
        return digest(type(values).__name__, *(part for pair in parts for part in pair))

    def _function(self, function, where):
        cells = [cell.cell_contents for cell in function.__closure__ or ()]
        known = [function.__module__, function.__qualname__, function.__defaults__, function.__kwdefaults__, cells]
        return f"function {self._text(known, where)} {_code(function.__code__)}"

    def _object(self, value, where):
        if hasattr(value, "get_params"):
            state = value.get_params(deep=False)
        elif isinstance(value, np.random.RandomState):
            state = value.get_state(legacy=False)
        elif isinstance(value, np.random.Generator):
            state = value.bit_generator.state
        elif hasattr(value, "__dict__") and _is_plain(type(value)):
            state = vars(value)
        elif not hasattr(value, "__dict__") and " at 0x" not in repr(value):  # slices, types of arrays, dates, patterns
            return f"{type(value).__name__} {value!r}"
        else:
            return self._give_up(value, where)
        state = {key: part for key, part in sorted(state.items()) if key not in _WITHOUT_EFFECT}
        return f"{self._text(type(value), where)} {self._mapping(state, where)}"

    def _give_up(self, value, where):
        self.unknown.append(f"{'.'.join(where) or 'it'} ({type(value).__name__})")
        return "unknown"
