"""What the confirm phase says: every arm with its interval, and tuned arms against adaptive scales."""

import numpy as np
import pandas as pd

from hpstudy.analysis._arms import KEYS, TUNED, arm_kinds, conditions
from hpstudy.analysis._metrics import scores
from hpstudy.analysis._statistics import PairedTest, holm, paired_test, t_interval
from hpstudy.analysis._words import points_text

BETTER, WORSE, EQUIVALENT, NOT_SHOWN = "better", "worse", "equivalent", "not shown"
"""What a comparison allows to be said of the tuned arm."""

DIVERGED, NOT_COMPARED = "diverged", "not compared"
"""Why nothing can be said: a side diverged at every confirm seed, or has no confirm score at all."""

_LEVEL = 0.05


def confirm_by_seed(trials: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Confirm score per condition, arm and training seed: columns `condition`, `arm`, `seed`, `score`.

    Diverged trials count at chance. An arm with several searches has one chosen point each; their scores at the same
    training seed are averaged, so that the training seed stays the unit that is paired and counted.
    """
    confirm = trials[trials["phase"] == "confirm"]
    confirm = confirm.assign(score=scores(confirm, metric)).dropna(subset=["score"])
    return confirm.groupby([*KEYS, "seed"], sort=True)["score"].mean().reset_index()


def confirm_summary(trials: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Every arm in every condition: what its chosen point scores on fresh seeds.

    Args:
        trials: One row a trial.
        metric: Column that the confirm phase measured, larger is better, e.g. `test/tar_at_far_1e-3`.

    Returns:
        One row per condition × arm. `n` training seeds, `mean`, `std`, `low`, `high` (95 % Student t) of `metric`; the
        chosen `s` and `m` (median over the searches, NaN where there is none); `search_best`, the optimistic best value
        that the searches saw, and `search_best_low`, the least best value of one search, beside `confirm_objective`,
        what the chosen points score on that objective with fresh seeds; `searches`; `point`, the chosen point as text,
        with every searched value; `diverged` and `failed` trials of the confirm phase; `always_diverged`.
    """
    by_seed = confirm_by_seed(trials, metric)
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
            mine = (by_seed["condition"] == condition) & (by_seed["arm"] == arm)
            interval = t_interval(by_seed.loc[mine, "score"].to_numpy())
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


def _word(test: PairedTest, p_holm: float, n: int, reason: str) -> str:
    if reason:
        return DIVERGED if n else NOT_COMPARED
    if test.equivalence_p < _LEVEL:
        return EQUIVALENT
    if p_holm < _LEVEL:
        return BETTER if test.interval.mean > 0 else WORSE
    return NOT_SHOWN


def paired_comparisons(trials: pd.DataFrame, metric: str, equivalence_margin: float) -> pd.DataFrame:
    """Every tuned arm against every adaptive arm, in every condition, paired by training seed.

    The difference is tuned minus adaptive. Its p value is Holm-adjusted over all rows of the table; equivalence (TOST)
    is judged row by row. The words follow from the tests: `equivalent` if the 90 % interval lies inside ±margin, else
    `better` or `worse` if the adjusted p is below 0.05, else `not shown`. With one pair nothing is tested and the word
    is `not shown`. Where a side diverged at every seed the word is `diverged`, and where there is no pair at all it is
    `not compared`; neither has a difference, and `reason` says why.

    Args:
        trials: One row a trial.
        metric: Column that the confirm phase measured, larger is better.
        equivalence_margin: δ of the study file, in the metric's own unit.

    Returns:
        One row per condition × tuned arm × adaptive arm: `condition`, `arm`, `adaptive`, `n`, `difference`, `std`,
        `low`, `high` (95 %), `p`, `p_holm`, `equivalence_p`, `equivalence_low`, `equivalence_high` (90 %), `wins`
        (pairs in which the tuned arm scored higher), `word`, `reason` (empty where the difference was judged).
    """
    by_seed = confirm_by_seed(trials, metric)
    kinds = arm_kinds(trials)
    dead = _always_diverged(trials)
    rows, tests = [], []
    for condition in conditions(trials):
        here = by_seed[by_seed["condition"] == condition].pivot(index="seed", columns="arm", values="score")
        present = set(trials.loc[trials["condition"] == condition, "arm"])
        for arm in (arm for arm, kind in kinds.items() if kind in TUNED and arm in present):
            for adaptive in (other for other, kind in kinds.items() if kind == "adaptive" and other in present):
                pair = here.reindex(columns=[arm, adaptive]).dropna()
                differences = (pair[arm] - pair[adaptive]).to_numpy(dtype=float)
                lost = [side for side in (arm, adaptive) if (condition, side) in dead]
                if not differences.size:
                    reason = _missing(trials[trials["condition"] == condition], here, (arm, adaptive))
                else:
                    # Chance stands in for a score, and constants that stand in are not evidence of anything.
                    reason = f"{'both' if len(lost) == 2 else lost[0]} diverged at every confirm seed" if lost else ""
                test = paired_test(differences[:0] if reason else differences, equivalence_margin)
                tests.append(test)
                rows.append(
                    {
                        "condition": condition,
                        "arm": arm,
                        "adaptive": adaptive,
                        "n": differences.size,
                        "difference": test.interval.mean,
                        "std": test.interval.std,
                        "low": test.interval.low,
                        "high": test.interval.high,
                        "p": test.p,
                        "equivalence_p": test.equivalence_p,
                        "equivalence_low": test.equivalence_low,
                        "equivalence_high": test.equivalence_high,
                        "wins": 0 if reason else int((differences > 0).sum()),
                        "reason": reason,
                    }
                )
    frame = pd.DataFrame(rows, columns=_COLUMNS)
    frame["p_holm"] = holm([test.p for test in tests])
    judged = zip(tests, frame["p_holm"].to_list(), frame["n"].to_list(), frame["reason"].to_list(), strict=True)
    frame["word"] = [_word(*row) for row in judged]
    return frame


_COLUMNS = [
    "condition", "arm", "adaptive", "n", "difference", "std", "low", "high", "p",
    "equivalence_p", "equivalence_low", "equivalence_high", "wins", "reason",
]  # fmt: skip


def _missing(trials: pd.DataFrame, by_seed: pd.DataFrame, arms: tuple[str, str]) -> str:
    """Why two arms of a condition have no pair of confirm scores."""
    for arm in arms:
        if arm in by_seed and by_seed[arm].notna().any():
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
