"""Intervals and tests against scipy, values worked out by hand, and simulations whose truth is known."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from hpstudy.analysis import holm, paired_test, seeds_needed, t_interval


def test_interval_worked_out_by_hand() -> None:
    # mean 3, standard deviation √2.5, t(0.975, 4) = 2.776445
    interval = t_interval([1, 2, 3, 4, 5])
    assert (interval.n, interval.mean) == (5, 3.0)
    assert interval.std == pytest.approx(1.5811388)
    assert interval.low == pytest.approx(3 - 2.776445 * 1.5811388 / math.sqrt(5), abs=1e-6)
    assert interval.high == pytest.approx(4.963243, abs=1e-6)


def test_interval_agrees_with_scipy() -> None:
    data = np.random.default_rng(0).normal(size=7)
    expected = stats.t.interval(0.9, 6, loc=data.mean(), scale=stats.sem(data))
    interval = t_interval(data, level=0.9)
    assert (interval.low, interval.high) == pytest.approx(expected)


@pytest.mark.parametrize("values", [[], [0.5], [math.nan, 0.5]])
def test_interval_of_one_value_or_none_has_no_ends(values: list[float]) -> None:
    interval = t_interval(values)
    assert math.isnan(interval.low)
    assert math.isnan(interval.high)


def test_paired_test_agrees_with_scipy() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.normal(0.80, 0.02, 6), rng.normal(0.79, 0.02, 6)
    test = paired_test(first - second, margin=0.02)
    assert test.p == pytest.approx(stats.ttest_rel(first, second).pvalue)
    lower = stats.ttest_1samp(first - second, -0.02, alternative="greater").pvalue
    upper = stats.ttest_1samp(first - second, 0.02, alternative="less").pvalue
    assert test.equivalence_p == pytest.approx(max(lower, upper))


@given(
    st.lists(st.floats(-1, 1, allow_subnormal=False), min_size=2, max_size=9),
    st.floats(0.001, 0.5),
)
def test_equivalence_is_the_90_percent_interval_inside_the_margin(values: list[float], margin: float) -> None:
    test = paired_test(values, margin)
    ends = max(abs(test.equivalence_low), abs(test.equivalence_high))
    if abs(ends - margin) > 1e-9:
        assert (test.equivalence_p < 0.05) == (ends < margin)


@pytest.mark.parametrize(("value", "p", "equivalence_p"), [(0.0, 1.0, 0.0), (0.1, 0.0, 1.0), (0.005, 0.0, 0.0)])
def test_differences_without_spread_take_the_limits(value: float, p: float, equivalence_p: float) -> None:
    test = paired_test([value] * 4, margin=0.01)
    assert (test.p, test.equivalence_p) == (p, equivalence_p)


def test_rounding_alone_is_no_spread() -> None:
    assert paired_test([0.3 - 0.2, 0.1, 0.4 - 0.3], margin=0.01).interval.std == 0.0


def test_holm_worked_out_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    adjusted = holm([0.02, math.nan, 0.01])
    assert adjusted[::2] == pytest.approx([0.02, 0.02])
    assert math.isnan(adjusted[1])
    assert holm([]) == []


def test_seeds_needed_reaches_its_power() -> None:
    spread, difference = 0.01, 0.012
    n = seeds_needed(spread, difference)
    draws = np.random.default_rng(2).normal(difference, spread, (4000, n))
    t = draws.mean(axis=1) / (draws.std(axis=1, ddof=1) / math.sqrt(n))
    assert 0.78 < np.mean(np.abs(t) > stats.t.ppf(0.975, n - 1)) < 0.92
    assert seeds_needed(0.0, 0.01) == 2
    assert seeds_needed(1.0, 1e-4, most=20) == 20


def test_null_differences_are_claimed_no_more_often_than_promised() -> None:
    rng = np.random.default_rng(3)
    families = rng.normal(0.0, 0.01, (300, 8, 3))
    claimed = [min(holm([paired_test(row, 0.001).p for row in family])) < 0.05 for family in families]
    assert np.mean(claimed) < 0.08
