"""What counts as relevant where nobody says so."""

import numpy as np
import pytest

from skllmrec.base._rating_scale import default_threshold


@pytest.mark.parametrize(
    ("levels", "threshold"),
    [
        ([1, 2, 3, 4], 2.8),
        ([1, 2, 3, 4, 5], 4.0),
        (np.arange(1, 11) / 2, 4.0),
        (range(1, 8), 4.9),
        (range(11), 7.0),
        (range(0, 101, 5), 70.0),
    ],
    ids=["1-4", "1-5", "halves", "1-7", "0-10", "0-100"],
)
def test_rating_scales_have_the_threshold_of_their_upper_part(levels, threshold):
    levels = np.asarray(levels, dtype=float)
    y = np.concatenate([levels, np.repeat(levels[len(levels) // 2 :], 3)])
    found, reason = default_threshold(y)
    assert found == threshold
    assert f"ratings from {levels.min():g} to {levels.max():g}" in reason


@pytest.mark.parametrize(
    "y",
    [
        np.random.default_rng(0).pareto(0.8, 500).round(2) + 0.01,  # hours
        np.random.default_rng(0).geometric(0.6, 500),  # counts, most are 1
        np.tile([0.0, 1.0], 50),  # clicked or not
        np.ones(30),
        np.linspace(-10, 10, 50),
        np.arange(1, 1001) * 60.0,  # seconds of play
        [1, 2, 5],
    ],
    ids=["hours", "counts", "clicks", "constant", "with negatives", "seconds", "too few"],
)
def test_other_numbers_are_relevant_above_zero(y):
    threshold, reason = default_threshold(y)
    assert threshold is None
    assert f"from {np.min(y):g} to {np.max(y):g}, are no rating scale" in reason
