"""Intervals and tests against scipy, values worked out by hand, and simulations whose truth is known."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from hpstudy.analysis import estimate, holm, paired_test, t_interval


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
    if math.isfinite(ends) and abs(ends - margin) > 1e-9:
        assert (test.equivalence_p < 0.05) == (ends < margin)


@pytest.mark.parametrize(
    ("value", "p", "equivalence_p"), [(0.0, 1.0, 0.0625), (0.1, 0.125, 1.0), (0.005, 0.125, 0.0625)]
)
def test_differences_without_spread_are_judged_by_their_signs(value: float, p: float, equivalence_p: float) -> None:
    test = paired_test([value] * 4, margin=0.01)
    assert (test.p, test.equivalence_p) == (p, equivalence_p)
    assert math.isnan(test.interval.low)


def test_rounding_alone_is_no_spread() -> None:
    assert paired_test([0.3 - 0.2, 0.1, 0.4 - 0.3], margin=0.01).interval.std == 0.0


def test_holm_worked_out_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    adjusted = holm([0.02, math.nan, 0.01])
    assert adjusted[::2] == pytest.approx([0.02, 0.02])
    assert math.isnan(adjusted[1])
    assert holm([]) == []


@given(st.lists(st.floats(-1, 1, allow_subnormal=False), max_size=9), st.floats(0.001, 0.5))
def test_no_pairs_are_too_odd_for_the_tests(values: list[float], margin: float) -> None:
    test = paired_test(values, margin)
    for p in (test.p, test.equivalence_p, test.p_permutation):
        assert math.isnan(p) == (test.estimate.n < 2 or (test.estimate.n == 2 and math.isnan(test.p)))
        assert math.isnan(p) or 0.0 <= p <= 1.0
    assert not test.permutation[0] > test.permutation[1]
    assert not test.bca[0] > test.bca[1]


def test_one_row_is_a_vector() -> None:
    values = np.array([0.1, 0.3, 0.2])
    assert estimate(values[None]) == estimate(values)


def test_searches_and_seeds_worked_out_by_hand() -> None:
    # Search means 1 and 3, seed means 1.5, 2, 2.5, no rest: MS_search = 3 · 2 = 6, MS_seed = 2 · 0.25 = 0.5.
    found = estimate([[0.5, 1.0, 1.5], [2.5, 3.0, 3.5]])
    assert (found.n, found.searches, found.mean, found.std) == (3, 2, 2.0, 0.5)
    assert found.error == pytest.approx(math.sqrt(6.5 / 6))
    assert found.freedom == pytest.approx(6.5**2 / (6**2 / 1 + 0.5**2 / 2))


def test_a_seed_that_a_search_lacks_is_left_out() -> None:
    whole = estimate([[0.5, 1.0, 1.5], [2.5, 3.0, 3.5]])
    assert estimate([[0.5, 1.0, 9.0, 1.5], [2.5, 3.0, math.nan, 3.5]]) == whole
