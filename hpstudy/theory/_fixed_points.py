"""Where an adaptive scale comes to rest, and from where on it runs away."""

import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np

from hpstudy.theory._checks import Floats
from hpstudy.theory._roots import bisect

AdaCosOutcome = Literal["rests", "runs away"]
"""Where the dynamic rule goes from a start at a constant angle."""

_GOLDEN = (math.sqrt(5) - 1) / 2
_COSINE_IS_ONE = 2.0**-53
_FURTHEST = 2.0**1000


class FixedPoints(NamedTuple):
    """Where s ↦ log B(s) / cos θ meets itself; both are None where it does not and s grows without limit."""

    stable: float | None
    """The scale at which the rule comes to rest when started below `unstable`."""
    unstable: float | None
    """The scale above which it runs away; None where there is none, as at θ = 0."""

    def outcome(self, start: float) -> AdaCosOutcome:
        """Where s ← log B(s) / cos θ goes from `start`: B grows with s, so that it never crosses a fixed point."""
        if self.stable is None or (self.unstable is not None and start > self.unstable):
            return "runs away"
        return "rests"


def one_less_cosine(theta: float) -> float:
    """1 − cos(min(π/4, θ)), the angle as AdaCos takes it; 0 where the cosine is 1 in float64."""
    less = 2 * math.sin(min(theta, math.pi / 4) / 2) ** 2
    return less if less >= _COSINE_IS_ONE else 0.0


def crossings(surplus: Callable[[Floats], Floats], low: float, *, start_is_root: bool, falls: bool) -> FixedPoints:
    """The roots of s·cos θ − log B(s) on s ≥ 0, which is concave and not positive at 0.

    Args:
        surplus: The function.
        low: A scale that no root lies below.
        start_is_root: Whether it is 0 at s = 0, and rises there or never leaves 0.
        falls: Whether it falls without limit in the end; if not, it never falls.
    """

    def root(low: float, high: float, *, rising: bool) -> float:
        function = surplus if rising else lambda scale: -surplus(scale)
        return float(bisect(function, np.asarray(low), np.asarray(high)))

    if not falls:
        high = 1.0
        while not start_is_root and surplus(np.asarray(high)) < 0:
            high *= 2
            if high > _FURTHEST:
                return FixedPoints(None, None)
        return FixedPoints(0.0 if start_is_root else root(low, high, rising=True), None)

    peak = _peak(lambda scale: float(surplus(np.asarray(scale))))
    if surplus(np.asarray(peak)) < 0:
        return FixedPoints(None, None)
    beyond = 2 * peak
    while surplus(np.asarray(beyond)) >= 0:
        beyond *= 2
    stable = 0.0 if start_is_root else root(low, peak, rising=True)
    return FixedPoints(stable, root(peak, beyond, rising=False))


def _peak(function: Callable[[float], float]) -> float:
    """Where a concave function that ends up falling is largest on s > 0, to half the digits (golden section)."""
    high = 1.0
    while function(2 * high) > function(high):
        high *= 2
    low, high = 0.0, 2 * high
    for _ in range(100):
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        if function(left) < function(right):
            low = left
        else:
            high = right
    return (low + high) / 2
