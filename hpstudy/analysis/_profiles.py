"""Several conditions at once: what arms gain over an adaptive control, by interquartile mean, profile and rank.

TARs of conditions of different difficulty can't be pooled as they are: the quartiles that an interquartile mean cuts
off would be whole conditions, and a profile a staircase of conditions. So every score is taken relative to the control
in its own condition: **gain = score − mean score of the control there**, in the metric's own unit. That is a shift, not
a rescaling: ten points count as ten points wherever they are gained. Zero is the control, and the share of gains above
δ is how often an arm does better than it by more than what the study calls a difference.

The control is one adaptive arm for all conditions, the one with the highest mean over them. It is picked by these same
scores, which flatters it. Conditions are those of the study, not a sample of any: intervals speak of new training seeds
in these conditions. They are percentiles of a bootstrap stratified by condition, which draws seeds for all arms at
once, so that pairs stay pairs, and, where an arm has several searches, these too. Each stratum of n seeds draws n − 1:
drawing n would understate the variance of its mean by a factor of (n − 1)/n, a third with three seeds. Percentiles
still take a variance of few degrees of freedom, Σ(n − 1), for known, so that they are moved away from the estimate by
the ratio of Student's quantile to the normal one. In simulations of 2 to 8 conditions, 3 to 10 seeds and 1 to 5
searches the 95 % interval of the gain then covers 95 % to 99 %, the plain percentiles of 2 and 4 conditions with three
seeds 89 % and 91 %.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from hpstudy.analysis._arms import arm_kinds, conditions
from hpstudy.analysis._components import confirm_scores, over_searches, score_matrix
from hpstudy.analysis._rates import clopper_pearson_interval

Values = NDArray[np.float64]

LEAST_CONDITIONS = 2
"""Fewer are told one by one."""

_RESAMPLES = 2_000
_POINTS = 400
"""Most steps of a profile."""
_SEED = 20_210_813
_TAILS = (0.025, 0.975)
_SUMMARY = [
    "arm", "kind", "control", "conditions", "runs", "mean_gain", "iqm", "iqm_low", "iqm_high", "gain", "low", "high",
    "improvement", "improvement_low", "improvement_high",
]  # fmt: skip


def control_arm(trials: pd.DataFrame, metric: str) -> str:
    """The adaptive arm with the highest mean over the conditions in which every adaptive arm has a score.

    Empty if no adaptive arm was confirmed.
    """
    found = confirm_scores(trials, metric)
    adaptive = [arm for arm, kind in arm_kinds(trials).items() if kind == "adaptive"]
    means = found[found["arm"].isin(adaptive)].groupby(["condition", "arm"])["score"].mean().unstack()
    if means.empty:
        return ""
    shared = means.dropna()
    return str((shared if len(shared) else means).mean().idxmax())


def pooled_summary(trials: pd.DataFrame, metric: str) -> pd.DataFrame:
    """What every arm scores and gains over all conditions, and how often it beats the control.

    The interquartile mean (IQM) is the mean of the middle half of the runs, conditions × seeds (Agarwal et al., NeurIPS
    2021): a condition in which an arm fails, or excels, does not decide it. The probability of improvement is that of
    scoring higher than the control at the same training seed, averaged over conditions; ties count half. Its interval
    is Clopper & Pearson's on the pairs, of which several searches make no more (`improvement`): over conditions of
    unequal probability it covers more than it promises.

    Args:
        trials: One row a trial. Diverged confirm trials score at chance.
        metric: Column that the confirm phase measured, larger is better.

    Returns:
        One row per arm, largest gain first; none with fewer than two conditions or without an adaptive arm. `arm`,
        `kind`, `control`, `conditions` (in which both have a score), `runs`, `mean_gain`; `iqm`, `iqm_low`, `iqm_high`
        of the scores as they are; `gain`, `low`, `high`: IQM of the gains; `improvement`, `improvement_low`,
        `improvement_high`. Intervals are 95 %, NaN with one seed. The control gains 0 on itself, without an interval.
    """
    grid = _Grid(trials, metric)
    rows = []
    for arm in grid.arms:
        places = grid.places(arm)
        if len(places) < LEAST_CONDITIONS:
            continue
        whole = [place.whole for place in places]
        runs = sum(int(np.isfinite(scores).sum()) for scores, _ in whole)
        mean = 0.0 if arm == grid.control else float(np.mean([np.nanmean(_gain(*pair)) for pair in whole]))
        drawn, freedom = _drawn(places), sum(place.whole[0].shape[2] - 1 for place in places)
        raw = _widened(_iqm([scores for scores, _ in whole]), _iqm([scores for scores, _ in drawn]), freedom)
        gain, improved = (0.0, np.nan, np.nan), (np.nan,) * 3
        if arm != grid.control:
            gain = _widened(_iqm([_gain(*pair) for pair in whole]), _iqm([_gain(*pair) for pair in drawn]), freedom)
            improved = _improvement(whole)
        rows.append((arm, grid.kinds[arm], grid.control, len(places), runs, mean, *raw, *gain, *improved))
    frame = pd.DataFrame(rows, columns=_SUMMARY)
    return frame.sort_values("gain", ascending=False, kind="stable", ignore_index=True)


def performance_profiles(trials: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Share of the runs of every arm that gain more than τ over the control, conditions with equal weight.

    Args:
        trials: One row a trial.
        metric: Column that the confirm phase measured, larger is better.

    Returns:
        One row per arm × τ: `arm`, `tau`, `share`, `low`, `high` (95 % at each τ by itself, NaN with one seed); none
        with fewer than two conditions or without an adaptive arm. The share stays as it is up to the next τ.
    """
    grid = _Grid(trials, metric)
    arms = [arm for arm in grid.arms if len(grid.places(arm)) >= LEAST_CONDITIONS]
    gains = {arm: [_gain(*place.whole) for place in grid.places(arm)] for arm in arms}
    columns = ["arm", "tau", "share", "low", "high"]
    if not gains:
        return pd.DataFrame(columns=columns)
    taus = _steps(np.concatenate([values.ravel() for of_arm in gains.values() for values in of_arm]))
    frames = []
    for arm in arms:
        share = _shares_above(gains[arm], taus)[0]
        drawn = _shares_above([_gain(*pair) for pair in _drawn(grid.places(arm))], taus)
        low, high = np.quantile(drawn, _TAILS, axis=0)
        frames.append(pd.DataFrame({"arm": arm, "tau": taus, "share": share, "low": low, "high": high}))
    return pd.concat(frames, ignore_index=True)[columns]


def _steps(values: Values) -> Values:
    """A value below all, then the values at which some profile falls, or as many as are drawn, and one above all."""
    distinct = np.unique(values[np.isfinite(values)])
    kept = distinct[np.unique(np.linspace(0, distinct.size - 1, min(distinct.size, _POINTS)).round().astype(int))]
    pad = 0.03 * max(float(np.ptp(kept)), 1e-6)
    return np.concatenate([[kept[0] - pad], kept, [kept[-1] + pad]])


Pair = tuple[Values, Values]
"""Scores of an arm and of the control, samples × searches × seeds each, the same seeds in both."""


class _Place:
    """An arm and the control in one condition."""

    def __init__(
        self, arm: Values, control: Values, of_seeds: np.random.Generator, of_searches: np.random.Generator
    ) -> None:
        self.whole: Pair = arm[None], control[None]
        # Both sides of a pair are drawn together; of the control, searches are drawn by themselves.
        seeds = _draws(arm.shape[1], of_seeds)
        own, others = (_draws(values.shape[0], of_searches) if len(values) > 1 else None for values in (arm, control))
        self.drawn: Pair = _resample(arm, own, seeds), _resample(control, others, seeds)


class _Grid:
    """Confirm scores of a study by condition and arm, beside those of the control."""

    def __init__(self, trials: pd.DataFrame, metric: str) -> None:
        found = confirm_scores(trials, metric)
        self.kinds = arm_kinds(trials)
        self.control = control_arm(trials, metric)
        self.arms = list(self.kinds) if self.control else []
        self._places: dict[str, list[_Place]] = {arm: [] for arm in self.arms}
        for index, condition in enumerate(conditions(trials) if self.control else []):
            here = found[found["condition"] == condition]
            seeds = sorted(here["seed"].unique())
            control = score_matrix(found, condition, self.control).reindex(columns=seeds).to_numpy(dtype=float)
            for arm in self.arms:
                matrix = score_matrix(found, condition, arm).reindex(columns=seeds).to_numpy(dtype=float)
                if control.size and matrix.size:
                    # All conditions draw the same training seeds, which they share, and each its own searches.
                    place = _Place(matrix, control, np.random.default_rng(_SEED), np.random.default_rng((_SEED, index)))
                    self._places[arm].append(place)

    def places(self, arm: str) -> list[_Place]:
        """The conditions in which the arm and the control have a score."""
        return self._places[arm]


def _drawn(places: Sequence[_Place]) -> list[Pair]:
    """Resampled scores of the conditions; none of any where one has a single seed, which can't be resampled."""
    several = all(place.whole[0].shape[2] > 1 for place in places)
    return [place.drawn for place in places] if several else [(np.full((1, 1, 1), np.nan),) * 2]


def _draws(count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """`count` − 1 indices with replacement for each resample; none for one."""
    return rng.integers(0, count, (_RESAMPLES, count - 1))


def _resample(scores: Values, searches: NDArray[np.int64] | None, seeds: NDArray[np.int64]) -> Values:
    rows = np.zeros((_RESAMPLES, 1), dtype=int) if searches is None else searches
    return np.asarray(scores[rows[:, :, None], seeds[:, None, :]], dtype=float)


def _gain(arm: Values, control: Values) -> Values:
    """Scores less the mean of the control, sample by sample; NaN where a sample has no score of the control."""
    return arm - _mean(control)[:, None, None]


def _mean(values: Values) -> Values:
    """Mean over the finite entries of each sample, NaN where there is none."""
    flat = values.reshape(len(values), -1)
    finite = np.isfinite(flat)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(finite, flat, 0.0).sum(axis=1) / finite.sum(axis=1), dtype=float)


def _iqm(strata: Sequence[Values]) -> Values:
    """Mean of each sample's values without the lowest and the highest quarter, rounded down."""
    flat = np.sort(np.concatenate([values.reshape(len(values), -1) for values in strata], axis=1), axis=1)
    count = np.isfinite(flat).sum(axis=1)
    cut = count // 4
    sums = np.cumsum(np.pad(np.nan_to_num(flat), ((0, 0), (1, 0))), axis=1)
    rows = np.arange(len(flat))
    with np.errstate(invalid="ignore"):
        return np.asarray((sums[rows, count - cut] - sums[rows, cut]) / (count - 2 * cut), dtype=float)


def _shares_above(strata: Sequence[Values], taus: Values) -> Values:
    """Share of each sample's gains above every τ (ascending), conditions with equal weight: samples × τ."""
    return np.mean([_above(gains.reshape(len(gains), -1), taus) for gains in strata], axis=0)


def _above(gains: Values, taus: Values) -> Values:
    known = np.isfinite(gains)
    # A gain is above as many τ as lie below it.
    below = np.searchsorted(taus, np.where(known, gains, taus[0]), side="left")
    cells = below + np.arange(len(gains))[:, None] * (taus.size + 1)
    counts = np.bincount(cells.ravel(), known.ravel().astype(float), len(gains) * (taus.size + 1))
    totals = np.cumsum(counts.reshape(len(gains), -1)[:, ::-1], axis=1)[:, ::-1]
    with np.errstate(invalid="ignore"):
        return np.asarray(totals[:, 1:] / totals[:, :1], dtype=float)


def _improvement(whole: Sequence[Pair]) -> tuple[float, float, float]:
    """Share of the seeds of a condition at which the arm scores higher, averaged over conditions, with its interval."""
    shares, units = [], []
    for arm, control in whole:
        difference = arm[0] - over_searches(control[0])
        seen = difference[np.isfinite(difference)]
        if seen.size:
            shares.append(float(np.mean((seen > 0) + 0.5 * (seen == 0))))
            seeds = int(np.isfinite(difference).any(axis=0).sum())
            units.append(min(len(difference), seeds) if len(difference) > 1 else seeds)
    if not shares:
        return (float("nan"),) * 3
    # Conditions share the training seeds, so that they may make no more pairs than the one with the fewest.
    pairs = min(units)
    share = float(np.mean(shares))
    return share, *clopper_pearson_interval(share * pairs, pairs)


def _widened(whole: Values, drawn: Values, freedom: int) -> tuple[float, float, float]:
    """An estimate with its interval from the samples; NaN ends where too many samples have no value."""
    value, finite = float(whole[0]), drawn[np.isfinite(drawn)]
    if finite.size < max(0.95 * drawn.size, 2):
        return value, float("nan"), float("nan")
    ratio = stats.t.ppf(_TAILS[1], freedom) / stats.norm.ppf(_TAILS[1])
    low, high = value + ratio * (np.quantile(finite, _TAILS) - value)
    return value, float(low), float(high)
