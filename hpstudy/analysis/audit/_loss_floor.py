"""NormFace's floor of the loss held against what trials came to."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from hpstudy.analysis._account import some
from hpstudy.analysis._arms import margin_of, scale_of
from hpstudy.analysis._words import counted, listed, scale_text
from hpstudy.analysis.audit._prototype_laws import Floats, column, logit_rounding
from hpstudy.catalog import SCALES
from hpstudy.theory import MarginKind, implied_posterior, normface_loss_bound

_KINDS: Mapping[str, MarginKind] = {
    "none": "cosine",
    "additive_cosine": "cosine",
    "mv_cosine": "cosine",
    "additive_angle": "angle",
    "mv_angle": "angle",
    "multiplicative_angle": "factor",
    "annealed_multiplicative_angle": "factor",
    "divided_angle": "factor",
}
"""Margins that the proof covers."""
_ANY_RULE_RAD = math.pi / 3
"""Up to this margin ArcFace's floor stands whatever is done where θ + m > π."""
_LOSS_ROUNDING = 2.0**-50
"""Cross-entropy in float64 is right to so much, times the size of its logits."""
_RESOLVED = 100.0
"""A floor this many times what rounding may take from a loss is a floor that a loss can be compared with."""
_TIGHT = 1.05
_APART = 0.99
_PAPER_CLASSES = 10_575
"""CASIA-WebFace, NormFace's training set."""


def floor_kind(loss: str) -> MarginKind | None:
    """What the margin of a loss acts on as far as its floor goes; None if no floor is known for it.

    Args:
        loss: A catalogue name or `margin+scale`.
    """
    scale = SCALES.get(scale_of(loss))
    if scale is None or scale.reads_norm:
        return None
    return _KINDS.get(margin_of(loss))


def loss_floor(trials: pd.DataFrame) -> pd.DataFrame:
    """The training loss of each completed trial against the least that its s, m and number of classes allow.

    NormFace's Proposition 2 (arXiv:1704.06369) with the margin kept, `margin_loss_bound`, for the mean over classes of
    the mean over their samples. Each sample loses ln(1 + Σ_{j≠y} e^{s(cos θ_j − ψ)}), convex in these differences,
    so that the mean loses at least ln(1 + (C−1)·e^{s·a}), a the class-balanced mean of cos θ_j − ψ over j ≠ y. With
    class means x_c of the unit features, prototypes W_c, and W̄ and x̄ their means, a without a margin is
    −1/(C−1)·Σ_c (W_c − W̄)·(x_c − x̄), which by Cauchy and Schwarz is at least −C/(C−1): no vector is longer than 1.
    Nothing is asked of where features lie, and nothing of what a label means, so that it holds for noisy labels too. It
    needs every class to weigh the same, hence the class-balanced mean, and a sample in every class: where label noise
    left a class without one, the mean over the others is no evidence. As samples are shown by imbalanced data, their
    mean may be below the floor.

    A margin comes in through ψ: cos θ − ψ is m for CosFace, at least 1 − cos m for ArcFace where θ + m ≤ π, and at
    least 0 for SphereFace. Past π ArcFace's can be less, but only for features nearly opposite to their prototype,
    which cost more than that: weighing one against the other (a linear programme over W_c·W̄, solved on a grid) leaves
    the floor standing for every m up to π/2 where ψ keeps falling, stays at −1 or jumps down, and up to π/3 under every
    rule in use for θ + m > π. Which rule an arm has is not recorded, so that above π/3 no angular margin is said to
    have crossed. MV-softmax and a margin on the non-target angles only raise other logits. Left out are losses that the
    proof says nothing of: those that scale by ‖x‖ or ‖W‖, lower other logits (CurricularFace), or have a margin of
    several parameters. Regularisers and penalties are not in the recorded loss, which is of the logits alone.

    Returns:
        One row a completed trial that recorded its loss and has a floor: `trial_id`, `condition`, `arm`, `loss` (its
        name), `num_classes`, `embedding_dim`; `s` at the end; `m` (0 without, NaN for a factor that is not recorded);
        `kind` of the margin; `imbalance` and `label_noise` of the data (1 and 0 where not recorded); `accuracy` on the
        training samples; `floor`, `shown` (the loss as often as samples are shown) and `balanced` (class-balanced), in
        nats; `equivalent_s`, the scale that has the same floor without a margin; `ratio` balanced / floor, `gap` its
        logarithm, both NaN where the floor is too small to be resolved; `excess` balanced − floor (nats); `allowance`
        (nats), what rounding can have taken from the loss; `crossed`: the balanced loss is below the floor by more than
        that, which is impossible; `crossed_as_shown`: the other one is, which imbalance permits.
    """
    ended = trials[trials["status"] == "completed"]
    kinds = ended["loss"].map(lambda loss: floor_kind(str(loss)))
    kept = kinds.notna().to_numpy() & np.isfinite(column(ended, "geometry/train_loss"))
    ended, kinds = ended[kept].reset_index(drop=True), kinds[kept].reset_index(drop=True)
    frame = ended[["trial_id", "condition", "arm", "loss", "num_classes", "embedding_dim"]].copy()
    frame["s"] = _final_scale(ended)
    frame["m"] = np.where([margin_of(str(loss)) == "none" for loss in ended["loss"]], 0.0, column(ended, "m"))
    frame["kind"] = kinds.astype(object)
    frame["imbalance"] = column(ended, "data/imbalance", absent=1.0)
    frame["label_noise"] = column(ended, "data/label_noise", absent=0.0)
    frame["accuracy"] = column(ended, "geometry/train_accuracy")
    frame["shown"] = column(ended, "geometry/train_loss")
    frame["balanced"] = column(ended, "geometry/train_loss_balanced")
    frame["equivalent_s"] = _equivalent_scale(frame)
    known = np.isfinite(frame["equivalent_s"])
    frame["floor"] = np.nan
    frame.loc[known, "floor"] = normface_loss_bound(frame.loc[known, "num_classes"], frame.loc[known, "equivalent_s"])
    _compare(frame)
    return frame


def _final_scale(ended: pd.DataFrame) -> Floats:
    final, configured = column(ended, "geometry/final_s"), column(ended, "s")
    return np.where(np.isfinite(final), final, configured)


def _equivalent_scale(frame: pd.DataFrame) -> Floats:
    """s·(g(0) + 1/(C−1))·(C−1)/C: `margin_loss_bound` is NormFace's bound at it."""
    kind, count = frame["kind"].to_numpy(), frame["num_classes"].to_numpy(dtype=float)
    s, m = frame["s"].to_numpy(), frame["m"].to_numpy()
    target = np.select([kind == "cosine", kind == "angle"], [1 - m, np.cos(m)], default=1.0)
    return np.where(np.isfinite(s), s * (target + 1 / (count - 1)) * (count - 1) / count, np.nan)


def _compare(frame: pd.DataFrame) -> None:
    s, floor, balanced, shown = (frame[name].to_numpy() for name in ("s", "floor", "balanced", "shown"))
    allowance = -floor * np.expm1(-logit_rounding(s)) + (1 + s) * _LOSS_ROUNDING
    resolved = (floor > _RESOLVED * (1 + s) * _LOSS_ROUNDING) & (balanced > 0)
    frame["ratio"] = np.where(resolved, balanced, np.nan) / np.where(resolved, floor, 1.0)
    frame["gap"] = np.log(frame["ratio"])
    frame["excess"] = balanced - floor
    frame["allowance"] = allowance
    judged = (frame["kind"] != "angle") | (frame["m"] <= _ANY_RULE_RAD)
    frame["crossed"] = judged & (balanced < floor - allowance)
    frame["crossed_as_shown"] = shown < floor - allowance


def floor_at(num_classes: int, s: float = 1.0) -> tuple[float, float, float]:
    """NormFace's floor at a scale without a margin (nats), its share of ln C, and the largest posterior it leaves.

    ln C is the loss of a head that says nothing.
    """
    floor = normface_loss_bound(num_classes, s)
    return floor, floor / float(np.log(num_classes)), implied_posterior(num_classes, s)


def trials_at_one(frame: pd.DataFrame) -> pd.DataFrame:
    """The trials of `loss_floor` at s = 1 without noise and imbalance, whatever their margin."""
    return frame[np.isclose(frame["s"], 1.0) & (frame["label_noise"] == 0) & (frame["imbalance"] <= 1)]


def floor_findings(frame: pd.DataFrame) -> list[str]:
    """What the trials say of NormFace's floor, a sentence each.

    Args:
        frame: `loss_floor`; of nothing nothing is said.
    """
    if frame.empty:
        return []
    return [*_never_crossed(frame), *_tightness(frame), *_imbalanced(frame), *_smallest_scale(frame)]


def _never_crossed(frame: pd.DataFrame) -> list[str]:
    judged = frame[frame["balanced"].notna() & frame["floor"].notna()]
    crossed = judged.loc[judged["crossed"], "trial_id"].astype(str).to_list()
    if crossed:
        return [
            f"{counted(len(crossed), 'trial')} of {len(judged):,} {_have(crossed)} a class-balanced training loss "
            f"below the floor, which is impossible: something was measured wrongly ({some(crossed)})."
        ]
    if judged.empty:
        return ["No trial recorded its class-balanced training loss."]
    return [f"The class-balanced training loss is never below the floor ({counted(len(judged), 'trial')})."]


def _have(of: Sequence[str]) -> str:
    return "has" if len(of) == 1 else "have"


def _tightness(frame: pd.DataFrame) -> list[str]:
    """How near the floor trials without margin, noise and imbalance come, where a simplex fits and where none does."""
    margin_free = np.isclose(frame["equivalent_s"], frame["s"], rtol=1e-9)
    plain = margin_free & (frame["imbalance"] <= 1) & (frame["label_noise"] == 0)
    clean = frame[plain & frame["ratio"].notna()]
    fits = clean["num_classes"] <= clean["embedding_dim"] + 1
    found = []
    for rows, where in ((clean[fits], "Where C ≤ K + 1"), (clean[~fits], "Where C > K + 1")):
        if rows.empty:
            continue
        by_scale = rows.groupby(rows["s"].round(6))["ratio"].agg(["min", "max"])
        near = by_scale.index[(by_scale["max"] <= _TIGHT).cummin()]
        last = f"at {_scale(by_scale.index[-1])} it is {_times(*by_scale.iloc[-1])} the floor"
        most = max(100 * (by_scale.loc[near, "max"].max() - 1), 0.1)
        within = (
            f"{where} the loss of every trial on balanced, rightly labelled data is within {most:.1f} % of the floor"
        )
        if len(near) == len(by_scale):
            found.append(f"{within} at every scale up to {_scale(near[-1])}.")
        elif len(near):
            found.append(f"{within} up to {_scale(near[-1])}; {last}.")
        else:
            first = f"{_times(*by_scale.iloc[0])} the floor at {_scale(by_scale.index[0])}"
            only = f"{where} the loss on balanced, rightly labelled data is {first}"
            found.append(f"{only}, and {last}." if len(by_scale) > 1 else f"{only}.")
    return found


def _scale(s: float) -> str:
    return f"s = {scale_text(float(s))}"


def _times(least: float, most: float) -> str:
    """The span of a ratio over trials, one number where both ends read the same."""
    if least >= 1e6:
        return "a million times and more"
    low, high = (f"{ratio:.3g}" if ratio < 100 else f"{ratio:,.0f}" for ratio in (least, min(most, 1e6)))
    return f"{low} times" if low == high else f"{low} to {high} times{' and more' if most > 1e6 else ''}"


def _imbalanced(frame: pd.DataFrame) -> list[str]:
    uneven = frame[(frame["imbalance"] > 1) & frame["floor"].notna()]
    even = frame[(frame["imbalance"] <= 1) & frame["crossed_as_shown"]]
    found = []
    if len(uneven):
        below = int(uneven["crossed_as_shown"].sum())
        most = uneven.loc[uneven["crossed_as_shown"], "imbalance"]
        span = f" (imbalance {listed([f'{value:g}' for value in sorted(set(most))])})" if below else ""
        found.append(
            f"On imbalanced data the mean loss of the samples as shown is below the floor in {below:,} of "
            f"{counted(len(uneven), 'trial')}{span}: the floor is for equally many samples of each class."
        )
    if len(even):
        found.append(
            f"In {counted(len(even), 'trial')} without a set imbalance the loss as shown is below the floor as well: "
            "their classes have unequal numbers of samples."
        )
    return found


def _smallest_scale(frame: pd.DataFrame) -> list[str]:
    """Why s = 1 can't converge for many classes, with what trials at it came to."""
    sizes = sorted({*frame["num_classes"].astype(int), _PAPER_CLASSES})
    told = []
    for count in sizes:
        floor, share, posterior = floor_at(count)
        of_guessing = f"{100 * share:.0f} % of ln C, a posterior of {_percent(posterior)}"
        told.append(f"{floor:.2f} nats with {count:,} classes ({of_guessing})")
    found = [f"At s = 1 the loss can't fall below {listed(told)}, whatever the network."]
    tried = trials_at_one(frame).dropna(subset=["accuracy", "balanced"])
    for count, rows in tried.groupby("num_classes", sort=True):
        accuracy = float(rows["accuracy"].median())
        found.append(
            f"With {int(str(count)):,} classes {counted(len(rows), 'trial')} at s = 1 ended at "
            f"{rows['balanced'].median():.2f} nats with {_percent(accuracy)} of the training samples nearest to their "
            f"own prototype{': the loss is high, the classes are apart' if accuracy > _APART else ''}."
        )
    return found


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
