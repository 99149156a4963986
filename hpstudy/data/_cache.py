"""Datasets kept as Parquet between processes.

Any number of processes may read and write one cache folder: a file appears whole or not at all, two writers of one name
write the same content, and a file that does not hash to what its metadata says is built again, never trusted.
"""

import hashlib
import json
import logging
import os
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from hpstudy.data._dataset import Dataset, make_dataset

_FORMAT = 1
_ABOUT = b"hpstudy.dataset"
_ABOUT_HASH = b"hpstudy.dataset.sha256"
_Scalar = TypeVar("_Scalar", bound=np.generic)
_log = logging.getLogger(__name__)


def cached(cache_dir: Path, source: str, fingerprint: Mapping[str, object], build: Callable[[], Dataset]) -> Dataset:
    """Reads the dataset from the cache, or builds it and writes it there.

    Args:
        cache_dir: Made when it does not exist.
        source: Opens the name of the file.
        fingerprint: Everything that determines the content; JSON values only.
        build: Called when there is no sound file.
    """
    key = hashlib.sha256(json.dumps([_FORMAT, source, fingerprint], sort_keys=True).encode()).hexdigest()
    path = cache_dir / f"{source}-{key[:24]}.parquet"
    if path.exists():
        try:
            return _read(path)
        # A damaged file can fail anywhere in the Parquet reader, the metadata or the shapes.
        except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, IndexError, MemoryError) as error:
            _log.warning("the cached dataset %s is damaged and is built again (%s)", path, error)
    dataset = build()
    _write(dataset, path)
    return dataset


def _read(path: Path) -> Dataset:
    with pq.ParquetFile(path) as file:  # read_table would import pyarrow.dataset first, which takes longer than reading
        table = file.read()
    metadata = table.schema.metadata
    if hashlib.sha256(metadata[_ABOUT]).hexdigest().encode() != metadata[_ABOUT_HASH]:
        raise ValueError("its metadata is not what was written")
    about = json.loads(metadata[_ABOUT])
    images = _values(table.column("image"), np.dtype(np.uint8)).reshape(about["shape"])
    identities = _values(table.column("identity"), np.dtype(np.int64))
    if images.ndim != 4 or len(images) != len(identities):
        raise ValueError(f"it has images of shape {images.shape} and {len(identities)} identities")
    dataset = make_dataset(images, identities, about["identity_names"], about["skipped"])
    if dataset.content_hash != about["content_hash"]:
        raise ValueError(f"its content hashes to {dataset.content_hash}, its metadata says {about['content_hash']}")
    return dataset


def _values(column: pa.ChunkedArray, dtype: np.dtype[_Scalar]) -> NDArray[_Scalar]:
    """The column's values end to end, writable; pyarrow's own to_numpy would import pandas, and combining copies."""
    array = column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)
    width = array.type.bit_width // 8
    values = np.frombuffer(array.buffers()[1], np.uint8, count=len(array) * width, offset=array.offset * width)
    return np.require(values, requirements=["W"]).view(dtype)


def _write(dataset: Dataset, path: Path) -> None:
    images = dataset.images.numpy()
    pixels = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(int(np.prod(images.shape[1:]))), len(images), [None, pa.py_buffer(images)]
    )
    about = json.dumps(
        {
            "shape": images.shape,
            "identity_names": dataset.identity_names,
            "skipped": dataset.skipped,
            "content_hash": dataset.content_hash,
        }
    ).encode()
    table = pa.table({"image": pixels, "identity": pa.array(dataset.identities.numpy())})
    table = table.replace_schema_metadata({_ABOUT: about, _ABOUT_HASH: hashlib.sha256(about).hexdigest().encode()})
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}-{uuid.uuid4().hex}.tmp")
    try:
        pq.write_table(table, unfinished, compression="zstd", use_dictionary=False, write_statistics=False)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
