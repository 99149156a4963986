"""Which pictures of one face can't be told apart, and which characters are therefore one identity."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_TOLERANCE = 32
"""Grey levels by which pixels of one shape may differ: outlines that differ by rounding stay below it in most DejaVu
faces, the closest different ones (Greek smooth and rough breathing) are above 90 in most."""

_COARSE = 8
_COARSE_DISTANCE = 0.2
"""Screening: shapes within the tolerance are closer than this when averaged to 8 × 8 cells (white is 1)."""


def lookalikes(pictures: NDArray[np.uint8], block_size: int = 1024) -> NDArray[np.int64]:
    """Pairs of pictures with no pixel further apart than the tolerance.

    Args:
        pictures: (N, H, W).
        block_size: Rows of the distance matrix that are held at once.

    Returns:
        (P, 2) indices, the first below the second.
    """
    coarse = _coarse(pictures)
    square = np.square(coarse).sum(1)
    close: list[NDArray[np.int64]] = [np.empty((0, 2), np.int64)]
    for start in range(0, len(coarse), block_size):
        rows = slice(start, start + block_size)
        distance = square[rows, None] + square[start:] - 2 * coarse[rows] @ coarse[start:].T
        first, second = np.nonzero(np.triu(distance < _COARSE_DISTANCE**2, 1))
        close.append(np.stack([first, second], 1) + start)
    pairs = np.concatenate(close)
    flat = pictures.reshape(len(pictures), pictures.shape[1] * pictures.shape[2])
    same = np.empty(len(pairs), bool)
    for start in range(0, len(pairs), block_size):
        first, second = pairs[start : start + block_size].T
        a, b = flat[first], flat[second]
        same[start : start + block_size] = (np.maximum(a, b) - np.minimum(a, b)).max(1, initial=0) <= _TOLERANCE
    return pairs[same]


def _coarse(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(N, 64) mean brightness of the cells of an 8 × 8 grid, 1 for white."""
    size = pictures.shape[1]
    member = (np.arange(size) * _COARSE // size == np.arange(_COARSE)[:, None]).astype(np.float32)
    member /= np.maximum(member.sum(1, keepdims=True), 1)
    by_row = member @ pictures.astype(np.float32)
    coarse: NDArray[np.float32] = (by_row @ member.T).reshape(len(pictures), _COARSE**2) / 255
    return coarse


def merge(alike: Sequence[NDArray[np.int64]], has: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Groups characters that look alike in at least half of the faces that have both.

    "In every face" would keep Latin A and Cyrillic А apart, which DejaVu Serif draws from outlines that differ by a
    rounding error. "In any face" would make one identity of Latin m and Cyrillic т, which are one shape in italic only.

    Args:
        alike: For each face, (P, 2) pairs of characters that look alike in it.
        has: (characters, faces), whether the face has the character.

    Returns:
        (characters,) group of each character, numbered from 0.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components  # slow to import, and only rendering needs it

    count = len(has)
    codes, faces_alike = np.unique(np.concatenate([pairs @ (count, 1) for pairs in alike]), return_counts=True)
    first, second = np.divmod(codes, count)
    faces_shared = (has[first] & has[second]).sum(1)
    merged = 2 * faces_alike >= faces_shared
    edges = coo_array((np.ones(merged.sum()), (first[merged], second[merged])), shape=(count, count))
    groups: NDArray[np.int64] = connected_components(edges, directed=False)[1].astype(np.int64)
    return groups
