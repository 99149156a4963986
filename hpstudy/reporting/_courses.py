"""How the training of arms went, small enough to draw: bands over the confirm trials, read one trial at a time."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from hpstudy.analysis import decimate, first_crossing, seed_band

COLUMNS = ("theta_med", "log_b_avg", "s", "implied_p_w")
"""What is drawn of a trajectory."""

_POINTS = 240
_EARLY = 0.95
"""A trial that stops before this share of the longest one has been cut short."""


@dataclass(frozen=True, slots=True, eq=False)
class ArmCourse:
    """Confirm trials of one arm in one condition."""

    trials: int
    last: int
    """Last step of the longest trial."""
    bands: Mapping[str, pd.DataFrame]
    """`seed_band` of each column, thinned; extremes stay."""
    scale: pd.DataFrame
    """`seed_band` of s, every step."""
    ends: tuple[tuple[int, Mapping[str, tuple[int, float]]], ...]
    """Last step of each trial, and the last finite value of each column with its step."""


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """Confirm trials of every arm in one condition."""

    condition: str
    arms: Mapping[str, ArmCourse]
    chosen: pd.DataFrame
    """`arm`, `search_seed` and `s`: each chosen or given scale."""
    crossings: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def last(self) -> int:
        """Last step of the longest trial."""
        return max((arm.last for arm in self.arms.values()), default=0)

    def cut_short(self, arm: str, column: str) -> list[tuple[int, float]]:
        """Where trials of an arm stopped well before the others: the step and the last finite value."""
        return [
            values[column]
            for step, values in self.arms[arm].ends
            if column in values and values[column][0] < _EARLY * self.last
        ]


def arm_course(frames: Iterable[pd.DataFrame]) -> ArmCourse | None:
    """Sums up the trajectories of one arm; None without a step."""
    kept: list[pd.DataFrame] = []
    for frame in frames:
        if len(frame):
            kept.append(frame[["step", *(c for c in COLUMNS if c in frame)]])
    if not kept:
        return None
    full = {column: seed_band([f for f in kept if column in f], column) for column in COLUMNS}
    return ArmCourse(
        trials=len(kept),
        last=max(int(frame["step"].max()) for frame in kept),
        bands={
            column: decimate(band, _POINTS, ["median", "low", "high"])
            for column, band in full.items()
            if not band.empty
        },
        scale=full["s"],
        ends=tuple((int(frame["step"].iloc[-1]), _last_values(frame)) for frame in kept),
    )


def _last_values(frame: pd.DataFrame) -> dict[str, tuple[int, float]]:
    found = {}
    for column in frame.columns.drop("step"):
        sound = np.flatnonzero(np.isfinite(frame[column].to_numpy(dtype=float)))
        if sound.size:
            found[str(column)] = int(frame["step"].iloc[sound[-1]]), float(frame[column].iloc[sound[-1]])
    return found


def crossings(
    condition: str, arms: Mapping[str, ArmCourse], adaptive: Sequence[str], chosen: pd.DataFrame
) -> pd.DataFrame:
    """Where the scale of each adaptive arm that moves first meets the chosen scale of each other arm.

    Args:
        condition: The condition.
        arms: Course of every arm.
        adaptive: Arms whose scale sets itself.
        chosen: `arm`, `search_seed` and `s` of the others.

    Returns:
        `condition`, `adaptive`, `arm`, `search_seed`, `s` (the chosen one), `first`, `last` (the adaptive scale's
        median at its ends), `step` of the crossing (NaN if there is none) and `share` of the training before it.
    """
    rows = []
    for rival in adaptive:
        if rival not in arms or arms[rival].scale["median"].nunique() < 2:
            continue
        scale = arms[rival].scale
        for row in chosen.to_dict("records"):
            step = first_crossing(scale, float(row["s"]))
            ends = float(scale["median"].iloc[0]), float(scale["median"].iloc[-1])
            share = step / max(arms[rival].last, 1)
            rows.append((condition, rival, row["arm"], row["search_seed"], row["s"], *ends, step, share))
    names = ["condition", "adaptive", "arm", "search_seed", "s", "first", "last", "step", "share"]
    return pd.DataFrame(rows, columns=names)
