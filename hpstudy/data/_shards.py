"""Parquet shards of encoded images."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hpstudy.data._images import decode_all
from hpstudy.data._recipe import Recipe, data_path, file_hash
from hpstudy.exceptions import InputError
from hpstudy.spec import DataSpec

_ROWS_AT_ONCE = 256


def parquet(spec: DataSpec) -> Recipe:
    """Reads `spec.path`, a Parquet file or a folder of `*.parquet`.

    The column `image` holds encoded images (PNG, JPEG, …) as bytes, or as a struct with a field `bytes`; the column
    `identity` holds text or whole numbers, of one type in all shards.

    Raises:
        InputError: There is no shard, one can't be read or lacks a column, or an identity is null.
    """
    root = data_path(spec)
    shards = sorted(root.glob("*.parquet")) if root.is_dir() else [root]
    if not shards or not shards[0].is_file():
        raise InputError(f"data.path must be a Parquet file or a folder of *.parquet, but {root} is neither")
    fingerprint = {"image_size": spec.image_size, "shards": [[shard.name, file_hash(shard)] for shard in shards]}
    names = _identity_names(shards)

    def contents() -> Iterator[tuple[str, bytes | None, int]]:
        numbers = {name: number for number, name in enumerate(names)}
        for shard in shards:
            for name, image, identity in _rows(shard):
                yield name, image, numbers[identity]

    return Recipe(fingerprint, lambda: decode_all(contents(), [str(name) for name in names], spec.image_size))


def _identity_names(shards: list[Path]) -> list[str | int]:
    """All identities in order; checks the columns of every shard on the way."""
    found: set[str | int] = set()
    kinds: set[str] = set()
    for shard in shards:
        try:
            with pq.ParquetFile(shard) as file:
                schema = file.schema_arrow
                missing = [name for name in ("image", "identity") if name not in schema.names]
                if missing:
                    raise InputError(
                        f"a shard must have the columns image and identity, but {shard} lacks {' and '.join(missing)}; "
                        f"it has {', '.join(schema.names)}"
                    )
                kinds.add(_identity_kind(schema.field("identity").type, shard))
                _check_image_type(schema.field("image").type, shard)
                identities = file.read(columns=["identity"]).column("identity")
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{shard} must be a Parquet file, but it can't be read: {error}") from error
        if identities.null_count:
            raise InputError(f"every row must have an identity, but in {shard} {identities.null_count} rows have none")
        found.update(pc.unique(identities).to_pylist())
    if len(kinds) > 1:
        raise InputError(f"identities must be of one type in all shards, but they are {' and '.join(sorted(kinds))}")
    return sorted(found, key=lambda name: (name if isinstance(name, int) else 0, str(name)))


def _identity_kind(kind: pa.DataType, shard: Path) -> str:
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    if pa.types.is_integer(value):
        return "whole numbers"
    if pa.types.is_string(value) or pa.types.is_large_string(value):
        return "text"
    raise InputError(f"the column identity must be text or whole numbers, but in {shard} it is {kind}")


def _check_image_type(kind: pa.DataType, shard: Path) -> None:
    if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
        kind = kind.field("bytes").type
    if not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind)):
        raise InputError(f"the column image must hold bytes, but in {shard} it is {kind}")


def _rows(shard: Path) -> Iterator[tuple[str, bytes | None, str | int]]:
    row = 0
    with pq.ParquetFile(shard) as file:
        for batch in file.iter_batches(_ROWS_AT_ONCE, columns=["image", "identity"]):
            identities = batch.column("identity").to_pylist()
            for image, identity in zip(batch.column("image").to_pylist(), identities, strict=True):
                yield f"{shard.name} row {row}", image["bytes"] if isinstance(image, dict) else image, identity
                row += 1
