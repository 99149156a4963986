"""The picture of one trial."""

from collections.abc import Mapping
from typing import Any

import pandas as pd


def draw_trial(row: Mapping[str, Any], epochs: pd.DataFrame) -> dict[str, bytes]:
    """How the angles of a trial that counts moved: a PNG by its path below the run's artifacts.

    Trials of a search get none: there are many, and MLflow shows their curves.

    Args:
        row: The trial's row of the record.
        epochs: One row an epoch, with the histograms of angles.
    """
    if row["phase"] != "confirm" or epochs.empty or "theta_target_histogram" not in epochs:
        return {}
    # Matplotlib takes a second to import, and a study that is interrupted early draws nothing.
    from hpstudy.reporting.window._angle_maps import angle_maps

    return {"figures/angles.png": angle_maps(epochs)}
