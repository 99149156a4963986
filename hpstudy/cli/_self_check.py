"""The self-check of a study on the terminal."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.text import Text


def show_self_check(console: Console, found: Mapping[str, Any]) -> None:
    """Says whether the trials keep the laws that none can break.

    Args:
        console: Where to.
        found: `Results.self_check`.
    """
    style = "bold red" if found["broken"] else "dim"
    console.print(Text(str(found["line"]), style=style), soft_wrap=True)
