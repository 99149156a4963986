"""The cache: read back what was written, never trust a damaged file."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from hpstudy.data import Dataset
from hpstudy.data._cache import cached
from hpstudy.data._dataset import make_dataset


def build() -> Dataset:
    images = np.random.default_rng(0).integers(0, 256, (20, 3, 8, 8), dtype=np.uint8)
    return make_dataset(images, np.arange(20, dtype=np.int64) % 4, ["a", "b", "ç", 'd"'], ["x.png: broken"])


class Counting:
    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> Dataset:
        self.calls += 1
        return build()


def only_file(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


def test_the_second_time_it_is_read(tmp_path: Path) -> None:
    builder = Counting()
    first = cached(tmp_path / "new" / "cache", "toy", {"version": 1}, builder)
    second = cached(tmp_path / "new" / "cache", "toy", {"version": 1}, builder)
    assert builder.calls == 1
    assert torch.equal(first.images, second.images)
    assert torch.equal(first.identities, second.identities)
    assert (first.identity_names, first.skipped) == (second.identity_names, second.skipped)
    assert first.content_hash == second.content_hash
    second.images[0] = 0  # what is read is writable memory of its own


def test_another_fingerprint_is_another_file(tmp_path: Path) -> None:
    builder = Counting()
    for fingerprint in ({"version": 1}, {"version": 2}, {"version": 2, "size": 8}):
        cached(tmp_path, "toy", fingerprint, builder)
    assert builder.calls == 3
    assert len(list(tmp_path.iterdir())) == 3


def empty(path: Path) -> None:
    path.write_bytes(b"")


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def flip_a_byte_of_the_data(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[200] ^= 0xFF
    path.write_bytes(content)


def replace_by_text(path: Path) -> None:
    path.write_text("not a Parquet file at all")


def change_a_pixel(path: Path) -> None:
    """A sound Parquet file whose content is not what its metadata says."""
    table = pq.read_table(path)
    pq.write_table(table.take([1, 0, *range(2, 20)]), path)


def drop_the_metadata(path: Path) -> None:
    pq.write_table(pq.read_table(path).replace_schema_metadata({}), path)


def drop_rows(path: Path) -> None:
    pq.write_table(pq.read_table(path).slice(0, 0), path)


@pytest.mark.parametrize(
    "damage",
    [empty, truncate, flip_a_byte_of_the_data, replace_by_text, change_a_pixel, drop_the_metadata, drop_rows],
)
def test_a_damaged_file_is_built_again(
    damage: Callable[[Path], None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    builder = Counting()
    sound = cached(tmp_path, "toy", {}, builder)
    damage(only_file(tmp_path))
    mended = cached(tmp_path, "toy", {}, builder)
    assert builder.calls == 2
    assert mended.content_hash == sound.content_hash
    assert "is damaged and is built again" in caplog.text
    cached(tmp_path, "toy", {}, builder)
    assert builder.calls == 2


def test_every_single_flipped_byte_is_noticed_or_harmless(tmp_path: Path) -> None:
    sound = cached(tmp_path, "toy", {}, build)
    path = only_file(tmp_path)
    content = path.read_bytes()
    for position in range(0, len(content), 37):
        path.write_bytes(content[:position] + bytes([content[position] ^ 0x10]) + content[position + 1 :])
        read = cached(tmp_path, "toy", {}, build)
        assert read.content_hash == sound.content_hash
        assert torch.equal(read.images, sound.images)
        assert read.identity_names == sound.identity_names
        assert read.skipped == sound.skipped


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="No space left"):
        cached(tmp_path, "toy", {}, build)
    assert list(tmp_path.iterdir()) == []


def test_several_writers_at_once(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        loaded = list(pool.map(lambda number: cached(tmp_path, "toy", {"number": number % 3}, build), range(24)))
    assert {dataset.content_hash for dataset in loaded} == {build().content_hash}
    assert len(list(tmp_path.iterdir())) == 3
