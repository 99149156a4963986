"""The random-effects mean: against oracles, and its coverage and level by simulation."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from hpstudy.analysis import random_effects


def drawn(rng: np.random.Generator, seeds: NDArray[np.int_], spreads: NDArray[np.float64], tau: float) -> list[object]:
    return [rng.normal(rng.normal(0, tau), spread, n) for n, spread in zip(seeds, spreads, strict=True)]


def test_with_equal_seeds_it_is_students_interval_of_the_studies() -> None:
    rng = np.random.default_rng(1)
    values = drawn(rng, np.full(4, 5), np.array([1.0, 3.0, 1.0, 2.0]), 1.0)
    found = random_effects(values)
    oracle = stats.ttest_1samp([np.mean(one) for one in values], 0)
    assert found.k == 4
    assert found.p() == pytest.approx(oracle.pvalue)
    assert found.interval() == pytest.approx(tuple(oracle.confidence_interval()))


def test_weights_are_those_of_the_random_effects_model() -> None:
    values = [np.array([1.0, 3.0, 2.0, 2.0]), np.array([5.0, 7.0]), np.array([0.0, 1.0, -1.0, 0.0, 0.0, 2.0])]
    found = random_effects(values)
    means, seeds = np.array([one.mean() for one in values]), np.array([4, 2, 6])
    pooled = sum(((one - one.mean()) ** 2).sum() for one in values) / (seeds - 1).sum()
    weights = 1 / (pooled / seeds + found.tau**2)
    mean = (weights * means).sum() / weights.sum()
    assert found.mean == pytest.approx(mean)
    # Paule and Mandel: with their τ², Q is what is expected of it.
    q = (weights * (means - mean) ** 2).sum()
    assert q == pytest.approx(2.0)
    assert found.error == pytest.approx(np.sqrt(q / 2 / weights.sum()))
    fixed = seeds / pooled
    cochran = (fixed * (means - (fixed * means).sum() / fixed.sum()) ** 2).sum()
    assert found.i2 == pytest.approx(1 - 2 / cochran)


def test_studies_that_agree_have_no_variance_between_them() -> None:
    found = random_effects([[0.0, 1.0, 2.0], [1.1, 0.1, 2.1], [0.5, 0.9, 1.5]])
    assert (found.tau, found.i2) == (0.0, 0.0)


def test_what_has_no_spread_has_no_interval() -> None:
    same = random_effects([[0.5, 0.5], [0.5, 0.5]])
    assert same.mean == 0.5
    assert np.isnan([*same.interval(), same.p(), same.equivalence_p(1.0)]).all()
    apart = random_effects([[0.5, 0.5], [0.6, 0.6]])
    assert apart.tau == pytest.approx(0.1 / np.sqrt(2))
    assert apart.i2 == 1.0
    assert apart.interval()[0] < 0.5


@pytest.mark.parametrize("k", [2, 3, 5])
@pytest.mark.parametrize(("tau", "ratio"), [(0.0, 1.0), (0.0, 4.0), (1.2, 4.0)])
def test_the_interval_covers(k: int, tau: float, ratio: float) -> None:
    rng = np.random.default_rng([k, int(10 * tau), int(ratio)])
    count, covered = 400, 0
    for _ in range(count):
        low, high = random_effects(drawn(rng, np.full(k, 3), np.linspace(1.0, ratio, k), tau)).interval()
        covered += low <= 0.0 <= high
    assert covered / count >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / count)


def test_equivalence_keeps_its_level_at_the_margin() -> None:
    rng = np.random.default_rng(3)
    count = 600
    claimed = sum(
        random_effects([rng.normal(1.0, 0.5, 3) for _ in range(5)]).equivalence_p(1.0) < 0.05 for _ in range(count)
    )
    assert claimed / count <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / count)
