"""Atomic writes: a reader sees the old file or the new one, never half of one, also after a power cut."""

import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

from hpstudy.record._objects import ObjectPath, read_many

Location = Path | ObjectPath
"""Where a file or a folder of the record is: on a file system, or in an object store."""

_AnyLocation = TypeVar("_AnyLocation", bound=Location)

SCHEMA_VERSION = "1"
_VERSION_KEY = b"hpstudy.schema_version"
_OF_ONE_ROW: dict[str, Any] = {"compression": "none", "use_dictionary": False, "write_statistics": False}
"""How a trial's result is written, of which there are thousands: a third of the time, and smaller."""


def place_of(home: Location | str) -> Location:
    """Where a home is: an absolute folder, or the address of an object store.

    Raises:
        InputError: an address of a kind that is not known.
    """
    if isinstance(home, ObjectPath):
        return home
    return ObjectPath(str(home)) if "://" in str(home) else Path(home).absolute()


def home_folder(given: Location | str | None = None) -> Location:
    """What holds studies: the folder or `s3://…` or `gs://…` given, else `$HPSTUDY_HOME`, else `./hpstudy-runs`.

    Raises:
        InputError: it is the address of an object store that can't be used.
    """
    home = place_of(given or os.environ.get("HPSTUDY_HOME") or "hpstudy-runs")
    if isinstance(home, ObjectPath) and given is not home:  # one that is passed on has been looked at
        home.check()
    return home


def write_atomically(path: _AnyLocation, write: Callable[[Path], object]) -> _AnyLocation:
    """Replaces a file whole: through a temporary sibling that is flushed to disk and renamed, or in one upload.

    Args:
        path: The file to write; its folder is made if need be.
        write: Writes the whole content to the local path it is given.

    Returns:
        `path`.

    Raises:
        OSError: the disk is full or the store is away.
    """
    if isinstance(path, ObjectPath):
        path.write(write)
    else:
        _write_file(path, write)
    return path


def _write_file(path: Path, write: Callable[[Path], object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.name}.{uuid4().hex[:8]}.tmp"
    try:
        write(temporary)
        descriptor = os.open(temporary, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, path)
        _sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Makes a rename in `folder` last through a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: _AnyLocation, text: str) -> _AnyLocation:
    """Writes a UTF-8 text file atomically."""
    return write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_table(path: _AnyLocation, table: pa.Table) -> _AnyLocation:
    """Writes a Parquet file atomically, marked with the version of hpstudy's schemas."""
    marked = table.replace_schema_metadata(versioned(table.schema).metadata)
    form: dict[str, Any] = {"compression": "zstd"} if len(table) > 1 else _OF_ONE_ROW
    return write_atomically(path, lambda temporary: pq.write_table(marked, temporary, **form))


def versioned(schema: pa.Schema) -> pa.Schema:
    """A schema marked with the version of hpstudy's schemas."""
    return schema.with_metadata({**(schema.metadata or {}), _VERSION_KEY: SCHEMA_VERSION.encode()})


def read_table(path: Location, columns: Sequence[str] | None = None) -> pa.Table:
    """Reads one Parquet file of the record, of it only the columns named if any are.

    Raises:
        ValueError: the file was written by a version of hpstudy whose schemas this one does not know.
    """
    # A ParquetFile, not pq.read_table: the latter reads `arm=x` in a path as a partition column.
    with pq.ParquetFile(path if isinstance(path, Path) else pa.BufferReader(path.read_bytes())) as file:
        table = file.read(columns=columns, use_threads=file.metadata.num_rows > 1)
    version = (table.schema.metadata or {}).get(_VERSION_KEY, b"").decode()
    if version != SCHEMA_VERSION:
        raise ValueError(
            f"{path} has schema version {version or 'none'}, this hpstudy reads version {SCHEMA_VERSION}: "
            "use the hpstudy that wrote it, or run the study again under another name"
        )
    return table


def read_tables(paths: Iterable[Location], columns: Sequence[str] | None = None) -> list[pa.Table]:
    """Reads many Parquet files as `read_table` does, in order; those of an object store several at a time."""
    asked = list(paths)
    if all(isinstance(path, Path) for path in asked):
        return [read_table(path, columns) for path in asked]
    return read_many(asked, lambda path: read_table(path, columns))


def files_in(folder: Location) -> list[Location]:
    """The files directly in a folder, sorted by name; none where it doesn't exist."""
    if isinstance(folder, ObjectPath):
        return list(folder.files())
    found: list[Location] = [path for path in folder.iterdir() if path.is_file()] if folder.is_dir() else []
    return sorted(found, key=lambda path: path.name)


def modified_times(folder: Location) -> dict[str, float]:
    """The files directly in a folder and when each was written, in seconds; none where it doesn't exist."""
    if isinstance(folder, ObjectPath):
        return folder.modified_times()
    if not folder.is_dir():
        return {}
    with os.scandir(folder) as entries:
        return {entry.name: entry.stat().st_mtime for entry in entries if entry.is_file()}


def remove_file(path: Location) -> None:
    """Drops a file, if it is there."""
    if isinstance(path, ObjectPath):
        path.unlink()
    else:
        path.unlink(missing_ok=True)


def remove_tree(folder: Location) -> None:
    """Drops a folder with all that it holds, if it is there."""
    if isinstance(folder, ObjectPath):
        folder.remove_all()
    else:
        shutil.rmtree(folder, ignore_errors=True)


def upload_folder(local: Path, place: ObjectPath) -> None:
    """Copies all files of a local folder below an address, and drops what else is there."""
    wanted = {place / path.relative_to(local).as_posix(): path for path in sorted(local.rglob("*")) if path.is_file()}
    for target, path in wanted.items():
        target.upload(path)
    for stale in set(place.below()) - set(wanted):
        stale.unlink()
