"""The table of arms over all conditions."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from hpstudy.analysis import MetricName
from hpstudy.reporting._style import ArmStyle
from hpstudy.reporting._tables import DASH, Align, Table, arm_cell, bare_difference, number

_HEADINGS = {
    "pooled_runs": "runs",
    "iqm": "IQM",
    "gain": "IQM of gains",
    "gain_interval": "95 % interval",
    "improvement": "$P$ (improve), %",
    "mean_rank": "mean rank",
}


def profile_table(
    summary: pd.DataFrame, styles: Mapping[str, ArmStyle], name: MetricName, ranks: pd.DataFrame | None = None
) -> Table:
    """What each arm scores and gains over all conditions, best first.

    Args:
        summary: `pooled_summary`.
        styles: Style of every arm.
        name: The metric.
        ranks: `rank_comparison`; without a row, or None, there is no column of ranks.
    """
    ranked = {} if ranks is None else {row["arm"]: row for row in ranks.to_dict("records")}
    last: list[tuple[str, Align]] = [("mean_rank", "right")] if ranked else []
    table = Table(
        [
            ("arm", "left"), ("pooled_runs", "right"), ("iqm", "right"), ("gain", "right"),
            ("gain_interval", "center"), ("improvement", "center"), *last,
        ],
        headings=_HEADINGS,
    )  # fmt: skip
    for row in summary.to_dict("records"):
        is_control = row["arm"] == row["control"]
        rank = ranked.get(row["arm"])
        share, low, high = (number(100 * row[key], 0) for key in ("improvement", "improvement_low", "improvement_high"))
        table.row(
            arm_cell(row["arm"], styles),
            f"{row['runs']:,}",
            name.value(row["iqm"]).replace(f"\N{NO-BREAK SPACE}{name.unit}", ""),
            "control" if is_control else bare_difference(row["gain"], name),
            name.interval(row["low"], row["high"], sign=True) if np.isfinite(row["low"]) else DASH,
            f"{share} ({low} to {high})" if np.isfinite(row["improvement"]) else DASH,
            *([_rank(rank)] if ranked else []),
        )
    return table


def _rank(row: Mapping[object, object] | None) -> str | dict[str, str]:
    if row is None:
        return DASH
    text = f"{row['mean_rank']:.1f}"
    return {"text": text, "weight": "bold"} if row["word"] in ("better", "worse") else text
