"""The tests behind every statement of a report: Student intervals, paired t, Holm, equivalence, seeds needed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

_ROUNDING = 64 * np.finfo(float).eps


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with a two-sided Student-t interval; the ends are NaN where one value or none is there."""

    n: int
    mean: float
    std: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class PairedTest:
    """Paired differences tested against zero and against a margin; NaN where the pairs allow no test."""

    interval: Interval
    """95 % interval of the mean difference."""
    p: float
    """Two-sided paired t test of a zero mean difference."""
    equivalence_p: float
    """The larger p of the two one-sided tests against ±margin."""
    equivalence_low: float
    equivalence_high: float
    """Ends of the 90 % interval, which lies inside ±margin exactly if `equivalence_p` < 0.05."""


def _spread(values: NDArray[np.float64]) -> float:
    """Standard deviation (n − 1), exactly zero where the values differ by rounding only."""
    if values.size < 2:
        return float("nan")
    spread = float(np.std(values, ddof=1))
    return 0.0 if spread <= _ROUNDING * float(np.max(np.abs(values))) else spread


def t_interval(values: ArrayLike, level: float = 0.95) -> Interval:
    """Mean and two-sided Student-t interval of the finite entries of `values`; zero width where they are all equal."""
    data = np.asarray(values, dtype=float)
    data = data[np.isfinite(data)]
    if data.size == 0:
        return Interval(0, *[float("nan")] * 4)
    mean, spread = float(data.mean()), _spread(data)
    half = float(stats.t.ppf(0.5 + level / 2, data.size - 1)) * spread / np.sqrt(data.size) if data.size > 1 else np.nan
    return Interval(int(data.size), mean, spread, float(mean - half), float(mean + half))


def paired_test(differences: ArrayLike, margin: float) -> PairedTest:
    """Tests the mean of paired differences against zero (t) and for equivalence within ±`margin` (TOST).

    Three or more differences without spread take the limits of both tests: p is 1 for a zero difference and 0 for any
    other. Two equal differences that are not zero say nothing of their spread and are not tested.

    Args:
        differences: One difference per pair; entries that are not finite are dropped.
        margin: Equivalence margin δ > 0, in the metric's own unit.
    """
    interval = t_interval(differences)
    narrow = t_interval(differences, level=0.90)
    if interval.n < 2 or (interval.n < 3 and interval.std == 0.0 and interval.mean != 0.0):
        return PairedTest(interval, *[float("nan")] * 4)
    if interval.std == 0.0:
        p, outside = float(interval.mean == 0.0), float(abs(interval.mean) >= margin)
        return PairedTest(interval, p, outside, narrow.low, narrow.high)
    error = interval.std / np.sqrt(interval.n)
    freedom = interval.n - 1
    p = 2 * float(stats.t.sf(abs(interval.mean) / error, freedom))
    sides = [stats.t.sf((margin + sign * interval.mean) / error, freedom) for sign in (1, -1)]
    return PairedTest(interval, p, float(max(sides)), narrow.low, narrow.high)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment (family-wise error); NaN entries stay NaN and do not count."""
    p = np.asarray(p_values, dtype=float)
    adjusted = np.full(p.shape, np.nan)
    tested = np.flatnonzero(np.isfinite(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    factors = np.arange(order.size, 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * factors), 1.0)
    return [float(value) for value in adjusted]


def seeds_needed(spread: float, difference: float, *, power: float = 0.8, most: int = 1000) -> int:
    """Smallest number of paired seeds with which a two-sided 5 % t test finds `difference` with the given power.

    Args:
        spread: Standard deviation of the paired differences.
        difference: The true difference to be found.
        power: Probability of finding it.
        most: Returned, as "at least this many", where more would be needed.
    """
    if not spread > 0.0:
        return 2
    for n in range(2, most):
        critical = stats.t.ppf(0.975, n - 1)
        noncentrality = abs(difference) / spread * np.sqrt(n)
        found = stats.nct.sf(critical, n - 1, noncentrality) + stats.nct.cdf(-critical, n - 1, noncentrality)
        if found >= power:
            return n
    return most
