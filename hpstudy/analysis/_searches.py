"""The searches of one arm in one condition: what the best of n trials showed, and what it is worth."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from hpstudy.analysis._best_of_n import AnyOrder, AsAsked, BestOfN, ListedInAnyOrder, Values, luck
from hpstudy.analysis._facts import StudyFacts
from hpstudy.analysis._search import compute_seconds

INDEPENDENT, LISTED, RUNNING_BEST = "order statistic", "order statistic of a list", "running best"
"""Estimators: of trials drawn independently, of all points of a list, and of trials that follow from earlier ones."""

_SEED = 20_190_501
_NO_PART = (np.nan, np.nan)


@dataclass(frozen=True, slots=True, eq=False)
class Noise:
    """Spread of a value at the same point on the same seed as others: what is left beside the arm and the seed."""

    std: float
    freedom: int

    def part(self, factor: float) -> "Part":
        """Variance of a mean whose noise is `factor` times this one's variance."""
        return (factor * self.std**2, float(self.freedom)) if self.freedom else _NO_PART


Part = tuple[Values | float, float]
"""A variance and its degrees of freedom."""


@dataclass(frozen=True, slots=True, eq=False)
class Searches:
    """The searches of one arm in one condition, averaged; arrays run over n = 1, 2, …, the shortest search."""

    estimator: str
    count: int
    seen: Values
    """Expected best of n as the searches showed it."""
    worth: Values
    """The same for fresh seeds; NaN where a search's choice was not confirmed."""
    hours: Values
    """Compute of the first n trials, as asked."""
    parts: tuple[Part, ...]
    """Variance of `worth` for given confirm seeds."""
    confirmed: pd.Series
    """Mean objective of the chosen points by confirm seed."""
    diverged: bool
    """Whether a confirm trial diverged."""
    given_first: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Lane:
    shown: Values
    """Values as the estimator takes them; one that can't be the best of its search is not above the best."""
    best: float
    hours: Values
    confirmed: float
    """Of the chosen point, NaN if it has no confirm trial."""


def noise_of(trials: pd.DataFrame) -> Noise:
    """Noise of a confirm value beside its point and its seed, over all arms of one condition.

    A training seed helps or hurts all arms together. That part cancels in every difference between arms, and among the
    trials of one search, which share a seed; what can make a point look better than it is, is the rest.

    Args:
        trials: Trials of one condition. Points with a confirm trial that did not complete are left out.
    """
    confirm = trials[trials["phase"] == "confirm"]
    values = confirm["objective"].where(confirm["status"] == "completed").astype(float)
    points = confirm["arm"].astype(str) + "\0" + confirm["search_seed"].astype(str)
    table = values.groupby([confirm["seed"], points]).mean().unstack() if len(confirm) else pd.DataFrame()
    kept = table.dropna(axis=1).to_numpy(dtype=float)
    seeds, columns = kept.shape if kept.ndim == 2 else (0, 0)
    freedom = (seeds - 1) * (columns - 1)
    if seeds < 2 or columns < 2:
        return Noise(float("nan"), 0)
    rest = kept - kept.mean(axis=0) - kept.mean(axis=1, keepdims=True) + kept.mean()
    return Noise(float(np.sqrt((rest**2).sum() / freedom)), freedom)


def by_seed(trials: pd.DataFrame) -> pd.Series:
    """Objective of an arm's confirm trials by seed, averaged over its searches; failed trials are left out."""
    confirm = trials[(trials["phase"] == "confirm") & (trials["status"] != "failed")]
    return confirm.groupby("seed")["objective"].mean().dropna()


def searches_of(facts: StudyFacts, trials: pd.DataFrame, noise: Noise) -> Searches | None:
    """The searches of one arm in one condition; None if no trial of any has ended.

    The best of n is taken per search and averaged. What a search showed flatters it twice: its seed may be a lucky one,
    and the best of n is partly the luckiest. So its curve is moved to where its choice came out on fresh seeds, less
    the part of that move which is the luck of being picked (`luck`), which grows with n.

    Args:
        facts: Names the sampler, and the arms whose searches begin with a given point.
        trials: Trials of the arm in the condition.
        noise: Of the condition.
    """
    search = trials[trials["phase"].isin(["search", "grid"])]
    given = 1 if str(trials["arm"].iloc[0]) in facts.given_first and (search["phase"] == "search").any() else 0
    listed = facts.sampler == "grid" or (search["phase"] == "grid").any()
    estimator = LISTED if listed else INDEPENDENT if facts.sampler in ("random", "qmc") else RUNNING_BEST
    groups = search.sort_values("number").groupby("search_seed", sort=True)
    ended = [(seed, rows) for seed, rows in groups if _usable(rows).any()]
    if not ended:
        return None
    confirm = trials[(trials["phase"] == "confirm") & (trials["status"] != "failed")]
    lanes = [_lane(rows, confirm[confirm["search_seed"] == seed], estimator) for seed, rows in ended]
    length = min(len(lane.hours) for lane in lanes)
    rng = np.random.default_rng(_SEED)
    seen, worth, variance = zip(*(_curves(lane, _rule(estimator, len(lane.hours), given), noise, rng, length)
                                  for lane in lanes), strict=True)  # fmt: skip
    count = len(lanes)
    average = np.mean(worth, axis=0)
    parts: tuple[Part, ...]
    if estimator == RUNNING_BEST:
        parts = (_between(np.array(worth)),) if count > 1 else (_of_given(length, given), noise.part(2))
    else:
        parts = (
            (np.sum(variance, axis=0) / count**2, float(max(sum(len(lane.hours) - 1 for lane in lanes), 1))),
            noise.part(1 / count),
        )
    return Searches(
        estimator=estimator,
        count=count,
        seen=np.mean(seen, axis=0),
        # The expected best can't fall with n; where it seems to, the later value is the better known.
        worth=np.minimum.accumulate(average[::-1])[::-1],
        hours=np.mean([lane.hours[:length] for lane in lanes], axis=0),
        parts=parts,
        confirmed=by_seed(trials),
        diverged=bool((confirm["status"] == "diverged").any()),
        given_first=bool(given),
    )


def _between(worth: Values) -> Part:
    """Variance of the mean of searches by their own spread, the largest from n/2 up to n.

    Values pile up below the best that can be had, so that a few searches which happen to agree look surer than they
    are: with the spread at n alone, 95 % intervals of 3 searches held the truth in 82 to 92 % of simulated studies.
    """
    variance = worth.var(axis=0, ddof=1) / len(worth)
    return np.array([variance[n // 2 : n + 1].max() for n in range(len(variance))]), len(worth) - 1.0


def _of_given(length: int, given: int) -> Part:
    """What the choices of the sampler add to the variance: nothing at given trials, an unknown amount after them."""
    return np.where(np.arange(length) < given, 0.0, np.nan), 1.0


def _usable(rows: pd.DataFrame) -> pd.Series:
    return (rows["status"] != "failed") & np.isfinite(rows["objective"].astype(float))


def _lane(rows: pd.DataFrame, confirm: pd.DataFrame, estimator: str) -> _Lane:
    usable = _usable(rows)
    hours = (compute_seconds(rows) / 3600).cumsum()[usable].to_numpy()
    values = rows.loc[usable, "objective"].to_numpy(dtype=float)
    completed = (rows.loc[usable, "status"] == "completed").to_numpy()
    if not completed.any():  # nothing to choose, and nothing better to show
        return _Lane(values, float(values.max()), hours, float(values.max()))
    best = float(values[completed].max())
    shown = np.where(completed, values, np.minimum(values, best))
    if estimator == RUNNING_BEST:
        first = int(np.argmax(completed))
        after = np.arange(len(values)) > first
        shown = np.where(completed, values, np.where(after, -np.inf, np.minimum(values, values[first])))
    confirmed = float(confirm["objective"].mean()) if len(confirm) else float("nan")
    return _Lane(shown, best, hours, confirmed)


def _rule(estimator: str, trials: int, given: int) -> BestOfN:
    if estimator == RUNNING_BEST:
        return AsAsked()
    return ListedInAnyOrder(trials, given) if estimator == LISTED else AnyOrder(trials, given)


def _curves(
    lane: _Lane, rule: BestOfN, noise: Noise, rng: np.random.Generator, length: int
) -> tuple[Values, Values, Values]:
    """What the best of n showed, what it is worth, and the variance of either."""
    std = noise.std if noise.freedom else 0.0
    seen = rule.best(lane.shown)
    fair = seen - luck(rule, lane.shown, std, rng)
    worth = fair - fair[-1] + lane.confirmed
    return seen[:length], worth[:length], rule.variance(lane.shown, std, rng)[:length]
