"""What a study spent, and what diverged."""

import pandas as pd

from hpstudy.analysis._arms import KEYS, arm_kinds, conditions

_STATUSES = ("completed", "pruned", "diverged", "failed")
_SPENT = {"wall_hours": "cost/wall_s", "cpu_hours": "cost/cpu_s", "gpu_hours": "cost/gpu_s"}


def cost_table(trials: pd.DataFrame) -> pd.DataFrame:
    """Trials and cost per condition, arm and phase.

    Returns:
        `condition`, `arm`, `kind`, `phase` (`search` holds grids too, or `confirm`), `trials`, one count per status,
        `epochs`, `wall_hours`, `cpu_hours`, `gpu_hours`, `peak_memory_mb` (the largest of one trial).
    """
    kinds = arm_kinds(trials)
    phase = trials["phase"].replace("grid", "search")
    rows = []
    for condition in conditions(trials):
        for arm, kind in kinds.items():
            for stage in ("search", "confirm"):
                group = trials[(trials["condition"] == condition) & (trials["arm"] == arm) & (phase == stage)]
                if group.empty:
                    continue
                memory = group["cost/peak_memory_mb"].max() if "cost/peak_memory_mb" in group else float("nan")
                rows.append(
                    {
                        "condition": condition,
                        "arm": arm,
                        "kind": kind,
                        "phase": stage,
                        "trials": len(group),
                        **{status: int((group["status"] == status).sum()) for status in _STATUSES},
                        "epochs": int(group["epochs"].sum()),
                        **{name: _hours(group, column) for name, column in _SPENT.items()},
                        "peak_memory_mb": float(memory),
                    }
                )
    return pd.DataFrame(rows)


def _hours(trials: pd.DataFrame, column: str) -> float:
    return float(trials[column].sum()) / 3600 if column in trials else 0.0


def divergences(trials: pd.DataFrame) -> pd.DataFrame:
    """Trials that diverged: `trial_id`, `condition`, `arm`, `phase`, `s`, `m`, `diverged_step`, `cause`."""
    columns = ["trial_id", *KEYS, "phase", "s", "m", "diverged_step", "cause"]
    diverged = trials.loc[trials["status"] == "diverged", columns]
    return diverged.sort_values("trial_id").reset_index(drop=True)
