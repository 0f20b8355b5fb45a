"""check_encoder: the contract of text encoders as a list of checks."""
# ruff: noqa: D401 - the docstring of a check is the rule that it checks

import inspect
import itertools
import pickle
import tempfile
from collections.abc import Callable
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
_MAX_PICKLE_BYTES = 100_000  # weights would need more


def _targets(encoder, n_texts):
    """Interactions of three users with all texts or every other one; None for encoders without targets."""
    if not get_tags(encoder).target_tags.required:
        return None
    rows = np.arange(n_texts)
    return csr_array(np.column_stack([np.ones(n_texts), rows % 2, 1 - rows % 2]))


def _fitted(encoder, texts=TEXTS):
    return clone(encoder).fit(list(texts), _targets(encoder, len(texts)))


def _encoded(encoder, texts=TEXTS):
    return _fitted(encoder, texts).transform(list(texts))


def check_output_is_finite_float32(encoder: Estimator) -> None:
    """`transform` returns one finite float32 vector for each text, including an empty one."""
    vectors = _encoded(encoder)
    require(isinstance(vectors, np.ndarray), f"transform returned a {type(vectors).__name__}, not an ndarray")
    require(vectors.dtype == np.float32, f"transform returned dtype {vectors.dtype}, not float32")
    require(vectors.ndim == 2 and len(vectors) == len(TEXTS), f"{vectors.shape} vectors for {len(TEXTS)} texts")
    require(np.isfinite(vectors).all(), "transform returned NaN or infinity")
    require(np.ptp(vectors, axis=0).any(), "all texts have the same vector")


def check_fit_transform_is_fit_then_transform(encoder: Estimator) -> None:
    """`fit_transform` returns the result of `fit` and `transform`, with or without y."""
    vectors = _encoded(encoder)
    targets = _targets(encoder, len(TEXTS))
    assert_allclose(clone(encoder).fit_transform(list(TEXTS), targets), vectors, **TOLERANCE)
    if targets is None:
        assert_allclose(clone(encoder).fit_transform(list(TEXTS), np.arange(len(TEXTS))).shape, vectors.shape)


def check_texts_do_not_influence_each_other(encoder: Estimator) -> None:
    """The vector of a text does not depend on the other texts, their order or their number."""
    model = _fitted(encoder)
    vectors = model.transform(list(TEXTS))
    assert_allclose(np.concatenate([model.transform([text]) for text in TEXTS]), vectors, **TOLERANCE)
    assert_allclose(model.transform(list(TEXTS[::-1])), vectors[::-1], **TOLERANCE)
    assert_array_equal(vectors[1], vectors[4], err_msg="the same text has two vectors")


def check_refit_equals_fresh_fit(encoder: Estimator) -> None:
    """A second fit does not depend on the first one, and `fit` returns the estimator."""
    model = clone(encoder)
    require(model.fit(["something", "else", "again"], _targets(encoder, 3)) is model, "fit does not return self")
    model.fit(list(TEXTS), _targets(encoder, len(TEXTS)))
    assert_allclose(model.transform(list(TEXTS)), _encoded(encoder), **TOLERANCE)


def check_containers(encoder: Estimator) -> None:
    """A list, tuple, array of str or object, array, Series and frame of one column give equal vectors."""
    model = _fitted(encoder)
    vectors = model.transform(list(TEXTS))
    arrays = [np.array(TEXTS), np.array(TEXTS, dtype=object), np.array(TEXTS, dtype=object)[:, None]]
    for texts in (tuple(TEXTS), *arrays, *_series_and_frames()):
        assert_allclose(model.transform(texts), vectors, **TOLERANCE, err_msg=f"{type(texts)}")


def _series_and_frames():
    """Yield the texts as Series and frames of the installed libraries."""
    try:
        import pandas as pd
    except ImportError:
        pass
    else:
        series = pd.Series(TEXTS, index=range(10, 10 + len(TEXTS)), name="text")
        yield from (series, series.astype(object), series.astype("category"), series.to_frame())
    try:
        import polars as pl
    except ImportError:
        return
    yield from (pl.Series("text", TEXTS), pl.DataFrame({"text": TEXTS}))


def check_bad_texts(encoder: Estimator) -> None:
    """A single string, a missing text, bytes, several columns and no rows raise errors that name what and where."""
    model = _fitted(encoder)

    def fit(texts: Any) -> Any:
        return clone(encoder).fit(texts, _targets(encoder, 3))

    for method in (fit, model.transform):
        expect_error(ValueError, partial(method, "a film"), "single", "list")
        for value in (None, float("nan"), b"bytes", 3):
            expect_error(ValueError, partial(method, ["a", "b", value]), "position 2", type(value).__name__)
        expect_error(ValueError, partial(method, ["a", "b", "\ud800"]), "position 2", "surrogate")
        expect_error(ValueError, partial(method, np.array([["a", "b"]])), "(1, 2)", "TextTemplate")
        expect_error(ValueError, partial(method, []), "minimum of 1")


def check_not_fitted(encoder: Estimator) -> None:
    """`transform` before `fit` raises scikit-learn's NotFittedError."""
    expect_error(NotFittedError, lambda: clone(encoder).transform(["a"]), type(encoder).__name__)


def check_parameters_are_left_alone(encoder: Estimator) -> None:
    """`fit` and `transform` change no parameter, and a clone has the same parameters."""
    model = clone(encoder)
    before = {name: repr(value) for name, value in model.get_params().items()}
    model.fit(list(TEXTS), _targets(encoder, len(TEXTS))).transform(list(TEXTS))
    require({name: repr(value) for name, value in model.get_params().items()} == before, "a parameter has changed")
    require({name: repr(v) for name, v in clone(model).get_params().items()} == before, "a clone differs")
    require(not hasattr(clone(model), "embedding_size_"), "a clone is fitted")


def check_pickle(encoder: Estimator) -> None:
    """A pickle contains no weights, and the loaded encoder gives the same vectors."""
    model = _fitted(encoder)
    vectors = model.transform(list(TEXTS))
    dumped = pickle.dumps(model)
    require(len(dumped) < _MAX_PICKLE_BYTES, f"the pickle has {len(dumped):,} bytes")
    assert_allclose(pickle.loads(dumped).transform(list(TEXTS)), vectors, **TOLERANCE)  # noqa: S301 - just written


def check_feature_names(encoder: Estimator) -> None:
    """`get_feature_names_out` names every column, and `set_output` gives frames with these names.

    Raises
    ------
    SkipTest
        If neither pandas nor polars is installed.
    """
    model = _fitted(encoder)
    names = model.get_feature_names_out()
    vectors = model.transform(list(TEXTS))
    require(len(set(names)) == vectors.shape[1], f"{len(set(names))} names for {vectors.shape[1]} columns")
    found, targets = False, _targets(encoder, len(TEXTS))
    for library in ("pandas", "polars"):
        try:
            frame = clone(encoder).set_output(transform=library).fit_transform(list(TEXTS), targets)
        except ImportError:
            continue
        found = True
        require(list(frame.columns) == list(names), f"the columns of {library} are {list(frame.columns)[:3]}...")
        assert_allclose(frame.to_numpy(), vectors, **TOLERANCE)
    if not found:
        raise SkipTest("neither pandas nor polars is installed")


def check_tags(encoder: Estimator) -> None:
    """The tags declare one column of strings and whether a target is required; if it is, `fit` raises without it."""
    tags = get_tags(encoder)
    require(tags.input_tags.string and tags.input_tags.one_d_array, "the tags do not declare that it takes strings")
    require(not tags.input_tags.two_d_array, "the tags declare that it takes tables")
    if tags.target_tags.required:
        expect_error(ValueError, lambda: clone(encoder).fit(list(TEXTS)), "requires y to be passed")


def _need_out(encoder):
    """Skip a check if `transform` is not that of BaseTextEncoder.

    Raises
    ------
    SkipTest
        If it has no parameter `out`.
    """
    if "out" not in inspect.signature(encoder.transform).parameters:
        raise SkipTest("transform has no parameter out: BaseTextEncoder has it, and takes iterators")


def check_iterators(encoder: Estimator) -> None:
    """Texts from an iterator are encoded as those of a list; an error names the position of a bad one.

    Raises
    ------
    SkipTest
        If `transform` has no parameter `out`.
    """
    _need_out(encoder)
    model = _fitted(encoder)
    vectors = model.transform(list(TEXTS))
    for texts in (iter(TEXTS), (text for text in TEXTS), map(str, TEXTS)):
        assert_allclose(model.transform(texts), vectors, **TOLERANCE, err_msg=type(texts).__name__)
    assert_allclose(clone(encoder).fit_transform(iter(TEXTS), _targets(encoder, len(TEXTS))), vectors, **TOLERANCE)
    for value in (None, float("nan"), b"bytes", 3, "\ud800"):
        expect_error(ValueError, partial(model.transform, iter([*TEXTS, value])), f"position {len(TEXTS)}")
    expect_error(ValueError, lambda: model.transform(iter([])), "minimum of 1")


def check_out_array(encoder: Estimator) -> None:
    """`out` is filled and returned; an array of another shape or dtype raises an error and is not changed.

    Raises
    ------
    SkipTest
        If `transform` has no parameter `out`.
    """
    _need_out(encoder)
    model = _fitted(encoder)
    vectors = model.transform(list(TEXTS))
    for make in (list, iter):
        out = np.full_like(vectors, np.nan)
        require(model.transform(make(TEXTS), out=out) is out, "transform does not return out")
        assert_allclose(out, vectors, **TOLERANCE)
    n_texts, n_dims = vectors.shape
    shapes = (n_texts + 1, n_dims), (n_texts, n_dims + 1), (n_texts,)
    wrong = [(np.zeros(shape, dtype=np.float32), str(shape)) for shape in shapes]
    for out, word in [*wrong, (np.zeros((n_texts, n_dims)), "float64")]:
        expect_error(ValueError, partial(model.transform, list(TEXTS), out=out), word)
        require(not out.any(), "an array that does not fit was written to")


def check_out_file(encoder: Estimator) -> None:
    """A file named by `out` is complete or absent; a call resumes one that failed, and other texts raise an error.

    Raises
    ------
    SkipTest
        If `transform` has no parameter `out`, or the encoder does not declare what its vectors depend on.
    """
    _need_out(encoder)
    model = _fitted(encoder)
    texts = list(itertools.islice(itertools.cycle(TEXTS), BLOCK_TEXTS + 3))  # more than a block
    encoded: list[str] = []
    start = getattr(model, "_start", None)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "vectors.npy"
        try:
            expect_error(_SourceError, lambda: model.transform(_failing(texts, BLOCK_TEXTS + 1), out=path))
        except NotImplementedError as error:
            raise SkipTest(str(error)) from error
        require(not path.exists(), "a file that is not complete has the name of a complete one")
        if start is not None:
            model._start = _recorded(start, encoded)
        vectors = model.transform(texts, out=path)
        require(set(encoded) <= set(texts[BLOCK_TEXTS:]), "texts whose vectors were in the file were encoded again")
        assert_allclose(vectors, model.transform(list(TEXTS))[np.arange(len(texts)) % len(TEXTS)], **TOLERANCE)
        del vectors  # some systems cannot remove a file that is mapped into memory
        for others in (texts[1:], texts[:-1], [*texts, "one more"]):
            expect_error(ValueError, partial(model.transform, others, out=path), path.name)


class _SourceError(Exception):
    """An error of the source of texts."""


def _failing(texts, n):
    """Yield n texts, then fail.

    Raises
    ------
    _SourceError
        After the last text.
    """
    yield from texts[:n]
    raise _SourceError


def _recorded(start, encoded):
    """Return the method `start` of an encoder that also adds its texts to a list."""

    def wrapper(texts):
        encoded.extend(texts)
        return start(texts)

    return wrapper


ENCODER_CHECKS: tuple[Callable[[Estimator], None], ...] = (
    check_output_is_finite_float32,
    check_fit_transform_is_fit_then_transform,
    check_texts_do_not_influence_each_other,
    check_refit_equals_fresh_fit,
    check_containers,
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


def check_encoder(encoder: Estimator) -> dict[str, str]:
    """Check that a text encoder satisfies the contract of text encoders.

    Each check fits clones to a few texts: long, short, empty and repeated ones, in several scripts. scikit-learn's own
    ``check_estimator`` skips estimators of strings. An encoder whose tags declare that it requires a target is fitted
    to interactions.

    Parameters
    ----------
    encoder : text encoder
        An unfitted encoder with the parameters to check; it is not modified.

    Returns
    -------
    outcomes : dict of str
        Outcome of each check: "passed" or "skipped: reason".

    Raises
    ------
    AssertionError
        If a check fails. The message lists all failures, each with its rule and the result.

    See Also
    --------
    skllmrec.base.BaseTextEncoder : Base class of your own encoders.

    Examples
    --------
    >>> from skllmrec import LLMTextEncoder
    >>> from skllmrec.testing import check_encoder
    >>> outcomes = check_encoder(LLMTextEncoder(normalize=True))
    >>> outcomes["check_bad_texts"]
    'passed'
    """
    outcomes: dict[str, str] = {}
    problems = []
    for check in ENCODER_CHECKS:
        try:
            check(encoder)
            outcomes[check.__name__] = "passed"
        except SkipTest as reason:
            outcomes[check.__name__] = f"skipped: {reason}"
        except Exception as error:  # any error of the encoder under test is a failure
            result = f"{type(error).__name__}: {error}".strip().replace("\n", "\n    ")
            problems.append(f"- {check.__name__}: {check.__doc__}\n    {result}")
    if problems:
        raise AssertionError(f"{encoder} breaks {len(problems)} rules of text encoders:\n" + "\n".join(problems))
    return outcomes
