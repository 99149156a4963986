"""What a number of paired seeds can show to make no difference."""

import numpy as np
from scipy import optimize, stats

from hpstudy.analysis._power import fewest_pairs

_POINTS = 4000


def equivalence_power(margin: float, n: int, *, level: float = 0.05) -> float:
    """Probability that two one-sided paired t tests show a true difference of zero to lie within ±`margin`.

    Args:
        margin: δ, as a multiple of the standard deviation of a paired difference.
        n: Pairs; fewer than two show nothing.
        level: Level of each one-sided test.
    """
    if n < 2:
        return 0.0
    levels = (np.arange(_POINTS) + 0.5) / _POINTS
    errors = np.sqrt(stats.chi2.ppf(levels, n - 1) / (n - 1))
    # Given the estimated error, the mean difference must leave room for it inside both ends of the margin.
    room = margin * np.sqrt(n) - stats.t.isf(level, n - 1) * errors
    return float(np.mean(np.maximum(2 * stats.norm.cdf(room) - 1, 0.0)))


def establishable_margin(n: int, *, level: float = 0.05, power: float = 0.8) -> float:
    """Smallest margin within which equivalence is shown with the given power, if the true difference is zero.

    Returns:
        A multiple of the standard deviation of a paired difference; NaN for fewer than two pairs.
    """
    if n < 2:
        return float("nan")
    most = 10.0 + 10.0 * float(stats.t.isf(level, n - 1))
    return float(optimize.brentq(lambda margin: equivalence_power(margin, n, level=level) - power, 0.0, most))


def seeds_for_equivalence(margin: float, *, level: float = 0.05, power: float = 0.8, most: int = 1000) -> int:
    """Smallest number of pairs with which equivalence within ±`margin` is shown with the given power.

    Args:
        margin: δ, as a multiple of the standard deviation of a paired difference.
        level: Level of each one-sided test.
        power: Probability of showing it, if the true difference is zero.
        most: Returned, as "at least this many", where more would be needed.
    """
    return fewest_pairs(lambda n: equivalence_power(margin, n, level=level) >= power, most)
