"""Table of what networks scored over margins."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from hpstudy.analysis import MetricName
from hpstudy.reporting._style import ArmStyle
from hpstudy.reporting._tables import DASH, Table, arm_cell, number


def margin_scores_table(found: pd.DataFrame, styles: Mapping[str, ArmStyle], name: MetricName) -> Table:
    """A row for each listed margin: samples that meet it, samples on the right side, score; the best score in bold.

    Args:
        found: `margin_scores`.
        styles: Style of every arm.
        name: The metric of the scores.
    """
    table = Table(
        [
            ("arm", "left"), ("m", "right"), ("met", "right"), ("accuracy", "right"), ("score", "right"),
            ("interval", "center"), ("diverged", "right"),
        ],
        headings={"met": "met, %", "accuracy": "nearest to own, %", "score": f"{name.title}", "interval": "95 %"},
    )  # fmt: skip
    several = found["condition"].nunique() > 1
    for condition, rows in found.groupby("condition", sort=False):
        if several:
            table.group(str(condition))
        for arm, of_arm in rows.groupby("arm", sort=False):
            for i, row in enumerate(of_arm.to_dict("records")):
                score = name.value(row["score"])
                table.row(
                    arm_cell(str(arm), styles) if i == 0 else "",
                    number(row["m"]),
                    number(100 * row["satisfied"], 1),
                    number(100 * row["accuracy"], 1),
                    {"text": score, "weight": "bold"} if row["score"] == of_arm["score"].max() else score,
                    name.interval(row["score_low"], row["score_high"]) if np.isfinite(row["score_low"]) else DASH,
                    f"{row['diverged']}" if row["diverged"] else DASH,
                )
    return table
