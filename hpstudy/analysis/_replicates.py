"""What confirm trials score in bootstrap samples of the test identities, gathered by arm."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Evaluations = Callable[[str], pd.DataFrame]
"""Test metrics of the confirm trial with that id in bootstrap samples of the test identities, a column a metric and a
row a sample, the same sample for every trial judged on the same identities; empty where there are none."""

_LEAST_WHOLE = 0.95
"""Share of samples that must have a value: identities too few to give one in more are too few to resample."""


def no_evaluations(trial_id: str) -> pd.DataFrame:
    """What a record without bootstrap samples holds of a trial."""
    return pd.DataFrame()


def replicate_cube(
    trials: pd.DataFrame, scored: pd.DataFrame, condition: str, arm: str, metric: str, evaluations: Evaluations
) -> NDArray[np.float64]:
    """Confirm scores of one arm in bootstrap samples of the test identities, shaped searches × seeds × samples.

    A score that stands in for one, chance of a trial that diverged or of a search that left nothing, does not depend on
    the identities. No samples at all where a measured trial has none, or another number of them.

    Args:
        trials: One row a trial.
        scored: `score_matrix` of the arm in the condition.
        condition: The condition.
        arm: The arm.
        metric: Column that the confirm phase measured.
        evaluations: Reads the samples of a trial.
    """
    scores = scored.to_numpy(dtype=float)
    nothing = np.empty((*scored.shape, 0))
    found: dict[tuple[int, int], NDArray[np.float64]] = {}
    for (search, seed), names in _measured(trials, condition, arm, metric).items():
        frames = [evaluations(name) for name in names]
        samples = [frame[metric].to_numpy(dtype=float) for frame in frames if metric in frame]
        if len(samples) < len(frames) or len({len(values) for values in (*samples, *found.values())}) > 1:
            return nothing
        found[search, seed] = np.mean(samples, axis=0)
    if not found:
        return nothing
    cube = np.repeat(scores[:, :, None], len(next(iter(found.values()))), axis=2)
    for (search, seed), values in found.items():
        cube[scored.index.get_loc(search), scored.columns.get_loc(seed)] = values
    return np.asarray(cube, dtype=float)


def whole_samples(*cubes: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Samples in which every trial of these arms has a value; none if these are few, or the arms have other samples."""
    if len({cube.shape[2] for cube in cubes}) > 1:
        return np.zeros(0, dtype=bool)
    whole = np.ones(cubes[0].shape[2], dtype=bool)
    for cube in cubes:
        finite = np.isfinite(cube)
        whole &= (finite == finite.any(axis=2, keepdims=True)).all(axis=(0, 1))
    return whole if whole.size and whole.mean() >= _LEAST_WHOLE else np.zeros_like(whole)


def _measured(trials: pd.DataFrame, condition: str, arm: str, metric: str) -> dict[tuple[int, int], list[str]]:
    """Trials whose score was measured, by search seed and training seed."""
    if metric not in trials:
        return {}
    here = trials[(trials["condition"] == condition) & (trials["arm"] == arm) & (trials["phase"] == "confirm")]
    here = here[(here["status"] == "completed") & np.isfinite(here[metric].astype(float))]
    found: dict[tuple[int, int], list[str]] = {}
    for row in here[["search_seed", "seed", "trial_id"]].to_dict("records"):
        found.setdefault((int(row["search_seed"]), int(row["seed"])), []).append(str(row["trial_id"]))
    return found
