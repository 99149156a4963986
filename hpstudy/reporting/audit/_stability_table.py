"""Tables of where AdaCos' dynamic rules ran away, and how well that was predicted."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from hpstudy.analysis import scale_text
from hpstudy.reporting._style import ArmStyle
from hpstudy.reporting._tables import DASH, Align, Cell, Table, arm_cell, number


def stability_table(found: pd.DataFrame, styles: Mapping[str, ArmStyle]) -> Table:
    """One row a cell of the map: how often it diverged, at which scales it ended, and what its fixed points say.

    Args:
        found: `stability_map`.
        styles: Style of every arm.
    """
    noisy = bool((found["label_noise"] > 0).any())
    noise: list[tuple[str, Align]] = [("noise", "right")] if noisy else []
    table = Table(
        [
            ("arm", "left"), *noise, ("classes", "right"), ("dim", "right"), ("ran_away", "right"),
            ("interval", "center"), ("median_step", "right"), ("start_s", "right"), ("median_s", "right"),
            ("largest_s", "right"), ("stable", "right"), ("unstable", "right"), ("predicted", "left"),
        ],
        headings={
            "noise": "wrong labels, %", "ran_away": "ran away", "interval": "95 %, in %", "median_step": "at step",
            "start_s": "start", "median_s": "median final $s$",
            "largest_s": "largest", "stable": "rests at", "unstable": "leaves above",
            "predicted": "predicted",
        },
    )  # fmt: skip
    previous = ""
    for row in found.to_dict("records"):
        predicted = str(row["predicted"])
        shown: Cell = {"text": predicted, "weight": "bold"} if row["contradicts"] else predicted
        table.row(
            arm_cell(row["arm"], styles) if row["arm"] != previous else "",
            *([f"{100 * row['label_noise']:.3g}"] if noisy else []),
            f"{row['num_classes']:,}",
            f"{row['embedding_dim']:,}",
            f"{row['ran_away']} of {row['trials']}",
            _share(row["low"], row["high"]),
            number(row["diverged_step"], 0),
            *(_scale(row[name]) for name in ("start", "final_s", "largest_s", "stable", "unstable")),
            shown,
        )
        previous = row["arm"]
    return table


def agreement_table(agreement: pd.DataFrame, styles: Mapping[str, ArmStyle]) -> Table:
    """Predicted against observed for the published rule, a row a region.

    Args:
        agreement: `stability_agreement`.
        styles: Style of every arm.
    """
    noisy = bool(agreement["noisy"].any())
    labels: list[tuple[str, Align]] = [("labels", "left")] if noisy else []
    table = Table(
        [
            ("arm", "left"), *labels, ("predicted", "left"), ("cells", "right"), ("trials", "right"),
            ("ran_away", "right"), ("rested", "right"), ("rate", "right"), ("interval", "center"),
            ("agree", "center"), ("contradict", "right"),
        ],
        headings={
            "labels": "labels", "predicted": "predicted", "cells": "cells", "ran_away": "ran away", "rested": "did not",
            "agree": "cells: all, some, none", "contradict": "contradict",
        },
    )  # fmt: skip
    previous = ""
    for row in agreement.to_dict("records"):
        table.row(
            arm_cell(row["arm"], styles) if row["arm"] != previous else "",
            *(["some wrong" if row["noisy"] else "all right"] if noisy else []),
            row["predicted"],
            f"{row['cells']}",
            f"{row['trials']:,}",
            f"{row['ran_away']:,}",
            f"{row['trials'] - row['ran_away']:,}",
            number(100 * row["rate"], 1),
            _share(row["low"], row["high"]),
            f"{row['all_ran_away']}, {row['some_ran_away']}, {row['none_ran_away']}" if row["cells"] else DASH,
            f"{row['contradicts']} of {row['testable']}" if row["cells"] else DASH,
        )
        previous = row["arm"]
    return table


def _scale(value: float) -> str:
    return scale_text(value) if np.isfinite(value) else DASH


def _share(low: float, high: float) -> str:
    return f"{100 * low:.0f} to {100 * high:.0f}" if np.isfinite(low) else DASH
