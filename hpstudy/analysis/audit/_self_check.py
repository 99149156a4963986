"""What true unit prototypes obey whatever was trained, held against every trial: a check of the measurement itself."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit

from hpstudy.analysis._account import some
from hpstudy.analysis._arms import margin_of
from hpstudy.analysis._protocol_words import Finding, finding, not_applicable, of_them
from hpstudy.analysis._words import counted
from hpstudy.analysis.audit._loss_floor import loss_floor
from hpstudy.analysis.audit._prototype_laws import (
    COSINE_ROUNDING,
    Floats,
    column,
    dimension_slack,
    logit_rounding,
    scale_slack,
    smallest_log_odds,
)
from hpstudy.theory import margin_upper_bound

_MEAN_ROUNDING = 2.0**-16
"""What the mean of many float32 values in [0, 1] can be wrong by."""


@dataclass(frozen=True, slots=True, eq=False)
class _Measured:
    """What trials measured, an entry a trial, NaN where one did not."""

    trials: pd.DataFrame
    classes: Floats
    dim: Floats
    s: Floats
    m: Floats
    margin: pd.Series
    """Name of the margin part."""
    complete: Floats
    """1 where every class has a training sample, as far as is known, else NaN.

    Label noise can leave a class without one; a trial that lost one has no class-balanced loss.
    """

    def of(self, name: str) -> Floats:
        """`geometry/<name>`."""
        return column(self.trials, f"geometry/{name}")


def _eq_6(found: _Measured) -> Floats:
    return scale_slack(found.classes, found.s, smallest_log_odds(found.trials, "class_centre"))


def _dimension(found: _Measured) -> Floats:
    return dimension_slack(found.classes, found.dim, found.s, smallest_log_odds(found.trials, "class_centre"))


def _eq_6_of_features(found: _Measured) -> Floats:
    odds = smallest_log_odds(found.trials, "feature_centre")
    return scale_slack(found.classes, found.s, odds) * found.complete


def _floor(found: _Measured) -> Floats:
    floor = loss_floor(found.trials).drop_duplicates("trial_id").set_index("trial_id")
    slack = (floor["excess"] + floor["allowance"]).where(floor["crossed"] | (floor["excess"] >= -floor["allowance"]))
    return found.trials["trial_id"].map(slack).to_numpy(dtype=float)


def _packing(found: _Measured) -> Floats:
    return found.of("max_prototype_cosine") - _best_packing(found) + COSINE_ROUNDING


def _packing_of_features(found: _Measured) -> Floats:
    return (found.of("max_centre_cosine") - _best_packing(found) + COSINE_ROUNDING) * found.complete


def _best_packing(found: _Measured) -> Floats:
    """The least that the largest cosine of C unit vectors in K dimensions can be, or just below."""
    sizes = [(int(count), int(dim)) for count, dim in zip(found.classes, found.dim, strict=True)]
    bounds = {size: 1 - margin_upper_bound(*size) for size in set(sizes)}
    return np.array([bounds[size] for size in sizes], dtype=float)


def _nearest_pair(found: _Measured) -> Floats:
    """A class of the nearest pair has at most its neighbour against it, and no class has more than C − 1 of those."""
    odds, apart = found.of("class_centre_log_odds_min"), found.s * (1 - found.of("max_prototype_cosine"))
    return np.minimum(apart - odds, odds - apart + np.log(found.classes - 1)) + logit_rounding(found.s)


def _all_met(found: _Measured) -> Floats:
    """What is left of a margin that every sample meets.

    CosFace: with a sample x of class a, (W_a − W_b)·x ≥ m, so that m ≤ ‖W_a − W_b‖ = √(2 − 2·W_a·W_b) for the nearest
    pair. Averaged over the classes and their others as in `loss_floor`, m ≤ C/(C−1). With C ≥ K + 2 prototypes some
    point p lies in the convex hulls of two disjoint groups of them (Radon); were each of these prototypes further than
    1 from it, 2·W_c·p < ‖p‖² for all, and on average over a group 2‖p‖² < ‖p‖²: so m ≤ 1. In the plane a prototype is
    2·sin(α/2)·sin(β/2) from the chord between its neighbours at α and β, at most 1 − cos(2π/C) for the least of them.
    Eq. 7 itself, m ≤ 1 − max W_i·W_j, is no law of samples: it takes them to lie at their prototypes, and beside them a
    sample can meet more (the distance of W_a from the convex hull of the others).

    ArcFace: θ_j ≥ θ_y + m, and no two angles to one sample differ by more than the prototypes do, so that m is at most
    the least angle between two of them, wherever samples lie; where θ + m > π, with the default rule.
    """
    largest = found.of("max_prototype_cosine") - COSINE_ROUNDING
    sizes = zip(found.classes, found.dim, strict=True)
    widest = np.array([_widest_margin(int(count), int(dim)) for count, dim in sizes], dtype=float)
    chord = np.sqrt(np.maximum(2 - 2 * largest, 0.0))
    angle = np.arccos(np.clip(largest, -1.0, 1.0))
    most = np.where(found.margin == "additive_angle", angle, np.minimum(chord, widest))
    met = _additive(found) & (found.of("margin_satisfied_fraction") >= 1)
    return np.where(met, most - found.m + COSINE_ROUNDING, np.nan) * found.complete


def _widest_margin(count: int, dim: int) -> float:
    if dim == 2:
        return 2 * math.sin(math.pi / count) ** 2
    return count / (count - 1) if count <= dim + 1 else 1.0


def _additive(found: _Measured) -> pd.Series:
    return found.margin.isin(["additive_cosine", "additive_angle"]) & (found.m > 0)


def _met_is_nearest(found: _Measured) -> Floats:
    slack = found.of("train_accuracy") - found.of("margin_satisfied_fraction") + _MEAN_ROUNDING
    return np.where(_additive(found), slack, np.nan)


def _ranges(found: _Measured) -> Floats:
    """The least distance from an end, and of a minimum from its mean and from its log odds."""
    slacks = []
    for name in ("margin_satisfied_fraction", "train_accuracy"):
        slacks += [found.of(name), 1 - found.of(name)]
    for of in ("class_centre", "feature_centre"):
        least, mean = found.of(f"{of}_posterior_min"), found.of(f"{of}_posterior_mean")
        odds = found.of(f"{of}_log_odds_min")
        slacks += [least, 1 - mean, mean - least, 1 - least, -np.abs(least - expit(odds))]
    for name in ("max_prototype_cosine", "max_centre_cosine"):
        slacks.append(1 - np.abs(found.of(name)))
    return np.fmin.reduce(slacks) + _MEAN_ROUNDING


@dataclass(frozen=True, slots=True)
class _Law:
    """A law, its slack in every trial, and how it is put."""

    slack: Callable[[_Measured], Floats]
    unit: str
    """Of the slack."""
    where: str
    """What the law needs of a trial, as `no trial …` goes on."""


_LAWS: Mapping[str, _Law] = {
    "No class centre has a smallest posterior above what eq. 6 grants the scale": _Law(
        _eq_6, "nats", "measured the posteriors of its class centres"
    ),
    "Nor one above what the embedding dimension leaves of it": _Law(
        _dimension, "nats", "measured the posteriors of its class centres"
    ),
    "No mean feature of a class has one above what eq. 6 grants the scale": _Law(
        _eq_6_of_features, "nats", "measured the posteriors of its mean features"
    ),
    "The smallest posterior fits the nearest two prototypes": _Law(
        _nearest_pair, "nats", "recorded the log odds of its smallest posterior"
    ),
    "The class-balanced training loss, its margin included, is not below its floor": _Law(
        _floor, "nats", "recorded a class-balanced loss that has a floor"
    ),
    "No prototypes are packed better than C directions in K dimensions can be": _Law(
        _packing, "cosine", "measured the cosines between its prototypes"
    ),
    "Nor are the mean features of the classes": _Law(
        _packing_of_features, "cosine", "measured the cosines between its mean features"
    ),
    "A margin that every sample meets is one that the prototypes leave room for": _Law(
        _all_met, "cosine or rad", "has an additive margin that every sample meets"
    ),
    "A sample that meets its margin is nearest to its own prototype": _Law(
        _met_is_nearest, "of the samples", "with an additive margin measured its training accuracy"
    ),
    "Shares, posteriors and cosines lie in their ranges and agree": _Law(_ranges, "", "measured its prototypes"),
}


def self_checks(trials: pd.DataFrame) -> pd.DataFrame:
    """Holds every trial that measured its prototypes against what unit prototypes obey whatever was trained.

    A broken law is a fault of the measurement or of the record, never a finding about a loss. The joint bound of s and
    m at the class centres is eq. 6 with the margin taken from both sides (`joint_audit`), so that it has no rule of its
    own; for samples it is the floor of the loss.

    What float32 can have got wrong is granted: 2⁻¹⁸ in a cosine, twice that times s in log odds (0.0005 nats at
    s = 64), 2⁻¹⁶ in a share.

    Args:
        trials: One row a trial, of any status; what one did not measure it is not held against.

    Returns:
        One row a law: `rule`; `held`, which is `yes`, `no` or `not applicable` (no trial measured what it needs);
        `evidence`, in words with counts and the least slack, or the widest breach; `trials`, the first ids that broke
        it.
    """
    frame = trials.reset_index(drop=True)
    found = _Measured(
        trials=frame,
        classes=column(frame, "num_classes"),
        dim=column(frame, "embedding_dim"),
        s=_finite(column(frame, "geometry/final_s")),
        m=column(frame, "m"),
        margin=frame["loss"].map(lambda loss: margin_of(str(loss))),
        complete=_complete(frame),
    )
    rows = []
    for rule, law in _LAWS.items():
        slack = law.slack(found)
        broken = frame.loc[slack < 0, "trial_id"].astype(str).to_list()
        held, evidence = _finding(law, slack, broken)
        rows.append((rule, held, evidence, some(broken)))
    return pd.DataFrame(rows, columns=["rule", "held", "evidence", "trials"])


def _finite(values: Floats) -> Floats:
    return np.where(np.isfinite(values), values, np.nan)


def _complete(trials: pd.DataFrame) -> Floats:
    noise = column(trials, "data/label_noise", absent=0.0)
    known = (noise == 0) | np.isfinite(column(trials, "geometry/train_loss_balanced"))
    return np.where(known, 1.0, np.nan)


def _finding(law: _Law, slack: Floats, broken: list[str]) -> Finding:
    judged = slack[np.isfinite(slack)]
    if not judged.size:
        return not_applicable(f"no trial {law.where}")
    unit = f" {law.unit}" if law.unit else ""
    wrong = f"broken by {counted(len(broken), 'trial')} of {judged.size:,}, by up to {-judged.min():.2g}{unit}"
    room = f"; the least room is {judged.min():.2g}{unit}, rounding included" if law.unit else ""
    return finding(of_them(broken, wrong), f"true of {counted(judged.size, 'trial')}{room}")
