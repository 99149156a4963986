"""One folder per identity."""

from collections.abc import Iterator
from pathlib import Path

from hpstudy.data._images import decode_all, image_suffixes
from hpstudy.data._recipe import Recipe, data_path, file_hash
from hpstudy.exceptions import InputError
from hpstudy.spec import DataSpec


def folder(spec: DataSpec) -> Recipe:
    """Every folder directly in `spec.path` is an identity; the images in and below it are its images.

    Hidden files, and files whose suffix is of no image format, are not images.

    Raises:
        InputError: There is no such folder, or it holds no identity, or an identity holds no image file.
    """
    root = data_path(spec)
    if not root.is_dir():
        raise InputError(f"data.path must be a folder with one folder per identity, but {root} is not a folder")
    names = sorted(path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    files = {name: _image_files(root / name) for name in names}
    empty = [name for name in names if not files[name]]
    if empty or not names:
        what = f"these hold no image file: {', '.join(empty[:10])}" if empty else "it holds no folder"
        raise InputError(f"data.path must hold one folder of images per identity; of {root}, {what}")
    fingerprint = {
        "image_size": spec.image_size,
        "files": [[path.relative_to(root).as_posix(), file_hash(path)] for name in names for path in files[name]],
    }

    def contents() -> Iterator[tuple[str, bytes, int]]:
        for identity, name in enumerate(names):
            for path in files[name]:
                yield path.relative_to(root).as_posix(), path.read_bytes(), identity

    return Recipe(fingerprint, lambda: decode_all(contents(), names, spec.image_size))


def _image_files(identity: Path) -> list[Path]:
    return sorted(
        path
        for path in identity.rglob("*")
        if path.suffix.lower() in image_suffixes() and not path.name.startswith(".") and path.is_file()
    )
