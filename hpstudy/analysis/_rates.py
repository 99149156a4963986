"""Intervals of proportions: how often an arm diverges, how often it beats another."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from hpstudy.analysis._arms import KEYS


def wilson_interval(count: float, total: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a proportion (Wilson 1927); NaN without a trial."""
    if total == 0:
        return float("nan"), float("nan")
    z = float(stats.norm.ppf(0.5 + level / 2))
    share, weight = count / total, z * z / total
    centre = (share + weight / 2) / (1 + weight)
    half = z / (1 + weight) * float(np.sqrt(share * (1 - share) / total + weight / (4 * total)))
    return (0.0 if count == 0 else centre - half), (1.0 if count == total else centre + half)


def clopper_pearson_interval(count: float, total: int, level: float = 0.95) -> tuple[float, float]:
    """The exact binomial interval, which never covers less than promised (Clopper & Pearson 1934); NaN without a trial.

    Args:
        count: Successes; need not be whole where ties count half.
        total: Independent trials.
        level: Least probability of covering.
    """
    if total == 0:
        return float("nan"), float("nan")
    tail = (1 - level) / 2
    low = float(stats.beta.ppf(tail, count, total - count + 1)) if count > 0 else 0.0
    high = float(stats.beta.isf(tail, count + 1, total - count)) if count < total else 1.0
    return low, high


def improvement(differences: NDArray[np.float64]) -> tuple[float, float, float]:
    """Probability that the tuned arm scores higher at the same training seed, with a 95 % interval.

    The share of pairs in which it did, ties counted half, and the exact binomial interval. With R searches and n
    seeds the R·n pairs are not independent; the variance of their share is at most that of min(R, n) independent
    pairs, which the interval is computed for.

    Args:
        differences: Tuned minus adaptive, one a pair, or a row per search and a column per seed.
    """
    finite = differences[np.isfinite(differences)]
    if finite.size == 0:
        return (float("nan"),) * 3
    share = float(np.mean((finite > 0) + 0.5 * (finite == 0)))
    crossed = differences.ndim == 2 and differences.shape[0] > 1
    units = min(differences.shape) if crossed else finite.size
    return share, *clopper_pearson_interval(share * units, units)


def cliffs_delta(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Cliff's δ: P(first > second) − P(first < second) over all pairs, whatever their seed; NaN if one is empty."""
    if not first.size or not second.size:
        return float("nan")
    return float(np.mean(np.sign(first.reshape(-1, 1) - second.reshape(1, -1))))


def divergence_rates(trials: pd.DataFrame) -> pd.DataFrame:
    """How often each arm diverged, search and confirm phase apart.

    Returns:
        `condition`, `arm`, `phase` (`search` holds grids too, or `confirm`), `trials` (failed ones left out),
        `independent`, `diverged`, `rate`, `low`, `high` (95 % Wilson). Confirm trials of R searches and n seeds share
        their points and seeds: the interval is that of min(R, n) `independent` trials, the fewest that their spread can
        amount to. Trials of a search are not a random sample of anything: the sampler leaves a region that diverges, so
        that the interval of a search is a description.
    """
    counted = trials[trials["status"] != "failed"]
    counted = counted.assign(phase=counted["phase"].replace("grid", "search"))
    rows = []
    for (condition, arm, phase), group in counted.groupby([*KEYS, "phase"], sort=True):
        diverged, total = int((group["status"] == "diverged").sum()), len(group)
        searches = group["search_seed"].nunique() if phase == "confirm" else 1
        units = min(searches, group["seed"].nunique()) if searches > 1 else total
        low, high = wilson_interval(diverged / total * units, units)
        rows.append((condition, arm, phase, total, units, diverged, diverged / total, low, high))
    return pd.DataFrame(rows, columns=[*KEYS, "phase", "trials", "independent", "diverged", "rate", "low", "high"])
