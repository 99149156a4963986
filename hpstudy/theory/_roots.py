"""Roots of increasing functions, for a whole array at once."""

from collections.abc import Callable

import numpy as np

from hpstudy.theory._checks import Floats


def bisect(function: Callable[[Floats], Floats], low: Floats, high: Floats) -> Floats:
    """Where `function` changes from negative to not negative in [low, high], to the last bit."""
    low, high = np.broadcast_arrays(low, high)
    while True:
        middle = 0.5 * (low + high)
        if not ((low < middle) & (middle < high)).any():
            return high
        below = function(middle) < 0
        low, high = np.where(below, middle, low), np.where(below, high, middle)


def bracket(function: Callable[[Floats], Floats], start: Floats) -> Floats:
    """`start`, doubled where and until `function` is no longer negative there."""
    high = start
    while (below := function(high) < 0).any():
        high = np.where(below, 2 * high, high)
    return high
