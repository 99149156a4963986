"""Nearest names and readable values for messages."""

import difflib
import math
from collections.abc import Iterable
from typing import Any


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean …?` where a known name is near, else nothing."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""


def listed(names: Iterable[str]) -> str:
    """The names with commas, or `none`."""
    return ", ".join(names) or "none"


def given(value: Any) -> str:
    """A value as the file would write it, shortened."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}" if math.isfinite(value) else {"inf": ".inf", "-inf": "-.inf", "nan": ".nan"}[str(value)]
    if isinstance(value, str):
        text = repr(value)
    elif isinstance(value, dict):
        text = f"{{{', '.join(f'{key}: {given(item)}' for key, item in list(value.items())[:8])}}}"
    elif isinstance(value, list | tuple):
        text = f"[{', '.join(given(item) for item in value[:8])}]"
    else:
        text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
