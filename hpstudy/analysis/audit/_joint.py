"""The bound on s and m together, against CosFace's, which leaves the margin out."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.special import expit

from hpstudy.analysis._account import some
from hpstudy.analysis._arms import KEYS, margin_of, scale_of
from hpstudy.analysis._words import counted, scale_text
from hpstudy.analysis.audit._prototype_laws import Floats, column, logit_rounding
from hpstudy.catalog import SCALES
from hpstudy.theory import MarginKind

JOINT_REACHES = (0.5, 0.9)
"""Posteriors, the margin included, that a class centre is asked for."""
_ADDITIVE: Mapping[str, MarginKind] = {"additive_cosine": "cosine", "additive_angle": "angle"}


def joint_audit(trials: pd.DataFrame) -> pd.DataFrame:
    """What each trial with an additive margin reached at its class centres, against what two bounds allow.

    With the margin in its logit a class has at its centre the log odds that it has without, less s·(1 − g(0)); g(0) is
    1 − m for CosFace and cos m for ArcFace. Their smallest over the classes is P_m. CosFace's eq. 6 has no margin in
    it, and reads as a bound on this P_m all the same: s ≥ (C−1)/C·ln((C−1)P_m/(1−P_m)). With the margin kept
    (`joint_scale_bound`) it is s ≥ ln((C−1)P_m/(1−P_m)) / (g(0) + 1/(C−1)). Both hold, so that neither can be violated;
    the second asks for more, without limit as m nears what a simplex has between its classes. At the class centres it
    is eq. 6 for the P without a margin with s·(1 − g(0)) taken from both sides: it fails exactly if that does. What its
    margin adds beyond them is in `loss_floor`.

    Returns:
        One row a completed trial with a scale that doesn't move, an additive margin m > 0 and measured prototypes:
        `trial_id`, `condition`, `arm`, `loss`, `kind` of the margin, `num_classes`, `embedding_dim`, `s`, `m`;
        `log_odds` and `posterior` of P_m; `paper_log_odds`, `joint_log_odds`, the largest that each bound allows at
        (s, m), and `paper_posterior`, `joint_posterior` of them; `paper_scale` and `joint_scale`, the bounds at P_m (∞
        where no scale would do); `paper_tightness` and `joint_tightness`, s over each (1 is a simplex, NaN where P_m is
        at most 1/C and a bound says nothing); `violation`: s below the joint bound by more than rounding.
    """
    ended = trials[trials["status"] == "completed"].reset_index(drop=True)
    kinds = ended["loss"].map(lambda loss: _kind(str(loss)))
    bare = column(ended, "geometry/class_centre_log_odds_min")
    s, m = column(ended, "geometry/final_s"), column(ended, "m")
    kept = kinds.notna().to_numpy() & np.isfinite(bare) & np.isfinite(s) & (m > 0)
    frame = ended.loc[kept, ["trial_id", "condition", "arm", "loss", "num_classes", "embedding_dim"]].copy()
    frame.insert(4, "kind", kinds[kept].astype(object))
    bare, s, m = bare[kept], s[kept], m[kept]
    target = np.where(frame["kind"] == "angle", np.cos(m), 1 - m)
    count = frame["num_classes"].to_numpy(dtype=float)
    others = np.log(count - 1)
    frame["s"], frame["m"] = s, m
    frame["log_odds"] = bare - s * (1 - target)
    frame["paper_log_odds"] = s * count / (count - 1) - others
    frame["joint_log_odds"] = s * (target + 1 / (count - 1)) - others
    for name in ("", "paper_", "joint_"):
        frame[f"{name}posterior"] = expit(frame[f"{name}log_odds"].to_numpy())
    needed = others + frame["log_odds"].to_numpy()
    frame["paper_scale"] = _scale(needed, count / (count - 1))
    frame["joint_scale"] = _scale(needed, target + 1 / (count - 1))
    for name in ("paper", "joint"):
        bound = frame[f"{name}_scale"].to_numpy()
        frame[f"{name}_tightness"] = np.where(bound > 0, s / np.where(bound > 0, bound, 1.0), np.nan)
    frame["violation"] = frame["log_odds"] > frame["joint_log_odds"] + logit_rounding(s)
    return frame.reset_index(drop=True)


def _kind(loss: str) -> MarginKind | None:
    scale = SCALES.get(scale_of(loss))
    still = scale is not None and not scale.adaptive and not scale.reads_norm
    return _ADDITIVE.get(margin_of(loss)) if still else None


def _scale(needed: Floats, separation: Floats) -> Floats:
    """The least s with s·separation ≥ needed: 0 where nothing is needed, ∞ where no s will do."""
    apart = separation > 0
    bound = needed / np.where(apart, separation, 1.0)
    return np.where(needed <= 0, np.where(apart, bound, 0.0), np.where(apart, bound, np.inf))


def joint_reach(frame: pd.DataFrame) -> pd.DataFrame:
    """Which bound says where class centres stop reaching a posterior with the margin included.

    Args:
        frame: `joint_audit`.

    Returns:
        A row for each condition, arm and P of `JOINT_REACHES`, over the listed points (s, m), one cell each whatever
        its replicates: `condition`, `arm`, `posterior` P, `cells`; `both`, cells in which both bounds allow P_m ≥ P,
        and `both_reached`, those in which some trial reached it; `paper_only`, cells in which the paper's bound allows
        it and the joint one doesn't, and `paper_only_reached`, which has to be 0; `neither` and `neither_reached`,
        which has to be 0 as well.
    """
    rows = []
    for (condition, arm), trials in frame.groupby(KEYS, sort=False):
        cells = trials.groupby(["s", "m"], sort=True)[["log_odds", "paper_log_odds", "joint_log_odds"]].max()
        rounding = logit_rounding(cells.index.get_level_values("s").to_numpy(dtype=float))
        for posterior in JOINT_REACHES:
            least = np.log(posterior) - np.log1p(-posterior)
            reached = (cells["log_odds"] >= least + rounding).to_numpy()
            paper, joint = ((cells[f"{name}_log_odds"] >= least).to_numpy() for name in ("paper", "joint"))
            counts = [
                int(count)
                for where in (joint, paper & ~joint, ~paper)
                for count in (where.sum(), (where & reached).sum())
            ]
            rows.append((condition, arm, posterior, len(cells), *counts))
    return pd.DataFrame(
        rows,
        columns=[
            *KEYS, "posterior", "cells", "both", "both_reached", "paper_only", "paper_only_reached", "neither",
            "neither_reached",
        ],
    )  # fmt: skip


def joint_findings(frame: pd.DataFrame) -> list[str]:
    """What the trials say of the joint bound, a sentence each.

    Args:
        frame: `joint_audit`; of nothing nothing is said.
    """
    if frame.empty:
        return []
    return [*_never_violated(frame), *_reached(joint_reach(frame)), *_looseness(frame), *_widest(frame)]


def _never_violated(frame: pd.DataFrame) -> list[str]:
    wrong = frame.loc[frame["violation"], "trial_id"].astype(str).to_list()
    if wrong:
        return [
            f"{counted(len(wrong), 'trial')} of {len(frame):,} {'lies' if len(wrong) == 1 else 'lie'} below the joint "
            f"bound, which is impossible: something was measured wrongly ({some(wrong)})."
        ]
    return [f"No trial has a scale below the joint bound at its own P_m ({counted(len(frame), 'trial')})."]


def _reached(reach: pd.DataFrame) -> list[str]:
    found = []
    for posterior, rows in reach.groupby("posterior", sort=True):
        total = {name: int(rows[name].sum()) for name in rows.columns[3:]}
        asked = f"P_m ≥ {posterior:g}"
        if total["paper_only"]:
            reached = total["paper_only_reached"] or "none"
            between = (
                f"of the {total['paper_only']:,} that the paper’s bound allows and the joint one does not, {reached} "
                "reached it"
            )
        else:
            between = "none lies between the two bounds, so that they can’t be told apart"
        found.append(
            f"For {asked}, {between}; of the {total['both']:,} that both allow, {total['both_reached']:,} did "
            f"({counted(total['cells'], 'point')} (s, m))."
        )
    return found


def _looseness(frame: pd.DataFrame) -> list[str]:
    told = frame.dropna(subset=["joint_tightness", "paper_tightness"])
    if told.empty:
        return ["No class centre is above 1/C with the margin in its logit, so that neither bound says anything."]
    joint, paper = told["joint_tightness"], told["paper_tightness"]
    return [
        f"The scale in use is {joint.median():.2f} times the joint bound and {paper.median():.2f} times the paper’s "
        f"(medians; least {joint.min():.2f} and {paper.min():.2f}): the paper’s is loose by what the margin takes."
    ]


def _widest(frame: pd.DataFrame) -> list[str]:
    """The point at which the two bounds differ most, as an example."""
    apart = frame["paper_posterior"] - frame["joint_posterior"]
    if not apart.max() > 0.05:
        return []
    row = frame.iloc[int(apart.to_numpy().argmax())]
    unit = " rad" if row["kind"] == "angle" else ""
    return [
        f"They differ most at s = {scale_text(row['s'])}, m = {row['m']:.3g}{unit} with {int(row['num_classes']):,} "
        f"classes: the paper’s allows P_m = {_posterior(row['paper_posterior'])}, the joint one "
        f"{_posterior(row['joint_posterior'])}, and {_posterior(row['posterior'])} was reached."
    ]


def _posterior(p: float) -> str:
    if p > 0.9995:
        return "1 to three digits"
    if p >= 0.0005 or p == 0:
        return f"{p:.3f}"
    mantissa, exponent = f"{p:.1e}".split("e-")
    return f"{mantissa}·10⁻" + str(int(exponent)).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))
