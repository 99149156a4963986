"""Sign flips, the bootstrap and intervals of proportions, against scipy and values worked out by hand."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from hpstudy.analysis import (
    bca_interval,
    clopper_pearson_interval,
    divergence_rates,
    improvement,
    sign_flip_interval,
    sign_flip_p,
    wilson_interval,
)
from hpstudy.analysis._rates import cliffs_delta


@pytest.mark.parametrize("n", [2, 3, 5, 8, 11])
def test_permutation_agrees_with_scipy(n: int) -> None:
    values = np.random.default_rng(n).normal(0.4, 1.0, n)
    expected = stats.permutation_test((values,), np.mean, permutation_type="samples", n_resamples=np.inf).pvalue
    assert sign_flip_p(values) == pytest.approx(expected)


def test_permutation_of_many_pairs_is_sampled_and_always_the_same() -> None:
    values = np.random.default_rng(0).normal(0.3, 1.0, 40)
    assert (
        sign_flip_p(values)
        == sign_flip_p(values.copy())
        == pytest.approx(stats.ttest_1samp(values, 0).pvalue, abs=0.01)
    )
    assert sign_flip_interval(values) == pytest.approx(
        stats.t.interval(0.95, 39, values.mean(), stats.sem(values)), abs=0.05
    )


def test_least_p_is_that_of_one_sign() -> None:
    assert [sign_flip_p(np.full(n, 0.1) + np.arange(n) / 100) for n in (3, 5, 6)] == [0.25, 0.0625, 0.03125]
    assert sign_flip_p(np.zeros(4)) == 1.0
    assert math.isnan(sign_flip_p(np.empty(0)))
    assert sign_flip_interval(np.arange(5.0)) == (-np.inf, np.inf)
    assert sign_flip_interval(np.arange(6.0)) == (0.0, 5.0)


@given(st.lists(st.integers(-20, 20), min_size=6, max_size=9))
def test_interval_holds_what_the_test_does_not_reject(values: list[int]) -> None:
    data = np.array(values) / 7.0
    low, high = sign_flip_interval(data)
    for shift in (low - 0.01, low + 1e-3, high - 1e-3, high + 0.01):
        assert (sign_flip_p(data - shift) > 0.05) or not low <= shift <= high
    assert sign_flip_p(data - (low - 0.01)) <= 0.05


def test_bca_agrees_with_scipy_and_repeats() -> None:
    values = np.random.default_rng(3).gamma(2.0, 1.0, 12)
    expected = stats.bootstrap((values,), np.mean, method="BCa", n_resamples=9999, rng=np.random.default_rng(1))
    assert bca_interval(values) == pytest.approx(tuple(expected.confidence_interval), abs=0.06)
    assert bca_interval(values) == bca_interval(values.copy())


@pytest.mark.parametrize("values", [[], [0.1], [0.1, 0.2], [0.2, 0.2, 0.2], [0.3 - 0.2, 0.1, 0.4 - 0.3]])
def test_bca_of_too_little_is_not_there(values: list[float]) -> None:
    assert np.isnan(bca_interval(np.array(values))).all()


def test_wilson_and_clopper_pearson_agree_with_scipy() -> None:
    for count, total in ((0, 8), (3, 8), (8, 8), (1, 200)):
        test = stats.binomtest(count, total)
        wilson, exact = (test.proportion_ci(method=method) for method in ("wilson", "exact"))
        assert wilson_interval(count, total) == pytest.approx(tuple(wilson))
        assert clopper_pearson_interval(count, total) == pytest.approx(tuple(exact))
    assert np.isnan([*wilson_interval(0, 0), *clopper_pearson_interval(0, 0)]).all()


def test_improvement_counts_ties_half() -> None:
    share, low, high = improvement(np.array([0.1, 0.2, 0.0, -0.1]))
    assert share == 0.625
    assert (low, high) == clopper_pearson_interval(2.5, 4)
    assert low < 0.5 < share < high


def test_improvement_over_searches_claims_no_more_than_the_fewer_allow() -> None:
    assert improvement(np.ones((2, 10)))[1:] == clopper_pearson_interval(2, 2)
    rng = np.random.default_rng(4)
    covered = []
    for _ in range(1500):
        signs = rng.normal(size=(3, 1)) + rng.normal(size=(1, 5)) + 0.5 * rng.normal(size=(3, 5)) + 1.0
        _, low, high = improvement(signs)
        covered.append(low <= stats.norm.cdf(1.0 / 1.5) <= high)
    assert np.mean(covered) > 0.95


def test_cliffs_delta_worked_out_by_hand() -> None:
    assert cliffs_delta(np.array([1.0, 2.0]), np.array([0.0, 1.0])) == 0.75
    assert math.isnan(cliffs_delta(np.empty(0), np.array([1.0])))


_TRIALS = ["condition", "arm", "phase", "status", "search_seed", "seed"]


def test_confirm_trials_of_several_searches_are_not_independent() -> None:
    """A point that diverges does so at every seed: three searches say little, however many seeds each has."""
    rows = [
        ("default", "a", "confirm", "diverged" if search == 0 else "completed", search, seed)
        for search in range(3)
        for seed in range(10)
    ]
    row = divergence_rates(pd.DataFrame(rows, columns=_TRIALS)).iloc[0]
    assert (row["trials"], row["diverged"]) == (30, 10)
    assert (row["low"], row["high"]) == pytest.approx(wilson_interval(1, 3))


def test_divergence_rates_leave_failures_out() -> None:
    rows = [("default", "a", phase, status, 0, seed) for seed, (phase, status) in enumerate((
        ("search", "diverged"), ("grid", "completed"), ("search", "failed"), ("confirm", "completed")))]  # fmt: skip
    table = divergence_rates(pd.DataFrame(rows, columns=_TRIALS)).set_index("phase")
    assert table.loc["search", ["trials", "diverged", "rate"]].to_list() == [2, 1, 0.5]
    assert (table.loc["search", "low"], table.loc["search", "high"]) == wilson_interval(1, 2)
    assert table.loc["confirm", "rate"] == 0.0
    assert table.loc["confirm", "high"] > 0.7
