"""The verdict of the main job: whether the language model helps."""

import numpy as np

from skllmrec._cli.compare.estimators import BOTH, BUILT_IN, IDS, LLM, POPULARITY, TFIDF
from skllmrec.comparison import Comparison
from skllmrec.comparison._formatting import sureness
from skllmrec.comparison._statistics import holm_correction
from skllmrec.comparison._verdict import Verdict, hits_sentence, next_sentence, ranking, rival_of, winner_sentence

_NOTHING = 0.0005  # a change of NDCG below it is printed as 0.0%
_LITTLE = 0.01  # a change of NDCG below it is called very little, however sure it is


def _percent(gain):
    return f"{abs(gain):.1%}" if np.isfinite(gain) else "infinitely"


def _gained(gain):
    """Put a gain in words; what is sure need not be much."""
    return f"{_percent(gain)} NDCG" + (" (very little)" if abs(gain) < _LITTLE else "")


def _sentence(comparison, name, reference, contrast, p):
    """One contrast in words."""
    label = comparison.label("ndcg")
    better = "better" if contrast["gain"] >= 0 else "worse"
    means = (
        f"{label} {contrast['mean']:.4f} against {comparison.value(reference, label):.4f}"
        f", 95% interval of the difference {contrast['gain_low']:+z.1%} to {contrast['gain_high']:+z.1%}"
    )
    if abs(contrast["gain"]) < _NOTHING:
        return f"{name!r} ranks as well as {reference!r} ({means}): {sureness(p)}."
    return f"{name!r} ranks {_percent(contrast['gain'])} {better} than {reference!r} ({means}): {sureness(p)}."


def verdict(comparison: Comparison, *, new_items: bool = False) -> Verdict:
    """Answer in plain words whether the language model helps, and how sure that is.

    The contrasts with TF-IDF (alone and beside it) and with ids alone are Holm-adjusted together, and with them that of
    the best that learns with popularity, and those of the user's own estimators with the best of the built-in ones.

    Parameters
    ----------
    comparison : Comparison
        Of the main job.
    new_items : bool, default=False
        Whether the test items are unknown to training, so that ids alone can only rank them at random.

    Returns
    -------
    verdict : Verdict
        Its first sentence is the answer.
    """
    best_llm = max((LLM, BOTH), key=lambda name: comparison.value(name, "ndcg"))
    own = [name for name in comparison.estimators if name not in BUILT_IN]
    ours = max(BUILT_IN, key=lambda name: comparison.value(name, "ndcg"))
    learned = max((IDS, TFIDF, LLM, BOTH), key=lambda name: comparison.value(name, "ndcg"))
    pairs = [(LLM, TFIDF), (BOTH, TFIDF)]
    pairs += [] if new_items else [(best_llm, IDS), (TFIDF, IDS), (learned, POPULARITY)]
    pairs += [(name, ours) for name in own]
    lines, directions, gains, adjusted = _contrasts(comparison, pairs)
    if new_items:
        answer = _answer_new(directions[:2], gains)
    else:
        answer = _answer(directions[:3], gains[:3], best_llm)
        answer = _beside_popularity(answer, directions[4], gains[4], learned)
    sentences = [answer, *_winner(comparison, ours, dict(zip(map(frozenset, pairs), adjusted, strict=True)))]
    if new_items:
        sentences.append(f"{IDS!r} and {POPULARITY!r} know nothing of new items and rank them at random.")
    built_in = len(pairs) - len(own)
    coverage = [f"{name!r} {comparison.value(name, 'coverage'):.1%}" for name in (IDS, TFIDF, LLM, BOTH, *own)]
    details = [
        *lines[built_in:],
        *lines[:built_in],
        f"The p-values allow for all {len(lines)} of these comparisons (Holm), the intervals for one each; "
        "those of the table allow for the comparisons of its row, and differ a little.",
        f"Coverage of the catalogue: {', '.join(coverage)}.",
    ]
    return Verdict(sentences, details)


def _winner(comparison, ours, adjusted):
    """Name the winner, the second, and how many users find something; with the p-values of the answer."""
    label = comparison.label("ndcg")
    winner = best_estimator(comparison)
    rival = rival_of(comparison, winner, label) if winner in BUILT_IN else ours
    p = adjusted.get(frozenset((winner, rival)))
    if p is None:  # the rival is one of the user's own
        p = comparison.contrast(winner, rival)["p_value"]
    return [
        winner_sentence(comparison, label, winner, rival, p),
        *next_sentence(comparison, label, winner, rival, tested=True),
        *hits_sentence(comparison, winner, rival),
    ]


def _beside_popularity(answer, direction, gain, learned):
    """Correct an answer where the best that learns is worse than the popular items, or not clearly better."""
    if direction < 0:
        return (
            f"No: on this data nothing that learns helps. The popular items, the same for everyone, rank better than "
            f"{learned!r}, the best of the others, which loses {_gained(gain)}."
        )
    if direction == 0:
        answer += (
            f" But not even {learned!r}, the best that learns, clearly beats the popular items, the same for everyone."
        )
    return answer


def _contrasts(comparison, pairs):
    """Sentences on pairs of estimators, significant directions (-1, 0, 1), gains and p-values; adjusted together."""
    contrasts = [comparison.contrast(*pair) for pair in pairs]
    adjusted = holm_correction([contrast["p_value"] for contrast in contrasts])
    gains = [contrast["gain"] for contrast in contrasts]
    directions = [int(np.sign(gain)) * (p < 0.05) for gain, p in zip(gains, adjusted, strict=True)]
    rows = zip(pairs, contrasts, adjusted, strict=True)
    return [_sentence(comparison, *pair, contrast, p) for pair, contrast, p in rows], directions, gains, adjusted


def _answer(directions, gains, best_llm):
    """Answer the question from the significant directions (-1, 0, 1) of the contrasts."""
    alone, both, over_ids = directions
    if over_ids < 0:
        return (
            f"No: on this data text does not help. Ids alone rank better than {best_llm!r}, "
            f"which loses {_gained(gains[2])}."
        )
    if alone > 0 or both > 0:
        how, gain = ("instead of", gains[0]) if alone > 0 else ("beside", gains[1])
        ids = "and it beats ids alone" if over_ids > 0 else "but it is not clearly better than ids alone"
        start, it = ("Yes, the language model helps", "it") if over_ids > 0 else ("In part", "the language model")
        return f"{start}: {how} TF-IDF, on the same text, {it} gains {_gained(gain)}, {ids}."
    if over_ids > 0:
        return "Text helps, but the language model brings no clear gain over TF-IDF on the same text."
    return "No clear difference: on this data the language model gains neither over TF-IDF nor over ids alone."


def _answer_new(directions, gains):
    """Answer the question for new items, which ids alone cannot rank."""
    alone, both = directions
    if alone > 0:
        return f"Yes: on new items the language model gains {_gained(gains[0])} over TF-IDF on the same text."
    if both > 0:
        return f"Yes, beside TF-IDF: on new items the two together gain {_gained(gains[1])} over TF-IDF alone."
    if alone < 0:
        return f"No: on new items the language model instead of TF-IDF loses {_gained(gains[0])}."
    return "No clear difference: the language model and TF-IDF rank new items about equally well."


def best_estimator(comparison: Comparison) -> str:
    """Name of the estimator with the highest NDCG, baselines left out; of equal ones the first."""
    return ranking(comparison, comparison.label("ndcg"))[0]
