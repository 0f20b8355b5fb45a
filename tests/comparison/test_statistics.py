"""Statistics against scipy.stats, enumeration and hand-worked examples."""

from itertools import product

import numpy as np
import pytest
from scipy import stats

from skllmrec.comparison import _statistics
from skllmrec.comparison._statistics import (
    bootstrap_means,
    holm_correction,
    paired_effect_size,
    percentile_interval,
    permutation_p_values,
)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_permutation_test_agrees_with_scipy(seed):
    rng = np.random.default_rng(seed)
    a = rng.normal(size=60)
    b = a + rng.normal(0.15, 0.6, size=60)
    expected = stats.permutation_test(
        (a, b), lambda x, y, axis: (x - y).mean(axis=axis), permutation_type="samples",
        n_resamples=20_000, rng=np.random.default_rng(7), vectorized=True,
    ).pvalue  # fmt: skip
    p = permutation_p_values(a - b, n_permutations=20_000, random_state=seed)
    # two independent Monte Carlo estimates: 5 standard errors apart at most
    assert abs(p[0] - expected) < 5 * np.sqrt(2 * expected * (1 - expected) / 20_000) + 1e-4


def test_permutation_test_agrees_with_enumeration():
    d = np.array([0.5, -0.1, 0.3, 0.0, 0.2, 0.4, -0.2])
    sums = [abs(np.dot(signs, d)) for signs in product((-1, 1), repeat=len(d))]
    exact = np.mean(np.array(sums) >= abs(d.sum()) - 1e-12)
    p = permutation_p_values(d, n_permutations=100_000, random_state=0)[0]
    assert p == pytest.approx(exact, abs=0.01)


def test_permutation_p_is_never_zero_and_one_for_equal_systems():
    strong = np.ones(200)
    p = permutation_p_values(np.column_stack([strong, np.zeros(200)]), n_permutations=999, random_state=0)
    assert p[0] == 1 / 1000
    assert p[1] == 1.0


def test_permutation_test_is_valid_under_the_null():
    rng = np.random.default_rng(0)
    p = permutation_p_values(rng.normal(size=(50, 2000)), n_permutations=500, random_state=1)
    assert np.mean(p <= 0.05) == pytest.approx(0.05, abs=0.02)


def test_permutation_test_ignores_the_sign_of_the_whole_and_leaves_missing_users_out():
    rng = np.random.default_rng(3)
    d = rng.normal(0.2, 1, size=40)
    padded = np.concatenate([d, [np.nan] * 5])
    p = permutation_p_values(d, n_permutations=20_000, random_state=0)[0]
    assert permutation_p_values(-d, n_permutations=20_000, random_state=0)[0] == p
    assert permutation_p_values(padded, n_permutations=20_000, random_state=0)[0] == pytest.approx(p, abs=0.02)


def test_blocks_change_memory_only(monkeypatch):
    rng = np.random.default_rng(0)
    values = rng.normal(0.2, 1, size=(30, 2))
    p = permutation_p_values(values, n_permutations=1000, random_state=0)
    means = bootstrap_means(values, n_resamples=1000, random_state=0)
    monkeypatch.setattr(_statistics, "_BLOCK_ENTRIES", 300)
    assert permutation_p_values(values, n_permutations=1000, random_state=0) == pytest.approx(p, abs=1e-12)
    assert bootstrap_means(values, n_resamples=1000, random_state=0) == pytest.approx(means)


@pytest.mark.parametrize("seed", [0, 1])
def test_bootstrap_interval_agrees_with_scipy(seed):
    values = np.random.default_rng(seed).exponential(size=80)
    expected = stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=20_000, confidence_level=0.9,
        rng=np.random.default_rng(5),
    ).confidence_interval  # fmt: skip
    means = bootstrap_means(values, n_resamples=20_000, random_state=seed)
    low, high = percentile_interval(means, level=0.9)
    width = expected.high - expected.low
    assert low[0] == pytest.approx(expected.low, abs=0.03 * width)
    assert high[0] == pytest.approx(expected.high, abs=0.03 * width)


def test_bootstrap_is_paired_and_skips_missing_values():
    values = np.random.default_rng(0).normal(size=(30, 1))
    both = np.hstack([values, values + 1.0])
    means = bootstrap_means(both, n_resamples=50, random_state=0)
    assert means[:, 1] - means[:, 0] == pytest.approx(1.0)
    holes = np.full((30, 1), 2.0)
    holes[::2] = np.nan
    assert bootstrap_means(holes, n_resamples=50, random_state=0) == pytest.approx(2.0)


def test_interval_of_a_column_without_values_is_nan():
    means = bootstrap_means(np.full((4, 1), np.nan), n_resamples=10, random_state=0)
    low, high = percentile_interval(means)
    assert np.isnan(low[0])
    assert np.isnan(high[0])


def test_holm_by_hand():
    # sorted .005 .01 .03 .04 times 4 3 2 1 = .02 .03 .06 .04; running maximum .02 .03 .06 .06
    assert holm_correction([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm_correction([0.6, 0.7]) == pytest.approx([1.0, 1.0])


def test_holm_does_not_count_tests_that_were_not_made():
    adjusted = holm_correction([0.01, np.nan, 0.03])
    assert np.isnan(adjusted[1])
    assert adjusted[[0, 2]] == pytest.approx([0.02, 0.03])


def test_effect_size_by_hand():
    # differences 1, 3: mean 2, deviation sqrt(2)
    columns = np.array([[1.0, 0.0, 2.0, np.nan], [3.0, 0.0, 2.0, 1.0]])
    d = paired_effect_size(columns)
    assert d[0] == pytest.approx(np.sqrt(2))
    assert d[1] == 0.0
    assert d[2] == np.inf
    assert np.isnan(d[3])


def test_same_seed_same_numbers():
    values = np.random.default_rng(0).normal(size=40)
    for function in (permutation_p_values, bootstrap_means):
        assert np.array_equal(function(values, random_state=3), function(values, random_state=3))
