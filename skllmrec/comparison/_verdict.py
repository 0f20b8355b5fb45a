"""The verdict of a comparison of any estimators, in words for people who do not read tables."""

from typing import TYPE_CHECKING

from skllmrec.comparison._formatting import lower_is_better, sureness

if TYPE_CHECKING:
    from skllmrec.comparison._result import Comparison


def accuracy_of(comparison: "Comparison", wanted: str = "ndcg") -> str | None:
    """Label of the metric that decides: the wanted one, else the first that exists per user; None without any."""
    rows = comparison.frame[comparison.frame["n_users"] > 0]
    labels = list(dict.fromkeys(rows["metric"]))
    return next((label for label in labels if label.partition("@")[0] == wanted), next(iter(labels), None))


def plain_verdict(comparison: "Comparison") -> list[str]:
    """Name the best estimator, by how much it leads, and how sure that is.

    Parameters
    ----------
    comparison : Comparison
        Of any estimators.

    Returns
    -------
    sentences : list of str
        Empty without a metric that exists per user.
    """
    metric, reference = accuracy_of(comparison), comparison.settings["reference"]
    if metric is None or len(comparison.estimators) == 1:
        return []
    rows = comparison.frame[comparison.frame["metric"] == metric].set_index("estimator")
    ordered = rows["mean"].sort_values(ascending=lower_is_better(comparison, metric), kind="stable").index
    best = ordered[0]
    first = f"Best {metric}: {best!r} with {rows.at[best, 'mean']:.4f}"
    other = ordered[1] if best == reference else best
    row = rows.loc[other]
    bounds = f"{comparison.settings['level']:.0%} interval {row['gain_low']:+z.1%} to {row['gain_high']:+z.1%}"
    if best == reference:
        return [f"{first}, the reference; next {other!r}, {row['gain']:+z.1%} ({bounds}): {sureness(row['p_holm'])}."]
    return [f"{first}, {row['gain']:+z.1%} against {reference!r} ({bounds}): {sureness(row['p_holm'])}."]
