"""Atomic writes: a reader sees the old file or the new one, never half of one, also after a power cut."""

import os
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

SCHEMA_VERSION = "1"
_VERSION_KEY = b"hpstudy.schema_version"


def write_atomically(path: Path, write: Callable[[Path], object]) -> Path:
    """Writes `path` through a temporary sibling that is flushed to disk and then renamed over it.

    Args:
        path: The file to write; its folder is made if need be.
        write: Writes the whole content to the path it is given.

    Returns:
        `path`.
    """
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
    return path


def _sync_folder(folder: Path) -> None:
    """Makes a rename in `folder` last through a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> Path:
    """Writes a UTF-8 text file atomically."""
    return write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_table(path: Path, table: pa.Table) -> Path:
    """Writes a Parquet file atomically, marked with the version of hpstudy's schemas."""
    metadata = {**(table.schema.metadata or {}), _VERSION_KEY: SCHEMA_VERSION.encode()}
    marked = table.replace_schema_metadata(metadata)
    return write_atomically(path, lambda temporary: pq.write_table(marked, temporary, compression="zstd"))


def read_table(path: Path) -> pa.Table:
    """Reads one Parquet file of the record.

    Raises:
        ValueError: the file was written by a version of hpstudy whose schemas this one does not know.
    """
    # A ParquetFile, not pq.read_table: the latter reads `arm=x` in a path as a partition column.
    with pq.ParquetFile(path) as file:
        table = file.read()
    version = (table.schema.metadata or {}).get(_VERSION_KEY, b"").decode()
    if version != SCHEMA_VERSION:
        raise ValueError(
            f"{path} has schema version {version or 'none'}, this hpstudy reads version {SCHEMA_VERSION}: "
            "use the hpstudy that wrote it, or run the study again under another name"
        )
    return table
