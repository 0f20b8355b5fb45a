"""A comparison as one self-contained page: verdict first, then table, pictures and protocol."""

from collections.abc import Iterable, Sequence
from functools import partial
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from skllmrec.comparison._formatting import (
    COSTS,
    baselines_of,
    contestants_of,
    facts_of,
    lower_is_better,
    significant_digits,
    stars,
    unit_of,
)
from skllmrec.comparison._plots import gain_plot, popularity_plot, scatter_plot, svg
from skllmrec.comparison._progress import seconds
from skllmrec.comparison._repeats import words_of_repeated
from skllmrec.comparison._verdict import Verdict, accuracy_of, plain_verdict, ranking

if TYPE_CHECKING:
    from skllmrec.comparison._result import Comparison


_STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; color: #1a1a1a; background: #fff;
       max-width: 62rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .3rem; }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; padding-top: .6rem; border-top: 1px solid #ddd; }
.lead { color: #555; margin: 0 0 1rem; }
.verdict { background: #eef4fa; border-left: 4px solid #0072B2; padding: .8rem 1rem; font-size: 1.05rem;
           margin: 1rem 0; }
.verdict p { margin: .3rem 0; } .verdict p + p { font-size: .95rem; }
summary { cursor: pointer; color: #555; font-size: .9rem; } details dl { margin: .4rem 0; }
details ul { margin: .4rem 0; padding-left: 1.2rem; font-size: .9rem; }
.scroll { overflow-x: auto; }
table.skllmrec { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
table.skllmrec th, table.skllmrec td { padding: .35rem .7rem; border-bottom: 1px solid #e4e4e4;
           text-align: left; vertical-align: top; }
table.skllmrec thead th { border-bottom: 2px solid #888; }
table.skllmrec td.best b { background: #e3f1e8; padding: 0 .2rem; border-radius: .2rem; }
table.skllmrec .baseline { color: #666; }
table.skllmrec small { display: block; color: #555; white-space: nowrap; font-size: .82em; }
table.skllmrec th[scope=row] { position: sticky; left: 0; background: #fff; }
table.costs td, table.costs th { white-space: nowrap; }
figure { margin: 1rem 0; }
figure svg { width: 100%; max-width: 46rem; height: auto; display: block; }
figcaption, .note { color: #555; font-size: .9rem; max-width: 46rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; font-size: .92rem; }
dt { color: #555; } dd { margin: 0; overflow-wrap: anywhere; }
@media (max-width: 40rem) {
  dl { grid-template-columns: 1fr; } dd { margin: 0 0 .4rem .8rem; }
  /* a phone shows a row as a block, with the head of each column beside its cell: nothing is out of sight */
  table.skllmrec, table.skllmrec tbody, table.skllmrec tr, table.skllmrec th[scope=row] { display: block; }
  table.skllmrec thead { display: none; }
  table.skllmrec tr { margin: 0 0 .9rem; }
  table.skllmrec th[scope=row] { position: static; padding: .3rem 0; border-bottom: 2px solid #888; }
  table.skllmrec td { display: grid; grid-template-columns: 1fr auto; gap: 0 .8rem; padding: .3rem 0; }
  table.skllmrec td::before { content: attr(data-label); grid-row: 1 / span 2; overflow-wrap: anywhere; }
  table.skllmrec td > * { text-align: right; justify-self: end; }
  table.skllmrec td small { grid-column: 2; white-space: normal; }
  table.skllmrec td.best { background: #e3f1e8; font-weight: 600; }
}
ol { padding-left: 1.6rem; } .columns { display: flex; flex-wrap: wrap; gap: 0 3rem; }
.columns > div { flex: 1 1 20rem; } code { background: #f3f3f3; padding: 0 .25rem; }
"""


def _gain(gain, p):
    if not np.isfinite(p):
        return f"{gain:+z.1%}"
    return f"{gain:+z.1%}, p {'&lt; .001' if p < 0.001 else f'= {p:.3f}'} {stars(p)}"


def _cell(row, metric, name, *, is_reference, is_best, is_baseline):
    lines = []
    if np.isfinite(row["ci_low"]):
        low, high = (significant_digits(row[c], metric) for c in ("ci_low", "ci_high"))
        lines.append(f"{low} to {high}")
    if is_reference:
        lines.append("reference")
    elif np.isfinite(row["gain"]) and metric not in COSTS:
        lines.append(_gain(row["gain"], row["p_holm"]))
    tag, kind = ("b", "best") if is_best else ("span", "baseline" if is_baseline else "")
    value = f"<{tag}>{significant_digits(row['mean'], metric)}</{tag}>"
    small = f"<small>{'<br>'.join(lines)}</small>" if lines else ""
    return f'<td{f" class={kind}" if kind else ""} data-label="{escape(name)}">{value}{small}</td>'


def metric_table(comparison: "Comparison", *, metrics: list[str] | None = None, style: bool = False) -> str:
    """Render the table: a row per metric, a column per estimator, with intervals, gains and p-values.

    Parameters
    ----------
    comparison : Comparison
        What to show.
    metrics : list of str or None, default=None
        Labels; None: all.
    style : bool, default=False
        Whether to bring the style sheet along (for a notebook).

    Returns
    -------
    html : str
    """
    rows = comparison.frame.set_index(["metric", "estimator"])
    baselines, contestants = baselines_of(comparison), contestants_of(comparison)
    head = "".join(
        f"<th scope=col>{escape(name)}{'<small>baseline</small>' if name in baselines else ''}</th>"
        for name in comparison.estimators
    )
    body = []
    for metric in comparison.metrics if metrics is None else metrics:
        means = rows.loc[metric]["mean"]
        able = means[contestants]  # what knows nothing is never the best: its lists are varied or popular by default
        best = able.min() if lower_is_better(comparison, metric) else able.max()
        cells = "".join(
            _cell(
                rows.loc[(metric, name)],
                metric,
                name,
                is_reference=name == comparison.settings["reference"],
                is_best=name in contestants and means[name] == best,
                is_baseline=name in baselines,
            )
            for name in comparison.estimators
        )
        arrow = " &darr;" if lower_is_better(comparison, metric) else ""
        body.append(f"<tr><th scope=row>{escape(metric)}{arrow}</th>{cells}</tr>")
    table = (
        f"<div class=scroll><table class=skllmrec><thead><tr><th scope=col>metric</th>{head}</tr></thead>"
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )
    return f"<style>{_STYLE}</style>{table}" if style else table


def metric_words(comparison: "Comparison", metric: str) -> tuple[str, str] | None:
    """Label and description of a metric; None where there is no description.

    Parameters
    ----------
    comparison : Comparison
    metric : str
        With or without ``@k``.

    Returns
    -------
    words : (str, str) or None
        Such as ``("NDCG (ndcg@20)", "how much of what a user liked ...")``.
    """
    label = comparison.label(metric)
    facts = facts_of(comparison, label)
    if facts is None or not facts["description"]:
        return None
    return (label if label == facts["label"] else f"{facts['label']} ({label})"), facts["description"]


def quality_table(comparison: "Comparison") -> str:
    """Render the table without the costs, and the note that explains it."""
    metrics = [metric for metric in comparison.metrics if metric not in COSTS]
    words = [pair for pair in (metric_words(comparison, metric) for metric in metrics) if pair]
    meaning = f"<details><summary>What the metrics mean</summary>{definition_list(words)}</details>"
    summary = "<summary>How the intervals and p-values were computed</summary>"
    method = f"<details>{summary}<p class=note>{method_note(comparison)}</p></details>"
    return f"{metric_table(comparison, metrics=metrics)}<p class=note>{table_note(comparison)}</p>{meaning}{method}"


def _plain_table(heads, rows, *, kind=""):
    """Render texts as a table whose first column names the rows; a phone shows the heads beside the cells."""
    head = "".join(f"<th scope=col>{escape(text)}</th>" for text in heads)
    body = "".join(
        f"<tr><th scope=row>{escape(row[0])}</th>"
        + "".join(
            f'<td data-label="{escape(label)}"><span>{escape(text)}</span></td>'
            for label, text in zip(heads[1:], row[1:], strict=True)
        )
        + "</tr>"
        for row in rows
    )
    return (
        f"<div class=scroll><table class='skllmrec {kind}'><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table></div>"
    )


def cost_table(comparison: "Comparison") -> str:
    """Render what each estimator costs: seconds to fit and to recommend, memory; means over folds."""
    folds = comparison.per_fold.groupby("estimator", sort=False)
    means, highest, total = folds[list(COSTS)].mean(), folds["fit_peak_mb"].max(), folds["fit_seconds"].sum()
    heads = ["estimator", "fit, a fold", "fit, all folds", "recommend, a fold", "memory of fit, MB"]
    rows = [
        [
            name,
            seconds(means.at[name, "fit_seconds"]),
            seconds(total[name]),
            seconds(means.at[name, "recommend_seconds"]),
            significant_digits(highest[name], "fit_peak_mb"),
        ]
        for name in comparison.estimators
    ]
    return (
        f"{_plain_table(heads, rows, kind='costs')}<p class=note>Wall time of one process; a fit includes the search "
        "for parameters where there is one. Memory: by how much the process grew at most during a fit, over what it "
        "held before (data, weights), the highest of all folds; 1 MB is 1,000,000 bytes.</p>"
    )


def table_note(comparison: "Comparison") -> str:
    """Explain the cells of `metric_table` in a sentence or two."""
    s = comparison.settings
    baselines = baselines_of(comparison)
    note = (
        f"Each cell: mean, {s['level']:.0%} interval, difference from {escape(repr(s['reference']))}, "
        "p-value (stars: * below .05, ** below .01, *** below .001). &darr;: lower is better. Bold: best of the row."
    )
    if baselines and contestants_of(comparison) != comparison.estimators:
        names = escape(" and ".join(map(repr, baselines)))
        note += f" A baseline ({names}) knows nothing about a single user and is never the best."
    elif baselines:
        note += " Only baselines were compared, so the best of a row is one of them."
    return note


def method_note(comparison: "Comparison") -> str:
    """Say in a sentence or two how intervals and p-values were computed."""
    s = comparison.settings
    note = (
        f"Intervals: bootstrap over {unit_of(comparison)}. P-values: paired permutation tests over "
        f"{unit_of(comparison)}, adjusted after Holm for the "
        "comparisons of a row. Coverage, Gini and errors exist once per fold and carry no test."
    )
    return note + (f" Diversity (ild) is measured in {escape(s['diversity'])}." if s.get("diversity") else "")


def _draw_scatter(comparison: "Comparison", x: str, y: str, ax: Any) -> Any:
    return scatter_plot(comparison, x, y, ax=ax)


def _left_out(comparison):
    """Say which baselines the picture of the gains leaves out, or that it shows nothing else."""
    baselines = baselines_of(comparison)
    if not baselines:
        return ""
    if contestants_of(comparison) == comparison.estimators:
        return " Only baselines were compared."
    return f" Left out as {'a baseline' if len(baselines) == 1 else 'baselines'}: {', '.join(map(repr, baselines))}."


def pictures(comparison: "Comparison", *, curves: Sequence[str] | None = None) -> str:
    """Draw the pictures a comparison allows: gains, accuracy against diversity, recall by popularity.

    Parameters
    ----------
    comparison : Comparison
        What to draw.
    curves : sequence of str or None, default=None
        The estimators of the last picture; None: the reference and the most accurate one.

    Returns
    -------
    html : str
    """
    accuracy = accuracy_of(comparison)
    if accuracy is None:
        return ""
    reference, names = comparison.settings["reference"], {m.partition("@")[0]: m for m in comparison.metrics}
    contestants = contestants_of(comparison)
    drawn = []
    if contestants != [reference]:  # else there is no gain to draw
        picture = svg(lambda ax: gain_plot(comparison, accuracy, ax=ax), height=1.3 + 0.55 * len(contestants))
        text = f"Gain of {accuracy} over the reference; a bar that crosses zero may be chance."
        drawn.append((picture, text + _left_out(comparison)))
    for x, said in (
        ("coverage", "how much of the catalogue is recommended"),
        ("ild", "how varied a list is"),
    ):
        if x in names and names[x] != accuracy:
            picture = svg(partial(_draw_scatter, comparison, names[x], accuracy))
            text = f"Accuracy against {said}: up and to the right is better. The dashed line joins those that no other "
            drawn.append((picture, text + "beats in one without losing in the other."))
    if not comparison.by_popularity.empty:
        curves = [reference, ranking(comparison, accuracy)[0]] if curves is None else curves
        curves = list(dict.fromkeys(curves))
        text = (
            "Who finds what few know? What users of the test liked, in ten groups of equal size, from the least known "
            "items on the left to the best known on the right, and the share of it that the lists contain."
        )
        drawn.append((svg(lambda ax: popularity_plot(comparison, curves, ax=ax)), text))
    return "".join(f"<figure>{image}<figcaption>{escape(text)}</figcaption></figure>" for image, text in drawn)


def definition_list(pairs: Iterable[tuple[Any, Any]]) -> str:
    """Render pairs of text as a definition list."""
    items = "".join(f"<dt>{escape(str(key))}</dt><dd>{escape(str(value))}</dd>" for key, value in pairs)
    return f"<dl>{items}</dl>"


def verdict_box(verdict: Verdict) -> str:
    """Render a verdict in a box, the first sentence in bold, the details folded away; empty without sentences."""
    if not verdict.sentences:
        return ""
    said = "".join(f"<p>{escape(sentence)}</p>" for sentence in verdict.sentences[1:])
    details = "".join(f"<li>{escape(line)}</li>" for line in verdict.details)
    if details:
        details = f"<details><summary>How sure this is, in figures</summary><ul>{details}</ul></details>"
    return f"<div class=verdict><p><b>{escape(verdict.sentences[0])}</b></p>{said}{details}</div>"


def chosen_table(comparison: "Comparison") -> str:
    """Render what each search chose in each fold; empty where nothing was tuned."""
    if comparison.chosen.empty:
        return ""
    rows = [
        [
            row.estimator,
            str(row.fold + 1),
            f"{row.score:.4f}",
            ", ".join(f"{key}={value!r}" for key, value in row.params.items()) or "the defaults",
        ]
        for row in comparison.chosen.itertuples()
    ]
    return _plain_table(["estimator", "fold", "inner score", "chosen"], rows)


def page(title: str, sections: list[tuple[str, str]], *, lead: str = "") -> str:
    """Assemble a page from its sections.

    Parameters
    ----------
    title : str
        Heading.
    sections : list of (str, str)
        Heading (may be empty) and HTML of each section; empty sections are left out.
    lead : str
        One line under the heading.

    Returns
    -------
    html : str
        A complete document that needs no other file.
    """
    body = "".join(
        f"<section>{f'<h2>{escape(heading)}</h2>' if heading else ''}{content}</section>"
        for heading, content in sections
        if content
    )
    return (
        "<!doctype html><html lang=en><head><meta charset=utf-8>"
        "<meta name=viewport content='width=device-width, initial-scale=1'>"
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>"
        f"<h1>{escape(title)}</h1>{f'<p class=lead>{escape(lead)}</p>' if lead else ''}{body}</body></html>\n"
    )


def protocol(comparison: "Comparison") -> list[tuple[str, Any]]:
    """Pairs of option and value: how the comparison was made."""
    s = comparison.settings
    # results of earlier versions lack the words
    relevant = "every test row" if s["threshold"] is None else f"y >= {s['threshold']:g}"
    repeated = s.get("repeated_rows")
    asked = s.get("history") is not None
    words = []
    if repeated is not None:
        words.append(words_of_repeated(repeated, exclude_seen=s["exclude_seen"], of_histories=asked))
    return [
        ("Folds", s["n_folds"]),
        ("Rows", s["n_rows"]),
        ("List length k", s["k"]),
        ("Relevant", s.get("relevant", relevant)),
        *([("Questions", f"what comes next after the {s['history']!r} of each test row")] if asked else []),
        *(("Test rows already in their history" if asked else "Test rows already in training", said) for said in words),
        ("Candidates", s["candidates"]),
        ("Reference", s["reference"]),
        ("Permutations, resamples", f"{s['n_permutations']}, {s['n_resamples']}"),
        ("Seed of tests and ties", s["seed"]),
    ]


def comparison_page(comparison: "Comparison", *, title: str) -> str:
    """Render a comparison as a page of its own.

    Parameters
    ----------
    comparison : Comparison
        What to show.
    title : str
        Heading.

    Returns
    -------
    html : str
    """
    return page(
        title,
        [
            ("", verdict_box(plain_verdict(comparison))),
            ("Results", quality_table(comparison)),
            ("Pictures", pictures(comparison)),
            ("Time and memory", cost_table(comparison)),
            ("Protocol", definition_list(protocol(comparison))),
            ("What the searches chose", chosen_table(comparison)),
            ("Versions", definition_list(comparison.settings["versions"].items())),
        ],
    )
