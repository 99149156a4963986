"""How angles between samples and prototypes are distributed at the start, in the middle and at the end of training."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

STAGES = ("start", "middle", "end")
"""The first validation epoch, the one half-way, and the last."""

_HISTOGRAMS = {"target": "theta_target_histogram", "nontarget": "theta_nontarget_histogram"}


def angle_histograms(epochs: Iterable[pd.DataFrame], last: int) -> pd.DataFrame:
    """Angles of several trials, pooled, at three epochs.

    A trial that ended before one of the epochs does not count there.

    Args:
        epochs: Per-epoch records of the trials of one arm in one condition, with histograms of one-degree bins.
        last: The last epoch that any trial of the condition reached.

    Returns:
        `stage` (`start`, `middle`, `end`), `epoch`, `degrees` (lower edge of the bin), `target` and `nontarget`, the
        share of angles in the bin, and `trials` that were counted. Stages without a trial have no rows.
    """
    at = dict(zip(STAGES, (1, (last + 1) // 2, last), strict=True))
    counts = {stage: [np.zeros(180), np.zeros(180)] for stage in STAGES}
    trials = dict.fromkeys(STAGES, 0)
    for frame in epochs:
        if frame.empty or not set(_HISTOGRAMS.values()) <= set(frame.columns):
            continue
        for stage, epoch in at.items():
            row = frame[frame["epoch"] == epoch]
            if len(row):
                trials[stage] += 1
                for total, column in zip(counts[stage], _HISTOGRAMS.values(), strict=True):
                    total += np.asarray(row[column].iloc[0], dtype=float)
    frames = [
        pd.DataFrame(
            {
                "stage": stage,
                "epoch": at[stage],
                "degrees": np.arange(180),
                **{
                    name: total / max(float(total.sum()), 1.0)
                    for name, total in zip(_HISTOGRAMS, counts[stage], strict=True)
                },
                "trials": trials[stage],
            }
        )
        for stage in STAGES
        if trials[stage]
    ]
    columns = ["stage", "epoch", "degrees", *_HISTOGRAMS, "trials"]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)
