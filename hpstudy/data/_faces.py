"""Font faces: which files, which characters they have, and how a character is drawn to an image."""

import functools
import importlib.util
import unicodedata
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from fontTools.ttLib import TTFont, TTLibError
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from hpstudy.exceptions import InputError

BUILT_IN_FACES = tuple(
    f"DejaVu{family}{style}.ttf"
    for family, slant in (("Sans", "Oblique"), ("SansMono", "Oblique"), ("Serif", "Italic"))
    for style in ("", "-Bold", f"-{slant}", f"-Bold{slant}")
)

_EM = 0.625
"""Font size as a fraction of the image's side: the largest that leaves all but one DejaVu character whole."""

_NONCHARACTER = chr(0x10FFFF)
"""No font may map it, so drawing it shows the face's missing-glyph box."""


def built_in_faces() -> tuple[Path, ...]:
    """The 12 DejaVu faces that matplotlib ships, found without importing matplotlib.

    Raises:
        InputError: matplotlib or one of the faces is not installed.
    """
    package = importlib.util.find_spec("matplotlib")
    if package is None or not package.submodule_search_locations:
        raise InputError("source 'glyphs' reads the fonts that matplotlib ships, but matplotlib is not installed")
    folder = Path(package.submodule_search_locations[0], "mpl-data", "fonts", "ttf")
    faces = tuple(folder / name for name in BUILT_IN_FACES)
    missing = [face.name for face in faces if not face.is_file()]
    if missing:
        raise InputError(f"source 'glyphs' needs {', '.join(missing)} in {folder}; install matplotlib from PyPI")
    return faces


def extra_faces(folder: Path) -> tuple[Path, ...]:
    """The `.ttf` and `.otf` files directly in a folder, by name.

    Raises:
        InputError: The folder does not exist or holds none.
    """
    if not folder.is_dir():
        raise InputError(f"data.fonts must be a folder of .ttf or .otf files, but {folder} is not a folder")
    faces = tuple(sorted(path for path in folder.iterdir() if path.suffix.lower() in {".ttf", ".otf"}))
    if not faces:
        raise InputError(f"data.fonts must be a folder of .ttf or .otf files, but {folder} has none")
    return faces


def is_drawable(code_point: int) -> bool:
    """Whether the code point is an assigned character with a shape: no separators, controls, formats, private use."""
    return unicodedata.category(chr(code_point))[0] not in "ZC"


class Face:
    """One font file at the fixed size that suits a square image.

    Raises:
        InputError: The file is not an outline font that FreeType and fontTools read.
    """

    def __init__(self, path: Path, image_size: int) -> None:
        self._size = image_size
        try:
            with path.open("rb") as file:
                mapped: Iterable[int] = TTFont(file, lazy=True).getBestCmap() or {}
            # BASIC layout: one code point, one glyph, whatever text-shaping library is installed.
            self._font = ImageFont.truetype(path, max(1, round(_EM * image_size)), layout_engine=ImageFont.Layout.BASIC)
        except (OSError, TTLibError) as error:
            raise InputError(f"{path} must be an outline font (.ttf, .otf), but it can't be read: {error}") from error
        ascent, descent = self._font.getmetrics()
        self._baseline = (image_size + ascent - descent) // 2
        self.characters = frozenset(mapped)
        """Code points that the face maps to a glyph."""

    @functools.cached_property
    def missing_glyph(self) -> NDArray[np.uint8]:
        """(H, W) picture of what the face shows for a character that it does not have."""
        return self.draw(_NONCHARACTER)

    def draw(self, character: str) -> NDArray[np.uint8]:
        """The character in white on black, (H, W): its ink centred sideways, upright on the line of its face.

        Height on the line tells an apostrophe from a comma and is kept; only a glyph that would leave the image is
        moved inside, and shrunk if it is larger than the image.
        """
        size = self._size
        picture = np.zeros((size, size), np.uint8)
        left, top, right, bottom = self._font.getbbox(character, anchor="ls")
        if right <= left or bottom <= top:
            return picture
        canvas = Image.new("L", (int(right - left), int(bottom - top)))
        ImageDraw.Draw(canvas).text((-left, -top), character, fill=255, font=self._font, anchor="ls")
        ink_box = canvas.getbbox()
        if ink_box is None:
            return picture
        ink, top_of_ink = canvas.crop(ink_box), int(top) + ink_box[1]
        if max(ink.size) > size:
            factor = size / max(ink.size)
            ink = ink.resize((max(1, round(ink.width * factor)), max(1, round(ink.height * factor))))
        x = (size - ink.width) // 2
        y = min(max(0, self._baseline + top_of_ink), size - ink.height)
        picture[y : y + ink.height, x : x + ink.width] = np.asarray(ink)
        return picture
