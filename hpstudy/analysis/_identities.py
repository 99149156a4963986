"""How far a score or a difference would move with other test identities, and intervals that speak of these too.

Scores of one study share their test identities, so its seeds can't tell what other identities would give. Let i run
over the trained models behind a mean and g over test identities: y_i = μ + a_i + c + d_i, where c is what this set of
identities does to every model alike, and d_i what it does to model i beyond that. Over new seeds *and* new identities

    Var(ȳ) = σ_a²/n + σ_c² + σ_d²/n.

The spread over seeds, S²/n, was measured on one set of identities and holds σ_a²/n + σ_d²/n. The bootstrap over
identities, B, was measured on given models and holds σ_c² + σ_d²/n. **Their sum counts σ_d²/n twice.** That part is
seen a third time, alone, as the spread of the models' bootstrap values around their mean, sample by sample; call it D.
So σ_c² is B − D (cut at zero), and what is added to the seeds' variance is that *shared* part only. With several
searches the same holds with the crossed variance of `estimate` in the place of S²/n, for D too.

The interval is ȳ ± √((t_seeds·error)² + (t_B·shared)²): the half-widths that either part would have alone, added as
squares. In simulations (200 identities, 300 samples, 11 mixtures of a, c and d; `tests/analysis/test_identities.py`
repeats some) it covers 95 % to 98 % at n = 3, 95 % to 97 % at n = 5, 94 % to 96 % at n = 10, and 94 % to 99.8 % with
2 to 5 searches; the seeds' interval, asked for the same, 2 % to 99 %. Satterthwaite's degrees of freedom for the sum of
the variances would cover 94 % to 96 % and be up to a quarter shorter at n = 3, but often shorter than the seeds'
interval itself, which claims less. Without taking D off, it would cover 98 % to 99 % where identities act on each model
in its own way.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from hpstudy.analysis._arms import arm_kinds, conditions
from hpstudy.analysis._components import confirm_scores, difference_of, score_matrix, usable
from hpstudy.analysis._metrics import metric_name
from hpstudy.analysis._replicates import Evaluations, replicate_cube, whole_samples
from hpstudy.analysis._statistics import Estimate, estimate

_LEVEL = 0.95
_SPREAD = ["samples", "seed_error", "identity_error", "shared_error", "low", "high"]


def identity_errors(trials: pd.DataFrame, metric: str, evaluations: Evaluations) -> pd.DataFrame:
    """How well the mean of every arm is known where the test identities are a sample too.

    Args:
        trials: One row a trial.
        metric: Column that the confirm phase measured, larger is better.
        evaluations: Reads a trial's metrics in bootstrap samples of the test identities.

    Returns:
        One row per condition × arm with a confirm score: `condition`, `arm`, `mean`, `samples` (of the bootstrap),
        `seed_error` (standard error from seeds and searches, as in `confirm_summary`), `identity_error` (of the mean of
        these trained models, over identities), `shared_error` (its part that all of them share), `low`, `high` (95 %,
        for new seeds and new identities; of a rate inside [0, 1]). NaN where the record has no samples, the interval
        also with one seed.
    """
    found = confirm_scores(trials, metric)
    is_rate = metric_name(metric).is_rate
    rows = []
    for condition in conditions(trials):
        for arm in arm_kinds(trials):
            scored = score_matrix(found, condition, arm)
            if not scored.size:
                continue
            seen = estimate(usable(scored.to_numpy(dtype=float)))
            cube = replicate_cube(trials, scored, condition, arm, metric, evaluations)
            rows.append((condition, arm, seen.mean, *_row(seen, usable(cube[:, :, whole_samples(cube)]), is_rate)))
    return pd.DataFrame(rows, columns=["condition", "arm", "mean", *_SPREAD])


def identity_intervals(
    comparisons: pd.DataFrame, trials: pd.DataFrame, metric: str, evaluations: Evaluations
) -> pd.DataFrame:
    """How well the difference of two arms is known where the test identities are a sample too.

    Both arms meet the same identities in each sample, so that what identities do to both alike cancels.

    Args:
        comparisons: `paired_comparisons` of these trials.
        trials: One row a trial.
        metric: Column that the confirm phase measured, larger is better.
        evaluations: Reads a trial's metrics in bootstrap samples of the test identities.

    Returns:
        One row per row of `comparisons`, under its index: `condition`, `arm`, `adaptive`, `difference`, `samples`,
        `seed_error`, `identity_error`, `shared_error`, `low`, `high` (95 %, for new seeds and new identities). NaN
        where the record has no samples or the row was not judged.
    """
    found = confirm_scores(trials, metric)
    bounds = (-1.0, 1.0) if metric_name(metric).is_rate else (-np.inf, np.inf)
    cubes: dict[tuple[str, str], tuple[pd.DataFrame, NDArray[np.float64]]] = {}
    rows = []
    for row in comparisons.to_dict("records"):
        condition = str(row["condition"])
        sides = []
        for arm in (str(row["arm"]), str(row["adaptive"])):
            if (condition, arm) not in cubes:
                scored = score_matrix(found, condition, arm)
                cubes[condition, arm] = scored, replicate_cube(trials, scored, condition, arm, metric, evaluations)
            sides.append(cubes[condition, arm])
        (tuned, first), (adaptive, second) = sides
        values = (scored.to_numpy(dtype=float) for scored in (tuned, adaptive))
        seen = estimate(np.empty(0) if row["reason"] else difference_of(tuned, adaptive, *values))
        whole = whole_samples(first, second)
        cube = np.empty((1, 1, 0))
        if whole.any() and not row["reason"]:
            cube = difference_of(tuned, adaptive, first[:, :, whole], second[:, :, whole])
        count, *errors, low, high = _row(seen, cube, is_rate=False)
        ends = np.clip([low, high], *bounds)
        rows.append((condition, row["arm"], row["adaptive"], seen.mean, count, *errors, *map(float, ends)))
    columns = ["condition", "arm", "adaptive", "difference", *_SPREAD]
    return pd.DataFrame(rows, columns=columns, index=comparisons.index)


def _row(seen: Estimate, cube: NDArray[np.float64], is_rate: bool) -> tuple[float, ...]:
    """Values under `_SPREAD` of one mean, from what its seeds say and its bootstrap samples."""
    samples = cube.shape[2]
    if samples < 2 or not cube.size:
        return 0, seen.error, *(float("nan"),) * 4
    variance, shared = identity_variances(cube)
    half = np.hypot(
        stats.t.ppf(0.5 + _LEVEL / 2, seen.freedom) * seen.error if seen.error > 0.0 else np.nan,
        stats.t.ppf(0.5 + _LEVEL / 2, samples - 1) * np.sqrt(shared),
    )
    ends = _of_rate(seen.mean, half) if is_rate else (seen.mean - half, seen.mean + half)
    return samples, seen.error, float(np.sqrt(variance)), float(np.sqrt(shared)), *map(float, ends)


def _of_rate(mean: float, half: float) -> tuple[float, float]:
    """Ends inside [0, 1], as in `Estimate.rate_interval`."""
    odds = mean * (1.0 - mean)
    if not odds > 0.0:
        return float("nan"), float("nan")
    centre = np.log(mean / (1.0 - mean))
    low, high = (1.0 / (1.0 + np.exp(-end)) for end in np.clip([centre - half / odds, centre + half / odds], -700, 700))
    return float(low), float(high)


def identity_variances(cube: NDArray[np.float64]) -> tuple[float, float]:
    """Variance over identities of the mean of given models, and the part of it that all of them share.

    Args:
        cube: Scores in bootstrap samples of the identities, searches × seeds × samples (at least two), all finite.
    """
    variance = float(cube.mean(axis=(0, 1)).var(ddof=1))
    searches, seeds = cube.shape[:2]
    around = cube - cube.mean(axis=2, keepdims=True)
    if searches > 1 and seeds > 1:
        by_search, by_seed = around.mean(axis=1), around.mean(axis=0)
        rest = around - by_search[:, None] - by_seed[None] + around.mean(axis=(0, 1))
        squares = (
            seeds * by_search.var(axis=0, ddof=1)
            + searches * by_seed.var(axis=0, ddof=1)
            - (rest**2).sum(axis=(0, 1)) / ((searches - 1) * (seeds - 1))
        )
    elif searches * seeds > 1:
        squares = around.reshape(searches * seeds, -1).var(axis=0, ddof=1)
    else:
        return variance, variance  # of one model nothing can be told apart
    own = max(float(squares.mean()) / (searches * seeds), 0.0)
    return variance, max(variance - own, 0.0)
