"""Forest plots: confirm means of arms, and differences over conditions."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hpstudy.analysis import MetricName
from hpstudy.reporting._style import FAINT, INK, MUTED, ArmStyle, literal, new_figure

_ROW, _TALL_ROW = 0.25, 0.34
_FEW = 8
"""So many arms or fewer have tall rows."""
_MOST_COLUMNS = 3
_LETTER = 3.7
"""Points that a letter of the columns beside the axis is wide."""
_LONGEST_NOTE = 36
"""A chosen point with more letters is left to the table."""


def forest(
    summary: pd.DataFrame,
    by_seed: pd.DataFrame,
    styles: Mapping[str, ArmStyle],
    name: MetricName,
    margin: float,
    conditions: Sequence[str],
    notes: Mapping[str, str] | None = None,
) -> Figure:
    """Confirm mean with its interval for every arm, the seeds behind it, one panel a condition, three in a row.

    The band is ±`margin` around the best adaptive mean. Arms that diverged are written, not drawn at chance, unless
    nothing else is there.

    Args:
        summary: `confirm_summary`.
        by_seed: `confirm_by_seed`.
        styles: Style of every arm.
        name: The metric.
        margin: δ, in the metric's own unit.
        conditions: The conditions to draw; of one alone the numbers are written beside it.
        notes: Arm → its n*, written beside it likewise.
    """
    here = summary[summary["condition"].isin(list(conditions))]
    order = here.groupby("arm")["mean"].mean().fillna(-np.inf).sort_values(kind="stable").index.to_list()
    columns = min(len(conditions), _MOST_COLUMNS)
    lines = -(-len(conditions) // columns)
    row = 0.19 if lines > 1 else _TALL_ROW if len(order) <= _FEW else _ROW
    figure = new_figure(0.35 + lines * (0.4 + row * len(order)))
    panels = figure.subplots(lines, columns, sharey=True, squeeze=False).ravel()
    for axes, condition in zip(panels, conditions, strict=False):
        rows = here[here["condition"] == condition]
        seeds = by_seed[by_seed["condition"] == condition]
        beside = _beside(rows, name, notes or {}) if len(conditions) == 1 else []
        _draw_panel(axes, rows, seeds, order, styles, name, margin, beside)
        if len(conditions) > 1:
            axes.set_title(literal(condition), fontweight="normal", fontsize=_fitting(condition, columns))
    for axes in panels[len(conditions) :]:
        axes.set_visible(False)
    title = f"{name.title} ({name.unit})" if name.unit else name.title
    if lines == 1:
        for axes in panels:
            axes.set_xlabel(title)
    else:
        figure.supxlabel(title, fontsize="medium")
    panels[0].set_yticks(range(len(order)), [literal(arm) for arm in order])
    panels[0].set_ylim(-0.6, len(order) - 0.4)
    return figure


def _fitting(title: str, columns: int) -> float:
    """Size at which a title is no wider than its panel."""
    room = 390 / columns
    return max(5.0, min(8.5, room / (0.47 * max(len(title), 1))))


def _beside(rows: pd.DataFrame, name: MetricName, notes: Mapping[str, str]) -> list[tuple[str, dict[str, str]]]:
    """Columns of text to the right of the axis: a title, and a text for each arm."""
    told = rows.to_dict("records")
    points = {row["arm"]: _point(row) for row in told}
    columns = [("mean (95 % interval)", {row["arm"]: _mean(row, name) for row in told})]
    if any(points.values()) and max(map(len, points.values())) <= _LONGEST_NOTE:
        columns.append(("chosen point", points))
    if notes:
        columns.append(("n*", dict(notes)))
    return columns


def _draw_panel(
    axes: Axes,
    rows: pd.DataFrame,
    seeds: pd.DataFrame,
    order: Sequence[str],
    styles: Mapping[str, ArmStyle],
    name: MetricName,
    margin: float,
    beside: Sequence[tuple[str, Mapping[str, str]]],
) -> None:
    low, high = _limits(rows, seeds, name.factor)
    axes.set_xlim(low, high)
    offset = 8.0
    for title, texts in beside:
        for y, text, colour in [(len(order) - 0.35, title, MUTED), *((order.index(a), texts[a], INK) for a in texts)]:
            axes.annotate(
                literal(text), (1, y), xycoords=("axes fraction", "data"), xytext=(offset, 0),
                textcoords="offset points", va="center", ha="left", fontsize=8, color=colour,
                fontstyle="italic" if (title, colour) == ("n*", MUTED) else "normal",
            )  # fmt: skip
        offset += 10 + _LETTER * max(map(len, [title, *texts.values()]))
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    adaptive = rows.loc[(rows["kind"] == "adaptive") & (rows["diverged"] < 1), "mean"]
    if adaptive.notna().any():
        best = float(adaptive.max()) * name.factor
        axes.axvspan(best - margin * name.factor, best + margin * name.factor, color=FAINT, alpha=0.55, lw=0, zorder=0)
        axes.axvline(best, color=MUTED, lw=0.6, zorder=1)
    by_arm = {row["arm"]: row for row in rows.to_dict("records")}
    for y, arm in enumerate(order):
        if arm not in by_arm:
            continue
        row, style = by_arm[arm], styles[arm]
        if np.isfinite(row["mean"]) and low <= row["mean"] * name.factor <= high:
            scores = seeds.loc[seeds["arm"] == arm, "score"].to_numpy() * name.factor
            axes.plot(scores, np.full(scores.size, y - 0.22), "|", color=style.colour, ms=4, mew=0.8, alpha=0.7)
            if np.isfinite(row["low"]):
                ends = np.array([row["low"], row["high"]]) * name.factor
                axes.plot(np.clip(ends, low, high), [y, y], color=style.colour, lw=style.width)
            axes.plot(row["mean"] * name.factor, y, style.marker, color=style.colour, ms=5.5, mec="white", mew=0.5)
        elif row["diverged"]:
            axes.plot(0.02, y, "x", color=style.colour, ms=5, mew=1.2, transform=axes.get_yaxis_transform())
        if row["diverged"] and not beside:
            axes.annotate(
                f"{row['diverged']} diverged", (0, y), xycoords=("axes fraction", "data"), xytext=(12, 0),
                textcoords="offset points", va="center", ha="left", fontsize=7.5, color=style.colour,
            )  # fmt: skip


def _limits(rows: pd.DataFrame, seeds: pd.DataFrame, factor: float) -> tuple[float, float]:
    """Range of the intervals of arms that did not diverge; of everything, if all did."""
    sound = rows[(rows["diverged"] == 0) & rows["mean"].notna()]
    sound = sound if len(sound) else rows
    values = sound[["low", "mean", "high"]].to_numpy(dtype=float)
    values = np.append(values[np.isfinite(values)], seeds.loc[seeds["arm"].isin(sound["arm"]), "score"]) * factor
    if not values.size:
        return 0.0, factor
    pad = 0.06 * max(float(np.ptp(values)), 0.02 * factor)
    return float(values.min()) - pad, float(values.max()) + pad


def _mean(row: Mapping[Any, Any], name: MetricName) -> str:
    if not np.isfinite(row["mean"]):
        return "not confirmed"
    interval = f" ({name.interval(row['low'], row['high'])})" if np.isfinite(row["low"]) else ""
    interval = " (chance)" if row["always_diverged"] else interval
    return f"{name.value(row['mean'])}{interval}"


def _point(row: Mapping[Any, Any]) -> str:
    """What was chosen or went wrong."""
    if not np.isfinite(row["mean"]):
        return ""
    diverged = f"{row['diverged']} diverged" if row["diverged"] else ""
    return ", ".join(part for part in (row["point"], diverged) if part)


def difference_forest(
    duels: pd.DataFrame,
    styles: Mapping[str, ArmStyle],
    name: MetricName,
    margin: float,
    notes: Mapping[str, str] | None = None,
) -> Figure:
    """Best arm with (s, m) minus best adaptive arm, one row a condition, with the band of equivalence.

    Args:
        duels: Rows of `paired_comparisons`, at most one a condition.
        styles: Style of every arm.
        name: The metric.
        margin: δ, in the metric's own unit.
        notes: Condition → n* of the arm in it, written beside.
    """
    figure = new_figure(0.7 + 0.2 * len(duels))
    axes = figure.subplots()
    axes.axvspan(-margin * name.factor, margin * name.factor, color=FAINT, alpha=0.55, lw=0, zorder=0)
    axes.axvline(0, color=MUTED, lw=0.6, zorder=1)
    for y, row in enumerate(duels.iloc[::-1].to_dict("records")):
        style = styles[row["arm"]]
        if np.isfinite(row["low"]):
            ends = np.array([row["low"], row["high"]]) * name.factor
            axes.plot(ends, [y, y], color=style.colour, lw=1.2)
        axes.plot(row["difference"] * name.factor, y, style.marker, color=style.colour, ms=5.5, mec="white", mew=0.5)
    columns = [("", _opponents(duels)), *([("n*", dict(notes))] if notes else [])]
    offset = 8.0
    for title, texts in columns:
        heights = {row["condition"]: len(duels) - 1 - i for i, row in enumerate(duels.to_dict("records"))}
        for height, text in [(len(duels) - 0.4, title), *((heights[key], texts[key]) for key in texts)]:
            axes.annotate(
                literal(text), (1, height), xycoords=("axes fraction", "data"), xytext=(offset, 0),
                textcoords="offset points", va="center", fontsize=8, color=MUTED if text == title else INK,
                fontstyle="italic" if text == "n*" else "normal",
            )  # fmt: skip
        offset += 10 + _LETTER * max(map(len, texts.values()), default=0)
    labels = duels["condition"].iloc[::-1].to_list()
    longest = max(map(len, labels), default=1)
    axes.set_yticks(
        range(len(duels)), [literal(condition) for condition in labels], fontsize=max(5.5, min(8.0, 300 / longest))
    )
    axes.set_ylim(-0.6, len(duels) - 0.4)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    unit = f" ({name.difference_unit})" if name.difference_unit else ""
    axes.set_xlabel(f"difference in {name.title}, with (s, m) minus adaptive{unit}")
    return figure


def _opponents(duels: pd.DataFrame) -> dict[str, str]:
    return {row["condition"]: row["reason"] or f"{row['arm']} − {row['adaptive']}" for row in duels.to_dict("records")}
