"""Best value so far against what was spent on it."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hpstudy.analysis import MetricName
from hpstudy.reporting._style import ArmStyle, arm_legend, new_figure, panel_title, row_title

_COLUMNS = 3
_MARKED = 30
"""Longer searches have no markers."""


def search_figure(
    curve: pd.DataFrame, summary: pd.DataFrame, styles: Mapping[str, ArmStyle], name: MetricName
) -> Figure:
    """Best-so-far of each search against trials and against epochs; adaptive scales as the level to reach.

    Args:
        curve: `search_curve` of one condition.
        summary: `confirm_summary` of the same condition.
        styles: Style of every arm.
        name: The objective.
    """
    figure = new_figure(2.3)
    left, right = figure.subplots(1, 2, sharey=True)
    levels = _levels(summary)
    for axes, column in ((left, "trial"), (right, "epochs")):
        _draw(axes, curve, levels, styles, name, column)
    left.set_ylabel(_value_title(name))
    left.set_xlabel("trials of the search")
    right.set_xlabel("training epochs spent")
    panel_title(left, "a", "against trials")
    panel_title(right, "b", "against training spent")
    _legend(figure, curve, levels, styles)
    return figure


def search_panels(
    curve: pd.DataFrame, summary: pd.DataFrame, styles: Mapping[str, ArmStyle], name: MetricName
) -> Figure:
    """The same against trials alone for several conditions, a panel each.

    Args:
        curve: `search_curve` of several conditions.
        summary: `confirm_summary` of the same conditions.
        styles: Style of every arm.
        name: The objective.
    """
    conditions = curve["condition"].drop_duplicates().to_list()
    lines = -(-len(conditions) // _COLUMNS)
    figure = new_figure(0.55 + 1.5 * lines)
    panels = figure.subplots(lines, _COLUMNS, squeeze=False).ravel()
    levels = _levels(summary)
    for axes, condition in zip(panels, conditions, strict=False):
        _draw(
            axes, curve[curve["condition"] == condition], levels[levels["condition"] == condition], styles, name,
            "trial",
        )  # fmt: skip
        row_title(axes, condition)
    for axes in panels[len(conditions) :]:
        axes.set_visible(False)
    figure.supylabel(_value_title(name), fontsize="medium")
    figure.supxlabel("trials of the search", fontsize="medium")
    _legend(figure, curve, levels, styles)
    return figure


def _value_title(name: MetricName) -> str:
    return f"best validation value so far{f' ({name.unit})' if name.unit else ''}"


def _levels(summary: pd.DataFrame) -> pd.DataFrame:
    return summary[(summary["kind"] == "adaptive") & summary["confirm_objective"].notna() & (summary["diverged"] == 0)]


def _draw(
    axes: Axes,
    curve: pd.DataFrame,
    levels: pd.DataFrame,
    styles: Mapping[str, ArmStyle],
    name: MetricName,
    column: str,
) -> None:
    for (arm, _), group in curve.groupby(["arm", "search_seed"], sort=True):
        style = styles[str(arm)]
        axes.step(
            group[column], group["best"] * name.factor, where="post", color=style.colour, ls=style.line,
            lw=style.width, marker=style.marker if len(group) <= _MARKED else None, ms=3, mew=0,
        )  # fmt: skip
    for row in levels.to_dict("records"):
        style = styles[row["arm"]]
        axes.axhline(row["confirm_objective"] * name.factor, color=style.colour, lw=style.width, ls=style.line)
    axes.set_ylim(*_limits(curve, levels["confirm_objective"], name.factor))
    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True))


def _legend(figure: Figure, curve: pd.DataFrame, levels: pd.DataFrame, styles: Mapping[str, ArmStyle]) -> None:
    drawn = {*curve.loc[curve["best"].notna(), "arm"], *levels["arm"]}
    arm_legend(figure, {arm: styles[arm] for arm in styles if arm in drawn})


def _limits(curve: pd.DataFrame, levels: pd.Series, factor: float) -> tuple[float, float]:
    """From the worst search at half its budget to the best value: the start of a search would squeeze its end."""
    lanes = curve.groupby(["arm", "search_seed"])
    halfway = curve[lanes["trial"].transform("max") <= 2 * curve["trial"]]
    shown = np.append(halfway["best"].dropna(), levels) * factor
    if not shown.size:
        return 0.0, factor
    pad = 0.06 * max(float(np.ptp(shown)), 0.01 * factor)
    return float(shown.min()) - pad, float(shown.max()) + pad
