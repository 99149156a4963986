"""Where AdaCos' dynamic rules run away, over classes, dimensions and label noise, held against their fixed points."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from hpstudy.analysis._arms import scale_of
from hpstudy.analysis._rates import clopper_pearson_interval, wilson_interval
from hpstudy.analysis.audit._prototype_laws import column
from hpstudy.catalog import SCALES
from hpstudy.theory import (
    FixedPoints,
    adacos_fixed_scale,
    adacos_geometric_fixed_points,
    adacos_noisy_fixed_points,
)

PUBLISHED = "adacos_dynamic"
"""The rule as published, which nothing holds."""
STABILISED = ("adacos_ema", "adacos_geometric", "adacos_capped")
"""The same with a ceiling; in the averaged one over steps, in the geometric one with a mean of logarithms."""
RUNAWAY = 10.0
"""An s that ends beyond so many times its start has run away, though training ended before it was infinite."""
RUNS_AWAY, RESTS, CEILING = "runs away", "rests", "at its ceiling"
NOISE_COSINE = 0.9
"""c₋ that a mislabelled sample is taken to have with the prototype of its true class: 26°, well placed while the median
sample is at 45°. The best placed ones decide, because their exponentials make the mean."""

_QUARTER = math.pi / 4
_DOUBT = 0.05
_KEYS = ["arm", "num_classes", "embedding_dim", "label_noise"]
_CELL = {
    "arm": "str", "rule": "str", "num_classes": "int64", "embedding_dim": "int64", "label_noise": "float64",
    "conditions": "str", "trials": "int64", "independent": "int64", "ran_away": "int64", "rate": "float64",
    "low": "float64", "high": "float64", "diverged_step": "float64", "final_s": "float64", "largest_s": "float64",
    "start": "float64", "ceiling": "float64", "stable": "float64", "unstable": "float64", "predicted": "str",
    "p": "float64", "contradicts": "bool",
}  # fmt: skip
_REGION = {
    "arm": "str", "noisy": "bool", "predicted": "str", "cells": "int64", "trials": "int64", "ran_away": "int64",
    "independent": "int64", "rate": "float64", "low": "float64", "high": "float64", "all_ran_away": "int64",
    "some_ran_away": "int64", "none_ran_away": "int64", "testable": "int64", "contradicts": "int64",
}  # fmt: skip


def dynamic_rule(loss: str) -> str:
    """Name of the dynamic AdaCos scale of a loss, a catalogue name or `margin+scale`; empty if its scale is another."""
    scale = scale_of(loss)
    return scale if scale in (PUBLISHED, *STABILISED) else ""


def stability_map(trials: pd.DataFrame, caps: Mapping[str, float] | None = None) -> pd.DataFrame:
    """How often each dynamic AdaCos rule ran away, by classes, dimensions and label noise, and what theory expects.

    Theory is that of independent uniform directions at the start of training: every angle is about 90°, so that the
    rule takes 45°, and s moves from s₀ = √2·log(C−1) with B_avg of C classes in K dimensions
    (`adacos_noisy_fixed_points`, with c₋ of `NOISE_COSINE` where labels are wrong). It is the moment at which a runaway
    is likeliest for such directions, as smaller angles only move the fixed points apart. Directions of trained networks
    are neither independent nor uniform, so that a cell may contradict its prediction either way: features that
    gather spread the cosines and run away where none was expected, prototypes that repel each other rest where none
    could.

    The stabilised rules have a ceiling at cap·s₀, which s can't pass. Averaging over steps leaves the fixed points
    where they are; the mean of logarithms has those of `adacos_geometric_fixed_points` or lower ones. They are expected
    `at its ceiling` where theirs would run away or lie above it, and to diverge nowhere.

    Args:
        trials: The record; absent `data/label_noise` is no noise.
        caps: Ceiling of each stabilised arm in units of s₀; for others `param/cap` where recorded, else the catalogue's
            default.

    Returns:
        A row for each arm with such a scale and each (C, K, noise), rules and arms in order: `arm`, `rule` (name of the
        scale), `num_classes`, `embedding_dim`, `label_noise`, `conditions` (joined by `, `); `trials` (failed ones left
        out, and pruned ones, which had no time to run away), `independent` (trials that share training seed and
        condition count as one), `ran_away` (diverged, or at more than `RUNAWAY` times its start at the end), `rate`,
        `low`, `high` (95 % Wilson, of the independent ones), median `diverged_step` (NaN if unknown); `final_s` (median
        of completed trials) and `largest_s` seen at an end; `start` s₀, `ceiling` (NaN for the published rule),
        `stable` and `unstable` root (NaN where there is none), `predicted` (`runs away`, `rests`, `at its ceiling`);
        `p`, the exact one-sided binomial test of most trials going as predicted, and `contradicts`, p < 5 %, which five
        independent trials can reach.
    """
    counted = trials[trials["status"].isin(["completed", "diverged"])]
    counted = counted.assign(
        rule=counted["loss"].map(lambda loss: dynamic_rule(str(loss))),
        label_noise=column(counted, "data/label_noise", absent=0.0),
        final_s=column(counted, "geometry/final_s"),
        cap=column(counted, "param/cap"),
    )
    counted = counted[counted["rule"] != ""]
    given = caps or {}
    rows = [
        _cell(dict(zip(_KEYS, key, strict=True)), group, given.get(str(key[0]), math.nan))
        for key, group in counted.groupby(_KEYS, sort=True)
    ]
    order = {rule: i for i, rule in enumerate((PUBLISHED, *STABILISED))}
    rows.sort(key=lambda row: (order[row["rule"]], row["arm"], row["label_noise"]))
    return pd.DataFrame(rows, columns=list(_CELL)).astype(_CELL)


def _cell(key: Mapping[str, Any], group: pd.DataFrame, cap: float) -> dict[str, Any]:
    rule, classes = str(group["rule"].iloc[0]), int(key["num_classes"])
    start = adacos_fixed_scale(classes)
    seen = group["final_s"].where(np.isfinite(group["final_s"]))
    diverged = group["status"] == "diverged"
    gone = diverged | (seen > RUNAWAY * start)
    ran_away, total = int(gone.sum()), len(group)
    independent = len(group[["condition", "seed"]].drop_duplicates())
    rate = ran_away / total
    low, high = wilson_interval(rate * independent, independent)
    steps = group.loc[diverged & (group["diverged_step"] >= 0), "diverged_step"]
    ceiling = math.nan
    if rule != PUBLISHED:
        recorded = float(group["cap"].max())
        default = SCALES[rule].parameters["cap"].default
        ceiling = start * next(value for value in (cap, recorded, default) if math.isfinite(value))
    function = adacos_geometric_fixed_points if rule == "adacos_geometric" else adacos_noisy_fixed_points
    points = function(classes, int(key["embedding_dim"]), _QUARTER, float(key["label_noise"]), NOISE_COSINE)
    predicted = _predicted(points, start, ceiling)
    p = _against(predicted, rate * independent, independent)
    return {
        **key, "rule": rule, "conditions": ", ".join(sorted(map(str, group["condition"].unique()))),
        "trials": total, "independent": independent, "ran_away": ran_away, "rate": rate, "low": low, "high": high,
        "diverged_step": float(steps.median()) if len(steps) else math.nan,
        "final_s": float(seen[group["status"] == "completed"].median()), "largest_s": float(seen.max()),
        "start": start, "ceiling": ceiling,
        "stable": math.nan if points.stable is None else points.stable,
        "unstable": math.nan if points.unstable is None else points.unstable,
        "predicted": predicted, "p": p, "contradicts": p < _DOUBT,
    }  # fmt: skip


def _predicted(points: FixedPoints, start: float, ceiling: float) -> str:
    outcome = points.outcome(start)
    if math.isnan(ceiling):
        return outcome
    return RESTS if outcome == RESTS and points.stable is not None and points.stable < ceiling else CEILING


def _against(predicted: str, diverged: float, total: int) -> float:
    """P(as few trials or fewer go as predicted) if each does with probability one half; parts of one count for it."""
    agreeing = diverged if predicted == RUNS_AWAY else total - diverged
    return float(stats.binom.cdf(math.ceil(agreeing - 1e-9), total, 0.5))


def stability_agreement(found: pd.DataFrame) -> pd.DataFrame:
    """What the published rule did where it is predicted to run away, and where it is predicted to rest.

    The intervals treat the cells (C, K, noise) as clusters, since trials of a cell share the geometry that decides:
    they are exact binomial intervals of (Σn)²/Σn² trials (rounded down), n the trials of a cell, the fewest that trials
    can amount to. They speak for cells like these. In simulations with 3 to 20 cells of 2 to 10 trials and rates of 2 %
    to 99 % they cover 96 % to 100 % of the time if the trials of each cell agree, and more than 98 % if they agree in
    part or not at all.

    Args:
        found: `stability_map`.

    Returns:
        For each arm with the published rule, without and with label noise (`noisy`), a row each for `predicted`
        `runs away` and `rests`: `cells`, `trials`, `diverged`, `independent`, `rate`, `low`, `high` (95 %); cells of
        which `all_ran_away`, `some_ran_away`, `none_ran_away`; `testable` cells, with trials enough to contradict, and
        those that do (`contradicts`): at 5 % each, one testable cell in twenty may do so by chance if its trials are as
        likely to go one way as the other, far fewer where the prediction is nearly always right.
    """
    published = found[found["rule"] == PUBLISHED]
    rows = []
    for (arm, noisy), group in published.groupby(["arm", published["label_noise"] > 0], sort=True):
        for predicted in (RUNS_AWAY, RESTS):
            rows.append({"arm": arm, "noisy": noisy, "predicted": predicted, **_region(group, predicted)})
    return pd.DataFrame(rows, columns=list(_REGION)).astype(_REGION)


def _region(group: pd.DataFrame, predicted: str) -> dict[str, Any]:
    cells = group[group["predicted"] == predicted]
    total, diverged = int(cells["trials"].sum()), int(cells["ran_away"].sum())
    units = total**2 // int((cells["trials"] ** 2).sum()) if total else 0
    rate = diverged / total if total else math.nan
    low, high = clopper_pearson_interval(rate * units, units)
    return {
        "cells": len(cells), "trials": total, "ran_away": diverged, "independent": units,
        "rate": rate, "low": low, "high": high,
        "all_ran_away": int((cells["ran_away"] == cells["trials"]).sum()),
        "some_ran_away": int(cells["ran_away"].between(1, cells["trials"] - 1).sum()),
        "none_ran_away": int((cells["ran_away"] == 0).sum()),
        "testable": int((0.5 ** cells["independent"] < _DOUBT).sum()), "contradicts": int(cells["contradicts"].sum()),
    }  # fmt: skip
