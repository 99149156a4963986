"""Fewer points of a curve that still draw the same curve."""

import numpy as np
from numpy.typing import NDArray


def thin(values: NDArray[np.float64], max_points: int) -> NDArray[np.intp]:
    """Which points of a curve to keep.

    The interior of flat stretches goes first: a straight line between the ends of the stretch shows it exactly. Where
    more than `max_points` are left, equal buckets keep their lowest and highest point, and both ends of the curve stay.

    Args:
        values: The finite ordinates, in the order of their steps, shape (n,).
        max_points: At least 4.

    Returns:
        Ascending indices into `values`, at most `max_points` of them, the global extremes and both ends among them.
    """
    assert max_points >= 4, max_points
    assert bool(np.isfinite(values).all())
    keep = np.ones(len(values), dtype=bool)
    keep[1:-1] = (values[1:-1] != values[:-2]) | (values[1:-1] != values[2:])
    kept = np.flatnonzero(keep)
    if len(kept) <= max_points:
        return kept
    interior = values[kept[1:-1]]
    num_buckets = (max_points - 2) // 2
    width = -(-len(interior) // num_buckets)
    num_buckets = -(-len(interior) // width)
    padding = num_buckets * width - len(interior)
    # The last value is repeated: argmin and argmax return the first of equals, which is never the padding.
    buckets = np.pad(interior, (0, padding), mode="edge").reshape(num_buckets, width)
    offsets = np.arange(num_buckets) * width + 1
    chosen = np.concatenate(([0], offsets + buckets.argmin(axis=1), offsets + buckets.argmax(axis=1), [len(kept) - 1]))
    return kept[np.unique(chosen)]
