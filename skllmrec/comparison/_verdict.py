"""The verdict of a comparison of any estimators, in words for people who do not read tables."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from skllmrec.comparison._formatting import (
    baselines_of,
    certainty,
    contestants_of,
    lower_is_better,
    sureness,
    unit_of,
)

if TYPE_CHECKING:
    from skllmrec.comparison._result import Comparison


class Verdict(NamedTuple):
    """What a comparison found.

    Attributes
    ----------
    sentences : list of str
        In plain words, the most important one first; empty where there is nothing to say.
    details : list of str
        How that was found: intervals, p-values and how they were adjusted.
    """

    sentences: list[str]
    details: list[str]


def accuracy_of(comparison: "Comparison", wanted: str = "ndcg") -> str | None:
    """Label of the metric that decides: the wanted one, else the first that exists per user; None without any."""
    rows = comparison.frame[comparison.frame["n_users"] > 0]
    labels = list(dict.fromkeys(rows["metric"]))
    return next((label for label in labels if label.partition("@")[0] == wanted), next(iter(labels), None))


def ranking(comparison: "Comparison", metric: str) -> list[str]:
    """Names of the estimators that can win, the best first; of equal ones the first stays first."""
    means = {name: comparison.value(name, metric) for name in contestants_of(comparison)}
    sign = 1 if lower_is_better(comparison, metric) else -1
    return sorted(means, key=lambda name: (not np.isfinite(means[name]), sign * means[name]))


def rival_of(comparison: "Comparison", winner: str, metric: str) -> str:
    """Name of the estimator that the winner is compared with: the reference, or the next best where it won."""
    if winner != comparison.settings["reference"]:
        return comparison.settings["reference"]
    others = [*ranking(comparison, metric), *baselines_of(comparison)]
    return next(name for name in others if name != winner)


def _p_value(comparison, first, second, metric):
    """Return the p-value of a difference: that of the table, else that of a test of its own, or NaN."""
    reference = comparison.settings["reference"]
    if reference in (first, second):
        return comparison.value(second if first == reference else first, metric, "p_holm")
    return np.nan if comparison.per_user is None else comparison.contrast(first, second, metric)["p_value"]


def winner_sentence(comparison: "Comparison", metric: str, winner: str, rival: str, p: float) -> str:
    """Say who won, by how much, and whether that may be chance.

    Parameters
    ----------
    comparison : Comparison
    metric : str
        Label of the metric that decides.
    winner, rival : str
        Names of two estimators.
    p : float
        The p-value of their difference.

    Returns
    -------
    sentence : str
    """
    first, second = (comparison.value(name, metric) for name in (winner, rival))
    start = f"{winner!r} with {metric} {first:.4f}"
    against = f"{rival!r} ({second:.4f})"
    gain = abs(first - second) / abs(second) if second else np.inf
    if gain < 0.0005:
        return f"No clear winner: {start} is as good as {against}."
    better = f"{gain:.1%} better than" if np.isfinite(gain) else "better than"
    if first != second and (first < second) != lower_is_better(comparison, metric):
        better = f"{gain:.1%} worse than"
    if p < 0.05:
        title = "The best but for the baselines" if better_baselines(comparison, metric, winner) else "The winner"
        return f"{title} is {start}, {better} {against}: {certainty(p)}."
    unsure = "this may be chance" if np.isfinite(p) else "this was not tested"
    return f"No clear winner: {start} is {better} {against}, but {unsure}."


def next_sentence(comparison: "Comparison", metric: str, winner: str, rival: str, *, tested: bool = False) -> list[str]:
    """Name who came second, where that is not the rival; `tested` says as well whether the distance may be chance.

    The test needs the values of the users, which a comparison from a file does not have.
    """
    others = [name for name in ranking(comparison, metric) if name not in (winner, rival)]
    behind = others and ranking(comparison, metric).index(rival) if rival in contestants_of(comparison) else 0
    if not others or behind == 1:
        return []
    p = _p_value(comparison, winner, others[0], metric) if tested else np.nan
    sure = "" if not np.isfinite(p) else "; clearly behind" if p < 0.05 else "; the distance may be chance"
    return [f"Second is {others[0]!r} with {comparison.value(others[0], metric):.4f}{sure}."]


def hits_sentence(comparison: "Comparison", winner: str, rival: str) -> list[str]:
    """Say how many of 100 users find something they like in their list, with the winner and with its rival.

    Parameters
    ----------
    comparison : Comparison
        With the metric ``hit_rate``.
    winner, rival : str
        Names of two estimators.

    Returns
    -------
    sentences : list of str
        One; none without the metric. Where the numbers of 100 users are equal, those of 1,000 are told.
    """
    label = next((label for label in comparison.metrics if label.partition("@")[0] == "hit_rate"), None)
    if label is None:
        return []
    rates = [comparison.value(name, label) for name in (winner, rival)]
    if not np.isfinite(rates).all():
        return []
    total = next((total for total in (100, 1000) if round(total * rates[0]) != round(total * rates[1])), 100)
    first, second = (round(total * rate) for rate in rates)
    unit = unit_of(comparison)
    what = "at least one item they like" if unit == "users" else "what comes next"
    found = f"find {what} among {comparison.settings['k']} recommendations"
    if first == second:
        said = f"Of {total} {unit}, {first} {found}, with {winner!r} as with {rival!r}."
    elif _p_value(comparison, winner, rival, label) < 0.05:
        said = f"Of {total:,} {unit}, {first} instead of {second} {found} ({winner!r} instead of {rival!r})."
    else:
        said = f"Of {total:,} {unit}, {first} with {winner!r} and {second} with {rival!r} {found}: this may be chance."
    baselines = [name for name in baselines_of(comparison) if name not in (winner, rival)]
    if baselines:
        best = max(baselines, key=lambda name: comparison.value(name, label))
        said += f" With the baseline {best!r}: {round(total * comparison.value(best, label))}."
    return [said]


def better_baselines(comparison: "Comparison", metric: str, winner: str) -> list[str]:
    """Names of the baselines that have more of a metric than an estimator, or less where less is better."""
    sign = -1 if lower_is_better(comparison, metric) else 1
    value = comparison.value(winner, metric)
    return [name for name in baselines_of(comparison) if sign * comparison.value(name, metric) > sign * value]


def baseline_sentences(comparison: "Comparison", metric: str, winner: str) -> list[str]:
    """Say where nothing but baselines was compared, and where one of them is better than the winner."""
    baselines = baselines_of(comparison)
    if winner in baselines:
        return ["Only baselines were compared, which know nothing about a single user."]
    sign = -1 if lower_is_better(comparison, metric) else 1
    better = better_baselines(comparison, metric, winner)
    if not better:
        return []
    best = max(better, key=lambda name: sign * comparison.value(name, metric))
    value = comparison.value(best, metric)
    return [f"The baseline {best!r}, which knows nothing about a single user, is better: {value:.4f}."]


def plain_verdict(comparison: "Comparison") -> Verdict:
    """Name the best estimator, by how much it leads, and how sure that is.

    Parameters
    ----------
    comparison : Comparison
        Of any estimators.

    Returns
    -------
    verdict : Verdict
        Empty without a metric that exists per user, and for a single estimator.
    """
    metric = accuracy_of(comparison)
    if metric is None or len(comparison.estimators) == 1:
        return Verdict([], [])
    winner = ranking(comparison, metric)[0]
    rival = rival_of(comparison, winner, metric)
    sentences = [
        winner_sentence(comparison, metric, winner, rival, _p_value(comparison, winner, rival, metric)),
        *next_sentence(comparison, metric, winner, rival),
        *baseline_sentences(comparison, metric, winner),
        *hits_sentence(comparison, winner, rival),
    ]
    return Verdict(sentences, _details(comparison, metric))


def _details(comparison, metric):
    """One line for each estimator but the reference: its difference from the reference, interval and p-value."""
    reference, level = comparison.settings["reference"], comparison.settings["level"]
    lines = []
    for name in comparison.estimators:
        gain, low, high, p = (
            comparison.value(name, metric, column) for column in ("gain", "gain_low", "gain_high", "p_holm")
        )
        if name != reference and np.isfinite(p):
            bounds = f"{level:.0%} interval {low:+z.1%} to {high:+z.1%}"
            lines.append(f"{name!r} against {reference!r}: {metric} {gain:+z.1%} ({bounds}), {sureness(p)}.")
    tests = f"The p-values are those of paired permutation tests over {unit_of(comparison)}, adjusted after Holm."
    return [*lines, tests] if lines else []
