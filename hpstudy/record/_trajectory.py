"""The per-step and per-epoch record of a trial, written epoch by epoch so that a killed trial keeps what it had."""

import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

import numpy as np
import pyarrow as pa

from hpstudy.record._files import (
    Location,
    read_tables,
    remove_file,
    remove_tree,
    write_atomically,
    write_table,
    write_text,
)
from hpstudy.record._objects import ObjectPath

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
_ATTEMPT = re.compile(r"a(\d{3,})(-[0-9a-f]{8})?")
_CHECKPOINT = re.compile(r"epoch-\d{4,}\.pt")
_EPOCH_FILE = re.compile(r"epoch-(\d{4,})\.steps\.parquet")


class AttemptWriter:
    """Writes one attempt of one trial into a folder of its own, named by the attempt's number.

    A worker that was cut off and lives on writes into its own attempt's folder only, so it can't spoil its successor's.
    """

    def __init__(self, trial_folder: Location) -> None:
        self._earlier = _attempts(trial_folder)
        latest = max((_number(name) for name in self._earlier), default=0)
        self._folder, self.attempt = _claimed(trial_folder, latest + 1)
        self._checkpoint: Location | None = None

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
            before = self._checkpoint
            self._checkpoint = write_atomically(self._folder / f"epoch-{epoch:04d}.pt", save_checkpoint)
            if before is not None and before != self._checkpoint:
                remove_file(before)

    def latest_checkpoints(self) -> Iterable[Path | BinaryIO]:
        """Checkpoints of earlier attempts, the furthest epoch first; those of an object store as they are asked for."""
        found = [path for files in self._earlier.values() for path in files if _CHECKPOINT.fullmatch(path.name)]
        found.sort(key=lambda path: (path.name, _rank(path.parent.name)), reverse=True)
        return [path for path in found if isinstance(path, Path)] or _opened(found)


def _opened(found: Iterable[Location]) -> Iterator[BinaryIO]:
    for path in found:
        try:
            content = path.read_bytes()
        except FileNotFoundError:  # dropped since by an attempt that lives on and got further
            continue
        yield io.BytesIO(content)


def _claimed(trial_folder: Location, number: int) -> tuple[Location, int]:
    """A folder that no other attempt writes into, and its attempt's number.

    A folder is made by one process alone. An object store knows no such thing, so a name there is made unique; what is
    put there at once counts the attempt even if it is cut off before its first epoch.
    """
    if isinstance(trial_folder, ObjectPath):
        place = trial_folder / f"a{number:03d}-{uuid4().hex[:8]}"
        write_text(place / "begun", "")
        return place, number
    trial_folder.mkdir(parents=True, exist_ok=True)
    while True:
        folder = trial_folder / f"a{number:03d}"
        try:
            folder.mkdir()
        except FileExistsError:
            number += 1
        else:
            return folder, number


def _attempts(trial_folder: Location) -> dict[str, list[Location]]:
    """The files of each attempt by its folder's name, the latest attempt last."""
    found: dict[str, list[Location]] = {}
    if isinstance(trial_folder, ObjectPath):
        for path in trial_folder.below():
            found.setdefault(path.parent.name, []).append(path)
    elif trial_folder.is_dir():
        found = {folder.name: list(folder.iterdir()) for folder in trial_folder.iterdir() if folder.is_dir()}
    return {name: found[name] for name in sorted(filter(_ATTEMPT.fullmatch, found), key=_rank)}


def _number(name: str) -> int:
    match = _ATTEMPT.fullmatch(name)
    assert match is not None
    return int(match[1])


def _rank(name: str) -> tuple[int, str]:
    return _number(name), name


def gather_attempts(trial_folder: Location, last_epoch: int) -> tuple[pa.Table, pa.Table] | None:
    """Joins the epochs that a trial's attempts wrote, up to `last_epoch`, each taken from its latest attempt.

    Returns:
        Trajectory and epoch tables, or None if nothing was written.
    """
    epochs: dict[int, Location] = {}
    for files in _attempts(trial_folder).values():
        for path in files:
            match = _EPOCH_FILE.fullmatch(path.name)
            if match and int(match[1]) <= last_epoch:
                epochs[int(match[1])] = path
    if not epochs:
        return None
    ordered = [epochs[epoch] for epoch in sorted(epochs)]
    summaries = [path.parent / path.name.replace(".steps.", ".summary.") for path in ordered]
    tables = read_tables([*ordered, *summaries])
    return (
        pa.concat_tables(tables[: len(ordered)]),
        pa.concat_tables(tables[len(ordered) :], promote_options="permissive"),
    )


def remove_attempts(trial_folder: Location) -> None:
    """Drops the working files of a trial whose result is kept."""
    remove_tree(trial_folder)
