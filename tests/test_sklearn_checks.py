"""Every public estimator passes the checks of scikit-learn that apply to it; a new one needs an entry here."""

import inspect
import runpy
from pathlib import Path

import pytest
from sklearn.base import BaseEstimator
from sklearn.exceptions import SkipTestWarning
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks, get_tags

import skllmrec
from skllmrec import (
    CountWeighter,
    DenseTargets,
    EmbeddingWhitener,
    HistoryText,
    InteractionFilter,
    LLMFineTuner,
    LLMPretrainer,
    LLMProfileWriter,
    LLMTextEncoder,
    RemoteTextEncoder,
    TextAnalyzer,
    TextAugmenter,
    TextCleaner,
    TextTemplate,
    WordVectorEncoder,
)
from skllmrec.recommenders import __all__ as recommenders

WHOLE_SUITE = [
    DenseTargets(StandardScaler()),
    CountWeighter(),
    EmbeddingWhitener(),
    InteractionFilter(),
    InteractionFilter(duplicates="mean", verbose=True),
    TextCleaner(),
    TextCleaner(ips=True, replacement="#"),
]
# why the suite does not run: the input is a text or a column of texts
OF_TEXTS = [
    LLMFineTuner(),
    LLMPretrainer(),
    LLMProfileWriter("model"),
    LLMTextEncoder(),
    RemoteTextEncoder("model"),
    TextAnalyzer(),
    TextAugmenter(),
    WordVectorEncoder(),
]
# tests/recommenders/test_contracts.py runs the suite for them, with many parameters
ELSEWHERE = {name for name in recommenders if name.endswith("Recommender")}


class _Rows(HistoryText):
    """HistoryText without its tag that skips scikit-learn's suite, for its tables of one or two columns."""

    def __init__(
        self, template="{0}", *, user=0, time=None, order="time", threshold=None, n_rows=10, separator="; ", name="h"
    ):
        super().__init__(
            template,
            user=user,
            time=time,
            order=order,
            threshold=threshold,
            n_rows=n_rows,
            separator=separator,
            name=name,
        )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags._skip_test = False
        return tags


class _Template(TextTemplate):
    """TextTemplate without its tag that skips scikit-learn's suite."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags._skip_test = False
        return tags


COMPARES_NUMBERS = dict.fromkeys(
    (
        "check_estimators_pickle",
        "check_fit_idempotent",
        "check_methods_sample_order_invariance",
        "check_methods_subset_invariance",
        "check_pipeline_consistency",
        "check_transformer_data_not_an_array",
        "check_transformer_general",
    ),
    "compares outputs as numbers, they are texts",
)
ONE_COLUMN = "a template of one field renders a single column of anything, numbers included"
TEXTS_OUT = [
    (_Rows(), COMPARES_NUMBERS),
    (
        _Template(),
        COMPARES_NUMBERS
        | dict.fromkeys(("check_fit1d", "check_fit2d_predict1d"), ONE_COLUMN)
        | {"check_estimators_empty_data_messages": "a template can be checked against columns without rows"},
    ),
]


def shown(estimator):
    return " ".join(repr(estimator).split())


def public_estimators():
    members = (getattr(skllmrec, name) for name in skllmrec.__all__)
    return {member.__name__ for member in members if inspect.isclass(member) and issubclass(member, BaseEstimator)}


def test_every_public_estimator_has_an_entry():
    here = {type(estimator).__name__ for estimator in [*WHOLE_SUITE, *OF_TEXTS]}
    assert here | ELSEWHERE | {"HistoryText", "TextTemplate"} == public_estimators()
    contracts = runpy.run_path(str(Path(__file__).parent / "recommenders" / "test_contracts.py"))
    assert {type(estimator).__name__ for estimator in contracts["SKLEARN"]} == ELSEWHERE


@pytest.mark.parametrize("estimator", WHOLE_SUITE, ids=shown)
def test_whole_suite(estimator):
    outcomes = estimator_checks.check_estimator(estimator, on_skip=None)
    assert len(outcomes) > 35
    assert {o["check_name"] for o in outcomes if o["status"] != "passed"} <= {"check_array_api_input"}


@pytest.mark.parametrize(("estimator", "reasons"), TEXTS_OUT, ids=["HistoryText", "TextTemplate"])
def test_what_applies_to_transformers_that_return_texts(estimator, reasons):
    outcomes = estimator_checks.check_estimator(
        estimator, expected_failed_checks=reasons, on_skip=None, on_fail="raise"
    )
    failed = {outcome["check_name"] for outcome in outcomes if outcome["status"] == "xfail"}
    assert failed == set(reasons), "a check that passes is not expected to fail"
    assert sum(outcome["status"] == "passed" for outcome in outcomes) > 28


@pytest.mark.parametrize("estimator", [*OF_TEXTS, HistoryText(), TextTemplate()], ids=shown)
def test_tags_keep_the_suite_from_running_on_numbers(estimator):
    with pytest.warns(SkipTestWarning):
        estimator_checks.check_estimator(estimator)
    assert get_tags(estimator).input_tags.string


NEED_NO_DATA = (
    "check_estimator_cloneable",
    "check_estimator_tags_renamed",
    "check_valid_tag_types",
    "check_estimator_repr",
    "check_no_attributes_set_in_init",
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_mixin_order",
    "check_parameters_default_constructible",
    "check_get_params_invariance",
    "check_set_params",
)


@pytest.mark.parametrize("check", NEED_NO_DATA)
@pytest.mark.parametrize("estimator", [*OF_TEXTS, HistoryText(), TextTemplate()], ids=shown)
def test_checks_without_data(estimator, check):
    if check == "check_parameters_default_constructible" and isinstance(
        estimator, LLMProfileWriter | RemoteTextEncoder
    ):
        pytest.skip("the model of a server has no default")
    getattr(estimator_checks, check)(type(estimator).__name__, estimator)


@pytest.mark.parametrize(
    ("estimator", "has"),
    [
        (TextCleaner(), {"fit", "transform"}),
        (TextTemplate(), {"fit", "transform"}),
        (HistoryText(), {"fit", "transform"}),
        (InteractionFilter(), {"fit", "fit_resample"}),
        (TextAnalyzer(), {"__call__"}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_methods_say_what_an_estimator_is(estimator, has):
    kinds = {"fit", "transform", "fit_resample", "predict", "__call__"}
    assert {name for name in kinds if hasattr(estimator, name)} == has
    tags = get_tags(estimator)
    assert tags.estimator_type is None
    assert (tags.transformer_tags is not None) == ("transform" in has)
    assert tags.requires_fit == (not isinstance(estimator, TextCleaner | TextAnalyzer))
