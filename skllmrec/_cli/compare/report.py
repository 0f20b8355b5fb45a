"""What the main job shows: the lists of one user, the report, and what goes into the JSON file."""

from argparse import Namespace
from html import escape
from typing import Any

import numpy as np

from skllmrec._cli.compare.data import JobData
from skllmrec._cli.compare.estimators import BOTH, IDS, LLM, POPULARITY, TFIDF, Protocol
from skllmrec._cli.compare.files import ITEM, USER
from skllmrec._terminal import printable
from skllmrec._typing import Estimator
from skllmrec.comparison import Comparison, _report
from skllmrec.comparison._verdict import Verdict
from skllmrec.metrics._ranking import relevant_rows

_WHO = {
    POPULARITY: "everyone gets what most people liked",
    IDS: "learns from who liked what; reads nothing",
    TFIDF: "the same, and reads the words of the items' texts: the usual way",
    LLM: "the same, and reads the texts with a language model instead",
    BOTH: "the same, and reads them both ways",
}


_NOT_FITTED = (
    "<p class=note>This page was written before the last step, the fit of the best estimator on all interactions. "
    "Where you still read this, that fit is running or has failed, and a file <code>best_pipeline.joblib</code> is of "
    "an earlier run. The same command with <code>--resume</code> repeats that step alone.</p>"
)


def pick_user(data: JobData) -> Any:
    """Choose a user to show: the one whose history has the median length, among those with at least five rows."""
    counts = data.X[USER].value_counts().sort_index(kind="stable")
    long_enough = counts[counts >= min(5, counts.max())].sort_values(kind="stable")
    user = long_enough.index[len(long_enough) // 2]
    return user.item() if hasattr(user, "item") else user


def lists_of_user(data: JobData, recommender: Estimator, user: Any, n: int = 10) -> tuple[list[str], list[str]]:
    """Titles of what a user liked and of what is recommended.

    Parameters
    ----------
    data : JobData
    recommender : fitted recommender
    user : id
    n : int, default=10
        Length of the lists.

    Returns
    -------
    liked, recommended : list of str
        Titles; the best liked first.
    """
    titles = data.items.set_index(ITEM)[data.title]
    rows = data.X.assign(strength=data.strength)[data.X[USER] == user]
    rows = rows[relevant_rows(rows["strength"], data.threshold, len(rows))]
    liked = rows.sort_values("strength", ascending=False, kind="stable")[ITEM].head(n)
    ids, scores = recommender.recommend([user], n_items=min(n, len(recommender.items_)))
    recommended = [item for item, score in zip(ids[0], scores[0], strict=True) if score > -np.inf]
    return [_title(titles, item) for item in liked], [_title(titles, item) for item in recommended]


def _title(titles, item):
    title = titles.get(item)
    return title if isinstance(title, str) and title.strip() else f"item {item}"


def side_by_side(left: list[str], right: list[str], heads: tuple[str, str]) -> list[str]:
    """Two lists as lines of text, in two columns."""
    left, right = ([printable(text, one_line=True) for text in texts] for texts in (left, right))
    width = min(60, max(len(text) for text in [heads[0], *left]) + 4)
    lines = [f"    {heads[0]:<{width}}{heads[1]}"]
    for row in range(max(len(left), len(right))):
        cells = [texts[row] if row < len(texts) else "" for texts in (left, right)]
        cut = cells[0] if len(cells[0]) <= width - 2 else cells[0][: width - 5] + "..."
        lines.append(f"{row + 1:>2}  {cut:<{width}}{cells[1]}")
    return lines


def _user_section(user, model, liked, recommended):
    columns = [(f"What user {user} liked", liked), (f"What {model!r} recommends", recommended)]
    return (
        "<div class=columns>"
        + "".join(
            f"<div><b>{escape(head)}</b><ol>{''.join(f'<li>{escape(text)}</li>' for text in texts)}</ol></div>"
            for head, texts in columns
        )
        + "</div>"
    )


def report(
    comparison: Comparison,
    *,
    data: JobData,
    protocol: Protocol,
    options: Namespace,
    found: Verdict,
    shown: tuple[Any, str, list[str], list[str]] | None,
    times: list[tuple[str, str]],
    command: str,
) -> str:
    """Render the report of the job.

    Parameters
    ----------
    comparison : Comparison
    data : JobData
    protocol : Protocol
    options : argparse.Namespace
    found : Verdict
    shown : tuple or None
        User, name of the model, titles liked, titles recommended; None before the best estimator is fitted.
    times : list of (str, str)
        What took how long.
    command : str
        The command line.

    Returns
    -------
    html : str
    """
    best_text = max((TFIDF, LLM, BOTH), key=lambda name: comparison.value(name, "ndcg"))
    tuned = (
        f"<p class=note>All built-in ones but {POPULARITY!r} are searches over the same {options.trials} candidate(s) "
        f"(the first is the defaults), chosen on {protocol.inner.get_n_splits()} validation split(s) inside each "
        "training fold that mirror the outer one. The text features all read the same text. Language model: "
        f"{escape(options.model)}, the first {options.max_length} tokens of a text.</p>"
    )
    versions = comparison.settings["versions"]
    how = [*data.describe(), ("Protocol", protocol.text), ("Feedback", options.feedback), ("Seed", options.seed)]
    how += [pair for pair in _report.protocol(comparison) if pair[0] not in ("Relevant", "Rows")]
    who = [(name, _WHO.get(name, "your own")) for name in comparison.estimators]
    who += [pair for pair in [_report.metric_words(comparison, "ndcg")] if pair]
    notes = "".join(f"<li>{escape(note)}</li>" for note in data.notes)
    return _report.page(
        f"Does a language model help on {data.name}?",
        [
            ("", _report.verdict_box(found) + _report.definition_list(who)),
            ("Results", _report.quality_table(comparison) + tuned),
            ("Pictures", _report.pictures(comparison, curves=(IDS, best_text))),
            ("Time and memory", _report.cost_table(comparison) + _report.definition_list(times)),
            ("One user", _NOT_FITTED if shown is None else _user_section(*shown) + _how_to_load(shown[0])),
            ("Data and protocol", _report.definition_list(how) + f"<ul class=note>{notes}</ul>"),
            ("Quality of the data, as it was read", f"<div class=note>{data.quality.to_html()}</div>"),
            ("What the searches chose", _report.chosen_table(comparison)),
            ("Versions", _report.definition_list([*versions.items(), ("Command", command)])),
        ],
        lead=f"{protocol.text[0].upper()}{protocol.text[1:]}.",
    )


def _how_to_load(user):
    return (
        f'<p>The best estimator, fitted on all interactions: <code>model = joblib.load("best_pipeline.joblib")</code>, '
        f"then <code>model.recommend([{escape(repr(user))}], n_items=10)</code>. Load only files you trust.</p>"
    )


def job_document(
    *,
    data: JobData,
    protocol: Protocol,
    options: Namespace,
    found: Verdict,
    seconds: dict[str, float],
    command: str,
) -> dict[str, Any]:
    """Make what the JSON file holds beside the figures.

    Parameters
    ----------
    data : JobData
    protocol : Protocol
    options : argparse.Namespace
    found : Verdict
    seconds : dict of str to float
        What took how long.
    command : str
        The command line.

    Returns
    -------
    job : dict
        ``command, options, protocol, data, verdict, verdict_details, seconds``; ``data`` has ``name, facts, findings,
        notes, text``.
    """
    return {
        "command": command,
        "options": {key: value for key, value in vars(options).items() if key != "run"},
        "protocol": protocol.text,
        "data": {
            "name": data.name,
            "facts": data.quality.facts,
            "notes": data.notes,
            "text": data.template,
            "findings": [str(finding) for finding in data.quality.findings],
        },
        "verdict": found.sentences,
        "verdict_details": found.details,
        "seconds": seconds,
    }
