"""What networks scored over the margins that were listed."""

import numpy as np
import pandas as pd

from hpstudy.analysis._arms import KEYS
from hpstudy.analysis._metrics import MetricName
from hpstudy.analysis._statistics import t_interval
from hpstudy.analysis._words import counted
from hpstudy.analysis.audit._margin_drop import isotonic_curve
from hpstudy.analysis.audit._scores import audit_scores

_COLUMNS = [
    *KEYS, "num_classes", "embedding_dim", "s", "m", "unit", "trials", "diverged", "satisfied", "fit", "accuracy",
    "scored", "score", "score_low", "score_high",
]  # fmt: skip


def margin_scores(trials: pd.DataFrame, points: pd.DataFrame, metric: str) -> pd.DataFrame:
    """What each listed margin scored, beside how many training samples met it.

    Args:
        trials: The record.
        points: `margin_points` of the lists to tell of.
        metric: Column of the score.

    Returns:
        One row per condition, arm and m in which some trial was scored: `condition`, `arm`, `num_classes`,
        `embedding_dim`, `s`, `m`, `unit`; `trials` (completed and diverged), `diverged`; `satisfied`, mean fraction of
        the training samples that meet m, and `fit`, its isotonic fit (NaN beyond the fall); `accuracy`, mean share of
        samples nearest to their own prototype; `scored`, `score`, `score_low`, `score_high`: seeds, mean and Student's
        95 % interval, diverged trials at chance.
    """
    counted_ones = trials[trials["status"].isin(["completed", "diverged"])]
    judged = counted_ones.assign(score=audit_scores(counted_ones, metric))
    rows = []
    for _, group in points.groupby([*KEYS, "s"], sort=False, dropna=False):
        condition, arm, s = group["condition"].iloc[0], group["arm"].iloc[0], float(group["s"].iloc[0])
        fit = dict(zip(*isotonic_curve(group["m"], group["satisfied"]), strict=True))
        here = judged[(judged["condition"] == condition) & (judged["arm"] == arm)]
        here = here[here["s"].isna() if np.isnan(s) else here["s"] == s]
        for m, met in group.groupby("m", sort=True):
            of_m = here[here["m"] == m]
            score = t_interval(of_m.groupby("seed")["score"].mean())
            rows.append(
                {
                    **met.iloc[0][["condition", "arm", "num_classes", "embedding_dim", "s", "m", "unit"]].to_dict(),
                    "trials": len(of_m), "diverged": int((of_m["status"] == "diverged").sum()),
                    "satisfied": met["satisfied"].mean(), "fit": fit.get(m, np.nan), "accuracy": met["accuracy"].mean(),
                    "scored": score.n, "score": score.mean, "score_low": score.low, "score_high": score.high,
                }
            )  # fmt: skip
    found = pd.DataFrame(rows, columns=_COLUMNS)
    return found[found["score"].notna()].reset_index(drop=True)


def margin_score_findings(found: pd.DataFrame, name: MetricName) -> list[str]:
    """Where the best margin lies to the fall, in plain sentences.

    Args:
        found: `margin_scores`.
        name: The metric of the scores.
    """
    several = found[found.groupby(KEYS)["m"].transform("nunique") > 1]
    if several.empty:
        return []
    best = several.loc[several.groupby(KEYS, sort=False)["score"].idxmax()]
    last = several.loc[several.groupby(KEYS, sort=False)["m"].idxmax()]
    lists = counted(len(best), "list")
    met = 100 * best["satisfied"]
    share = f"{met.min():.0f} to {met.max():.0f} %" if len(best) > 1 else f"{met.iloc[0]:.0f} %"
    drop = (last["score"].to_numpy() - best["score"].to_numpy()) * name.factor
    loss = f"{-drop.max():.1f} to {-drop.min():.1f}" if len(best) > 1 else f"{-drop[0]:.1f}"
    unit = f" {name.difference_unit}" if name.difference_unit else ""
    return [
        f"The best mean {name.title} of {lists} is at a margin that {share} of the training samples meet; the largest "
        f"margin scores {loss}{unit} less. Each was picked by these same scores, and margins beside it are rarely told "
        "from it."
    ]
