"""CosFace's upper bound on m by experiment: up to which m trials met it, against what theory and prototypes permit."""

import math
from typing import Any

import numpy as np
import pandas as pd

from hpstudy.analysis._arms import KEYS, conditions, margin_of, margin_unit
from hpstudy.analysis.audit._margin_drop import MarginDrop, fit_drop, isotonic_curve
from hpstudy.theory import cosface_margin_bound, margin_optimum

_GROUP = [*KEYS, "s"]
_LEAST_MARGINS = 3
_ROUNDING = 1e-5
"""A bound this near to an end of an interval is in it: margins are listed to a few digits and met in float32."""
_MEASURED = {
    "satisfied": "geometry/margin_satisfied_fraction",
    "permitted": "geometry/max_prototype_cosine",
    "permitted_centres": "geometry/max_centre_cosine",
    "merged_pairs": "geometry/merged_pairs",
    "accuracy": "geometry/train_accuracy",
}
_POINTS = ["trial_id", *_GROUP, "m", "unit", "num_classes", "embedding_dim", *_MEASURED]
_CURVE = [*_GROUP, "m", "trials", "mean", "low", "high", "fit", "merged"]
_DROPS = [
    *_GROUP, "num_classes", "embedding_dim", "unit", "trials", "diverged", "replicates", "drop", "low", "high",
    "before", "after", "met_90", "met_10", "place", "sharp", "paper_bound", "sharp_bound", "known_code", "exact",
    "paper_word", "sharp_word", "permitted_zero", "permitted_at_drop", "permitted_word", "permitted_centres",
    "merged_below", "merged_above", "most_merged", "merged_from", "accuracy_below", "accuracy_above",
]  # fmt: skip


def margin_points(trials: pd.DataFrame) -> pd.DataFrame:
    """The completed trials whose additive margins can show where it ceases to be met.

    These are trials with a measured fraction, of an arm that ran at three or more m in one condition at the same
    configured s. Trials of a search over s, each with a scale of its own, don't tell what m does, and have no row.

    Returns:
        One row a trial, conditions in their order, then by arm, s, m and trial: `trial_id`, `condition`, `arm`, `s` (as
        configured; NaN if it sets itself), `m`, its `unit` (`cosine` or `rad`), `num_classes`, `embedding_dim`;
        `satisfied`, the fraction of training samples that meet m; `permitted`, the largest m that the trial's own
        prototypes allow at every prototype (1 − max_{i≠j} W_i·W_j), and `permitted_centres`, the same of the class
        centres, both in the unit of m; `merged_pairs` of prototypes; `accuracy`, the fraction of training samples whose
        own prototype is the nearest. What was not measured is NaN.
    """
    points = _with_additive_margin(trials, "completed")
    for name, column in _MEASURED.items():
        points[name] = points[column].astype(float) if column in points else np.nan
    angular = (points["unit"] == "rad").to_numpy()
    for name in ("permitted", "permitted_centres"):
        cosine = np.clip(points[name].to_numpy(dtype=float), -1.0, 1.0)
        points[name] = np.where(angular, np.arccos(cosine), 1.0 - cosine)
    points = points.dropna(subset=["m", "satisfied"])
    enough = points.groupby(_GROUP, dropna=False)["m"].transform("nunique") >= _LEAST_MARGINS
    order = {condition: i for i, condition in enumerate(conditions(trials))}
    points = points[enough]
    points = points.assign(place=points["condition"].map(order))
    return points.sort_values(["place", "arm", "s", "m", "trial_id"], ignore_index=True)[_POINTS]


def margin_curve(trials: pd.DataFrame) -> pd.DataFrame:
    """The fraction of training samples that meet m, against m.

    Returns:
        One row for each m of each condition, arm and s of `margin_points`: `condition`, `arm`, `s`, `m`, `trials`;
        `mean`, `low`, `high`: mean, smallest and largest fraction; `fit`, the isotonic fit of the means, NaN beyond the
        end of the fall; `merged`, how many of the trials have merged prototypes (NaN where none was asked).
    """
    frames = []
    for keys, rows in _groups(margin_points(trials)):
        grid, fit = isotonic_curve(rows["m"], rows["satisfied"])
        by_m = rows.groupby("m")
        merged = (rows["merged_pairs"] > 0).where(rows["merged_pairs"].notna()).astype(float).groupby(rows["m"])
        frame = by_m["satisfied"].agg(trials="size", mean="mean", low="min", high="max")
        frames.append(frame.assign(fit=pd.Series(fit, grid), merged=merged.sum(min_count=1), **keys).reset_index())
    return pd.concat(frames, ignore_index=True)[_CURVE] if frames else pd.DataFrame(columns=_CURVE)


def margin_drops(trials: pd.DataFrame) -> pd.DataFrame:
    """Where the fraction of samples that meet m falls through one half, against the bounds on m.

    CosFace's eq. 7 speaks of features at their prototypes, all classes alike: m ≤ 1 − max_{i≠j} W_i·W_j. The fraction
    is over samples, so that a fall beyond the sharp bound contradicts nothing: by giving up some classes more than half
    of the samples can meet an m that no code allows to all.

    Returns:
        One row for each condition, arm and s of `margin_points`, in its order. `condition`, `arm`, `s`, `num_classes`,
        `embedding_dim`, `unit` of m and of every margin here; `trials`, and the `diverged` ones that tell no fraction;
        `replicates`, `drop`, `low`, `high`, `before`, `after`, `met_90`, `met_10`, `place`, `sharp` as of `fit_drop`.
        `paper_bound` (`cosface_margin_bound`) and `sharp_bound` (`margin_upper_bound`, the upper end of what is known
        of m*), `known_code` (the lower end, NaN where none is known) and whether these are the same, `exact`;
        `paper_word`, `sharp_word`: whether the bound lies `below`, `within` or `above` the interval.
        `permitted_zero`: what the prototypes of the trials with the smallest m permit (median); `permitted_at_drop`: of
        those at the two margins around the drop, with its own `permitted_word`; `permitted_centres`: what the class
        centres of these permit. `merged_below`, `merged_above`: share of the trials at m ≤ low and at m ≥ high in which
        prototypes merged; `most_merged`, the most pairs in one trial of all; `merged_from`, the smallest m at which any
        did. `accuracy_below`, `accuracy_above`: median `accuracy` at m ≤ low and at m ≥ high. NaN where nothing was
        measured or merged, and an empty word.
    """
    diverged = _with_additive_margin(trials, "diverged")
    rows = []
    for keys, points in _groups(margin_points(trials)):
        fall = fit_drop(points["m"], points["satisfied"])
        same = (diverged[KEYS] == pd.Series(keys)[KEYS]).all(axis=1)
        of_s = diverged["s"].isna() if math.isnan(keys["s"]) else diverged["s"] == keys["s"]
        rows.append(
            {
                **keys, "trials": len(points), "diverged": int((same & of_s).sum()), "replicates": fall.replicates,
                "drop": fall.drop, "low": fall.low, "high": fall.high, "before": fall.before, "after": fall.after,
                "met_90": fall.met_90, "met_10": fall.met_10, "place": fall.place, "sharp": fall.sharp,
                **_bounds(points, fall), **_prototypes(points, fall),
            }
        )  # fmt: skip
    return pd.DataFrame(rows, columns=_DROPS)


def _with_additive_margin(trials: pd.DataFrame, status: str) -> pd.DataFrame:
    additive = trials["loss"].map(lambda loss: margin_of(str(loss)) in ("additive_cosine", "additive_angle"))
    found = trials[(trials["status"] == status) & additive.astype(bool)].reset_index(drop=True)
    return found.assign(
        s=found["s"].astype(float),
        m=found["m"].astype(float),
        unit=found["loss"].map(lambda loss: margin_unit(str(loss))).astype(object),
    )


def _groups(points: pd.DataFrame) -> list[tuple[dict[str, Any], pd.DataFrame]]:
    grouped = points.groupby(_GROUP, sort=False, dropna=False)
    return [(dict(zip(_GROUP, keys, strict=True)), rows) for keys, rows in grouped]


def _bounds(points: pd.DataFrame, fall: MarginDrop) -> dict[str, object]:
    classes, dim, unit = (points[name].iloc[0] for name in ("num_classes", "embedding_dim", "unit"))
    known = margin_optimum(int(classes), int(dim))
    paper = _in_unit(cosface_margin_bound(int(classes), int(dim)), unit)
    sharp = _in_unit(known.upper, unit)
    return {
        "num_classes": int(classes),
        "embedding_dim": int(dim),
        "unit": unit,
        "paper_bound": paper,
        "sharp_bound": sharp,
        "known_code": math.nan if known.lower is None else _in_unit(known.lower, unit),
        "exact": known.exact,
        "paper_word": _word(paper, fall),
        "sharp_word": _word(sharp, fall),
    }


def _prototypes(points: pd.DataFrame, fall: MarginDrop) -> dict[str, object]:
    m, merged = points["m"], points["merged_pairs"]
    below, above, around = m <= fall.low, m >= fall.high, m.isin([fall.before, fall.after])
    permitted = float(points.loc[around, "permitted"].median())
    any_merged = (merged > 0).where(merged.notna()).astype(float)
    return {
        "permitted_zero": points.loc[m == m.min(), "permitted"].median(),
        "permitted_at_drop": permitted,
        "permitted_word": _word(permitted, fall),
        "permitted_centres": points.loc[around, "permitted_centres"].median(),
        "merged_below": any_merged[below].mean(),
        "merged_above": any_merged[above].mean(),
        "most_merged": merged.max(),
        "merged_from": m[merged > 0].min(),
        "accuracy_below": points.loc[below, "accuracy"].median(),
        "accuracy_above": points.loc[above, "accuracy"].median(),
    }


def _in_unit(margin: float, unit: str) -> float:
    """A margin between cosines in the unit of m."""
    return math.acos(max(1.0 - margin, -1.0)) if unit == "rad" else margin


def _word(bound: float, fall: MarginDrop) -> str:
    if math.isnan(bound):
        return ""
    if bound < fall.low - _ROUNDING:
        return "below"
    return "above" if bound > fall.high + _ROUNDING else "within"
