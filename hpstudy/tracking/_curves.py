"""The curves of one trial as MLflow metrics: rows of the record in, metrics and remarks out."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from mlflow.entities import Metric
from numpy.typing import NDArray

from hpstudy.tracking._describe import AFTER_CURVES, end_metrics, is_given
from hpstudy.tracking._protocol import Row
from hpstudy.tracking._thinning import thin

_FIRST = (
    "objective$",
    "test/",
    "val/",
    "train/theta_med_deg$",
    "train/log_b_avg$",
    "train/s$",
    "train/loss$",
    "train/",
)
"""Starts of names of metrics, `$` where a name ends."""
FINE = {f"train/{name}" for name in ("theta_med", "log_b_avg", "s", "implied_p_w", "loss")}
"""The curves that a study is about; they get more points than the others."""


class TrialCurves:
    """Every metric of one trial, and remarks on the values that are not finite.

    MLflow stores an infinity as 1.797e308 and a NaN as a gap, both of which spoil a chart: such points are left out and
    counted in a remark. Timestamps come from the row's start and end and the step, so that the same record always
    gives the same metrics.

    Args:
        row: The trial's row of the record.
        trajectory: One row a step.
        epochs: One row an epoch.
        max_points: The most points over the steps of a curve in `FINE`; its extremes are kept.
        max_points_of_others: The same of any other curve.
    """

    def __init__(
        self, row: Row, trajectory: pd.DataFrame, epochs: pd.DataFrame, max_points: int, max_points_of_others: int
    ) -> None:
        self.metrics: list[Metric] = []
        self.remarks: dict[str, str] = {}
        self._start_ms, self._end_ms = _milliseconds(row)
        last_steps = [int(frame["step"].max()) for frame in (trajectory, epochs) if len(frame)]
        self._last_step = max([1, *last_steps, *([int(row["steps"])] if is_given(row.get("steps")) else [])])
        for name, steps, values in _step_curves(trajectory):
            self._add(name, steps, values, max_points if name in FINE else min(max_points, max_points_of_others))
        for name, steps, values in _epoch_curves(epochs):
            self._add(name, steps, values, max(max_points, len(values)))
        last = {metric.key: metric.value for metric in self.metrics}
        for name, value in end_metrics(row):
            if name not in last and not _repeats(name, value, last, row):
                self._add(name, np.array([self._last_step]), np.array([value]), max_points)
        # MLflow lists metrics in the order in which they came.
        self.metrics.sort(key=lambda metric: _place(metric.key))

    def _add(self, name: str, steps: NDArray[np.int64], values: NDArray[np.float64], max_points: int) -> None:
        finite = np.isfinite(values)
        if not finite.all() and not np.isnan(values).all():
            first = int(np.flatnonzero(~finite)[0])
            self.remarks[f"non_finite/{name}"] = (
                f"{values[first]} at step {steps[first]} ({int((~finite).sum())} of {len(values)} points)"
            )
        steps, values = steps[finite], values[finite]
        kept = thin(values, max_points)
        times = self._start_ms + np.rint((self._end_ms - self._start_ms) * (steps[kept] / self._last_step))
        self.metrics += [
            Metric(name, value, int(time), step)
            for value, time, step in zip(values[kept].tolist(), times.tolist(), steps[kept].tolist(), strict=True)
        ]


def _place(name: str) -> int:
    """The most telling first: what counts, then how the angle, B and the scale moved."""
    return next((place for place, start in enumerate(_FIRST) if f"{name}$".startswith(start)), len(_FIRST))


def _repeats(name: str, value: float, last: Mapping[str, float], row: Row) -> bool:
    """Whether an end metric says again what stands beside it: each would be one more chart on every page."""
    beside = {
        f"{AFTER_CURVES}geometry/final_s": last.get("train/s"),
        f"{AFTER_CURVES}geometry/train_loss_balanced": row.get("geometry/train_loss"),
        f"{AFTER_CURVES}cost/gpu_s": 0.0,
    }.get(name)
    # Curves are kept in single precision.
    return beside is not None and is_given(beside) and math.isclose(value, float(beside), rel_tol=1e-6)


def _step_curves(trajectory: pd.DataFrame) -> Iterator[tuple[str, NDArray[np.int64], NDArray[np.float64]]]:
    if trajectory.empty:
        return
    steps = trajectory["step"].to_numpy(np.int64)
    for column in trajectory.columns:
        if column not in ("step", "epoch") and pd.api.types.is_numeric_dtype(trajectory[column]):
            values = trajectory[column].to_numpy(np.float64)
            yield f"train/{column}", steps, values
            if column == "theta_med":
                yield "train/theta_med_deg", steps, np.degrees(values)


def _epoch_curves(epochs: pd.DataFrame) -> Iterator[tuple[str, NDArray[np.int64], NDArray[np.float64]]]:
    if epochs.empty:
        return
    steps = epochs["step"].to_numpy(np.int64)
    for column in epochs.columns:
        if column == "train_loss":
            yield "train/epoch_loss", steps, epochs[column].to_numpy(np.float64)
        elif column.startswith("val/"):
            yield column, steps, epochs[column].to_numpy(np.float64)


def _milliseconds(row: Row) -> tuple[int, int]:
    def cell(name: str, otherwise: int) -> int:
        value: Any = row.get(name)
        return round(float(value) * 1000) if is_given(value) else otherwise

    start = cell("started_at", 0)
    return start, max(start, cell("ended_at", start))
