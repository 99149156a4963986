"""Figures of a comparison: differences study by study, and how the chosen scales move with the size of the problem."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from hpstudy.analysis import BEST, MetricName, metric_name
from hpstudy.reporting._style import FAINT, INK, MUTED, ArmStyle, legend_above, literal, new_figure, panel_title
from hpstudy.theory import adacos_fixed_scale, cosface_scale_bound

_ROW = 0.19
_LONGEST_LABEL = 34
_RUNAWAY = 1e4
"""A final scale beyond this has run away and would flatten the axis."""


@dataclass(frozen=True, slots=True)
class _Line:
    """One line of a forest: a study's heading, a difference, or a pooled one."""

    label: str
    row: Mapping[Any, Any] | None
    margin: float
    heading: bool = False
    pooled: bool = False


def across_forest(found: pd.DataFrame, pooled: pd.DataFrame, styles: Mapping[str, ArmStyle]) -> Figure:
    """The best tuned arm minus the best adaptive one: a row per study × condition, a panel per metric.

    Shaded behind each row: the study's ±δ. Filled marks: a finding (better, worse, equivalent); hollow ones: not shown.
    Below, as diamonds from end to end of their intervals, the pooled differences.

    Args:
        found: `Across.table`, or some studies of it.
        pooled: `pooled_differences`, or none of it.
        styles: Style of every arm.
    """
    panels = [(str(metric), _lines(rows, pooled)) for metric, rows in found.groupby("metric", sort=False)]
    heights = [len(lines) + 2.6 for _, lines in panels]
    figure = new_figure(0.25 + _ROW * sum(heights))
    axes_of = figure.subplots(len(panels), 1, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
    for axes, (metric, lines) in zip(axes_of, panels, strict=True):
        _draw_forest(axes, lines, metric_name(metric), styles)
    return figure


def _lines(rows: pd.DataFrame, pooled: pd.DataFrame) -> list[_Line]:
    """From top to bottom."""
    lines = []
    for study, of_study in rows.groupby("study", sort=False):
        margin = float(of_study["equivalence_margin"].iloc[0])
        told = of_study.to_dict("records")
        if len(told) == 1:
            lines.append(_Line(str(study), told[0], margin))
            continue
        lines.append(_Line(str(study), None, margin, heading=True))
        lines += [_Line(f"  {row['condition']}", row, margin) for row in told]
    metric = rows["metric"].iloc[0]
    for row in pooled[(pooled["arm"] == BEST) & (pooled["metric"] == metric)].to_dict("records"):
        lines.append(_Line(f"pooled, {row['k']} studies", row, float(row["equivalence_margin"]), pooled=True))
    return lines


def _draw_forest(axes: Axes, lines: Sequence[_Line], name: MetricName, styles: Mapping[str, ArmStyle]) -> None:
    last = len(lines) - 1
    axes.axvline(0, color=MUTED, lw=0.6, zorder=1)
    for y, line in zip(range(last, -1, -1), lines, strict=True):
        axes.fill_betweenx(
            [y - 0.5, y + 0.5], -line.margin * name.factor, line.margin * name.factor, color=FAINT, alpha=0.55, lw=0,
            zorder=0,
        )  # fmt: skip
        if line.row is not None:
            _draw_row(axes, y, line, line.row, name.factor, styles)
            axes.annotate(
                literal(_note(line, line.row)), (1, y), xycoords=("axes fraction", "data"), xytext=(8, 0),
                textcoords="offset points", va="center", fontsize=8,
            )  # fmt: skip
    if lines[-1].pooled:
        axes.axhline(sum(line.pooled for line in lines) - 0.5, color=MUTED, lw=0.4, ls=":")
    labels = [literal(_label(line.label)) for line in reversed(lines)]
    longest = max(map(len, labels))
    axes.set_yticks(range(len(lines)), labels, fontsize=max(5.5, min(8.0, 300 / longest)))
    for tick, line in zip(axes.get_yticklabels(), reversed(lines), strict=True):
        tick.set_fontstyle("italic" if line.heading else "normal")
    axes.set_ylim(-0.6, last + 0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    unit = f" ({name.difference_unit})" if name.difference_unit else ""
    axes.set_xlabel(f"difference in {name.title}, with (s, m) minus adaptive{unit}")


def _label(text: str) -> str:
    return text if len(text) <= _LONGEST_LABEL else f"{text[: _LONGEST_LABEL - 1]}…"


def _draw_row(
    axes: Axes, y: int, line: _Line, row: Mapping[Any, Any], factor: float, styles: Mapping[str, ArmStyle]
) -> None:
    if not np.isfinite(row["difference"]):
        return
    centre = row["difference"] * factor
    low, high = (row[end] * factor if np.isfinite(row[end]) else centre for end in ("low", "high"))
    if line.pooled:
        corners = [(low, y), (centre, y + 0.3), (high, y), (centre, y - 0.3), (low, y)]
        axes.fill(*zip(*corners, strict=True), facecolor=INK, edgecolor=INK, lw=0.8, zorder=3)
        return
    style = styles[row["arm"]]
    open_mark = row["word"] == "not shown"
    if high > low:
        axes.plot([low, high], [y, y], color=style.colour, lw=1.2, zorder=2)
    axes.plot(
        centre, y, style.marker, ms=5.5, mfc="white" if open_mark else style.colour,
        mec=style.colour if open_mark else "white", mew=1.0 if open_mark else 0.5, zorder=3,
    )  # fmt: skip


def _note(line: _Line, row: Mapping[Any, Any]) -> str:
    """What is beside a row: the arms, and what their tests allow to be said."""
    if line.pooled:
        return str(row["word"])
    if not np.isfinite(row["difference"]):
        return str(row["word"])
    return f"{row['arm']} − {row['adaptive']}: {row['word']}"


def scales_figure(arms: pd.DataFrame, styles: Mapping[str, ArmStyle], posterior: float) -> Figure | None:
    """The scale that each arm chose, or that its rule led to, against the classes and dimensions of the studies.

    A panel for the number of classes and one for the dimensions, where they vary; where neither does, one with the
    studies side by side. Curves: CosFace's least s for a posterior (eq. 6) and the scale of fixed AdaCos, which know
    the number of classes alone.

    Args:
        arms: `arms_across`.
        styles: Style of every arm.
        posterior: The posterior that eq. 6 is asked for.

    Returns:
        The figure; None where no arm has a scale to show.
    """
    shown = arms.assign(scale=arms["s"].where(arms["s"].notna(), arms["final_s"]))
    shown = shown[np.isfinite(shown["scale"]) & (shown["scale"] < _RUNAWAY) & (shown["scale"] > 0)]
    if shown.empty:
        return None
    across = [column for column in ("num_classes", "embedding_dim") if shown[column].nunique() > 1]
    figure = new_figure(2.9)
    panels = figure.subplots(1, max(len(across), 1), sharey=True, squeeze=False)[0]
    for letter, axes, column in zip("ab", panels, across or [""], strict=False):
        if column:
            _against_size(axes, shown, column, styles, posterior)
        else:
            _against_study(axes, shown, styles, posterior)
        if len(across) > 1:
            panel_title(axes, letter, "")
    panels[0].set_ylabel("scale s")
    _legend(figure, shown, styles, posterior)
    return figure


def _points(axes: Axes, shown: pd.DataFrame, at: pd.Series, styles: Mapping[str, ArmStyle], dodge: float) -> None:
    """The scales at `at`, the arms side by side, `dodge` apart on the axis."""
    names = [arm for arm in styles if arm in set(shown["arm"])]
    for i, arm in enumerate(names):
        here = shown["arm"] == arm
        style, shift = styles[arm], i - (len(names) - 1) / 2
        places = at[here] * np.exp(dodge * shift) if axes.get_xscale() == "log" else at[here] + dodge * shift
        axes.plot(
            places, shown.loc[here, "scale"], style.marker, color=style.colour, ms=5, mec="white", mew=0.5, zorder=3,
        )  # fmt: skip


def _against_size(
    axes: Axes, shown: pd.DataFrame, column: str, styles: Mapping[str, ArmStyle], posterior: float
) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    sizes = shown[column].astype(float)
    ticks = sorted({int(size) for size in sizes})
    axes.set_xticks(ticks, [f"{size:,}" for size in ticks])
    axes.set_xticks([], minor=True)
    reach = 0.15 * np.log(ticks[-1] / ticks[0])
    low, high = ticks[0] * np.exp(-reach), ticks[-1] * np.exp(reach)
    _points(axes, shown, sizes, styles, 0.024 * np.log(high / low))
    if column == "num_classes":
        grid = np.unique(np.geomspace(max(low, 3), high, 60).round())
        _bounds(axes, grid, grid, posterior)
    elif shown["num_classes"].nunique() == 1:
        classes = np.full(2, float(shown["num_classes"].iloc[0]))
        _bounds(axes, np.array([low, high]), classes, posterior)
    axes.set_xlim(low, high)
    axes.set_xlabel({"num_classes": "classes C", "embedding_dim": "dimensions K"}[column])
    _plain_scales(axes)


def _against_study(axes: Axes, shown: pd.DataFrame, styles: Mapping[str, ArmStyle], posterior: float) -> None:
    axes.set_yscale("log")
    names = list(shown["study"].drop_duplicates())
    at = shown["study"].map({name: float(i) for i, name in enumerate(names)})
    _points(axes, shown, at, styles, 0.07)
    classes = np.full(2, float(shown["num_classes"].iloc[0]))
    _bounds(axes, np.array([-0.5, len(names) - 0.5]), classes, posterior)
    axes.set_xlim(-0.5, len(names) - 0.5)
    axes.set_xticks(range(len(names)), [literal(_label(name)) for name in names])
    axes.tick_params(axis="x", length=0)
    _plain_scales(axes)


def _plain_scales(axes: Axes) -> None:
    low, high = axes.get_ylim()
    ticks = [scale for scale in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000) if low <= scale <= high]
    axes.set_yticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.set_yticks([], minor=True)


def _bounds(axes: Axes, places: np.ndarray, classes: np.ndarray, posterior: float) -> None:
    axes.plot(places, cosface_scale_bound(classes, posterior), color=INK, lw=0.9, zorder=1)
    axes.plot(places, adacos_fixed_scale(classes), color=INK, lw=0.9, ls="--", zorder=1)


def _legend(figure: Figure, shown: pd.DataFrame, styles: Mapping[str, ArmStyle], posterior: float) -> None:
    there = set(shown["arm"])
    handles = [
        Line2D([], [], color=style.colour, marker=style.marker, ls="none", ms=4.5, label=literal(arm))
        for arm, style in styles.items()
        if arm in there
    ]
    handles += [
        Line2D([], [], color=INK, lw=0.9, label=f"least s, P = {posterior:g} (eq. 6)"),
        Line2D([], [], color=INK, lw=0.9, ls="--", label="AdaCos, fixed"),
    ]
    legend_above(figure, handles)
