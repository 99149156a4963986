"""Which listed scale scored best, and what the scales that set themselves scored beside it."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from hpstudy.analysis._arms import KEYS
from hpstudy.analysis._statistics import Interval, t_interval
from hpstudy.analysis.audit._scale_audit import LISTED, OWN_SCALE
from hpstudy.analysis.audit._scores import audit_scores

BEST_LISTED = "best listed"
"""Kind of the first row of each condition in `best_scales`."""

_LEVEL = 0.05


def best_scales(audit: pd.DataFrame, trials: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The listed scale with the best mean score, others that are not told from it, and scales that set themselves.

    Which scales are told from the best is Tukey's test of all pairs, with the seeds as blocks (every scale on the same
    seeds), so that it does not matter that the best was picked by its score. In simulations with 6 to 9 scales and 3 or
    5 seeds it calls some truly equal scale worse in 0 % to 6 % of families, in up to 11 % if the best scales vary three
    times less from seed to seed than the others. A scale at which some trial diverged is not tested, as its spread
    would blur all others. Seeds that some scale lacks are left out; with fewer than two left nothing is told apart.

    Args:
        audit: `scale_audit`.
        trials: The record.
        metric: The metric of the audit.

    Returns:
        Per condition with a scored list of scales one row of kind `best listed`, then one for each adaptive arm of the
        audit:

        - `condition`, `kind`, `arm`, `loss`, `num_classes`, `embedding_dim`, `trials`, `diverged`, `s`, `s_low`,
          `s_high`, `ratio_p50` to `ratio_p999`, `implied_posterior`, `implied_log_odds`, `score`, `score_low`,
          `score_high`: as in the audit;
        - of the best: `alike` and `told`, how many other scales are not told from it and how many are (NaN if nothing
          could be tested), and `untested`, how many are left out; `alike_low` and `alike_high`, the smallest and
          largest s not told from it, itself included; `edge`, `lowest` or `highest` if it is at that end of the list;
        - of the others: `difference`, `difference_low`, `difference_high`, their score minus the best one's on the same
          seeds with Student's 95 % interval, which the picking of the best makes pessimistic for them.
    """
    counted = trials[trials["status"].isin(["completed", "diverged"])].reset_index(drop=True)
    counted = counted.assign(score=audit_scores(counted, metric))
    rows: list[dict[str, Any]] = []
    for condition, here in audit.groupby("condition", sort=False):
        listed = here[(here["kind"] == LISTED) & here["score"].notna()].reset_index(drop=True)
        if len(listed) < 2:
            continue
        of_condition = counted[counted["condition"] == condition]
        by_seed = pd.DataFrame({i: _by_seed(of_condition, row) for i, row in enumerate(listed.to_dict("records"))})
        best = int(np.argmax(listed["score"]))
        steady = np.flatnonzero(listed["diverged"] == 0)
        alike = _alike(by_seed[steady], best) if best in steady else None
        scales = listed["s"][[best] if alike is None else [best, *alike]]
        ends = {float(listed["s"].min()): "lowest", float(listed["s"].max()): "highest"}
        rows.append(
            _common(listed.iloc[best].to_dict())
            | {
                "kind": BEST_LISTED,
                "alike": np.nan if alike is None else float(len(alike)),
                "told": np.nan if alike is None else float(len(steady) - 1 - len(alike)),
                "untested": np.nan if alike is None else float(len(listed) - len(steady)),
                "alike_low": np.nan if alike is None else float(scales.min()),
                "alike_high": np.nan if alike is None else float(scales.max()),
                "edge": ends.get(float(listed["s"][best]), ""),
            }
        )
        for row in here[here["kind"] == OWN_SCALE].to_dict("records"):
            apart = _difference(_by_seed(of_condition, row), by_seed[best])
            differences = {"difference": apart.mean, "difference_low": apart.low, "difference_high": apart.high}
            rows.append(_common(row) | {"edge": ""} | differences)
    return pd.DataFrame(rows, columns=None if rows else [*KEYS, "kind", "s"])


def _common(row: Mapping[Any, Any]) -> dict[str, Any]:
    names = (
        "condition", "kind", "arm", "loss", "num_classes", "embedding_dim", "trials", "diverged", "s", "s_low",
        "s_high", "ratio_p50", "ratio_p90", "ratio_p99", "ratio_p999", "implied_posterior",
        "implied_log_odds", "score", "score_low", "score_high",
    )  # fmt: skip
    return {name: row[name] for name in names}


def _by_seed(trials: pd.DataFrame, row: Mapping[Any, Any]) -> pd.Series:
    """Scores of a row of the audit by training seed."""
    own = trials[trials["arm"] == row["arm"]]
    if row["kind"] == LISTED:
        own = own[(own["s"] == row["s"]) & (own["phase"] == "grid")]
    return own.groupby("seed")["score"].mean()


def _difference(first: pd.Series, second: pd.Series) -> Interval:
    return t_interval((first - second).dropna())


def _alike(by_seed: pd.DataFrame, best: int) -> list[int] | None:
    """Columns that Tukey's test with seeds as blocks does not tell from the best; None if it has too few seeds."""
    scores_ = by_seed.dropna().to_numpy(dtype=float)
    seeds, scales = scores_.shape
    if seeds < 2 or scales < 2:
        return None
    rest = scores_ - scores_.mean(axis=0) - scores_.mean(axis=1, keepdims=True) + scores_.mean()
    freedom = (scales - 1) * (seeds - 1)
    error = float(np.sqrt((rest**2).sum() / freedom / seeds))
    least = _tukey(scales, freedom) * error
    means: NDArray[np.float64] = scores_.mean(axis=0)
    places = [int(place) for place in by_seed.columns]
    behind = means[places.index(best)] - means
    return [place for place, lack in zip(places, behind, strict=True) if place != best and lack <= least]


@lru_cache
def _tukey(groups: int, freedom: int) -> float:
    return float(stats.studentized_range.ppf(1 - _LEVEL, groups, freedom))
