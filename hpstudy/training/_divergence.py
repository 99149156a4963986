"""Noticing that a trial has diverged, and saying where it began."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpstudy.catalog import SCALES

LARGEST_SCALE = SCALES["fixed"].parameters["s"].maximum
"""The largest s that a study may ask for; an adaptive scale beyond it has run away, be it ever so finite."""

_WATCHED = {
    "s": "scale s",
    "log_b_avg": "log B_avg",
    "loss": "loss",
    "grad_norm": "gradient norm",
    "theta_med": "θ_med",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Divergence:
    """Where and how a trial diverged."""

    row: int
    """Index of the first bad step among those examined."""
    step: int
    """1-based optimiser step."""
    cause: str


def find_divergence(columns: Mapping[str, NDArray[Any]]) -> Divergence | None:
    """The first step at which a watched value is not finite or s is past `LARGEST_SCALE`, or None.

    Args:
        columns: Trajectory columns with `step` among them, equally long.
    """
    sound = {name: np.isfinite(columns[name]) for name in _WATCHED}
    sound["s"] &= columns["s"] <= LARGEST_SCALE
    bad = ~np.logical_and.reduce(list(sound.values()))
    if not bad.any():
        return None
    row = int(bad.argmax())
    step = int(columns["step"][row])
    culprit = next(name for name in _WATCHED if not sound[name][row])
    value = float(columns[culprit][row])
    if math.isfinite(value):
        cause = f"scale s ran away to {value:.4g} at step {step}, past {LARGEST_SCALE:g}"
    else:
        cause = f"{_WATCHED[culprit]} became {value} at step {step}"
    if row:
        cause += (
            f" (one step before: s = {columns['s'][row - 1]:.4g}, log B_avg = {columns['log_b_avg'][row - 1]:.4g}, "
            f"θ_med = {math.degrees(columns['theta_med'][row - 1]):.1f}°)"
        )
    return Divergence(row=row, step=step, cause=cause)
