"""CosFace's bounds on s and m held against what trials did."""

import math

import numpy as np
import pandas as pd

from hpstudy.analysis._arms import margin_of
from hpstudy.analysis.audit._prototype_laws import POSTERIOR_ROUNDING, Floats, below_scale_bounds, column
from hpstudy.theory import (
    cosface_margin_bound,
    cosface_scale_bound,
    dimension_aware_scale_bound,
    implied_posterior,
    margin_upper_bound,
    scale_bound_of_log_odds,
)

_MEASURED = {
    "s": "geometry/final_s",
    "posterior_min": "geometry/class_centre_posterior_min",
    "max_cosine": "geometry/max_prototype_cosine",
    "satisfied": "geometry/margin_satisfied_fraction",
}


def bound_audit(trials: pd.DataFrame) -> pd.DataFrame:
    """Each completed or diverged trial against the bounds on its scale and its margin.

    CosFace's eq. 6 is a necessary condition: with the posterior P that the trial's own prototypes give at their own
    directions (the smallest over the classes), s ≥ bound(P) always holds. A `violation` is therefore a bug in what was
    measured, and what can be learnt is the tightness s / bound(P): 1 is a simplex, larger is looser.

    Returns:
        One row a trial: `trial_id`, `condition`, `arm`, `phase`, `status`, `num_classes`, `embedding_dim`; `s` at the
        end of training and `m` as configured; `posterior_min` P; `scale_bound` (CosFace eq. 6 at P) and
        `dimension_bound` (sharper where C > K + 1), NaN where P can't be told from 1, the first only where its log odds
        aren't recorded either; `tightness` s / scale_bound (NaN
        where the bound is not positive); `implied_posterior` (the largest P that s allows); `paper_margin_bound` and
        `sharp_margin_bound` for (C, K) and `permitted_margin` for the trial's own prototypes, each in the unit of the
        trial's m (cosine, or rad for angular margins; NaN for others); `margin_ratio` m / permitted_margin;
        `satisfied`, the fraction of training samples that meet the margin; `violation`.
    """
    ended = trials[trials["status"].isin(["completed", "diverged"])].reset_index(drop=True)
    audit = ended[
        ["trial_id", "condition", "arm", "phase", "status", "num_classes", "embedding_dim", "loss", "m"]
    ].copy()
    for name, source in _MEASURED.items():
        audit[name] = column(ended, source)
    audit["s"] = audit["s"].where(np.isfinite(audit["s"]), ended["s"])
    _add_scale_bounds(audit, column(ended, "geometry/class_centre_log_odds_min"))
    _add_margin_bounds(audit)
    audit["violation"] = below_scale_bounds(ended, audit["s"].to_numpy())
    return audit.drop(columns=["loss", "max_cosine"])


def _add_scale_bounds(audit: pd.DataFrame, log_odds: Floats) -> None:
    classes, dim = audit["num_classes"].to_numpy(), audit["embedding_dim"].to_numpy()
    s, posterior = audit["s"].to_numpy(), audit["posterior_min"].to_numpy()
    known = np.isfinite(s) & (s > 0)
    usable = known & (posterior > 0) & (posterior < 1 - POSTERIOR_ROUNDING)
    bound, sharper, implied = (np.full(len(audit), np.nan) for _ in range(3))
    implied[known] = implied_posterior(classes[known], s[known])
    if usable.any():
        c, k, p = classes[usable], dim[usable], posterior[usable]
        bound[usable] = cosface_scale_bound(c, p)
        sharper[usable] = dimension_aware_scale_bound(c, k, p)
    recorded = known & np.isfinite(log_odds)
    bound[recorded] = scale_bound_of_log_odds(classes[recorded], log_odds[recorded])
    audit["scale_bound"] = bound
    audit["tightness"] = np.where(bound > 0, s / np.where(bound > 0, bound, 1.0), np.nan)
    audit["dimension_bound"] = sharper
    audit["implied_posterior"] = implied


def _add_margin_bounds(audit: pd.DataFrame) -> None:
    parts = audit["loss"].map(lambda loss: margin_of(str(loss)))
    additive = parts.isin(["additive_cosine", "additive_angle"])
    angular = (parts == "additive_angle").to_numpy()
    sizes = list(zip(audit["num_classes"], audit["embedding_dim"], strict=True))
    paper = {size: cosface_margin_bound(int(size[0]), int(size[1])) for size in set(sizes)}
    sharp = {size: margin_upper_bound(int(size[0]), int(size[1])) for size in set(sizes)}
    for name, values in (
        ("paper_margin_bound", np.array([paper[size] for size in sizes], dtype=float)),
        ("sharp_margin_bound", np.array([sharp[size] for size in sizes], dtype=float)),
        ("permitted_margin", 1.0 - audit["max_cosine"].to_numpy()),
    ):
        angles = np.arccos(np.clip(1.0 - values, -1.0, 1.0))
        audit[name] = pd.Series(np.where(angular, angles, values), index=audit.index).where(additive)
    positive = audit["permitted_margin"] > 0
    audit["margin_ratio"] = (audit["m"] / audit["permitted_margin"].where(positive, math.nan)).where(additive)
    audit["satisfied"] = audit["satisfied"].where(additive)
