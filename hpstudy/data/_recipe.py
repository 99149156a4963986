"""How a source says what it will load before it loads it."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from hpstudy.data._dataset import Dataset
from hpstudy.exceptions import InputError
from hpstudy.spec import DataSpec


@dataclass(frozen=True, slots=True)
class Recipe:
    """A dataset that may be built or found in the cache.

    Attributes:
        fingerprint: Everything that determines the content; JSON values only.
        build: Makes the dataset.
    """

    fingerprint: Mapping[str, object]
    build: Callable[[], Dataset]


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def data_path(spec: DataSpec) -> Path:
    """The path of a source that reads one.

    Raises:
        InputError: There is none.
    """
    if spec.path is None:
        raise InputError(f"data.path must say where source {spec.source!r} reads from, but it is not given")
    return Path(spec.path)
