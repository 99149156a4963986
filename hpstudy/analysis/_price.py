"""The price of tuning: what the best of n trials is worth, and how many it takes to match a scale that sets itself."""

import math
from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy import stats

from hpstudy.analysis._arms import TUNED, arm_kinds, conditions
from hpstudy.analysis._best_of_n import Values
from hpstudy.analysis._facts import StudyFacts
from hpstudy.analysis._metrics import metric_name
from hpstudy.analysis._price_words import price_sentence
from hpstudy.analysis._search import compute_seconds
from hpstudy.analysis._searches import Noise, Part, Searches, by_seed, noise_of, searches_of

CONFIRMED = "confirm mean"
"""Estimator of an adaptive arm."""

_ROUNDING = 1e-12
_CURVE = ["condition", "arm", "n", "hours", "seen", "expected", "low", "high", "estimator", "searches"]
_PRICE = [
    "condition", "arm", "adaptive", "n_star", "low", "high", "hours", "reached", "n_mean", "mean_low", "mean_high",
    "mean_hours", "trials", "search_hours", "adaptive_hours",
    "adaptive_searched", "searches", "estimator", "given_first", "sentence",
]  # fmt: skip


def expected_best(facts: StudyFacts, trials: pd.DataFrame) -> pd.DataFrame:
    """Validation objective that the best of n trials of a search is expected to have, for each searched arm and n.

    Random and quasi-random searches and grids: the unbiased order-statistic estimator within each search, so that any
    order of its trials counts alike; a default that was given stays first. Other samplers choose in the light of
    earlier trials: there the best so far of each search, averaged. A pruned trial counts with the value at its stop
    where the trials may come in any order, which is less than it might have reached: the curve is a low estimate there.
    A diverged one counts at chance, a failed one not at all. Adaptive arms have one row each: the mean of their confirm
    trials, and what one run of them (or one search, where they have one) took; none if they diverged at every seed.

    Random searches vary more than a bootstrap of their own trials shows: from n = 5 on their band covers 84 % to 89 %
    in simulated studies, that of repeated searches which learn 92 % to 99 %.

    Returns:
        `condition`, `arm`, `n`; `hours` of compute that the first n trials took (mean over the searches); `seen`, the
        expected best as the searches showed it; `expected`, the same for the chosen point on fresh seeds
        (`searches_of` says how), NaN until it is confirmed; `low`, `high` (95 %), NaN with one confirm seed, and with
        one search of a sampler that adapts except at a given first trial; `estimator`, `confirm mean` for adaptive
        arms; `searches`.
    """
    bounds = (0.0, 1.0) if metric_name(facts.objective).unit == "%" else (-np.inf, np.inf)
    rows: list[dict[str, object]] = []
    for condition, noise, curves, adaptive in _places(facts, trials):
        for arm, found in curves.items():
            half = _half_width([*found.parts, _own(found.confirmed)], len(found.worth))
            low, high = np.clip([found.worth - half, found.worth + half], *bounds)
            for i in range(len(found.worth)):
                rows.append(
                    {
                        "condition": condition,
                        "arm": arm,
                        "n": i + 1,
                        "hours": found.hours[i],
                        "seen": found.seen[i],
                        "expected": found.worth[i],
                        "low": low[i],
                        "high": high[i],
                        "estimator": found.estimator,
                        "searches": found.count,
                    }
                )
        for arm, of_arm in adaptive.items():
            level = by_seed(of_arm)
            half_width = float(_half_width([*_own_search(facts, of_arm, noise), _own(level)], 1)[0])
            cost, count, searches = _own_cost(of_arm)
            low, high = np.clip([level.mean() - half_width, level.mean() + half_width], *bounds)
            found_level = {"expected": level.mean(), "low": low, "high": high, "estimator": CONFIRMED}
            rows.append(
                {"condition": condition, "arm": arm, "n": count, "hours": cost, "seen": np.nan, "searches": searches}
                | found_level
            )
    return pd.DataFrame(rows, columns=_CURVE)


def break_even(facts: StudyFacts, trials: pd.DataFrame) -> pd.DataFrame:
    """How many trials of a search it takes to match each adaptive arm: n*, for each searched arm and condition.

    Both are judged by the validation objective on the same fresh seeds: n* is the first n whose expected best is no
    more than δ below the adaptive arm's mean, `n_mean` the first that reaches it. The interval holds every n at which
    the 95 % interval of the difference allows the crossing to be: from the first n whose upper end is there to the
    first n whose lower end is. Pairs of arms that were not both confirmed, or whose adaptive side diverged at every
    seed, have no row.

    Returns:
        `condition`, `arm`, `adaptive`; `n_star`, `low`, `high` in trials, ∞ where the searches were too short to get
        there; `low` and `high` are NaN where there is no interval: with one confirm seed, and with one search of a
        sampler that adapts, of which a given first trial may still settle that n* is 1, or that it is not; `hours` of
        compute for n_star (NaN if not reached); `reached`; `n_mean`, `mean_low`, `mean_high`, `mean_hours` likewise;
        `trials` and `search_hours` of one whole search; `adaptive_hours`, the compute of one run, or of one search
        where the adaptive arm has one (`adaptive_searched`); `searches`; `estimator`; `given_first`; `sentence`.
    """
    device = "GPU" if "cost/gpu_s" in trials and (trials["cost/gpu_s"].fillna(0) > 0).any() else "CPU"
    rows = []
    for condition, noise, curves, adaptive in _places(facts, trials):
        for arm, found in curves.items():
            for rival, of_rival in adaptive.items():
                row = _pair(found, of_rival, noise, facts)
                if row is not None:
                    row |= {"condition": condition, "arm": arm, "adaptive": rival}
                    rows.append(row | {"sentence": price_sentence(row, facts, device)})
    return pd.DataFrame(rows, columns=_PRICE).astype({"reached": bool})


def _places(
    facts: StudyFacts, trials: pd.DataFrame
) -> Iterator[tuple[str, Noise, dict[str, Searches], dict[str, pd.DataFrame]]]:
    """Each condition with its noise, the searches of its tuned arms, and the trials of its adaptive arms."""
    kinds = arm_kinds(trials)
    for condition in conditions(trials):
        here = trials[trials["condition"] == condition]
        noise = noise_of(here)
        of_arm = {arm: here[here["arm"] == arm] for arm in kinds}
        found = {
            arm: searches_of(facts, of_arm[arm], noise)
            for arm, kind in kinds.items()
            if kind in TUNED and len(of_arm[arm])
        }
        adaptive = {arm: of_arm[arm] for arm, kind in kinds.items() if kind == "adaptive" and _survived(of_arm[arm])}
        yield condition, noise, {arm: curve for arm, curve in found.items() if curve is not None}, adaptive


def _survived(trials: pd.DataFrame) -> bool:
    """Whether any confirm trial of an arm completed."""
    return bool(((trials["phase"] == "confirm") & (trials["status"] == "completed")).any())


def _own_cost(adaptive: pd.DataFrame) -> tuple[float, int, int]:
    """Hours of one run of an adaptive arm, or of one search if it has one; the trials of that; and its searches."""
    searched = adaptive[adaptive["phase"] != "confirm"]
    if searched.empty:
        confirm = adaptive[(adaptive["phase"] == "confirm") & (adaptive["status"] != "failed")]
        return float(compute_seconds(confirm).mean()) / 3600, 1, 0
    searches = searched["search_seed"].nunique()
    return float(compute_seconds(searched).sum()) / 3600 / searches, len(searched) // searches, searches


def _own_search(facts: StudyFacts, adaptive: pd.DataFrame, noise: Noise) -> list[Part]:
    """What the search of an adaptive arm adds to the variance of its confirmed mean; nothing where it has none."""
    own = searches_of(facts, adaptive, noise)
    return [(float(np.ravel(variance)[-1]), freedom) for variance, freedom in own.parts] if own else []


def _pair(found: Searches, rival: pd.DataFrame, noise: Noise, facts: StudyFacts) -> dict[str, object] | None:
    confirm = rival[(rival["phase"] == "confirm") & (rival["status"] != "failed")]
    differences = (found.confirmed - by_seed(rival)).dropna()
    if differences.empty or not np.isfinite(found.worth).all():
        return None
    # Both sides had the same seeds, whose part cancels.
    difference = found.worth - found.worth[-1] + float(differences.mean())
    if found.diverged or (confirm["status"] == "diverged").any():
        paired = _own(differences)
    else:
        paired = noise.part((1 + 1 / found.count) / len(differences))
    half = _half_width([*found.parts, *_own_search(facts, rival, noise), paired], len(difference))
    own_hours, _, own_searches = _own_cost(rival)
    n_star, low, high = _crossing(difference, half, -facts.equivalence_margin)
    n_mean, mean_low, mean_high = _crossing(difference, half, 0.0)
    return {
        "n_star": n_star,
        "low": low,
        "high": high,
        "hours": _at(found.hours, n_star),
        "reached": math.isfinite(n_star),
        "n_mean": n_mean,
        "mean_low": mean_low,
        "mean_high": mean_high,
        "mean_hours": _at(found.hours, n_mean),
        "trials": len(difference),
        "search_hours": float(found.hours[-1]),
        "adaptive_hours": own_hours,
        "adaptive_searched": own_searches > 0,
        "searches": found.count,
        "estimator": found.estimator,
        "given_first": found.given_first,
    }


def _crossing(difference: Values, half: Values, level: float) -> tuple[float, float, float]:
    """First n at `level`, with the first that may be and the first that surely is; ∞ for none, NaN where unknown.

    Where only a given first trial has an interval, it settles n = 1 alone.
    """
    n_star, known = _first(difference, level), np.isfinite(half)
    if known.all():
        return n_star, _first(difference + half, level), _first(difference - half, level)
    if not known[0]:
        return n_star, float("nan"), float("nan")
    if _first(difference[:1] - half[:1], level) == 1:
        return n_star, 1.0, 1.0
    return n_star, min(_first(difference[:1] + half[:1], level), 2.0), float("nan")


def _first(values: Values, level: float) -> float:
    there = np.flatnonzero(values >= level - _ROUNDING)
    return float(there[0] + 1) if there.size else math.inf


def _at(hours: Values, n: float) -> float:
    return float(hours[int(n) - 1]) if math.isfinite(n) else float("nan")


def _own(values: pd.Series) -> Part:
    """Variance of the mean of `values` by their own spread."""
    count = len(values)
    return (float(values.var(ddof=1)) / count, count - 1.0) if count > 1 else (np.nan, np.nan)


def _half_width(parts: list[Part], length: int) -> Values:
    """Half of the 95 % Student interval of a sum with independent parts (Welch and Satterthwaite); NaN if one is."""
    variances = np.array([np.broadcast_to(variance, length) for variance, _ in parts])
    freedoms = np.array([[freedom] for _, freedom in parts])
    total = variances.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        freedom = total**2 / (variances**2 / freedoms).sum(axis=0)
    quantile = stats.t.ppf(0.975, np.where(total == 0, 1.0, freedom))
    return np.asarray(np.where(total == 0, 0.0, quantile * np.sqrt(total)))
