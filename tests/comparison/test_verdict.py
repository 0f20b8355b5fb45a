"""The verdict on any estimators, in words."""

import re

import pytest
from made_up_comparison import NAMES, made_up

from skllmrec.comparison._verdict import next_sentence, plain_verdict


@pytest.mark.parametrize(
    ("means", "said"),
    [
        (
            [0.1, 0.2, 0.25, 0.3, 0.2],
            "The winner is 'ids + LLM' with ndcg@9 0.3000, 20.0% better than 'ids + TF-IDF' (0.2500): practically "
            "certain.",
        ),
        (
            [0.1, 0.2, 0.25, 0.2, 0.1],
            "The winner is 'ids + TF-IDF' with ndcg@9 0.2500, 25.0% better than 'ids' (0.2000): practically certain.",
        ),
        (
            [0.1, 0.2, 0.25, 0.2503, 0.1],
            "No clear winner: 'ids + LLM' with ndcg@9 0.2503 is 0.1% better than 'ids + TF-IDF' (0.2500), but this may "
            "be chance.",
        ),
        (
            [0.1, 0.2, 0.25, 0.25001, 0.1],
            "No clear winner: 'ids + LLM' with ndcg@9 0.2500 is as good as 'ids + TF-IDF'",
        ),
    ],
)
def test_the_verdict_on_any_estimators(means, said):
    first = plain_verdict(made_up(means)).sentences[0]
    assert first.startswith(said), first


def test_the_method_is_in_the_details_and_not_in_the_verdict():
    verdict = plain_verdict(made_up([0.1, 0.2, 0.25, 0.3, 0.2], hits=[90, 240, 270, 290, 250]))
    assert not re.search(r"Holm|p-value|p [<=]|interval|permutation", " ".join(verdict.sentences))
    assert "adjusted after Holm" in verdict.details[-1]
    assert len(verdict.details) == len(NAMES)  # a line for each but the reference, and the method
    assert re.match(
        r"'ids \+ LLM' against 'ids \+ TF-IDF': ndcg@9 \+20.0% \(95% interval \+1[89]\.\d% to \+2[12]\.\d%\), "
        r"practically certain \(p < .001\)\.$",
        verdict.details[2],
    )


@pytest.mark.parametrize(
    ("means", "second"),
    [
        ([0.1, 0.2, 0.25, 0.3, 0.28], "Second is 'ids + TF-IDF + LLM' with 0.2800."),
        ([0.1, 0.2, 0.25, 0.3, 0.2999], "Second is 'ids + TF-IDF + LLM' with 0.2999."),
        ([0.1, 0.2, 0.25, 0.3, 0.2], None),  # the second is the reference, which the first sentence names
        ([0.1, 0.2, 0.25, 0.2, 0.1], None),
    ],
)
def test_the_second_is_named_where_it_is_not_the_rival(means, second):
    sentences = plain_verdict(made_up(means)).sentences
    assert [sentence for sentence in sentences if sentence.startswith("Second")] == ([second] if second else [])


@pytest.mark.parametrize(
    ("third", "said"),
    [
        (0.28, "Second is 'ids + TF-IDF + LLM' with 0.2800; clearly behind."),
        (0.2999, "Second is 'ids + TF-IDF + LLM' with 0.2999; the distance may be chance."),
    ],
)
def test_the_distance_to_the_second_is_tested_on_request(third, said):
    comparison = made_up([0.1, 0.2, 0.25, 0.3, third])
    assert next_sentence(comparison, "ndcg@9", NAMES[3], NAMES[2], tested=True) == [said]


@pytest.mark.parametrize(
    ("winner", "rival", "said"),
    [  # of 300 users
        (270, 240, "Of 100 users, 90 instead of 80 find at least one item they like among 9 recommendations ('ids + "
                   "LLM' instead of 'ids + TF-IDF'). With the baseline 'popularity': 30."),
        (240, 270, "Of 100 users, 80 instead of 90 find"),  # more of the ranking, less for business: said as it is
        (271, 270, "Of 1,000 users, 903 with 'ids + LLM' and 900 with 'ids + TF-IDF' find at least one item they like "
                   "among 9 recommendations: this may be chance. With the baseline 'popularity': 300."),
        (273, 270, "Of 100 users, 91 with 'ids + LLM' and 90 with 'ids + TF-IDF' find at least one item they like "
                   "among 9 recommendations: this may be chance."),
        (270, 270, "Of 100 users, 90 find at least one item they like among 9 recommendations, with 'ids + LLM' as "
                   "with 'ids + TF-IDF'."),
    ],
)  # fmt: skip
def test_a_sentence_for_business_counts_users(winner, rival, said):
    verdict = plain_verdict(made_up([0.1, 0.2, 0.25, 0.3, 0.2], hits=[90, 0, rival, winner, 0]))
    assert verdict.sentences[-1].startswith(said), verdict.sentences[-1]


def test_without_hit_rates_users_are_not_counted():
    assert len(plain_verdict(made_up([0.1, 0.2, 0.25, 0.3, 0.2])).sentences) == 1


def test_a_baseline_never_wins_but_is_told_where_it_is_better():
    sentences = plain_verdict(made_up([0.4, 0.2, 0.25, 0.3, 0.2])).sentences
    assert sentences[0].startswith(
        "The best but for the baselines is 'ids + LLM' with ndcg@9 0.3000, 20.0% better than"
    )
    assert sentences[1] == "The baseline 'popularity', which knows nothing about a single user, is better: 0.4000."


def test_where_only_baselines_ran_the_verdict_says_so():
    sentences = plain_verdict(made_up([0.4, 0.2, 0.25, 0.3, 0.2], baselines=NAMES)).sentences
    assert sentences[0].startswith("The winner is 'popularity'")
    assert "Only baselines were compared, which know nothing about a single user." in sentences


def test_a_single_estimator_has_no_verdict():
    comparison = made_up([0.1, 0.2, 0.25], names=NAMES[:3])
    comparison.frame = comparison.frame[comparison.frame["estimator"] == NAMES[2]]
    assert plain_verdict(comparison) == ([], [])
