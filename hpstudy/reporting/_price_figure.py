"""What the best of n trials is worth, beside the scales that need no search."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hpstudy.analysis import CONFIRMED, RUNNING_BEST, MetricName, interval_text
from hpstudy.reporting._price_table import compute_unit
from hpstudy.reporting._style import ArmStyle, arm_legend, literal, new_figure, panel_title, row_title
from hpstudy.reporting._tables import number

COLUMNS = 4
"""Searched arms in a row."""
_STRIP = 0.055
"""Height of one interval of n* at the foot of a panel, as a fraction of the panel."""


def price_figure(
    curves: pd.DataFrame, prices: pd.DataFrame, styles: Mapping[str, ArmStyle], name: MetricName, device: str
) -> Figure:
    """Expected best of n against n, a panel each searched arm; adaptive arms as bands; n* with its interval below.

    Args:
        curves: `expected_best` of one condition, or of several: these have a row of panels each.
        prices: `break_even` of the same conditions, at least one row.
        styles: Style of every arm.
        name: The objective.
        device: `CPU` or `GPU`, whichever the hours are of.
    """
    shown = curves[curves["expected"].notna()]
    conditions = shown["condition"].drop_duplicates().to_list()
    curved = shown[shown["estimator"] != CONFIRMED]
    searched = {
        c: [arm for arm in styles if arm in set(curved.loc[curved["condition"] == c, "arm"])] for c in conditions
    }
    columns = min(max(1, *map(len, searched.values())), COLUMNS)
    lines = {c: -(-len(arms) // columns) for c, arms in searched.items()}
    several = len(conditions) > 1
    rows = sum(lines.values())
    figure = new_figure(0.6 + (1.55 if several else 1.9) * rows)
    grid = figure.subplots(rows, columns, sharey="row", squeeze=False)
    factor, unit = compute_unit(shown["hours"])
    first = 0
    for condition in conditions:
        panels = grid[first : first + lines[condition]].ravel()
        curve, price = (frame[frame["condition"] == condition] for frame in (shown, prices))
        _condition(list(panels), searched[condition], curve, price, styles, name.factor, factor)
        if several:
            row_title(panels[0], condition, above_panel_title=True)
        first += lines[condition]
    figure.supylabel(f"expected best{f' ({name.unit})' if name.unit else ''}", fontsize="medium")
    figure.supxlabel(f"trials of the search, and the {device} time of so many ({unit})", fontsize="medium")
    levels = set(shown.loc[shown["estimator"] == CONFIRMED, "arm"])
    arm_legend(figure, {arm: styles[arm] for arm in styles if arm in levels})
    return figure


def _condition(
    panels: Sequence[Axes],
    arms: Sequence[str],
    shown: pd.DataFrame,
    prices: pd.DataFrame,
    styles: Mapping[str, ArmStyle],
    factor: float,
    time_factor: float,
) -> None:
    adaptive = shown["estimator"] == CONFIRMED
    searched, levels = shown[~adaptive], shown[adaptive]
    low, high = _limits(searched, levels, prices, factor)
    foot = _STRIP * (len(levels) + 1)
    for i, axes in enumerate(panels):
        if i >= len(arms):
            axes.set_visible(False)
            continue
        curve = searched[searched["arm"] == arms[i]]
        for level in levels.to_dict("records"):
            _level(axes, level, styles[level["arm"]], factor)
        _curve(axes, curve, styles[arms[i]], factor)
        _break_evens(axes, curve, prices[prices["arm"] == arms[i]], levels["arm"].to_list(), styles, factor)
        _trial_ticks(axes, curve, time_factor)
        axes.set_ylim(low - foot * (high - low) / (1 - foot), high)
        panel_title(axes, "abcdefghijklmnopqrstuvwxyz"[i % 26], literal(arms[i]))


def _level(axes: Axes, level: Mapping[Any, Any], style: ArmStyle, factor: float) -> None:
    axes.axhline(level["expected"] * factor, color=style.colour, lw=style.width, ls=style.line, zorder=2)
    if np.isfinite(level["low"]):
        axes.axhspan(level["low"] * factor, level["high"] * factor, color=style.colour, alpha=0.12, lw=0, zorder=0)


def _curve(axes: Axes, curve: pd.DataFrame, style: ArmStyle, factor: float) -> None:
    known = curve[curve["low"].notna()]
    if len(known) > 1:
        axes.fill_between(
            known["n"], known["low"] * factor, known["high"] * factor, color=style.colour, alpha=0.16, lw=0, zorder=1
        )
    elif len(known):
        axes.vlines(known["n"], known["low"] * factor, known["high"] * factor, color=style.colour, lw=1, zorder=1)
    many = len(curve) > 30
    steps = bool((curve["estimator"] == RUNNING_BEST).all())
    axes.plot(
        curve["n"], curve["expected"] * factor, color=style.colour, ls=style.line, lw=1.3,
        drawstyle="steps-post" if steps else "default", marker=None if many else style.marker, ms=3, mew=0, zorder=3,
    )  # fmt: skip


def _break_evens(
    axes: Axes, curve: pd.DataFrame, prices: pd.DataFrame, adaptive: list[str], styles: Mapping[str, ArmStyle],
    factor: float,
) -> None:  # fmt: skip
    """n* on the curve, and below with its interval: one line each adaptive arm, an arrow where it has no end."""
    last = int(curve["n"].max())
    worth = curve.set_index("n")["expected"] * factor
    foot = axes.get_xaxis_transform()
    for price in prices.to_dict("records"):
        colour, marker = styles[price["adaptive"]].colour, styles[price["adaptive"]].marker
        height = _STRIP * (adaptive.index(price["adaptive"]) + 0.7)
        low, high = price["low"], price["high"]
        if interval_text(low, high, last):
            low = min(low, last + 0.4)
            open_end = not math.isfinite(high)
            end = last + 0.4 if open_end else high
            axes.plot([low, end], [height, height], color=colour, lw=1.1, transform=foot, zorder=4)
            if open_end:
                axes.plot(
                    end, height, color=colour, marker=">", ms=3, mew=0, ls="none", transform=foot, clip_on=False,
                    zorder=4,
                )  # fmt: skip
        if price["reached"]:
            n = price["n_star"]
            axes.plot(n, height, color=colour, marker=marker, ms=4, mew=0, ls="none", transform=foot, zorder=5)
            axes.plot(n, worth[int(n)], marker="o", ms=6.5, mfc="none", mec=colour, mew=1.0, ls="none", zorder=5)


def _trial_ticks(axes: Axes, curve: pd.DataFrame, factor: float) -> None:
    """The first, a middle and the last number of trials, each with the compute that so many took."""
    last = int(curve["n"].max())
    ticks = sorted({1, (last + 1) // 2, last}) if last > 3 else list(range(1, last + 1))
    hours = curve.set_index("n")["hours"] * factor
    digits = 0 if hours.max() >= 20 else 1
    axes.set_xticks(ticks, [f"{n}\n{number(hours[n], digits)}" for n in ticks])
    axes.set_xlim(1 - 0.06 * last, last + 0.06 * last)


def _limits(searched: pd.DataFrame, levels: pd.DataFrame, prices: pd.DataFrame, factor: float) -> tuple[float, float]:
    """All that decides: levels with their bands, and the curves from half their budget or from where they match."""
    length = searched.groupby("arm")["n"].transform("max")
    start = searched["arm"].map(prices[prices["reached"]].groupby("arm")["n_star"].min()).fillna(np.inf)
    telling = searched[(searched["n"] >= start) | (2 * searched["n"] >= length)]
    values = pd.concat([telling["expected"], levels["expected"], levels["low"].dropna(), levels["high"].dropna()])
    values = values * factor
    pad = 0.08 * max(float(np.ptp(values)), 0.01 * factor)
    return float(values.min()) - pad, float(values.max()) + pad
