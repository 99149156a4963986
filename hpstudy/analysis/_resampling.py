"""Intervals and tests that resample the pairs: sign flips and the bootstrap, the same for the same pairs every time."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import stats

_EXACT = 15
"""Most pairs whose 2^n sign flips are all taken."""

_FLIPS, _RESAMPLES = 19_999, 9_999
_SEED = 20_170_414
_ROUNDING = 64 * np.finfo(float).eps


@lru_cache(maxsize=8)
def _subsets(n: int) -> NDArray[np.float64]:
    """Non-empty subsets of n pairs, a row each, whose signs are flipped: all of them, or a seeded sample."""
    if n <= _EXACT:
        rows = (np.arange(1, 2**n)[:, None] >> np.arange(n)) & 1
    else:
        rows = np.random.default_rng((_SEED, n)).integers(0, 2, (_FLIPS, n))
        rows = rows[rows.any(axis=1)]
    return np.asarray(rows, dtype=float)


def _subset_means(differences: NDArray[np.float64]) -> NDArray[np.float64]:
    subsets = _subsets(differences.size)
    return np.asarray(np.sort(subsets @ differences / subsets.sum(axis=1)), dtype=float)


def sign_flip_p(differences: NDArray[np.float64]) -> float:
    """Two-sided permutation p of a zero mean: the sign of every paired difference is flipped in all 2^n ways.

    Exact if the differences are symmetric about zero, as they are where both arms have one law. Flipping the subset I
    makes the sum no smaller exactly if the mean over I is not above zero, so that p counts subset means. More than 15
    pairs take a seeded sample of flips with the observed one among them, which keeps the level. NaN without a pair.
    """
    if differences.size == 0:
        return float("nan")
    means = _subset_means(differences)
    tiny = _ROUNDING * float(np.max(np.abs(differences)))
    one_sided = min(1 + np.sum(means <= tiny), 1 + np.sum(means >= -tiny))
    return float(min(1.0, 2 * one_sided / (means.size + 1)))


def sign_flip_interval(differences: NDArray[np.float64], level: float = 0.95) -> tuple[float, float]:
    """The centres that the sign-flip test does not reject: from the k-th smallest to the k-th largest subset mean.

    k = ⌊(1 − level)/2 · 2^n⌋ (Hartigan's typical values, 1969). Infinite where k is 0: at 95 % below six pairs.
    """
    if differences.size == 0:
        return float("nan"), float("nan")
    means = _subset_means(differences)
    k = int((1.0 - level) / 2 * (means.size + 1) + 1e-9)
    return (float(means[k - 1]), float(means[-k])) if k else (-np.inf, np.inf)


@lru_cache(maxsize=8)
def _resamples(n: int) -> NDArray[np.int64]:
    return np.random.default_rng((_SEED, n)).integers(0, n, (_RESAMPLES, n))


def bca_interval(differences: NDArray[np.float64], level: float = 0.95) -> tuple[float, float]:
    """Bias-corrected and accelerated bootstrap interval of the mean (Efron 1987), from 9,999 seeded resamples.

    Too narrow for few pairs: at 95 % it covers normal differences 72 %, 83 %, 88 % of the time for n = 3, 5, 10. NaN
    below three pairs or without spread.
    """
    n = differences.size
    centred = differences - differences.mean() if n else differences
    if n < 3 or np.max(np.abs(centred)) <= _ROUNDING * np.max(np.abs(differences)):
        return float("nan"), float("nan")
    means = differences[_resamples(n)].mean(axis=1)
    below = np.mean(means < differences.mean()) + 0.5 * np.mean(means == differences.mean())
    bias = stats.norm.ppf(np.clip(below, 1 / (_RESAMPLES + 1), 1 - 1 / (_RESAMPLES + 1)))
    acceleration = (centred**3).sum() / (6 * (centred**2).sum() ** 1.5)
    z = bias + stats.norm.ppf([(1 - level) / 2, (1 + level) / 2])
    low, high = np.quantile(means, stats.norm.cdf(bias + z / (1 - acceleration * z)))
    return float(low), float(high)
