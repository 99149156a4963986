"""The tests behind every statement of a report: Student intervals, paired tests, Holm, equivalence.

Which p value a word rests on was settled by simulation (`tests/analysis/test_levels.py` repeats it). Share of true null
hypotheses rejected at 5 %, mean difference zero:

| differences of a pair | t, n = 3 | 5 | 10 | permutation, 3 | 5 | 10 | BCa, 3 | 5 | 10 |
|---|---|---|---|---|---|---|---|---|---|
| normal | .050 | .048 | .052 | 0 | 0 | .050 | .28 | .17 | .12 |
| two rates of one law (near 97 %) | .042 | .042 | .045 | 0 | 0 | .049 | .27 | .18 | .11 |
| symmetric, heavy tails (Laplace) | .031 | .034 | .042 | 0 | 0 | .048 | .27 | .19 | .16 |
| symmetric, no tails (uniform) | .077 | .064 | .055 | 0 | 0 | .050 | .25 | .14 | .07 |
| two rates of unequal spread | .092 | .106 | .097 | 0 | 0 | .094 | .33 | .22 | .13 |
| skewed (exponential) | .117 | .116 | .102 | 0 | 0 | .097 | .31 | .20 | .13 |

Student's t keeps its level for near-normal differences at every n, and where both arms have one law, for which the
difference is symmetric. Flipping signs is exact for every symmetric law, but cannot go below 2^(1−n): 0.25 with three
pairs, 0.0625 with five. BCa falls short at every customary number of seeds. None survives strong skewness, such as an
arm that fails at one seed in ten: its failure is often not among the seeds, and no test can see it.

The rule that follows: **p is Student's**, on the assumption that differences are near normal, which a handful of
pairs can't check. A difference is claimed if Holm's adjustment of it stays below 5 % *and*, as soon as there are
pairs enough, if the exact permutation test finds it too. Enough is where the least p that this test can have,
2^(1−n), times the number of comparisons is a tenth of 5 %: 9 pairs for one comparison, 12 for eight. Asked for with
fewer it would cost much power (of 80 %, 61 % are left with 6 pairs), from there on it costs five points at most. Some
claim among eight true null hypotheses is made in 5 % of families (normal, n = 3, 5, 10), 3 % to 4 % (two rates of one
law), 8 % to 11 % (uniform) and 18 % to 29 % (exponential). Permutation and BCa intervals stand beside Student's for a
reader who doubts the assumption; no word rests on them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from hpstudy.analysis._resampling import bca_interval, sign_flip_interval, sign_flip_p

_ROUNDING = 64 * np.finfo(float).eps


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with a two-sided interval; the ends are NaN where one value or none is there, or no spread."""

    n: int
    mean: float
    std: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean, its standard error, and the degrees of freedom that the error has."""

    n: int
    """Training seeds."""
    mean: float
    std: float
    """Spread over the training seeds (n − 1), each averaged over the searches."""
    error: float
    freedom: float
    searches: int = 1
    """Searches that the error speaks for; 1 where it is given the search."""

    def interval(self, level: float = 0.95) -> Interval:
        """Two-sided Student-t interval."""
        half = self._half(level)
        return Interval(self.n, self.mean, self.std, self.mean - half, self.mean + half)

    def rate_interval(self, level: float = 0.95) -> Interval:
        """Two-sided interval of a rate, inside [0, 1]: Student's on the logit of the mean, by the delta method.

        For Beta-distributed rates with means from 0.5 to 0.995 and n = 3, 5, 10 it covers 93 % to 95 % of the time. The
        t interval cut at 0 and 1 covers 88 % near the ends, and the mean of logits 81 % at n = 10, as it estimates
        something else.
        """
        odds = self.mean * (1.0 - self.mean)
        if not odds > 0.0:
            return Interval(self.n, self.mean, self.std, np.nan, np.nan)
        centre, half = np.log(self.mean / (1.0 - self.mean)), self._half(level) / odds
        low, high = (float(1.0 / (1.0 + np.exp(-end))) for end in np.clip([centre - half, centre + half], -700, 700))
        return Interval(self.n, self.mean, self.std, low, high)

    def _half(self, level: float) -> float:
        return float(stats.t.ppf(0.5 + level / 2, self.freedom)) * self.error if self.error > 0.0 else float("nan")


@dataclass(frozen=True, slots=True)
class PairedTest:
    """Paired differences tested against zero and against a margin; NaN where the pairs allow no test."""

    estimate: Estimate
    interval: Interval
    """95 % interval of the mean difference, Student's."""
    p: float
    """Two-sided Student test of a zero mean difference."""
    equivalence_p: float
    """The larger p of the two one-sided tests against ±margin."""
    equivalence_low: float
    equivalence_high: float
    """Ends of the 90 % interval, which lies inside ±margin exactly if `equivalence_p` < 0.05."""
    p_permutation: float
    """Exact two-sided sign-flip test over the training seeds, given the searches."""
    permutation: tuple[float, float]
    """95 % interval of that test; infinite below six pairs."""
    bca: tuple[float, float]
    """95 % BCa bootstrap interval over the training seeds, given the searches."""


def estimate(values: ArrayLike) -> Estimate:
    """Mean and standard error of scores: one value a training seed, or a row a search and a column a training seed.

    One row or a vector gives Student's error over the seeds, for the searches at hand. With R ≥ 2 searches and n ≥ 2
    seeds both are taken as random, crossed: y_ri = μ + search_r + seed_i + rest_ri. Then Var(ȳ) = (MS_search +
    MS_seed − MS_rest)/(R n), with Satterthwaite's degrees of freedom for that sum (Satterthwaite 1946). As the
    difference can come out too small, no less than either mean square alone and no less than min(R, n) − 1 degrees of
    freedom are used. In simulations with 2 to 5 searches, 3 to 10 seeds and every mixture of the three components the
    95 % interval covers 93 % to 99.7 % if they are normal; Student's over the seeds alone covers 9 % to 95 %, over the
    searches alone 56 % to 95 %. What searches find is skewed, since values pile up below the best that can be had:
    there it covers 87 % to 92 % with two searches and 90 % to 94 % with three.

    Args:
        values: Entries that are not finite are dropped; of a matrix, with their seed.
    """
    data = np.asarray(values, dtype=float)
    if data.ndim == 2 and data.shape[0] > 1:
        data = data[:, np.isfinite(data).all(axis=0)]
        if data.shape[1] > 1:
            return _crossed(data)
        data = data.mean(axis=0)
    data, nan = data.ravel(), float("nan")
    data = data[np.isfinite(data)]
    if data.size == 0:
        return Estimate(0, nan, nan, nan, nan)
    spread = _spread(data)
    return Estimate(int(data.size), float(data.mean()), spread, float(spread / np.sqrt(data.size)), data.size - 1)


def mean_squares(scores: NDArray[np.float64]) -> tuple[float, float, float]:
    """Mean squares of searches, seeds and the rest, of a complete searches × seeds matrix (both at least 2)."""
    searches, seeds = scores.shape
    by_search, by_seed = scores.mean(axis=1), scores.mean(axis=0)
    rest = scores - by_search[:, None] - by_seed + scores.mean()
    return (
        seeds * _spread(by_search) ** 2,
        searches * _spread(by_seed) ** 2,
        float((rest**2).sum() / ((searches - 1) * (seeds - 1))),
    )


def _crossed(scores: NDArray[np.float64]) -> Estimate:
    searches, seeds = scores.shape
    search, seed, rest = mean_squares(scores)
    total = search + seed - rest
    weights = search**2 / (searches - 1) + seed**2 / (seeds - 1) + rest**2 / ((searches - 1) * (seeds - 1))
    freedom = total**2 / weights if weights > 0.0 else 0.0
    error = np.sqrt(max(total, search, seed) / scores.size)
    error = 0.0 if error <= _ROUNDING * np.max(np.abs(scores)) else float(error)
    least = min(searches, seeds) - 1
    spread = _spread(scores.mean(axis=0))
    return Estimate(seeds, float(scores.mean()), spread, error, max(freedom, least), searches)


def _spread(values: NDArray[np.float64]) -> float:
    """Standard deviation (n − 1), exactly zero where the values differ by rounding only."""
    if values.size < 2:
        return float("nan")
    spread = float(np.std(values, ddof=1))
    return 0.0 if spread <= _ROUNDING * float(np.max(np.abs(values))) else spread


def t_interval(values: ArrayLike, level: float = 0.95) -> Interval:
    """Mean and two-sided Student-t interval of the finite entries of `values`; no ends where they are all equal."""
    return estimate(values).interval(level)


def paired_test(differences: ArrayLike, margin: float) -> PairedTest:
    """Tests the mean of paired differences against zero (t) and for equivalence within ±`margin` (TOST).

    Differences without any spread, which a coarse metric gives easily, tell Student nothing; they are judged by what
    flipping their signs allows: p = 2^(1−n), equivalence p = 2^−n inside the margin. Two equal differences that are not
    zero are not tested.

    Args:
        differences: One difference per pair, or a row per search and a column per training seed (see `estimate`).
        margin: Equivalence margin δ > 0, in the metric's own unit.
    """
    data = np.asarray(differences, dtype=float)
    found = estimate(data)
    interval, narrow = found.interval(), found.interval(level=0.90)
    if found.n < 2 or (found.n < 3 and found.error == 0.0 and found.mean != 0.0):
        nan = float("nan")
        return PairedTest(found, interval, nan, nan, nan, nan, nan, (nan, nan), (nan, nan))
    by_seed = data.mean(axis=0) if data.ndim == 2 else data
    by_seed = by_seed[np.isfinite(by_seed)]
    p_permutation = sign_flip_p(by_seed)
    flips, bca = sign_flip_interval(by_seed), bca_interval(by_seed)
    if found.error == 0.0:
        outside = 0.5**found.n if abs(found.mean) < margin else 1.0
        ends = narrow.low, narrow.high
        return PairedTest(found, interval, p_permutation, outside, *ends, p_permutation, flips, bca)
    p = 2 * float(stats.t.sf(abs(found.mean) / found.error, found.freedom))
    sides = [stats.t.sf((margin + sign * found.mean) / found.error, found.freedom) for sign in (1, -1)]
    return PairedTest(found, interval, p, float(max(sides)), narrow.low, narrow.high, p_permutation, flips, bca)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment (family-wise error); NaN entries stay NaN and do not count."""
    p = np.asarray(p_values, dtype=float)
    adjusted = np.full(p.shape, np.nan)
    tested = np.flatnonzero(np.isfinite(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    factors = np.arange(order.size, 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * factors), 1.0)
    return [float(value) for value in adjusted]
