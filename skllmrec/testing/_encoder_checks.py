"""check_encoder: the contract of text encoders as a list of checks."""
# ruff: noqa: D401 - the docstring of a check is the rule that it checks

import pickle
from unittest import SkipTest

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import get_tags

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


def _encoded(encoder, texts=TEXTS):
    return clone(encoder).fit(list(texts)).transform(list(texts))


def check_output_is_finite_float32(encoder):
    """`transform` returns one finite float32 vector for each text, also for an empty one."""
    vectors = _encoded(encoder)
    require(isinstance(vectors, np.ndarray), f"transform returned a {type(vectors).__name__}, not an ndarray")
    require(vectors.dtype == np.float32, f"transform returned dtype {vectors.dtype}, not float32")
    require(vectors.ndim == 2 and len(vectors) == len(TEXTS), f"{vectors.shape} vectors for {len(TEXTS)} texts")
    require(np.isfinite(vectors).all(), "transform returned NaN or infinity")
    require(np.ptp(vectors, axis=0).any(), "all texts have the same vector")


def check_fit_transform_is_fit_then_transform(encoder):
    """`fit_transform` gives what `fit` and `transform` give, with or without y."""
    vectors = _encoded(encoder)
    assert_allclose(clone(encoder).fit_transform(list(TEXTS)), vectors, **TOLERANCE)
    targets = np.arange(len(TEXTS))
    assert_allclose(clone(encoder).fit_transform(list(TEXTS), targets).shape, vectors.shape)


def check_texts_do_not_influence_each_other(encoder):
    """The vector of a text does not depend on the other texts, their order or their number."""
    model = clone(encoder).fit(list(TEXTS))
    vectors = model.transform(list(TEXTS))
    assert_allclose(np.concatenate([model.transform([text]) for text in TEXTS]), vectors, **TOLERANCE)
    assert_allclose(model.transform(list(TEXTS[::-1])), vectors[::-1], **TOLERANCE)
    assert_array_equal(vectors[1], vectors[4], err_msg="the same text has two vectors")


def check_refit_equals_fresh_fit(encoder):
    """A second fit leaves nothing of the first, and `fit` returns the estimator."""
    model = clone(encoder)
    require(model.fit(["something", "else"]) is model, "fit does not return self")
    assert_allclose(model.fit(list(TEXTS)).transform(list(TEXTS)), _encoded(encoder), **TOLERANCE)


def check_containers(encoder):
    """A list, tuple, array of str or object, array of one column, Series and frame of one column give the same."""
    model = clone(encoder).fit(list(TEXTS))
    vectors = model.transform(list(TEXTS))
    arrays = [np.array(TEXTS), np.array(TEXTS, dtype=object), np.array(TEXTS, dtype=object)[:, None]]
    for texts in (tuple(TEXTS), *arrays, *_series_and_frames()):
        assert_allclose(model.transform(texts), vectors, **TOLERANCE, err_msg=f"{type(texts)}")


def _series_and_frames():
    """Every kind of column that the installed frame libraries have."""
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


def check_bad_texts(encoder):
    """A single string, a missing text, bytes, several columns and no rows are errors that say what and where."""
    model = clone(encoder).fit(list(TEXTS))
    for method in (clone(encoder).fit, model.transform):
        expect_error(ValueError, lambda method=method: method("a film"), "single", "list")
        for value in (None, float("nan"), b"bytes", 3):
            expect_error(ValueError, lambda v=value, m=method: m(["a", "b", v]), "position 2", type(value).__name__)
        expect_error(ValueError, lambda method=method: method(np.array([["a", "b"]])), "(1, 2)", "TextTemplate")
        expect_error(ValueError, lambda method=method: method([]), "minimum of 1")


def check_not_fitted(encoder):
    """`transform` before `fit` is scikit-learn's NotFittedError."""
    expect_error(NotFittedError, lambda: clone(encoder).transform(["a"]), type(encoder).__name__)


def check_parameters_are_left_alone(encoder):
    """`fit` and `transform` change no parameter, and a clone has the same ones."""
    model = clone(encoder)
    before = {name: repr(value) for name, value in model.get_params().items()}
    model.fit(list(TEXTS)).transform(list(TEXTS))
    require({name: repr(value) for name, value in model.get_params().items()} == before, "a parameter has changed")
    require({name: repr(v) for name, v in clone(model).get_params().items()} == before, "a clone differs")
    require(not hasattr(clone(model), "embedding_size_"), "a clone is fitted")


def check_pickle(encoder):
    """A pickle holds no weights, and what comes out of it encodes as before."""
    model = clone(encoder).fit(list(TEXTS))
    vectors = model.transform(list(TEXTS))
    dumped = pickle.dumps(model)
    require(len(dumped) < _HEAVY, f"the pickle has {len(dumped):,} bytes")
    assert_allclose(pickle.loads(dumped).transform(list(TEXTS)), vectors, **TOLERANCE)  # noqa: S301 - just written


def check_feature_names(encoder):
    """`get_feature_names_out` names every column, and `set_output` makes frames with these names and the index.

    Raises
    ------
    SkipTest
        If neither pandas nor polars is installed.
    """
    model = clone(encoder).fit(list(TEXTS))
    names = model.get_feature_names_out()
    vectors = model.transform(list(TEXTS))
    require(len(set(names)) == vectors.shape[1], f"{len(set(names))} names for {vectors.shape[1]} columns")
    found = False
    for library in ("pandas", "polars"):
        try:
            frame = clone(encoder).set_output(transform=library).fit_transform(list(TEXTS))
        except ImportError:
            continue
        found = True
        require(list(frame.columns) == list(names), f"the columns of {library} are {list(frame.columns)[:3]}...")
        assert_allclose(frame.to_numpy(), vectors, **TOLERANCE)
    if not found:
        raise SkipTest("neither pandas nor polars is installed")


def check_tags(encoder):
    """The tags say: one column of strings, no target needed."""
    tags = get_tags(encoder)
    require(tags.input_tags.string and tags.input_tags.one_d_array, "the tags do not say that it takes strings")
    require(not tags.input_tags.two_d_array, "the tags say that it takes tables")
    require(not tags.target_tags.required, "the tags say that it needs a target")


ENCODER_CHECKS = (
    check_output_is_finite_float32,
    check_fit_transform_is_fit_then_transform,
    check_texts_do_not_influence_each_other,
    check_refit_equals_fresh_fit,
    check_containers,
    check_bad_texts,
    check_not_fitted,
    check_parameters_are_left_alone,
    check_pickle,
    check_feature_names,
    check_tags,
)


def check_encoder(encoder):
    """Check that a text encoder keeps the contract: what fit and transform promise.

    Every rule is tried on clones, on a handful of texts: long and short, empty, repeated, in several scripts.
    scikit-learn's own ``check_estimator`` skips estimators of strings.

    Parameters
    ----------
    encoder : text encoder
        Unfitted, set up as it shall be checked; it is not modified.

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
    skllmrec.base.BaseTextEncoder : What an encoder of one's own starts from.

    Examples
    --------
    >>> from skllmrec import LLMTextEncoder
    >>> from skllmrec.testing import check_encoder
    >>> outcomes = check_encoder(LLMTextEncoder(normalize=True))
    >>> outcomes["check_bad_texts"]
    'passed'
    """
    outcomes, problems = {}, []
    for check in ENCODER_CHECKS:
        try:
            check(encoder)
            outcomes[check.__name__] = "passed"
        except SkipTest as reason:
            outcomes[check.__name__] = f"skipped: {reason}"
        except Exception as error:  # any error of the encoder under test is a finding
            found = f"{type(error).__name__}: {error}".strip().replace("\n", "\n    ")
            problems.append(f"- {check.__name__}: {check.__doc__}\n    {found}")
    if problems:
        raise AssertionError(f"{encoder} breaks {len(problems)} rules of text encoders:\n" + "\n".join(problems))
    return outcomes
