"""Whether an early stop would have been right."""

from collections.abc import Mapping

import pandas as pd
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from hpstudy.analysis import CONFIRM, SURVIVORS
from hpstudy.reporting._style import FAINT, INK, MUTED, ArmStyle, legend_above, literal, new_figure, panel_title

_COLUMNS = 5
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_ASIDE = 0.012
"""How far the two kinds of interval stand apart, as a share of the epochs."""


def fidelity_figure(ranks: pd.DataFrame, styles: Mapping[str, ArmStyle]) -> Figure:
    """Kendall's τ between an epoch and the end, and the share of the best that a stop would keep, a panel each arm.

    Args:
        ranks: `fidelity` of one condition, at least one row.
        styles: Style of every arm.
    """
    arms = [arm for arm in styles if arm in set(ranks["arm"])] + ([""] if (ranks["subset"] == CONFIRM).any() else [])
    rows = -(-len(arms) // _COLUMNS)
    columns = -(-len(arms) // rows)
    figure = new_figure(0.6 + 1.6 * rows)
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for i, axes in enumerate(panels.flat):
        if i >= len(arms):
            axes.set_visible(False)
            continue
        of_arm = ranks[ranks["arm"] == arms[i]]
        _panel(axes, of_arm, styles[arms[i]].colour if arms[i] else INK)
        panel_title(axes, _LETTERS[i % 26], literal(arms[i]) if arms[i] else "all arms, confirm")
        if i + columns >= len(arms):
            axes.tick_params(axis="x", labelbottom=True)
    figure.supxlabel("epoch", fontsize="medium")
    figure.supylabel("agreement with the end", fontsize="medium")
    handles = [
        Line2D([], [], color=INK, lw=1.3, label="Kendall’s $\\tau$ with 95 % interval"),
        Line2D([], [], color=INK, lw=0.9, marker="D", ms=3.5, mfc="white", label="share of the best that a stop keeps"),
        Line2D([], [], color=INK, lw=0, marker="_", ms=7, label="by chance"),
    ]
    if ranks["rung"].any():
        handles.append(Line2D([], [], color=FAINT, lw=3, label="rung"))
    legend_above(figure, handles)
    return figure


def _panel(axes: Axes, rows: pd.DataFrame, colour: str) -> None:
    for epoch in rows.loc[rows["rung"], "epoch"]:
        axes.axvline(epoch, color=FAINT, lw=3, zorder=0)
    axes.axhline(0, color=INK, lw=0.5, zorder=1)
    axes.fill_between(rows["epoch"], rows["low"], rows["high"], color=colour, alpha=0.18, lw=0, zorder=1)
    alone = len(rows) == 1
    if alone:
        axes.vlines(rows["epoch"], rows["low"], rows["high"], color=colour, lw=1.3, alpha=0.5, zorder=1)
    axes.plot(rows["epoch"], rows["tau"], color=colour, lw=1.3, marker="o" if alone else None, ms=3.5, zorder=3)
    last = float(rows["epochs"].max())
    stops = rows[decided(rows)]
    places = stops["epoch"] + _ASIDE * last
    axes.vlines(places, stops["kept_low"], stops["kept_high"], color=INK, lw=0.9, zorder=3.5)
    axes.plot(places, stops["kept"], "D", color=INK, mfc="white", ms=3.5, mew=0.8, ls="none", zorder=4)
    axes.plot(places, stops["top"] / stops["n"], "_", color=INK, ms=7, mew=0.8, ls="none", zorder=4)
    axes.set_ylim(-1.05, 1.05)
    axes.set_xlim(0.5, last + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.set_yticks([-1, 0, 1], ["−1", "0", "1"])
    axes.annotate(
        _counted(rows), (0.97, 0.03), xycoords="axes fraction", ha="right", va="bottom", fontsize=7.5, color=MUTED,
        path_effects=[patheffects.withStroke(linewidth=2, foreground="white")], zorder=4,
    )  # fmt: skip


def decided(ranks: pd.DataFrame) -> pd.Series:
    """Rows of `fidelity` at a rung; without any, the first epoch from a quarter, and from half, of the epochs on."""
    if ranks["rung"].any():
        return ranks["rung"]
    picked = pd.Series(False, index=ranks.index)
    for part in (0.25, 0.5):
        late = ranks["epoch"].where(ranks["epoch"] >= part * ranks["epochs"])
        picked |= late == late.groupby([ranks["condition"], ranks["arm"]], sort=False).transform("min")
    return picked


def _counted(rows: pd.DataFrame) -> str:
    """How many trials were compared, and of how many."""
    n, stopped = int(rows["n"].max()), int(rows["stopped"].max())
    if rows["subset"].iloc[0] == CONFIRM:
        return f"{n} points"
    return f"{n} of {n + stopped} trials" if rows["subset"].iloc[0] == SURVIVORS else f"{n} trials"
