"""Tables of response surfaces, of what moved the objective, and of early stopping's fidelity."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from hpstudy.analysis import CONFIRM, SURVIVORS, MetricName, scale_text, value_text
from hpstudy.reporting._fidelity_figure import decided
from hpstudy.reporting._style import ArmStyle
from hpstudy.reporting._tables import DASH, Cell, Table, arm_cell, bare_difference, number

_HEADINGS: Mapping[str, str] = {
    "q2": "$Q$²",
    "predicted": "best predicted",
    "optimum": "at",
    "near": "as good within {margin}",
    "near_share": "of the box, %",
    "source": "value",
    "share": "share, %",
    "after": "after",
    "std": "sd{points}",
    "epoch": "epoch",
    "tau": "Kendall’s $τ$",
    "kept": "best kept, %",
    "kept_interval": "95 % interval",
    "regret": "lost{points}",
}


def surface_table(summary: pd.DataFrame, styles: Mapping[str, ArmStyle], name: MetricName) -> Table:
    """Each arm's predicted optimum, and how far from it an arm is as good.

    Args:
        summary: `surface_summary`.
        styles: Style of every arm.
        name: The objective.
    """
    table = Table(
        [
            ("arm", "left"), ("completed", "right"), ("q2", "right"), ("predicted", "right"), ("optimum", "left"),
            ("near", "left"), ("near_share", "right"),
        ],
        headings=_HEADINGS,
    )  # fmt: skip
    values = [str(column).removeprefix("best/") for column in summary.columns if str(column).startswith("best/")]
    for title, rows in _by_condition(summary):
        if title:
            table.group(title)
        for row in rows.to_dict("records"):
            own = [value for value in values if np.isfinite(row[f"best/{value}"])]
            table.row(
                arm_cell(row["arm"], styles),
                f"{row['n']:,}",
                number(row["q2"]),
                name.value(row["best_value"]) if own else DASH,
                ", ".join(f"{_short(value)} = {_text(value, row[f'best/{value}'])}" for value in own) or row["reason"],
                "; ".join(_span(value, row) for value in own) or DASH,
                number(100 * row["near_share"], 0 if row["near_share"] >= 0.01 else 1),
            )
    return table


def importance_table(shares: pd.DataFrame, styles: Mapping[str, ArmStyle], name: MetricName) -> Table:
    """Share of each value and interaction in the variance over the searched box, and the standard deviation it is.

    Args:
        shares: `importance`.
        styles: Style of every arm.
        name: The objective.
    """
    table = Table(
        [
            ("arm", "left"), ("trials", "right"), ("after", "left"), ("q2", "right"), ("source", "left"),
            ("share", "right"), ("interval", "center"), ("std", "right"),
        ],
        headings=_HEADINGS,
    )  # fmt: skip
    for title, rows in _by_condition(shares):
        if title:
            table.group(title)
        previous = ""
        for row in rows.to_dict("records"):
            first, known = row["arm"] != previous, np.isfinite(row["share"])
            table.row(
                arm_cell(row["arm"], styles) if first else "",
                f"{row['n']:,}" if first else "",
                (f"epoch {row['epoch']}" if row["epoch"] else "the end") if first else "",
                number(row["q2"]) if first else "",
                " × ".join(_short(part) for part in row["source"].split(" × ")) if known else row["reason"],
                number(100 * row["share"], 0),
                f"{100 * row['low']:.0f} to {100 * row['high']:.0f}" if known else DASH,
                bare_difference(row["std"], name).lstrip("+") if known else DASH,
            )
            previous = row["arm"]
    return table


def fidelity_table(ranks: pd.DataFrame, styles: Mapping[str, ArmStyle], name: MetricName) -> Table:
    """Rank correlation with the end at each rung; without rungs at a quarter and at half of the epochs.

    Args:
        ranks: `fidelity`.
        styles: Style of every arm.
        name: The objective.
    """
    table = Table(
        [
            ("arm", "left"), ("trials", "right"), ("epoch", "right"), ("tau", "right"), ("interval", "center"),
            ("kept", "right"), ("kept_interval", "center"), ("regret", "right"),
        ],
        headings=_HEADINGS,
    )  # fmt: skip
    for title, rows in _by_condition(ranks[decided(ranks)]):
        if title:
            table.group(title)
        previous = None
        for row in rows.to_dict("records"):
            first = row["arm"] != previous
            table.row(
                _group_cell(row, styles) if first else "",
                _counted(row) if first else "",
                f"{row['epoch']} of {row['epochs']}",
                number(row["tau"]),
                f"{number(row['low'])} to {number(row['high'])}" if np.isfinite(row["tau"]) else DASH,
                number(100 * row["kept"], 0),
                f"{100 * row['kept_low']:.0f} to {100 * row['kept_high']:.0f}",
                bare_difference(row["regret"], name).lstrip("+"),
            )
            previous = row["arm"]
    return table


def _by_condition(frame: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Rows of each condition, with its name where there are several."""
    names = [str(condition) for condition in frame["condition"].drop_duplicates()]
    return [(name if len(names) > 1 else "", frame[frame["condition"] == name]) for name in names]


def _short(name: str) -> str:
    return name.rsplit(".", 1)[-1]


def _text(name: str, value: float) -> str:
    return scale_text(value) if name == "s" else number(value) if name == "m" else value_text(value)


def _span(name: str, row: Mapping[Any, Any]) -> str:
    low, high = _text(name, row[f"near_low/{name}"]), _text(name, row[f"near_high/{name}"])
    return f"{_short(name)} {low}" if low == high else f"{_short(name)} {low} to {high}"


def _group_cell(row: Mapping[Any, Any], styles: Mapping[str, ArmStyle]) -> Cell:
    return "all arms, confirm" if row["subset"] == CONFIRM else arm_cell(row["arm"], styles)


def _counted(row: Mapping[Any, Any]) -> str:
    stopped = f" of {row['n'] + row['stopped']:,}" if row["subset"] == SURVIVORS else ""
    return f"{row['n']:,}{stopped}"
