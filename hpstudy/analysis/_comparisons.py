"""What the confirm phase says: every arm with its interval, and tuned arms against adaptive scales."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hpstudy.analysis._arms import KEYS, TUNED, arm_kinds, conditions
from hpstudy.analysis._components import confirm_scores, difference_matrix, score_matrix, usable
from hpstudy.analysis._metrics import metric_name
from hpstudy.analysis._power import detectable_shift
from hpstudy.analysis._rates import cliffs_delta, improvement
from hpstudy.analysis._statistics import estimate, holm, paired_test
from hpstudy.analysis._words import points_text

BETTER, WORSE, EQUIVALENT, NOT_SHOWN = "better", "worse", "equivalent", "not shown"
"""What a comparison allows to be said of the tuned arm."""

DIVERGED, NOT_COMPARED = "diverged", "not compared"
"""Why nothing can be said: a side diverged at every confirm seed, or has no confirm score at all."""

_LEVEL = 0.05


def confirm_by_seed(trials: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Confirm score per condition, arm and training seed: columns `condition`, `arm`, `seed`, `score`.

    `confirm_scores`, averaged over the searches of an arm.
    """
    found = confirm_scores(trials, metric)
    return found.groupby([*KEYS, "seed"], sort=True)["score"].mean().reset_index()


def confirm_summary(trials: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Every arm in every condition: what its chosen point scores on fresh seeds.

    Args:
        trials: One row a trial.
        metric: Column that the confirm phase measured, larger is better, e.g. `test/tar_at_far_1e-3`.

    Returns:
        One row per condition × arm. `n` training seeds, `mean`, `std` (over the seeds), `low`, `high` (95 %; of a rate
        inside [0, 1], and with several searches for searches and seeds both, see `estimate`) of `metric`; the chosen
        `s` and `m` (median over the searches, NaN where there is none); `search_best`, the optimistic best value that
        the searches saw, and `search_best_low`, the least best value of one search, beside `confirm_objective`, what
        the chosen points score on that objective with fresh seeds; `searches`; `point`, the chosen point as text,
        with every searched value; `diverged` and `failed` trials of the confirm phase; `always_diverged`.
    """
    found = confirm_scores(trials, metric)
    is_rate = metric_name(metric).is_rate
    kinds = arm_kinds(trials)
    dead = _always_diverged(trials)
    others = [c for c in trials if str(c).startswith("param/") and c not in ("param/s", "param/m")]
    rows = []
    for condition in conditions(trials):
        for arm, kind in kinds.items():
            of_arm = trials[(trials["condition"] == condition) & (trials["arm"] == arm)]
            if of_arm.empty:
                continue
            confirm = of_arm[of_arm["phase"] == "confirm"]
            search = of_arm[of_arm["phase"].isin(["search", "grid"])]
            finished = search[search["status"] == "completed"]
            bests = finished.groupby("search_seed")["objective"].max()
            seen = estimate(usable(score_matrix(found, condition, arm).to_numpy(dtype=float)))
            interval = seen.rate_interval() if is_rate else seen.interval()
            rows.append(
                {
                    "condition": condition,
                    "arm": arm,
                    "kind": kind,
                    "loss": of_arm["loss"].iloc[0],
                    "n": interval.n,
                    "mean": interval.mean,
                    "std": interval.std,
                    "low": interval.low,
                    "high": interval.high,
                    "s": _median(confirm, "s"),
                    "m": _median(confirm, "m"),
                    "point": points_text(
                        confirm.drop_duplicates("search_seed")[["s", "m", *others]], str(of_arm["loss"].iloc[0])
                    ),
                    "search_best": bests.max() if len(bests) else np.nan,
                    "search_best_low": bests.min() if len(bests) else np.nan,
                    "confirm_objective": confirm.loc[confirm["status"] != "failed", "objective"].mean(),
                    "searches": search["search_seed"].nunique(),
                    "diverged": int((confirm["status"] == "diverged").sum()),
                    "failed": int((confirm["status"] == "failed").sum()),
                    "always_diverged": (condition, arm) in dead,
                }
            )
    return pd.DataFrame(rows)


def _median(frame: pd.DataFrame, column: str) -> float:
    values = frame[column].dropna()
    return float(values.median()) if len(values) else float("nan")


def paired_comparisons(trials: pd.DataFrame, metric: str, equivalence_margin: float) -> pd.DataFrame:
    """Every tuned arm against every adaptive arm, in every condition, paired by training seed.

    The difference is tuned minus adaptive. Its p value is Holm-adjusted over all rows of the table, and so, as a family
    of its own, is that of equivalence (TOST): judged row by row, eight arms that are just δ away would be called
    equivalent somewhere in 28 % of studies. The words follow from the tests: `equivalent` if the adjusted p of
    equivalence is below 0.05, else `better` or `worse` if the adjusted p is below 0.05 and, with pairs enough for it to
    tell (2^(1−n) times the number of rows tested is at most 0.005), the adjusted permutation p too, else `not shown`.
    With one pair nothing is tested and the word is `not shown`. Where a side diverged at every seed the word is
    `diverged`, and where there is no pair at all it is `not compared`; neither has a difference, and `reason` says why.

    With several searches `low`, `high`, `p` and the equivalence take searches and training seeds as random, and a
    search without a survivor counts at chance (`confirm_scores`). With one search they are given the point that it
    chose. `given_low` and `given_high`, the permutation test and BCa are always given the searches. Why Student's p
    is the first one, and what each is worth, is told in `hpstudy.analysis._statistics`.

    Args:
        trials: One row a trial.
        metric: Column that the confirm phase measured, larger is better.
        equivalence_margin: δ of the study file, in the metric's own unit.

    Returns:
        One row per condition × tuned arm × adaptive arm: `condition`, `arm`, `adaptive`, `searches` (that the interval
        speaks for; 1 where it is given the search), `n` (training seeds), `difference`, `std` (over the seeds), `low`,
        `high` (95 %), `given_low`, `given_high` (95 %), `p`, `p_holm`, `equivalence_p`, `equivalence_p_holm`,
        `equivalence_low`, `equivalence_high` (90 %), `p_permutation`, `p_permutation_holm`, `permutation_low`,
        `permutation_high`, `bca_low`, `bca_high` (95 %), `wins` (seeds at which the tuned arm scored higher),
        `improvement`, `improvement_low`, `improvement_high` (probability that it does, 95 % Clopper–Pearson on pairs),
        `cliffs_delta`, `detectable` (smallest true difference found four times in five at Holm's strictest level, for
        this spread; infinite where the metric cannot differ by so much), `word`, `reason` (empty where the difference
        was judged).
    """
    found = confirm_scores(trials, metric)
    bounds = (-1.0, 1.0) if metric_name(metric).is_rate else (-np.inf, np.inf)
    kinds = arm_kinds(trials)
    dead = _always_diverged(trials)
    rows: list[dict[str, object]] = []
    for condition in conditions(trials):
        present = set(trials.loc[trials["condition"] == condition, "arm"])
        matrices = {arm: score_matrix(found, condition, arm) for arm in present}
        for arm in (arm for arm, kind in kinds.items() if kind in TUNED and arm in present):
            for adaptive in (other for other, kind in kinds.items() if kind == "adaptive" and other in present):
                differences = difference_matrix(matrices[arm], matrices[adaptive])
                lost = [side for side in (arm, adaptive) if (condition, side) in dead]
                if not differences.size:
                    reason = _missing(trials[trials["condition"] == condition], matrices, (arm, adaptive))
                else:
                    # Chance stands in for a score, and constants that stand in are not evidence of anything.
                    reason = f"{'both' if len(lost) == 2 else lost[0]} diverged at every confirm seed" if lost else ""
                judged = differences[:, :0] if reason else differences
                rows.append(
                    {"condition": condition, "arm": arm, "adaptive": adaptive, "n": differences.shape[1]}
                    | _tested(judged, equivalence_margin, bounds)
                    | {
                        "cliffs_delta": np.nan
                        if reason
                        else cliffs_delta(*(_finite(matrices[side]) for side in (arm, adaptive))),
                        "reason": reason,
                    }
                )
    frame = pd.DataFrame(rows, columns=_COLUMNS)
    for p in ("p", "p_permutation", "equivalence_p"):
        frame[f"{p}_holm"] = holm(frame[p].to_list())
    tested = int(frame["p"].notna().sum())
    detectable = pd.Series(
        [
            detectable_shift(freedom, level=_LEVEL / tested) * error if error > 0.0 else np.nan
            for freedom, error in zip(frame.pop("freedom"), frame.pop("error"), strict=True)
        ],
        dtype=float,
    )
    frame["detectable"] = detectable.mask(detectable > bounds[1], np.inf)
    frame["word"] = [word_of(row, tested) for row in frame.to_dict("records")]
    return frame


_COLUMNS = [
    "condition", "arm", "adaptive", "searches", "n", "difference", "std", "low", "high", "given_low", "given_high", "p",
    "p_holm", "equivalence_p", "equivalence_p_holm", "equivalence_low", "equivalence_high", "p_permutation",
    "p_permutation_holm",
    "permutation_low", "permutation_high", "bca_low", "bca_high", "wins", "improvement", "improvement_low",
    "improvement_high", "cliffs_delta", "detectable", "word", "reason", "error", "freedom",
]  # fmt: skip


def _tested(differences: NDArray[np.float64], margin: float, bounds: tuple[float, float]) -> dict[str, object]:
    """Every test and interval of one row; the intervals end where the metric does."""
    test = paired_test(differences, margin)
    by_seed = differences.mean(axis=0) if differences.size else np.empty(0)
    given = estimate(by_seed).interval()
    intervals = {
        "": (test.interval.low, test.interval.high),
        "given_": (given.low, given.high),
        "equivalence_": (test.equivalence_low, test.equivalence_high),
        "permutation_": test.permutation,
        "bca_": test.bca,
    }
    ends: dict[str, object] = {
        f"{name}{side}": float(np.clip(end, *bounds))
        for name, pair in intervals.items()
        for side, end in zip(("low", "high"), pair, strict=True)
    }
    return ends | {
        "searches": test.estimate.searches,
        "difference": test.estimate.mean,
        "std": test.estimate.std,
        "error": test.estimate.error,
        "freedom": test.estimate.freedom,
        "p": test.p,
        "equivalence_p": test.equivalence_p,
        "p_permutation": test.p_permutation,
        "wins": int((by_seed > 0).sum()),
        **dict(zip(("improvement", "improvement_low", "improvement_high"), improvement(differences), strict=True)),
    }


def word_of(row: Mapping[Any, Any], tested: int) -> str:
    """What the tests of one row allow to be said, where `tested` rows were Holm-adjusted (see `paired_comparisons`)."""
    if row["reason"]:
        return DIVERGED if row["n"] else NOT_COMPARED
    if row["equivalence_p_holm"] < _LEVEL:
        return EQUIVALENT
    enough = 2.0 ** (1 - row["n"]) * tested <= _LEVEL / 10
    if row["p_holm"] < _LEVEL and (row["p_permutation_holm"] < _LEVEL or not enough):
        return BETTER if row["difference"] > 0 else WORSE
    return NOT_SHOWN


def _finite(scores: pd.DataFrame) -> NDArray[np.float64]:
    values = scores.to_numpy(dtype=float)
    return np.asarray(values[np.isfinite(values)], dtype=float)


def _missing(trials: pd.DataFrame, scored: Mapping[str, pd.DataFrame], arms: tuple[str, str]) -> str:
    """Why two arms of a condition have no pair of confirm scores."""
    for arm in arms:
        if scored[arm].size:
            continue
        of_arm = trials[trials["arm"] == arm]
        confirm, search = of_arm[of_arm["phase"] == "confirm"], of_arm[of_arm["phase"] != "confirm"]
        if len(confirm) and (confirm["status"] == "failed").all():
            return f"every confirm trial of {arm} failed"
        if confirm.empty and len(search) and (search["status"] == "diverged").all():
            return f"every search trial of {arm} diverged"
        return f"{arm} has no confirm score"
    return f"{arms[0]} and {arms[1]} share no confirm seed"


def _always_diverged(trials: pd.DataFrame) -> set[tuple[str, str]]:
    """(condition, arm) pairs whose confirm trials all diverged."""
    confirm = trials[(trials["phase"] == "confirm") & (trials["status"] != "failed")]
    if confirm.empty:
        return set()
    groups = confirm.groupby(KEYS)["status"].agg(lambda statuses: bool((statuses == "diverged").all()))
    return {(str(row["condition"]), str(row["arm"])) for row in groups[groups].reset_index().to_dict("records")}
