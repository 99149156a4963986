"""What an arm searched, and on which scale: a box, mapped to the unit cube."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from hpstudy.spec import Choice, LogRange, SearchRange

Values = NDArray[np.float64]

_LOG_BY_CUSTOM = ("s", "lr", "weight_decay")
"""Values that are searched in the logarithm where the range isn't known."""


@dataclass(frozen=True, slots=True)
class SearchedValue:
    """One value that an arm searched, e.g. `s`, with the range it was drawn from."""

    name: str
    low: float
    high: float
    log: bool
    """Whether it was searched in the logarithm."""
    levels: tuple[float, ...] = ()
    """The listed values, in ascending order, where it was drawn from a list; empty for a range."""

    def to_unit(self, values: ArrayLike) -> Values:
        """Positions in the range as searched: 0 at the low end, 1 at the high end."""
        low, high = self._ends()
        return np.asarray((self._scaled(values) - low) / (high - low))

    def from_unit(self, positions: ArrayLike) -> Values:
        """The inverse of `to_unit`."""
        low, high = self._ends()
        scaled = low + np.asarray(positions, dtype=float) * (high - low)
        return np.exp(scaled) if self.log else scaled

    def draw(self, positions: ArrayLike) -> Values:
        """Positions that the search can give, from uniform ones: of a list, each value equally often."""
        uniform = np.asarray(positions, dtype=float)
        if not self.levels:
            return uniform
        index = np.minimum((uniform * len(self.levels)).astype(int), len(self.levels) - 1)
        return self.to_unit(self.levels)[index]

    def _scaled(self, values: ArrayLike) -> Values:
        numbers = np.asarray(values, dtype=float)
        return np.log(numbers) if self.log else numbers

    def _ends(self) -> tuple[float, float]:
        low, high = self._scaled([self.low, self.high])
        return float(low), float(high)


def searched_values(points: pd.DataFrame, ranges: Mapping[str, SearchRange] | None = None) -> tuple[SearchedValue, ...]:
    """The values that the trials of one arm varied, s and m first.

    Args:
        points: `search_points` of one arm and condition.
        ranges: The arm's `search` section. Without it a range is what the trials span; s, learning rates and weight
            decays are then taken as searched in the logarithm, and an arm's own grid as a list of values.
    """
    names = [str(column).removeprefix("param/") for column in points.columns if str(column).startswith("param/")]
    found = []
    for name in sorted(names, key=lambda name: ({"s": 0, "m": 1}.get(name, 2), name)):
        tried = points[f"param/{name}"].dropna().astype(float)
        if tried.nunique() > 1:
            found.append(
                _of_range(name, ranges[name]) if ranges and name in ranges else _of_trials(name, points, tried)
            )
    return tuple(found)


def _of_range(name: str, given: SearchRange) -> SearchedValue:
    if isinstance(given, Choice):
        return _of_list(name, [float(value) for value in given.choice])
    return SearchedValue(name, float(given.low), float(given.high), isinstance(given, LogRange))


def _of_trials(name: str, points: pd.DataFrame, tried: pd.Series) -> SearchedValue:
    if (points["phase"] == "grid").all():
        return _of_list(name, [float(value) for value in tried])
    low, high = float(tried.min()), float(tried.max())
    return SearchedValue(name, low, high, _in_logarithm(name, low))


def _of_list(name: str, values: list[float]) -> SearchedValue:
    levels = tuple(sorted(set(values)))
    return SearchedValue(name, levels[0], levels[-1], _in_logarithm(name, levels[0]), levels)


def _in_logarithm(name: str, low: float) -> bool:
    return name.rsplit(".", 1)[-1] in _LOG_BY_CUSTOM and low > 0
