"""Folders, Parquet shards, digits and a user's own callable."""

import io
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from hpstudy.data import SOURCES, load_dataset
from hpstudy.data._images import image_formats
from hpstudy.exceptions import InputError
from hpstudy.spec import DataSpec


def encoded(value: int, mode: str = "L", form: str = "PNG", size: tuple[int, int] = (10, 12)) -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, size, value if mode in {"L", "I;16"} else (value, value // 2, 0)).save(buffer, form)
    return buffer.getvalue()


def make_folder(root: Path, **extra: bytes) -> Path:
    for identity, value in {"ada": 10, "bob": 200}.items():
        (root / identity).mkdir(parents=True)
        for number in range(3):
            (root / identity / f"{number}.png").write_bytes(encoded(value + number))
    for name, content in extra.items():
        (root / "bob" / name.replace("_", ".")).write_bytes(content)
    return root


def folder_spec(root: Path, **fields: Any) -> DataSpec:
    return DataSpec(source="folder", path=str(root), image_size=8, **fields)


def test_every_source_of_a_study_file_can_be_loaded() -> None:
    offered = DataSpec.model_json_schema()["properties"]["source"]["anyOf"][0]["enum"]
    assert set(offered) == {*SOURCES, "free"}, "free has no images to load"


def test_a_folder_per_identity(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "data", notes_txt=b"not an image", **{"._0_png": b"hidden"})
    dataset = load_dataset(folder_spec(root), tmp_path / "cache")
    assert dataset.identity_names == ("ada", "bob")
    assert dataset.identities.tolist() == [0, 0, 0, 1, 1, 1]
    assert dataset.images.shape == (6, 1, 8, 8)
    assert dataset.images[:, 0, 4, 4].tolist() == [10, 11, 12, 200, 201, 202]
    assert dataset.skipped == ()


def test_a_changed_file_is_noticed(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "data")
    before = load_dataset(folder_spec(root), tmp_path / "cache")
    (root / "ada" / "0.png").write_bytes(encoded(77))
    after = load_dataset(folder_spec(root), tmp_path / "cache")
    assert before.content_hash != after.content_hash
    assert after.images[0, 0, 4, 4] == 77


def test_one_colour_image_makes_the_set_colour(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "data", **{"9_jpg": encoded(120, "RGB", "JPEG")})
    dataset = load_dataset(folder_spec(root), tmp_path / "cache")
    assert dataset.images.shape == (7, 3, 8, 8)
    assert dataset.images[0, :, 4, 4].tolist() == [10, 10, 10]
    assert dataset.images[6, :, 4, 4].tolist() == pytest.approx([120, 60, 0], abs=4)


def test_sixteen_bit_grey_keeps_its_range(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "data", **{"9_png": encoded(0x8000, "I;16")})
    dataset = load_dataset(folder_spec(root), tmp_path / "cache")
    assert dataset.images.shape == (7, 1, 8, 8)
    assert dataset.images[6].unique().tolist() == [0x80]


def test_corrupt_images_are_refused_by_name(tmp_path: Path) -> None:
    broken = {f"bad{number:02d}_png": encoded(5, size=(64, 64))[:60] for number in range(12)}
    root = make_folder(tmp_path / "data", **broken)
    with pytest.raises(InputError, match=r"12 images can't be read, and data\.max_bad allows 0") as caught:
        load_dataset(folder_spec(root), tmp_path / "cache")
    message = str(caught.value)
    assert "bob/bad00.png: " in message
    assert "bob/bad09.png: " in message
    assert "bad10" not in message
    assert "and 2 more" in message


def test_corrupt_images_are_left_out_up_to_max_bad(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "data", bad_png=b"\x89PNG\r\n", worse_jpg=b"")
    with pytest.raises(InputError, match="2 images can't be read"):
        load_dataset(folder_spec(root, max_bad=1), tmp_path / "cache")
    for _ in range(2):  # built, then from the cache
        dataset = load_dataset(folder_spec(root, max_bad=2), tmp_path / "cache")
        assert len(dataset.images) == 6
        assert [line.split(":")[0] for line in dataset.skipped] == ["bob/bad.png", "bob/worse.jpg"]
    with pytest.raises(InputError, match="2 images can't be read"):
        load_dataset(folder_spec(root), tmp_path / "cache")


def test_an_identity_without_a_sound_image_is_dropped(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "data")
    (root / "aaron").mkdir()
    (root / "aaron" / "0.png").write_bytes(b"broken")
    dataset = load_dataset(folder_spec(root, max_bad=1), tmp_path / "cache")
    assert dataset.identity_names == ("ada", "bob")
    assert dataset.identities.tolist() == [0, 0, 0, 1, 1, 1]


def test_a_decompression_bomb_is_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_folder(tmp_path / "data", bomb_png=encoded(1, size=(40, 40)), bigger_png=encoded(1, size=(90, 90)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(InputError, match=r"2 images .*\n.*bigger\.png: refused .*\n.*bomb\.png: refused .* bomb"):
        load_dataset(folder_spec(root), tmp_path / "cache")


def test_formats_that_run_a_program_are_not_opened(tmp_path: Path) -> None:
    assert "EPS" not in image_formats()
    assert {"PNG", "JPEG", "WEBP", "BMP", "PPM"} <= set(image_formats())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda root: None, "is not a folder"),
        (lambda root: root.mkdir(), "it holds no folder"),
        (lambda root: (root / "ada").mkdir(parents=True), "these hold no image file: ada"),
    ],
)
def test_folders_of_another_shape_are_refused(make: Callable[[Path], None], message: str, tmp_path: Path) -> None:
    make(tmp_path / "data")
    with pytest.raises(InputError, match=message):
        load_dataset(folder_spec(tmp_path / "data"), tmp_path / "cache")


def test_nothing_but_broken_images(tmp_path: Path) -> None:
    (tmp_path / "data" / "ada").mkdir(parents=True)
    (tmp_path / "data" / "ada" / "0.png").write_bytes(b"broken")
    with pytest.raises(InputError, match=r"none of the 1 images can be read; the first: ada/0\.png"):
        load_dataset(folder_spec(tmp_path / "data", max_bad=5), tmp_path / "cache")


def shard_spec(path: Path, **fields: Any) -> DataSpec:
    return DataSpec(source="parquet", path=str(path), image_size=8, **fields)


def test_shards_with_whole_numbers_sort_as_numbers(tmp_path: Path) -> None:
    for shard, identities in enumerate([[10, 9], [9, 10]]):
        images = [encoded(identity) for identity in identities]
        pq.write_table(pa.table({"image": images, "identity": identities}), tmp_path / f"{shard}.parquet")
    dataset = load_dataset(shard_spec(tmp_path), tmp_path / "cache")
    assert dataset.identity_names == ("9", "10")
    assert dataset.identities.tolist() == [1, 0, 0, 1]
    assert dataset.images[:, 0, 4, 4].tolist() == [10, 9, 9, 10]


def test_one_shard_with_text_and_structs(tmp_path: Path) -> None:
    rows = {"image": [{"bytes": encoded(3, "RGB"), "path": "x"}], "identity": pa.array(["ada"]).dictionary_encode()}
    pq.write_table(pa.table(rows), tmp_path / "one.parquet")
    dataset = load_dataset(shard_spec(tmp_path / "one.parquet"), tmp_path / "cache")
    assert dataset.identity_names == ("ada",)
    assert dataset.images.shape == (1, 3, 8, 8)


def test_bad_rows_are_named(tmp_path: Path) -> None:
    images = [encoded(1), None, encoded(2)[:40]]
    pq.write_table(pa.table({"image": images, "identity": ["a", "b", "c"]}), tmp_path / "s.parquet")
    with pytest.raises(InputError, match=r"2 images .*\n  s\.parquet row 1: there is no image\n  s\.parquet row 2: "):
        load_dataset(shard_spec(tmp_path), tmp_path / "cache")
    assert load_dataset(shard_spec(tmp_path, max_bad=2), tmp_path / "cache").identity_names == ("a",)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"image": [b"x"], "label": [1]}, "lacks identity; it has image, label"),
        ({"image": ["x"], "identity": [1]}, "the column image must hold bytes"),
        ({"image": [b"x"], "identity": [1.5]}, "the column identity must be text or whole numbers"),
        ({"image": [b"x", b"y"], "identity": [1, None]}, "1 rows have none"),
    ],
)
def test_shards_of_another_shape_are_refused(columns: dict[str, list[Any]], message: str, tmp_path: Path) -> None:
    pq.write_table(pa.table(columns), tmp_path / "s.parquet")
    with pytest.raises(InputError, match=message):
        load_dataset(shard_spec(tmp_path), tmp_path / "cache")


def test_shards_of_two_kinds_are_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"image": [encoded(1)], "identity": [1]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"image": [encoded(1)], "identity": ["1"]}), tmp_path / "b.parquet")
    with pytest.raises(InputError, match="one type in all shards, but they are text and whole numbers"):
        load_dataset(shard_spec(tmp_path), tmp_path / "cache")


def test_missing_and_broken_shards_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"must be a Parquet file or a folder of \*\.parquet"):
        load_dataset(shard_spec(tmp_path), tmp_path / "cache")
    (tmp_path / "s.parquet").write_bytes(b"PAR1 nothing PAR1")
    with pytest.raises(InputError, match=r"s\.parquet must be a Parquet file, but it can't be read"):
        load_dataset(shard_spec(tmp_path), tmp_path / "cache")


def test_digits(tmp_path: Path) -> None:
    dataset = load_dataset(DataSpec(source="digits", identities={"train": 4, "val": 3, "test": 3}), tmp_path)
    assert dataset.images.shape == (1797, 1, 32, 32)
    assert dataset.identity_names == tuple("0123456789")
    assert int(dataset.images.max()) == 255


@pytest.fixture
def user_module(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    module = types.ModuleType("user_data")
    monkeypatch.setitem(sys.modules, "user_data", module)
    return module


def test_a_users_own_source(user_module: types.ModuleType, tmp_path: Path) -> None:
    def make(spec: DataSpec) -> tuple[np.ndarray, list[str]]:
        return np.zeros((3, 2, spec.image_size, spec.image_size), np.uint8), ["b", "a", "b"]

    user_module.make = make
    dataset = load_dataset(DataSpec(source="user_data:make", image_size=8), tmp_path)
    assert dataset.images.shape == (3, 2, 8, 8)
    assert dataset.identity_names == ("a", "b")
    assert dataset.identities.tolist() == [1, 0, 1]
    assert list(tmp_path.iterdir()) == []


ZEROS = np.zeros((2, 1, 8, 8), np.uint8)


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (ZEROS, "but it returned a ndarray"),
        ((ZEROS.astype(float), ["a", "b"]), "but they are float64"),
        ((np.zeros((2, 1, 9, 8), np.uint8), ["a", "b"]), r"shape \(N, channels, 8, 8\), but they are uint8"),
        ((ZEROS, ["a"]), "there are 1 for 2"),
        ((ZEROS, ["a", 3]), "but one is 3"),
    ],
)
def test_a_users_source_that_returns_something_else(
    user_module: types.ModuleType, returned: object, message: str, tmp_path: Path
) -> None:
    user_module.make = lambda spec: returned
    with pytest.raises(InputError, match=message):
        load_dataset(DataSpec(source="user_data:make", image_size=8), tmp_path)


def test_a_users_source_that_is_not_there(user_module: types.ModuleType, tmp_path: Path) -> None:
    user_module.number = 3
    for source, message in {
        "user_data:absent": "must name an importable module:attribute",
        "no_such_module_at_all:make": "must name an importable module:attribute",
        "user_data:number": "must name a callable, but it is a int",
    }.items():
        with pytest.raises(InputError, match=message):
            load_dataset(DataSpec(source=source), tmp_path)


def test_an_unknown_source_names_the_nearest(tmp_path: Path) -> None:
    spec = DataSpec().model_copy(update={"source": "glyph"})
    with pytest.raises(InputError, match=r"must be one of digits, folder, glyphs, parquet .* did you mean 'glyphs'"):
        load_dataset(spec, tmp_path)
