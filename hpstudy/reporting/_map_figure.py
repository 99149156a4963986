"""Where a search looked in the (s, m) plane, and what it found there."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Literal

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, MaxNLocator, NullFormatter, NullLocator, ScalarFormatter
from numpy.typing import NDArray

from hpstudy.analysis import MetricName, Surface, margin_of, margin_unit, value_text
from hpstudy.catalog import LOSSES
from hpstudy.reporting._label_places import Places, emptiest, in_panel
from hpstudy.reporting._style import INK, MUTED, legend_above, literal, new_figure
from hpstudy.theory import cosface_scale_bound, joint_scale_bound, margin_upper_bound

POSTERIOR = 0.9
"""P_W at which the bounds are drawn."""

_KINDS: dict[str, Literal["cosine", "angle"]] = {"additive_cosine": "cosine", "additive_angle": "angle"}
_UNITS = {"cosine": "margin $m$ (cosine)", "rad": "margin $m$ (rad)", "factor": "margin $m$ (factor)"}
_TICKS = (0.5, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
_BOUND, _DIVERGED, _UNUSABLE = "#a0522d", "#cc0022", "#f6e3e3"
_WHITE = 0.4
"""How far the palette is blended with white."""
_MANY = 60
"""Trials in a panel from which on their marks are smaller."""
_HALO = [patheffects.withStroke(linewidth=1.8, foreground="white")]


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


def map_figure(points: pd.DataFrame, arms: Sequence[str], name: MetricName, surfaces: Iterable[Surface] = ()) -> Figure:
    """One panel per searched arm: its trials in the (s, m) plane over the fitted surface, or its response to one value.

    Args:
        points: `search_points` of one condition.
        arms: The arms to draw, at least one.
        name: The objective.
        surfaces: `surfaces` of this condition; arms without a fit show their trials alone.
    """
    found = {surface.arm: surface for surface in surfaces}
    columns = min(len(arms), 2)
    rows = ceil(len(arms) / columns)
    figure = new_figure(0.55 + (1.95 if columns == 2 else 2.6) * rows)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    values = points.loc[points["arm"].isin(list(arms)) & (points["status"] == "completed"), "objective"] * name.factor
    low = float(values.quantile(0.25)) if len(values) else 0.0
    high = float(values.max()) if len(values) else 1.0
    colours = _Colours(_light_palette(), Normalize(low, max(high, low + 1e-9)))
    planes = 0
    for axes, arm in zip(panels, arms, strict=False):
        of_arm = points[points["arm"] == arm]
        varied = [column for column in ("s", "m") if of_arm[column].nunique() > 1]
        surface = found.get(arm)
        surface = surface if surface is not None and [value.name for value in surface.axes] == varied else None
        if len(varied) == 2:
            planes += 1
            _plane(axes, of_arm, surface, colours, name)
        else:
            _response(axes, of_arm, varied[0], surface, colours, name)
        axes.set_title(literal(arm), fontweight="normal")
        if surface is not None and not surface.reason:
            axes.set_title(_quality(surface), loc="right", fontsize=7.5, color=MUTED, fontweight="normal")
    for axes in panels[len(arms) :]:
        axes.set_axis_off()
    if planes:
        bar = figure.colorbar(
            ScalarMappable(norm=colours.norm, cmap=colours.palette), ax=list(panels), shrink=0.6, aspect=28, pad=0.015,
            extend="min" if len(values) and values.min() < low else "neither",
        )  # fmt: skip
        bar.outline.set_linewidth(0)
        bar.set_label(_value_label(name))
    legend_above(figure, _legend(points[points["arm"].isin(list(arms))], panels))
    return figure


def _light_palette() -> Colormap:
    """Perceptually even, safe for the colour-blind, and light enough for ink to be read on it."""
    rows = [[(1 - _WHITE) * part + _WHITE for part in colour[:3]] for colour in sns.color_palette("crest", 64)]
    return LinearSegmentedColormap.from_list("light_crest", rows)


def _quality(surface: Surface) -> str:
    """Quality of the fit, and where what isn't drawn is held."""
    held = ", ".join(f"{literal(name.rsplit('.', 1)[-1])} = {value_text(at)}" for name, at in surface.held.items())
    return f"{held + '; ' if held else ''}$Q^2$ = {surface.q2:.2f}"


def _value_label(name: MetricName) -> str:
    return f"validation value{f' ({name.unit})' if name.unit else ''}"


def _plane(axes: Axes, points: pd.DataFrame, surface: Surface | None, colours: _Colours, name: MetricName) -> None:
    s, m = points["s"], points["m"]
    loss, classes, dim = (
        str(points["loss"].iloc[0]),
        int(points["num_classes"].iloc[0]),
        int(points["embedding_dim"].iloc[0]),
    )
    box = [m.min(), m.max(), *([surface.axes[1].low, surface.axes[1].high] if surface is not None else [])]
    low, high = float(min(box)), float(max(box))
    pad = 0.05 * max(high - low, 1e-3)
    low, high = low - pad, high + pad
    axes.set_ylim(low, high)
    bound = cosface_scale_bound(classes, POSTERIOR)
    _log_scale_axis(axes, s, bound, surface)
    contours = _contours(axes, surface, colours, name) if surface is not None and not surface.reason else None
    _mark_points(axes, points, m, colours, name)
    default = LOSSES[loss].parameters if loss in LOSSES else {}
    taken = [in_panel(axes, s, m)]
    if "s" in default and "m" in default:
        at = default["s"].default, default["m"].default
        if _within(axes, *at):
            axes.plot(*at, "+", color=INK, ms=9, mew=1.1, zorder=5, clip_on=False)
            taken.append(in_panel(axes, [at[0]], [at[1]]))
    axes.axvline(bound, color=_BOUND, lw=0.9, ls=":", zorder=2.2)
    kind = _KINDS.get(margin_of(loss))
    if kind:
        top = margin_upper_bound(classes, dim)
        top = top if kind == "cosine" else float(np.arccos(max(-1.0, 1 - top)))
        margins = np.linspace(max(0.0, low), min(high, 0.995 * top), 60)
        if margins[-1] > margins[0]:
            axes.plot(joint_scale_bound(classes, POSTERIOR, margins, kind), margins, color=_BOUND, lw=0.9, zorder=2.2)
        if low < top < high:
            axes.axhline(top, color=_BOUND, lw=0.9, ls="--", zorder=2.2)
    axes.set_ylabel(_UNITS.get(margin_unit(loss), "$m$"))
    texts = _name_best(axes, points, m, taken, name)
    chosen = points[points["chosen"]]
    texts.append(in_panel(axes, chosen["s"], chosen["m"]))
    if contours is not None and surface is not None:
        _name_levels(axes, contours, surface, taken, texts)


def _within(axes: Axes, x: float, y: float) -> bool:
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    return left <= x <= right and low <= y <= high


def _contours(axes: Axes, surface: Surface, colours: _Colours, name: MetricName) -> QuadContourSet | None:
    """Filled contours where the surface is known, lines on them, and over both the ground next to diverged trials."""
    s, m = surface.grid
    if (surface.clearance < 0).any():
        axes.contourf(s, m, surface.clearance, levels=[-1e9, 0.0], colors=[_UNUSABLE], zorder=2.1)
    shown = surface.known | (surface.clearance < 0) & np.isfinite(surface.clearance)
    mean = np.where(shown, surface.mean * name.factor, np.nan)
    values = surface.mean[surface.known] * name.factor
    if not values.size or float(np.ptp(values)) <= 0:
        return None
    fill = np.linspace(float(values.min()), float(values.max()), 24)
    axes.contourf(s, m, mean, levels=fill, cmap=colours.palette, norm=colours.norm, extend="both", zorder=1)
    return axes.contour(s, m, mean, levels=_levels(values), colors=[INK], linewidths=0.45, alpha=0.75, zorder=2)


def _levels(shown: NDArray[np.float64]) -> NDArray[np.float64]:
    """Round values over what is shown."""
    low, high = float(np.quantile(shown, 0.1)), float(shown.max())
    ticks = np.asarray(MaxNLocator(6, steps=[1, 2, 5, 10]).tick_values(low, high))
    inside = ticks[(ticks > shown.min()) & (ticks < high)]
    return inside if len(inside) else np.array([(low + high) / 2])


def _name_levels(
    axes: Axes, contours: QuadContourSet, surface: Surface, taken: list[Places], texts: list[Places]
) -> None:
    """The value of each contour line, once, where there is room on it."""
    s, m = surface.axes
    for level, path in zip(contours.levels, contours.get_paths(), strict=True):
        vertices = np.asarray(path.vertices)
        if not len(vertices):
            continue
        row, column = (
            np.rint(value.to_unit(places) * (size - 1)).astype(int)
            for value, places, size in (
                (m, vertices[:, 1], len(surface.grid[1])),
                (s, vertices[:, 0], len(surface.grid[0])),
            )
        )
        vertices = vertices[surface.known[row, column]]
        places = in_panel(axes, vertices[:, 0], vertices[:, 1])
        index = emptiest(places, taken, texts)
        if index is None:
            continue
        x, y = vertices[index]
        axes.text(
            x, y, f"{level:g}".replace("-", "−"), fontsize=6.5, ha="center", va="center_baseline",
            path_effects=_HALO, zorder=3.6,
        )  # fmt: skip
        texts.append(places[index : index + 1])


def _response(
    axes: Axes, points: pd.DataFrame, varied: str, surface: Surface | None, colours: _Colours, name: MetricName
) -> None:
    values = points["objective"] * name.factor
    if surface is not None and not surface.reason:
        (grid,) = surface.grid
        known = surface.known.ravel()
        mean, low, high = (
            np.where(known, part.ravel() * name.factor, np.nan) for part in (surface.mean, surface.low, surface.high)
        )
        axes.fill_between(grid, low, high, color=colours.palette(0.5), alpha=0.35, lw=0, zorder=1)
        axes.plot(grid, mean, color=MUTED, lw=1.1, zorder=2)
        if (surface.clearance < 0).any():
            axes.fill_between(
                grid, 0, 1, where=surface.clearance.ravel() < 0, transform=axes.get_xaxis_transform(), color=_UNUSABLE,
                lw=0, zorder=0.5,
            )  # fmt: skip
    _mark_points(axes, points, values, colours, name, x=varied)
    axes.margins(y=0.09)
    axes.set_ylabel(_value_label(name))
    if varied == "s":
        bound = cosface_scale_bound(int(points["num_classes"].iloc[0]), POSTERIOR)
        axes.axvline(bound, color=_BOUND, lw=0.9, ls=":", zorder=2.2)
        _log_scale_axis(axes, points["s"], bound, surface)
        default = LOSSES[loss].parameters if (loss := str(points["loss"].iloc[0])) in LOSSES else {}
        if "s" in default and axes.get_xlim()[0] <= default["s"].default <= axes.get_xlim()[1]:
            axes.plot(default["s"].default, 0.0, "+", color=INK, ms=9, mew=1.1, clip_on=False,
                      transform=axes.get_xaxis_transform(), zorder=5)  # fmt: skip
    else:
        axes.set_xlabel(_UNITS.get(margin_unit(str(points["loss"].iloc[0])), "$m$"))
    _name_best(axes, points, values, [in_panel(axes, points[varied], values)], name, x=varied)


def _mark_points(
    axes: Axes, points: pd.DataFrame, height: pd.Series, colours: _Colours, name: MetricName, x: str = "s"
) -> None:
    shrink = 1.0 if len(points) <= _MANY else max(0.3, (_MANY / len(points)) ** 0.6)
    for status, marker, size in (("pruned", "s", 11), ("completed", "o", 27)):
        rows = points[points["status"] == status]
        if rows.empty:
            continue
        values = (rows["objective"] * name.factor).to_numpy()
        face = colours.palette(colours.norm(values)) if status == "completed" else "none"
        edge, width = (INK, 0.45 * shrink**0.3) if status == "completed" else (MUTED, 0.6)
        axes.scatter(
            rows[x], height[rows.index], s=size * shrink, marker=marker, c=face, edgecolors=edge, linewidths=width,
            zorder=3.2 if status == "completed" else 3,
        )  # fmt: skip
    for status, colour in (("failed", MUTED), ("diverged", _DIVERGED)):
        rows = points[points["status"] == status]
        axes.plot(
            rows[x], height[rows.index], "x", color=colour, ms=max(3.2, 5 * shrink**0.5), mew=1.2, ls="none", zorder=3.4
        )
    chosen = points[points["chosen"]]
    axes.scatter(chosen[x], height[chosen.index], s=80, marker="o", c="none", edgecolors=INK, linewidths=1.1, zorder=4)


def _name_best(
    axes: Axes, points: pd.DataFrame, height: pd.Series, taken: list[Places], name: MetricName, x: str = "s"
) -> list[Places]:
    """Writes the value of the best chosen point beside it, on the side that has most room; returns where."""
    chosen = points[points["chosen"]]
    if chosen.empty:
        return []
    best = int(np.argmax(chosen["objective"]))
    value = float(chosen["objective"].iloc[best])
    at = in_panel(axes, chosen[x], height[chosen.index])[best]
    sides = np.array([[across, up] for up in (0.09, -0.09, 0.0) for across in (0.06, -0.06)])
    rings = [in_panel(axes, chosen[x], height[chosen.index])]
    index = emptiest(at + sides, taken, rings)
    place = at + sides[index or 0]
    axes.text(
        place[0], place[1], name.value(value).split("\N{NO-BREAK SPACE}")[0], fontsize=7.5, ha="center",
        va="center_baseline", fontweight="bold", transform=axes.transAxes, path_effects=_HALO, zorder=6,
    )  # fmt: skip
    return [place[None]]


def _log_scale_axis(axes: Axes, s: pd.Series, bound: float, surface: Surface | None) -> None:
    ends = [surface.axes[0].low, surface.axes[0].high] if surface is not None else []
    low, high = min(float(s.min()), bound, *ends), max(float(s.max()), bound, *ends)
    pad = (high / low) ** 0.045
    low, high = low / pad, high * pad
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.xaxis.set_major_locator(FixedLocator([tick for tick in _TICKS if low <= tick <= high]))
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("scale $s$")


def _legend(points: pd.DataFrame, panels: Iterable[Axes]) -> list[Line2D]:
    def entry(label: str, **style: object) -> Line2D:
        return Line2D([], [], **{"color": INK, "linestyle": "none", "label": label, **style})  # type: ignore[arg-type]

    statuses = set(points["status"])
    face = _light_palette()(0.6)
    handles = [entry("completed", marker="o", ms=5, mfc=face, mew=0.45)]
    handles += [entry("pruned", marker="s", ms=3.5, mfc="none", color=MUTED)] if "pruned" in statuses else []
    handles += [entry("diverged", marker="x", ms=5, mew=1.2, color=_DIVERGED)] if "diverged" in statuses else []
    handles += [entry("failed", marker="x", ms=5, color=MUTED)] if "failed" in statuses else []
    handles += [entry("chosen", marker="o", ms=8, mfc="none"), entry("paper’s default", marker="+", ms=8)]
    handles += [
        entry("bound on $s$", color=_BOUND, linestyle=":", lw=0.9),
        entry("with margin", color=_BOUND, linestyle="-", lw=0.9),
    ]
    if any(line.get_linestyle() == "--" for axes in panels for line in axes.lines):
        handles.append(entry("bound on $m$", color=_BOUND, linestyle="--", lw=0.9))
    return handles
