"""The table of break-even budgets."""

import math
from collections.abc import Mapping

import pandas as pd

from hpstudy.analysis import interval_text
from hpstudy.reporting._style import ArmStyle
from hpstudy.reporting._tables import DASH, Table, arm_cell, number

_LEAST_SHOWN = 5
"""A unit of time is used where the longest time is this many of it."""


def compute_unit(hours: pd.Series) -> tuple[float, str]:
    """What hours are multiplied with to be shown, and the unit: hours, minutes or seconds."""
    longest = float(hours.max()) if hours.notna().any() else 0.0
    for factor, unit in ((1.0, "h"), (60.0, "min")):
        if longest * factor >= _LEAST_SHOWN:
            return factor, unit
    return 3600.0, "s"


def price_table(prices: pd.DataFrame, styles: Mapping[str, ArmStyle]) -> Table:
    """Trials that each searched arm needs to match each adaptive arm, one row a pair.

    Args:
        prices: `break_even`.
        styles: Style of every arm.
    """
    table = Table(
        [
            ("tuned", "left"), ("adaptive", "left"), ("n_star", "right"), ("n_interval", "center"),
            ("n_time", "right"), ("n_mean", "right"), ("n_had", "right"), ("n_search_time", "right"),
            ("n_own_time", "right"),
        ]
    )  # fmt: skip
    factor, unit = compute_unit(prices["search_hours"])
    digits = 0 if unit == "s" else 1
    several = prices["condition"].nunique() > 1
    previous = ("", "")
    for row in prices.to_dict("records"):
        if several and row["condition"] != previous[0]:
            table.group(row["condition"])
        trials, place = int(row["trials"]), (row["condition"], row["arm"])
        had = number(row["search_hours"] * factor, digits)
        table.row(
            arm_cell(row["arm"], styles) if place != previous else "",
            arm_cell(row["adaptive"], styles),
            {"text": _count(row["n_star"], trials), "weight": "bold"},
            interval_text(row["low"], row["high"], trials) or DASH,
            number(row["hours"] * factor, digits) if row["reached"] else f"> {had}",
            _count(row["n_mean"], trials),
            f"{trials}" if row["searches"] == 1 else f"{row['searches']} × {trials}",
            had,
            number(row["adaptive_hours"] * factor, digits),
        )
        previous = place
    return table


def _count(n: float, trials: int) -> str:
    return f"{n:.0f}" if math.isfinite(n) else f"> {trials}"
