"""Which searched value moved the objective."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hpstudy.analysis import UNEXPLAINED
from hpstudy.reporting._style import FAINT, INK, MUTED, ArmStyle, literal, new_figure, panel_title

_COLUMNS = 4
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def importance_figure(shares: pd.DataFrame, styles: Mapping[str, ArmStyle]) -> Figure:
    """Shares of variance with their intervals, a panel each arm.

    Args:
        shares: `importance` of one condition, in which at least one arm has a share.
        styles: Style of every arm.
    """
    shown = shares[shares["share"].notna()]
    arms = [arm for arm in styles if arm in set(shown["arm"])]
    lines = int(shown.groupby("arm").size().max())
    rows = -(-len(arms) // _COLUMNS)
    columns = -(-len(arms) // rows)
    figure = new_figure(0.35 + rows * (0.45 + 0.2 * lines))
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True)
    names = [tuple(shown.loc[shown["arm"] == arm, "source"]) for arm in arms]
    for i, axes in enumerate(panels.flat):
        if i >= len(arms):
            axes.set_visible(False)
            continue
        of_arm = shown[shown["arm"] == arms[i]]
        _panel(axes, of_arm, styles[arms[i]], lines)
        # The same names beside panels of one row are read once.
        if i % columns and names[i] == names[i - 1]:
            axes.tick_params(axis="y", labelleft=False)
        if i + columns >= len(arms):
            axes.tick_params(axis="x", labelbottom=True)
        epoch = int(of_arm["epoch"].iloc[0])
        panel_title(axes, _LETTERS[i % 26], literal(arms[i]) + (f", epoch {epoch}" if epoch else ""))
    figure.supxlabel("share of the variance over the searched box (%)", fontsize="medium")
    return figure


def _panel(axes: Axes, rows: pd.DataFrame, style: ArmStyle, lines: int) -> None:
    places = np.arange(len(rows))
    share, low, high = (100 * rows[key].to_numpy(dtype=float) for key in ("share", "low", "high"))
    colours = [FAINT if kind == UNEXPLAINED else style.colour for kind in rows["kind"]]
    axes.barh(places, share, height=0.62, color=colours, alpha=0.45, lw=0)
    axes.hlines(places, low, high, color=INK, lw=0.9)
    axes.plot(share, places, "o", color=INK, ms=2.8, mew=0)
    axes.set_yticks(places, [_label(str(source)) for source in rows["source"]])
    axes.set_ylim(lines - 0.45, -0.55)
    axes.set_xlim(0, 100)
    axes.set_xticks([0, 50, 100])
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color=MUTED, alpha=0.2, lw=0.5)
    axes.set_axisbelow(True)


def _label(source: str) -> str:
    """Names of values without their section; s and m as symbols."""
    parts = [part.rsplit(".", 1)[-1] for part in source.split(" × ")]
    return " × ".join(f"${part}$" if part in ("s", "m") else literal(part) for part in parts)
