"""Which scale the dynamic AdaCos rules end at, over classes and dimensions."""

import math

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from hpstudy.reporting._style import INK, MUTED, legend_above, new_figure
from hpstudy.reporting.audit._stability_figure import cells_of, name_panel, stability_panels

_TICKS = (0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0)
_FEWEST = 0.6, 2.0
"""What the axis of s/s₀ shows at least."""
_MARKERS = "osD^vP"
_APART = 0.14
"""Between the crosses of two numbers of classes, in steps of K."""


def stability_scale_figure(found: pd.DataFrame) -> Figure:
    """Median final s of the completed trials in units of s₀ against K, a line for each C; panels as in the map.

    Dashed: the predicted fixed point at 45°, where there is one. A cross at the top: no trial was completed.

    Args:
        found: `stability_map`, of at least one arm.
    """
    panels, columns = stability_panels(found)
    rows = -(-len(panels) // columns)
    dims = sorted(found["embedding_dim"].unique())
    colours = _colours(sorted(found["num_classes"].unique()))
    figure = new_figure(0.75 + rows * 1.65)
    grid = figure.subplots(rows, max(columns, 2), squeeze=False, sharey=True)
    limits = _limits(found)
    for axes in grid.ravel():
        axes.set_axis_off()
    for i, (axes, panel) in enumerate(zip(grid[:, :columns].ravel(), panels, strict=False)):
        axes.set_axis_on()
        _panel(axes, cells_of(found, panel), dims, colours, limits)
        name_panel(axes, panel, found)
        axes.set_xlabel("embedding dimension $K$" if i + columns >= len(panels) else "")
        axes.set_ylabel("final $s$ / $s_0$" if i % columns == 0 else "")
    legend_above(figure, _legend(found, colours))
    return figure


def _colours(classes: list[int]) -> dict[int, tuple[str, str]]:
    """Colour and marker of each number of classes, darker for more."""
    palette = sns.color_palette("crest", max(len(classes), 2)).as_hex()
    return {count: (palette[i], _MARKERS[i % len(_MARKERS)]) for i, count in enumerate(classes)}


def _limits(found: pd.DataFrame) -> tuple[float, float]:
    shown = pd.concat([found[name] / found["start"] for name in ("final_s", "stable", "ceiling")])
    shown = shown[np.isfinite(shown) & (shown > 0)]
    return min(_FEWEST[0], 0.9 * float(shown.min())), max(_FEWEST[1], 1.3 * float(shown.max()))


def _panel(
    axes: Axes, cells: pd.DataFrame, dims: list[int], colours: dict[int, tuple[str, str]], limits: tuple[float, float]
) -> None:
    axes.set_yscale("log")
    axes.set_ylim(*limits)
    axes.axhline(1.0, color=MUTED, lw=0.6)
    for ceiling in (cells["ceiling"] / cells["start"]).dropna().round(6).unique():
        axes.axhline(ceiling, color=INK, lw=0.8, ls=":")
    order = list(colours)
    for count, of_count in cells.groupby("num_classes", sort=True):
        index = order.index(int(str(count)))
        colour, marker = colours[order[index]]
        at = of_count.set_index("embedding_dim").reindex(dims)
        places = np.arange(len(dims))
        axes.plot(places, at["stable"] / at["start"], "--", color=colour, lw=0.8, marker="_", ms=6)
        axes.plot(places, at["final_s"] / at["start"], color=colour, marker=marker, ms=4, mec="white", mew=0.4, lw=1.1)
        for place in places[at["trials"].notna() & at["final_s"].isna()]:
            beside = place + _APART * (index - (len(order) - 1) / 2)
            axes.plot(beside, 0.94, "x", color=colour, ms=4, mew=1.1, transform=axes.get_xaxis_transform())
    axes.set_xlim(-0.4, len(dims) - 0.6)
    axes.set_xticks(range(len(dims)), [f"{dim:,}" for dim in dims])
    span = math.log(limits[1] / limits[0])
    axes.yaxis.set_major_locator(FixedLocator(_TICKS if span < math.log(8) else _TICKS[::2]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda ratio, _: f"{ratio:g}"))
    axes.yaxis.set_minor_locator(NullLocator())


def _legend(found: pd.DataFrame, colours: dict[int, tuple[str, str]]) -> list[Line2D]:
    handles = [
        Line2D([], [], color=colour, marker=marker, ms=4, mec="white", mew=0.4, lw=1.1, label=f"$C$ = {count:,}")
        for count, (colour, marker) in colours.items()
    ]
    if found["stable"].notna().any():
        handles.append(Line2D([], [], color=INK, ls="--", lw=0.8, label="fixed point at 45°"))
    if found["ceiling"].notna().any():
        handles.append(Line2D([], [], color=INK, ls=":", lw=0.8, label="ceiling"))
    if found["final_s"].isna().any():
        handles.append(Line2D([], [], color=INK, ls="none", marker="x", ms=4, mew=1.1, label="no trial completed"))
    return handles
