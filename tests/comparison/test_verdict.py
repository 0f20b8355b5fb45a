"""The verdict on any estimators, in words."""

import pandas as pd
import pytest
from made_up_comparison import made_up

from skllmrec.comparison._verdict import plain_verdict


@pytest.mark.parametrize(
    ("means", "said"),
    [
        (
            [0.1, 0.2, 0.25, 0.3, 0.2],
            r"Best ndcg@9: 'ids \+ LLM' with 0.3000, \+20.0% against 'ids \+ TF-IDF' \(95% .*: prac",
        ),
        (
            [0.1, 0.2, 0.25, 0.2, 0.1],
            r"Best ndcg@9: 'ids \+ TF-IDF' with 0.2500, the reference; next 'ids', -20.0% \(95%",
        ),
        ([0.1, 0.2, 0.25, 0.2501, 0.1], r"Best ndcg@9: 'ids \+ LLM' .* it may be chance"),
    ],
)
def test_the_verdict_on_any_estimators(means, said):
    (sentence,) = plain_verdict(made_up(means))
    assert pd.Series(sentence).str.match(said).item(), sentence
