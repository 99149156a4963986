"""Per-step records made small enough to draw, without losing what matters."""

from collections.abc import Sequence

import numpy as np
import pandas as pd


def decimate(frame: pd.DataFrame, max_points: int, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Thins a time series to at most `max_points` rows, keeping the extremes.

    The rows are cut into equal buckets; of each bucket the rows with the smallest and the largest finite value of every
    column stay, and so do the first and the last row. A spike of one step survives.

    Args:
        frame: Rows in the order of time.
        max_points: At most this many rows are returned; a shorter frame comes back as it is.
        columns: Columns whose extremes are kept; all numeric columns but `step` and `epoch` if None.

    Raises:
        ValueError: `max_points` leaves no room for one bucket: it must be at least 2 + 2·(number of columns).
    """
    if columns is None:
        columns = [str(c) for c in frame.select_dtypes("number").columns if c not in ("step", "epoch")]
    least = 2 + 2 * len(columns)
    if max_points < least:
        raise ValueError(f"max_points must be at least {least} for {len(columns)} columns, but got {max_points}")
    if len(frame) <= max_points:
        return frame
    buckets = np.array_split(np.arange(len(frame)), (max_points - 2) // (2 * len(columns)))
    keep = {0, len(frame) - 1}
    for column in columns:
        values = frame[column].to_numpy(dtype=float)
        for bucket in buckets:
            finite = bucket[np.isfinite(values[bucket])]
            if finite.size:
                keep.update((int(finite[np.argmin(values[finite])]), int(finite[np.argmax(values[finite])])))
    return frame.iloc[sorted(keep)]


def seed_band(trajectories: Sequence[pd.DataFrame], column: str) -> pd.DataFrame:
    """Median and quartiles of one column over trajectories, step by step.

    A trajectory that ended early counts up to its end; values that are not finite do not count.

    Returns:
        `step`, `median`, `low` (first quartile), `high` (third quartile), `n` (trajectories at this step).
    """
    if not trajectories:
        return pd.DataFrame(columns=["step", "median", "low", "high", "n"], dtype=float)
    values = pd.concat([frame.set_index("step")[column] for frame in trajectories], axis=1).sort_index()
    values = values.astype(float).replace([np.inf, -np.inf], np.nan).dropna(how="all")
    data = values.to_numpy()
    if not data.size:
        return pd.DataFrame(columns=["step", "median", "low", "high", "n"], dtype=float)
    counts = np.isfinite(data).sum(axis=1)
    low, median, high = np.empty((3, len(data)))
    for n in np.unique(counts):  # numpy's nanpercentile would go row by row
        rows = counts == n
        low[rows], median[rows], high[rows] = np.percentile(np.sort(data[rows], axis=1)[:, :n], [25, 50, 75], axis=1)
    return pd.DataFrame({"step": values.index.to_numpy(), "median": median, "low": low, "high": high, "n": counts})


def first_crossing(band: pd.DataFrame, level: float) -> float:
    """First step at which a moving value reaches a level from where it starts; NaN if it never does.

    Args:
        band: `seed_band` of the value.
        level: What it is to reach, from above or from below.
    """
    if band.empty or not np.isfinite(level):
        return float("nan")
    beyond = band["median"].to_numpy(dtype=float) - level
    there = np.flatnonzero(np.sign(beyond) != np.sign(beyond[0])) if beyond[0] else np.array([0])
    return float(band["step"].iloc[there[0]]) if there.size else float("nan")
