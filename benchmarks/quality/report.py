"""Tables of the quality benchmark, made from the cells of a folder."""

import csv
import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.common.measure import markdown
from benchmarks.common.runs import write_json
from benchmarks.quality.data import PROTOCOLS, SETS
from benchmarks.quality.models import KINDS, MODELS
from benchmarks.quality.run import Cells, K
from skllmrec.comparison._statistics import bootstrap_means, percentile_interval

METRICS = ("ndcg", "recall", "coverage", "ild", "gini")
_NAMES = {
    "ndcg": f"NDCG@{K}",
    "recall": f"Recall@{K}",
    "coverage": f"Coverage@{K}",
    "ild": f"ILD@{K}",
    "gini": f"Gini@{K}",
}
_TEXT = ("tfidf", "llm", "both", "tuned")


class Result:
    """A finished cell.

    Attributes
    ----------
    validation : float
        NDCG of the best trial, by which models are selected.
    users : ndarray of shape (n_users,)
        NDCG of each user, in the order of their ids: the mean over the splits of the means over the seeds.
    """

    def __init__(self, cell: dict[str, Any]) -> None:
        self.model, self.dataset, self.protocol, self.kind = (
            cell[name] for name in ("model", "dataset", "protocol", "kind")
        )
        self.is_peer = MODELS[self.model].is_peer
        self.fits, self.trials = cell["fits"], cell["trials"]
        self.best = cell["best"]
        self.validation = max(trial["ndcg"] for trial in cell["trials"])
        self.users = _values_of_users(cell["fits"])
        self.default = float(np.mean(_values_of_users(cell["defaults"])))

    def mean(self, metric: str) -> float:
        """Mean of a metric: over users, or over the splits of the means over the seeds."""
        if metric == "ndcg":
            return float(np.mean(self.users))
        return float(pd.DataFrame(self.fits).groupby("fold")[metric].mean().mean())

    def interval(self) -> tuple[float, float]:
        """95 % bootstrap interval of the NDCG over users."""
        low, high = percentile_interval(bootstrap_means(self.users, random_state=0))
        return float(low[0]), float(high[0])

    def row(self) -> dict[str, Any]:
        """Everything but the values of users."""
        low, high = self.interval()
        return {
            "dataset": self.dataset,
            "protocol": self.protocol,
            "model": self.model,
            "features": self.kind,
            "peer": self.is_peer,
            "validation_ndcg": self.validation,
            **{metric: self.mean(metric) for metric in METRICS},
            "ndcg_low": low,
            "ndcg_high": high,
            "ndcg_default": self.default,
            "n_trials": len(self.trials),
            "n_fits": len(self.fits),
            "seconds_of_a_fit": float(np.mean([fit["seconds"] for fit in self.fits])),
            "n_users": len(self.users),
            "parameters": json.dumps(self.best),
        }


def _values_of_users(fits):
    """NDCG of each user, the mean over the splits they are in, in the order of their ids."""
    values = pd.DataFrame([fit["users"] for fit in fits]).groupby([fit["fold"] for fit in fits]).mean()
    return values.mean().sort_index().to_numpy()


def read_results(cells: Cells) -> list[Result]:
    """Finished cells of a folder, in the order of the sets, protocols and models."""
    found = []
    for protocol in PROTOCOLS:
        for dataset in SETS:
            for model in MODELS:
                cell = cells.read(dataset, protocol, model)
                if cell["defaults"]:
                    found.append(Result(cell))
    return found


def metric_table(results: Sequence[Result], protocol: str, metric: str) -> list[dict[str, Any]]:
    """One row for each model, one column for each set."""
    here = [result for result in results if result.protocol == protocol]
    sets = [name for name in SETS if any(result.dataset == name for result in here)]
    rows = []
    for model in MODELS:
        values = {result.dataset: result for result in here if result.model == model}
        if values:
            cells = {name: _shown(values.get(name), metric) for name in sets}
            rows.append({_NAMES[metric]: model, **cells})
    return rows


def _shown(result, metric):
    if result is None:
        return ""
    if metric != "ndcg":
        return f"{result.mean(metric):.3f}"
    low, high = result.interval()
    return f"{result.mean(metric):.4f} ± {(high - low) / 2:.4f}"


def gain(result: Result, reference: Result) -> tuple[float, float, float]:
    """Relative gain of NDCG with its 95 % interval, over the same resampled users."""
    means = bootstrap_means(np.column_stack([result.users, reference.users]), random_state=0)
    low, high = percentile_interval((means[:, 0] / means[:, 1] - 1)[:, np.newaxis])
    return result.users.mean() / reference.users.mean() - 1, float(low[0]), float(high[0])


def best(results: Sequence[Result], wanted: Callable[[Result], bool], by: str = "validation") -> Result | None:
    """Return the best of the wanted results: by validation, or in hindsight by the test."""
    among = [result for result in results if wanted(result)]
    key = (lambda result: result.validation) if by == "validation" else (lambda result: result.mean("ndcg"))
    return max(among, key=key, default=None)


def contrast_best(
    results: Sequence[Result], protocol: str, ours: Callable[[Result], bool], theirs: Callable[[Result], bool]
) -> list[dict[str, Any]]:
    """One row for each set: the best of ours against the best of theirs, both selected on validation."""
    rows = []
    for name in SETS:
        here = [result for result in results if result.protocol == protocol and result.dataset == name]
        mine, other = best(here, ours), best(here, theirs)
        if mine is None or other is None:
            continue
        value, low, high = gain(mine, other)
        covered = mine.mean("coverage") / max(other.mean("coverage"), 1e-12) - 1
        hindsight = mine.mean("ndcg") / best(here, theirs, "test").mean("ndcg") - 1
        rows.append(
            {
                "set": name,
                "opponent": f"{other.model} {other.mean('ndcg'):.4f}",
                "best of ours": f"{mine.model} {mine.mean('ndcg'):.4f}",
                "gain": value,
                "95 %": f"{low:+.1%} to {high:+.1%}",
                "coverage": covered,
                "over the best on test": hindsight,
                "below": high < 0,
            }
        )
    return rows


def contrast_table(rows: list[dict[str, Any]]) -> str:
    """Format the rows of `contrast_best`, with their mean."""
    if not rows:
        return "(no set is complete)"
    numbers = ("gain", "coverage", "over the best on test")
    mean = {"set": "mean", **{name: np.mean([row[name] for row in rows]) for name in numbers}}
    shown = []
    for row in [*rows, mean]:
        cells = {name: row.get(name, "") for name in rows[0] if name != "below"}
        shown.append({**cells, **{name: f"{row[name]:+.1%}" for name in numbers}})
    below = [row["set"] for row in rows if row["below"]]
    return markdown(shown) + f"\n\nsignificantly below: {', '.join(below) or 'nowhere'}"


CONTRASTS = {
    "warm: best with text against the best on ids (target +5 %, coverage +40 %)": (
        "warm",
        lambda result: result.kind in _TEXT and not result.is_peer,
        lambda result: result.kind == "ids",
    ),
    "temporal: best with text against the best on ids (target +5 %, coverage +40 %)": (
        "temporal",
        lambda result: result.kind in _TEXT and not result.is_peer,
        lambda result: result.kind == "ids",
    ),
    "cold items: best with a language model against the best with TF-IDF alone (target +20 %)": (
        "cold",
        lambda result: result.kind in ("llm", "both", "tuned") and not result.is_peer,
        lambda result: result.kind == "tfidf",
    ),
    "cold items: best of ours against lightfm on the same features (target +50 %)": (
        "cold",
        lambda result: result.kind in _TEXT and not result.is_peer,
        lambda result: result.kind in _TEXT and result.is_peer,
    ),
}


def fixed_models(results: Sequence[Result], protocol: str, theirs: Callable[[Result], bool]) -> list[dict[str, Any]]:
    """Gain of each model with text, the same on every set, over the best opponent of the set."""
    rows = []
    for model in MODELS:
        row, gains = {"gain of": model, **dict.fromkeys(SETS, "")}, []
        for name in SETS:
            here = [result for result in results if result.protocol == protocol and result.dataset == name]
            mine, other = best(here, lambda result: result.model == model), best(here, theirs)  # noqa: B023 - used at once
            if mine is not None and other is not None and mine.kind in _TEXT:
                value, low, high = gain(mine, other)
                gains.append(value)
                row[name] = f"{value:+.1%} ({low:+.1%} to {high:+.1%})"
        if gains:
            rows.append({**row, "mean": f"{np.mean(gains):+.1%}"})
    return rows


def text_table(results: Sequence[Result], protocol: str) -> list[dict[str, Any]]:
    """Gain of each family of models with text, the kind of text selected on validation, over the family on ids."""
    rows = []
    for family, ids in (
        ("FeatureMF", "FeatureMF ids"),
        ("Additive", "EASE"),
        ("Neighbors", "Neighbors ids"),
        ("TwoTower", "TwoTower ids"),
        ("Blend", "Blend ids"),
        ("Markov", "Markov ids"),
    ):
        row, gains = {"text against ids": f"{family} against {ids}", **dict.fromkeys(SETS, "")}, []
        for name in SETS:
            here = [result for result in results if result.protocol == protocol and result.dataset == name]
            mine = best([result for result in here if result.model.startswith(f"{family} +")], lambda result: True)
            other = best(here, lambda result: result.model == ids)  # noqa: B023 - used at once
            if mine is not None and other is not None:
                value, low, high = gain(mine, other)
                gains.append(value)
                covered = mine.mean("coverage") / max(other.mean("coverage"), 1e-12) - 1
                row[name] = f"{value:+.1%} ({low:+.1%} to {high:+.1%}), coverage {covered:+.0%}"
        if gains:
            rows.append({**row, "mean": f"{np.mean(gains):+.1%}"})
    return rows


def blend_table(results: Sequence[Result]) -> list[dict[str, Any]]:
    """Gain of each blend over the part of it that is best on test, which is unknown beforehand."""
    rows = []
    for blend in (name for name, model in MODELS.items() if model.parts):
        row = {"blend against its best part": blend}
        for protocol in PROTOCOLS:
            for name in SETS:
                here = [result for result in results if (result.protocol, result.dataset) == (protocol, name)]
                mine = best(here, lambda result: result.model == blend)  # noqa: B023 - used at once
                part = best(here, lambda result: result.model in MODELS[blend].parts_in(protocol), "test")  # noqa: B023
                if mine is not None and part is not None:
                    value, low, high = gain(mine, part)
                    row[f"{protocol} {name}"] = f"{value:+.1%} ({low:+.1%} to {high:+.1%})"
        rows.append(row)
    return _filled(rows, "blend against its best part")


def _filled(rows, first):
    """Leave out columns that no row has, and give all rows the same ones."""
    columns = [f"{protocol} {name}" for protocol in PROTOCOLS for name in SETS]
    columns = [column for column in columns if any(column in row for row in rows)]
    extra = [name for name in ("mean", "least") if any(name in row for row in rows)]
    rows = [row for row in rows if any(column in row for column in columns)]
    return [{name: row.get(name, "") for name in (first, *extra, *columns)} for row in rows]


def default_table(results: Sequence[Result]) -> list[dict[str, Any]]:
    """NDCG on test with the defaults as a share of that with tuned parameters, of our models."""
    columns = [(protocol, name) for protocol in PROTOCOLS for name in SETS]
    rows = []
    for model in MODELS:
        row, shares = {"default / tuned": model}, []
        for protocol, name in columns:
            here = [r for r in results if (r.protocol, r.dataset, r.model) == (protocol, name, model)]
            if here and not here[0].is_peer and len(here[0].trials) > 1:
                shares.append(here[0].default / max(here[0].mean("ndcg"), 1e-12))
                row[f"{protocol} {name}"] = f"{shares[-1]:.3f}"
        if shares:
            rows.append({**row, "mean": f"{np.mean(shares):.3f}", "least": f"{min(shares):.3f}"})
    return _filled(rows, "default / tuned")


def _sections(results):
    """Titles and texts of what is printed, in order."""
    for protocol in PROTOCOLS:
        for metric in METRICS:
            yield f"{protocol}: {_NAMES[metric]}", metric_table(results, protocol, metric)
    for title, (protocol, ours, theirs) in CONTRASTS.items():
        rows = contrast_best(results, protocol, ours, theirs)
        yield title, contrast_table(rows) if rows else []
        yield f"{title}: each model, the same on every set", fixed_models(results, protocol, theirs)
    for protocol in ("warm", "temporal"):
        yield f"{protocol}: what text adds to a model", text_table(results, protocol)
    yield "Blends against their parts", blend_table(results)
    yield f"Defaults against tuned parameters, NDCG@{K} on test", default_table(results)


def print_report(cells: Cells) -> None:
    """Print all tables, and write results.csv and results.json into the folder of the cells."""
    results = read_results(cells)
    for title, content in _sections(results):
        if content:
            print(f"\n### {title}\n\n{content if isinstance(content, str) else markdown(content)}")
    rows = [result.row() for result in results]
    if rows:
        write_json(cells.folder / "results.json", {"settings": cells.settings, "results": rows})
        with (cells.folder / "results.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    print(f"\n{len(results)} cells; features: {', '.join(KINDS.values())}")
