"""Tables of the margins that trials met: against the bounds, and what became of prototypes and classes."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from hpstudy.analysis import scale_text
from hpstudy.reporting._style import ArmStyle
from hpstudy.reporting._tables import DASH, Align, Cell, Table, arm_cell, number

_DIGITS = 3


def margin_drop_table(drops: pd.DataFrame, styles: Mapping[str, ArmStyle]) -> Table:
    """Where the fraction of samples that meet m falls through one half, and how each bound stands to the interval.

    Args:
        drops: `margin_drops`.
        styles: Style of every arm.
    """
    columns: list[tuple[str, Align]] = [
        ("trials", "right"), ("unit", "left"), ("drop", "right"), ("interval", "center"), ("fall", "center"),
        ("sharp_bound", "right"), ("sharp_word", "left"), ("paper_bound", "right"), ("paper_word", "left"),
    ]  # fmt: skip
    headings = {
        "unit": "unit", "drop": "falls at", "fall": "90 % to 10 %", "sharp_bound": "sharp bound", "sharp_word": "is",
        "paper_bound": "eq. 7", "paper_word": "is",
    }  # fmt: skip
    return _table(drops, styles, columns, headings, _fall_cells)


def margin_geometry_table(drops: pd.DataFrame, styles: Mapping[str, ArmStyle]) -> Table:
    """What the prototypes permit at the smallest m and at the fall, how many merge, and how many samples stay right.

    Args:
        drops: `margin_drops`.
        styles: Style of every arm.
    """
    columns: list[tuple[str, Align]] = [
        ("drop", "right"), ("permitted_zero", "right"), ("permitted_at_drop", "right"), ("permitted_word", "left"),
        ("permitted_centres", "right"), ("merged_below", "right"), ("merged_above", "right"),
        ("most_merged", "right"), ("merged_from", "right"), ("accuracy", "center"),
    ]  # fmt: skip
    headings = {
        "drop": "falls at", "permitted_zero": "permitted, least $m$", "permitted_at_drop": "at the fall",
        "permitted_word": "is", "permitted_centres": "centres there", "merged_below": "merged below, %",
        "merged_above": "above, %", "most_merged": "most pairs", "merged_from": "first at $m$",
        "accuracy": "accuracy, %",
    }  # fmt: skip
    return _table(drops, styles, columns, headings, _geometry_cells)


def _table(
    drops: pd.DataFrame,
    styles: Mapping[str, ArmStyle],
    columns: list[tuple[str, Align]],
    headings: Mapping[str, str],
    cells: Callable[[Mapping[Any, Any]], list[Cell]],
) -> Table:
    several_s = bool((drops.groupby(["condition", "arm"])["s"].nunique() > 1).any())
    with_s: list[tuple[str, Align]] = [("s", "right")] if several_s else []
    table = Table([("arm", "left"), *with_s, *columns], headings=headings)
    several = drops["condition"].nunique() > 1
    for condition, rows in drops.groupby("condition", sort=False):
        if several:
            table.group(str(condition))
        for row in rows.to_dict("records"):
            s = [scale_text(row["s"]) if np.isfinite(row["s"]) else "by rule"] if several_s else []
            table.row(arm_cell(row["arm"], styles), *s, *cells(row))
    return table


def _fall_cells(row: Mapping[Any, Any]) -> list[Cell]:
    sharp = number(row["sharp_bound"], _DIGITS)
    return [
        f"{row['trials']}" + (f" + {row['diverged']}" if row["diverged"] else ""),
        row["unit"],
        _drop(row),
        _range(row["low"], row["high"]),
        _range(row["met_90"], row["met_10"]),
        sharp if row["exact"] else f"≤ {sharp}",
        _word(row["sharp_word"]),
        number(row["paper_bound"], _DIGITS),
        _word(row["paper_word"]),
    ]


def _geometry_cells(row: Mapping[Any, Any]) -> list[Cell]:
    right = [number(100 * row[name], 1) for name in ("accuracy_below", "accuracy_above")]
    return [
        _drop(row),
        number(row["permitted_zero"], _DIGITS),
        number(row["permitted_at_drop"], _DIGITS),
        _word(row["permitted_word"]),
        number(row["permitted_centres"], _DIGITS),
        number(100 * row["merged_below"], 0),
        number(100 * row["merged_above"], 0),
        number(row["most_merged"], 0),
        number(row["merged_from"], _DIGITS),
        DASH if set(right) == {DASH} else " → ".join(right),
    ]


def _drop(row: Mapping[Any, Any]) -> str:
    if row["place"] == "beyond":
        return f"> {number(row['before'], _DIGITS)}"
    return f"< {number(row['after'], _DIGITS)}" if row["place"] == "before" else number(row["drop"], _DIGITS)


def _range(low: float, high: float) -> str:
    if np.isinf(low) and np.isinf(high):
        return DASH
    if np.isinf(high):
        return f"from {number(low, _DIGITS)}"
    return f"to {number(high, _DIGITS)}" if np.isinf(low) else f"{number(low, _DIGITS)} to {number(high, _DIGITS)}"


def _word(word: str) -> Cell:
    """Bold where a bound lies outside the interval."""
    if not word:
        return DASH
    return word if word == "within" else {"text": word, "weight": "bold"}
