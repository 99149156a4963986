"""Image files decoded to arrays of one size; corrupt ones are collected, not raised."""

import functools
import io
import warnings
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from hpstudy.data._dataset import Dataset, make_dataset
from hpstudy.exceptions import InputError

_GREYSCALE = frozenset({"1", "L", "LA", "La", "I;16", "I;16L", "I;16B"})

_RUNS_A_PROGRAM = frozenset({"EPS"})
"""Formats that Pillow hands to another program (Ghostscript): never opened."""

_BROKEN_FILE = (OSError, ValueError, SyntaxError, EOFError, IndexError, KeyError, TypeError, ArithmeticError)
"""What Pillow's readers raise on a damaged file; UnidentifiedImageError is an OSError."""


class _UnreadableImageError(Exception):
    """Why an image can't be used."""


@functools.cache
def image_formats() -> tuple[str, ...]:
    """Names of the formats that are read."""
    Image.init()
    return tuple(sorted(set(Image.OPEN) - _RUNS_A_PROGRAM))


@functools.cache
def image_suffixes() -> frozenset[str]:
    """Lower-case file suffixes of these formats, and '' for files without one."""
    formats = image_formats()
    return frozenset({""} | {suffix for suffix, name in Image.registered_extensions().items() if name in formats})


def _decode(content: bytes, image_size: int) -> NDArray[np.uint8]:
    """(1 or 3, image_size, image_size): one channel for a greyscale image, else RGB; stretched if not square.

    Raises:
        _UnreadableImageError: The image is corrupt or larger than Pillow's limit against decompression bombs.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content), formats=image_formats()) as opened:
                if opened.mode in {"I", "F"}:
                    raise _UnreadableImageError(f"mode {opened.mode} (32 bits a pixel) has no defined white")
                image = ImageOps.exif_transpose(opened)
                if image.mode.startswith("I;16"):
                    image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
                image = image.convert("L" if image.mode in _GREYSCALE else "RGB")
        image = image.resize((image_size, image_size), Image.Resampling.BILINEAR)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _UnreadableImageError(f"refused as a possible decompression bomb: {error}") from error
    except _BROKEN_FILE as error:
        raise _UnreadableImageError(str(error) or type(error).__name__) from error
    pixels: NDArray[np.uint8] = np.asarray(image, dtype=np.uint8)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def decode_all(
    images: Iterable[tuple[str, bytes | None, int]], identity_names: Sequence[str], image_size: int
) -> Dataset:
    """Decodes named images; the set is greyscale if every image is, else RGB.

    Args:
        images: Name for messages, content of the file (None: there is none), and index into `identity_names`.
        identity_names: All identities; those left without an image are dropped.
        image_size: Side of the square images, pixels.

    Raises:
        InputError: No image at all can be read.
    """
    decoded: list[NDArray[np.uint8]] = []
    identities: list[int] = []
    skipped: list[str] = []
    for name, content, identity in images:
        try:
            if content is None:
                raise _UnreadableImageError("there is no image")
            decoded.append(_decode(content, image_size))
            identities.append(identity)
        except _UnreadableImageError as error:
            skipped.append(f"{name}: {error}")
    if not decoded:
        raise InputError(f"none of the {len(skipped)} images can be read; the first: {skipped[0] if skipped else '-'}")
    channels = max(len(pixels) for pixels in decoded)
    stacked = np.empty((len(decoded), channels, image_size, image_size), np.uint8)
    for row, pixels in zip(stacked, decoded, strict=True):
        row[:] = pixels  # grey among colours fills all three channels
    present, renumbered = np.unique(np.array(identities), return_inverse=True)
    names = [identity_names[identity] for identity in present.tolist()]
    return make_dataset(stacked, renumbered.astype(np.int64), names, skipped)
