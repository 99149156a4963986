"""The best of n: against brute force, and against what noise does to it."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpstudy.analysis._best_of_n import AnyOrder, AsAsked, BestOfN, ListedInAnyOrder, luck, order_weights

VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=7)


def rng() -> np.random.Generator:
    return np.random.default_rng(3)


@given(VALUES)
def test_any_order_is_the_mean_over_all_subsets(values: list[float]) -> None:
    best = AnyOrder(len(values)).best(np.array(values))
    expected = [np.mean([max(subset) for subset in combinations(values, n)]) for n in range(1, len(values) + 1)]
    assert best == pytest.approx(expected)


@given(VALUES)
def test_a_given_trial_stays_first(values: list[float]) -> None:
    best = AnyOrder(len(values), given=1).best(np.array(values))
    rest = values[1:]
    expected = [np.mean([max([values[0], *chosen]) for chosen in combinations(rest, n)]) for n in range(len(values))]
    assert best == pytest.approx(expected)


def test_weights_of_a_long_search_sum_to_one() -> None:
    assert order_weights(1000).sum(axis=1) == pytest.approx(np.ones(1000))


def test_as_asked_holds_the_first_of_equals() -> None:
    values, worth = np.array([0.3, 0.5, 0.4, 0.5]), np.array([1.0, 2.0, 3.0, 4.0])
    assert AsAsked().best(values).tolist() == [0.3, 0.5, 0.5, 0.5]
    assert AsAsked().picked(values, worth).tolist() == [1, 2, 2, 2]


def test_picked_is_the_worth_of_whoever_shows_most() -> None:
    values, worth = np.array([0.1, 0.2, 0.3]), np.array([5.0, 1.0, 0.0])
    assert AnyOrder(3).picked(values, worth) == pytest.approx([2.0, 1 / 3, 0.0])
    assert AnyOrder(3, given=1).picked(values, worth) == pytest.approx([5.0, 0.5, 0.0])


@pytest.mark.parametrize("rule", [AnyOrder(5), AnyOrder(5, given=1), AsAsked()])
def test_luck_of_equal_trials_is_the_largest_of_n_draws(rule: BestOfN) -> None:
    found = luck(rule, np.zeros(5), 1.0, rng())
    assert found[0] == pytest.approx(0, abs=1e-12)
    assert found == pytest.approx([0, 0.564, 0.846, 1.029, 1.163], abs=0.06)


def test_luck_is_that_of_the_worth_and_not_of_values_that_carry_noise_already() -> None:
    """Equal trials that were measured with noise: their values have spread, and their worth none."""
    draws = np.random.default_rng(1).standard_normal((60, 12))
    found = np.mean([luck(AsAsked(), values, 1.0, rng()) for values in draws], axis=0)
    equal = luck(AsAsked(), np.zeros(12), 1.0, rng())
    assert found[-1] == pytest.approx(equal[-1], rel=0.15)  # with the noise counted twice 0.72 of it


def test_stopped_trials_that_cannot_win_do_not_enter_luck() -> None:
    values = np.array([0.2, 0.3, -np.inf, 0.25, -np.inf])
    for noise in (0.01, 10.0):
        found = luck(AsAsked(), values, noise, rng())
        assert np.isfinite(found).all()
        assert found[2] == found[1]


def test_no_luck_without_noise_or_rivals() -> None:
    assert luck(AsAsked(), np.array([0.1, 0.2, 0.2]), 0.0, rng()) == pytest.approx(np.zeros(3))
    assert luck(AnyOrder(3), np.array([0.1, 0.5, 0.9]), 0.01, rng()) == pytest.approx(np.zeros(3), abs=1e-3)


def test_variance_is_that_of_the_mean_for_one_trial() -> None:
    values = np.linspace(0, 1, 12)
    assert AnyOrder(12).variance(values, 0.0, rng())[0] == pytest.approx(values.var() / 12, rel=0.15)
    assert AnyOrder(12, given=1).variance(values, 0.1, rng())[0] == pytest.approx(0.01, rel=0.15)


def test_a_list_varies_by_noise_alone() -> None:
    values = np.array([0.1, 0.5, 0.9])
    assert ListedInAnyOrder(3).variance(values, 0.0, rng()) == pytest.approx(np.zeros(3))
    assert ListedInAnyOrder(3).variance(values, 0.1, rng()) == pytest.approx([0.01 / 3, 0.005, 0.01], rel=0.3)


def test_one_search_that_adapts_does_not_know_its_variance() -> None:
    assert np.isnan(AsAsked().variance(np.array([0.1, 0.2]), 0.1, rng())).all()
