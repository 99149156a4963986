"""Small pieces of text that verdicts and reports share."""

from collections.abc import Sequence

import numpy as np

from hpstudy.analysis._arms import margin_unit


def point_text(s: float, m: float, loss: str) -> str:
    """A chosen point as text, e.g. `s = 23.4, m = 0.31 rad`; empty where nothing was chosen."""
    unit = margin_unit(loss)
    parts = [f"s = {scale_text(s)}"] if np.isfinite(s) else []
    parts += [f"m = {m:.2f}" + (" rad" if unit == "rad" else "")] if np.isfinite(m) and unit else []
    return ", ".join(parts)


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
    return f"{hours * 3600:.0f} {device}-seconds"


def listed(items: Sequence[str]) -> str:
    """Items joined by commas and a final `and`."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else ""
