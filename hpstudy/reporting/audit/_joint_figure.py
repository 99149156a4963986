"""The posterior that class centres reach with the margin included, against CosFace's bound and the joint one."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter

from hpstudy.analysis import scale_text
from hpstudy.analysis.audit import JOINT_REACHES
from hpstudy.reporting._style import (
    FAINT,
    INK,
    MUTED,
    ArmStyle,
    legend_above,
    literal,
    new_figure,
    panel_title,
    row_title,
    spread_labels,
)

_MOST_SCALES = 5
_LINEAR = 1.5
"""About up to here log odds are drawn linearly, beyond by their logarithm: P_m is near 0 or 1."""
_TICKS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
_COLUMNS = 2
_UNITS = {"cosine": "margin $m$ (cosine)", "angle": "margin $m$ (rad)"}
_WRONG = "#d00000"


def joint_figure(frame: pd.DataFrame, styles: Mapping[str, ArmStyle]) -> Figure:
    """Log odds of the smallest class-centre posterior with the margin, against m, for up to five scales.

    Args:
        frame: `joint_audit`, with a trial at least; a panel for each condition and kind of margin.
        styles: Style of every arm.
    """
    keys = list(frame[["condition", "kind"]].drop_duplicates().itertuples(index=False, name=None))
    columns = min(_COLUMNS, len(keys))
    rows = -(-len(keys) // columns)
    several = frame["condition"].nunique() > 1
    figure = new_figure(0.6 + (2.15 if several else 1.95) * rows if rows > 1 else 2.9)
    grid = figure.subplots(rows, columns, squeeze=False)
    panels = grid.reshape(-1)
    for i, (axes, (condition, kind)) in enumerate(zip(panels, keys, strict=False)):
        here = frame[(frame["condition"] == condition) & (frame["kind"] == kind)]
        _panel(axes, here, styles)
        axes.set_xlabel(_UNITS[kind])
        size = f"$C$ = {int(here['num_classes'].iloc[0]):,}, $K$ = {int(here['embedding_dim'].iloc[0]):,}"
        panel_title(axes, chr(ord("a") + i) if i < 26 else "", size)
        if several:
            row_title(axes, condition, above_panel_title=True)
        if i % columns == 0:
            axes.set_ylabel(r"log odds of $P_m$ (nats)")
    for axes in panels[len(keys) :]:
        axes.set_axis_off()
    drawn = {*frame["arm"]}
    arms = [
        Line2D([], [], color=MUTED, marker=style.marker, ls="none", ms=4.5, label=literal(arm))
        for arm, style in styles.items()
        if arm in drawn
    ]
    legend_above(
        figure,
        [
            *arms,
            Line2D([], [], color=INK, lw=1.1, label="joint bound"),
            Line2D([], [], color=INK, lw=0.9, ls="--", label="CosFace’s eq. 6"),
        ],
    )
    return figure


def _panel(axes: Axes, rows: pd.DataFrame, styles: Mapping[str, ArmStyle]) -> None:
    axes.set_yscale("asinh", linear_width=_LINEAR)
    count = int(rows["num_classes"].iloc[0])
    angular = rows["kind"].iloc[0] == "angle"
    scales = _shown(sorted({*rows["s"]}))
    shown = rows[rows["s"].isin(scales)]
    colours = sns.color_palette("flare", len(scales)).as_hex() if len(scales) > 1 else [INK]
    grid = np.linspace(0, 1.04 * float(shown["m"].max()), 120)
    target = np.cos(grid) if angular else 1 - grid
    ends = []
    for s, colour in zip(scales, colours, strict=True):
        paper = s * count / (count - 1) - np.log(count - 1)
        axes.plot(grid, s * (target + 1 / (count - 1)) - np.log(count - 1), color=colour, lw=1.1, zorder=2)
        axes.plot(grid[[0, -1]], [paper, paper], color=colour, lw=0.9, ls="--", zorder=1)
        ends.append(paper)
        for arm, group in shown[shown["s"] == s].groupby("arm", sort=True):
            axes.plot(
                group["m"], group["log_odds"], styles[str(arm)].marker, color=colour, ms=4.5, mec="white", mew=0.4,
                zorder=3,
            )  # fmt: skip
    wrong = shown[shown["violation"]]
    axes.plot(wrong["m"], wrong["log_odds"], "o", mfc="none", mec=_WRONG, ms=10, mew=1.5)
    axes.set_xlim(0, grid[-1])
    axes.yaxis.set_major_locator(FixedLocator([*(-tick for tick in _TICKS), 0.0, *_TICKS]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda odds, _: f"{odds:g}".replace("-", "−")))
    axes.minorticks_off()
    _marks(axes)
    _scale_labels(axes, scales, colours, ends)


def _shown(scales: list[float]) -> list[float]:
    """At most so many of the scales, evenly taken, the first and the last among them."""
    if len(scales) <= _MOST_SCALES:
        return scales
    return [scales[round(i * (len(scales) - 1) / (_MOST_SCALES - 1))] for i in range(_MOST_SCALES)]


def _marks(axes: Axes) -> None:
    """Where P_m is what is asked for."""
    low, high = axes.get_ylim()
    for posterior in JOINT_REACHES:
        axes.axhline(float(np.log(posterior / (1 - posterior))), color=FAINT, lw=0.8, zorder=0)
    axes.set_ylim(min(low, -1.5), max(high, 3.5))


def _scale_labels(axes: Axes, scales: list[float], colours: list[str], ends: list[float]) -> None:
    to_axes = axes.transScale + axes.transLimits
    heights = [float(to_axes.transform((0.0, end))[1]) for end in ends]
    for s, colour, height in zip(scales, colours, spread_labels(heights, 0.085, 0.0, 1.0), strict=True):
        axes.annotate(
            f"$s$ = {scale_text(s)}", (1, height), xycoords="axes fraction", xytext=(4, 0), textcoords="offset points",
            va="center", ha="left", fontsize=7.5, color=colour,
        )  # fmt: skip
