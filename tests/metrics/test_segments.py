"""Metrics by segment of users and items, against pandas and by hand."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array

from skllmrec.metrics import by_segment, fairness_gap, recall_at_k, segment_by_count, segment_by_popularity


@pytest.mark.parametrize("seed", range(3))
def test_means_equal_those_of_pandas(seed):
    rng = np.random.default_rng(seed)
    values, groups = rng.random(200), rng.choice(["a", "b", "c"], 200)
    values[rng.random(200) < 0.2] = np.nan
    wanted = pd.Series(values).groupby(groups).agg(["mean", "count"])
    got = by_segment(values, groups)
    assert list(got) == ["a", "b", "c"]
    assert [part.n for part in got.values()] == wanted["count"].tolist()
    np.testing.assert_allclose([part.mean for part in got.values()], wanted["mean"])
    assert fairness_gap(values, groups) == pytest.approx(wanted["mean"].max() - wanted["mean"].min())


def test_groups_without_a_value():
    assert math.isnan(fairness_gap([math.nan], ["a"]))
    assert fairness_gap([0.5, math.nan], [1, 2]) == 0.0
    assert by_segment([], []) == {}


def test_counts():
    assert segment_by_count([0, 1, 2, 9], bounds=(2,)).tolist() == ["0-1", "0-1", "2+", "2+"]
    assert segment_by_count([0, 1, 4, 5, 19, 20]).tolist() == ["0", "1-4", "1-4", "5-19", "5-19", "20+"]


@pytest.mark.parametrize("seed", range(3))
def test_the_head_is_the_smallest_set_that_holds_its_share(seed):
    counts = np.random.default_rng(seed).integers(0, 50, 60)
    segments = segment_by_popularity(counts, head=0.6)
    head = counts[segments == "head"]
    assert head.sum() >= 0.6 * counts.sum() > head.sum() - head.min()
    assert head.min() >= counts[segments == "tail"].max()
    assert (counts[segments == "new"] == 0).all()
    assert (segments == "new").sum() == (counts == 0).sum()


def test_the_head_ends_where_its_share_is_reached():
    assert segment_by_popularity([4, 1], head=0.8).tolist() == ["head", "tail"]


def test_recall_of_the_tail_alone():
    relevant, recommended = csr_array(np.array([[1, 1, 0], [1, 0, 0]])), [[0, 2], [0, 1]]
    tail = segment_by_popularity([9, 1, 1]) == "tail"
    assert recall_at_k(relevant.multiply(tail), recommended, average=False).tolist()[0] == 0.0
    assert math.isnan(recall_at_k(relevant.multiply(tail), recommended, average=False)[1])


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: by_segment([1.0], ["a", "b"]), r"shapes \(1,\), \(2,\)"),
        (lambda: by_segment([1.0, 2.0], ["a", None]), r"segments\[1\] is missing \(1 in all\)"),
        (lambda: by_segment([1.0, 2.0], [float("nan"), "a"]), r"segments\[0\] is missing \(1 in all\)"),
        (lambda: fairness_gap([1.0, 2.0], pd.Series(["a", pd.NA], dtype="string")), r"\[1\] is missing"),
        (lambda: segment_by_count([-1]), "finite number >= 0"),
        (lambda: segment_by_count([1], bounds=(5, 2)), "ascend and start above 0"),
        (lambda: segment_by_popularity([1], head=2), "between 0 and 1"),
        (lambda: segment_by_popularity([1, -2]), r"item_counts\[1\] is -2"),
    ],
    ids=["lengths", "none", "nan", "na", "count", "bounds", "head", "popularity"],
)
def test_bad_input(call, says):
    with pytest.raises(ValueError, match=says):
        call()
