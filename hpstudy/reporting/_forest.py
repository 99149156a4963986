"""Forest plots: confirm means of arms, and differences over conditions."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hpstudy.analysis import MetricName
from hpstudy.reporting._style import FAINT, INK, MUTED, ArmStyle, literal, new_figure

_ROW = 0.25
_COLUMNS = (8, 84)
"""Offsets (points) of the numbers and of the notes from the right edge of the axis."""


def forest(
    summary: pd.DataFrame,
    by_seed: pd.DataFrame,
    styles: Mapping[str, ArmStyle],
    name: MetricName,
    margin: float,
    conditions: Sequence[str],
) -> Figure:
    """Confirm mean with its interval for every arm, the seeds behind it, one panel a condition.

    The band is ±`margin` around the best adaptive mean. Arms that diverged are written, not drawn at chance, unless
    nothing else is there.
    """
    here = summary[summary["condition"].isin(list(conditions))]
    order = here.groupby("arm")["mean"].mean().fillna(-np.inf).sort_values(kind="stable").index.to_list()
    figure = new_figure(0.75 + _ROW * len(order))
    panels = figure.subplots(1, len(conditions), sharey=True, squeeze=False)[0]
    for axes, condition in zip(panels, conditions, strict=True):
        rows = here[here["condition"] == condition]
        seeds = by_seed[by_seed["condition"] == condition]
        _draw_panel(axes, rows, seeds, order, styles, name, margin, numbers=len(conditions) == 1)
        axes.set_xlabel(f"{name.title} ({name.unit})" if name.unit else name.title)
        if len(conditions) > 1:
            axes.set_title(literal(condition), fontweight="normal")
    panels[0].set_yticks(range(len(order)), [literal(arm) for arm in order])
    panels[0].set_ylim(-0.6, len(order) - 0.4)
    return figure


def _draw_panel(
    axes: Axes,
    rows: pd.DataFrame,
    seeds: pd.DataFrame,
    order: Sequence[str],
    styles: Mapping[str, ArmStyle],
    name: MetricName,
    margin: float,
    *,
    numbers: bool,
) -> None:
    low, high = _limits(rows, seeds, name.factor)
    axes.set_xlim(low, high)
    for text, offset in zip(("mean (95 % interval)", "chosen point"), _COLUMNS, strict=True) if numbers else ():
        axes.annotate(
            text, (1, len(order) - 0.5), xycoords=("axes fraction", "data"), xytext=(offset, 4),
            textcoords="offset points", va="bottom", ha="left", fontsize=8, color=MUTED,
        )  # fmt: skip
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
        if numbers:
            for text, offset in zip(_numbers(row, name), _COLUMNS, strict=True):
                axes.annotate(
                    text, (1, y), xycoords=("axes fraction", "data"), xytext=(offset, 0),
                    textcoords="offset points", va="center", ha="left", fontsize=8, color=INK,
                )  # fmt: skip
        elif row["diverged"]:
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


def _numbers(row: Mapping[Any, Any], name: MetricName) -> tuple[str, str]:
    """Mean with its interval, and what was chosen or went wrong."""
    if not np.isfinite(row["mean"]):
        return "not confirmed", ""
    interval = f" ({name.interval(row['low'], row['high'])})" if np.isfinite(row["low"]) else ""
    interval = " (chance)" if row["always_diverged"] else interval
    diverged = f"{row['diverged']} diverged" if row["diverged"] else ""
    notes = ", ".join(part for part in (row["point"], diverged) if part)
    return f"{name.value(row['mean'])}{interval}", notes


def difference_forest(duels: pd.DataFrame, styles: Mapping[str, ArmStyle], name: MetricName, margin: float) -> Figure:
    """Best arm with (s, m) minus best adaptive arm, one row a condition, with the band of equivalence."""
    figure = new_figure(0.75 + 0.2 * len(duels))
    axes = figure.subplots()
    axes.axvspan(-margin * name.factor, margin * name.factor, color=FAINT, alpha=0.55, lw=0, zorder=0)
    axes.axvline(0, color=MUTED, lw=0.6, zorder=1)
    for y, row in enumerate(duels.iloc[::-1].to_dict("records")):
        style = styles[row["arm"]]
        if np.isfinite(row["low"]):
            ends = np.array([row["low"], row["high"]]) * name.factor
            axes.plot(ends, [y, y], color=style.colour, lw=1.2)
        axes.plot(row["difference"] * name.factor, y, style.marker, color=style.colour, ms=5.5, mec="white", mew=0.5)
        axes.annotate(
            literal(row["reason"] or f"{row['arm']} against {row['adaptive']}: {row['word']}"), (1, y),
            xycoords=("axes fraction", "data"), xytext=(8, 0), textcoords="offset points", va="center", fontsize=8,
        )  # fmt: skip
    axes.set_yticks(range(len(duels)), [literal(condition) for condition in duels["condition"].iloc[::-1]])
    axes.set_ylim(-0.6, len(duels) - 0.4)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    unit = f" ({name.difference_unit})" if name.difference_unit else ""
    axes.set_xlabel(f"difference in {name.title}, with (s, m) minus adaptive{unit}")
    return figure
