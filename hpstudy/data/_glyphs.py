"""Characters as identities, font faces as their images."""

import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import features

from hpstudy.data._dataset import Dataset, make_dataset
from hpstudy.data._faces import Face, built_in_faces, extra_faces, is_drawable
from hpstudy.data._lookalikes import lookalikes, merge
from hpstudy.data._recipe import Recipe, file_hash
from hpstudy.exceptions import InputError
from hpstudy.spec import DataSpec

RENDERER_VERSION = 1
"""Raise it with every change that alters a picture, a name or which characters are kept."""

_MIN_FACES = 2


def glyphs(spec: DataSpec) -> Recipe:
    """Characters in the built-in faces and those of `spec.fonts`.

    With the built-in faces alone, an identity is a character that all of them have. With more fonts it is a character
    that at least two of all the faces have.
    """
    built_in = built_in_faces()
    faces = built_in + (extra_faces(Path(spec.fonts)) if spec.fonts is not None else ())
    fingerprint = {
        "renderer": RENDERER_VERSION,
        "image_size": spec.image_size,
        "faces": [file_hash(face) for face in faces],
        "freetype": features.version("freetype2"),
        "unicode": unicodedata.unidata_version,
    }
    min_faces = len(built_in) if len(faces) == len(built_in) else _MIN_FACES
    return Recipe(fingerprint, lambda: render_glyphs(faces, spec.image_size, min_faces=min_faces))


def render_glyphs(
    faces: Sequence[Path], image_size: int = 32, *, min_faces: int, characters: Iterable[str] | None = None
) -> Dataset:
    """Renders characters in font faces and makes one identity of those that look alike.

    Left out are blanks, controls and, face by face, characters that the face has no glyph for or shows as its
    missing-glyph box. An identity shows the lowest of its code points that a face has. Where one face draws two
    identities alike (Latin m and Cyrillic т in serif italic), the later loses its picture in that face: no picture is
    ever found under two identities.

    Args:
        faces: Font files.
        image_size: Side of the square pictures, pixels.
        min_faces: A character needs glyphs in at least so many faces.
        characters: The only characters to consider; None considers every character of the faces.

    Raises:
        InputError: A font can't be read, or no character is left.
    """
    loaded = [Face(path, image_size) for path in faces]
    considered = set[int]().union(*(face.characters for face in loaded))
    if characters is not None:
        considered &= {ord(character) for character in characters}
    code_points = np.array(sorted(filter(is_drawable, considered)), np.int64)
    mapped = np.array([[code in face.characters for face in loaded] for code in code_points.tolist()], bool)
    mapped = mapped.reshape(len(code_points), len(loaded))
    enough = mapped.sum(1) >= min_faces
    pictures, has = _render(loaded, code_points[enough], mapped[enough], image_size)
    enough_drawn = has.sum(1) >= min_faces
    pictures, has, code_points = pictures[enough_drawn], has[enough_drawn], code_points[enough][enough_drawn]
    if not len(code_points):
        raise InputError(f"the {len(faces)} font faces have no drawable character that {min_faces} of them share")
    return _identities(pictures, has, code_points)


def _render(
    faces: Sequence[Face], code_points: NDArray[np.int64], mapped: NDArray[np.bool_], image_size: int
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """(characters, faces, H, W) pictures, and (characters, faces) whether there is one."""
    pictures = np.zeros((*mapped.shape, image_size, image_size), np.uint8)
    for column, face in enumerate(faces):
        for row in np.flatnonzero(mapped[:, column]):
            pictures[row, column] = face.draw(chr(code_points[row]))
    boxes = np.stack([face.missing_glyph for face in faces])
    flat = pictures.reshape(*mapped.shape, image_size**2)
    has = flat.any(2) & ~(flat == boxes.reshape(len(faces), -1)).all(2)
    return pictures, has


def _identities(pictures: NDArray[np.uint8], has: NDArray[np.bool_], code_points: NDArray[np.int64]) -> Dataset:
    alike = []
    for column in range(has.shape[1]):
        rows = np.flatnonzero(has[:, column])
        alike.append(rows[lookalikes(pictures[rows, column])])
    groups = merge(alike, has)
    kept = has.copy()
    for column, pairs in enumerate(alike):
        _keep_first_of_group(kept[:, column], groups)
        _keep_first_of_lookalikes(kept[:, column], pairs)
    _keep_first_of_equals(kept, pictures, groups)
    images_per_group = np.bincount(groups, weights=kept.sum(1))
    kept &= (images_per_group[groups] >= _MIN_FACES)[:, None]
    # Groups are numbered by their lowest member, so identities stay in the order of the code points.
    present, identities = np.unique(np.broadcast_to(groups[:, None], kept.shape)[kept], return_inverse=True)
    names = [_name(code_points[groups == group].tolist()) for group in present]
    order = np.argsort(identities, kind="stable")
    return make_dataset(pictures[kept][order][:, None], identities[order].astype(np.int64), names)


def _keep_first_of_group(kept: NDArray[np.bool_], groups: NDArray[np.int64]) -> None:
    """Of each group's characters that one face has, keeps the first; in place."""
    rows = np.flatnonzero(kept)
    first = rows[np.unique(groups[rows], return_index=True)[1]]
    kept[:] = False
    kept[first] = True


def _keep_first_of_lookalikes(kept: NDArray[np.bool_], pairs: NDArray[np.int64]) -> None:
    """Of the pictures that look alike in one face, keeps the first; in place."""
    for first, second in pairs[np.lexsort(pairs.T)].tolist():  # by second: whether `first` stays is settled by then
        if kept[first]:
            kept[second] = False


def _keep_first_of_equals(kept: NDArray[np.bool_], pictures: NDArray[np.uint8], groups: NDArray[np.int64]) -> None:
    """Of equal pictures in different faces, keeps those of the first group; in place."""
    owner: dict[bytes, int] = {}
    for row, column in np.argwhere(kept):
        group = int(groups[row])
        if owner.setdefault(pictures[row, column].tobytes(), group) != group:
            kept[row, column] = False


def _name(code_points: Sequence[int]) -> str:
    first, *others = code_points
    name = f"U+{first:04X} {unicodedata.name(chr(first), '(unnamed)')}"
    return f"{name} (also {', '.join(f'U+{other:04X}' for other in others)})" if others else name
