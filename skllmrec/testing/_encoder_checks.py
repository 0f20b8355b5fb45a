"""check_encoder: the contract of encoders as a list of checks."""

# ruff: noqa: D401 - the docstring of a check is the rule that it checks
import inspect
import itertools
import pickle
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any
from unittest import SkipTest

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import get_tags

from skllmrec._texts import BLOCK_TEXTS
from skllmrec._typing import Estimator
from skllmrec.testing._expectations import TOLERANCE, expect_error, require

TEXTS = (
    "A young farmer learns that the stars are nearer than he thought.",
    "a film",
    "",
    "Two detectives follow a trail of letters through a rainy city, and neither trusts the other.",
    "a film",
    "電影 über кино 🎬",
    "   ",
)
_HEAVY = 100_000  # bytes; weights take more


def _targets(encoder, n_inputs):
    """Interactions of three users, all inputs or every other one, for encoders that learn from targets; else None."""
    if not get_tags(encoder).target_tags.required:
        return None
    rows = np.arange(n_inputs)
    return csr_array(np.column_stack([np.ones(n_inputs), rows % 2, 1 - rows % 2]))


def _are_texts(encoder, inputs):
    return inputs is TEXTS or get_tags(encoder).input_tags.string


def _fitted(encoder, inputs):
    return clone(encoder).fit(list(inputs), _targets(encoder, len(inputs)))


def _encoded(encoder, inputs):
    return _fitted(encoder, inputs).transform(list(inputs))


def check_output_is_finite_float32(encoder: Estimator, inputs: Any) -> None:
    """`transform` returns one finite float32 vector for each input, also for an empty text."""
    vectors = _encoded(encoder, inputs)
    require(isinstance(vectors, np.ndarray), f"transform returned a {type(vectors).__name__}, not an ndarray")
    require(vectors.dtype == np.float32, f"transform returned dtype {vectors.dtype}, not float32")
    require(vectors.ndim == 2 and len(vectors) == len(inputs), f"{vectors.shape} vectors for {len(inputs)} inputs")
    require(np.isfinite(vectors).all(), "transform returned NaN or infinity")
    require(np.ptp(vectors, axis=0).any(), "all inputs have the same vector")


def check_fit_transform_is_fit_then_transform(encoder: Estimator, inputs: Any) -> None:
    """`fit_transform` gives what `fit` and `transform` give, with or without y."""
    vectors = _encoded(encoder, inputs)
    targets = _targets(encoder, len(inputs))
    assert_allclose(clone(encoder).fit_transform(list(inputs), targets), vectors, **TOLERANCE)
    if targets is None:
        assert_allclose(clone(encoder).fit_transform(list(inputs), np.arange(len(inputs))).shape, vectors.shape)


def check_texts_do_not_influence_each_other(encoder: Estimator, inputs: Any) -> None:
    """The vector of an input does not depend on the other inputs, their order or their number."""
    model = _fitted(encoder, inputs)
    vectors = model.transform(list(inputs))
    assert_allclose(np.concatenate([model.transform([value]) for value in inputs]), vectors, **TOLERANCE)
    assert_allclose(model.transform(list(inputs[::-1])), vectors[::-1], **TOLERANCE)
    twice = model.transform([*inputs, inputs[1]])
    assert_array_equal(twice[1], twice[-1], err_msg="the same input has two vectors")


def check_refit_equals_fresh_fit(encoder: Estimator, inputs: Any) -> None:
    """A second fit leaves nothing of the first, and `fit` returns the estimator."""
    model = clone(encoder)
    others = ["something", "else", "again"] if _are_texts(encoder, inputs) else list(inputs[:3])
    require(model.fit(others, _targets(encoder, 3)) is model, "fit does not return self")
    model.fit(list(inputs), _targets(encoder, len(inputs)))
    assert_allclose(model.transform(list(inputs)), _encoded(encoder, inputs), **TOLERANCE)


def check_containers(encoder: Estimator, inputs: Any) -> None:
    """A list, tuple, array of objects, array of one column, Series and frame of one column give the same."""
    model = _fitted(encoder, inputs)
    vectors = model.transform(list(inputs))
    objects = np.fromiter(inputs, dtype=object, count=len(inputs))
    containers = [tuple(inputs), objects, objects[:, None]]
    if _are_texts(encoder, inputs):
        containers += [np.array(inputs), *_series_and_frames(inputs)]
    for container in containers:
        assert_allclose(model.transform(container), vectors, **TOLERANCE, err_msg=f"{type(container)}")


def _series_and_frames(texts):
    """Every kind of column that the installed frame libraries have."""
    try:
        import pandas as pd
    except ImportError:
        pass
    else:
        series = pd.Series(texts, index=range(10, 10 + len(texts)), name="text")
        yield from (series, series.astype(object), series.astype("category"), series.to_frame())
    try:
        import polars as pl
    except ImportError:
        return
    yield from (pl.Series("text", texts), pl.DataFrame({"text": texts}))


def check_bad_inputs(encoder: Estimator, inputs: Any) -> None:
    """A missing input and no rows are errors that name what and where."""
    model = _fitted(encoder, inputs)

    def fit(values):
        return clone(encoder).fit(values, _targets(encoder, 3))

    for method in (fit, model.transform):
        for value in (None, float("nan")):
            expect_error(ValueError, partial(method, [*inputs[:2], value]), "position 2")
        expect_error(ValueError, partial(method, []), "minimum of 1")


def check_bad_texts(encoder: Estimator, inputs: Any) -> None:
    """A single string, a missing text, bytes, several columns and no rows are errors that name what and where.

    Raises
    ------
    SkipTest
        If the encoder takes other inputs than texts.
    """
    if not _are_texts(encoder, inputs):
        raise SkipTest("the inputs are no texts")
    model = _fitted(encoder, inputs)

    def fit(texts):
        return clone(encoder).fit(texts, _targets(encoder, 3))

    for method in (fit, model.transform):
        expect_error(ValueError, partial(method, "a film"), "single", "list")
        for value in (None, float("nan"), b"bytes", 3):
            expect_error(ValueError, partial(method, ["a", "b", value]), "position 2", type(value).__name__)
        expect_error(ValueError, partial(method, ["a", "b", "\ud800"]), "position 2", "surrogate")
        expect_error(ValueError, partial(method, np.array([["a", "b"]])), "(1, 2)", "TextTemplate")
        expect_error(ValueError, partial(method, []), "minimum of 1")


def check_not_fitted(encoder: Estimator, inputs: Any) -> None:
    """`transform` before `fit` is scikit-learn's NotFittedError."""
    expect_error(NotFittedError, lambda: clone(encoder).transform(["a"]), type(encoder).__name__)


def check_parameters_are_left_alone(encoder: Estimator, inputs: Any) -> None:
    """`fit` and `transform` change no parameter, and a clone has the same ones."""
    model = clone(encoder)
    before = {name: repr(value) for name, value in model.get_params().items()}
    model.fit(list(inputs), _targets(encoder, len(inputs))).transform(list(inputs))
    require({name: repr(value) for name, value in model.get_params().items()} == before, "a parameter has changed")
    require({name: repr(v) for name, v in clone(model).get_params().items()} == before, "a clone differs")
    require(not hasattr(clone(model), "embedding_size_"), "a clone is fitted")


def check_pickle(encoder: Estimator, inputs: Any) -> None:
    """A pickle holds no weights, and what comes out of it encodes as before."""
    model = _fitted(encoder, inputs)
    vectors = model.transform(list(inputs))
    dumped = pickle.dumps(model)
    require(len(dumped) < _HEAVY, f"the pickle has {len(dumped):,} bytes")
    assert_allclose(pickle.loads(dumped).transform(list(inputs)), vectors, **TOLERANCE)  # noqa: S301 - just written


def check_feature_names(encoder: Estimator, inputs: Any) -> None:
    """`get_feature_names_out` names every column, and `set_output` makes frames with these names and the index.

    Raises
    ------
    SkipTest
        If neither pandas nor polars is installed.
    """
    model = _fitted(encoder, inputs)
    names = model.get_feature_names_out()
    vectors = model.transform(list(inputs))
    require(len(set(names)) == vectors.shape[1], f"{len(set(names))} names for {vectors.shape[1]} columns")
    found, targets = False, _targets(encoder, len(inputs))
    for library in ("pandas", "polars"):
        try:
            frame = clone(encoder).set_output(transform=library).fit_transform(list(inputs), targets)
        except ImportError:
            continue
        found = True
        require(list(frame.columns) == list(names), f"the columns of {library} are {list(frame.columns)[:3]}...")
        assert_allclose(frame.to_numpy(), vectors, **TOLERANCE)
    if not found:
        raise SkipTest("neither pandas nor polars is installed")


def check_tags(encoder: Estimator, inputs: Any) -> None:
    """The tags declare one column (of strings, for texts), and whether `fit` needs a target, which it asks for then."""
    tags = get_tags(encoder)
    require(tags.input_tags.one_d_array, "the tags do not declare that it takes one column")
    if _are_texts(encoder, inputs):
        require(tags.input_tags.string, "the tags do not declare that it takes strings")
    require(not tags.input_tags.two_d_array, "the tags declare that it takes tables")
    if tags.target_tags.required:
        expect_error(ValueError, lambda: clone(encoder).fit(list(inputs)), "requires y to be passed")


def _need_out(encoder):
    """Skip a check where `transform` is not that of BaseEncoder.

    Raises
    ------
    SkipTest
        If it has no parameter `out`.
    """
    if "out" not in inspect.signature(encoder.transform).parameters:
        raise SkipTest("transform has no parameter out: BaseEncoder brings it, and takes iterators")


def _unchanged(value):
    return value


def check_iterators(encoder: Estimator, inputs: Any) -> None:
    """Inputs from an iterator are encoded as those of a list; a bad one is an error that names its position.

    Raises
    ------
    SkipTest
        If `transform` has no parameter `out`.
    """
    _need_out(encoder)
    model = _fitted(encoder, inputs)
    vectors = model.transform(list(inputs))
    for iterator in (iter(inputs), (value for value in inputs), map(_unchanged, inputs)):
        assert_allclose(model.transform(iterator), vectors, **TOLERANCE, err_msg=type(iterator).__name__)
    assert_allclose(clone(encoder).fit_transform(iter(inputs), _targets(encoder, len(inputs))), vectors, **TOLERANCE)
    bad = (None, float("nan"), b"bytes", 3, "\ud800") if _are_texts(encoder, inputs) else (None, float("nan"))
    for value in bad:
        expect_error(ValueError, partial(model.transform, iter([*inputs, value])), f"position {len(inputs)}")
    expect_error(ValueError, lambda: model.transform(iter([])), "minimum of 1")


def check_out_array(encoder: Estimator, inputs: Any) -> None:
    """`out` is filled and returned; an array that does not fit is an error that says why, and stays as it was.

    Raises
    ------
    SkipTest
        If `transform` has no parameter `out`.
    """
    _need_out(encoder)
    model = _fitted(encoder, inputs)
    vectors = model.transform(list(inputs))
    for make in (list, iter):
        out = np.full_like(vectors, np.nan)
        require(model.transform(make(inputs), out=out) is out, "transform does not return out")
        assert_allclose(out, vectors, **TOLERANCE)
    n_inputs, n_dims = vectors.shape
    shapes = (n_inputs + 1, n_dims), (n_inputs, n_dims + 1), (n_inputs,)
    unfit = [(np.zeros(shape, dtype=np.float32), str(shape)) for shape in shapes]
    for out, word in [*unfit, (np.zeros((n_inputs, n_dims)), "float64")]:
        expect_error(ValueError, partial(model.transform, list(inputs), out=out), word)
        require(not out.any(), "an array that does not fit was written to")


def check_out_file(encoder: Estimator, inputs: Any) -> None:
    """A file named by `out` is complete or absent; a call that failed can be resumed, and other inputs are refused.

    Raises
    ------
    SkipTest
        If `transform` has no parameter `out`, or the encoder does not name what its vectors depend on.
    """
    _need_out(encoder)
    model = _fitted(encoder, inputs)
    values = list(itertools.islice(itertools.cycle(inputs), BLOCK_TEXTS + 3))  # more than a block
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "vectors.npy"
        try:
            expect_error(_BrokenOff, lambda: model.transform(_break_off(values, BLOCK_TEXTS + 1), out=path))
        except NotImplementedError as error:
            raise SkipTest(str(error)) from error
        require(not path.exists(), "a file that is not complete has the name of a complete one")
        vectors = _resume(model, values, path) if hasattr(model, "_start") else model.transform(values, out=path)
        assert_allclose(vectors, model.transform(list(inputs))[np.arange(len(values)) % len(inputs)], **TOLERANCE)
        del vectors  # some systems do not remove a file that is mapped into memory
        for others in (values[1:], values[:-1], [*values, inputs[0]]):
            expect_error(ValueError, partial(model.transform, others, out=path), path.name)


def _resume(model, values, path):
    """Complete a file that was begun; require that only inputs behind its last row are encoded."""
    started, start = [], model._start
    *complete, _ = model._cut_blocks(values[: BLOCK_TEXTS + 1])  # the last one was not complete
    rest = values[sum(map(len, complete)) :]

    def watched(inputs: Any) -> Any:
        started.extend(inputs)
        return start(inputs)

    model._start = watched
    vectors = model.transform(values, out=path)
    again = {model._fingerprint(value) for value in started} - {model._fingerprint(value) for value in rest}
    require(not again, "inputs whose vectors were in the file were encoded again")
    return vectors


class _BrokenOff(Exception):  # noqa: N818 - for any error of a source of inputs
    """The source of inputs has failed."""


def _break_off(values, n):
    """Yield n inputs, then fail.

    Raises
    ------
    _BrokenOff
        Behind the last of them.
    """
    yield from values[:n]
    raise _BrokenOff


ENCODER_CHECKS = (
    check_output_is_finite_float32,
    check_fit_transform_is_fit_then_transform,
    check_texts_do_not_influence_each_other,
    check_refit_equals_fresh_fit,
    check_containers,
    check_bad_inputs,
    check_bad_texts,
    check_iterators,
    check_out_array,
    check_out_file,
    check_not_fitted,
    check_parameters_are_left_alone,
    check_pickle,
    check_feature_names,
    check_tags,
)


def check_encoder(encoder: Estimator, *, inputs: Sequence[Any] | None = None) -> dict[str, str]:
    """Check that an encoder keeps the contract: what fit and transform promise.

    Every rule is tried on clones: on a handful of texts, long and short, empty, repeated, in several scripts; or on
    the inputs that are given.
    scikit-learn's own ``check_estimator`` skips estimators of strings. An encoder whose tags say that it needs
    a target is fitted to interactions.

    Parameters
    ----------
    encoder : encoder
        Unfitted, with the parameters that are to be checked; it is not modified.
    inputs : sequence or None, default=None
        At least three different valid inputs of an encoder of something else than texts, such as images.

    Returns
    -------
    outcomes : dict of str
        For each check "passed" or "skipped: reason".

    Raises
    ------
    AssertionError
        If checks fail: all failures, each with its rule and what was found instead.

    See Also
    --------
    skllmrec.base.BaseTextEncoder : Base class for an encoder of texts of one's own.
    skllmrec.base.BaseEncoder : The same for other inputs.

    Examples
    --------
    >>> from skllmrec import LLMTextEncoder
    >>> from skllmrec.testing import check_encoder
    >>> outcomes = check_encoder(LLMTextEncoder(normalize=True))
    >>> outcomes["check_bad_texts"]
    'passed'
    """
    outcomes, problems = {}, []
    values = TEXTS if inputs is None else tuple(inputs)
    for check in ENCODER_CHECKS:
        try:
            check(encoder, values)
            outcomes[check.__name__] = "passed"
        except SkipTest as reason:
            outcomes[check.__name__] = f"skipped: {reason}"
        except Exception as error:  # any error of the encoder under test is a finding
            found = f"{type(error).__name__}: {error}".strip().replace("\n", "\n    ")
            problems.append(f"- {check.__name__}: {check.__doc__}\n    {found}")
    if problems:
        raise AssertionError(f"{encoder} breaks {len(problems)} rules of encoders:\n" + "\n".join(problems))
    return outcomes
