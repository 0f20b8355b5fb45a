"""What the main job says: the verdict in words, the lists of one user, the report."""

import importlib.metadata
import platform
from html import escape

import numpy as np

from skllmrec import __version__
from skllmrec.comparison import _report
from skllmrec.comparison._job_data import ITEM, USER
from skllmrec.comparison._job_models import BOTH, IDS, LLM, POPULARITY, TFIDF
from skllmrec.comparison._statistics import holm_correction

_PACKAGES = ("numpy", "scipy", "scikit-learn", "numba", "torch", "transformers", "pandas")


def _sureness(p):
    """Words for a p-value."""
    if p < 0.001:
        return "practically certain (p < .001)"
    if p < 0.01:
        return f"very sure (p = {p:.3f})"
    if p < 0.05:
        return f"fairly sure (p = {p:.3f})"
    return f"it may be chance (p = {p:.2f})"


def _percent(gain):
    return f"{abs(gain):.1%}" if np.isfinite(gain) else "infinitely"


def _sentence(comparison, name, reference, contrast, p):
    """One contrast in words."""
    label = comparison.label("ndcg")
    better = "better" if contrast["gain"] >= 0 else "worse"
    means = (
        f"{label} {contrast['mean']:.4f} against {comparison.value(reference, label):.4f}"
        f", 95 % interval of the difference {100 * contrast['gain_low']:+.1f} to "
        f"{100 * contrast['gain_high']:+.1f} %"
    )
    if contrast["gain"] == 0:
        return f"{name!r} ranks as well as {reference!r} ({means}): {_sureness(p)}."
    return f"{name!r} ranks {_percent(contrast['gain'])} {better} than {reference!r} ({means}): {_sureness(p)}."


def verdict(comparison):
    """Say in plain words whether the language model helps, and how sure that is.

    The three contrasts are Holm-adjusted together.

    Parameters
    ----------
    comparison : Comparison
        Of the main job.

    Returns
    -------
    sentences : list of str
        The first one is the answer.
    """
    best_llm = max((LLM, BOTH), key=lambda name: comparison.value(name, "ndcg"))
    pairs = [(LLM, TFIDF), (BOTH, TFIDF), (best_llm, IDS)]
    contrasts = [comparison.contrast(name, reference) for name, reference in pairs]
    adjusted = holm_correction([contrast["p_value"] for contrast in contrasts])
    alone, both, over_ids = zip(pairs, contrasts, adjusted, strict=True)
    sentences = [_answer(alone, both), *(_sentence(comparison, *pair, c, p) for pair, c, p in (alone, both, over_ids))]
    coverage = [comparison.value(name, "coverage") for name in (TFIDF, best_llm, IDS)]
    sentences.append(
        f"Coverage of the catalogue: {best_llm!r} {coverage[1]:.1%}, {TFIDF!r} {coverage[0]:.1%}, "
        f"{IDS!r} {coverage[2]:.1%}."
    )
    best = best_estimator(comparison)
    sentences.append(f"Best of all: {best!r}, ndcg@{comparison.settings['k']} {comparison.value(best, 'ndcg'):.4f}.")
    return sentences


def _answer(alone, both):
    """Say whether the language model helps over TF-IDF."""
    (_, alone_contrast, alone_p), (_, both_contrast, both_p) = alone, both
    alone_gain, both_gain = alone_contrast["gain"], both_contrast["gain"]
    if alone_p < 0.05 and alone_gain > 0:
        return f"Yes, the language model helps: over TF-IDF on the same text it gains {_percent(alone_gain)} NDCG."
    if both_p < 0.05 and both_gain > 0:
        return (
            f"Yes, beside TF-IDF: the two together gain {_percent(both_gain)} NDCG over TF-IDF alone; "
            "the language model instead of TF-IDF does not."
        )
    if alone_p < 0.05 and alone_gain < 0:
        return f"No: the language model instead of TF-IDF loses {_percent(alone_gain)} NDCG on this data."
    return "No clear difference: on this data the language model and TF-IDF rank about equally well."


def best_estimator(comparison):
    """Name of the estimator with the highest NDCG; of equal ones the first."""
    return max(comparison.estimators, key=lambda name: comparison.value(name, "ndcg"))


def pick_user(data):
    """Choose a user to show: the one whose history has the median length, among those with at least five rows."""
    counts = data.X[USER].value_counts().sort_index(kind="stable")
    long_enough = counts[counts >= min(5, counts.max())].sort_values(kind="stable")
    return long_enough.index[len(long_enough) // 2]


def lists_of_user(data, recommender, user, n=10):
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
    if data.threshold is not None:
        rows = rows[rows["strength"] >= data.threshold]
    liked = rows.sort_values("strength", ascending=False, kind="stable")[ITEM].head(n)
    ids, scores = recommender.recommend([user], n_items=min(n, len(recommender.items_)))
    recommended = [item for item, score in zip(ids[0], scores[0], strict=True) if score > -np.inf]
    return [_title(titles, item) for item in liked], [_title(titles, item) for item in recommended]


def _title(titles, item):
    title = titles.get(item)
    return title if isinstance(title, str) and title.strip() else f"item {item}"


def versions():
    """Versions of what computed the figures, as pairs."""
    found = [("skllmrec", __version__), ("Python", platform.python_version())]
    return found + [(name, importlib.metadata.version(name)) for name in _PACKAGES]


def side_by_side(left, right, heads):
    """Two lists as lines of text, in two columns."""
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


def report(comparison, *, data, protocol, options, sentences, shown, times, command):
    """Render the report of the job.

    Parameters
    ----------
    comparison : Comparison
    data : JobData
    protocol : Protocol
    options : argparse.Namespace
    sentences : list of str
        The verdict.
    shown : tuple
        User, name of the model, titles liked, titles recommended.
    times : list of (str, str)
        What took how long.
    command : str
        The command line.

    Returns
    -------
    html : str
    """
    said = f"<div class=verdict><p><b>{escape(sentences[0])}</b></p>"
    said += "".join(f"<p>{escape(sentence)}</p>" for sentence in sentences[1:]) + "</div>"
    table = _report.metric_table(comparison) + f"<p class=note>{_report.table_note(comparison)}</p>"
    tuned = (
        f"<p class=note>All but {POPULARITY!r} are searches over the same {options.trials} candidates (the first is "
        "the defaults), on one validation split inside each training fold that mirrors the outer one. The text "
        f"features all read the same text. Language model: {escape(options.model)}, {options.max_length} tokens.</p>"
    )
    how = [*data.describe(), ("Protocol", protocol.text), ("Feedback", options.feedback)]
    how += [pair for pair in _report.protocol(comparison) if pair[0] not in ("Relevant", "Rows")]
    notes = "".join(f"<li>{escape(note)}</li>" for note in data.notes)
    load = (
        f'<p>The best estimator, fitted on all interactions: <code>model = joblib.load("best_pipeline.joblib")</code>, '
        f"then <code>model.recommend([{escape(repr(shown[0]))}], n_items=10)</code>. Load only files you trust.</p>"
    )
    return _report.page(
        f"Does a language model help on {data.name}?",
        [
            ("", said),
            ("Results", table + tuned),
            ("Pictures", _report.pictures(comparison)),
            ("One user", _user_section(*shown) + load),
            ("Data and protocol", _report.definition_list(how) + f"<ul class=note>{notes}</ul>"),
            ("What the searches chose", _report.chosen_table(comparison)),
            ("Times and versions", _report.definition_list([*times, *versions(), ("Command", command)])),
        ],
        lead=f"{protocol.text[0].upper()}{protocol.text[1:]}.",
    )
