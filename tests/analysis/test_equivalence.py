"""Power of equivalence tests, against simulation."""

import math

import numpy as np
import pytest
from scipy import stats

from hpstudy.analysis import (
    detectable_difference,
    equivalence_power,
    establishable_margin,
    paired_test,
    seeds_for_equivalence,
)


@pytest.mark.parametrize(("margin", "n"), [(1.0, 10), (2.7, 3), (0.6, 30), (1.0, 4)])
def test_the_power_is_the_share_of_studies_that_show_equivalence(margin: float, n: int) -> None:
    studies = np.random.default_rng(3).normal(size=(20_000, n))
    half = stats.t.isf(0.05, n - 1) * studies.std(axis=1, ddof=1) / np.sqrt(n)
    shown = np.abs(studies.mean(axis=1)) + half < margin
    assert equivalence_power(margin, n) == pytest.approx(float(shown.mean()), abs=0.012)
    tested = [paired_test(row, margin).equivalence_p < 0.05 for row in studies[:20]]
    assert tested == shown[:20].tolist()


@pytest.mark.parametrize("n", [2, 3, 5, 10, 40])
def test_the_margin_has_the_power(n: int) -> None:
    assert equivalence_power(establishable_margin(n), n) == pytest.approx(0.8, abs=1e-6)


def test_the_seeds_are_the_fewest_with_the_power() -> None:
    for margin in (0.5, 1.0, 3.0):
        n = seeds_for_equivalence(margin)
        assert equivalence_power(margin, n) >= 0.8 > equivalence_power(margin, n - 1)
    assert seeds_for_equivalence(0.001, most=50) == 50


def test_one_seed_shows_nothing() -> None:
    assert equivalence_power(10.0, 1) == 0.0
    assert math.isnan(establishable_margin(1))


def test_a_detectable_difference_is_detected_after_holms_strictest_step() -> None:
    level = 0.05 / 8
    effect = detectable_difference(1.0, 5, level=level)
    studies = np.random.default_rng(5).normal(effect, size=(20_000, 5))
    p = stats.ttest_1samp(studies, 0.0, axis=1).pvalue
    assert float(np.mean(p < level)) == pytest.approx(0.8, abs=0.012)
