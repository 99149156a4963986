"""Non-target angles and B_avg during training, against what AdaCos takes them to be."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hpstudy.reporting._style import MUTED, ArmStyle, arm_legend, new_figure, panel_title, row_title

_COLUMNS: tuple[tuple[str, str, bool], ...] = (
    ("nontarget", "mean non-target angle (degrees)", True),
    ("nontarget_spread", "its spread (degrees)", True),
    ("log_b_excess", r"$\log\,B_{\mathrm{avg}} - \log(C-1)$ (nats)", False),
)
_PREMISES = {"nontarget": 90.0, "log_b_excess": 0.0}
_OUTLIER = 8.0
"""An axis is logarithmic beyond a nat where the largest value of an arm is so many times that of the middle arm."""


def premises_figure(courses: pd.DataFrame, styles: Mapping[str, ArmStyle]) -> Figure:
    """Median and quartiles over the trials of each arm against the share of training; a row a condition.

    Args:
        courses: `premise_courses`, of one condition or of several, with at least one row.
        styles: Style of every arm.
    """
    conditions = courses["condition"].drop_duplicates().to_list()
    several = len(conditions) > 1
    figure = new_figure(0.5 + 1.6 * len(conditions) if several else 2.4)
    grid = figure.subplots(len(conditions), len(_COLUMNS), squeeze=False, sharex=True)
    for i, (panels, condition) in enumerate(zip(grid, conditions, strict=True)):
        here = courses[courses["condition"] == condition]
        for axes, (column, _, angle) in zip(panels, _COLUMNS, strict=True):
            _panel(axes, here, column, styles, 180 / np.pi if angle else 1.0)
        if several:
            row_title(panels[0], condition, above_panel_title=i == 0)
    for axes, letter, (_, title, _) in zip(grid[0], "abc", _COLUMNS, strict=True):
        panel_title(axes, letter, title)
    for axes in grid[-1]:
        axes.set_xlabel("share of training (%)")
    drawn = set(courses["arm"])
    arm_legend(figure, {arm: styles[arm] for arm in styles if arm in drawn})
    return figure


def _panel(axes: Axes, courses: pd.DataFrame, column: str, styles: Mapping[str, ArmStyle], factor: float) -> None:
    premise = _PREMISES.get(column)
    if premise is not None:
        axes.axhline(premise, color=MUTED, lw=0.8, ls="--", zorder=1, label="_premise")
    for arm in (arm for arm in styles if arm in set(courses["arm"])):
        rows, style = courses[courses["arm"] == arm], styles[arm]
        share = 100 * rows["share"]
        if rows["trials"].max() > 1:
            low, high = factor * rows[f"{column}_low"], factor * rows[f"{column}_high"]
            axes.fill_between(share, low, high, color=style.colour, alpha=0.15, lw=0, zorder=2)
        axes.plot(share, factor * rows[column], color=style.colour, ls=style.line, lw=style.width, zorder=3, label=arm)
    axes.set_xlim(0, 100)
    axes.set_xticks([0, 25, 50, 75, 100])
    if column == "nontarget":
        bottom, top = axes.get_ylim()
        axes.set_ylim(min(bottom, 84.0), max(top, 96.0))
    if column == "nontarget_spread":
        axes.set_ylim(bottom=0)
    if column == "log_b_excess":
        peaks = courses.groupby("arm")[column].max().dropna().sort_values()
        if len(peaks) > 1 and peaks.iloc[-1] > _OUTLIER * max(float(peaks.iloc[(len(peaks) - 1) // 2]), 1.0):
            axes.set_yscale("symlog", linthresh=1.0)
