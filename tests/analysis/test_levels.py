"""Levels, coverage and power of what the words of a verdict rest on, by simulation with known truth.

The shares are those of `hpstudy.analysis._statistics`; the bands allow for the number of draws (1,500 and fewer here).
"""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from hpstudy.analysis import (
    Estimate,
    bca_interval,
    detectable_difference,
    estimate,
    holm,
    seeds_needed,
    sign_flip_interval,
    sign_flip_p,
)
from hpstudy.analysis._comparisons import BETTER, word_of

Draw = Callable[[np.random.Generator, tuple[int, ...]], NDArray[np.float64]]
LAWS: dict[str, Draw] = {
    "normal": lambda rng, size: rng.normal(size=size),
    "rates": lambda rng, size: rng.beta(58.2, 1.8, size) - rng.beta(58.2, 1.8, size),
    "laplace": lambda rng, size: rng.laplace(size=size),
    "uniform": lambda rng, size: rng.uniform(-1, 1, size),
    "unequal rates": lambda rng, size: rng.beta(194, 6, size) - rng.beta(19.4, 0.6, size),
    "exponential": lambda rng, size: rng.exponential(size=size) - 1,
}
DRAWS = 1500


def student_p(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Two-sided p of every sample along the first axis, from the estimates that comparisons use."""
    found: list[Estimate] = [estimate(sample) for sample in samples]
    t = np.array([abs(one.mean) / one.error for one in found])
    return np.asarray(2 * stats.t.sf(t, [one.freedom for one in found]), dtype=float)


@pytest.mark.parametrize("n", [3, 5, 10])
@pytest.mark.parametrize(("law", "most"), [("normal", 0.065), ("rates", 0.065), ("laplace", 0.065), ("uniform", 0.09)])
def test_student_keeps_its_level_where_differences_are_symmetric(law: str, most: float, n: int) -> None:
    draws = LAWS[law](np.random.default_rng(10), (DRAWS, n))
    assert np.mean(student_p(draws) < 0.05) < most


@pytest.mark.parametrize("n", [3, 5, 10])
@pytest.mark.parametrize("law", ["unequal rates", "exponential"])
def test_skewness_costs_student_and_permutation_the_same(law: str, n: int) -> None:
    draws = LAWS[law](np.random.default_rng(11), (DRAWS, n))
    assert 0.07 < np.mean(student_p(draws) < 0.05) < 0.14
    flipped = np.mean([sign_flip_p(row) < 0.05 for row in draws])
    assert 0.07 < flipped < 0.12 if n == 10 else flipped == 0.0


@pytest.mark.parametrize("law", ["normal", "rates", "laplace", "uniform"])
def test_permutation_is_exact_where_differences_are_symmetric(law: str) -> None:
    rng = np.random.default_rng(12)
    for n, expected in ((3, 0.0), (5, 0.0), (6, 1 / 32), (10, 0.049)):
        draws = LAWS[law](rng, (DRAWS, n))
        assert np.mean([sign_flip_p(row) < 0.05 for row in draws]) == pytest.approx(expected, abs=0.015)


@pytest.mark.parametrize(("n", "covered"), [(3, 0.72), (5, 0.83), (10, 0.88)])
def test_bca_covers_too_little(n: int, covered: float) -> None:
    draws = np.random.default_rng(13).normal(size=(400, n))
    ends = np.array([bca_interval(row) for row in draws])
    assert np.mean((ends[:, 0] <= 0) & (ends[:, 1] >= 0)) == pytest.approx(covered, abs=0.05)


def test_inverted_permutation_interval_covers() -> None:
    draws = LAWS["laplace"](np.random.default_rng(14), (DRAWS, 8))
    ends = np.array([sign_flip_interval(row) for row in draws])
    assert np.mean((ends[:, 0] <= 0) & (ends[:, 1] >= 0)) == pytest.approx(1 - 12 / 256, abs=0.015)


def claims(families: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which differences (families × comparisons × pairs) the word of the comparison would claim."""
    count, size, n = families.shape
    p_values = student_p(families.reshape(-1, n)).reshape(count, size)
    claimed = np.zeros((count, size), dtype=bool)
    for i in np.flatnonzero(p_values.min(axis=1) * size < 0.05):
        adjusted, flipped = holm(p_values[i].tolist()), holm([sign_flip_p(row) for row in families[i]])
        row = {"reason": "", "n": n, "equivalence_p_holm": 1.0, "difference": 1.0}
        words = [
            word_of(row | {"p_holm": p, "p_permutation_holm": q}, size) for p, q in zip(adjusted, flipped, strict=True)
        ]
        claimed[i] = [word == BETTER for word in words]
    return claimed


@pytest.mark.parametrize(("law", "n"), [("normal", 3), ("normal", 5), ("rates", 3), ("laplace", 10), ("uniform", 12)])
def test_a_family_of_nulls_is_claimed_as_rarely_as_promised(law: str, n: int) -> None:
    families = LAWS[law](np.random.default_rng(15), (600, 8, n))
    assert np.mean(claims(families).any(axis=1)) < 0.07


@pytest.mark.parametrize(("n", "size"), [(3, 8), (9, 1)])
def test_a_planted_effect_is_claimed_with_the_promised_power(n: int, size: int) -> None:
    rng = np.random.default_rng(20)
    families = rng.normal(0.0, 1.0, (500, size, n))
    families[:, 0] += detectable_difference(1.0, n, level=0.05 / size)
    assert np.mean(claims(families)[:, 0]) > 0.72


@pytest.mark.parametrize(("mean", "concentration"), [(0.85, 100), (0.97, 60), (0.995, 200), (0.02, 60)])
@pytest.mark.parametrize("n", [3, 5, 10])
def test_intervals_of_rates_cover_and_stay_inside(mean: float, concentration: float, n: int) -> None:
    draws = np.random.default_rng(16).beta(mean * concentration, (1 - mean) * concentration, (DRAWS, n))
    ends = np.array([(i.low, i.high) for i in (estimate(row).rate_interval() for row in draws)])
    assert ends.min() >= 0.0
    assert ends.max() <= 1.0
    assert 0.915 < np.mean((ends[:, 0] <= mean) & (ends[:, 1] >= mean)) < 0.965


@pytest.mark.parametrize(("searches", "seeds"), [(2, 3), (3, 5), (5, 5), (3, 10)])
@pytest.mark.parametrize("parts", [(0, 0, 1), (1, 0, 1), (0, 1, 1), (1, 1, 1), (2, 1, 1), (1, 0, 0.1)])
def test_intervals_cover_searches_and_seeds(searches: int, seeds: int, parts: tuple[float, float, float]) -> None:
    rng, draws = np.random.default_rng(17), 600
    scores = (
        parts[0] * rng.normal(size=(draws, searches, 1))
        + parts[1] * rng.normal(size=(draws, 1, seeds))
        + parts[2] * rng.normal(size=(draws, searches, seeds))
    )
    assert np.mean(student_p(scores) >= 0.05) > 0.915
    if parts[0] == 1 and parts[1] == 0 and seeds >= 5:
        assert np.mean(student_p(scores.mean(axis=1)) >= 0.05) < 0.75


@pytest.mark.parametrize(("n", "family"), [(3, 1), (3, 8), (5, 8), (10, 1)])
def test_detectable_difference_is_found_as_often_as_promised(n: int, family: int) -> None:
    level = 0.05 / family
    difference = detectable_difference(0.01, n, level=level)
    draws = np.random.default_rng(18).normal(difference, 0.01, (20_000, n))
    t = draws.mean(axis=1) / (draws.std(axis=1, ddof=1) / np.sqrt(n))
    assert np.mean(np.abs(t) > stats.t.isf(level / 2, n - 1)) == pytest.approx(0.8, abs=0.012)


def test_seeds_needed_is_the_first_number_that_reaches_its_power() -> None:
    for level in (0.05, 0.05 / 8):
        n = seeds_needed(0.01, 0.012, level=level)
        assert detectable_difference(0.01, n, level=level) <= 0.012 < detectable_difference(0.01, n - 1, level=level)
    assert seeds_needed(0.0, 0.01) == 2
    assert seeds_needed(1.0, 1e-4, most=20) == 20
    assert np.isnan(detectable_difference(0.01, 1))


@pytest.mark.parametrize(("truth", "least", "most"), [(0.0, 0.9, 1.0), (0.01, 0.0, 0.065), (0.02, 0.0, 0.001)])
def test_equivalence_is_found_only_where_it_is_true(truth: float, least: float, most: float) -> None:
    draws = np.random.default_rng(19).normal(truth, 0.005, (DRAWS, 5))
    ends = np.array([(i.low, i.high) for i in (estimate(row).interval(level=0.90) for row in draws)])
    assert least <= np.mean((ends[:, 0] > -0.01) & (ends[:, 1] < 0.01)) <= most
