"""Estimators from a file that the user names."""

import importlib.util
import sys
import traceback
from argparse import Namespace
from collections.abc import Collection
from pathlib import Path
from typing import Any

try:
    import cloudpickle  # what joblib sends work to its processes with
except ImportError:  # joblib before 1.6 brought its own
    from joblib.externals import cloudpickle

FUNCTION = "make_estimators"


def _where(path, error):
    """Name the file, and the line in it that an error comes from."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return f"{path}, line {error.lineno}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f"{path}, line {lines[-1]}" if lines else str(path)


def _run(path):
    """Run the file as a module of its name, so that pickles of its classes can be loaded where it can be imported."""
    name = path.stem
    known = sys.modules.get(name)
    if (known is None and importlib.util.find_spec(name)) or getattr(known, "__file__", str(path)) != str(path):
        raise ValueError(f"{path}: {name!r} is the name of an installed module as well: rename the file")
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise ValueError(f"{_where(path, error)}: {type(error).__name__}: {error}") from error
    cloudpickle.register_pickle_by_value(module)  # worker processes cannot import it
    return module


def _check(made, path, line, taken):
    """Raise an error unless what the function returned are estimators with new names."""
    place, example = f"{path}, line {line}: {FUNCTION}", "{'my model': MyRecommender()}"
    if not isinstance(made, dict) or not made:
        got = "an empty dict" if made == {} else f"a {type(made).__name__}"
        raise ValueError(f"{place} must return a dict of name: estimator, such as {example}, not {got}")
    for name, estimator in made.items():
        if not isinstance(name, str):
            raise ValueError(f"{place} must name estimators by texts, not {name!r}")
        if name in taken:
            raise ValueError(f"{place} uses the name {name!r}, which is taken: choose another")
        if isinstance(estimator, type):
            raise ValueError(f"{place}: {name!r} is the class {estimator.__name__}: call it to make an estimator")
        missing = [method for method in ("fit", "get_params") if not hasattr(estimator, method)]
        if missing:
            lacks = f"a {type(estimator).__name__} without {' and '.join(missing)}"
            raise ValueError(f"{place}: {name!r} is no estimator but {lacks}")


def load_own_estimators(path: str, data: Any, options: Namespace, taken: Collection[str]) -> dict[str, Any]:
    """Run a file and call its function ``make_estimators(data, options)``.

    Parameters
    ----------
    path : str
        A Python file. It is run, with all that this allows.
    data : JobData
        ``X`` (columns ``user_id, item_id``), ``y``, ``items``, ``template`` and ``columns`` (of the items' text).
    options : argparse.Namespace
        Those of the command line: ``feedback, k, trials, seed, model, ...``.
    taken : collection of str
        Names that others have.

    Returns
    -------
    estimators : dict of str to estimator

    Raises
    ------
    ValueError
        If there is no such file or function, the file fails, or it does not return estimators with new names; the
        message names file and line.
    """
    file = Path(path).resolve()
    if not file.is_file() or file.suffix != ".py":
        raise ValueError(f"--estimators {file}: there is no such Python file (.py)")
    if not file.stem.isidentifier():
        raise ValueError(f"--estimators {file}: {file.stem!r} cannot be the name of a module: rename the file")
    function = getattr(_run(file), FUNCTION, None)
    if not callable(function):
        raise ValueError(f"{file} defines no function {FUNCTION}(data, options) that returns a dict of name: estimator")
    try:
        made = function(data, options)
    except Exception as error:
        raise ValueError(f"{_where(file, error)}: {type(error).__name__}: {error}") from error
    line = getattr(getattr(function, "__code__", None), "co_firstlineno", 1)
    _check(made, file, line, taken)
    return made
