"""θ_med, log B_avg, s and the implied P_W against the step."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from hpstudy.analysis import scale_text
from hpstudy.reporting._courses import Course
from hpstudy.reporting._style import INK, ArmStyle, arm_legend, new_figure, panel_title, row_title, spread_labels

_RUNAWAY = 20.0
_LEAST, _MOST = 1e-3, 1 - 1e-6

Numbers = NDArray[np.floating[Any]]


def trajectory_figure(courses: Sequence[Course], styles: Mapping[str, ArmStyle]) -> Figure:
    """Median and quartiles over the confirm trials of each arm: one condition in four panels, several in a row each.

    Args:
        courses: One a condition, at least one.
        styles: Style of every arm.
    """
    several = len(courses) > 1
    figure = new_figure(0.5 + 1.42 * len(courses) if several else 3.75)
    grid = figure.subplots(len(courses) if several else 2, 4 if several else 2, squeeze=False)
    rows = grid if several else grid.reshape(1, 4)
    for panels, course in zip(rows, courses, strict=True):
        _condition(panels, course, styles, compact=several)
    for axes, letter, title in zip(rows[0], "abcd", _titles(several), strict=True):
        panel_title(axes, letter, title)
    for axes in grid[-1]:
        axes.set_xlabel("step")
    if several:
        for i, course in enumerate(courses):
            row_title(rows[i][0], course.condition, above_panel_title=i == 0)
    else:
        for axes in grid[0]:
            axes.tick_params(labelbottom=False)
    drawn = {arm for course in courses for arm in course.arms}
    arm_legend(figure, {arm: styles[arm] for arm in styles if arm in drawn})
    return figure


def _titles(compact: bool) -> tuple[str, str, str, str]:
    angle, log_b = r"\theta_{\mathrm{med}}", r"\log\,B_{\mathrm{avg}}"
    if compact:
        return f"${angle}$ (degrees)", f"${log_b}$ (nats)", "scale $s$", "granted $P_W$"
    return (
        f"median target angle ${angle}$ (degrees)", f"${log_b}$ (nats)", "scale $s$",
        "$P_W$ that CosFace’s bound grants this $s$",
    )  # fmt: skip


def _condition(panels: Sequence[Axes], course: Course, styles: Mapping[str, ArmStyle], *, compact: bool) -> None:
    angle, log_b, scale, implied = panels
    several = course.chosen.groupby("arm")["s"].nunique().to_dict()
    for arm in course.arms:
        style = styles[arm]
        _band(angle, course, arm, "theta_med", style, np.degrees)
        _band(log_b, course, arm, "log_b_avg", style)
        # Several searches chose several scales, and the median of those is none of them.
        if several.get(arm, 1) < 2:
            _band(scale, course, arm, "s", style)
        _band(implied, course, arm, "implied_p_w", style, lambda p: np.clip(p, _LEAST, _MOST))
    for row in course.chosen.to_dict("records"):
        if several.get(row["arm"], 1) > 1:
            scale.axhline(row["s"], color=styles[row["arm"]].colour, lw=0.6)
    for axes in (log_b, scale):
        low, high = axes.dataLim.intervaly
        if 0 < low < high / _RUNAWAY:
            axes.set_yscale("log")
    if implied.lines:
        implied.set_yscale("logit", one_half="0.5")
        implied.minorticks_off()
    angle.set_ylim(bottom=0)
    for axes in panels:
        axes.set_xlim(0, max(course.last, 1))
    _mark_chosen(scale, course, styles, texts=not compact)
    _mark_crossings(scale, course, styles)


def _band(
    axes: Axes,
    course: Course,
    arm: str,
    column: str,
    style: ArmStyle,
    shown: Callable[[Numbers], Numbers] = np.asarray,
) -> None:
    found = course.arms[arm]
    if column not in found.bands:
        return
    band = found.bands[column]
    steps = band["step"].to_numpy(dtype=float)
    if found.trials > 1:
        low, high = shown(band["low"].to_numpy()), shown(band["high"].to_numpy())
        axes.fill_between(steps, low, high, color=style.colour, alpha=0.22, lw=0)
    axes.plot(steps, shown(band["median"].to_numpy()), color=style.colour, lw=style.width, ls=style.line)
    for step, value in course.cut_short(arm, column):
        axes.plot(step, shown(np.array([value])), "x", color=style.colour, ms=5, mew=1.2)


def _mark_chosen(axes: Axes, course: Course, styles: Mapping[str, ArmStyle], *, texts: bool) -> None:
    """A tick for every s* at the right edge of the axis; with its value where there is room, moved apart if need be."""
    rows = course.chosen.dropna(subset="s").drop_duplicates(["arm", "s"]).to_dict("records")
    for row in rows:
        axes.annotate(
            "", (1, row["s"]), xycoords=axes.get_yaxis_transform(), xytext=(6, 0), textcoords="offset points",
            arrowprops={"arrowstyle": "-", "color": styles[row["arm"]].colour, "lw": 1.3}, annotation_clip=False,
        )  # fmt: skip
    if not texts or len(rows) > 8:
        return
    to_axes = axes.transScale + axes.transLimits
    heights = [float(to_axes.transform((0.0, row["s"]))[1]) for row in rows]
    for row, height in zip(rows, spread_labels(heights, 0.09, 0.0, 1.0), strict=True):
        axes.annotate(
            f"s* = {scale_text(row['s'])}", (1, height), xycoords="axes fraction", xytext=(8, 0),
            textcoords="offset points", va="center", ha="left", fontsize=7.5, color=styles[row["arm"]].colour,
        )  # fmt: skip


def _mark_crossings(axes: Axes, course: Course, styles: Mapping[str, ArmStyle]) -> None:
    """A ring where an adaptive scale first meets a chosen one."""
    for row in course.crossings.to_dict("records") if len(course.crossings) else ():
        if np.isfinite(row["step"]):
            axes.plot(row["step"], row["s"], "o", ms=5, mfc="white", mec=INK, mew=0.9, zorder=5)
            axes.plot(row["step"], row["s"], "o", ms=2.2, color=styles[row["arm"]].colour, mew=0, zorder=6)
