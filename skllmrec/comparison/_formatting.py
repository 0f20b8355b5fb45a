"""Figures of a comparison as text, and what its metrics mean."""

from typing import TYPE_CHECKING, Any

import numpy as np

from skllmrec.metrics import Metric
from skllmrec.metrics._registry import METRICS

if TYPE_CHECKING:
    from skllmrec.comparison._result import Comparison

COSTS = ("fit_seconds", "recommend_seconds", "fit_peak_mb")  # less is better


def as_facts(metric: Metric) -> dict[str, Any]:
    """Make the facts of a metric that the settings of a comparison keep: plain values, which JSON can hold.

    Parameters
    ----------
    metric : Metric

    Returns
    -------
    facts : dict
        ``name, label, description, per, greater_is_better``.
    """
    return {
        "name": metric.name,
        "label": metric.label or metric.name,
        "description": metric.description,
        "per": metric.per,
        "greater_is_better": metric.greater_is_better,
    }


def facts_of(comparison: "Comparison", label: str) -> dict[str, Any] | None:
    """Look up the facts of a metric.

    Parameters
    ----------
    comparison : Comparison
        Its settings bring the facts, of metrics of one's own too; older files lack them, where the table of metrics is
        asked.
    label : str
        Such as ``"gini@20"``.

    Returns
    -------
    facts : dict or None
        See `as_facts`; None for costs.
    """
    name = label.partition("@")[0]
    for facts in comparison.settings.get("metrics", ()):
        if facts["name"] == name:
            return facts
    return as_facts(METRICS[name]) if name in METRICS else None


def lower_is_better(comparison: "Comparison", label: str) -> bool:
    """Whether less of a metric, e.g. ``"gini@20"``, is better."""
    facts = facts_of(comparison, label)
    return label in COSTS if facts is None else not facts["greater_is_better"]


def stars(p: float) -> str:
    """``***`` below .001, ``**`` below .01, ``*`` below .05, else nothing."""
    return "*" * int(np.sum(p < np.array([0.05, 0.01, 0.001]))) if np.isfinite(p) else ""


def significant_digits(value: float, metric: str) -> str:
    """Print a value with the digits that suit its metric."""
    if not np.isfinite(value):
        return "-"
    if metric in COSTS:
        return f"{value:.2f}" if metric.endswith("_seconds") else f"{value:,.0f}"
    return f"{value:.4f}" if abs(value) < 2 else f"{value:.3f}"


def certainty(p: float) -> str:
    """Words for a p-value below 0.05 or above it."""
    if p < 0.001:
        return "practically certain"
    if p < 0.01:
        return "very sure"
    if p < 0.05:
        return "fairly sure"
    return "it may be chance"


def sureness(p: float) -> str:
    """Words for a p-value, and the p-value."""
    if p < 0.001:
        return f"{certainty(p)} (p < .001)"
    return f"{certainty(p)} (p = {p:.{3 if p < 0.05 else 2}f})"


def unit_of(comparison: "Comparison") -> str:
    """Say what means, intervals and tests are over: users, or questions of the next item."""
    return "users" if comparison.settings.get("history") is None else "questions"


def baselines_of(comparison: "Comparison") -> list[str]:
    """Names of the estimators that know nothing about a single user; empty for files of older versions."""
    baselines = comparison.settings.get("baselines", ())
    return [name for name in comparison.estimators if name in baselines]


def contestants_of(comparison: "Comparison") -> list[str]:
    """Names of the estimators that can win: all but the baselines, or all where there are only baselines."""
    baselines = baselines_of(comparison)
    return [name for name in comparison.estimators if name not in baselines] or comparison.estimators
