"""The table of AdaCos' premises."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from hpstudy.analysis import scale_text
from hpstudy.reporting._style import ArmStyle
from hpstudy.reporting._tables import DASH, Table, arm_cell, number

_HEADINGS = {
    "nontarget_start": "$θ_j$ first, °",
    "nontarget_end": "$θ_j$ end, °",
    "excess_start": "excess first",
    "excess_course": "median",
    "excess_end": "end",
    "theta_med": "$θ_med$, °",
    "steepest": "steepest, °",
    "posterior_at_median": "$P$ at $θ_med$",
}


def premises_table(premises: pd.DataFrame, styles: Mapping[str, ArmStyle]) -> Table:
    """What AdaCos takes for granted, a row an arm: medians over trials, and of P the quartiles too.

    Args:
        premises: `adacos_premises`, of one condition or of several, each of which is then named; so are the phases of
            the trials where arms have different ones.
        styles: Style of every arm.
    """
    table = Table(
        [
            ("arm", "left"), ("trials", "right"), ("nontarget_start", "right"), ("nontarget_end", "right"),
            ("excess_start", "right"), ("excess_course", "right"), ("excess_end", "right"), ("final_s", "right"),
            ("theta_med", "right"), ("steepest", "right"), ("posterior_at_median", "left"),
        ],
        headings=_HEADINGS,
    )  # fmt: skip
    several, mixed = (premises[name].nunique() > 1 for name in ("condition", "phase"))
    for condition, rows in premises.groupby("condition", sort=False):
        if several:
            table.group(str(condition))
        for row in rows.to_dict("records"):
            table.row(
                arm_cell(row["arm"], styles),
                f"{row['trials']} ({row['phase']})" if mixed else f"{row['trials']}",
                *(_angle(row, moment) for moment in ("start", "end")),
                *(number(row[f"log_b_excess_{moment}"]) for moment in ("start", "course", "end")),
                scale_text(row["s_end"]) if np.isfinite(row["s_end"]) else DASH,
                number(np.degrees(row["theta_med_end"]), 1),
                number(np.degrees(row["steepest_end"]), 1),
                _posterior(row),
            )
    return table


def _angle(row: Mapping[Any, Any], moment: str) -> str:
    """A mean angle and its spread in degrees, e.g. `89.9 ± 11.5`."""
    mean, spread = (np.degrees(row[f"{name}_{moment}"]) for name in ("nontarget", "nontarget_spread"))
    return f"{number(mean, 1)} ± {number(spread, 1)}" if np.isfinite(mean) else DASH


def _posterior(row: Mapping[Any, Any]) -> str:
    text = number(row["posterior_end"])
    low, high = row["posterior_end_low"], row["posterior_end_high"]
    return f"{text} ({number(low)} to {number(high)})" if row["trials"] > 1 and np.isfinite(low) else text
