"""Where in a panel a text disturbs least."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

Places = NDArray[np.float64]

_EDGE = 0.05
"""Share of a panel along its border where no text is centred."""
_CLOSE = 0.09
"""How near to what it must keep off a text may be centred, in panel heights."""
_WIDTH = 1.7
"""Panel width over its height, roughly: distances are judged in units of the height."""


def in_panel(axes: Axes, x: object, y: object) -> Places:
    """(N, 2) places as shares of the panel, whatever the scales of its axes."""
    shown = axes.transData.transform(np.column_stack([np.asarray(x, dtype=float), np.asarray(y, dtype=float)]))
    return np.asarray(axes.transAxes.inverted().transform(shown))


def emptiest(candidates: Places, taken: Sequence[Places], texts: Sequence[Places] = ()) -> int | None:
    """Index of the candidate farthest from all that is taken; None if none will do.

    Args:
        candidates: (N, 2) shares of the panel.
        taken: Groups of such places, better not covered.
        texts: Groups of places that a text must keep off.
    """
    usable = ((candidates > _EDGE) & (candidates < 1 - _EDGE)).all(axis=1)
    usable &= _distance(candidates, texts) > _CLOSE
    if not usable.any():
        return None
    # Beyond a text's own size more room is no better, and the middle of the panel reads best.
    room = np.minimum(_distance(candidates, [*taken, *texts]), 0.2) - 0.02 * np.abs(candidates - 0.5).sum(axis=1)
    return int(np.argmax(np.where(usable, np.round(room, 6), -np.inf)))


def _distance(candidates: Places, others: Sequence[Places]) -> NDArray[np.float64]:
    """From each candidate to the nearest of the others, in panel heights; ∞ if there are none."""
    stretch = np.array([_WIDTH, 1.0])
    there = np.vstack([np.empty((0, 2)), *others]) * stretch
    return np.asarray(cdist(candidates * stretch, there).min(axis=1, initial=np.inf))
