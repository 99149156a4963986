"""CosFace's bounds on s and m, and where trials fell."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator

from hpstudy.reporting._style import FAINT, INK, ArmStyle, arm_legend, new_figure, panel_title, row_title
from hpstudy.theory import cosface_scale_bound, dimension_aware_scale_bound

_LEAST, _MOST = 1e-3, 1 - 1e-5
_POSTERIORS = (0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999)
_RUNAWAY = 16.0
"""A scale this many times the largest bound is drawn at the upper edge."""
_VIOLATION = "#d00000"


def bounds_figure(audit: pd.DataFrame, styles: Mapping[str, ArmStyle]) -> Figure:
    """Left: final s against the smallest class-centre posterior, with the bounds. Right: margin met against m.

    Args:
        audit: `bound_audit` of one condition, or of several: these have a row each. Every condition has at least one
            trial that measured its prototypes.
        styles: Style of every arm.
    """
    conditions = audit["condition"].drop_duplicates().to_list()
    with_margin = audit.dropna(subset=["margin_ratio", "satisfied"])
    several = len(conditions) > 1
    figure = new_figure(0.4 + 1.75 * len(conditions) if several else 2.4)
    columns = 1 if with_margin.empty else 2
    grid = figure.subplots(len(conditions), columns, squeeze=False)
    for i, (panels, condition) in enumerate(zip(grid, conditions, strict=True)):
        here = audit[audit["condition"] == condition]
        _scale_panel(panels[0], here.dropna(subset=["posterior_min", "s"]), styles)
        if columns > 1:
            _margin_panel(panels[1], with_margin[with_margin["condition"] == condition], styles)
        if several:
            row_title(panels[0], condition, above_panel_title=i == 0)
        if i < len(conditions) - 1:
            for axes in panels:
                axes.set_xlabel("")
    panel_title(grid[0, 0], "a", "final $s$ against its bound")
    if columns > 1:
        panel_title(grid[0, 1], "b", "margin met by training samples")
    drawn = {*audit.loc[audit["posterior_min"].notna() & audit["s"].notna(), "arm"], *with_margin["arm"]}
    arm_legend(figure, {arm: styles[arm] for arm in styles if arm in drawn}, markers=True)
    return figure


def _scale_panel(axes: Axes, audit: pd.DataFrame, styles: Mapping[str, ArmStyle]) -> None:
    axes.set_xscale("logit", one_half="0.5")
    axes.set_yscale("log")
    axes.set_xlabel("smallest posterior of a class centre, $P_W$")
    axes.set_ylabel("final scale $s$")
    posterior = audit["posterior_min"].clip(_LEAST, _MOST)
    odds = np.log(posterior / (1 - posterior))
    ends = float(odds.min()) - 0.8, float(odds.max()) + 0.8
    low, high = 1 / (1 + np.exp(-np.array(ends)))
    grid = 1 / (1 + np.exp(-np.linspace(*ends, 120)))
    classes, dim = int(audit["num_classes"].iloc[0]), int(audit["embedding_dim"].iloc[0])
    bound = cosface_scale_bound(classes, grid)
    sharper = dimension_aware_scale_bound(classes, dim, grid)
    bottom = 0.6 * min(float(audit["s"].min()), float(np.median(sharper)))
    top = _RUNAWAY * max(float(sharper.max()), 8.0)
    shown = audit.assign(posterior_min=posterior, s=audit["s"].clip(upper=top))
    axes.fill_between(grid, bottom, np.maximum(sharper, bottom), color=FAINT, alpha=0.6, lw=0)
    visible = bound > bottom
    axes.plot(grid[visible], bound[visible], color=INK, lw=1.0)
    if visible.any() and np.max(sharper[visible] / bound[visible]) > 1.02:
        axes.plot(grid, np.maximum(sharper, bottom), color=INK, lw=0.8, ls="--")
    for arm, rows in shown.groupby("arm", sort=True):
        style = styles[str(arm)]
        axes.plot(
            rows["posterior_min"], rows["s"], style.marker, color=style.colour, ms=4.5, mec="white", mew=0.4, alpha=0.9
        )
    wrong = shown[shown["violation"]]
    axes.plot(wrong["posterior_min"], wrong["s"], "o", mfc="none", mec=_VIOLATION, ms=10, mew=1.5)
    axes.set_xlim(low, high)
    axes.set_ylim(bottom, 1.5 * float(shown["s"].max()))
    axes.minorticks_off()
    axes.xaxis.set_major_locator(FixedLocator([p for p in _POSTERIORS if low <= p <= high]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda p, _: f"{p:g}"))
    axes.yaxis.set_major_locator(LogLocator(2, numticks=12))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda s, _: f"{s:g}"))


def _margin_panel(axes: Axes, audit: pd.DataFrame, styles: Mapping[str, ArmStyle]) -> None:
    axes.axvline(1.0, color=INK, lw=1.0)
    for arm, rows in audit.groupby("arm", sort=True):
        style = styles[str(arm)]
        axes.plot(
            rows["margin_ratio"], 100 * rows["satisfied"], style.marker, color=style.colour,
            ms=4.5, mec="white", mew=0.4, alpha=0.9,
        )  # fmt: skip
    furthest = 1.08 * float(audit["margin_ratio"].max()) if len(audit) else 0.0
    axes.set_xlim(-0.04, max(1.15, furthest))
    axes.axvspan(1.0, axes.get_xlim()[1], color=FAINT, alpha=0.6, lw=0, zorder=0)
    axes.set_ylim(-4, 104)
    axes.set_xlabel("$m$ divided by what the prototypes permit")
    axes.set_ylabel("samples that meet $m$ (%)")
