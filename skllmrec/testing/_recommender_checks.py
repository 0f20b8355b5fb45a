"""check_recommender: the contract of recommenders as a list of checks."""

from collections.abc import Mapping
from unittest import SkipTest

from skllmrec._typing import Estimator
from skllmrec.testing._fitting_checks import FITTING_CHECKS
from skllmrec.testing._ranking_checks import RANKING_CHECKS

# {class name: {check: reason}}: checks that a recommender of this package cannot pass, and why
EXPECTED_FAILED_CHECKS: dict[str, dict[str, str]] = {}

_GUIDE = (
    "The rules in full: help(skllmrec.base.BaseRecommender) and the chapter 'Recommenders' of the user guide; the code "
    "of a check: skllmrec/testing/_ranking_checks.py and _fitting_checks.py."
)


def _run(check, recommender, personalised):
    """Outcome of a check, "passed", "skipped: reason" or "failed", and the error or None."""
    try:
        check(recommender, personalised)
    except SkipTest as reason:
        return f"skipped: {reason}", None
    except Exception as error:  # any error of the recommender under test is a failure
        return "failed", error
    return "passed", None


def _describe(check, error):
    """Format a failure: name, rule, result."""
    result = str(error).strip() if isinstance(error, AssertionError) else f"{type(error).__name__}: {error}"
    return f"- {check.__name__}: {check.__doc__}\n    " + result.replace("\n", "\n    ")


def _evaluate(check, recommender, personalised, reason):
    """Outcome of a check that may fail if there is a reason, and the list of problems."""
    outcome, error = _run(check, recommender, personalised)
    if error is None:
        unexpected = f"- {check.__name__}: was expected to fail ({reason}), but {outcome}"
        return outcome, [] if reason is None else [unexpected]
    return f"expected: {reason}", [_describe(check, error)] if reason is None else []


def check_recommender(
    recommender: Estimator, *, personalised: bool = True, expected_failed_checks: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Check that a recommender satisfies the contract of recommenders.

    Each check fits clones to the interactions of two groups of users who like two groups of items. The columns of the
    data are set on the clone: always the ids; texts if the recommender has an encoder; numbers if it has features
    without an encoder. scikit-learn's own :func:`~sklearn.utils.estimator_checks.check_estimator` checks the rest.

    Parameters
    ----------
    recommender : recommender
        An unfitted recommender with the parameters to check; it is not modified. It should fit 120 rows within seconds.
    personalised : bool, default=True
        False for a recommender that gives all users the same list: the group that a user likes need not come first.
    expected_failed_checks : dict of str, default=None
        Checks that the recommender cannot pass: ``{name of the check: reason}``. If None, the entry of its class in
        ``EXPECTED_FAILED_CHECKS``.

    Returns
    -------
    outcomes : dict of str
        Outcome of each check: "passed", "skipped: reason" or "expected: reason".

    Raises
    ------
    AssertionError
        If a check fails, or if a check that is expected to fail passes or does not exist. The message lists all
        failures, each with its rule and the result.

    See Also
    --------
    skllmrec.base.BaseRecommender : Base class of your own recommenders.

    Examples
    --------
    >>> from skllmrec.recommenders import PopularityRecommender
    >>> from skllmrec.testing import check_recommender
    >>> outcomes = check_recommender(PopularityRecommender(), personalised=False)
    >>> outcomes["check_ties_go_by_position"]
    'passed'
    >>> outcomes["check_own_group_comes_first"]
    'skipped: the recommender is not personalised'
    """
    name = type(recommender).__name__
    expected = EXPECTED_FAILED_CHECKS.get(name, {}) if expected_failed_checks is None else expected_failed_checks
    checks = [*RANKING_CHECKS, *FITTING_CHECKS]
    problems = [f"- {unknown}: there is no such check" for unknown in set(expected) - {c.__name__ for c in checks}]
    outcomes = {}
    for check in checks:
        outcomes[check.__name__], problem = _evaluate(check, recommender, personalised, expected.get(check.__name__))
        problems += problem
    if problems:
        shown = "\n".join(problems)
        raise AssertionError(f"{recommender} breaks {len(problems)} rules of recommenders:\n{shown}\n{_GUIDE}")
    return outcomes
