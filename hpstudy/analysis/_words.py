"""Small pieces of text that verdicts and reports share."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from hpstudy.analysis._arms import margin_unit


def points_text(points: pd.DataFrame, loss: str) -> str:
    """The points of one arm as text: every searched value, for one search or for several.

    One search gives `s = 23.4, m = 0.31 rad, lr = 0.1`, two give `s = 5.00 and 64.0 (2 searches)`; of more than three
    different values the range is told.

    Args:
        points: One row per search: `s`, `m` and every other searched value as `param/<name>`.
        loss: The loss of the arm.
    """
    unit = margin_unit(loss)
    parts = []
    for column in points.columns:
        name = str(column).removeprefix("param/").rsplit(".", 1)[-1]
        values = points[column].dropna()
        if values.empty or (column == "m" and not unit):
            continue
        shown = _SHOWN.get(str(column), value_text)
        numbers = pd.api.types.is_numeric_dtype(values)
        texts = list(dict.fromkeys(shown(value) for value in (values.sort_values() if numbers else values)))
        text = f"{texts[0]} to {texts[-1]}" if numbers and len(texts) > 3 else listed(texts)
        parts.append(f"{name} = {text}" + (" rad" if column == "m" and unit == "rad" else ""))
    several = f" ({len(points)} searches)" if parts and len(points) > 1 else ""
    return ", ".join(parts) + several


def value_text(value: object) -> str:
    """A searched value: a number to three digits, anything else as it is."""
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    return f"{value:.3g}" if number else str(value)


def _margin_text(m: float) -> str:
    return f"{m:.2f}"


def counted(count: int, noun: str) -> str:
    """A count with its noun, e.g. `1 trial`, `1,200 trials`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def scale_text(s: float) -> str:
    """A scale to three digits, e.g. `14.0`, `128`."""
    return f"{s:.{2 if s < 10 else 1 if s < 100 else 0}f}" if s < 1e4 else f"{s:.1e}"


def p_text(p: float) -> str:
    """A p value as text: `p = 0.031`, `p < 0.001`."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def hours_text(hours: float, device: str) -> str:
    """A compute time as text, e.g. `1.2 CPU-hours`, `18 GPU-minutes`."""
    for size, unit in ((1.0, "hours"), (60.0, "minutes")):
        if hours * size >= 1:
            amount = hours * size
            return f"{amount:.1f} {device}-{unit}" if amount < 10 else f"{amount:,.0f} {device}-{unit}"
    seconds = f"{hours * 3600:.0f}"
    return f"{seconds} {device}-second{'' if seconds == '1' else 's'}"


def listed(items: Sequence[str]) -> str:
    """Items joined by commas and a final `and`."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else ""


_SHOWN: Mapping[str, Callable[[Any], str]] = {"s": scale_text, "m": _margin_text}
