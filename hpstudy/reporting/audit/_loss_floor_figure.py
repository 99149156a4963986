"""NormFace's floor of the loss, and what trials came to above it."""

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator

from hpstudy.reporting._style import FAINT, INK, MUTED, ArmStyle, legend_above, literal, new_figure, panel_title
from hpstudy.theory import normface_loss_bound

SIZES_SHOWN = 6
"""Numbers of classes and dimensions that one figure holds."""
_COLUMNS = 3
_LEAST = 1e-8
"""Losses and floors below are drawn at the lower edge."""
_DROP = 1e-4
"""How far below the highest of it the floor is followed where no trial came."""
_MOST_TIMES = 12.0
"""Losses so many times their floor are drawn at the upper edge of their ratio."""
_BEFORE = 4.0
"""How far below the smallest scale in use equivalent scales are drawn; those smaller yet are drawn at the edge."""
_CROSSED = "#d00000"


def loss_floor_figure(frame: pd.DataFrame, styles: Mapping[str, ArmStyle]) -> Figure:
    """The training loss of each trial against its scale with the floor, and divided by it below.

    Args:
        frame: `loss_floor`, with a trial at least whose floor is known, and at most `SIZES_SHOWN` numbers of classes
            and dimensions.
        styles: Style of every arm.
    """
    known = frame[frame["floor"].notna()]
    least = float(known["s"].min()) / _BEFORE
    known = known.assign(x=known["equivalent_s"].clip(lower=least))
    sizes = known[["num_classes", "embedding_dim"]].drop_duplicates().sort_values(["embedding_dim", "num_classes"])
    columns = min(_COLUMNS, len(sizes))
    blocks = -(-len(sizes) // columns)
    figure = new_figure(0.7 + 2.7 * blocks)
    grid = figure.subplots(2 * blocks, columns, squeeze=False, sharex=True, height_ratios=[1.6, 1.0] * blocks)
    for i, size in enumerate(sizes.to_dict("records")):
        here = known[(known["num_classes"] == size["num_classes"]) & (known["embedding_dim"] == size["embedding_dim"])]
        block, column = divmod(i, columns)
        loss, ratio = grid[2 * block, column], grid[2 * block + 1, column]
        _loss_panel(loss, here, styles, (float(known["x"].min()) / 1.3, float(known["x"].max()) * 1.3))
        _ratio_panel(ratio, here, styles)
        panel_title(loss, chr(ord("a") + i), f"$C$ = {size['num_classes']:,}, $K$ = {size['embedding_dim']:,}")
        if column == 0:
            loss.set_ylabel("loss (nats)")
            ratio.set_ylabel("loss / floor")
        if i + columns >= len(sizes):
            ratio.tick_params(labelbottom=True)
    for axes in grid[2 * blocks - 2 :, (len(sizes) - 1) % columns + 1 :].reshape(-1):
        axes.set_axis_off()
    with_margin = bool((known["equivalent_s"] != known["s"]).any())
    across = "scale $s$; with a margin, the $s$ that has the same floor without" if with_margin else "scale $s$"
    figure.supxlabel(across, fontsize=grid[0, 0].xaxis.label.get_fontsize())
    legend_above(figure, _handles(known, styles))
    return figure


def _loss_panel(axes: Axes, rows: pd.DataFrame, styles: Mapping[str, ArmStyle], ends: tuple[float, float]) -> None:
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    classes, grid = int(rows["num_classes"].iloc[0]), np.geomspace(*ends, 200)
    floor = np.asarray(normface_loss_bound(classes, grid))
    losses = rows[["balanced", "shown"]].to_numpy(dtype=float)
    least = float(np.nanmin(np.where(losses > 0, losses, np.nan), initial=math.inf))
    bottom = max(min(least / 3, max(float(floor.min()), float(floor.max()) * _DROP)), _LEAST)
    axes.fill_between(grid, bottom, np.maximum(floor, bottom), color=FAINT, alpha=0.6, lw=0)
    axes.plot(grid[floor > bottom], floor[floor > bottom], color=INK, lw=1.0)
    axes.axhline(math.log(classes), color=MUTED, lw=0.8, ls=":")
    _points(axes, rows, styles, rows["balanced"].clip(lower=bottom), rows["shown"].clip(lower=bottom))
    axes.set_xlim(*ends)
    axes.set_ylim(bottom, 2.5 * max(float(np.nanmax(losses)), float(floor.max()), math.log(classes)))
    axes.xaxis.set_major_locator(LogLocator(2, numticks=7))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda s, _: f"{s:g}"))
    axes.minorticks_off()


def _ratio_panel(axes: Axes, rows: pd.DataFrame, styles: Mapping[str, ArmStyle]) -> None:
    told = rows[rows["ratio"].notna()]
    shown = (told["shown"] / told["floor"]).where(told["imbalance"] > 1)
    lowest = float(np.nanmin([0.9, *told["ratio"], *shown.dropna()])) / 1.25
    axes.set_yscale("log")
    axes.axhspan(lowest, 1.0, color=FAINT, alpha=0.6, lw=0)
    axes.axhline(1.0, color=INK, lw=1.0)
    _points(axes, told, styles, told["ratio"].clip(upper=_MOST_TIMES), shown.clip(upper=_MOST_TIMES))
    axes.set_ylim(lowest, _MOST_TIMES)
    axes.yaxis.set_major_locator(LogLocator(10, subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda ratio, _: f"{ratio:g}"))
    axes.minorticks_off()


def _points(
    axes: Axes, rows: pd.DataFrame, styles: Mapping[str, ArmStyle], balanced: pd.Series, shown: pd.Series
) -> None:
    """Filled: class-balanced; hollow, and joined to it: as imbalanced data show the samples."""
    for arm, group in rows.groupby("arm", sort=True):
        style, x = styles[str(arm)], group["x"].to_numpy(dtype=float)
        solid, hollow = (values[group.index].to_numpy(dtype=float) for values in (balanced, shown))
        axes.plot(x, solid, style.marker, color=style.colour, ms=4.5, mec="white", mew=0.4, alpha=0.9, clip_on=False)
        uneven = group["imbalance"].to_numpy() > 1
        if uneven.any():
            x, solid, hollow = x[uneven], solid[uneven], hollow[uneven]
            axes.vlines(x, hollow, solid, color=style.colour, lw=0.6)
            axes.plot(x, hollow, style.marker, mfc="white", mec=style.colour, ms=4, mew=0.9, clip_on=False)
    wrong = rows.index[rows["crossed"]]
    axes.plot(rows.loc[wrong, "x"], balanced[wrong], "o", mfc="none", mec=_CROSSED, ms=10, mew=1.5)


def _handles(rows: pd.DataFrame, styles: Mapping[str, ArmStyle]) -> list[Line2D]:
    drawn = {*rows["arm"]}
    arms = [
        Line2D([], [], color=style.colour, marker=style.marker, ls="none", ms=4.5, label=literal(arm))
        for arm, style in styles.items()
        if arm in drawn
    ]
    lines = [
        Line2D([], [], color=INK, lw=1.0, label="floor"),
        Line2D([], [], color=MUTED, lw=0.8, ls=":", label="ln $C$"),
    ]
    if (rows["imbalance"] > 1).any():
        lines += [
            Line2D([], [], color=MUTED, marker="o", ls="none", ms=4.5, label="class-balanced"),
            Line2D([], [], mfc="white", mec=MUTED, marker="o", ls="none", ms=4.5, label="as imbalanced data show it"),
        ]
    return [*arms, *lines]
