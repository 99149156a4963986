"""The full factorial that sampler `grid` makes of an arm's ranges."""

import itertools
import math
from collections.abc import Mapping

from hpstudy.spec._ranges import Choice, IntRange, LinearRange, LogRange, SearchRange

Levels = tuple[float, ...]


def full_factorial(space: Mapping[str, SearchRange], trials: int) -> list[dict[str, float]]:
    """Every combination of levels, the last name varying fastest; empty where `trials` afford no factorial.

    Each range begins with its two ends; then the range with the fewest levels, the earliest of such, gets one more for
    as long as the product stays within `trials`. A choice always has all its values, a range of whole numbers at most
    all of its own. The product may so be below `trials`: 3 × 3 points are what 11 trials afford.
    """
    counts = _fewest_levels(space)
    if math.prod(counts.values()) > trials:
        return []
    while growing := [
        name for name in space if counts[name] < _most_levels(space[name]) and _fits(counts, name, trials)
    ]:
        counts[min(growing, key=lambda name: counts[name])] += 1
    levels = [_levels(entry, counts[name]) for name, entry in space.items()]
    return [dict(zip(space, values, strict=True)) for values in itertools.product(*levels)]


def fewest_points(space: Mapping[str, SearchRange]) -> int:
    """Size of the smallest factorial: both ends of each range, every value of a choice."""
    return math.prod(_fewest_levels(space).values())


def _fewest_levels(space: Mapping[str, SearchRange]) -> dict[str, int]:
    return {name: len(entry.choice) if isinstance(entry, Choice) else 2 for name, entry in space.items()}


def _most_levels(entry: SearchRange) -> float:
    match entry:
        case Choice():
            return len(entry.choice)
        case IntRange():
            return entry.high - entry.low + 1
    return math.inf


def _fits(counts: Mapping[str, int], name: str, trials: int) -> bool:
    return math.prod(counts.values()) // counts[name] * (counts[name] + 1) <= trials


def _levels(entry: SearchRange, number: int) -> Levels:
    """Both ends and what lies evenly between them."""
    match entry:
        case Choice():
            return entry.choice
        case IntRange():
            width, gaps = entry.high - entry.low, number - 1
            return tuple(entry.low + (2 * width * step + gaps) // (2 * gaps) for step in range(number))
        case LinearRange():
            inner = [_between(entry.low, entry.high, step / (number - 1)) for step in range(1, number - 1)]
        case LogRange():
            low, high = math.log(entry.low), math.log(entry.high)
            inner = [math.exp(_between(low, high, step / (number - 1))) for step in range(1, number - 1)]
    within = [min(max(value, entry.low), entry.high) for value in inner]
    # In a range of a few floating-point numbers neighbours can coincide.
    return tuple(dict.fromkeys([entry.low, *within, entry.high]))


def _between(low: float, high: float, share: float) -> float:
    return (1 - share) * low + share * high
