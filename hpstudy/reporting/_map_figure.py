"""Where a search looked in the (s, m) plane, and what it found there."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Literal

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator, ScalarFormatter

from hpstudy.analysis import MetricName, margin_of, margin_unit
from hpstudy.catalog import LOSSES
from hpstudy.reporting._style import INK, MUTED, legend_above, literal, new_figure
from hpstudy.theory import cosface_scale_bound, joint_scale_bound, margin_upper_bound

POSTERIOR = 0.9
"""P_W at which the bounds are drawn."""

_KINDS: dict[str, Literal["cosine", "angle"]] = {"additive_cosine": "cosine", "additive_angle": "angle"}
_UNITS = {"cosine": "margin $m$ (cosine)", "rad": "margin $m$ (rad)", "factor": "margin $m$ (factor)"}
_TICKS = (0.5, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
_BOUND = "#b02a37"


@dataclass(frozen=True, slots=True)
class _Colours:
    palette: Colormap
    norm: Normalize


def mapped_arms(points: pd.DataFrame) -> list[str]:
    """Arms of `search_points` whose search varied s or m."""
    return [
        str(arm)
        for arm, rows in points.groupby("arm", sort=True)
        if any(rows[name].nunique() > 1 for name in ("s", "m"))
    ]


def map_figure(points: pd.DataFrame, arms: Sequence[str], name: MetricName) -> Figure:
    """One panel per searched arm: its trials in the (s, m) plane, or its response where only one of them varied.

    Args:
        points: `search_points` of one condition.
        arms: The arms to draw, at least one.
        name: The objective.
    """
    rows = ceil(len(arms) / 2)
    figure = new_figure(0.55 + 1.85 * rows)
    panels = figure.subplots(rows, 2, squeeze=False).ravel()
    values = points.loc[points["arm"].isin(list(arms)) & (points["status"] == "completed"), "objective"] * name.factor
    low = float(values.quantile(0.25)) if len(values) else 0.0
    high = float(values.max()) if len(values) else 1.0
    colours = _Colours(sns.color_palette("crest", as_cmap=True), Normalize(low, max(high, low + 1e-9)))
    for axes, arm in zip(panels, arms, strict=False):
        of_arm = points[points["arm"] == arm]
        varied = [column for column in ("s", "m") if of_arm[column].nunique() > 1]
        if len(varied) == 2:
            _plane(axes, of_arm, colours, name)
        else:
            _response(axes, of_arm, varied[0], colours, name)
        axes.set_title(literal(arm), fontweight="normal")
    for axes in panels[len(arms) :]:
        axes.set_axis_off()
    if any(points.loc[points["arm"] == arm, ["s", "m"]].nunique().gt(1).all() for arm in arms):
        bar = figure.colorbar(
            _mappable(colours), ax=list(panels), shrink=0.6, aspect=28, pad=0.015,
            extend="min" if len(values) and values.min() < low else "neither",
        )  # fmt: skip
        bar.outline.set_linewidth(0)
        bar.set_label(f"validation value{f' ({name.unit})' if name.unit else ''}")
    legend_above(figure, _legend(points))
    return figure


def _mappable(colours: _Colours) -> ScalarMappable:
    return ScalarMappable(norm=colours.norm, cmap=colours.palette)


def _plane(axes: Axes, points: pd.DataFrame, colours: _Colours, name: MetricName) -> None:
    _mark_points(axes, points, points["m"], colours, name)
    s, m = points["s"], points["m"]
    pad = 0.07 * max(float(m.max() - m.min()), 1e-3)
    axes.set_ylim(float(m.min()) - pad, float(m.max()) + pad)
    loss, classes, dim = (
        str(points["loss"].iloc[0]),
        int(points["num_classes"].iloc[0]),
        int(points["embedding_dim"].iloc[0]),
    )
    default = LOSSES[loss].parameters if loss in LOSSES else {}
    if "s" in default and "m" in default:
        axes.plot(default["s"].default, default["m"].default, "+", color=INK, ms=9, mew=1.1, zorder=2)
    bound = cosface_scale_bound(classes, POSTERIOR)
    axes.axvline(bound, color=_BOUND, lw=0.9, ls=":")
    kind = _KINDS.get(margin_of(loss))
    if kind:
        top = margin_upper_bound(classes, dim)
        top = top if kind == "cosine" else float(np.arccos(max(-1.0, 1 - top)))
        margins = np.linspace(max(0.0, float(m.min()) - pad), min(float(m.max()) + pad, 0.995 * top), 60)
        axes.plot(joint_scale_bound(classes, POSTERIOR, margins, kind), margins, color=_BOUND, lw=0.9)
        if top < float(m.max()) + pad:
            axes.axhline(top, color=_BOUND, lw=0.9, ls="--")
    _log_scale_axis(axes, s, bound)
    axes.set_ylabel(_UNITS.get(margin_unit(loss), "$m$"))


def _response(axes: Axes, points: pd.DataFrame, varied: str, colours: _Colours, name: MetricName) -> None:
    values = points["objective"] * name.factor
    _mark_points(axes, points, values, colours, name, x=varied)
    axes.set_ylabel(f"validation value{f' ({name.unit})' if name.unit else ''}")
    if varied == "s":
        bound = cosface_scale_bound(int(points["num_classes"].iloc[0]), POSTERIOR)
        axes.axvline(bound, color=_BOUND, lw=0.9, ls=":")
        _log_scale_axis(axes, points["s"], bound)
        default = LOSSES[loss].parameters if (loss := str(points["loss"].iloc[0])) in LOSSES else {}
        if "s" in default:
            axes.plot(default["s"].default, 0.0, "+", color=INK, ms=9, mew=1.1, clip_on=False,
                      transform=axes.get_xaxis_transform())  # fmt: skip
    else:
        axes.set_xlabel(_UNITS.get(margin_unit(str(points["loss"].iloc[0])), "$m$"))


def _mark_points(
    axes: Axes, points: pd.DataFrame, height: pd.Series, colours: _Colours, name: MetricName, x: str = "s"
) -> None:
    for status, marker, size in (("pruned", "s", 16), ("completed", "o", 30)):
        rows = points[points["status"] == status]
        if rows.empty:
            continue
        values = (rows["objective"] * name.factor).to_numpy()
        face = colours.palette(colours.norm(values)) if status == "completed" else "none"
        edge = "white" if status == "completed" else MUTED
        axes.scatter(
            rows[x], height[rows.index], s=size, marker=marker, c=face, edgecolors=edge, linewidths=0.7, zorder=3
        )
    for status, colour in (("diverged", INK), ("failed", MUTED)):
        rows = points[points["status"] == status]
        axes.plot(rows[x], height[rows.index], "x", color=colour, ms=5, mew=1.1, zorder=3)
    chosen = points[points["chosen"]]
    axes.scatter(chosen[x], height[chosen.index], s=95, marker="o", c="none", edgecolors=INK, linewidths=1.0, zorder=4)
    for at, level, value in zip(chosen[x], height[chosen.index], chosen["objective"], strict=True):
        axes.annotate(
            name.value(value).split("\N{NO-BREAK SPACE}")[0], (at, level),
            xytext=(8, 5), textcoords="offset points", fontsize=7.5, va="bottom", zorder=5,
        )  # fmt: skip


def _log_scale_axis(axes: Axes, s: pd.Series, bound: float) -> None:
    low, high = min(float(s.min()), bound) / 1.2, max(float(s.max()), bound) * 1.25
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.xaxis.set_major_locator(FixedLocator([tick for tick in _TICKS if low <= tick <= high]))
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("scale $s$")


def _legend(points: pd.DataFrame) -> list[Line2D]:
    def entry(label: str, **style: object) -> Line2D:
        return Line2D([], [], **{"color": INK, "linestyle": "none", "label": label, **style})  # type: ignore[arg-type]

    statuses = set(points["status"])
    handles = [entry("completed", marker="o", ms=5.5, color=sns.color_palette("crest", 3)[1])]
    handles += [entry("pruned", marker="s", ms=4, mfc="none", color=MUTED)] if "pruned" in statuses else []
    handles += [entry("diverged", marker="x", ms=5)] if "diverged" in statuses else []
    handles += [entry("failed", marker="x", ms=5, color=MUTED)] if "failed" in statuses else []
    handles += [entry("chosen", marker="o", ms=8.5, mfc="none"), entry("paper’s default", marker="+", ms=8)]
    handles += [
        entry("bound on $s$", color=_BOUND, linestyle=":", lw=0.9),
        entry("with margin", color=_BOUND, linestyle="-", lw=0.9),
    ]
    return handles
