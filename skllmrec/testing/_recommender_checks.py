"""check_recommender: the contract of recommenders as a list of checks."""

from unittest import SkipTest

from skllmrec.testing._fitting_checks import FITTING_CHECKS
from skllmrec.testing._ranking_checks import RANKING_CHECKS

# {class name: {check: reason}}: what a recommender of this package cannot keep, and why
EXPECTED_FAILED_CHECKS = {}

_GUIDE = (
    "The rules in full: help(skllmrec.base.BaseRecommender) and the chapter 'Recommenders' of the user guide; the code "
    "of a check: skllmrec/testing/_ranking_checks.py and _fitting_checks.py."
)


def _run(check, recommender, personalised):
    """Outcome of a check, "passed" or "skipped: reason", and what went wrong, None for nothing."""
    try:
        check(recommender, personalised)
    except SkipTest as reason:
        return f"skipped: {reason}", None
    except Exception as error:  # any error of the recommender under test is a finding
        return "failed", error
    return "passed", None


def _described(check, error):
    """One failure as it is shown: name, rule, what was found instead."""
    found = str(error).strip() if isinstance(error, AssertionError) else f"{type(error).__name__}: {error}"
    return f"- {check.__name__}: {check.__doc__}\n    " + found.replace("\n", "\n    ")


def _judge(check, recommender, personalised, reason):
    """Outcome of a check in view of the reason why it may fail, and the problems that it reveals."""
    outcome, error = _run(check, recommender, personalised)
    if error is None:
        surprise = f"- {check.__name__}: was expected to fail ({reason}), but {outcome}"
        return outcome, [] if reason is None else [surprise]
    return f"expected: {reason}", [_described(check, error)] if reason is None else []


def check_recommender(recommender, *, personalised=True, expected_failed_checks=None):
    """Check that a recommender keeps the contract: what fit, predict, recommend and the others promise.

    Every rule is tried on a clone, on two tribes of users who like two groups of items. The columns of these data are
    set on the clone: ids always; texts where the recommender has an encoder; numbers where it has features without an
    encoder. scikit-learn's own :func:`~sklearn.utils.estimator_checks.check_estimator` looks at the rest.

    Parameters
    ----------
    recommender : recommender
        Unfitted, set up as it shall be checked; it is not modified. It should learn within seconds from 120 rows.
    personalised : bool, default=True
        False for a recommender that gives everybody the same list: users' own groups then need not come first.
    expected_failed_checks : dict of str, default=None
        Rules that the recommender cannot keep: ``{name of the check: reason}``. None:
        ``EXPECTED_FAILED_CHECKS`` of its class, if there is an entry.

    Returns
    -------
    outcomes : dict of str
        For each check "passed", "skipped: reason" or "expected: reason".

    Raises
    ------
    AssertionError
        If a check fails: all failures, each with its rule and what was found instead. Also if a check passes that
        was expected to fail, or does not exist.

    See Also
    --------
    skllmrec.base.BaseRecommender : What a recommender of one's own starts from.

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
        outcomes[check.__name__], problem = _judge(check, recommender, personalised, expected.get(check.__name__))
        problems += problem
    if problems:
        shown = "\n".join(problems)
        raise AssertionError(f"{recommender} breaks {len(problems)} rules of recommenders:\n{shown}\n{_GUIDE}")
    return outcomes
