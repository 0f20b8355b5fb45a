"""The verdict of the main job in words."""

import re

import pandas as pd
import pytest
from made_up_comparison import NAMES, made_up

from skllmrec._cli.compare.verdict import best_estimator, verdict
from skllmrec.comparison import Comparison


@pytest.mark.parametrize(
    ("means", "answer"),
    [
        (
            [0.1, 0.20, 0.22, 0.25, 0.24],
            "Yes, the language model helps: instead of TF-IDF, on the same text, it gains 13.6% NDCG",
        ),
        ([0.1, 0.20, 0.22, 0.22, 0.25], "Yes, the language model helps: beside TF-IDF"),
        (
            [0.1, 0.25, 0.22, 0.25, 0.25],
            "In part: instead of TF-IDF, .* the language model gains 13.6% NDCG, but it is not clearly better",
        ),
        ([0.1, 0.30, 0.22, 0.25, 0.24], "No: on this data text does not help. .*'ids \\+ LLM', which loses 16.7% NDCG"),
        ([0.1, 0.20, 0.25, 0.25, 0.25], "Text helps, but the language model brings no clear gain over TF-IDF"),
        ([0.1, 0.25, 0.25, 0.25, 0.25], "No clear difference"),
    ],
)
def test_the_first_sentence_is_the_answer(means, answer):
    assert pd.Series(verdict(made_up(means)).sentences[0]).str.match(answer).item()


def test_where_the_popular_items_win_the_answer_is_no():
    sentences, details = verdict(made_up([0.3, 0.20, 0.22, 0.25, 0.24]))
    assert sentences[0] == (
        "No: on this data nothing that learns helps. The popular items, the same for everyone, rank better than "
        "'ids + LLM', the best of the others, which loses 16.7% NDCG."
    )
    assert sentences[1].startswith(
        "The best but for the baselines is 'ids + LLM' with ndcg@9 0.2500, 13.6% better than"
    )
    assert any(line.startswith("'ids + LLM' ranks 16.7% worse than 'popularity'") for line in details)
    assert verdict(made_up([0.2501, 0.20, 0.22, 0.25, 0.24])).sentences[0].startswith("Yes")  # not surely better


def test_a_sure_gain_may_be_little():
    sentences, details = verdict(made_up([0.1, 0.20, 0.25, 0.252, 0.25], spread=0.001))
    assert "it gains 0.8% NDCG (very little), and it beats ids alone" in sentences[0]
    assert "practically certain" in details[0]


def test_the_sentences_carry_figures_and_how_sure_they_are():
    sentences, details = verdict(made_up([0.1, 0.20, 0.22, 0.25, 0.24], hits=[90, 200, 240, 270, 200]))
    assert sentences[1:] == [
        "The winner is 'ids + LLM' with ndcg@9 0.2500, 13.6% better than 'ids + TF-IDF' (0.2200): practically certain.",
        "Second is 'ids + TF-IDF + LLM' with 0.2400; clearly behind.",
        "Of 100 users, 90 instead of 80 find at least one item they like among 9 recommendations ('ids + LLM' instead "
        "of 'ids + TF-IDF'). With the baseline 'popularity': 30.",
    ]
    assert not re.search(r"Holm|p-value|p [<=]|interval", " ".join(sentences))
    assert re.match(
        r"'ids \+ LLM' ranks 13.6% better than 'ids \+ TF-IDF' \(ndcg@9 0.2500 against 0.2200, 95% interval of the "
        r"difference \+1[12]\.\d% to \+1[45]\.\d%\): practically certain \(p < .001\)\.",
        details[0],
    )
    assert details[-2].startswith("The p-values allow for all 5 of these comparisons (Holm)")
    assert "'ids + LLM' 40.0%" in details[-1]
    unsure = verdict(made_up([0.1, 0.25, 0.25, 0.2501, 0.25]))
    assert unsure.sentences[1].startswith("No clear winner: 'ids + LLM' with ndcg@9 0.2501 is as good as")
    assert "it may be chance" in unsure.details[0]


@pytest.mark.parametrize(
    ("means", "answer"),
    [
        ([0.0, 0.0, 0.2, 0.25, 0.2], "Yes: on new items the language model gains 25.0% NDCG over TF-IDF"),
        ([0.0, 0.0, 0.2, 0.2, 0.25], "Yes, beside TF-IDF: on new items"),
        ([0.0, 0.0, 0.2, 0.1, 0.2], "No: on new items the language model instead of TF-IDF loses 50.0% NDCG"),
        ([0.0, 0.0, 0.2, 0.2, 0.2], "No clear difference"),
    ],
)
def test_of_new_items_ids_alone_know_nothing(means, answer):
    sentences, details = verdict(made_up(means, baselines=NAMES[:2]), new_items=True)
    assert sentences[0].startswith(answer)
    assert not any("than 'ids'" in sentence for sentence in [*sentences, *details])
    assert "'ids' and 'popularity' know nothing of new items and rank them at random." in sentences


def test_nothing_divides_by_a_reference_of_zero():
    sentences, details = verdict(made_up([0.0, 0.0, 0.0, 0.1, 0.1], spread=0.0, hits=[0, 0, 0, 30, 30]))
    assert "infinitely better" in details[0]
    assert "'ids + LLM' with ndcg@9 0.1000, better than 'ids + TF-IDF' (0.0000)" in sentences[1]


def test_best_of_equal_ones_is_the_first_that_is_no_baseline():
    assert best_estimator(made_up([0.3, 0.3, 0.2, 0.3, 0.1], spread=0.0)) == "ids"
    assert best_estimator(made_up([0.3, 0.3, 0.2, 0.3, 0.1], spread=0.0, baselines=())) == "popularity"


def test_estimators_of_ones_own_are_measured_against_the_best_built_in_one():
    names = [*NAMES, "<my> model", "ids!"]
    sentences, details = verdict(made_up([0.1, 0.20, 0.22, 0.25, 0.24, 0.275, 0.21], names=names))
    assert sentences[0].startswith("Yes, the language model helps")
    assert sentences[1] == (
        "The winner is '<my> model' with ndcg@9 0.2750, 10.0% better than 'ids + LLM' (0.2500): practically certain."
    )
    assert details[0].startswith("'<my> model' ranks 10.0% better than 'ids + LLM' (ndcg@9 0.2750 against 0.2500")
    assert details[1].startswith("'ids!' ranks 16.0% worse than 'ids + LLM'")
    assert details[-2].startswith("The p-values allow for all 7 of these comparisons")
    assert "'<my> model' 60.0%" in details[-1]


def test_the_contrasts_are_adjusted_together(monkeypatch):
    contrast = {"gain": 0.1, "mean": 0.22, "gain_low": 0.0, "gain_high": 0.2, "p_value": 0.02}
    monkeypatch.setattr(Comparison, "contrast", lambda *args: contrast)
    sentences, details = verdict(made_up([0.1, 0.20, 0.22, 0.25, 0.24]))
    assert sentences[0].startswith("No clear difference")
    assert sentences[1].startswith("No clear winner")  # with the same p-values as the answer
    assert all("it may be chance (p = 0.10)" in line for line in details[:5])  # 5 x 0.02


def test_that_nothing_clearly_beats_the_popular_items_is_a_part_of_the_answer():
    answer = verdict(made_up([0.2495, 0.20, 0.25, 0.25, 0.25])).sentences[0]
    assert answer.startswith(
        "Text helps, but the language model brings no clear gain over TF-IDF on the same text. But"
    )
    assert "clearly beats the popular items" in answer
    assert "popular items" not in verdict(made_up([0.1, 0.20, 0.25, 0.25, 0.25])).sentences[0]


def test_a_gain_that_is_printed_as_nothing_is_none():
    details = verdict(made_up([0.1, 0.20, 0.25, 0.25, 0.24999])).details
    assert any(line.startswith("'ids + TF-IDF + LLM' ranks as well as 'ids + TF-IDF'") for line in details)
