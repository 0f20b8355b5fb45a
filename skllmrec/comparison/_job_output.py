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


def verdict(comparison, *, new_items=False):
    """Say in plain words whether the language model helps, and how sure that is.

    The contrasts with TF-IDF (alone and beside it) and with ids alone are Holm-adjusted together.

    Parameters
    ----------
    comparison : Comparison
        Of the main job.
    new_items : bool, default=False
        Whether the test items are unknown to training, so that ids alone can only rank them at random.

    Returns
    -------
    sentences : list of str
        The first one is the answer.
    """
    best_llm = max((LLM, BOTH), key=lambda name: comparison.value(name, "ndcg"))
    pairs = [(LLM, TFIDF), (BOTH, TFIDF)] + ([] if new_items else [(best_llm, IDS), (TFIDF, IDS)])
    contrasts = [comparison.contrast(name, reference) for name, reference in pairs]
    adjusted = holm_correction([contrast["p_value"] for contrast in contrasts])
    gains = [contrast["gain"] for contrast in contrasts]
    directions = [int(np.sign(gain)) * (p < 0.05) for gain, p in zip(gains, adjusted, strict=True)]
    sentences = [_answer_new(directions, gains) if new_items else _answer(directions[:3], gains[:3], best_llm)]
    for pair, contrast, p in zip(pairs, contrasts, adjusted, strict=True):
        sentences.append(_sentence(comparison, *pair, contrast, p))
    if new_items:
        sentences.append(f"{IDS!r} and {POPULARITY!r} know nothing of new items and rank them at random.")
    coverage = [f"{name!r} {comparison.value(name, 'coverage'):.1%}" for name in (IDS, TFIDF, LLM, BOTH)]
    sentences.append(f"Coverage of the catalogue: {', '.join(coverage)}.")
    best = best_estimator(comparison)
    sentences.append(f"Best of all: {best!r}, {comparison.label('ndcg')} {comparison.value(best, 'ndcg'):.4f}.")
    return sentences


def _answer(directions, gains, best_llm):
    """Answer the question from the significant directions (-1, 0, 1) of the contrasts."""
    alone, both, over_ids = directions
    if over_ids < 0:
        return (
            f"No: on this data text does not help. Ids alone rank better than {best_llm!r}, "
            f"which loses {_percent(gains[2])} NDCG."
        )
    if alone > 0 or both > 0:
        how, gain = ("instead of", gains[0]) if alone > 0 else ("beside", gains[1])
        ids = "and it beats ids alone" if over_ids > 0 else "but it is not clearly better than ids alone"
        start = "Yes, the language model helps" if over_ids > 0 else "In part"
        return f"{start}: {how} TF-IDF, on the same text, it gains {_percent(gain)} NDCG, {ids}."
    if over_ids > 0:
        return "Text helps, but the language model brings no clear gain over TF-IDF on the same text."
    return "No clear difference: on this data the language model gains neither over TF-IDF nor over ids alone."


def _answer_new(directions, gains):
    """Answer the question for new items, which ids alone cannot rank."""
    alone, both = directions
    if alone > 0:
        return f"Yes: on new items the language model gains {_percent(gains[0])} NDCG over TF-IDF on the same text."
    if both > 0:
        return f"Yes, beside TF-IDF: on new items the two together gain {_percent(gains[1])} NDCG over TF-IDF alone."
    if alone < 0:
        return f"No: on new items the language model instead of TF-IDF loses {_percent(gains[0])} NDCG."
    return "No clear difference: the language model and TF-IDF rank new items about equally well."


def best_estimator(comparison):
    """Name of the estimator with the highest NDCG; of equal ones the first."""
    return max(comparison.estimators, key=lambda name: comparison.value(name, "ndcg"))


def pick_user(data):
    """Choose a user to show: the one whose history has the median length, among those with at least five rows."""
    counts = data.X[USER].value_counts().sort_index(kind="stable")
    long_enough = counts[counts >= min(5, counts.max())].sort_values(kind="stable")
    user = long_enough.index[len(long_enough) // 2]
    return user.item() if hasattr(user, "item") else user


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
        f"the defaults), chosen on {protocol.inner.get_n_splits()} validation split(s) inside each training fold "
        "that mirror the outer one. The text features all read the same text. Language model: "
        f"{escape(options.model)}, the first {options.max_length} tokens of a text.</p>"
    )
    how = [*data.describe(), ("Protocol", protocol.text), ("Feedback", options.feedback), ("Seed", options.seed)]
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
            ("Quality of the data", f"<div class=note>{data.quality.to_html()}</div>"),
            ("What the searches chose", _report.chosen_table(comparison)),
            ("Times and versions", _report.definition_list([*times, *versions(), ("Command", command)])),
        ],
        lead=f"{protocol.text[0].upper()}{protocol.text[1:]}.",
    )
