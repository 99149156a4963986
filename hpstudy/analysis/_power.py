"""What a number of seeds can find."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats


@lru_cache(maxsize=256)
def _spreads(freedom: float) -> NDArray[np.float64]:
    """Estimated over true standard error at evenly spaced probabilities."""
    chances = (np.arange(2000) + 0.5) / 2000
    return np.asarray(np.sqrt(stats.chi2.ppf(chances, freedom) / freedom), dtype=float)


def _power(shift: float, freedom: float, level: float) -> float:
    """Power of a two-sided t test whose true mean lies `shift` standard errors from zero.

    Integrated over the estimated error, since the noncentral t distribution is not dependable at few degrees of
    freedom.
    """
    critical = stats.t.isf(level / 2, freedom) * _spreads(freedom)
    return float(np.mean(stats.norm.sf(critical - shift) + stats.norm.cdf(-critical - shift)))


@lru_cache(maxsize=256)
def detectable_shift(freedom: float, *, level: float = 0.05, power: float = 0.8) -> float:
    """Smallest true mean, in standard errors, that a two-sided t test finds with the given power."""
    most = 10.0 + 10.0 * float(stats.t.isf(level / 2, freedom))
    return float(optimize.brentq(lambda shift: _power(shift, freedom, level) - power, 0.0, most))


def detectable_difference(spread: float, n: int, *, level: float = 0.05, power: float = 0.8) -> float:
    """Smallest true difference that `n` paired seeds show with the given power, by a two-sided t test.

    Divide `level` by the number of comparisons for Holm's strictest level: the difference is then found with at least
    this power whatever the other comparisons say. The permutation test, which a claim needs as well once there are
    enough pairs, costs five points of it at most (see `paired_comparisons`).

    Args:
        spread: Standard deviation of the paired differences; NaN or fewer than two seeds give NaN.
        n: Paired seeds.
        level: Two-sided level of the test.
        power: Probability of finding the difference.
    """
    if n < 2 or not np.isfinite(spread):
        return float("nan")
    return detectable_shift(float(n - 1), level=level, power=power) * spread / float(np.sqrt(n))


def seeds_needed(spread: float, difference: float, *, power: float = 0.8, most: int = 1000, level: float = 0.05) -> int:
    """Smallest number of paired seeds with which a two-sided t test finds `difference` with the given power.

    Args:
        spread: Standard deviation of the paired differences.
        difference: The true difference to be found.
        power: Probability of finding it.
        most: Returned, as "at least this many", where more would be needed.
        level: Two-sided level of the test.
    """
    if not spread > 0.0:
        return 2
    return fewest_pairs(
        lambda n: _power(abs(difference) / spread * float(np.sqrt(n)), float(n - 1), level) >= power, most
    )


def fewest_pairs(suffices: Callable[[int], bool], most: int) -> int:
    """Smallest number of pairs, at least 2, that suffices, where more always do; `most` if fewer than that do not."""
    low, high = 2, most
    while low < high:
        n = (low + high) // 2
        if suffices(n):
            high = n
        else:
            low = n + 1
    return low
