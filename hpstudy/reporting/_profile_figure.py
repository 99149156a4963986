"""Arms over all conditions: how often they gain how much, what the middle half gains, and their ranks."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hpstudy.analysis import MetricName
from hpstudy.reporting._style import (
    FAINT,
    INK,
    MUTED,
    ArmStyle,
    arm_legend,
    literal,
    new_figure,
    panel_title,
)
from hpstudy.reporting._tables import bare_difference

_TAIL = 0.1
"""The axis of gains leaves out this share of all runs at either end, if they take most of its length."""
_RANK_ROW = 0.17
_RANK_MARGIN = 0.06
"""Distance of the names from the axis of ranks, as a fraction of it."""


def profile_figure(
    profiles: pd.DataFrame,
    summary: pd.DataFrame,
    styles: Mapping[str, ArmStyle],
    name: MetricName,
    margin: float,
    ranks: pd.DataFrame | None = None,
) -> Figure:
    """Left: share of runs that gain more than τ over the control. Right: IQM of the gains. Below: mean ranks, if any.

    The band is ±`margin` around the control.

    Args:
        profiles: `performance_profiles`.
        summary: `pooled_summary`, at least one row.
        styles: Style of every arm.
        name: The metric.
        margin: δ, in the metric's own unit.
        ranks: `rank_comparison`; without a row, or None, no ranks are drawn.
    """
    ranked = ranks is not None and len(ranks) > 0
    arms = [arm for arm in styles if arm in set(summary["arm"])]
    top = max(1.9, 0.75 + 0.24 * len(arms))
    bottom = 0.55 + _RANK_ROW * -(-len(arms) // 2) if ranked else 0.0
    figure = new_figure(top + bottom)
    heights = [top, bottom] if ranked else [top]
    grid = figure.add_gridspec(len(heights), 2, width_ratios=[1.15, 1], height_ratios=heights)
    left, right = figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[0, 1])
    control = str(summary["control"].iloc[0])
    unit = f" ({name.difference_unit})" if name.difference_unit else ""
    _profiles(left, profiles, styles, name.factor, margin)
    left.set_xlabel(f"gain over {literal(control)}, τ{unit}")
    _means(right, summary, styles, name, margin)
    right.set_xlabel(f"interquartile mean of the gains{unit}")
    panel_title(left, "a", "runs that gain more than τ")
    panel_title(right, "b", "what the middle half of the runs gains")
    if ranks is not None and ranked:
        below = figure.add_subplot(grid[1, :])
        _ranks(below, ranks, styles)
        panel_title(below, "c", f"mean rank over {int(ranks['conditions'].iloc[0])} conditions")
    arm_legend(figure, {arm: styles[arm] for arm in arms})
    return figure


def _profiles(axes: Axes, profiles: pd.DataFrame, styles: Mapping[str, ArmStyle], factor: float, margin: float) -> None:
    axes.axvspan(-margin * factor, margin * factor, color=FAINT, alpha=0.55, lw=0, zorder=0)
    axes.axvline(0, color=MUTED, lw=0.6, zorder=1)
    for arm in (arm for arm in styles if arm in set(profiles["arm"])):
        rows, style = profiles[profiles["arm"] == arm], styles[arm]
        taus = rows["tau"] * factor
        if rows["low"].notna().all():
            axes.fill_between(
                taus, 100 * rows["low"], 100 * rows["high"], color=style.colour, alpha=0.11, lw=0, zorder=1,
                step="post",
            )  # fmt: skip
        axes.step(taus, 100 * rows["share"], where="post", color=style.colour, ls=style.line, lw=style.width, zorder=3)
    axes.set_xlim(*_limits(profiles, factor))
    axes.set_ylim(-3, 103)
    axes.set_yticks([0, 25, 50, 75, 100])
    axes.set_ylabel("share of runs (%)")


def _limits(profiles: pd.DataFrame, factor: float) -> tuple[float, float]:
    """All gains; of a side on which a few lie far out, its near part, so that the others are not pressed together."""
    low, high = float(profiles["tau"].min()), float(profiles["tau"].max())
    mean = profiles.groupby("tau")["share"].mean()
    inner = mean[(mean <= 1 - _TAIL) & (mean >= _TAIL)].index
    if len(inner) > 1:
        width = max(float(inner[-1] - inner[0]), 0.02)
        low = low if inner[0] - low < width else float(inner[0]) - width / 2
        high = high if high - inner[-1] < width else float(inner[-1]) + width / 2
    return low * factor, high * factor


def _means(axes: Axes, summary: pd.DataFrame, styles: Mapping[str, ArmStyle], name: MetricName, margin: float) -> None:
    factor = name.factor
    axes.axvspan(-margin * factor, margin * factor, color=FAINT, alpha=0.55, lw=0, zorder=0)
    axes.axvline(0, color=MUTED, lw=0.6, zorder=1)
    rows = summary.iloc[::-1].to_dict("records")
    for y, row in enumerate(rows):
        style = styles[row["arm"]]
        if np.isfinite(row["low"]):
            axes.plot([row["low"] * factor, row["high"] * factor], [y, y], color=style.colour, lw=style.width)
        axes.plot(row["gain"] * factor, y, style.marker, color=style.colour, ms=5.5, mec="white", mew=0.5)
        told = "control" if row["arm"] == row["control"] else bare_difference(row["gain"], name)
        axes.annotate(
            told, (1, y), xycoords=("axes fraction", "data"), xytext=(8, 0), textcoords="offset points", va="center",
            fontsize=8, color=MUTED if told == "control" else INK,
        )  # fmt: skip
    axes.set_yticks(range(len(rows)), [literal(row["arm"]) for row in rows])
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.margins(x=0.08)


def _ranks(axes: Axes, ranks: pd.DataFrame, styles: Mapping[str, ArmStyle]) -> None:
    """An axis of ranks, best at the left, with the arms' names beside it; the band is the control's critical one."""
    count = len(ranks)
    half = -(-count // 2)
    control = ranks[ranks["arm"] == ranks["control"]].iloc[0]
    low, high = (float(control["mean_rank"] + sign * control["critical"]) for sign in (-1, 1))
    axes.set_axis_off()
    axes.set_xlim(1 - 0.3 * (count - 1), count + 0.3 * (count - 1))
    axes.set_ylim(-half - 0.5, 2.2)
    ends = np.clip([low, high], 1, count)
    axes.fill_between(ends, -half - 0.4, 0, color=FAINT, alpha=0.55, lw=0)
    axes.plot([1, count], [0, 0], color=INK, lw=0.6)
    for rank in range(1, count + 1):
        axes.plot([rank, rank], [0, 0.3], color=INK, lw=0.6)
        axes.text(rank, 0.5, f"{rank}", ha="center", va="bottom", fontsize=8)
    for i, row in enumerate(ranks.to_dict("records")):
        style, rank, at_left = styles[row["arm"]], row["mean_rank"], i < half
        y = -(i + 1) if at_left else -(count - i)
        gap = _RANK_MARGIN * (count - 1)
        end = 1 - gap if at_left else count + gap
        axes.plot([rank, rank, end], [0, y, y], color=style.colour, lw=style.width, ls=style.line)
        axes.plot(rank, 0, style.marker, color=style.colour, ms=5, mec="white", mew=0.5, zorder=4)
        name, mean = literal(row["arm"]), f"{rank:.1f}"
        axes.annotate(
            f"{name}  {mean}" if at_left else f"{mean}  {name}", (end, y), xytext=(-4 if at_left else 4, 0),
            textcoords="offset points", ha="right" if at_left else "left", va="center", fontsize=8,
            fontweight="bold" if row["word"] in ("better", "worse") else "normal",
        )  # fmt: skip
