"""Best value so far against what was spent on it."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hpstudy.analysis import MetricName
from hpstudy.reporting._style import ArmStyle, arm_legend, new_figure, panel_title


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
    for (arm, _), group in curve.groupby(["arm", "search_seed"], sort=True):
        style = styles[str(arm)]
        for axes, column in ((left, "trial"), (right, "epochs")):
            axes.step(
                group[column], group["best"] * name.factor, where="post", color=style.colour, ls=style.line,
                lw=style.width, marker=style.marker, ms=3, mew=0,
            )  # fmt: skip
    levels = summary[
        (summary["kind"] == "adaptive") & summary["confirm_objective"].notna() & (summary["diverged"] == 0)
    ]
    for row in levels.to_dict("records"):
        style = styles[row["arm"]]
        for axes in (left, right):
            axes.axhline(row["confirm_objective"] * name.factor, color=style.colour, lw=style.width, ls=style.line)
    left.set_ylim(*_limits(curve, levels["confirm_objective"], name.factor))
    left.set_ylabel(f"best validation value so far{f' ({name.unit})' if name.unit else ''}")
    left.set_xlabel("trials of the search")
    right.set_xlabel("training epochs spent")
    left.xaxis.set_major_locator(MaxNLocator(integer=True))
    panel_title(left, "a", "against trials")
    panel_title(right, "b", "against training spent")
    arm_legend(
        figure,
        {arm: styles[arm] for arm in styles if arm in {*curve.loc[curve["best"].notna(), "arm"], *levels["arm"]}},
    )
    return figure


def _limits(curve: pd.DataFrame, levels: pd.Series, factor: float) -> tuple[float, float]:
    """From the worst search at half its budget to the best value: the start of a search would squeeze its end."""
    lanes = curve.groupby(["arm", "search_seed"])
    halfway = curve[lanes["trial"].transform("max") <= 2 * curve["trial"]]
    shown = np.append(halfway["best"].dropna(), levels) * factor
    if not shown.size:
        return 0.0, factor
    pad = 0.06 * max(float(np.ptp(shown)), 0.01 * factor)
    return float(shown.min()) - pad, float(shown.max()) + pad
