"""Angles to the own prototype and to the others, at the start, in the middle and at the end of training."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hpstudy.analysis import STAGES
from hpstudy.reporting._style import FAINT, INK, MUTED, ArmStyle, literal, new_figure, panel_title, row_title

_RIDGE = 0.27
"""Height of one arm in inches."""
_BIN = 3
"""Degrees that one drawn bin sums up."""
_FULL = 0.92
"""Share of its row that the highest bin of an arm fills."""


def histogram_figure(angles: pd.DataFrame, styles: Mapping[str, ArmStyle]) -> Figure:
    """A column each stage of training, a row each arm: target angles in its colour, the others in grey.

    Args:
        angles: `angle_histograms` of every arm, with `condition` and `arm`; of one condition or of several.
        styles: Style of every arm.
    """
    conditions = angles["condition"].drop_duplicates().to_list()
    arms = {c: [arm for arm in styles if arm in set(angles.loc[angles["condition"] == c, "arm"])] for c in conditions}
    heights = [_RIDGE * len(arms[condition]) + 0.32 for condition in conditions]
    figure = new_figure(sum(heights) + 0.35)
    grid = figure.subplots(
        len(conditions), len(STAGES), sharex=True, sharey="row", squeeze=False, gridspec_kw={"height_ratios": heights}
    )
    for i, (panels, condition) in enumerate(zip(grid, conditions, strict=True)):
        here = angles[angles["condition"] == condition]
        for axes, stage in zip(panels, STAGES, strict=True):
            _panel(axes, here[here["stage"] == stage], arms[condition], styles)
        panels[0].set_yticks(
            [-0.72 - row for row in range(len(arms[condition]))], [literal(arm) for arm in arms[condition]]
        )
        for label, arm in zip(panels[0].get_yticklabels(), arms[condition], strict=True):
            label.set_color(styles[arm].colour)
        panels[0].set_ylim(-len(arms[condition]), 0.05)
        if len(conditions) > 1:
            row_title(panels[0], condition, above_panel_title=i == 0)
    for axes, letter, stage in zip(grid[0], "abc", STAGES, strict=True):
        epochs = angles.loc[angles["stage"] == stage, "epoch"]
        name = "" if epochs.empty else f" (epoch {epochs.min()})" if epochs.nunique() == 1 else ""
        panel_title(axes, letter, f"{stage}{name}")
    for axes in grid[-1]:
        axes.set_xlabel("angle to the prototype (degrees)")
        axes.set_xticks(range(0, 181, 30))
        axes.set_xlim(0, 130 if _beyond(angles, 130) < 0.002 else 180)
    return figure


def _panel(axes: Axes, angles: pd.DataFrame, arms: list[str], styles: Mapping[str, ArmStyle]) -> None:
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.axvline(90, color=FAINT, lw=0.6, zorder=0)
    for i, arm in enumerate(arms):
        base = -1.0 - i
        axes.axhline(base, color=FAINT, lw=0.5, zorder=1)
        rows = angles[angles["arm"] == arm]
        if rows.empty:
            axes.annotate(
                "no trial got here", (0.02, base + 0.12), xycoords=axes.get_yaxis_transform(), fontsize=7,
                color=MUTED,
            )  # fmt: skip
            continue
        _ridge(axes, rows["nontarget"], base, "#8c8c8c", MUTED)
        _ridge(axes, rows["target"], base, styles[arm].colour, styles[arm].colour)
        median = float(np.interp(0.5, rows["target"].cumsum(), rows["degrees"] + 1.0))
        axes.plot([median, median], [base, base + 0.16], color=INK, lw=0.9, zorder=4)


def _ridge(axes: Axes, shares: pd.Series, base: float, face: str, edge: str) -> None:
    heights = shares.to_numpy(dtype=float).reshape(-1, _BIN).sum(axis=1)
    if not heights.any():
        return
    heights = _FULL * heights / heights.max()
    edges = np.arange(0, 181, _BIN)
    axes.stairs(base + heights, edges, baseline=base, fill=True, color=face, alpha=0.3, lw=0, zorder=2)
    drawn = np.flatnonzero(heights > 1e-3)
    first, end = int(drawn[0]), int(drawn[-1]) + 1
    axes.stairs(base + heights[first:end], edges[first : end + 1], baseline=base, color=edge, lw=0.7, zorder=3)


def _beyond(angles: pd.DataFrame, degrees: int) -> float:
    """Largest share of angles beyond so many degrees."""
    rows = angles[angles["degrees"] >= degrees].groupby(["condition", "arm", "stage"])[["target", "nontarget"]].sum()
    return float(rows.to_numpy().max()) if len(rows) else 0.0
