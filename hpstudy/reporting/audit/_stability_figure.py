"""Where AdaCos' dynamic rules run away: divergence over classes and dimensions, and the scales they end at."""

from collections.abc import Sequence
from itertools import product

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import FuncFormatter

from hpstudy.analysis.audit import PUBLISHED, RUNS_AWAY
from hpstudy.reporting._style import INK, MUTED, WIDTH, literal, new_figure

_MOST_COLUMNS = 4
_WIDE = 4
"""Values of K from which on a row holds three panels, or their counts could not be read."""
_DARK = 0.55
"""Rate from which on a count is white."""
_WIDEST = 0.9
"""Width of a cell in inches at most; what is left of a row stays empty."""
_BESIDE = 1.3
"""Inches that the names of the rows and the colour bar take."""


def stability_figure(found: pd.DataFrame) -> Figure:
    """A map of C × K for each arm and noise level: rate of divergence in colour, diverged of all trials as text.

    Cells in which the published rule is predicted to run away are hatched, and the line that bounds them is drawn; a
    cell that contradicts its prediction is framed.

    Args:
        found: `stability_map`, of at least one arm; a row of panels holds an arm's noise levels, or the arms if there
            is one level.
    """
    panels, columns = stability_panels(found)
    rows = -(-len(panels) // columns)
    classes = sorted(found["num_classes"].unique())
    dims = sorted(found["embedding_dim"].unique())
    height = 0.75 + rows * (0.47 + 0.27 * max(len(classes), 2))
    figure = new_figure(height)
    room = max(columns, round((WIDTH - _BESIDE) / (_WIDEST * len(dims))))
    grid = figure.subplots(rows, room, squeeze=False)
    palette, size = _palette(), _text_size(found, room, len(dims))
    for axes in grid.ravel():
        axes.set_axis_off()
    used = grid[:, :columns]
    for i, (axes, panel) in enumerate(zip(used.ravel(), panels, strict=False)):
        axes.set_axis_on()
        _map(axes, cells_of(found, panel), classes, dims, palette, size)
        name_panel(axes, panel, found)
        below, first = i + columns >= len(panels), i % columns == 0
        axes.set_xlabel("embedding dimension $K$" if below else "")
        axes.set_ylabel("classes $C$" if first else "")
        axes.tick_params(labelbottom=below, labelleft=first)
    bar = figure.colorbar(
        ScalarMappable(norm=Normalize(0, 1), cmap=palette), ax=list(used.ravel()), shrink=min(0.95, 2.0 / height),
        aspect=14, pad=0.015, anchor=(0.0, 1.0), ticks=[0, 0.5, 1],
        format=FuncFormatter(lambda rate, _: f"{100 * rate:.0f}"),
    )  # fmt: skip
    bar.outline.set_linewidth(0)
    bar.set_label("ran away (%)")
    _map_legend(figure, found)
    return figure


def stability_panels(found: pd.DataFrame) -> tuple[list[tuple[str, float]], int]:
    """Arm and noise of each panel, and how many of them a row holds."""
    arms = [str(arm) for arm in found["arm"].drop_duplicates()]
    levels = sorted(found["label_noise"].unique())
    most = _MOST_COLUMNS if found["embedding_dim"].nunique() <= _WIDE else _MOST_COLUMNS - 1
    panels = [(arm, level) for arm, level in product(arms, levels) if len(cells_of(found, (arm, level)))]
    complete = len(panels) == len(arms) * len(levels)
    if complete and 1 < len(levels) <= most:
        return panels, len(levels)
    return panels, -(-len(panels) // -(-len(panels) // most))


def cells_of(found: pd.DataFrame, panel: tuple[str, float]) -> pd.DataFrame:
    """The rows of an arm at a level of noise."""
    return found[(found["arm"] == panel[0]) & (found["label_noise"] == panel[1])]


def _text_size(found: pd.DataFrame, columns: int, dims: int) -> float:
    """Type that fits a cell's width."""
    longest = 1 + max(len(f"{n}{k}") for n, k in zip(found["trials"], found["ran_away"], strict=True))
    points = 72 * (WIDTH - _BESIDE) / columns / max(dims, 2)
    return float(np.clip(points / (0.55 * longest), 5.0, 7.5))


def _palette() -> Colormap:
    """From nearly white, even to the eye and safe for the colour-blind."""
    return LinearSegmentedColormap.from_list("rate", ["#f6f4f1", *sns.color_palette("rocket_r", 12)[1:9]])


def _map(
    axes: Axes, cells: pd.DataFrame, classes: Sequence[int], dims: Sequence[int], palette: Colormap, size: float
) -> None:
    for row in cells.to_dict("records"):
        x, y = dims.index(row["embedding_dim"]), classes.index(row["num_classes"])
        axes.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, fc=palette(row["rate"]), ec="white", lw=0.8))
        axes.text(
            x, y, f"{row['ran_away']}/{row['trials']}", ha="center", va="center_baseline", fontsize=size, zorder=4,
            color="white" if row["rate"] > _DARK else INK, fontweight="bold" if row["contradicts"] else "normal",
        )  # fmt: skip
        if row["contradicts"]:
            axes.add_patch(Rectangle((x - 0.42, y - 0.42), 0.84, 0.84, fc="none", ec=INK, lw=1.0, ls=":", zorder=3.5))
    if (cells["rule"] == PUBLISHED).any():
        _prediction(axes, cells, classes, dims)
    axes.set_xlim(-0.5, len(dims) - 0.5)
    axes.set_ylim(-0.5, len(classes) - 0.5)
    axes.set_xticks(range(len(dims)), [f"{dim:,}" for dim in dims])
    axes.set_yticks(range(len(classes)), [f"{count:,}" for count in classes])
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _prediction(axes: Axes, cells: pd.DataFrame, classes: Sequence[int], dims: Sequence[int]) -> None:
    """Hatches what is predicted to run away, and draws the edges it shares with what is not."""
    places = [(dims.index(row["embedding_dim"]), classes.index(row["num_classes"])) for row in cells.to_dict("records")]
    runs = dict(zip(places, cells["predicted"] == RUNS_AWAY, strict=True))
    for ((x, y), away), rate in zip(runs.items(), cells["rate"], strict=True):
        if away:
            ink = "white" if rate > _DARK else INK
            hatched = Rectangle((x - 0.5, y - 0.5), 1, 1, fc="none", ec=ink, lw=0, hatch="////", alpha=0.45, zorder=2)
            hatched.set_hatch_linewidth(0.5)
            axes.add_patch(hatched)
        for (right, up), ends in (((1, 0), ((0.5, -0.5), (0.5, 0.5))), ((0, 1), ((-0.5, 0.5), (0.5, 0.5)))):
            if runs.get((x + right, y + up), away) != away:
                axes.plot(*zip(*((x + dx, y + dy) for dx, dy in ends), strict=True), color=INK, lw=1.6, zorder=3)


def name_panel(axes: Axes, panel: tuple[str, float], found: pd.DataFrame) -> None:
    """Arm, and noise if there is any in the figure, above a panel."""
    arm, noise = panel
    text = f"{100 * noise:.3g} % wrong labels" if noise else "all labels right"
    noisy = bool((found["label_noise"] > 0).any())
    axes.set_title(literal(arm), loc="left", pad=13 if noisy else 4)
    if noisy:
        axes.annotate(
            text, (0, 1), xycoords="axes fraction", xytext=(0, 4), textcoords="offset points", va="baseline", ha="left",
            color=MUTED,
        )  # fmt: skip


def _map_legend(figure: Figure, found: pd.DataFrame) -> None:
    handles = []
    if ((found["rule"] == PUBLISHED) & (found["predicted"] == RUNS_AWAY)).any():
        handles.append(Patch(fc="white", ec=INK, lw=0.8, hatch="//////", label="predicted to run away"))
        handles[-1].set_hatch_linewidth(0.5)
    if found["contradicts"].any():
        handles.append(Patch(fc="none", ec=INK, lw=1.0, ls=":", label="contradicts its prediction"))
    if handles:
        figure.legend(handles=handles, loc="outside upper left", ncols=len(handles), borderaxespad=0.1)
