"""What the confirm phase says: every arm with its interval, and tuned arms against adaptive scales."""

import numpy as np
import pandas as pd

from hpstudy.analysis._arms import KEYS, TUNED, arm_kinds, conditions
from hpstudy.analysis._metrics import scores
from hpstudy.analysis._statistics import PairedTest, holm, paired_test, t_interval

BETTER, WORSE, EQUIVALENT, NOT_SHOWN = "better", "worse", "equivalent", "not shown"
"""What a comparison allows to be said of the tuned arm."""

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
        that the search saw, beside `confirm_objective`, what the same point scores on that objective with fresh seeds;
        `searches`; `diverged` and `failed` trials of the confirm phase.
    """
    by_seed = confirm_by_seed(trials, metric)
    kinds = arm_kinds(trials)
    rows = []
    for condition in conditions(trials):
        for arm, kind in kinds.items():
            of_arm = trials[(trials["condition"] == condition) & (trials["arm"] == arm)]
            if of_arm.empty:
                continue
            confirm = of_arm[of_arm["phase"] == "confirm"]
            search = of_arm[of_arm["phase"].isin(["search", "grid"])]
            finished = search[search["status"] == "completed"]
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
                    "search_best": finished["objective"].max() if len(finished) else np.nan,
                    "confirm_objective": confirm.loc[confirm["status"] != "failed", "objective"].mean(),
                    "searches": search["search_seed"].nunique(),
                    "diverged": int((confirm["status"] == "diverged").sum()),
                    "failed": int((confirm["status"] == "failed").sum()),
                }
            )
    return pd.DataFrame(rows)


def _median(frame: pd.DataFrame, column: str) -> float:
    values = frame[column].dropna()
    return float(values.median()) if len(values) else float("nan")


def _word(test: PairedTest, p_holm: float) -> str:
    if test.equivalence_p < _LEVEL:
        return EQUIVALENT
    if p_holm < _LEVEL:
        return BETTER if test.interval.mean > 0 else WORSE
    return NOT_SHOWN


def paired_comparisons(trials: pd.DataFrame, metric: str, equivalence_margin: float) -> pd.DataFrame:
    """Every tuned arm against every adaptive arm, in every condition, paired by training seed.

    The difference is tuned minus adaptive. Its p value is Holm-adjusted over all rows of the table; equivalence (TOST)
    is judged row by row. The words follow from the tests: `equivalent` if the 90 % interval lies inside ±margin, else
    `better` or `worse` if the adjusted p is below 0.05, else `not shown`. With fewer than two pairs, or where both
    arms diverged at every seed, nothing is tested and the word is `not shown`.

    Args:
        trials: One row a trial.
        metric: Column that the confirm phase measured, larger is better.
        equivalence_margin: δ of the study file, in the metric's own unit.

    Returns:
        One row per condition × tuned arm × adaptive arm: `condition`, `arm`, `adaptive`, `n`, `difference`, `std`,
        `low`, `high` (95 %), `p`, `p_holm`, `equivalence_p`, `equivalence_low`, `equivalence_high` (90 %), `wins`
        (pairs in which the tuned arm scored higher), `word`.
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
                # Two arms at chance throughout agree exactly, and that is not evidence of anything.
                collapsed = {(condition, arm), (condition, adaptive)} <= dead
                test = paired_test(differences[:1] if collapsed else differences, equivalence_margin)
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
                        "wins": int((differences > 0).sum()),
                    }
                )
    frame = pd.DataFrame(rows, columns=_COLUMNS[:-2])
    frame["p_holm"] = holm([test.p for test in tests])
    frame["word"] = [_word(test, p) for test, p in zip(tests, frame["p_holm"].to_list(), strict=True)]
    return frame


_COLUMNS = [
    "condition", "arm", "adaptive", "n", "difference", "std", "low", "high", "p",
    "equivalence_p", "equivalence_low", "equivalence_high", "wins", "p_holm", "word",
]  # fmt: skip


def _always_diverged(trials: pd.DataFrame) -> set[tuple[str, str]]:
    """(condition, arm) pairs whose confirm trials all diverged."""
    confirm = trials[(trials["phase"] == "confirm") & (trials["status"] != "failed")]
    if confirm.empty:
        return set()
    groups = confirm.groupby(KEYS)["status"].agg(lambda statuses: bool((statuses == "diverged").all()))
    return {(str(row["condition"]), str(row["arm"])) for row in groups[groups].reset_index().to_dict("records")}
