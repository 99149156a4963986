"""Scores of the confirm phase by search and training seed, and how much each of the two moves them."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hpstudy.analysis._arms import KEYS, arm_kinds, conditions
from hpstudy.analysis._metrics import chance_level, scores
from hpstudy.analysis._replicates import Evaluations, no_evaluations, replicate_cube, whole_samples
from hpstudy.analysis._statistics import estimate, mean_squares


def confirm_scores(trials: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Confirm score of every chosen point: columns `condition`, `arm`, `search_seed`, `seed`, `score`.

    Diverged trials count at chance. So does, at each seed of its arm, a search that ended without one completed trial
    beside others that found a point: what a search may return is part of what searching is worth. One that has fewer
    trials than its arm's other searches may still be running, and one whose every trial failed says nothing; these
    two are left out.
    """
    confirm = trials[trials["phase"] == "confirm"]
    confirm = confirm.assign(score=scores(confirm, metric)).dropna(subset=["score"])
    columns = [*KEYS, "search_seed", "seed", "score"]
    found = confirm.groupby(columns[:-1], sort=True)["score"].mean().reset_index()
    search = trials[trials["phase"].isin(["search", "grid"])]
    chance = chance_level(metric)
    lost = []
    for (condition, arm), of_arm in search.groupby(KEYS, sort=True):
        here = found[(found["condition"] == condition) & (found["arm"] == arm)]
        full = of_arm["search_seed"].value_counts().max()
        for search_seed, lane in of_arm.groupby("search_seed", sort=True):
            gone = not (lane["status"] == "completed").any() and not (lane["status"] == "failed").all()
            if here.empty or not gone or len(lane) < full or (here["search_seed"] == search_seed).any():
                continue
            level = chance if np.isfinite(chance) else lane["objective"].min()
            seeds = here["seed"].drop_duplicates()
            lost += [(condition, arm, search_seed, seed, level) for seed in seeds]
    extra = pd.DataFrame(lost, columns=columns)
    both = pd.concat([found, extra], ignore_index=True) if lost else found
    return both.sort_values(columns[:-1], kind="stable", ignore_index=True)


def score_matrix(found: pd.DataFrame, condition: str, arm: str) -> pd.DataFrame:
    """Scores of one arm in one condition: a row per search seed, a column per training seed; NaN for none."""
    here = found[(found["condition"] == condition) & (found["arm"] == arm)]
    return here.pivot(index="search_seed", columns="seed", values="score").sort_index()


def difference_matrix(tuned: pd.DataFrame, adaptive: pd.DataFrame) -> NDArray[np.float64]:
    """Tuned minus adaptive at the same training seed, a row per search.

    An arm with one search meets every search of the other; where both have several, the same search seed is paired.
    Seeds that some search lacks are treated as in `usable`.
    """
    values = (matrix.to_numpy(dtype=float) for matrix in (tuned, adaptive))
    return difference_of(tuned, adaptive, *values)


def difference_of(
    tuned: pd.DataFrame, adaptive: pd.DataFrame, first: NDArray[np.float64], second: NDArray[np.float64]
) -> NDArray[np.float64]:
    """As `difference_matrix`, of other values of the same trials.

    Args:
        tuned: Its index names the searches, its columns the seeds.
        adaptive: Likewise.
        first: Values of the tuned arm, searches × seeds, with any further axes.
        second: Values of the adaptive arm, likewise.
    """
    if not first.size or not second.size:
        return np.empty((1, 0, *first.shape[2:]))
    if len(tuned) > 1 and len(adaptive) > 1:
        both = tuned.index.intersection(adaptive.index)
        if len(both) < 2:
            first, second = (over_searches(values) for values in (first, second))
        else:
            first, second = first[tuned.index.get_indexer(both)], second[adaptive.index.get_indexer(both)]
    seeds = tuned.columns.intersection(adaptive.columns)
    return usable(first[:, tuned.columns.get_indexer(seeds)] - second[:, adaptive.columns.get_indexer(seeds)])


def over_searches(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of the searches that have a value, NaN where none has."""
    there = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        means = np.where(there, values, 0.0).sum(axis=0, keepdims=True) / there.sum(axis=0, keepdims=True)
    return np.asarray(means, dtype=float)


def usable(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """The training seeds at which every search has a score; where that leaves fewer than two, the searches averaged."""
    there = np.isfinite(matrix).all(axis=tuple(range(2, matrix.ndim)))
    complete = there.all(axis=0)
    if matrix.shape[0] < 2 or complete.sum() >= 2:
        return np.asarray(matrix[:, complete], dtype=float)
    return over_searches(matrix[:, there.any(axis=0)])


def variance_components(trials: pd.DataFrame, metric: str, evaluations: Evaluations = no_evaluations) -> pd.DataFrame:
    """How far the search seed, the training seed and the rest move the confirm score of every arm.

    Random-effects analysis of variance of the crossed searches × seeds, y_ri = μ + search_r + seed_i + rest_ri, by the
    method of moments: σ²_search = (MS_search − MS_rest)/n, σ²_seed = (MS_seed − MS_rest)/R, σ²_rest = MS_rest, each cut
    at zero. With few searches they are rough: of two searches, the search component has one degree of freedom.

    Args:
        trials: One row a trial.
        metric: Column that the confirm phase measured.
        evaluations: Reads a trial's metrics in bootstrap samples of the test identities.

    Returns:
        One row per condition × arm: `searches`, `seeds`, `mean`, and as standard deviations in the metric's own unit
        `search_std`, `seed_std`, `rest_std` and `evaluation_std`; `reason` says why some are NaN. Of one search
        `seed_std` holds all that training again moves. `evaluation_std` is the spread of one trained model's score over
        other test identities, by the bootstrap over them (root of the mean variance of the arm's trials); NaN where the
        record has no bootstrap samples, never a guess. Part of it is common to all models, and the rest, how far models
        differ in the identities that suit them, is in `seed_std`, `search_std` and `rest_std` as well.
    """
    found = confirm_scores(trials, metric)
    kinds = arm_kinds(trials)
    rows = []
    for condition in conditions(trials):
        for arm in kinds:
            of_arm = score_matrix(found, condition, arm)
            matrix = of_arm.to_numpy(dtype=float)
            if not matrix.size:
                continue
            complete = matrix[:, np.isfinite(matrix).all(axis=0)]
            searched = bool(((trials["arm"] == arm) & (trials["phase"] != "confirm")).any())
            parts = [np.nan] * 3
            reason = ""
            if matrix.shape[0] < 2:
                parts[1] = estimate(matrix).std
                reason = "one search seed" if searched else "nothing was searched"
            elif complete.shape[1] < 2:
                reason = "fewer than two training seeds that every search shares"
            else:
                search, seed, rest = mean_squares(complete)
                raw = (search - rest) / complete.shape[1], (seed - rest) / complete.shape[0], rest
                parts = [float(np.sqrt(max(variance, 0.0))) for variance in raw]
            samples = replicate_cube(trials, of_arm, condition, arm, metric, evaluations)
            samples = samples[:, :, whole_samples(samples)]
            rows.append((condition, arm, *matrix.shape, estimate(matrix).mean, *parts, _sample_std(samples), reason))
    names = ["searches", "seeds", "mean", "search_std", "seed_std", "rest_std", "evaluation_std", "reason"]
    return pd.DataFrame(rows, columns=[*KEYS, *names])


def _sample_std(samples: NDArray[np.float64]) -> float:
    """Root of the mean variance over samples, of the trials that moved with them."""
    if samples.shape[2] < 2:
        return float("nan")
    variances = samples.var(axis=2, ddof=1)
    moved = variances[variances > 0.0]
    return float(np.sqrt(moved.mean())) if moved.size else 0.0
