"""Up to which margin trials met it: the curve of each arm in each condition, and all against the sharp bound."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from hpstudy.analysis import scale_text
from hpstudy.reporting._style import (
    FAINT,
    INK,
    MUTED,
    WIDTH,
    ArmStyle,
    legend_above,
    literal,
    new_figure,
    panel_title,
    spread_labels,
)

COLUMNS = 4
"""Panels in a row of `margin_drop_figure`, fewer where their titles are long."""
_LETTER, _TITLE_ROOM = 0.062, 0.35
"""Inches that a letter of a title is wide, and that a panel has besides."""
_MERGED = "#d00000"
_UNITS = {"cosine": "cosine", "rad": "rad"}
_SLIDE = 0.009
"""Marks at the same bound are drawn this share of the axis apart."""
_MOST_NAMED = 6
"""So many marks away from the bound, or fewer, are told by name."""


def margin_drop_figure(
    points: pd.DataFrame, curve: pd.DataFrame, drops: pd.DataFrame, styles: Mapping[str, ArmStyle]
) -> Figure:
    """Share of samples that meet m against m, a panel for each row of `drops`, up to four side by side.

    Shaded: the interval of m̂; full line: the sharp bound; dashed: the paper's, where it differs; triangles at the top:
    what the prototypes of the trials around the drop permit. A red ring marks a trial in which prototypes merged.

    Args:
        points: `margin_points`.
        curve: `margin_curve`.
        drops: Rows of `margin_drops` to draw, at least one; about 16 fit a page.
        styles: Style of every arm.
    """
    rows, titles = drops.to_dict("records"), _titles(drops)
    longest = max(len(title.replace("$", "")) for title in titles)
    columns = max(1, min(COLUMNS, len(rows), int(WIDTH / (_LETTER * longest + _TITLE_ROOM))))
    lines = -(-len(rows) // columns)
    figure = new_figure(0.55 + 1.5 * lines if columns > 2 else 0.6 + 2.0 * lines)
    panels = figure.subplots(lines, columns, sharey=True, squeeze=False).ravel()
    for i, (axes, row) in enumerate(zip(panels, rows, strict=False)):
        _panel(axes, _of(points, row), _of(curve, row), row, styles[row["arm"]])
        panel_title(axes, _letter(i), titles[i])
        if i + columns >= len(rows) or rows[i + columns]["unit"] != row["unit"]:
            axes.set_xlabel(f"$m$ ({_UNITS[row['unit']]})")
    for axes in panels[len(rows) :]:
        axes.set_visible(False)
    figure.supylabel("training samples that meet $m$ (%)", fontsize="medium")
    legend_above(figure, _handles(drops, points, styles))
    return figure


def _panel(axes: Axes, points: pd.DataFrame, curve: pd.DataFrame, row: Mapping[Any, Any], style: ArmStyle) -> None:
    reach = [float(points["m"].max()), row["sharp_bound"]]
    if row["paper_bound"] <= 2 * max(reach):
        reach.append(row["paper_bound"])
    left, right = float(points["m"].min()), max(reach)
    width = right - left
    ends = np.clip([row["low"], row["high"]], left - 0.04 * width, right + 0.04 * width)
    axes.axvspan(*ends, color=style.colour, alpha=0.2, lw=0, zorder=0)
    axes.axhline(50, color=FAINT, lw=0.6, zorder=0)
    axes.axvline(row["sharp_bound"], color=INK, lw=0.9, zorder=1)
    if _apart(row):
        axes.axvline(row["paper_bound"], color=INK, lw=0.9, ls=(0, (4, 2)), zorder=1)
    fitted = curve.dropna(subset=["fit"])
    axes.plot(fitted["m"], 100 * fitted["fit"], color=style.colour, lw=1.2, zorder=3)
    axes.plot(
        points["m"], 100 * points["satisfied"], style.marker, color=style.colour, ms=3, mec="white", mew=0.3, alpha=0.8,
        zorder=4,
    )  # fmt: skip
    merged = points[points["merged_pairs"] > 0]
    axes.plot(merged["m"], 100 * merged["satisfied"], "o", mfc="none", mec=_MERGED, ms=5.5, mew=0.8, zorder=5)
    around = points[points["m"].isin([row["before"], row["after"]])]
    axes.plot(around["permitted"], np.full(len(around), 112), "v", color=style.colour, ms=3.6, mec="white", mew=0.3)
    axes.set_xlim(left - 0.04 * width, right + 0.04 * width)
    axes.set_ylim(-6, 119)
    axes.set_yticks([0, 50, 100])
    axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))


def _titles(drops: pd.DataFrame) -> list[str]:
    """C and K if they tell the conditions apart, else the condition; with s where an arm has several."""
    sizes = drops.groupby("condition")[["num_classes", "embedding_dim"]].first()
    by_size = not sizes.duplicated().any()
    several = drops.groupby(["condition", "arm"])["s"].transform("nunique") > 1
    titles = []
    for row, tell_s in zip(drops.to_dict("records"), several, strict=True):
        size = f"$C$ = {row['num_classes']}, $K$ = {row['embedding_dim']}"
        title = size if by_size else literal(row["condition"])
        titles.append(f"{title}, $s$ = {scale_text(row['s'])}" if tell_s else title)
    return titles


def _handles(drops: pd.DataFrame, points: pd.DataFrame, styles: Mapping[str, ArmStyle]) -> list[Line2D]:
    arms = [arm for arm in styles if arm in set(drops["arm"])]
    handles = [
        Line2D([], [], color=styles[arm].colour, marker=styles[arm].marker, ms=4, lw=1.2, label=literal(arm))
        for arm in arms
    ]
    handles.append(Line2D([], [], color=INK, lw=0.9, label="sharp bound"))
    if any(_apart(row) for row in drops.to_dict("records")):
        handles.append(Line2D([], [], color=INK, lw=0.9, ls=(0, (4, 2)), label="CosFace’s bound"))
    if points["permitted"].notna().any():
        handles.append(Line2D([], [], color=MUTED, marker="v", ms=4, lw=0, label="permitted by the prototypes"))
    if (points["merged_pairs"] > 0).any():
        handles.append(Line2D([], [], marker="o", mfc="none", mec=_MERGED, ms=5.5, mew=0.8, lw=0, label="merged"))
    return handles


def margin_bound_figure(drops: pd.DataFrame, styles: Mapping[str, ArmStyle]) -> Figure:
    """m̂ with its interval against the sharp bound, all conditions and arms; a panel a unit, for which m is no number.

    On the line the margin is met exactly up to the sharp bound. Hollow triangles: CosFace's own bound, where it is not
    the sharp one; an arrow: never missed in half up to the largest m tried, or missed from the smallest.

    Args:
        drops: `margin_drops`, at least one row.
        styles: Style of every arm.
    """
    units = [unit for unit in _UNITS if unit in set(drops["unit"])]
    figure = new_figure(3.1)
    panels = figure.subplots(1, len(units), squeeze=False).ravel()
    for i, (axes, unit) in enumerate(zip(panels, units, strict=True)):
        _against(axes, drops[drops["unit"] == unit], styles)
        axes.set_xlabel(f"sharp bound on $m$ ({_UNITS[unit]})")
        axes.set_ylabel(rf"$\hat{{m}}$ ({_UNITS[unit]})")
        panel_title(axes, _letter(i), "$m$ is a cosine" if unit == "cosine" else "$m$ is an angle")
    arms = [arm for arm in styles if arm in set(drops["arm"])]
    handles = [
        Line2D([], [], color=styles[arm].colour, marker=styles[arm].marker, ms=4.5, lw=1.2, label=literal(arm))
        for arm in arms
    ]
    if any(_apart(row) for row in drops.to_dict("records")):
        handles.append(Line2D([], [], marker="v", mfc="white", mec=INK, mew=0.8, ms=4.5, lw=0, label="CosFace’s bound"))
    legend_above(figure, handles)
    return figure


def _against(axes: Axes, drops: pd.DataFrame, styles: Mapping[str, ArmStyle]) -> None:
    ordered = drops.sort_values("sharp_bound", kind="stable")
    rows = ordered.to_dict("records")
    shown = [row["sharp_bound"] for row in rows]
    heights = [row[key] for row in rows for key in ("sharp_bound", "paper_bound", "low", "high", "drop")]
    top = 1.08 * max(height for height in heights if np.isfinite(height))
    axes.plot([0, top], [0, top], color=INK, lw=0.8, zorder=1)
    places = spread_labels(shown, _SLIDE * top, 0.0, top)
    for x, row in zip(places, rows, strict=True):
        style = styles[row["arm"]]
        low, high = np.clip([row["low"], row["high"]], 0, top)
        axes.plot([x, x], [low, high], color=style.colour, lw=1.4, zorder=3)
        if _apart(row):
            axes.plot(x, row["paper_bound"], "v", mfc="white", mec=INK, mew=0.6, ms=3.6, zorder=2)
        if np.isfinite(row["drop"]):
            axes.plot(x, row["drop"], style.marker, color=style.colour, ms=4, mec="white", mew=0.4, zorder=4)
        for end, known, marker in ((top, np.isfinite(row["high"]), "^"), (0, np.isfinite(row["low"]), "v")):
            if not known:
                axes.plot(x, end, marker, color=style.colour, ms=4, mew=0, clip_on=False, zorder=4)
    astray = [(x, row) for x, row in zip(places, rows, strict=True) if row["sharp_word"] != "within"]
    for x, row in astray if len(astray) <= _MOST_NAMED else []:
        seen = row["drop"] if np.isfinite(row["drop"]) else np.clip(row["low"], 0, top)
        at_left = x > 0.7 * max(places)
        axes.annotate(
            f"$C$ = {row['num_classes']}, $K$ = {row['embedding_dim']}", (x, seen), xytext=(-6 if at_left else 6, -2),
            textcoords="offset points", va="top", ha="right" if at_left else "left", fontsize=7.5,
        )  # fmt: skip
    axes.set_xlim(0, 1.06 * max(places))
    axes.set_ylim(0, top)
    axes.set_box_aspect(0.78)


def _of(frame: pd.DataFrame, row: Mapping[Any, Any]) -> pd.DataFrame:
    same_s = frame["s"].isna() if np.isnan(row["s"]) else frame["s"] == row["s"]
    return frame[(frame["condition"] == row["condition"]) & (frame["arm"] == row["arm"]) & same_s]


def _apart(row: Mapping[Any, Any]) -> bool:
    return bool(abs(row["paper_bound"] - row["sharp_bound"]) > 1e-6)


def _letter(index: int) -> str:
    letters: Sequence[str] = "abcdefghijklmnopqrstuvwxyz"
    return letters[index % len(letters)]
