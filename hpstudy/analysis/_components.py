"""Scores of the confirm phase by search and training seed, and how much each of the two moves them."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hpstudy.analysis._arms import KEYS, arm_kinds, conditions
from hpstudy.analysis._metrics import chance_level, scores
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
    if len(tuned) > 1 and len(adaptive) > 1:
        both = tuned.index.intersection(adaptive.index)
        if len(both) < 2:
            tuned, adaptive = tuned.mean().to_frame().T, adaptive.mean().to_frame().T
        else:
            tuned, adaptive = tuned.loc[both], adaptive.loc[both]
    seeds = tuned.columns.intersection(adaptive.columns)
    return usable(tuned[seeds].to_numpy(dtype=float) - adaptive[seeds].to_numpy(dtype=float))


def usable(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """The training seeds at which every search has a score; where that leaves fewer than two, the searches averaged."""
    complete = np.isfinite(matrix).all(axis=0)
    if matrix.shape[0] < 2 or complete.sum() >= 2:
        return np.asarray(matrix[:, complete], dtype=float)
    present = np.isfinite(matrix).any(axis=0)
    return np.asarray(np.nanmean(matrix[:, present], axis=0, keepdims=True), dtype=float)


def variance_components(trials: pd.DataFrame, metric: str) -> pd.DataFrame:
    """How far the search seed, the training seed and the rest move the confirm score of every arm.

    Random-effects analysis of variance of the crossed searches × seeds, y_ri = μ + search_r + seed_i + rest_ri, by the
    method of moments: σ²_search = (MS_search − MS_rest)/n, σ²_seed = (MS_seed − MS_rest)/R, σ²_rest = MS_rest, each cut
    at zero. With few searches they are rough: of two searches, the search component has one degree of freedom.

    Returns:
        One row per condition × arm: `searches`, `seeds`, `mean`, and as standard deviations in the metric's own unit
        `search_std`, `seed_std`, `rest_std` and `evaluation_std`; `reason` says why some are NaN. Of one search
        `seed_std` holds all that training again moves. `evaluation_std`, the spread over other test identities of the
        same trained model, needs scores of single identities, which the record does not hold: always NaN, never a
        guess.
    """
    found = confirm_scores(trials, metric)
    kinds = arm_kinds(trials)
    rows = []
    for condition in conditions(trials):
        for arm in kinds:
            matrix = score_matrix(found, condition, arm).to_numpy(dtype=float)
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
            rows.append((condition, arm, *matrix.shape, estimate(matrix).mean, *parts, np.nan, reason))
    names = ["searches", "seeds", "mean", "search_std", "seed_std", "rest_std", "evaluation_std", "reason"]
    return pd.DataFrame(rows, columns=[*KEYS, *names])
