"""Tables of the floor of the loss and of the joint bound."""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from hpstudy.analysis import scale_text
from hpstudy.analysis.audit import floor_at, trials_at_one
from hpstudy.reporting._style import ArmStyle
from hpstudy.reporting._tables import DASH, Table, arm_cell, number, significant


def floor_table(frame: pd.DataFrame, styles: Mapping[str, ArmStyle]) -> Table:
    """How far above its floor the loss of each arm came to rest, a row an arm.

    Args:
        frame: `loss_floor`.
        styles: Style of every arm.
    """
    table = Table(
        [
            ("arm", "left"), ("classes", "right"), ("dim", "right"), ("trials", "right"), ("scales", "left"),
            ("tightest", "right"), ("tightest_s", "right"), ("median", "right"), ("crossed", "right"),
            ("crossed_as_shown", "right"),
        ],
        headings={
            "scales": "final $s$", "tightest": "loss / floor, least", "tightest_s": "at $s$", "median": "median",
            "crossed": "below", "crossed_as_shown": "below as shown",
        },
    )  # fmt: skip
    for title, rows in _by_condition(frame):
        if title:
            table.group(title)
        for arm, group in rows.groupby("arm", sort=False):
            told = group.dropna(subset=["ratio"])
            nearest = told.iloc[int(told["ratio"].to_numpy().argmin())] if len(told) else None
            crossed = int(group["crossed"].sum())
            table.row(
                arm_cell(str(arm), styles),
                f"{int(group['num_classes'].iloc[0]):,}",
                f"{int(group['embedding_dim'].iloc[0]):,}",
                f"{len(group):,}",
                _span(group["s"]),
                DASH if nearest is None else significant(nearest["ratio"], 4),
                DASH if nearest is None else scale_text(nearest["s"]),
                significant(float(told["ratio"].median())) if len(told) else DASH,
                {"text": f"{crossed:,}", "alarm": "yes"} if crossed else "0",
                f"{int(group['crossed_as_shown'].sum()):,}",
            )
    return table


def smallest_scale_table(frame: pd.DataFrame) -> Table:
    """What s = 1 leaves to each number of classes, and what trials at it came to.

    Args:
        frame: `loss_floor`.
    """
    table = Table(
        [
            ("classes", "right"), ("guessing", "right"), ("floor", "right"), ("share", "right"),
            ("posterior", "right"), ("trials", "right"), ("loss", "right"), ("accuracy", "right"),
        ],
        headings={
            "guessing": "ln $C$", "floor": "floor at $s$ = 1", "share": "of ln $C$, %",
            "posterior": "largest posterior", "loss": "their loss", "accuracy": "nearest to their own, %",
        },
    )  # fmt: skip
    for classes in sorted({int(count) for count in frame["num_classes"]}):
        floor, share, posterior = floor_at(classes)
        tried = trials_at_one(frame[frame["num_classes"] == classes])
        table.row(
            f"{classes:,}",
            number(float(np.log(classes))),
            number(floor),
            number(100 * share, 0),
            significant(posterior),
            f"{len(tried):,}",
            number(float(tried["balanced"].median())) if len(tried) else DASH,
            number(100 * float(tried["accuracy"].median()), 1) if len(tried) else DASH,
        )
    return table


def joint_table(reach: pd.DataFrame, frame: pd.DataFrame, styles: Mapping[str, ArmStyle]) -> Table:
    """Which points (s, m) reach a posterior with the margin included, by what the bounds allow.

    Args:
        reach: `joint_reach`.
        frame: `joint_audit`.
        styles: Style of every arm.
    """
    table = Table(
        [
            ("arm", "left"), ("asked", "right"), ("points", "right"), ("both", "right"), ("paper_only", "right"),
            ("neither", "right"), ("joint", "right"), ("paper", "right"),
        ],
        headings={
            "asked": "$P_m$", "points": "points", "both": "both allow", "paper_only": "only eq. 6",
            "neither": "neither", "joint": "$s$ / joint", "paper": "$s$ / eq. 6",
        },
    )  # fmt: skip
    for title, rows in _by_condition(reach):
        if title:
            table.group(title)
        for (condition, arm), group in rows.groupby(["condition", "arm"], sort=False):
            own = frame[(frame["condition"] == condition) & (frame["arm"] == arm)]
            for i, row in enumerate(group.to_dict("records")):
                table.row(
                    "" if i else arm_cell(str(arm), styles),
                    f"{row['posterior']:g}",
                    f"{row['cells']:,}",
                    *(_reached(row, name) for name in ("both", "paper_only", "neither")),
                    DASH if i else number(float(own["joint_tightness"].median())),
                    DASH if i else number(float(own["paper_tightness"].median())),
                )
    return table


def _reached(row: Mapping[object, object], name: str) -> str:
    cells, reached = int(str(row[name])), int(str(row[f"{name}_reached"]))
    return f"{reached:,} of {cells:,}" if cells else DASH


def _span(values: pd.Series) -> str:
    low, high = scale_text(float(values.min())), scale_text(float(values.max()))
    return low if low == high else f"{low} to {high}"


def _by_condition(frame: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Rows of each condition with its name, which is empty where it is the only one."""
    several = frame["condition"].nunique() > 1
    for condition, rows in frame.groupby("condition", sort=False):
        yield str(condition) if several else "", rows
