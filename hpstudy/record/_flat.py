"""The record as one flat table: a row a trial, a step or an epoch, for pandas, R or a spreadsheet."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import csv

from hpstudy.record._files import files_in, read_tables, versioned, write_atomically
from hpstudy.record._folder import StudyFolder
from hpstudy.record._result import TrialResult
from hpstudy.record._trajectory import TRAJECTORY_COLUMNS

TABLES = ("trials", "trajectories", "epochs")
"""What can be had as one table: a row a trial, a step of a trial, or an epoch of a trial."""

_AT_ONCE = 16
"""Trials whose steps are in memory at the same time."""
_NAMING = ("trial_id", "arm", "condition", "phase", "seed")


class _Writer(Protocol):
    def write_table(self, table: pa.Table) -> None: ...
    def close(self) -> None: ...


def write_flat_table(folder: StudyFolder, what: str, form: str, path: Path) -> int:
    """Writes the finished trials of a study as one table without nested cells, sorted by trial, step and epoch.

    The rows of `trials` are those of `StudyFolder.trials`. Those of `trajectories` and `epochs` begin with the trial's
    id, arm, condition, phase and training seed; the angle histograms of an epoch are left out. In CSV a cell is empty
    where a trial has no such value, and numbers have all their digits.

    Args:
        folder: The study.
        what: One of `TABLES`.
        form: `csv` or `parquet`.
        path: The file, which is replaced whole.

    Returns:
        How many rows were written.

    Raises:
        OSError: the file can't be written, or the store is away.
    """
    rows = 0

    def write(temporary: Path) -> None:
        nonlocal rows
        schema, parts = _PARTS[what](folder)
        with closing(_WRITERS[form](temporary, schema)) as writer:
            for part in parts:
                writer.write_table(part)
                rows += part.num_rows

    write_atomically(path, write)
    return rows


def frames_of(
    folder: StudyFolder, kind: str, trial_ids: Sequence[str], columns: Sequence[str]
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Some columns of the `trajectories` or `epochs` of many trials, a few trials at a time; a column may be missing.

    Yields:
        Id and table of each trial that has one, in the order of `trial_ids`.
    """
    for trial_id, table in _tables_of(folder, kind, trial_ids, columns):
        yield trial_id, table.to_pandas()


def _tables_of(
    folder: StudyFolder, kind: str, trial_ids: Sequence[str], columns: Sequence[str] | None = None
) -> Iterator[tuple[str, pa.Table]]:
    there = {path.name for path in files_in(folder.path / kind)}
    wanted = [trial_id for trial_id in trial_ids if f"{trial_id}.parquet" in there]
    for start in range(0, len(wanted), _AT_ONCE):
        batch = wanted[start : start + _AT_ONCE]
        paths = [folder.path / kind / f"{trial_id}.parquet" for trial_id in batch]
        yield from zip(batch, read_tables(paths, columns), strict=True)


def _trials(folder: StudyFolder) -> tuple[pa.Schema, Iterable[pa.Table]]:
    table = folder.trials_table()
    return table.schema, [table]


def _trajectories(folder: StudyFolder) -> tuple[pa.Schema, Iterable[pa.Table]]:
    naming = _naming(folder)
    schema = pa.schema([*_naming_fields(), *TRAJECTORY_COLUMNS.items()])
    tables = _tables_of(folder, "trajectories", list(naming), list(TRAJECTORY_COLUMNS))
    return schema, (_named(table, naming[trial_id]).select(schema.names).cast(schema) for trial_id, table in tables)


def _epochs(folder: StudyFolder) -> tuple[pa.Schema, Iterable[pa.Table]]:
    naming = _naming(folder)
    found = [pa.schema([*_naming_fields(), ("epoch", pa.int64()), ("step", pa.int64())]).empty_table()]
    for trial_id, table in _tables_of(folder, "epochs", list(naming)):
        flat = [field.name for field in table.schema if not pa.types.is_nested(field.type)]
        found.append(_named(table.select(flat), naming[trial_id]))
    whole = pa.concat_tables(found, promote_options="permissive")
    return whole.schema, [whole]


def _naming(folder: StudyFolder) -> dict[str, Mapping[str, Any]]:
    rows = folder.trials_table().select(_NAMING).to_pylist()
    return {row["trial_id"]: row for row in rows}


def _naming_fields() -> list[pa.Field]:
    schema = TrialResult.no_rows().schema
    return [schema.field(name) for name in _NAMING]


def _named(table: pa.Table, row: Mapping[str, Any]) -> pa.Table:
    """A trial's table with columns in front that tell the trial."""
    for place, entry in enumerate(_naming_fields()):
        table = table.add_column(place, entry, pa.repeat(pa.scalar(row[entry.name], entry.type), table.num_rows))
    return table


class _CsvWriter:
    """CSV in which what is not there is an empty cell."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._writer = csv.CSVWriter(path, schema)

    def write_table(self, table: pa.Table) -> None:
        columns = [_without_nan(column) for column in table.columns]
        self._writer.write_table(pa.table(columns, schema=table.schema))

    def close(self) -> None:
        self._writer.close()


def _without_nan(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if not pa.types.is_floating(column.type):
        return column
    return pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)


def _parquet_writer(path: Path, schema: pa.Schema) -> _Writer:
    writer: _Writer = pq.ParquetWriter(path, versioned(schema), compression="zstd")
    return writer


_PARTS: Mapping[str, Callable[[StudyFolder], tuple[pa.Schema, Iterable[pa.Table]]]] = {
    "trials": _trials,
    "trajectories": _trajectories,
    "epochs": _epochs,
}
_WRITERS: Mapping[str, Callable[[Path, pa.Schema], _Writer]] = {"csv": _CsvWriter, "parquet": _parquet_writer}
