"""What an arm is: searched, grid, fixed, or one whose scale sets itself."""

from typing import Literal

import pandas as pd

from hpstudy.catalog import LOSSES, MARGINS, SCALES

ArmKind = Literal["searched", "grid", "fixed", "adaptive"]

TUNED: tuple[ArmKind, ...] = ("searched", "grid", "fixed")
"""Kinds whose s or m somebody chose; what an adaptive scale is compared with."""

KEYS = ["condition", "arm"]


def margin_of(loss: str) -> str:
    """Name of the margin part of a loss, a catalogue name or `margin+scale`; empty if it has none or is unknown."""
    if loss in LOSSES:
        return LOSSES[loss].margin
    margin = loss.split("+", 1)[0]
    return margin if margin in MARGINS else ""


def scale_of(loss: str) -> str:
    """Name of the scale part of a loss, a catalogue name or `margin+scale`; empty if it has none or is unknown."""
    if loss in LOSSES:
        return LOSSES[loss].scale
    scale = loss.split("+", 1)[-1]
    return scale if scale in SCALES else ""


def margin_unit(loss: str) -> str:
    """Unit of the loss's m (`cosine`, `rad`, `factor`, …), empty where it has none."""
    part = LOSSES.get(loss) or MARGINS.get(margin_of(loss))
    parameter = part.parameters.get("m") if part else None
    return parameter.unit if parameter else ""


def sets_own_scale(loss: str) -> bool:
    """Whether the scale follows from a rule or is learned, so that there is no s to search for."""
    scale = SCALES.get(scale_of(loss))
    return scale is not None and scale.sets_itself


def _kind(trials: pd.DataFrame) -> ArmKind:
    chosen = [name for name in ("param/s", "param/m") if name in trials and trials[name].notna().any()]
    if sets_own_scale(str(trials["loss"].iloc[0])) and not chosen:
        return "adaptive"
    phases = set(trials["phase"])
    return "searched" if "search" in phases else "grid" if "grid" in phases else "fixed"


def arm_kinds(trials: pd.DataFrame) -> dict[str, ArmKind]:
    """Kind of every arm, tuned arms first, each group in alphabetical order.

    An arm is `adaptive` if its scale follows from a rule or is learned, and neither s nor m was chosen for it: AdaCos
    in all its forms, a learned scale. The same scale with a searched margin is a tuned arm.
    """
    kinds = {str(arm): _kind(rows) for arm, rows in trials.groupby("arm", sort=True)}
    return dict(sorted(kinds.items(), key=lambda item: (item[1] == "adaptive", item[0])))


def conditions(trials: pd.DataFrame) -> list[str]:
    """Condition ids in the order of the table."""
    return [str(condition) for condition in trials["condition"].drop_duplicates()]
