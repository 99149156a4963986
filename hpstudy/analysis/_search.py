"""How a search went, and what it found."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from hpstudy.analysis._arms import KEYS, arm_kinds, conditions, margin_unit
from hpstudy.spec import is_cost


def search_curve(trials: pd.DataFrame) -> pd.DataFrame:
    """Best value so far against trials and epochs spent, for each condition, arm and search seed.

    Only completed trials can be the best; pruned, diverged and failed ones spend budget and change nothing.

    Returns:
        `condition`, `arm`, `search_seed`, `trial` (1, 2, … in the order asked), `epochs` (spent up to and including
        this trial), `hours` (compute, likewise; GPU-hours where a GPU worked, else CPU-hours), `status`, `objective`,
        `best` (NaN until a trial completed).
    """
    search = trials[trials["phase"].isin(["search", "grid"])].sort_values([*KEYS, "search_seed", "number"])
    curve = search[[*KEYS, "search_seed", "status", "objective"]].copy()
    groups = [curve[key] for key in (*KEYS, "search_seed")]
    curve["trial"] = curve.groupby([*KEYS, "search_seed"]).cumcount() + 1
    curve["epochs"] = search["epochs"].groupby(groups).cumsum()
    curve["hours"] = (compute_seconds(search) / 3600).groupby(groups).cumsum()
    completed = curve["objective"].where(curve["status"] == "completed", -np.inf)
    curve["best"] = completed.groupby(groups).cummax().replace(-np.inf, np.nan)
    return curve.reset_index(drop=True)


def compute_seconds(trials: pd.DataFrame) -> pd.Series:
    """GPU-seconds of each trial that used a GPU, CPU-seconds of the others."""
    zero = pd.Series(0.0, index=trials.index)
    gpu = trials["cost/gpu_s"].fillna(0.0) if "cost/gpu_s" in trials else zero
    cpu = trials["cost/cpu_s"].fillna(0.0) if "cost/cpu_s" in trials else zero
    return gpu.where(gpu > 0, cpu).astype(float)


def search_points(trials: pd.DataFrame, objectives: Sequence[str] = ()) -> pd.DataFrame:
    """The points that searches and grids tried, with their value and whether they were chosen.

    Args:
        trials: The record.
        objectives: Objectives of the search, the primary one first; those after it decide among equals.

    Returns:
        Trials of the search and grid phases with a column `chosen`: the best completed one of each condition, arm and
        search seed.
    """
    search = trials[trials["phase"].isin(["search", "grid"])]
    completed = search[(search["status"] == "completed") & search["objective"].notna()]
    further = [name for name in objectives[1:] if name in completed]
    ranked = completed.sort_values(
        ["objective", *further, "number"], ascending=[False, *(is_cost(name) for name in further), True], kind="stable"
    )
    best = ranked.groupby([*KEYS, "search_seed"]).head(1).index
    return search.assign(chosen=search.index.isin(best))


def settings_table(trials: pd.DataFrame) -> pd.DataFrame:
    """What each arm was, in every condition, and the point it was confirmed with.

    Returns:
        One row per condition × arm × search seed: `condition`, `arm`, `kind`, `loss`, `search_seed`, `s`, `m`, `m_unit`
        and every other searched value as `param/<name>` (NaN where it does not apply). Without a confirm phase, the
        best point of the search stands in; `confirmed` says which.
    """
    kinds = arm_kinds(trials)
    points = search_points(trials)
    parameters = [
        str(name) for name in trials.columns if str(name).startswith("param/") and name not in ("param/s", "param/m")
    ]
    rows = []
    for (condition, arm, seed), of_lane in trials.groupby([*KEYS, "search_seed"], sort=False):
        confirm = of_lane[of_lane["phase"] == "confirm"]
        source = confirm if len(confirm) else points[points["chosen"] & points.index.isin(of_lane.index)]
        point: dict[str, object] = {str(k): v for k, v in source.iloc[0].items()} if len(source) else {}
        loss = str(of_lane["loss"].iloc[0])
        rows.append(
            {
                "condition": condition,
                "arm": arm,
                "kind": kinds[str(arm)],
                "loss": loss,
                "search_seed": seed,
                "confirmed": bool(len(confirm)),
                **{name: point.get(name, np.nan) for name in ("s", "m")},
                "m_unit": margin_unit(loss),
                **{name: point.get(name, np.nan) for name in parameters},
            }
        )
    frame = pd.DataFrame(rows)
    ranks = {
        "condition": {name: rank for rank, name in enumerate(conditions(trials))},
        "arm": {name: rank for rank, name in enumerate(kinds)},
    }
    by = ["condition", "arm", "search_seed"]
    return frame.sort_values(
        by, key=lambda key: key.map(ranks[str(key.name)]) if key.name in ranks else key
    ).reset_index(drop=True)
