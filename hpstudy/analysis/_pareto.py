"""Trials that no other beats in every objective of a search."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hpstudy.analysis._arms import arm_kinds, conditions
from hpstudy.analysis._search import search_points
from hpstudy.spec import is_cost

_OWN = ("condition", "arm", "loss", "trial_id", "search_seed", "number", "s", "m")


def pareto_front(trials: pd.DataFrame, objectives: Sequence[str]) -> pd.DataFrame:
    """Completed trials of searches and grids in every objective, and which of them no other trial dominates.

    A trial dominates another if it is as good in every objective and better in one; metrics are better where they are
    larger, costs where they are smaller. Of equal trials none dominates the other. Each value is of one trial and one
    seed: the front is made of the lucky among equals, and a point's worth is what its confirm trials say.

    Args:
        trials: The record.
        objectives: Objectives of the search, the primary one first.

    Returns:
        One row a completed trial with a value in every objective, by condition, arm and the primary objective from the
        best: `condition`, `arm`, `loss`, `trial_id`, `search_seed`, `number`, `s`, `m`, every other searched or listed
        value as `param/<name>`, every objective under its own name, `chosen` (the point that its search confirms),
        `on_front` (over all arms of the condition) and `on_arm_front`.
    """
    others = [str(name) for name in trials if str(name).startswith("param/") and name not in ("param/s", "param/m")]
    objectives = list(objectives)
    found = search_points(trials, objectives)
    found = found[found["status"] == "completed"].reindex(columns=[*_OWN, *others, *objectives, "chosen"])
    found = found.loc[np.isfinite(found[objectives].to_numpy(dtype=float)).all(axis=1)]
    found = found.drop(columns=[name for name in others if found[name].isna().all()])
    ranks = {
        "condition": {name: rank for rank, name in enumerate(conditions(trials))},
        "arm": {name: rank for rank, name in enumerate(arm_kinds(trials))},
    }
    found = found.sort_values(
        ["condition", "arm", *objectives, "search_seed", "number"],
        ascending=[True, True, *(is_cost(name) for name in objectives), True, True],
        key=lambda column: column.map(ranks[str(column.name)]) if column.name in ranks else column,
    ).reset_index(drop=True)
    for column, keys in (("on_front", ["condition"]), ("on_arm_front", ["condition", "arm"])):
        found[column] = False
        for _, rows in found.groupby(keys):
            found.loc[rows.index, column] = _undominated(rows[objectives], objectives)
    return found


def _undominated(values: pd.DataFrame, objectives: Sequence[str]) -> NDArray[np.bool_]:
    signs = np.array([-1.0 if is_cost(name) else 1.0 for name in objectives])
    goods = values.to_numpy(dtype=float) * signs
    dominated = [((goods >= own).all(axis=1) & (goods > own).any(axis=1)).any() for own in goods]
    return ~np.array(dominated, dtype=bool)
