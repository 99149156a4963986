"""Features in two dimensions: as they are where the loss reads their norm, as directions where it does not."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from hpstudy.analysis import listed, margin_unit, scale_text
from hpstudy.analysis.audit import Plane, angle_shares, merged_prototypes
from hpstudy.reporting._style import FAINT, INK, MUTED, WIDTH, legend_above, literal, new_figure

_COLUMNS = 3
_LEGEND, _ROW, _TITLE, _LEFT, _SIDE = 0.3, 2.35, 0.38, 0.34, 1.75
"""In inches: height of the legend, of a row and of the titles above its panels; what is left of a panel; its side."""
_MOST = 500
"""Samples of a panel beyond which they are drawn as an image; the image takes less room than the marks."""
_IMAGE_DPI = 300
_BINS = 180
"""Of two degrees."""
_HIGHEST = 0.45
"""Height of a bin that has all samples of a class, where the circle has radius 1."""
_NAMED = 10
"""Classes that colours can tell apart; more have no legend."""
_LISTED = 28
"""Letters that a list of merged classes may have."""
_REACH = 0.995
"""The panel shows this share of the samples; the few that lie furthest would press the others together."""
_PROTOTYPE = 0.55
"""Length of the longest prototype as a share of the panel's half."""


def plane_figure(planes: Sequence[Plane]) -> Figure:
    """One panel a trial: features coloured by class, prototypes as rays from the origin.

    Losses that read norms have the features as they are, and prototypes true to each other but not to the features'
    scale. Of other losses only directions count: the prototypes are unit vectors, and outside the circle stands how the
    directions of each class are distributed; the height of a bin is the square root of its share of the class.

    Args:
        planes: What is drawn, in this order; at least one.
    """
    rows = -(-len(planes) // _COLUMNS)
    height = _LEGEND + _ROW * rows
    figure = new_figure(height)
    figure.set_dpi(_IMAGE_DPI)
    # Matplotlib's own layout does not come to rest where panels are square.
    figure.set_layout_engine("none")
    several = len({plane.condition for plane in planes}) > 1
    for i, plane in enumerate(planes):
        row, column = divmod(i, _COLUMNS)
        left, bottom = _LEFT + column * WIDTH / _COLUMNS, height - _LEGEND - row * _ROW - _TITLE - _SIDE
        axes = figure.add_axes((left / WIDTH, bottom / height, _SIDE / WIDTH, _SIDE / height))
        (_as_they_are if plane.reads_norm else _directions)(axes, plane, class_colours(plane.num_classes))
        axes.set_title(chr(ord("a") + i), loc="left", pad=15)
        where = [literal(plane.condition)] if several else []
        for text, place, size, colour in (
            (literal(plane.arm), (10, 15), 8.5, INK),
            (", ".join([*where, *_values(plane)]), (0, 4), 8, MUTED),
        ):
            axes.annotate(
                text, (0, 1), xycoords="axes fraction", xytext=place, textcoords="offset points", va="baseline",
                fontsize=size, color=colour,
            )  # fmt: skip
    _legend(figure, max((plane.num_classes for plane in planes if plane.num_classes <= _NAMED), default=0))
    return figure


def _legend(figure: Figure, classes: int) -> None:
    if classes:
        dots = [
            Line2D([], [], color=colour, marker="o", ls="none", ms=4.5, label=f"{label}")
            for label, colour in enumerate(class_colours(classes))
        ]
        legend_above(figure, [Line2D([], [], ls="none", label="class"), *dots])


def class_colours(count: int) -> list[str]:
    """A colour for each class: told apart by everybody up to ten, hues around the circle beyond."""
    few = count <= _NAMED
    palette = sns.color_palette("colorblind", count) if few else sns.color_palette("husl", count)
    return list(palette.as_hex())


def _values(plane: Plane) -> list[str]:
    """s, m and accuracy as far as the trial has them; the mean norm of its features is no s to name."""
    texts = []
    if np.isfinite(plane.s) and not plane.reads_norm:
        texts.append(f"$s$ = {scale_text(plane.s)}")
    if np.isfinite(plane.m):
        texts.append(f"$m$ = {plane.m:.3g}" + (" rad" if margin_unit(plane.loss) == "rad" else ""))
    if np.isfinite(plane.accuracy):
        texts.append(f"{100 * plane.accuracy:.1f} % right")
    return texts


def _as_they_are(axes: Axes, plane: Plane, colours: Sequence[str]) -> None:
    known = plane.samples[np.isfinite(plane.samples[["x", "y"]]).all(axis=1)]
    points = known[["x", "y"]].to_numpy(dtype=float)
    half = 1.05 * float(np.quantile(np.abs(points).max(axis=1), _REACH)) if len(points) else 0.0
    half = half or 1.0
    axes.axhline(0, color=FAINT, lw=0.6, zorder=0)
    axes.axvline(0, color=FAINT, lw=0.6, zorder=0)
    axes.scatter(
        points[:, 0], points[:, 1], s=2.2, c=[colours[label] for label in known["label"]], lw=0, alpha=0.6,
        rasterized=len(points) > _MOST, zorder=2,
    )  # fmt: skip
    ends = plane.prototypes[["x", "y"]].to_numpy(dtype=float)
    longest = float(np.hypot(ends[:, 0], ends[:, 1]).max()) if len(ends) else 0.0
    _rays(axes, plane.prototypes, ends * (_PROTOTYPE * half / longest if longest > 0 else 0.0), colours)
    axes.set_xlim(-half, half)
    axes.set_ylim(-half, half)
    axes.set_aspect("equal")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(4, steps=(1, 2, 5, 10)))
    axes.tick_params(labelsize=7)


def _directions(axes: Axes, plane: Plane, colours: Sequence[str]) -> None:
    around = np.linspace(0, 2 * np.pi, 181)
    axes.plot(np.cos(around), np.sin(around), color=MUTED, lw=0.6, zorder=3, label="_circle")
    shares = angle_shares(plane.samples, _BINS)
    for label, rows in shares.groupby("label", sort=True):
        for outline in _outlines(rows):
            axes.fill(*outline, facecolor=colours[int(str(label))], alpha=0.75, lw=0, zorder=2)
    ends = plane.prototypes[["x", "y"]].to_numpy(dtype=float)
    lengths = np.hypot(ends[:, 0], ends[:, 1])[:, None]
    _rays(axes, plane.prototypes, np.divide(ends, lengths, out=np.zeros_like(ends), where=lengths > 0), colours)
    half = 1.02 + _HIGHEST
    merged = _merged_text(plane)
    if merged:
        axes.text(0.5, 0.0, merged, transform=axes.transAxes, ha="center", fontsize=7.5, color=INK)
    axes.set_xlim(-half, half)
    axes.set_ylim(-half, half)
    axes.set_aspect("equal")
    axes.set_axis_off()


def _merged_text(plane: Plane) -> str:
    """Which classes share a prototype; how many, where the list would be long."""
    groups = merged_prototypes(plane.prototypes)
    text = "; ".join(listed([str(label) for label in group]) for group in groups)
    if len(text) > _LISTED:
        return f"{sum(map(len, groups))} of {plane.num_classes} prototypes merged into {len(groups)}"
    return f"merged: {text}" if text else ""


def _outlines(shares: pd.DataFrame) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """The outline of each run of neighbouring bins: along the circle, and back over the bins."""
    width = 2 * np.pi / _BINS
    bins = np.round(shares["angle"].to_numpy() / width).astype(int)
    heights = 1 + _HIGHEST * np.sqrt(shares["share"].to_numpy())
    outlines = []
    for run in np.split(np.arange(len(bins)), np.flatnonzero(np.diff(bins) > 1) + 1):
        edges = width * np.concatenate([bins[run], [bins[run[-1]] + 1]])
        steps = np.repeat(edges, 2)[1:-1]
        angle = np.concatenate([steps, edges[::-1]])
        radius = np.concatenate([np.repeat(heights[run], 2), np.ones(len(edges))])
        outlines.append((radius * np.cos(angle), radius * np.sin(angle)))
    return outlines


def _rays(axes: Axes, prototypes: pd.DataFrame, ends: NDArray[np.float64], colours: Sequence[str]) -> None:
    for label, (x, y) in zip(prototypes["label"], ends, strict=True):
        axes.plot([0, x], [0, y], color="white", lw=2.4, zorder=4, label="_halo", solid_capstyle="round")
        axes.plot([0, x], [0, y], color=colours[int(label)], lw=1.2, zorder=5, label=f"prototype {label}")
        axes.plot(x, y, "o", color=colours[int(label)], ms=3.6, mec=INK, mew=0.6, zorder=6, label="_end")
