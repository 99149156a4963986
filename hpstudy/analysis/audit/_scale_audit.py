"""Scales held against CosFace's bound: how tight it was, whether trials converged, what they scored."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit

from hpstudy.analysis._arms import KEYS, arm_kinds, sets_own_scale
from hpstudy.analysis._rates import wilson_interval
from hpstudy.analysis._statistics import t_interval
from hpstudy.analysis.audit._convergence import convergence, has_plain_scale, scale_bounds
from hpstudy.analysis.audit._prototype_laws import below_scale_bounds
from hpstudy.analysis.audit._scores import audit_scores
from hpstudy.theory import implied_posterior, scale_bound_of_log_odds

LISTED, OWN_SCALE = "listed", "adaptive"
"""Kinds of rows of an audit: a given scale of a list, and a scale that sets itself."""

_CENTRES = {
    "prototype": "geometry/class_centre_log_odds_min",
    "centre": "geometry/feature_centre_log_odds_min",
}


def scale_audit(trials: pd.DataFrame, epochs: Callable[[str], pd.DataFrame], metric: str) -> pd.DataFrame:
    """Every listed scale without a margin, and every scale that set itself, held against CosFace's bound (eq. 6).

    Listed are the trials of grids whose condition tried several scales; what a search tried is not, as it tries a scale
    once, where its sampler looks. The trials of a row are replicates: the same arm, condition and s on other seeds.

    Tightness is s divided by eq. 6 at the smallest posterior that the trial itself gave a class, found from its log
    odds, which tell apart what no posterior in floating point does. For unit prototypes it is at least 1, and 1 for a
    simplex; so it is with the class centres (directions of the mean features) in the place of the prototypes, since
    NormFace's Proposition 2, the same inequality, allows any features. Less is a fault of the measurement.

    Args:
        trials: The record.
        epochs: The per-epoch record of a trial; it may be empty, or raise KeyError or FileNotFoundError.
        metric: Column of the score, such as `test/tar_at_far_1e-3`; scores are NaN where no trial has it.

    Returns:
        One row per condition, arm and s (one for each adaptive arm):

        - `condition`, `arm`, `loss`, `kind` (`listed` or `adaptive`), `num_classes`, `embedding_dim`, `trials`
          (completed and diverged), `diverged`;
        - `s`, `s_low`, `s_high`: of an adaptive arm the median and the extremes of its final scales (NaN if none is
          finite); `ratio_p50`, `ratio_p90`, `ratio_p99`, `ratio_p999`: s divided by eq. 6 at that P_W;
          `implied_posterior` and `implied_log_odds`: the largest smallest posterior that eq. 6 allows s;
        - `prototype_log_odds`, `centre_log_odds`, `prototype_posterior`, `centre_posterior`: the smallest posterior
          realised at prototypes and at class centres, median over the trials; `tightness`, `tightness_low`,
          `tightness_high`, `centre_tightness`: median and extremes from prototypes, median from centres, NaN where the
          bound is not positive; `violations`: trials below what their prototypes need, beyond rounding;
        - `judged`, `converged`, `share`, `share_low`, `share_high` (95 % Wilson), and `epoch`, `epoch_low`,
          `epoch_high` (median and extremes over those that converged), by `convergence`;
        - `scored`, `score`, `score_low`, `score_high`: seeds, their mean and Student's 95 % interval, diverged trials
          at chance.
    """
    counted = trials[trials["status"].isin(["completed", "diverged"])].reset_index(drop=True)
    kept = counted.assign(kind=_kinds(counted))
    kept = kept[kept["kind"] != ""]
    judged = convergence(kept, epochs).set_index("trial_id")
    kept = kept.assign(score=audit_scores(kept, metric), final=_final_scale(kept))
    listed = kept["s"].where(kept["kind"] == LISTED, -1.0)
    rows = [
        _row(group, judged[judged.index.isin(group["trial_id"])])
        for _, group in kept.groupby(["condition", "arm", listed], sort=False)
    ]
    audit = pd.DataFrame(rows, columns=None if rows else [*KEYS, "kind", "s"])
    ranks = {name: rank for rank, name in enumerate(trials["condition"].drop_duplicates())}
    arms = {name: rank for rank, name in enumerate(arm_kinds(trials))} if len(trials) else {}
    return audit.sort_values(
        ["condition", "kind", "arm", "s"], ignore_index=True, kind="stable",
        key=lambda key: key.map({"condition": ranks, "arm": arms, "kind": {LISTED: 0, OWN_SCALE: 1}}[str(key.name)])
        if key.name != "s" else key,
    )  # fmt: skip


def _kinds(trials: pd.DataFrame) -> pd.Series:
    """What each trial is to the audit; empty if nothing."""
    adaptive = trials["loss"].map({loss: sets_own_scale(str(loss)) for loss in trials["loss"].unique()}).astype(bool)
    listed = has_plain_scale(trials) & (trials["phase"] == "grid") & ~adaptive
    several = trials["s"].where(listed).groupby(trials["condition"]).transform("nunique") > 1
    chosen = [name for name in ("param/s", "param/m") if name in trials]
    untouched = adaptive & trials[chosen].isna().all(axis=1) & (trials["phase"] != "search")
    kinds = np.where(listed & several, LISTED, np.where(untouched, OWN_SCALE, ""))
    return pd.Series(kinds, index=trials.index, dtype=object)


def _final_scale(trials: pd.DataFrame) -> pd.Series:
    """The scale at the end of training; the configured one where it was not measured."""
    none = pd.Series(np.nan, index=trials.index)
    final = trials["geometry/final_s"].astype(float) if "geometry/final_s" in trials else none
    found = final.where(np.isfinite(final) & (final > 0), trials["s"].astype(float))
    return found.where(trials["status"] == "completed", trials["s"].astype(float))


def _row(group: pd.DataFrame, judged: pd.DataFrame) -> dict[str, Any]:
    first = group.iloc[0]
    classes = int(first["num_classes"])
    finals = group["final"].dropna()
    s = float(first["s"]) if first["kind"] == LISTED else _median(finals)
    row: dict[str, Any] = {
        **{name: first[name] for name in (*KEYS, "loss", "kind")},
        "num_classes": classes,
        "embedding_dim": int(first["embedding_dim"]),
        "trials": len(group),
        "diverged": int((group["status"] == "diverged").sum()),
        "s": s,
        "s_low": s if first["kind"] == LISTED else float(finals.min()),
        "s_high": s if first["kind"] == LISTED else float(finals.max()),
        **{f"ratio_{tag}": s / bound for tag, bound in scale_bounds(classes).items()},
        "implied_posterior": implied_posterior(classes, s) if np.isfinite(s) else float("nan"),
        "implied_log_odds": s * classes / (classes - 1) - float(np.log(classes - 1)),
    }
    ended = group[group["status"] == "completed"]
    violations = below_scale_bounds(ended, ended["final"].to_numpy(dtype=float))
    tightness = {}
    for name, column in _CENTRES.items():
        odds = group[column].astype(float) if column in group else pd.Series(np.nan, index=group.index)
        odds = odds.where(np.isfinite(odds) & (group["status"] == "completed"))
        row[f"{name}_log_odds"] = _median(odds.dropna())
        row[f"{name}_posterior"] = float(expit(row[f"{name}_log_odds"]))
        tightness[name] = _tightness(classes, group["final"], odds).dropna()
    own = tightness["prototype"]
    times = judged.loc[judged["converged"], "epoch_converged"].dropna()
    converged, total = int(judged["converged"].sum()), len(judged)
    low, high = wilson_interval(converged, total)
    score = t_interval(group.groupby("seed")["score"].mean())
    return row | {
        "tightness": _median(own),
        "tightness_low": float(own.min()),
        "tightness_high": float(own.max()),
        "centre_tightness": _median(tightness["centre"]),
        "violations": int(violations.sum()),
        "judged": total,
        "converged": converged,
        "share": converged / total if total else float("nan"),
        "share_low": low,
        "share_high": high,
        "epoch": _median(times),
        "epoch_low": float(times.min()),
        "epoch_high": float(times.max()),
        "scored": score.n,
        "score": score.mean,
        "score_low": score.low,
        "score_high": score.high,
    }


def _tightness(num_classes: int, s: pd.Series, log_odds: pd.Series) -> pd.Series:
    """s over eq. 6 at the log odds; NaN where either is not known or the bound not positive."""
    known = (s.notna() & log_odds.notna()).to_numpy()
    bound = np.full(len(s), np.nan)
    bound[known] = scale_bound_of_log_odds(num_classes, log_odds.to_numpy()[known])
    return s / np.where(bound > 0, bound, np.nan)


def _median(values: pd.Series) -> float:
    return float(values.median()) if len(values) else float("nan")
