"""The per-step and per-epoch record of a trial, written epoch by epoch so that a killed trial keeps what it had."""

import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from hpstudy.record._files import read_table, write_atomically, write_table

TRAJECTORY_COLUMNS: Mapping[str, pa.DataType] = {
    "step": pa.int32(),
    "epoch": pa.int32(),
    "loss": pa.float32(),
    "s": pa.float32(),
    "log_b_avg": pa.float32(),
    "theta_med": pa.float32(),
    "theta_target_mean": pa.float32(),
    "cos_nontarget_mean": pa.float32(),
    "cos_nontarget_std": pa.float32(),
    "posterior_med": pa.float32(),
    "implied_p_w": pa.float32(),
    "grad_norm": pa.float32(),
    "lr": pa.float32(),
    "samples_per_s": pa.float32(),
}
"""Columns of a trajectory; angles in radians, B_avg as its logarithm."""

_SCHEMA = pa.schema(list(TRAJECTORY_COLUMNS.items()))
_ATTEMPT = re.compile(r"a(\d{3,})")
_EPOCH_FILE = re.compile(r"epoch-(\d{4,})\.steps\.parquet")


class AttemptWriter:
    """Writes one attempt of one trial into a folder of its own, named by the attempt's number.

    A worker that was cut off and lives on writes into its own attempt's folder only, so it can't spoil its successor's.
    """

    def __init__(self, trial_folder: Path) -> None:
        trial_folder.mkdir(parents=True, exist_ok=True)
        self._trial_folder = trial_folder
        self.attempt = max(_attempts(trial_folder), default=0) + 1
        while True:
            self._folder = trial_folder / f"a{self.attempt:03d}"
            try:
                self._folder.mkdir()
                break
            except FileExistsError:
                self.attempt += 1

    def write_epoch(
        self,
        epoch: int,
        steps: Mapping[str, np.ndarray[Any, Any]],
        summary: Mapping[str, Any],
        save_checkpoint: Callable[[Path], object] | None,
    ) -> None:
        """Keeps an epoch: its steps, its summary and, last, the state to continue from.

        Args:
            epoch: 1-based.
            steps: Trajectory columns, each of the epoch's steps.
            summary: One row: validation metrics and histograms.
            save_checkpoint: Writes the training state to the path it is given; None where there is nothing to continue.
        """
        write_table(self._folder / f"epoch-{epoch:04d}.summary.parquet", pa.Table.from_pylist([dict(summary)]))
        write_table(self._folder / f"epoch-{epoch:04d}.steps.parquet", pa.table(dict(steps), schema=_SCHEMA))
        if save_checkpoint is not None:
            write_atomically(self._folder / f"epoch-{epoch:04d}.pt", save_checkpoint)
            for old in self._folder.glob("epoch-*.pt"):
                if old.name < f"epoch-{epoch:04d}.pt":
                    old.unlink(missing_ok=True)

    def latest_checkpoints(self) -> list[Path]:
        """Checkpoints of earlier attempts, the furthest epoch first."""
        found = [
            path
            for attempt in _attempts(self._trial_folder)
            for path in _folder(self._trial_folder, attempt).glob("epoch-*.pt")
        ]
        return sorted(found, key=lambda path: (path.name, path.parent.name), reverse=True)


def _attempts(trial_folder: Path) -> list[int]:
    matches = [_ATTEMPT.fullmatch(path.name) for path in trial_folder.iterdir()] if trial_folder.is_dir() else []
    return sorted(int(match[1]) for match in matches if match)


def _folder(trial_folder: Path, attempt: int) -> Path:
    return trial_folder / f"a{attempt:03d}"


def gather_attempts(trial_folder: Path, last_epoch: int) -> tuple[pa.Table, pa.Table] | None:
    """Joins the epochs that a trial's attempts wrote, up to `last_epoch`, each taken from its latest attempt.

    Returns:
        Trajectory and epoch tables, or None if nothing was written.
    """
    epochs: dict[int, Path] = {}
    for attempt in _attempts(trial_folder):
        for path in _folder(trial_folder, attempt).iterdir():
            match = _EPOCH_FILE.fullmatch(path.name)
            if match and int(match[1]) <= last_epoch:
                epochs[int(match[1])] = path
    if not epochs:
        return None
    ordered = [epochs[epoch] for epoch in sorted(epochs)]
    steps = pa.concat_tables([read_table(path) for path in ordered])
    summaries: Sequence[pa.Table] = [
        read_table(path.with_name(path.name.replace(".steps.", ".summary."))) for path in ordered
    ]
    return steps, pa.concat_tables(summaries, promote_options="permissive")


def remove_attempts(trial_folder: Path) -> None:
    """Drops the working files of a trial whose result is kept."""
    shutil.rmtree(trial_folder, ignore_errors=True)
